"""Similarity of features, and what identification makes of it: correlations, ranks, pools taken exactly.

    similar = alike(samples, references)          (sample, reference) Pearson correlation
    two_way_marks(similar, own)                   two-way identification; top1_marks of all references or of pools

Published scores draw pools (30 draws of 300 in MindEye, 1000 draws of 50 classes in MinD-Vis); here the mean over all
possible pools is computed, so that no draw decides a value.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.data.correlation import pairwise
from evaluation.score import Int, Marks

Wide = NDArray[np.float64]


def ranks(values: NDArray[np.floating]) -> tuple[Int, Int, Int]:
    """(row, column) int64 each: how many of the row's other columns are below, equal to, and above this one."""
    order = np.sort(values, axis=1)
    below, upto = np.empty(values.shape, np.int64), np.empty(values.shape, np.int64)
    for row in range(len(values)):
        below[row] = np.searchsorted(order[row], values[row], side="left")
        upto[row] = np.searchsorted(order[row], values[row], side="right")
    return below, upto - below - 1, values.shape[1] - upto


def success(better: Int, tied: Int, *, others: int, drawn: int, top: int) -> Wide:
    """The chance that the right answer is within the `top` best of itself and `drawn` rivals out of `others`.

    better, tied  any shape, int: how many of the `others` rivals beat it and how many equal it; equal ones are ordered
                  by a fair coin, so its place is uniform among them.
    The number of better rivals in the pool is hypergeometric.
    """
    summed = _summed(others, drawn, top)
    likely: Wide = (summed[better + tied + 1] - summed[better]) / (tied + 1)
    return likely


@lru_cache(maxsize=64)
def _summed(others: int, drawn: int, top: int) -> Wide:
    """(others + 2,) float64: running sums, from 0, of the success at 0, 1, ..., others better rivals."""
    pools = comb(others, drawn)
    at = [
        sum(comb(better, inside) * comb(others - better, drawn - inside) for inside in range(min(top, drawn + 1)))
        / pools
        for better in range(others + 1)
    ]
    return np.concatenate([[0.0], np.cumsum(at)])


# Correlations closer than float32 carries them are ties: a batch must not decide who wins.
DECIMALS = 5
CARRIED = 7
"""Decimals of a cosine that float32 carries."""
ROWS = 256
HALF = 0.5


def alike(samples: NDArray[np.generic], references: NDArray[np.generic]) -> Wide:
    """(sample, reference) Pearson correlation of features (sample, feature) and (reference, feature)."""
    similar: Wide = pairwise(samples, references).round(DECIMALS)
    return similar


def cosines(left: NDArray[Any], right: NDArray[Any]) -> Wide:
    """(l, r) cosine of every row of `left` (l, value) with every row of `right` (r, value), 0 for a row of zeros.

    Cosines that are closer than float32 carries them are ties.
    """
    similar: Wide = pairwise(left, right, centred=False).round(CARRIED)
    return similar


def shares_beaten(similar: Wide, *, tie: float = HALF) -> Wide:
    """(row, column): the share of the row's other columns that are less similar than this one; a tie counts `tie`.

    NaN where a row has no other column.
    """
    below, tied, _ = ranks(similar)
    others = similar.shape[1] - 1
    return (below + tie * tied) / others if others else np.full(similar.shape, np.nan)


def two_way_marks(similar: Wide, own: Int, *, tie: float = HALF) -> Marks:
    """Two-way identification among other references from a (sample, reference) similarity."""
    right = similar[np.arange(len(own)), own][:, None]
    won = (right > similar) + tie * (right == similar)
    won[np.arange(len(own)), own] = 0
    met = len(own) - np.bincount(own, minlength=similar.shape[1])
    distractor = np.divide(won.sum(axis=0), met, out=np.full(similar.shape[1], np.nan), where=met > 0)
    return Marks(table=shares_beaten(similar, tie=tie).astype(np.float32), distractor=distractor.astype(np.float32))


def told_apart(features: NDArray[np.generic]) -> float:
    """Two-way identification of references by themselves, 0..1, of (reference, feature): 1 where no two are the same.

    NaN of one reference. Computed in blocks of rows, so that ten thousand references fit.
    """
    count = len(features)
    if count < 2:
        return float("nan")
    found = 0.0
    for first in range(0, count, ROWS):
        rows = np.arange(first, min(first + ROWS, count))
        similar = alike(features[rows], features)
        found += float(shares_beaten(similar)[np.arange(len(rows)), rows].sum())
    return found / count


def top1_marks(similar: Wide, *, pool: int | None = None) -> Marks:
    """Top-1 identification from a (sample, reference) similarity, in pools of that many references, None for all."""
    _, tied, better = ranks(similar)
    others = similar.shape[1] - 1
    drawn = others if pool is None else pool - 1
    return Marks(table=success(better, tied, others=others, drawn=drawn, top=1).astype(np.float32))
