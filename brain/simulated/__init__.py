"""A brain with a known answer: scenes and sounds, a cortex for each, and the files of real data sets."""

from __future__ import annotations

from pathlib import Path

TRIALS = {"image": 750, "sound": 350}
"""Trials of a session: pictures as in NSD, presentations of clips."""


def simulate(
    out: Path, *, modality: str = "image", subjects: int = 1, sessions: int = 4, snr: float = 1.0, seed: int = 0
) -> Path:
    """Write a simulated data set under `out`; see `brain.simulated.simulate` (imported here, for it needs torch)."""
    from brain.simulated.simulate import simulate as write

    return write(out, modality=modality, subjects=subjects, sessions=sessions, snr=snr, seed=seed)
