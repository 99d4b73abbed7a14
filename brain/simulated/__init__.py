"""A brain with a known answer: scenes, a cortex that watches them, and NSD's own files. See `simulate.py`."""

from __future__ import annotations

from pathlib import Path


def simulate(
    out: Path, *, modality: str = "image", subjects: int = 1, sessions: int = 4, snr: float = 1.0, seed: int = 0
) -> Path:
    """Write a simulated data set under `out`; see `brain.simulated.simulate` (imported here, for it needs torch)."""
    from brain.simulated.simulate import simulate as write

    return write(out, modality=modality, subjects=subjects, sessions=sessions, snr=snr, seed=seed)
