"""Readers of data sets, one file a format; the folder is the catalogue. `open_recording(path)` finds the right one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from brain.catalogue import Card, Catalogue
from brain.errors import UsageError, expected
from brain.files.paths import present
from brain.readers._parts.finished import finished
from brain.readers._parts.media import check_names
from brain.types import Recording
from brain.writing.origin import simulated_by


@dataclass(frozen=True, kw_only=True)
class Apart:
    """Sessions in files of their own, which can be read one by one: those that are `there`; `note` on absent ones."""

    there: tuple[int, ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a reader finds: `lines` for people, `facts` (JSON) for programs, `problems`: one sentence each.

    recording  what was read for it, where that was all, as `Reader.read` gives it: nobody reads it again
    sessions   subject -> its sessions, where these lie in files of their own
    """

    lines: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    recording: Recording | None = field(default=None, repr=False)
    sessions: Mapping[str, Apart] = field(default_factory=dict)


class Reader(Card, Protocol):
    """One data set format, with its card.

    licence  that of the data, "" where it is not known
    terms    why whoever has the data may not pass their stimuli on, in one clause; "" where nothing is known against it

    Its methods but `recognises` raise InputError or UsageError.
    """

    @property
    def licence(self) -> str: ...

    @property
    def terms(self) -> str: ...

    def recognises(self, path: Path) -> bool:
        """Is this, by its look alone, data of this format? Never raises."""

    def subjects(self, path: Path, *, fields: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """The subjects that the data set holds, by the names that `fields` says."""

    def read(
        self, path: Path, *, subject: str, sessions: Sequence[int], betas: str, fields: Mapping[str, str]
    ) -> Recording:
        """One subject. Empty `subject`, `sessions` and `betas` mean the only one, all, and the reader's choice."""

    def inspect(self, path: Path, *, fields: Mapping[str, str] | None = None) -> Inspection:
        """What is there and what is missing, with the names that `fields` says."""


ABOVE = 6
"""Folders above data that no reader opens, which are asked for the whole that these may be a part of."""
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
    given = found.read(Path(path), subject=subject, sessions=tuple(sessions), betas=betas, fields=dict(fields or {}))
    return as_opened(given, path)


def as_opened(given: Recording, path: Path | str) -> Recording:
    """A reader's recording of `path` as `open_recording` gives it: finished, and with who simulated it."""
    recording = finished(given)
    check_names(recording)
    return replace(recording, simulated=recording.simulated or simulated_by(path))


def reader_of(path: Path, name: str = "") -> Reader:
    """The reader called `name`, else the one that recognises `path`; none is an InputError with the next step."""
    if not os.path.isdir(path):  # False, not an error, for names that the system refuses
        present(path, what="a file or a folder of data", then="check the path")
    if name:
        return CATALOGUE[name]
    for reader in CATALOGUE:
        if reader.recognises(path):
            return reader
    known = "; ".join(f"{reader.name} ({reader.title})" for reader in CATALOGUE)
    from brain.readers._parts.unknown import not_recognised

    folders = path.absolute().parents[:ABOVE]
    above = (str(folder) for folder in folders if any(reader.recognises(folder) for reader in CATALOGUE))
    raise not_recognised(path, above, known)



def parse_fields(text: str) -> dict[str, str]:
    """ "stimulus=figure,group=run" -> {"stimulus": "figure", "group": "run"}; another form is a UsageError."""
    fields: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        ours, equals, theirs = (piece.strip() for piece in part.partition("="))
        if not (ours and equals and theirs):
            then = "write them as stimulus=figure,group=run"
            raise UsageError(expected("--fields", "OURS=THEIRS,OURS=THEIRS", repr(part), then))
        if ours in fields:
            found = f"two, {fields[ours]!r} and {theirs!r}"
            raise UsageError(expected(f"--fields {ours}", "one name", found, "keep the one you mean"))
        fields[ours] = theirs
    return fields
