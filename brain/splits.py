"""Splits made by rule where the data bring none. A split is over stimuli, never over trials.

Windows of one sound overlap, so they never straddle a split: `groups_of` says which stimuli stay together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError
from brain.types import LEAVE_OUT, Int, Split

CLUSTER = "cluster"
"""What the names of splits begin with that hold out one cluster of like stimuli each."""
EVERYTHING = (
    "the group shows every stimulus, so that leaving it out leaves nothing to train on; group by what was shown, "
    "a split is over stimuli"
)
"""Why a group has no split."""
STARTS = 10
"""Beginnings of k-means, of which the tightest result is kept, and ROUNDS of each at most."""
ROUNDS = 300

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


def tenth_by_hash(ids: Iterable[str], *, sound: bool = True) -> Split:
    """About a tenth of the stimuli as the test set, by the digest of their ids: the same on every machine, for ever.

    Of windows it is a tenth of the clips, by the digest of the clip.
    """
    known = sorted(set(ids))
    clips = groups_of(known, sound=sound).tolist()
    ranked = sorted(set(clips), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    tests = set(ranked[: max(1, len(ranked) // 10)])
    test = {name for name, clip in zip(known, clips, strict=True) if clip in tests}
    return Split(name="tenth-by-hash", train=tuple(set(known) - test), test=tuple(test))


def cluster_splits(
    ids: Sequence[str], features: NDArray[Any], *, k: int, seed: int, sound: bool = True
) -> tuple[Split, ...]:
    """k splits "cluster-<k>-0", ...: one cluster of like stimuli is the test, the others the training.

    The windows of a clip go together, by the mean of their features.

    `features`: (stimulus, feature) finite numbers of `ids`, whose order does not matter. Clusters are k-means' (Lloyd
    1982, begun by k-means++ of Arthur and Vassilvitskii 2007, best of 10), the largest first. None is empty: k below 2
    or more than there are different stimuli is an InputError.
    """
    values = np.asarray(features, np.float64)
    fits = values.ndim == 2 and len(values) == len(ids) == len(set(ids)) > 0
    if not fits or not np.isfinite(values).all():
        raise InputError(
            f"clusters: expected finite (stimulus, feature) of {len(ids)} unique ids, found {values.shape}"
        )
    order = np.argsort(np.array(ids, np.str_))
    names = [ids[place] for place in order]
    clips, whose = np.unique(groups_of(names, sound=sound), return_inverse=True)
    values = np.stack([values[order][whose == clip].mean(axis=0) for clip in range(len(clips))])
    different = len(np.unique(values, axis=0))
    if not 2 <= k <= different:
        raise InputError(
            f"clusters: expected 2 to {different} clusters of {len(ids)} stimuli ({different} different), found {k}; "
            "ask for another number"
        )
    generator = np.random.default_rng(seed)
    cluster = min((_k_means(values, k, generator) for _ in range(STARTS)), key=lambda found: found[0])[1][whose]
    members = [[name for name, own in zip(names, cluster.tolist(), strict=True) if own == one] for one in range(k)]
    members.sort(key=lambda group: (-len(group), group))
    return tuple(
        Split(name=f"{CLUSTER}-{k}-{number}", train=tuple(set(names) - set(group)), test=tuple(group))
        for number, group in enumerate(members)
    )


def _k_means(values: NDArray[np.float64], k: int, generator: np.random.Generator) -> tuple[float, Int]:
    """The sum of squared distances to the own centre, and (stimulus,) the cluster of each."""
    centres = _spread(values, k, generator)
    cluster = np.full(len(values), -1, np.int64)
    for _ in range(ROUNDS):
        away = _squared(values, centres)
        nearest = away.argmin(axis=1)
        for empty in sorted(set(range(k)) - set(nearest.tolist())):
            # an abandoned centre takes the stimulus that lies worst, out of a cluster that has others
            shared = np.bincount(nearest, minlength=k)[nearest] > 1
            nearest[np.argmax(np.where(shared, away[np.arange(len(away)), nearest], -1))] = empty
        if np.array_equal(nearest, cluster):
            break
        cluster = nearest
        centres = np.stack([values[cluster == one].mean(axis=0) for one in range(k)])
    return float(np.square(values - centres[cluster]).sum()), cluster


def _spread(values: NDArray[np.float64], k: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """k-means++: each further centre is a stimulus drawn by its squared distance to the nearest centre so far."""
    chosen = [int(generator.integers(len(values)))]
    away = np.full(len(values), np.inf)
    for _ in range(k - 1):
        away = np.minimum(away, np.square(values - values[chosen[-1]]).sum(axis=1))
        chosen.append(int(generator.choice(len(values), p=away / away.sum())))
    return values[chosen]


def _squared(values: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """(stimulus, centre) squared distances, by a product of matrices so that no (stimulus, centre, feature) is made."""
    norms = np.square(values).sum(axis=1)[:, None] + np.square(centres).sum(axis=1)
    return np.asarray(np.clip(norms - 2 * values @ centres.T, 0, None), np.float64)
