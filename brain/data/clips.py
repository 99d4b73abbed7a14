"""Which stimuli stay together: windows of one sound overlap, so they never straddle a split.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError
from brain.types import Split

SLIDE = "_slide"
"""What stands between a clip's name and the number of its window, as Park et al. (2025) name theirs."""


def clip_of(stimulus: str) -> str:
    """The clip that a window is of: "dog3_slide1" -> "dog3"; any other stimulus is its own."""
    return re.sub(rf"{SLIDE}\d+$", "", stimulus)


def groups_of(ids: Iterable[str], *, sound: bool = True) -> NDArray[np.str_]:
    """(stimulus,) the group of each, of which no part may be trained on while another is tested: the clip of a window.

    Whole sounds are groups of their own, and so are pictures (not `sound`), whatever they are called.
    """
    return np.array([clip_of(str(name)) if sound else str(name) for name in ids], np.str_)


def check_groups(split: Split, *, sound: bool = True) -> None:
    """Refuse (InputError) a split that trains on one window of a clip and tests another."""
    train, test = (set(groups_of(half, sound=sound).tolist()) for half in (split.train, split.test))
    both = sorted(train & test)
    if both:
        raise InputError(
            f"split {split.name!r}: {len(both)} clips have windows in training and test alike (first: {both[0]}), "
            "which overlap; keep all windows of a clip on one side"
        )


def middle_windows(ids: Iterable[str]) -> tuple[str, ...]:
    """One window a clip, the middle one by number, so that no two overlap; sorted. A stimulus without windows stays."""
    clips: dict[str, list[str]] = {}
    for name in sorted(set(ids), key=lambda name: (clip_of(name), _number(name))):
        clips.setdefault(clip_of(name), []).append(name)
    return tuple(sorted(windows[len(windows) // 2] for windows in clips.values()))


def _number(stimulus: str) -> int:
    tail = stimulus.removeprefix(f"{clip_of(stimulus)}{SLIDE}")
    return int(tail) if tail != stimulus else 0
