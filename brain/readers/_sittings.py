"""From rows to a recording: sessions that can be standardised, the ones asked for, usable voxels, splits over clips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from brain.catalogue import unknown
from brain.errors import InputError, UsageError, expected
from brain.splits import check_groups, groups_of, middle_windows, tenth_by_hash
from brain.tables import in_part
from brain.types import Int, Responses, Split
from brain.validity import Validity, without_dropped


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


def clip_splits(stimulus: Iterable[str], sides: Mapping[str, str], *, what: str = "sound") -> tuple[Split, ...]:
    """The splits over clips. `sides`: clip -> "train" or "test"; empty makes a tenth of the clips the test by digest.

    test-clips    training: every window of the training clips; test: the middle window of each test clip, so that
                  test stimuli are independent; the other windows of test clips are in neither. Of pictures
                  (`what` "image") it is called test-images
    test-windows  the same training; test: every window of the test clips (Park et al.'s candidates), where that differs

    Sides for some clips and not for all are an InputError: the others would be in neither without a word.
    """
    ids, sound = sorted(set(stimulus)), what == "sound"
    clips = dict(zip(ids, groups_of(ids, sound=sound).tolist(), strict=True))
    if len(set(clips.values())) < 2:
        return ()
    lost = in_part(list(clips.values()), sides) if sides else ()
    if lost:
        total = len(set(clips.values()))
        then = "say it for all of them, or for none"
        found = f"none for {len(lost)} of {total} (first: {lost[0]})"
        raise InputError(expected(f"the sides of the {what}s", "train or test for each of them", found, then))
    if sides:
        train = [name for name in ids if sides.get(clips[name]) == "train"]
        test = [name for name in ids if sides.get(clips[name]) == "test"]
    else:
        tenth = tenth_by_hash(ids, sound=sound)
        train, test = list(tenth.train), list(tenth.test)
    if not train or not test:
        return ()
    tests = middle_windows(test) if sound else tuple(test)
    splits = [Split(name="test-clips" if sound else "test-images", train=tuple(train), test=tests)]
    if len(splits[0].test) < len(test):
        splits.append(Split(name="test-windows", train=tuple(train), test=tuple(test)))
    for split in splits:
        check_groups(split, sound=sound)
    return tuple(splits)


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
