"""
What a region wants to see
==========================

Voxelwise encoders of a face area and of a place area guide the generator's denoising (after BrainDiVE, Luo et al.
2023). Pictures are judged by others than the encoder that guided: by a second network, and here, where the brain is
simulated, by the simulated cortex itself.
"""

# %%
from decode.api import fit, open_recording, simulate, synthesize

recording = open_recording(simulate("data/small", sessions=2, trials=240))
run = fit(recording, "runs/regions", recipe="unclip-miniature")

# %%
# Guided pictures stand beside *unguided* ones, which the same loop draws without any brain: what a generator likes to
# draw anyhow is no finding. Four pictures of each are few; the interval says how few.
faces = synthesize(run, "FFA-1", against="PPA", method=["guided", "unguided"], n=4, steps=10)
print(faces.answer)

# %%
places = synthesize(run, "PPA", against="FFA-1", method=["guided", "unguided"], n=4, steps=10)
print(places.answer)

# %%
import matplotlib.pyplot as plt

rows = {
    "FFA-1, guided": faces.pictures()["guided"],
    "PPA, guided": places.pictures()["guided"],
    "unguided": faces.pictures()["unguided"],
}
figure, axes = plt.subplots(len(rows), 4, figsize=(5.6, 4.4), layout="constrained")
for line, (title, pictures) in zip(axes, rows.items(), strict=True):
    for axis, picture in zip(line, pictures, strict=True):
        axis.imshow(picture)
        axis.set(xticks=[], yticks=[])
    line[0].set_ylabel(title, fontsize=8)
figure.suptitle("Made for a simulated region, and unguided", fontsize=10)
plt.show()
