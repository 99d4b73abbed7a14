"""The difference of two scores, paired by stimulus: its mean with the 95 % t interval.

    found = paired(score, first)        None where fewer than two stimuli have a value in both
    found.mean, found.low, found.high, found.apart
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from evaluation.score import Score

FEWEST = 5
"""Stimuli below which nothing is told apart."""
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The mean of one score minus another over the `n` stimuli that both have; half: of the 95 % t interval's width."""

    mean: float
    half: float
    n: int

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.mean + self.half

    @property
    def apart(self) -> bool:
        """Whether the interval lies apart from 0, of `FEWEST` stimuli or more."""
        return self.n >= FEWEST and abs(self.mean) > self.half


def paired(one: Score, other: Score, *, among: Collection[str] | None = None) -> Difference | None:
    """`one` minus `other`, over stimuli that have a value in both; None where there are fewer than two.

    among  only these stimuli: two runs may have one id for two pictures
    """
    from scipy.stats import t

    theirs = dict(zip(other.ids, other.values.tolist(), strict=True))
    kept = theirs.keys() if among is None else theirs.keys() & set(among)
    apart = np.array([value - theirs[name] for name, value in zip(one.ids, one.values.tolist(), strict=True)
                      if name in kept])  # fmt: skip
    apart = apart[np.isfinite(apart)]
    n = len(apart)
    if n < 2:
        return None
    error = float(apart.std(ddof=1)) / np.sqrt(n)
    return Difference(mean=float(apart.mean()), half=float(t.ppf((1 + LEVEL) / 2, n - 1) * error), n=n)
