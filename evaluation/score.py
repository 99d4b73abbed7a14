"""Scores: the one place where means are taken, over seeds within a stimulus first and then over stimuli.

The unit of inference is the stimulus, within one subject. An interval is a BCa bootstrap over stimuli (Efron 1987) in
which a stimulus' seeds stay together: the spread of stimulus means already holds the seeds' own spread, and drawing the
seeds again would count it twice (Davison & Hinkley 1997, 3.8). For two-way identification a stimulus enters twice, as
target and as wrong answer of others, since both would be other stimuli in another experiment.

p = (1 + #) / (1 + N) counts the permutations of the assignment stimulus <-> sample that score at least as well; a
permutation stays inside the blocks of the references (sessions of the recording), for drift makes the stimuli of one
session alike. In folds it is no test, and intervals are too narrow: see `statistics.folds`. q is p after Benjamini &
Hochberg (1995) over all metrics and regions of a row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.machine.memory import contiguous

Float = NDArray[np.float32]
Int = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What a metric says of one set of samples.

    table       (sample, reference) float32: the score of the sample were that reference its own; NaN where not asked
    distractor  (reference,) float32 or None: how others fare against this stimulus as the wrong answer; it moves the
                interval, since other stimuli would have meant other wrong answers too
    """

    table: Float
    distractor: Float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", contiguous(self.table))


def own_values(marks: Marks, own: Int) -> Float:
    """(sample,) the value of each sample against its own reference."""
    return marks.table[np.arange(len(own)), own]


def smallest(groups: Iterable[int], *, draws: int) -> float:
    """The smallest p of permutations inside groups of these sizes: one of all assignments there are, or of `draws`."""
    ways = math.fsum(math.lgamma(1 + size) for size in groups)
    return max(1 / (1 + draws), math.exp(-ways))


def widened(value: float, low: float, high: float, *, by: float, bounds: tuple[float, float]) -> tuple[float, float]:
    """The interval, its halves `by` times as wide, inside the metric's bounds."""
    return max(bounds[0], value - by * (value - low)), min(bounds[1], value + by * (high - value))


Wide = NDArray[np.float64]
LEVEL = 0.95
UNSHARED = ("repeat", "round_trip", "category_oracle", "retrieval", "exemplar")
"""Rows that have no share of the ceiling: other references, no condition of the brain's, or no generator."""
# Marks are float32, and sums taken in another order differ in their last bits: a tie must count as a tie.
SLACK = 1e-6
HAIR = 0.01
"""How near the end of 0..1 all values are where an interval is what their number allows."""
_CHUNK = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Score:
    """One row of the ladder under one metric.

    values     (stimulus,) float64, the mean over the stimulus' samples; NaN where there is nothing to score
    ids        (stimulus,) the stimuli, in the order of `values`
    chance     the value of knowing nothing: declared, or measured on mismatched pairs
    null       what effects are measured from: the shuffled row's value where there is one, else chance
    ceiling    the oracle row's value, None where there is none
    above_null  whether the oracle row clearly exceeds the null: the interval of their difference lies above 0
    low, high  the 95 % interval of `value`
    p          one-sided, None where it means nothing (no two stimuli in a block)
    q          p corrected for the false discovery rate over the row's metrics and regions, None where p is
    lower      whether less is better
    pool       references a sample is compared with; samples, withheld: how many were scored and kept back
    seed_sd    standard deviation of the row's mean between sample indices, None with fewer than two
    """

    row: str
    metric: str
    judge: str
    ids: tuple[str, ...]
    values: Wide
    chance: float
    null: float
    ceiling: float | None
    low: float
    high: float
    p: float | None
    pool: int
    samples: int
    withheld: int
    seed_sd: float | None
    q: float | None = None
    lower: bool = False
    above_null: bool = False

    @cached_property
    def value(self) -> float:
        """The mean over stimuli."""
        return float(np.nanmean(self.values))

    @property
    def n(self) -> int:
        """How many stimuli were scored."""
        return int(np.isfinite(self.values).sum())

    @property
    def effect(self) -> float | None:
        """(value - null) / (ceiling - null): 0 is knowing nothing, 1 what this generator draws from the true condition.

        None where there is no such ceiling, and of rows that are none of the generator's work on a decoded condition.
        """
        if self.ceiling is None or not self.above_null or self.row in UNSHARED:
            return None
        return (self.value - self.null) / (self.ceiling - self.null)

    def facts(self) -> dict[str, Any]:
        """The row of report.json; numbers that do not exist are None."""
        return {
            "row": self.row, "metric": self.metric, "judge": self.judge, "value": self.value, "low": self.low,
            "high": self.high, "chance": self.chance, "n": self.n, "pool": self.pool, "p": self.p, "q": self.q,
            "null": self.null, "ceiling": self.ceiling, "ceiling_above_null": self.above_null, "effect": self.effect,
            "lower_is_better": self.lower, "samples": self.samples, "withheld": self.withheld, "seed_sd": self.seed_sd,
        }  # fmt: skip


