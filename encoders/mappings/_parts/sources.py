"""Source subjects: the other subjects of the same data, on whose labelled trials a shared trunk is trained.

A stimulus that the fold tests trains nobody, neither the task's subject nor a source subject, under whatever name.
"""

from __future__ import annotations

from brain.data.clips import groups_of
from brain.data.leaks import guard, look_at
from brain.errors import InputError
from brain.types import Recording, Split
from encoders.labelled import Labelled, labelled_trials
from encoders.mappings import Task
from encoders.mappings._parts.stopping import SHARE


def source_trials(task: Task, subject: str) -> Labelled:
    """All labelled training trials of a source subject, of all its sessions, without what the task's fold tests.

    A stimulus of the fold's tests under another name, and one that cannot be compared with them, are an InputError.
    """
    other = task.source(subject)
    split = source_split(other, task.fold)
    _guard(task, other, split)
    ids = sorted(set(other.responses.stimulus.tolist()))
    true = task.encode(other.stimuli, ids, subject)
    return labelled_trials(other, true, split=split, share=SHARE, seed=task.seed, columns=task.columns(other))


def _guard(task: Task, other: Recording, split: Split) -> None:
    """Refuses (InputError) a training stimulus of the source subject that the fold tests, bit for bit."""
    sides = ((other.stimuli, split.train), (task.recording.stimuli, task.fold.test))
    opened = ((name, stimuli.open(name)) for stimuli, names in sides for name in names)
    looks = look_at(opened, count=len(split.train) + len(task.fold.test))
    both = Split(name=task.fold.name, train=split.train, test=task.fold.test)
    guard(both, split.train, looks, sound=other.stimuli.modality == "sound")


def source_split(other: Recording, fold: Split) -> Split:
    """A source subject's own split, of the fold's name where it has one, with all that `fold` tests among its tests.

    Windows of a tested clip train nobody either. Where nothing is left to train on: InputError.
    """
    named = fold.name if fold.name in {split.name for split in other.splits} else ""
    own, shown = other.split(named), set(other.responses.stimulus.tolist())
    sound = other.stimuli.modality == "sound"
    tested = set(groups_of(fold.test, sound=sound).tolist())
    clips = groups_of(own.train, sound=sound).tolist()
    train = tuple(name for name, clip in zip(own.train, clips, strict=True) if name in shown and clip not in tested)
    if not train:
        raise InputError(
            f"{other.responses.space.subject}: split {fold.name!r} tests every stimulus that could train a shared "
            "trunk; take another split, or --mapping residual"
        )
    return Split(name=own.name, train=train, test=(*own.test, *fold.test))
