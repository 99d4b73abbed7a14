"""Hold out one cluster of like stimuli at a time, a semantic hold-out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.data.clips import groups_of
from brain.errors import InputError
from brain.splits import Family
from brain.types import Int, Split

CLUSTER = "cluster"
"""What the names of splits begin with that hold out one cluster of like stimuli each."""
NAMES = rf"{CLUSTER}-(\d{{1,6}})(-\d{{1,6}})?"
"""The names of such splits, and of all of them: "cluster-5-2", "cluster-5"."""
STARTS = 10
"""Beginnings of k-means, of which the tightest result is kept, and ROUNDS of each at most."""
ROUNDS = 300


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


def count_in(split: str) -> int:
    """How many clusters a name such as "cluster-5" or "cluster-5-2" asks for; 0 where it is of another family."""
    found = re.fullmatch(NAMES, split)
    return int(found[1]) if found else 0


ENTRIES = (
    Family(
        name=CLUSTER,
        title="leave one cluster out",
        description="stimuli are clustered by their true conditions: one cluster is the test, the others train",
        citation="Lloyd 1982; Arthur and Vassilvitskii 2007",
        pattern=NAMES,
    ),
)
