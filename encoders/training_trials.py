"""Rules for everything that learns from trials: z-scores of training trials alone, no copy of a test trial among them,
and whole stimuli held out to validate on.

    scaler, scaled = standardised(training)
    Spared.of(test, scaler).guard(training.values, scaled.values, name="subj01")
    validating = held_out(stimuli, count=3, seed=0)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from brain.data.copies import EXACT, guard_copies
from brain.data.standardise import SessionScaler
from brain.errors import InputError
from brain.types import Bool, Float, Int, Responses


@dataclass(frozen=True, kw_only=True)
class Spared:
    """One subject's test trials, of which nothing that is trained on may be a copy.

    subject   whose
    measured  (trial, voxel) float32, as they were measured
    scaled    (trial, voxel) float32, z-scores of those whose session has training trials
    """

    subject: str
    measured: Float
    scaled: Float

    @classmethod
    def of(cls, test: Responses, scaler: SessionScaler) -> Spared:
        """These test trials beside training trials that `scaler` was fitted on."""
        known = test.trials(scaler.knows(test))
        return cls(subject=test.space.subject, measured=test.values, scaled=scaler.apply(known).values)

    def guard(self, measured: Float, scaled: Float, *, name: str) -> None:
        """Refuse (InputError) trials (trial, voxel) that equal one up to a factor, or are like one as z-scores."""
        guard_copies(measured, self.measured, name=name, alike=EXACT)
        guard_copies(scaled, self.scaled, name=name)


def standardised(trials: Responses) -> tuple[SessionScaler, Responses]:
    """The scaler of all of these trials, none of which is a test trial, and what it makes of them."""
    scaler = SessionScaler.fit(trials, np.ones(len(trials.session), np.bool_))
    return scaler, scaler.apply(trials)


def refuse_constant(scaler: SessionScaler, trials: Responses) -> None:
    """Refuse (InputError) voxels that are constant over the training trials of a session."""
    constant = np.flatnonzero((scaler.std == 0).any(0))
    if len(constant):
        raise InputError(
            f"{trials.space.subject}: {len(constant)} voxels are constant in a session (first: ijk "
            f"{trials.space.ijk[constant[0]].tolist()}); mask them out before training"
        )


def held_out(shown: NDArray[np.str_], *, count: int, seed: int | Sequence[int]) -> Bool:
    """(sample,) bool: the samples of `count` stimuli, or clips, drawn by `seed` among those that were `shown`."""
    drawn = np.random.default_rng(seed).permutation(np.unique(shown))[:count]
    return np.isin(shown, drawn)


def in_batches(order: Callable[[int], Int], batch: int) -> Callable[[int], list[int]]:
    """Step -> the rows of its batch: every epoch in an order of its own, its last batch as small as what is left.

    order  epoch -> (row,) int64, all rows once
    """

    @lru_cache(maxsize=2)
    def cut(epoch: int) -> list[list[int]]:
        rows = order(epoch)
        return [rows[first : first + batch].tolist() for first in range(0, len(rows), batch)]

    def at(step: int) -> list[int]:
        epoch, place = divmod(step, len(cut(0)))
        return cut(epoch)[place]

    return at


def repeats_of(shown: NDArray[np.str_]) -> list[Int]:
    """Sample -> the samples (repeat,) of the same stimulus, itself among them; `shown` (sample,) the stimuli."""
    _, member = np.unique(shown, return_inverse=True)
    groups = [np.flatnonzero(member == one) for one in range(member.max() + 1)]
    return [groups[one] for one in member.tolist()]