class Tally:
    """Gathers the marks of one row and metric, one call a sample index, and gives their means within the stimulus.

    `references` is the number r of references; everything is (reference, reference), sample row = its own reference.
    """

    def __init__(self, references: int) -> None:
        self._sum = np.zeros((references, references))
        self._count = np.zeros((references, references), np.int64)
        self._distractor = np.zeros(references)
        self._met = np.zeros(references, np.int64)
        self.means: list[float] = []
        self.samples = 0

    def add(self, marks: Marks, own: Int) -> None:
        """Marks of samples whose own references are the rows `own` (sample,)."""
        known = np.isfinite(marks.table)
        self._sum[own] += np.where(known, marks.table, 0)
        self._count[own] += known
        scored = own_values(marks, own)
        self.samples += int(np.isfinite(scored).sum())
        if np.isfinite(scored).any():
            self.means.append(float(np.nanmean(scored)))
        if marks.distractor is not None:
            faced = np.isfinite(marks.distractor)
            self._distractor += np.where(faced, marks.distractor, 0)
            self._met += faced

    @property
    def table(self) -> Wide:
        """(stimulus, reference) mean over the stimulus' samples, NaN where none."""
        return _ratio(self._sum, self._count)

    @property
    def distractor(self) -> Wide:
        """(reference,) mean over sample indices, NaN where the metric has none."""
        return _ratio(self._distractor, self._met)

    @property
    def units(self) -> Wide:
        """(stimulus,) what an interval of the row's mean is made of, of the stimuli that are scored."""
        values = np.diagonal(self.table)
        scored = np.flatnonzero(np.isfinite(values))
        return units_of(values[scored].copy(), self.distractor[scored])

    @property
    def seed_sd(self) -> float | None:
        """Standard deviation (ddof 1) of the row's mean between sample indices."""
        return float(np.std(self.means, ddof=1)) if len(self.means) > 1 else None


def _ratio(total: Wide, count: Int) -> Wide:
    mean: Wide = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean


def mismatched(table: Wide) -> float:
    """The mean over pairs of a sample with another stimulus' reference: what chance is where no metric declares it.

    `table` (sample, reference), own pairs on its diagonal.
    """
    off = table[~np.eye(len(table), dtype=bool)]
    off = off[np.isfinite(off)]
    return float(off.mean()) if len(off) else float("nan")


