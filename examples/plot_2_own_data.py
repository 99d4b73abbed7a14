"""
Data of your own
================

A small experiment as a laboratory has it: 40 figures of black and white fields, each shown in three runs, a few hundred
voxels. Here the voxels are a noisy linear picture of the figures, so that you know what should come out. No generator
and no checkpoint is needed: pixels are regressed from voxels (Miyawaki et al. 2008).
"""

# %%
# One file is enough
# ------------------
# Arrays keep the names that they have; `fields` says which is which.
import numpy as np

rng = np.random.default_rng(0)
fields = rng.integers(0, 2, (40, 10, 10))
shown = np.repeat(np.arange(40), 3)
voxels = fields[shown].reshape(120, 100) @ rng.normal(size=(100, 300)) + 8 * rng.normal(size=(120, 300))
np.savez(
    "mine.npz",
    responses=voxels.astype(np.float32),  # (trial, voxel)
    figure=shown,  # what each trial showed
    images=fields.repeat(4, 1).repeat(4, 2).astype(np.uint8) * 255,  # (image, height, width)
    image_ids=np.arange(40),
    run=np.tile([1, 2, 3], 40),
)

# %%
# Look before anything is fitted
# ------------------------------
# With so few stimuli each is left out once, in folds.
from decode.api import draw, fit, judge, open_recording

recording = open_recording("mine.npz", fields="stimulus=figure,session=run")
print(len(recording.responses.values), "trials of", len(recording.stimuli.ids), "stimuli")
print("folds:", len(recording.folds()))

# %%
# Fit, draw, judge
# ----------------
# Refits with permuted patterns are the null: in folds chance is not one half, and p is the rank among them.
run = fit(recording, "runs/mine", recipe="pixels-ridge", pixels="grey-10x10", refits=49)
decoded = draw(run)
report = judge(run)
report

# %%
import matplotlib.pyplot as plt

seen, some = run.shown(), sorted(decoded, key=int)[:8]
figure, axes = plt.subplots(2, len(some), figsize=(8, 2.3), layout="constrained")
for axis, stimulus in zip(axes[0], some, strict=True):
    axis.imshow(seen[stimulus])
for axis, stimulus in zip(axes[1], some, strict=True):
    axis.imshow(decoded[stimulus][0])
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("shown")
axes[1, 0].set_ylabel("decoded")
figure.suptitle("Voxels made of noise and a linear picture; the first eight figures")
plt.show()
