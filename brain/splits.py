"""Splits made by rule where the data bring none. A split is over stimuli, never over trials."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from brain.errors import InputError
from brain.types import LEAVE_OUT, Split


def leave_out(groups: Mapping[str, Iterable[str]]) -> tuple[Split, ...]:
    """One split a group, "leave-out-<group>": its stimuli are the test, all others the training.

    `groups`: group -> the stimuli shown in it. A stimulus of several groups is tested in each and trains in none of
    them. A group that shows every stimulus is an InputError. `Recording.folds("leave-out")` gives all the splits.
    """
    members = {group: set(stimuli) for group, stimuli in groups.items()}
    everything = set().union(*members.values()) if members else set()
    splits = []
    for group, test in members.items():
        if not everything - test:
            raise InputError(
                f"group {group!r} shows every stimulus, so that leaving it out leaves nothing to train on; "
                "group by what was shown, a split is over stimuli"
            )
        splits.append(Split(name=f"{LEAVE_OUT}-{group}", train=tuple(everything - test), test=tuple(test)))
    return tuple(splits)


def tenth_by_hash(ids: Iterable[str]) -> Split:
    """About a tenth of the stimuli as the test set, by the digest of their ids: the same on every machine, for ever."""
    ranked = sorted(set(ids), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    tests = max(1, len(ranked) // 10)
    return Split(name="tenth-by-hash", train=tuple(ranked[tests:]), test=tuple(ranked[:tests]))
