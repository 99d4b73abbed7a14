"""Leave out one group at a time: a run or session, a stimulus, whatever the data group trials by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from brain.data.clips import groups_of
from brain.splits import Family
from brain.types import LEAVE_OUT, Split

EVERYTHING = (
    "the group shows every stimulus, so that leaving it out leaves nothing to train on; group by what was shown, "
    "a split is over stimuli"
)
"""Why a group has no split."""


def leave_out(
    groups: Mapping[str, Iterable[str]], *, sound: bool = True
) -> tuple[tuple[Split, ...], dict[str, str]]:
    """One split a group, "leave-out-<group>": its stimuli are the test, all others the training.

    `groups`: group -> the stimuli shown in it. A stimulus of several groups is tested in each and trains in none of
    them; nor does another window of a clip that is tested. A group that shows every stimulus has no split: those come
    as name -> why, for `Recording.left_out`. `Recording.folds("leave-out")` gives all the splits.
    """
    members = {group: set(stimuli) for group, stimuli in groups.items()}
    everything = set().union(*members.values()) if members else set()
    splits: list[Split] = []
    left_out: dict[str, str] = {}
    for group, test in members.items():
        name = f"{LEAVE_OUT}-{group}"
        clips = set(groups_of(test, sound=sound).tolist())
        others = sorted(everything - test)
        theirs = groups_of(others, sound=sound).tolist()
        train = {name for name, clip in zip(others, theirs, strict=True) if clip not in clips}
        if train:
            splits.append(Split(name=name, train=tuple(train), test=tuple(test)))
        else:
            left_out[name] = EVERYTHING
    return tuple(splits), left_out


ENTRIES = (
    Family(
        name=LEAVE_OUT,
        title="leave one out",
        description="one split a group of trials or a stimulus: it is the test, all others train",
        citation="Stone 1974",
        pattern=rf"{LEAVE_OUT}(-.+)?",
    ),
)
