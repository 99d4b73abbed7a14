"""From a recording to what the stages need: the folds that were asked for, and the trials of each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from brain.errors import InputError
from brain.readers import open_recording, parse_fields
from brain.types import Recording, Responses, Split
from decode.settings import FitSettings


def open_data(data: Path, fit: FitSettings) -> Recording:
    """The recording that these settings name."""
    return open_recording(
        data,
        subject=fit.subject,
        sessions=fit.sessions,
        betas=fit.betas,
        reader=fit.reader,
        fields=parse_fields(fit.fields),
    )


def folds_of(recording: Recording, wanted: str) -> tuple[Split, ...]:
    """The split of that name (empty: the first), or every split of a family such as leave-out.

    Each split keeps only the stimuli that were shown in this recording; a stimulus tested twice is an InputError.
    """
    shown = set(recording.responses.stimulus.tolist())
    folds = tuple(_shown(split, shown) for split in recording.folds(wanted))
    twice = [name for name, count in Counter(name for fold in folds for name in fold.test).items() if count > 1]
    if twice:
        raise InputError(
            f"splits {wanted!r}: stimulus {twice[0]} is tested in more than one; choose splits whose tests are disjoint"
        )
    return folds


def first_repeats(responses: Responses, count: int) -> Responses:
    """Only the first `count` trials of every stimulus, in order of session and repeat; 0 keeps them all."""
    if count == 0:
        return responses
    seen: Counter[str] = Counter()
    keep = np.zeros(len(responses.values), np.bool_)
    for row in np.lexsort((responses.repeat, responses.session)):
        name = str(responses.stimulus[row])
        keep[row] = seen[name] < count
        seen[name] += 1
    return responses.trials(keep)


def _shown(split: Split, shown: set[str]) -> Split:
    return Split(name=split.name, train=tuple(shown & set(split.train)), test=tuple(shown & set(split.test)))
