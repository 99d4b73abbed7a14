"""
A first decode
==============

A simulated subject watches drawn scenes; encoding models find what it may have seen among 20,000 scenes that no brain
has answered to (Naselaris et al. 2009); a small Stable Diffusion draws it, and a judge holds it against controls.
"""

# %%
# A brain with a known answer
# ---------------------------
# `simulate` writes a subject's data file for file as the Natural Scenes Dataset does. The whole thing has four sessions
# of 750 trials; two of 240 are enough to see how it works.
from decode.api import draw, fit, judge, open_recording, posterior, simulate

recording = open_recording(simulate("data/small", sessions=2, trials=240))
print("responses (trial, voxel):", recording.responses.values.shape)
print("regions:", ", ".join(region.name for region in recording.regions[:8]), "...")
split = recording.split()
print(f"split {split.name}: {len(split.train)} stimuli train, {len(split.test)} test")

# %%
# From voxels to conditions
# -------------------------
# Ridge regression predicts a latent from early visual cortex (where light and colour are); encoding models, the other
# way round, say how likely the measured pattern is under the caption of every scene of the bank (what is shown).
run = fit(recording, "runs/first", recipe="bayes-miniature")
for name, accuracy in run.accuracy.items():
    print(f"{name}: cross-validated R2 {accuracy:.3f}")

# %%
# Pictures, and what they have to beat
# ------------------------------------
# Row *decoded* is drawn from each test stimulus' own pattern, *shuffled* from another's, *oracle* from the true
# condition: what this generator could draw at best.
pictures = draw(run, rows=["decoded", "shuffled", "oracle"], steps=12)

import matplotlib.pyplot as plt

rows = {
    "seen": run.shown(),
    "decoded": pictures,
    "shuffled": run.drawn("shuffled"),
    "oracle": run.drawn("oracle"),
}
some = sorted(pictures)[:8]
figure, axes = plt.subplots(len(rows), len(some), figsize=(8, 4.3), layout="constrained")
for line, (row, found) in zip(axes, rows.items(), strict=True):
    for axis, stimulus in zip(line, some, strict=True):
        axis.imshow(found[stimulus] if row == "seen" else found[stimulus][0])
        axis.set(xticks=[], yticks=[])
    line[0].set_ylabel(row)
figure.suptitle("Simulated brain, miniature stack; first eight test stimuli by id")
plt.show()

# %%
# Words and doubt
# ---------------
# The posterior over the bank: the likeliest caption of each stimulus, its share, and the entropy that is left.
words = posterior(run).table()
words[["stimulus", "caption", "share", "entropy", "prior_entropy", "kind", "kind share"]].round(2).head(8)

# %%
# What a judge says that never saw the brain
# ------------------------------------------
# Two-way identification: how often a decoded picture is more like what was seen than like another test stimulus. Mind
# what it is held against: on 16 stimuli a picture of the right category, and no more, does as well. The page has all
# the rest: intervals, p, attributes, regions, what was trained on what.
report = judge(run, permutations=500)
report

# %%
# Every number has its interval, its chance and, where there is a null, its p.
table = report.table()
table[table.metric == "two_way"][["row", "value", "low", "high", "chance", "p", "n"]].round(3)
