"""Trials that are copies of test trials, whatever they are called: what must never be pretrained on.

    guard_copies(pretraining, test, name="subj01")

Two measurements of one stimulus correlate over voxels by their signal alone, far below 1; one measurement written
twice, rescaled or standardised again correlates at nearly 1.
"""

from __future__ import annotations

import numpy as np

from brain.data.correlation import directions
from brain.errors import InputError
from brain.types import Float

ALIKE = 0.98
"""Correlation over voxels from which two trials are one measurement."""
EXACT = 1 - 1e-6
"""Correlation of rows that are equal up to a factor and an offset, as far as float32 tells."""
LEAST_VOXELS = 16
"""Below so many voxels a high correlation may be chance, and only `EXACT` counts."""
BLOCK = 1024


def guard_copies(trials: Float, test: Float, *, name: str, alike: float = ALIKE) -> None:
    """Refuse (InputError) `trials` (trial, voxel) of which one correlates with a row of `test` by more than `alike`."""
    if not len(trials) or not len(test):
        return
    mine, theirs = directions(trials), directions(test)
    limit = alike if trials.shape[1] >= LEAST_VOXELS else EXACT
    for first in range(0, len(mine), BLOCK):
        likeness = mine[first : first + BLOCK] @ theirs.T
        copies = np.argwhere(likeness > limit)
        if len(copies):
            row, other = int(copies[0][0]) + first, int(copies[0][1])
            raise InputError(
                f"{name}: trial {row} of the training data is test trial {other} (correlation "
                f"{float(likeness[copies[0][0], other]):.3f} over {trials.shape[1]} voxels); take the test trials out"
            )
