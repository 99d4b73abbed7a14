"""Repeats of a stimulus, averaged: grouped by what was shown, never padded, with the count of each kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError
from brain.machine.memory import contiguous
from brain.types import Float, Int, Responses


@dataclass(frozen=True, kw_only=True)
class Averaged:
    """One pattern a stimulus.

    values   (stimulus, voxel) float32 in C order, in the unit of the responses
    ids      the stimuli, sorted
    repeats  (stimulus,) int64, how many trials went into each pattern
    """

    values: Float
    ids: tuple[str, ...]
    repeats: Int

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", contiguous(self.values))
        if len(self.values) != len(self.ids) or self.repeats.shape != (len(self.ids),):
            raise InputError(
                f"averages: {len(self.values)} patterns, {len(self.ids)} ids, {self.repeats.shape} repeats do not fit"
            )


def count_repeats(shown: NDArray[Any]) -> Int:
    """(trial,) int64: how often the stimulus of each trial was shown before, for trials in the order of showing."""
    seen: dict[Any, int] = {}
    repeats = np.empty(len(shown), np.int64)
    for trial, stimulus in enumerate(shown.tolist()):
        repeats[trial] = seen.get(stimulus, 0)
        seen[stimulus] = int(repeats[trial]) + 1
    return repeats


def average_repeats(responses: Responses) -> Averaged:
    """The mean response to each stimulus over however many times it was shown, summed in float64."""
    if not len(responses.values):
        raise InputError("averages: no trials are left to average; choose other stimuli or sessions")
    ids, group, repeats = np.unique(responses.stimulus, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    values = np.empty((len(ids), responses.values.shape[1]), np.float32)
    for index, rows in enumerate(np.split(order, np.cumsum(repeats)[:-1])):
        values[index] = responses.values[rows].mean(axis=0, dtype=np.float64)
    return Averaged(values=values, ids=tuple(ids.tolist()), repeats=repeats.astype(np.int64))