def resamples(n: int, *, draws: int, rng: np.random.Generator) -> Wide:
    """(draw, n) float64: how often each stimulus is drawn, over n, in a bootstrap of n stimuli."""
    weights = np.empty((draws, n))
    step = max(1, _CHUNK // n)
    for start in range(0, draws, step):
        part = weights[start : start + step]
        drawn = rng.integers(n, size=part.shape) + n * np.arange(len(part))[:, None]
        part[:] = np.bincount(drawn.ravel(), minlength=part.size).reshape(part.shape) / n
    return weights


def interval(units: Wide, weights: Wide, *, level: float) -> tuple[float, float]:
    """BCa interval of the mean of `units` (n,) float64 under bootstrap `weights` (draw, n) as `resamples` draws them.

    Fewer than two units, or units all alike, give the mean twice.
    """
    from scipy.stats import norm

    mean = float(units.mean())
    spread = units - mean
    if len(units) < 2 or np.ptp(units) < SLACK:
        return mean, mean
    draws = np.sort(weights @ units)
    below = (np.searchsorted(draws, mean - SLACK) + np.searchsorted(draws, mean + SLACK)) / 2 / len(draws)
    edge = 0.5 / len(draws)
    bias = norm.ppf(np.clip(below, edge, 1 - edge))
    # The jackknife of a mean in closed form; the sign makes a long upper tail reach upwards.
    skew = float((spread**3).sum() / (6 * (spread**2).sum() ** 1.5))
    wanted = norm.ppf([(1 - level) / 2, (1 + level) / 2])
    at = norm.cdf(bias + (bias + wanted) / (1 - skew * (bias + wanted)))
    low, high = np.quantile(draws, at)
    return float(low), float(high)


def units_of(values: Wide, distractor: Wide) -> Wide:
    """(stimulus,) the stimuli's whole influence on the mean: own value, and what they do to others as wrong answers."""
    if not np.isfinite(distractor).all():
        return values
    units: Wide = values + distractor - distractor.mean()
    return units


def assignments(blocks: Int, *, draws: int, rng: np.random.Generator) -> Int:
    """(draw, n) int64: permutations of n stimuli that stay inside `blocks` (n,) int; the unit is the stimulus."""
    order = np.tile(np.arange(len(blocks)), (draws, 1))
    for block in np.unique(blocks):
        places = np.flatnonzero(blocks == block)
        order[:, places] = rng.permuted(order[:, places], axis=1)
    # laid out stimulus by stimulus, as `permutation_p` reads it
    return np.ascontiguousarray(order.T).T


def permutation_p(table: Wide, orders: Int) -> float:
    """(1 + #{permuted mean >= observed}) / (1 + N) for a (stimulus, reference) table and (draw, stimulus) orders."""
    sums = np.zeros(len(orders))
    for row, drawn in zip(table, orders.T, strict=True):
        sums += row.take(drawn)
    reached = int((sums >= np.diagonal(table).sum() - SLACK * len(table)).sum())
    return (1 + reached) / (1 + len(orders))


def bounded_interval(found: tuple[float, float], units: Wide, *, bounds: tuple[float, float]) -> tuple[float, float]:
    """The interval `found`, but where all stimuli have nearly the least or the best of 0..1, what their number allows.

    `units` (stimulus,) are their values.

    No resample of values that are all alike moves, and that is no proof: were the true share .025 ** (1 / n), all of n
    stimuli would have the best value in .025 of experiments (Clopper & Pearson 1934; it bounds any values in 0..1).
    """
    if bounds != (0.0, 1.0) or len(units) < 2:
        return found
    edge = ((1 - LEVEL) / 2) ** (1 / len(units))
    if units.min() >= 1 - HAIR:
        return min(found[0], edge), found[1]
    return (found[0], max(found[1], 1 - edge)) if units.max() <= HAIR else found


class Chances:
    """The resamples and permutations of a report, drawn once per set of scored stimuli and shared by its scores."""

    def __init__(self, *, seed: int, bootstrap: int, permutations: int) -> None:
        self.seed, self.bootstrap, self.permutations = seed, bootstrap, permutations
        self._weights: dict[int, Wide] = {}
        self._orders: dict[bytes, Int] = {}

    def interval(self, units: Wide) -> tuple[float, float]:
        """The BCa interval of the mean of `units` (n,)."""
        n = len(units)
        if n not in self._weights:
            rng = np.random.default_rng([self.seed, 1, n])
            self._weights[n] = resamples(n, draws=self.bootstrap, rng=rng)
        return interval(units, self._weights[n], level=LEVEL)

    def p(self, table: Wide, blocks: Int) -> float | None:
        """The permutation p of a table (n, n), permuted inside `blocks` (n,); None where nothing can move."""
        if len(np.unique(blocks)) == len(table) or not self.permutations:
            return None
        key = blocks.tobytes()
        if key not in self._orders:
            rng = np.random.default_rng([self.seed, 2, len(table)])
            self._orders[key] = assignments(blocks, draws=self.permutations, rng=rng)
        # the few assignments of small blocks come again and again: p is no smaller than one of them
        least = smallest(np.bincount(blocks).tolist(), draws=self.permutations)
        return max(permutation_p(table, self._orders[key]), least)


def blocks_of(names: Sequence[str]) -> Int:
    """(n,) int64: equal numbers for equal names, counted from 0."""
    return np.unique(np.array(names, np.str_), return_inverse=True)[1].astype(np.int64)


def permuted_mean(table: Wide, groups: Int, *, free: float) -> float:
    """The mean of a (stimulus, stimulus) table over all assignments that stay within `groups` (stimulus,).

    free  what it is of one group, to the last digit
    """
    if len(np.unique(groups)) == 1:
        return free
    same = groups[:, None] == groups[None, :]
    return float((np.where(same, table, 0).sum(1) / same.sum(1)).mean())


def asked_together(table: Wide) -> Int:
    """(n,) int64: rows of a (stimulus, reference) table that were asked about the same references share a block."""
    asked = np.isfinite(table)
    if asked.all():
        return np.zeros(len(table), np.int64)
    return np.unique(asked, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def score(
    tally: Tally,
    chances: Chances,
    *,
    row: str,
    metric: str,
    judge: str,
    ids: Sequence[str],
    chance: float | None,
    bounds: tuple[float, float],
    blocks: Int,
    withheld: int,
    lower: bool = False,
    permuted: bool = True,
    wider: float = 1.0,
) -> Score | None:
    """The score of one row under one metric, None where not one stimulus can be scored.

    ids     (reference,) the references in the tally's order; blocks (reference,) int: who may be permuted with whom
    chance  None measures it on mismatched pairs; bounds are the metric's possible values; lower: less is better
    permuted, wider  whether permuting samples is a test, and by how much the interval is widened: see statistics.folds
    """
    table = tally.table
    values = np.diagonal(table).copy()
    scored = np.flatnonzero(np.isfinite(values))
    if not len(scored):
        return None
    inner = table[np.ix_(scored, scored)]
    together = asked_together(inner) * (int(blocks.max()) + 1) + blocks[scored]
    units = tally.units
    value = float(values[scored].mean())
    low, high = widened(value, *chances.interval(units), by=wider, bounds=bounds)
    low, high = bounded_interval((low, high), values[scored], bounds=bounds)
    measured = mismatched(inner) if chance is None else chance
    return Score(
        row=row, metric=metric, judge=judge, ids=tuple(ids), values=values, chance=measured, null=measured,
        ceiling=None, low=low, high=high,
        p=chances.p(-inner if lower else inner, together) if permuted else None, pool=len(ids),
        samples=tally.samples, withheld=withheld, seed_sd=tally.seed_sd, lower=lower,
    )  # fmt: skip


def corrected(scores: Sequence[Score]) -> list[Score]:
    """The scores with q: false discovery rate (Benjamini & Hochberg 1995) over the metrics and regions of each row."""
    from scipy.stats import false_discovery_control

    adjusted: dict[tuple[str, str], float] = {}
    for row in dict.fromkeys(found.row for found in scores):
        tested = [found for found in scores if found.row == row and found.p is not None]
        if tested:
            rates = false_discovery_control([found.p for found in tested])
            adjusted |= {(row, found.metric): float(q) for found, q in zip(tested, rates, strict=True)}
    return [replace(found, q=adjusted.get((found.row, found.metric))) for found in scores]
