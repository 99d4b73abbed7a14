"""From rows to a recording: sessions that can be standardised, the ones asked for, usable voxels, splits over clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from brain.catalogue import unknown
from brain.data.validity import Validity, without_dropped
from brain.errors import InputError, UsageError, expected
from brain.types import Int, Responses


def read_settings(fields: Mapping[str, str], known: Mapping[str, str]) -> None:
    """Refuse (UsageError) fields that the reader does not know; `known`: field -> what it says."""
    for name in fields:
        if name not in known:
            raise UsageError(unknown("field", name, tuple(known)))


def is_yes(fields: Mapping[str, str], name: str) -> bool:
    """Does a field say yes? Absent and "no" do not; another text is a UsageError."""
    said = fields.get(name, "no")
    if said not in ("yes", "no"):
        raise UsageError(f"--fields {name}={said}: expected yes or no, found {said!r}; write {name}=yes")
    return said == "yes"


def seconds_of(fields: Mapping[str, str], name: str, default: float) -> float:
    """A field in seconds, 0 or more; another text is a UsageError."""
    try:
        seconds = float(fields.get(name, default))
    except ValueError:
        seconds = float("nan")
    if not (np.isfinite(seconds) and 0 <= seconds <= 3600):
        raise UsageError(f"--fields {name}={fields[name]}: expected seconds from 0 on, such as {name}=4.5")
    return seconds


def chosen(path: Path, responses: Responses, sessions: Sequence[int]) -> tuple[Responses, Int, tuple[str, ...]]:
    """The trials of these sessions (none named: all) and the voxels that are finite and move.

    Trials that are finite in no voxel are left out. Returns the responses, (voxel,) int64 which of the voxels these
    are, and sentences on what was left out.
    """
    responses, _, dropped = without_dropped(responses, path)
    there = np.unique(responses.session).tolist()
    missing = sorted(set(sessions) - set(there))
    if missing:
        raise InputError(expected(path, f"session {missing[0]}", f"data with sessions {there}", "name others"))
    # which voxels are usable is judged by all sessions, so that a session alone has the voxels it has among the others
    validity = Validity(len(responses.space))
    for session in there:
        validity.look(responses.values[responses.session == session], session)
    if not validity.usable.any():
        said = "; ".join(validity.sentences())
        raise InputError(f"{path}: {said}; no voxel is left to decode, so check how the data were made")
    rows = np.isin(responses.session, sessions) if sessions else np.ones(len(responses.session), np.bool_)
    kept = responses if rows.all() else responses.trials(rows)
    columns = np.flatnonzero(validity.usable)
    kept = kept.voxels(columns) if len(columns) < len(kept.space) else kept
    return kept, columns, (*dropped, *validity.sentences())


def choose_subject(path: Path, known: Sequence[str], subject: str, *, what: str) -> str:
    """The subject asked for, or the only one; none at all is an InputError, an unknown or unnamed one a UsageError."""
    if not known:
        raise InputError(expected(path, what, "none", "give the folder that holds them"))
    if subject in known:
        return subject
    if subject or len(known) > 1:
        asked = f"no subject is called {subject!r}" if subject else "the data hold several subjects"
        raise UsageError(f"{path}: {asked}; choose one of {', '.join(known)}")
    return known[0]
