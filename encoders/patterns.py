"""Training patterns: the trials of a split's training stimuli as z-scores, each by itself or one a stimulus."""

from __future__ import annotations

from collections.abc import Iterable

from brain.data.averages import average_repeats
from brain.data.copies import EXACT, LEAST_VOXELS, guard_copies
from brain.data.standardise import SessionScaler
from brain.types import Float, Responses, Split


def standardised(responses: Responses, train: Iterable[str]) -> tuple[Responses, SessionScaler]:
    """The trials of the training stimuli as z-scores, and the scaler that these trials alone have settled."""
    rows = responses.of(train)
    scaler = SessionScaler.fit(responses, rows)
    return scaler.apply(responses.trials(rows)), scaler


def training_patterns(training: Responses, trials: str) -> tuple[Float, tuple[str, ...]]:
    """Patterns (sample, voxel) and the stimulus of each: one a stimulus ("averaged"), or every trial ("single")."""
    if trials == "single":
        return training.values, tuple(training.stimulus.tolist())
    averaged = average_repeats(training)
    return averaged.values, averaged.ids


def guard_test_copies(responses: Responses, fold: Split) -> None:
    """Refuses (InputError) training trials that are test trials up to a factor and an offset, whatever they are called.

    Of few voxels nothing is said: patterns of so few numbers may be alike by chance.
    """
    if responses.values.shape[1] < LEAST_VOXELS:
        return
    train, test = (responses.values[responses.of(ids)] for ids in (fold.train, fold.test))
    guard_copies(train, test, name=responses.space.subject, alike=EXACT)
