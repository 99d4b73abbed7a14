"""Readers of data sets, one file a format; the folder is the catalogue. `open_recording(path)` finds the right one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from brain.catalogue import Catalogue
from brain.errors import InputError, UsageError
from brain.files import present
from brain.origin import simulated_by
from brain.readers._media import check_names
from brain.types import Recording, Split


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a reader finds: `lines` for people, `facts` (JSON) for programs, `problems`: one sentence each."""

    lines: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


class Reader(Protocol):
    """One data set format. `title` is a sentence; the other methods raise InputError or UsageError."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    def recognises(self, path: Path) -> bool:
        """Is this, by its look alone, data of this format? Never raises."""

    def subjects(self, path: Path) -> tuple[str, ...]:
        """The subjects that the data set holds."""

    def read(
        self, path: Path, *, subject: str, sessions: Sequence[int], betas: str, fields: Mapping[str, str]
    ) -> Recording:
        """One subject. Empty `subject`, `sessions` and `betas` mean the only one, all, and the reader's choice."""

    def inspect(self, path: Path, *, fields: Mapping[str, str] | None = None) -> Inspection:
        """What is there and what is missing, with the names that `fields` says."""


CATALOGUE: Catalogue[Reader] = Catalogue("brain.readers", "reader")


def open_recording(
    path: Path | str,
    *,
    subject: str = "",
    sessions: Sequence[int] = (),
    betas: str = "",
    reader: str = "",
    fields: Mapping[str, str] | None = None,
) -> Recording:
    """One subject of a data set, in its own unit.

    subject   such as "subj01"; empty takes the only one
    sessions  the sessions to read, 1-based; empty takes all that the subject did and refuses a missing one
    betas     the betas' version where there are several, such as "betas_fithrf"; "func1mm/betas_fithrf" with its space
    reader    a name of the catalogue; empty takes the reader that recognises `path`
    fields    field of the own-data format -> its name in this file (`parse_fields`)

    Data that no reader knows, damaged ones, and names that cannot be read are an InputError.
    """
    found = reader_of(Path(path), reader)
    recording = _with_trials(
        found.read(Path(path), subject=subject, sessions=tuple(sessions), betas=betas, fields=dict(fields or {}))
    )
    check_names(recording)
    return replace(recording, simulated=recording.simulated or simulated_by(path))


def _with_trials(recording: Recording) -> Recording:
    """The recording with splits over stimuli that have trials; what sessions or dropped trials took is noted.

    A split of which a half has no trials at all is left out, with a note.
    """
    there = set(recording.responses.stimulus.tolist())
    splits: list[Split] = []
    notes: list[str] = []
    for split in recording.splits:
        train, test = (tuple(one for one in half if one in there) for half in (split.train, split.test))
        lost = len(split.train) + len(split.test) - len(train) - len(test)
        if not lost:
            splits.append(split)
            continue
        said = f"split {split.name}: {lost} of {len(split.train) + len(split.test)} stimuli have no trial that is read"
        if train and test:
            splits.append(Split(name=split.name, train=train, test=test))
        else:
            said += f", so that its {'test' if train else 'training'} half is empty and it is left out"
        notes.append(said)
    return replace(recording, splits=tuple(splits), notes=(*recording.notes, *notes)) if notes else recording


def reader_of(path: Path, name: str = "") -> Reader:
    """The reader called `name`, else the one that recognises `path`; none is an InputError that lists the readers."""
    if not os.path.isdir(path):  # False, not an error, for names that the system refuses
        present(path, what="a file or a folder of data", then="check the path")
    if name:
        return CATALOGUE[name]
    for reader in CATALOGUE:
        if reader.recognises(path):
            return reader
    known = "; ".join(f"{reader.name} ({reader.title})" for reader in CATALOGUE)
    raise InputError(f"{path}: no reader recognises these data; known are {known}")


def parse_fields(text: str) -> dict[str, str]:
    """ "stimulus=figure,group=run" -> {"stimulus": "figure", "group": "run"}; another form is a UsageError."""
    fields: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        ours, equals, theirs = (piece.strip() for piece in part.partition("="))
        if not (ours and equals and theirs):
            raise UsageError(f"fields are given as ours=theirs,ours=theirs; came {part!r}")
        fields[ours] = theirs
    return fields
