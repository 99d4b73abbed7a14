"""The posterior over a bank of candidates: which of them the brain may have answered to, and how sure that is.

    found = posterior(evidence, features, keep=24)
    found.best, found.share, found.entropy          # the most likely candidates, their share, nats
    weights = settled([scores_of_a, scores_of_b], truth, features).weights     # of training stimuli, out of fold

Every candidate is as likely before a response is measured (a bank holds what is frequent more often), so the posterior
is the likelihood's share. Candidates are streamed in blocks of one fixed size: the best few are kept, and sums of the
rest.

A noise model is never the whole truth, and a likelihood over thousands of voxels is too sure of itself: each set of
voxels gets a weight, 1 / temperature, settled on training stimuli of which the encodings have not seen the fold. The
weights are those whose posterior mean is nearest to the true features (squared error, a proper score of a mean; labels
are not needed). Where nothing is nearer than the prior's mean by two standard errors, the posterior is the prior.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.types import Float, Int
from encoders.ridge import Double
from encoders.voxelwise.encoding import Evidence

BLOCK = 2048
"""Candidates at a time; fixed, for the order of summation is part of the last bits."""
ROUNDS = 4
"""How often the weights of all sets of voxels are moved in turn."""
WEIGHTS = (0.0, *(float(2 ** (-half / 2)) for half in range(16, -1, -1)))
"""Weights to choose from: none, which is the prior, and 1/256 to 1 in steps of the square root of 2."""
SURE = 2.0
"""Standard errors by which a posterior has to be nearer to the truth than the prior."""


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """What is known of each pattern's stimulus.

    best       (pattern, kept) int64, the most likely candidates, most likely first
    share      (pattern, kept) float64, their probabilities
    log_best   (pattern,) float64, the (tempered) log likelihood of the most likely one
    entropy    (pattern,) float64, nats; `prior_entropy` that before the response
    mean       (pattern, feature) float64, expectation of the features, and of whatever else was to be `averaged`
    marginals  group of labels -> (pattern, label) float64 probabilities
    drawn      pattern -> (seed,) int64, a candidate drawn from its posterior by each of its seeds
    """

    best: Int
    share: Double
    log_best: Double
    entropy: Double
    prior_entropy: float
    mean: Double
    marginals: Mapping[str, Double] = field(default_factory=dict)
    drawn: Mapping[int, Int] = field(default_factory=dict)


def posterior(
    evidence: Evidence,
    features: NDArray[Any],
    *,
    keep: int,
    averaged: NDArray[Any] | None = None,
    labels: Mapping[str, NDArray[np.int64]] | None = None,
    without: Mapping[int, Int] | None = None,
    seeds: Mapping[int, Sequence[int]] | None = None,
) -> Posterior:
    """The posterior of each pattern over candidates, a block at a time.

    features  (candidate, feature) of any float type; averaged (candidate, number) what to take the mean of, None: these
    labels    group -> (candidate,) int64 codes from 0
    without   pattern -> (candidate,) rows that count as impossible for it
    seeds     pattern -> seeds by each of which a candidate is drawn (Gumbel's maximum, so that one pass is enough)
    A pattern alone gives the bits that it gives among others.
    """
    patterns, count = len(evidence.linear), len(features)
    named = {group: int(codes.max()) + 1 for group, codes in (labels or {}).items()}
    drawing = seeds or {}
    running = [
        _Running(keep=min(keep, count), labels=named, seeds=drawing.get(row, ())) for row in range(patterns)
    ]
    for rows in blocks(count):
        candidates = np.asarray(features[rows], np.float64)
        values = candidates if averaged is None else np.asarray(averaged[rows], np.float64)
        codes = {group: one[rows] for group, one in (labels or {}).items()}
        scores = evidence.log_likelihood(candidates)
        for pattern, (state, own) in enumerate(zip(running, scores, strict=True)):
            gone = (without or {}).get(pattern)
            if gone is not None:
                own[gone[(gone >= rows.start) & (gone < rows.stop)] - rows.start] = -np.inf
            state.add(own, values, codes, first=rows.start)
    return Posterior(
        best=np.stack([one.best for one in running]),
        share=np.stack([np.exp(one.scores - one.log_total) for one in running]),
        log_best=np.array([one.scores[0] for one in running]),
        entropy=np.array([one.entropy for one in running]),
        prior_entropy=float(np.log(count)),
        mean=np.stack([one.mean / one.total for one in running]),
        marginals={group: np.stack([one.labels[group] / one.total for one in running]) for group in named},
        drawn={row: np.array(running[row].drawn, np.int64) for row in drawing},
    )


def blocks(count: int, *, block: int = BLOCK) -> Iterator[slice]:
    """Rows of so many candidates, a block at a time."""
    return (slice(first, min(first + block, count)) for first in range(0, count, block))


def first_few(values: NDArray[Any], count: int) -> Int:
    """(few,) int64 places of the `count` least of values (candidate,), least first, of equal ones the first; without
    sorting all of them."""
    if count >= len(values):
        return np.argsort(values, kind="stable").astype(np.int64)
    low = np.flatnonzero(values <= np.partition(values, count - 1)[count - 1])
    return np.asarray(low[np.argsort(values[low], kind="stable")[:count]], np.int64)


def best_so_far(
    best: Int, scores: NDArray[Any], block: NDArray[Any], *, first: int, keep: int
) -> tuple[Int, NDArray[Any]]:
    """The `best` candidates (kept,) with their `scores` (kept,), highest first, and those of the next `block`
    (candidate,), the first of which is candidate `first` -> the best of all of them."""
    few = first_few(-block, keep)
    together = np.concatenate([scores, block[few]])
    order = np.argsort(-together, kind="stable")[:keep]
    return np.concatenate([best, few + first])[order], together[order]


class _Running:
    """One pattern's best few and sums so far, all relative to the highest score seen."""

    def __init__(self, *, keep: int, labels: Mapping[str, int], seeds: Sequence[int]) -> None:
        self.keep = keep
        self.best, self.scores = np.empty(0, np.int64), np.empty(0)
        self.top, self.total, self.weighed = -np.inf, 0.0, 0.0
        self.mean: Double = np.zeros(1)
        self.labels = {group: np.zeros(size) for group, size in labels.items()}
        self.chance = [np.random.default_rng(seed) for seed in seeds]
        self.drawn, self.luck = [0] * len(seeds), [-np.inf] * len(seeds)

    def add(self, scores: Double, values: Double, codes: Mapping[str, Int], *, first: int) -> None:
        for place, chance in enumerate(self.chance):
            lucky = scores + chance.gumbel(size=len(scores))
            if lucky.max() > self.luck[place]:
                self.luck[place], self.drawn[place] = float(lucky.max()), first + int(lucky.argmax())
        highest = float(scores.max())
        if highest == -np.inf:
            return  # nothing here is possible
        if highest > self.top:
            past = np.exp(self.top - highest)
            # of sums in units of exp(top), the first brings the scores' own shift along
            shift = self.top - highest if self.total else 0.0
            self.weighed = past * (self.weighed + shift * self.total) if self.total else 0.0
            self.total, self.mean = past * self.total, past * self.mean
            self.labels = {group: past * one for group, one in self.labels.items()}
            self.top = highest
        away = scores - self.top
        weights = np.exp(away)  # 0 of what is impossible
        self.total += float(weights.sum())
        self.weighed += float(weights @ np.where(weights > 0, away, 0))
        self.mean = self.mean + weights @ values
        for group, one in codes.items():
            self.labels[group] += np.bincount(one, weights, minlength=len(self.labels[group]))
        self.best, self.scores = best_so_far(self.best, self.scores, scores, first=first, keep=self.keep)

    @property
    def log_total(self) -> float:
        return self.top + float(np.log(self.total))

    @property
    def entropy(self) -> float:
        return float(np.log(self.total)) - self.weighed / self.total


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Weights of sets of voxels, and how near the posterior's mean then comes.

    weights   one a set, in their order; all 0: the posterior is the prior
    error     squared error of the posterior's mean over that of the prior's mean, on the training stimuli
    gain      by how many standard errors it is nearer than the prior's
    mean      (stimulus, feature) the posterior's mean of each stimulus
    """

    weights: tuple[float, ...]
    error: float
    gain: float
    mean: Double


def _downhill(
    weights: tuple[float, ...], place: int, error_of: Callable[[tuple[float, ...]], float]
) -> tuple[float, ...]:
    """These weights with the one at `place` moved along `WEIGHTS`, up or down, as long as the error falls."""
    for step in (1, -1):
        now = WEIGHTS.index(weights[place])
        while 0 <= (now := now + step) < len(WEIGHTS):
            moved = (*weights[:place], WEIGHTS[now], *weights[place + 1 :])
            if error_of(moved) >= error_of(weights):
                break
            weights = moved
    return weights


def settled(scores: Sequence[Double | Float], truth: Float, features: Float) -> Settled:
    """The weights whose posterior mean is nearest to the true features of training stimuli.

    scores    one a set of voxels: (stimulus, candidate) log likelihoods, by encodings that have not seen the stimulus;
              -inf in all of them of a candidate that is the stimulus itself
    truth     (stimulus, feature) of what was shown
    features  (candidate, feature)
    """
    candidates, true = np.asarray(features, np.float32), np.asarray(truth, np.float64)
    gone = np.isneginf(scores[0])
    parts = [np.where(gone, 0, one - one.max(1, keepdims=True)).astype(np.float32) for one in scores]
    known: dict[tuple[float, ...], tuple[Double, Double]] = {}

    def at(weights: tuple[float, ...]) -> tuple[Double, Double]:
        """Squared error (pattern,) and the posterior's mean (pattern, feature)."""
        if weights not in known:
            total = sum(np.float32(weight) * one for weight, one in zip(weights, parts, strict=True))
            share = np.where(gone, 0, np.exp(total - np.max(total, axis=1, keepdims=True)))
            mean = (share @ candidates / share.sum(1, keepdims=True)).astype(np.float64)
            known[weights] = np.square(mean - true).sum(1), mean
        return known[weights]

    def error_of(weights: tuple[float, ...]) -> float:
        return float(at(weights)[0].mean())

    best = min(((weight,) * len(parts) for weight in WEIGHTS), key=error_of)
    for _ in range(ROUNDS):
        before = best
        for place in range(len(parts)):
            best = _downhill(best, place, error_of)
        if best == before:
            break
    prior = (0.0,) * len(parts)
    gained = at(prior)[0] - at(best)[0]
    error = float(gained.std(ddof=1) / np.sqrt(len(gained))) if len(gained) > 1 else np.inf
    gain = float(gained.mean() / error) if error > 0 else 0.0
    if gain < SURE:
        best = prior
    return Settled(
        weights=best, error=float(at(best)[0].mean() / at(prior)[0].mean()), gain=gain, mean=at(best)[1]
    )  # fmt: skip
