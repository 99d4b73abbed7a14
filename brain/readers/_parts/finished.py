"""What every recording goes through before it is handed out, whichever reader read it.

Splits hold only stimuli with trials, empty captions and labels are none, a noise ceiling SNR is one, and what a person
should know of the trials is noted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from brain.errors import InputError, counted, expected
from brain.types import Float, Recording, Split

ABSENT = ("", "nan", "n/a", "<na>")
"""What stands, in whatever case, for an empty cell: pandas and BIDS write it."""
VOXELS = 10
"""Voxels from which on two measurements are never equal bit for bit."""
SNR = 10.0
"""Medians above this are no noise ceiling SNR: of the best voxels of NSD it is about 1."""


def finished(recording: Recording) -> Recording:
    """The recording that `open_recording` gives; an ncsnr that is none and two splits of one name are InputErrors."""
    _check_ncsnr(recording)
    _check_split_names(recording)
    recording = _with_words(_with_trials(recording))
    notes = (*_equal_trials(recording), *_equal_repeats(recording), *_ncsnr_note(recording.ncsnr))
    return replace(recording, notes=(*recording.notes, *notes)) if notes else recording


def _check_split_names(recording: Recording) -> None:
    names = [*(split.name for split in recording.splits), *recording.left_out]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        where = f"{recording.source}, split {twice}"
        raise InputError(expected(where, "one split of that name", "two", "rename one of them"))


def _with_trials(recording: Recording) -> Recording:
    """The recording with splits over stimuli that have trials; what sessions or dropped trials took is noted.

    A split of which a half has no trials at all is left out, and so is what the reader left out, with a note.
    """
    there = set(recording.responses.stimulus.tolist())
    splits: list[Split] = []
    left_out = dict(recording.left_out)
    notes: list[str] = []
    for split in recording.splits:
        train, test = (tuple(one for one in half if one in there) for half in (split.train, split.test))
        had, kept = f"{len(split.train)}/{len(split.test)}", f"{len(train)}/{len(test)}"
        said = f"{kept} of {had} stimuli (train/test) are in the trials that are read"
        if train and test:
            splits.append(split if kept == had else Split(name=split.name, train=train, test=test))
            notes += [f"split {split.name}: {said}"] * (kept != had)
        else:
            left_out[split.name] = said
    whys = dict.fromkeys(left_out.values())
    notes += [_left_out(why, [name for name, own in left_out.items() if own == why]) for why in whys]
    if left_out and not splits:
        notes.append("no split is left, so that nothing can be tested: read more sessions, or give another split")
    if not notes:
        return recording
    return replace(recording, splits=tuple(splits), left_out=left_out, notes=(*recording.notes, *notes))


def _left_out(why: str, names: list[str]) -> str:
    """The note on splits that are left out for one reason."""
    if len(names) == 1:
        return f"split {names[0]} is left out: {why}"
    return f"{len(names)} splits are left out, {', '.join(names[:3])}{', ...' * (len(names) > 3)}: {why}"


def _equal_trials(recording: Recording) -> tuple[str, ...]:
    """Sentences on trials whose responses are equal bit for bit to an earlier one's: a stimulus' own, or another's."""
    values, stimulus = recording.responses.values, recording.responses.stimulus.tolist()
    if values.shape[1] < VOXELS:
        return ()
    alike: dict[bytes, list[int]] = {}
    for trial, row in enumerate(values):
        alike.setdefault(row[:VOXELS].tobytes(), []).append(trial)
    first: dict[bytes, int] = {}
    again, others = 0, 0
    for trial in sorted(trial for trials in alike.values() if len(trials) > 1 for trial in trials):
        digest = hashlib.blake2b(values[trial].tobytes(), digest_size=16).digest()
        earlier = first.setdefault(digest, trial)
        again += earlier != trial and stimulus[earlier] == stimulus[trial]
        others += stimulus[earlier] != stimulus[trial]
    said = "equal bit for bit to an earlier one"
    notes = []
    if again:
        why = "files joined twice? repeats and noise ceilings count them as measured anew"
        notes.append(f"{_trials(again)} {said} of the same stimulus: {why}")
    if others and recording.stimuli.modality == "image":  # windows of sounds share their scans
        why = "rows shifted, or filled where nothing was measured?"
        notes.append(f"{_trials(others)} {said} of another stimulus: {why}")
    return tuple(notes)


def _equal_repeats(recording: Recording) -> tuple[str, ...]:
    """A sentence on trials that bear the number of another repeat of their stimulus: their order is by file then."""
    responses = recording.responses
    shown = Counter(zip(responses.stimulus.tolist(), responses.repeat.tolist(), strict=True))
    again = sum(count - 1 for count in shown.values())
    said = f"{_trials(again)} numbered as another repeat of the same stimulus is: which is earlier goes by the file"
    return (said,) * bool(again)


def _trials(count: int) -> str:
    return f"{counted(count, 'trial')} {'is' if count == 1 else 'are'}"


def _with_words(recording: Recording) -> Recording:
    """The recording with captions and labels that say something, without blanks at the ends of labels; noted."""
    stimuli = recording.stimuli
    captions = {name: kept for name, texts in stimuli.captions.items() if (kept := tuple(filter(_says, texts)))}
    bare = {name: {key: text.strip(" \0") for key, text in own.items()} for name, own in stimuli.labels.items()}
    labels = {name: {key: text for key, text in own.items() if _says(text)} for name, own in bare.items()}
    if captions == stimuli.captions and labels == stimuli.labels:
        return recording
    written = {name: {key: text for key, text in own.items() if text} for name, own in bare.items()}
    notes = [
        *_none("captions", _count(stimuli.captions), _count(captions)),
        *_none("labels", _count(written), _count(labels)),  # an empty label is plainly none
    ]
    filled = sum(text != bare[name][key] for name, own in stimuli.labels.items() for key, text in own.items())
    if filled:
        notes.append(f"labels: blanks at the ends of {filled} of {_count(bare)} labels are left out")
    labels = {name: own for name, own in labels.items() if own}
    return replace(
        recording, stimuli=replace(stimuli, captions=captions, labels=labels), notes=(*recording.notes, *notes)
    )


def _says(text: str) -> bool:
    return text.strip().lower() not in ABSENT


def _count(words: Any) -> int:
    return sum(len(own) for own in words.values())


def _none(what: str, given: int, kept: int) -> tuple[str, ...]:
    if kept == given:
        return ()
    return (f"{what}: {given - kept} of {given} are empty, or an empty cell's 'nan' or 'n/a', and count as none",)


def _check_ncsnr(recording: Recording) -> None:
    ncsnr = recording.ncsnr
    if ncsnr is None or (ncsnr >= 0).all() and np.isfinite(ncsnr).all():
        return
    strange = ~((ncsnr >= 0) & np.isfinite(ncsnr))
    found = f"{ncsnr[strange][0]:g} and such in {int(strange.sum())} of {len(ncsnr)} voxels"
    then = "set it to 0 where no signal was found"
    raise InputError(expected(f"{recording.source}, ncsnr", "finite numbers that are not negative", found, then))


def _ncsnr_note(ncsnr: Float | None) -> tuple[str, ...]:
    median = 0.0 if ncsnr is None else float(np.median(ncsnr))
    if median <= SNR:
        return ()
    then = "of a noise ceiling in percent of one trial it is sqrt(nc / (100 - nc))"
    return (f"ncsnr: a median of {median:.3g}, with which noise ceilings are near 1, is no SNR of responses: {then}",)
