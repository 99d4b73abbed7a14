"""
What was heard
==============

A simulated listener hears clips of speech, music, animals, nature, machines and tools. Association areas say what was
heard, belt areas how; sounds are drawn coarse to fine by a small AudioLDM 2 (after Liu et al. 2024).
"""

# %%
# A listener
# ----------
from decode.api import draw, fit, judge, open_recording, simulate

data = simulate("data/listener_small", modality="sound", sessions=2, trials=90)
recording = open_recording(data)
split = recording.split()
print("responses (trial, voxel):", recording.responses.values.shape)
print(f"split {split.name}: {len(split.train)} sounds train, {len(split.test)} test")

# %%
# From voxels to sounds
# ---------------------
run = fit(recording, "runs/listen", recipe="c2f-miniature")
sounds = draw(run, rows=["decoded", "shuffled"], steps=10)

# %%
# One test sound, as it was heard. Sounds come as a waveform and its rate in Hz.
from IPython.display import Audio

stimulus = sorted(sounds)[0]
wave, rate = run.shown()[stimulus]
Audio(wave, rate=rate)

# %%
# The same, decoded from the simulated auditory cortex:
decoded, rate = sounds[stimulus][0]
Audio(decoded, rate=rate)

# %%
# Log-mel spectrograms
# --------------------
# Without a trained vocoder melodies and voices come out smeared.
import matplotlib.pyplot as plt

some = sorted(sounds)[:5]
figure, axes = plt.subplots(2, len(some), figsize=(8, 3.2), layout="constrained", sharey=True)
for column, name in enumerate(some):
    for line, (samples, hertz) in enumerate((run.shown()[name], sounds[name][0])):
        axes[line, column].specgram(samples + 1e-6, NFFT=512, Fs=hertz, noverlap=352, vmin=-140, vmax=-40)
        axes[line, column].set(xticks=[], ylim=(0, 6000))
axes[0, 0].set_ylabel("heard, Hz")
axes[1, 0].set_ylabel("decoded, Hz")
figure.suptitle("Simulated listener, miniature stack; first five test sounds by id")
plt.show()

# %%
# Twelve test sounds are few: knowing the category and nothing else does about as well.
report = judge(run, permutations=500)
report
