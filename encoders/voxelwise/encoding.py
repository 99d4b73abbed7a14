"""Encoding models that say how likely a response is: features of a stimulus -> voxels, with the noise about that.

    encoding = fit_encoding(features, patterns, groups=ids, showings=counts, deviations=single_trials)
    evidence = encoding.evidence(test_patterns, showings)
    evidence.log_likelihood(candidates)             # (pattern, candidate): log p(pattern | features of a candidate)

With W the ridge weights and S(n) the noise covariance of a pattern of n showings (`noise.py`), a pattern x less its
intercept has, given the features c of a candidate,

    log p(x | c) = b'c - c'G c / 2 + a,   b = W S^-1 x,  G = W S^-1 W',  a = -(x'S^-1 x + log det S + v log 2 pi) / 2

so that a candidate costs as many numbers as it has features and is never predicted voxel by voxel. Weighted sums of
such models, of several sets of voxels say, are of the same form (`Evidence.tempered`, `+`). Bayesian identification and
reconstruction: Naselaris et al. 2009 (Neuron 63:902), Nishimoto et al. 2011 (Current Biology 21:1641).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from brain.errors import InputError
from brain.types import Float, Int
from encoders.ridge import Double, fit_ridge, predict_rows
from encoders.storage import Arrays
from encoders.voxelwise.noise import Noise, fit_noise

FLOOR = 0.02
"""Out-of-fold R2, inside training, from which a voxel has a say."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What patterns say of candidates: a quadratic form in their features, for each pattern.

    linear     (pattern, feature) float64, b
    quadratic  number of showings -> (feature, feature) float64, G
    constant   (pattern,) float64, a
    showings   (pattern,) int64, which G is each pattern's
    """

    linear: Double
    quadratic: Mapping[int, Double]
    constant: Double
    showings: Int

    def log_likelihood(self, candidates: Float | Double) -> Double:
        """Candidates (candidate, feature) -> (pattern, candidate) float64; a pattern alone gives the bits it gives in
        a batch."""
        block = np.ascontiguousarray(candidates, np.float64)
        own = {count: 0.5 * np.einsum("cf,cf->c", block @ form, block) for count, form in self.quadratic.items()}
        rows = zip(self.linear, self.constant.tolist(), self.showings.tolist(), strict=True)
        return np.stack([block @ linear - own[count] + constant for linear, constant, count in rows])

    def pattern(self, row: int) -> Evidence:
        """That of one pattern alone."""
        one, count = slice(row, row + 1), int(self.showings[row])
        return replace(
            self, linear=self.linear[one], constant=self.constant[one], showings=self.showings[one],
            quadratic={count: self.quadratic[count]},
        )  # fmt: skip

    def tempered(self, weight: float) -> Evidence:
        """The log likelihood times `weight`, the inverse of a temperature."""
        return replace(
            self, linear=weight * self.linear, constant=weight * self.constant,
            quadratic={count: weight * form for count, form in self.quadratic.items()},
        )  # fmt: skip

    def __add__(self, other: Evidence) -> Evidence:
        """Both log likelihoods together, of the same patterns and candidates."""
        if not np.array_equal(self.showings, other.showings):
            raise InputError("evidence: expected the same patterns, found other numbers of showings; average alike")
        return Evidence(
            linear=self.linear + other.linear, constant=self.constant + other.constant, showings=self.showings,
            quadratic={count: form + other.quadratic[count] for count, form in self.quadratic.items()},
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """Features -> voxels with noise.

    weights   (feature, voxel) float32 of the voxels that have a say, their mean of `means` (voxel,) float64 at features
              `centre` (feature,) float64
    columns   (voxel,) int64, which of the voxels that were given these are; maybe none
    noise     of these voxels; None where there is none
    r2        (given voxel,) float32, out of fold
    """

    weights: Float
    means: Double
    centre: Double
    columns: Int
    noise: Noise | None
    r2: Float

    def expected(self, features: Float) -> Float:
        """Features (stimulus, feature) -> the voxels' expected responses (stimulus, voxel) float32."""
        return predict_rows(features, self.weights, x_mean=self.centre, y_mean=self.means)

    def evidence(self, patterns: Float, showings: Int) -> Evidence:
        """Patterns (pattern, given voxel) of so many showings each, (pattern,), as evidence on candidates' features.

        An encoding without voxels says nothing: every candidate is as likely.
        """
        counts = sorted({int(one) for one in showings.tolist()})
        size = len(self.weights)
        if self.noise is None:
            nothing = dict.fromkeys(counts, np.zeros((size, size)))
            rows = len(patterns)
            return Evidence(
                linear=np.zeros((rows, size)), quadratic=nothing, constant=np.zeros(rows), showings=showings
            )
        weights = self.weights.astype(np.float64)
        origin = self.means - self.centre @ weights  # what is expected of features 0
        measured = np.ascontiguousarray(patterns[:, self.columns], np.float64) - origin
        solvers = {count: self.noise.solver(count) for count in counts}
        solved = {count: solver.apply(weights) for count, solver in solvers.items()}
        linear, constant = np.empty((len(patterns), size)), np.empty(len(patterns))
        for row, (pattern, count) in enumerate(zip(measured, showings.tolist(), strict=True)):
            # a product of one row each: in a larger one its last bits would depend on the others
            linear[row] = solved[count] @ pattern
            distance = float(solvers[count].apply(pattern[None])[0] @ pattern)
            constant[row] = -0.5 * (distance + solvers[count].log_det + len(pattern) * np.log(2 * np.pi))
        return Evidence(
            linear=linear, quadratic={count: solved[count] @ weights.T for count in counts}, constant=constant,
            showings=showings,
        )  # fmt: skip

    def ceiling(self, showings: Int) -> Double:
        """(pattern,) the highest log likelihood that patterns of so many showings, (pattern,), can have: that of one
        which is just as a candidate lets expect."""
        if self.noise is None:
            return np.zeros(len(showings))
        size = len(self.columns) * np.log(2 * np.pi)
        known = {int(one): -0.5 * (self.noise.solver(int(one)).log_det + size) for one in np.unique(showings)}
        return np.array([known[one] for one in showings.tolist()])

    def arrays(self) -> Arrays:
        """Itself as named arrays, to be stored."""
        own: Arrays = {
            "weights": self.weights, "means": self.means, "centre": self.centre, "columns": self.columns, "r2": self.r2,
        }  # fmt: skip
        if self.noise is None:
            return own
        noise = self.noise
        return {
            **own, "noise.spread": noise.spread, "noise.factor": noise.factor, "noise.shared": noise.shared,
            "noise.own": noise.own, "noise.facts": np.array([noise.showings, noise.shrinkage]),
        }  # fmt: skip

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Encoding:
        """Back from `arrays()`; a missing one is an InputError."""
        try:
            noise = None
            if "noise.facts" in arrays:
                showings, shrinkage = arrays["noise.facts"].tolist()
                parts = {name: arrays[f"noise.{name}"] for name in ("spread", "factor", "shared", "own")}
                noise = Noise(**parts, showings=showings, shrinkage=shrinkage)
            names = ("weights", "means", "centre", "columns", "r2")
            return cls(**{name: arrays[name] for name in names}, noise=noise)
        except KeyError as fault:
            raise InputError(f"encoding: {fault} is not among the stored arrays; fit it again") from fault


