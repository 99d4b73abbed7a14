"""The splits of the own-data format: those of the file, those of its groups, and those made by rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.files.tables import in_part
from brain.readers._own.fields import ArrayFile
from brain.readers._own.values import names_of
from brain.readers._parts.media import by_ending, examples
from brain.splits.leave_out import leave_out
from brain.splits.tenth_by_hash import tenth_by_hash
from brain.types import LEAVE_OUT, Split

VALIDATION = ("val", "valid", "validation", "dev")
"""What others call the part of a split by which a training is stopped; here folds of the training stimuli do that."""
LEAVE_OUT_UP_TO = 200
"""So many stimuli or fewer are also offered to be left out one by one."""
TENTH_FROM = 50
"""From so many stimuli a tenth is a test set."""


def with_families(
    stored: tuple[Split, ...], stimulus: NDArray[np.str_], group: NDArray[np.str_] | None, *, sound: bool
) -> tuple[tuple[Split, ...], dict[str, str]]:
    """The `stored` splits; one "leave-out-<group>" a group; and, where there are neither, splits made by rule.

    With them name -> why, the groups that have none. `stimulus` and `group` (trial,) of the trials that are read.
    """
    ids = sorted(set(stimulus.tolist()))
    if group is not None:
        groups: dict[str, set[str]] = {}
        for one, name in zip(group.tolist(), stimulus.tolist(), strict=True):
            groups.setdefault(one, set()).add(name)
        family, left_out = leave_out(dict(sorted(groups.items())), sound=sound)
        return (*stored, *family), left_out
    if stored or len(ids) < 2:
        return stored, {}
    tenth = (tenth_by_hash(ids, sound=sound),) if len(ids) >= TENTH_FROM else ()
    family, left_out = leave_out({name: [name] for name in ids} if len(ids) <= LEAVE_OUT_UP_TO else {}, sound=sound)
    return (*tenth, *family), left_out


def stored_splits(source: ArrayFile, read: Sequence[str], shown: frozenset[str]) -> tuple[Split, ...]:
    """The splits of the file, whole; stimuli that are `read` and in no half are noted.

    Ids that were never `shown` are refused, and so is a name that the splits of groups have.
    """
    return tuple(
        stored_split(source, name, lists, read=read, shown=shown) for name, lists in sorted(halves_of(source).items())
    )


def halves_of(source: ArrayFile) -> dict[str, dict[str, tuple[str, ...]]]:
    """name of a stored split -> "train" and "test" -> ids."""
    halves: dict[str, dict[str, tuple[str, ...]]] = {}
    for key, values in source.group("split").items() if "split" in source else ():
        name, _, half = key.rpartition("/")
        if name and half in VALIDATION:
            source.notes.append(f"split {name}: {half} is not used, its stimuli neither train nor test")
            continue
        if half not in ("train", "test") or not name:
            came = f"split/{key}"
            raise InputError(expected(source.path, "split/<name>/train and split/<name>/test", came, "rename it"))
        halves.setdefault(name, {})[half] = tuple(dict.fromkeys(names_of(source, f"split/{key}", values).tolist()))
    return halves


def stored_split(
    source: ArrayFile, name: str, lists: Mapping[str, tuple[str, ...]], *, read: Sequence[str], shown: frozenset[str]
) -> Split:
    """One split of the file; ids that were never `shown`, or a half without any, are an InputError."""
    where = f"{source.path}, split/{name}"
    if name.startswith(f"{LEAVE_OUT}-") and "group" in source:
        found = f"one that begins with {LEAVE_OUT!r}, as those of the field `group` do"
        raise InputError(expected(where, "a name of its own", found, "rename it, or take `group` out"))
    listed = [one for part in ("train", "test") for one in lists.get(part, ())]
    strange = in_part(listed, shown)
    if strange:
        seen = examples(sorted(shown))
        came = f"{len(strange)} of {len(listed)} that were not: {examples(strange)} (shown: {seen})"
        ending = by_ending(strange, shown)
        came += f"; they differ by {ending!r} alone" if ending else ""
        then = "write them as in stimulus, or take them out"
        raise InputError(expected(where, "ids that were shown", came, then))
    train, test = (lists.get(part, ()) for part in ("train", "test"))
    if not train or not test:
        raise InputError(expected(where, "train and test ids", f"{len(train)} and {len(test)}", "add them"))
    spare = len(in_part(read, listed))
    if spare:
        source.notes.append(f"split {name}: {spare} of {len(read)} stimuli are in neither train nor test")
    return Split(name=name, train=train, test=test)
