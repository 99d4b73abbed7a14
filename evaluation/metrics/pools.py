"""Pools drawn at random, taken exactly: how likely the right answer stands among the best of a pool that holds it.

Published scores draw pools (30 draws of 300 in MindEye, 1000 draws of 50 classes in MinD-Vis); here the mean over all
possible pools is computed, so that no draw decides a value.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[np.float64]
Int = NDArray[np.int64]


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
