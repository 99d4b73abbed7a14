"""Calibration: whether a posterior is right as often as it says, by reliability diagrams of equally filled bins.

    found = calibrate("kind", confidence, right, seed=0)
    found.error, found.by_chance          # how far confidence and the share right lie apart, and by chance alone

Confidence is the share of the most likely label, right is whether that is the true one. The calibration error is the
mean over bins, weighted by how many stimuli they hold, of |mean confidence - share right| (Guo et al. 2017, ICML); bins
of equal counts are those of Nixon et al. 2019 (CVPR workshops). Few stimuli a bin lie off the diagonal even where every
confidence is true: what that alone gives is the mean error of outcomes that are drawn from the confidences (consistency
resampling, Broecker & Smith 2007, Weather and Forecasting 22:651).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[np.float64]
Bool = NDArray[np.bool_]
BINS = ((50, 10), (20, 5))
"""(stimuli, bins): from so many stimuli on so many bins; of fewer there are none."""
DRAWS = 500
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Bin:
    """One bin of a reliability diagram.

    n           how many stimuli it holds
    confidence  their mean confidence; right: the share of them that is right, both 0..1
    low, high   where 95 % of the shares right lie that are drawn from the confidences
    """

    n: int
    confidence: float
    right: float
    low: float
    high: float

    def facts(self) -> dict[str, Any]:
        """The bin as report.json has it."""
        return {"n": self.n, "confidence": self.confidence, "right": self.right, "low": self.low, "high": self.high}


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How well a posterior knows how often it is right about a group of labels.

    n           how many stimuli have a true label and a most likely one
    accuracy    the share of them whose most likely label is the true one
    confidence  the mean share of the most likely label
    error       the calibration error, 0..1; None where there are too few stimuli for bins
    by_chance   the mean calibration error of outcomes drawn from the confidences; None where `error` is
    bins        in the order of their confidence, () where there are too few stimuli
    """

    group: str
    n: int
    accuracy: float
    confidence: float
    error: float | None = None
    by_chance: float | None = None
    bins: tuple[Bin, ...] = ()

    def facts(self) -> dict[str, Any]:
        """The group's entry in report.json."""
        return {
            "group": self.group, "n": self.n, "accuracy": self.accuracy, "confidence": self.confidence,
            "error": self.error, "by_chance": self.by_chance, "bins": [one.facts() for one in self.bins],
        }  # fmt: skip


def calibrate(group: str, confidence: Wide, right: Bool, *, seed: int) -> Calibration:
    """The calibration of one group of labels, of one stimulus or more.

    confidence  (stimulus,) float64 of 0..1; right (stimulus,) bool
    seed        of the outcomes that are drawn by chance
    """
    order = np.argsort(confidence, kind="stable")
    sure, true = np.asarray(confidence, np.float64)[order], np.asarray(right, np.float64)[order]
    n = len(sure)
    plain = Calibration(group=group, n=n, accuracy=float(true.mean()), confidence=float(sure.mean()))
    count = next((bins for least, bins in BINS if n >= least), 0)
    if not count:
        return plain
    edges = [n * i // count for i in range(count)]  # sizes differ by one at the most
    rng = np.random.default_rng(seed)
    chances = np.stack([_shares((rng.random(n) < sure).astype(np.float64), edges) for _ in range(DRAWS)])
    means, shares = _shares(sure, edges), _shares(true, edges)
    sizes = np.diff([*edges, n])
    weights = sizes / n
    low, high = np.quantile(chances, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    bins = tuple(
        Bin(n=int(sizes[i]), confidence=float(means[i]), right=float(shares[i]), low=float(low[i]), high=float(high[i]))
        for i in range(count)
    )
    return replace(
        plain, error=float(np.abs(means - shares) @ weights),
        by_chance=float((np.abs(means - chances) @ weights).mean()), bins=bins,
    )  # fmt: skip


def _shares(values: Wide, edges: Sequence[int]) -> Wide:
    """Means of (stimulus,) within bins, (bin,)."""
    means: Wide = np.add.reduceat(values, edges) / np.diff([*edges, len(values)])
    return means
