"""By how many training stimuli the mappings that are networks are stopped: known before anything is encoded."""

from __future__ import annotations

from collections.abc import Sequence

from brain.data.clips import groups_of
from brain.errors import InputError
from brain.types import Recording, Split
from encoders.settings import FEWEST

SHARE = 0.1
"""The share of a subject's training stimuli that stops its network early."""


def stopping_share(recording: Recording, fold: Split) -> float:
    """The share that validates: more than usual where it would be too few stimuli to settle a rescaling by.

    Training stimuli that cannot spare so many are an InputError.
    """
    shown = recording.responses.stimulus[recording.responses.of(fold.train)]
    count = len(set(groups_of(shown.tolist(), sound=recording.stimuli.modality == "sound").tolist()))
    if count < 2 * FEWEST:
        raise InputError(
            f"split {fold.name!r}: {count} training stimuli cannot spare the {FEWEST} by which a network is stopped "
            "and its predictions are restored; take --mapping ridge, or more stimuli"
        )
    return max(SHARE, FEWEST / count)


def check_stimuli(recording: Recording, folds: Sequence[Split]) -> None:
    """Refuses (InputError) folds whose training stimuli are too few to stop a network by."""
    for fold in folds:
        stopping_share(recording, fold)