def fit_encoding(
    features: Float,
    patterns: Float,
    *,
    groups: Sequence[str],
    showings: Int,
    deviations: Float,
    folds: int = 5,
    seed: int = 0,
    sound: bool = False,
    floor: float = FLOOR,
) -> Encoding:
    """Fit features -> voxels on training stimuli, and the noise on what each fold has not seen.

    features    (stimulus, feature) of the training stimuli `groups`
    patterns    (stimulus, voxel) their responses, averaged over `showings` (stimulus,) trials each
    deviations  (trial, voxel) single trials less the mean of their stimulus
    sound       whether ids may be windows of clips, which share a fold
    floor       out-of-fold R2 from which a voxel has a say
    """
    fit = fit_ridge(
        np.asarray(features, np.float32), patterns, groups=groups, folds=folds, seed=seed, chunk=1024, sound=sound
    )  # fmt: skip
    columns = np.flatnonzero(fit.cv_r2 > floor).astype(np.int64)
    residuals = (patterns[:, columns] - fit.cv_prediction[:, columns]).astype(np.float64)
    noise = None
    if len(columns):
        noise = fit_noise(residuals, np.asarray(deviations, np.float64)[:, columns], showings)
    return Encoding(
        weights=np.ascontiguousarray(fit.weights[:, columns]), means=fit.y_mean[columns], centre=fit.x_mean,
        columns=columns, noise=noise, r2=fit.cv_r2,
    )  # fmt: skip
