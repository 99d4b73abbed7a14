"""
Judging another program's pictures
==================================

Whoever decodes with other code can have the same judgement: a folder of pictures named by stimulus, beside the folder
of what was shown. The other program here is scikit-learn: ridge regression from voxels to 32 x 32 pixels.
"""

# %%
# Another program decodes
# -----------------------
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.linear_model import RidgeCV

from decode.api import judge, open_recording, simulate

recording = open_recording(simulate("data/small", sessions=2, trials=240))
split, responses = recording.split(), recording.responses
voxels = responses.values[:, recording.columns("nsdgeneral")]
train = voxels[np.isin(responses.stimulus, split.train)]
voxels = (voxels - train.mean(0)) / train.std(0)  # by training trials alone


def patterns(stimuli):
    """The mean pattern over the trials of each stimulus (stimulus, voxel)."""
    return np.stack([voxels[responses.stimulus == one].mean(0) for one in stimuli])


def pixels(stimulus):
    """The picture as 32 x 32 x 3 numbers in 0..1."""
    return np.asarray(recording.stimuli.open(stimulus).resize((32, 32)), np.float32).ravel() / 255


targets = np.stack([pixels(one) for one in split.train])
ridge = RidgeCV(alphas=np.logspace(1, 5, 9)).fit(patterns(split.train), targets)
drawn = ridge.predict(patterns(split.test)).clip(0, 1).reshape(-1, 32, 32, 3)

# %%
# Two folders
# -----------
# One file a stimulus in each; several samples of one would be ID-0.png, ID-1.png.
for folder in ("mine", "shown"):
    Path(folder).mkdir(exist_ok=True)
for stimulus, picture in zip(split.test, drawn, strict=True):
    Image.fromarray((255 * picture).astype(np.uint8)).resize((64, 64)).save(f"mine/{stimulus}.png")
    recording.stimuli.open(stimulus).save(f"shown/{stimulus}.png")

# %%
# The judgement
# -------------
# Pixel metrics reward blur, which is what a ridge draws: it beats the diffusion model of the first example there, on
# the same data, and loses identification by a judge's features. A folder does not say where it came from: that this
# brain is simulated stands on this page alone.
report = judge("mine", references="shown", permutations=500)
report

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(2, 8, figsize=(8, 2.3), layout="constrained")
for column, stimulus in enumerate(split.test[:8]):
    axes[0, column].imshow(Image.open(f"shown/{stimulus}.png"))
    axes[1, column].imshow(Image.open(f"mine/{stimulus}.png"))
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("shown")
axes[1, 0].set_ylabel("theirs")
figure.suptitle("Simulated brain, scikit-learn's ridge to pixels; first eight test stimuli")
plt.show()

# %%
table = report.table()
table[["row", "metric", "value", "low", "high", "chance", "p"]].head(6).round(3)
