"""A subject's Bayesian reading: encoding models of several sets of voxels, and how much each of them is believed.

    reading = fit_reading(responses, fold, experts={"all": columns}, true={"clip-text": text}, features=features, ...)
    reading.save(path);  reading = Reading.load(path)
    ids, evidence = reading.evidence(test_trials)    # of the bank's components, all experts together
    reading.unexplained(log_best, showings)          # (pattern,) whether no candidate explains it

Everything is settled on training stimuli: the voxels, the noise, the weight of each set of voxels (`posterior.settled`,
on `MOST` stimuli at most, each by encodings that have not seen its fold), and how much of a ridge's prediction is mixed
with the posterior's mean, for a bank may lack what was shown. On disk lie weights and low-rank factors, no pattern.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.console.progress import progress
from brain.data.averages import average_repeats
from brain.data.standardise import SessionScaler
from brain.errors import InputError, expected
from brain.types import Float, Int, Responses, Split
from brain.voxels import VoxelSpace
from encoders.conditions import Conditions, SpaceCard
from encoders.patterns import guard_test_copies, standardised
from encoders.rescale import Rescaling
from encoders.ridge import Double, fit_ridge, grouped_folds
from encoders.spaces import of_sounds
from encoders.storage import Arrays, read_tensors, write_tensors
from encoders.voxel_contract import own_trials, stored_voxels, voxel_arrays, voxel_facts
from encoders.voxelwise.encoding import Encoding, Evidence, fit_encoding
from encoders.voxelwise.features import Features
from encoders.voxelwise.posterior import best_so_far, blocks, settled

KIND = "reading"
MOST = 200
"""Training stimuli on which weights and mixture are settled: of as few folds as hold so many, for each fold costs an
encoding of every set of voxels (two of 900 stimuli's five folds gave what all five do, one was less sure); drawn at
random of more."""
CANDIDATES = 20_000
"""Candidates that they are settled on, drawn at random of more."""
FAR = 1.5
"""How many times as far above the median as the worst misfit of the training stimuli one has to lie to be none of the
bank: models of all training stimuli have other voxels and noise than those of four fifths that the misfits are of."""
SILENT = "no set of voxels tells training stimuli apart: the posterior is the prior"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was fitted on one fold's training stimuli.

    voxels    VoxelSpace of all sets together; `unit` the data's before standardisation, `scaler` of these voxels
    spaces    SpaceCards of the conditions whose components are features; `bank` the digest of where these come from
    names     of the sets of voxels; columns (set,) of (voxel,) int64 among `voxels`; encodings; weights (set,), inverse
              temperatures
    mixture   share of a ridge's prediction in what is drawn from, 0 to 1
    error     squared error of the posterior's mean over the prior's, on training stimuli; gain in standard errors
    misfits   (stimulus,) float64, sorted: nats a voxel that the likeliest candidate stays below `Encoding.ceiling`
    split     sha256 of the split; `settled_on` how many stimuli
    ids       (stimulus,) the training stimuli, sorted; struck, items of the bank that were left out, for they look like
              a test stimulus
    """

    voxels: VoxelSpace
    unit: str
    scaler: SessionScaler
    spaces: tuple[SpaceCard, ...]
    bank: str
    names: tuple[str, ...]
    columns: tuple[Int, ...]
    encodings: tuple[Encoding, ...]
    weights: tuple[float, ...]
    mixture: float
    error: float
    gain: float
    misfits: Double
    split: str
    settled_on: int
    ids: tuple[str, ...]
    struck: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the card."""
        struck = f"{len(self.struck)} items of the bank look like a test stimulus by chance and are left out"
        return (*(() if any(self.weights) else (SILENT,)), *((struck,) if self.struck else ()))

    def evidence(self, responses: Responses) -> tuple[tuple[str, ...], Evidence]:
        """Single trials -> stimuli, sorted, and what their averaged patterns say of features; of other voxels or units
        an InputError."""
        averaged = average_repeats(self._own(responses))
        return averaged.ids, self.together(averaged.values, averaged.repeats)

    def correlated(self, responses: Responses, features: Float, *, keep: int) -> tuple[tuple[str, ...], Int]:
        """What a plain search finds: stimuli, sorted, and (stimulus, kept) int64 rows of `features` (candidate,
        feature) whose expected responses correlate best with the averaged pattern, over all voxels that have a say in
        the largest set; best first. No noise, no temperature (Kay et al. 2008, Nature 452:352)."""
        averaged = average_repeats(self._own(responses))
        own, encoding = max(zip(self.columns, self.encodings, strict=True), key=lambda one: len(one[1].columns))
        measured = averaged.values[:, own][:, encoding.columns]
        best = [(np.empty(0, np.int64), np.empty(0, np.float32))] * len(measured)
        for rows in blocks(len(features)):
            predicted = encoding.expected(np.asarray(features[rows], np.float32))
            predicted -= predicted.mean(1, keepdims=True)
            predicted /= np.maximum(np.linalg.norm(predicted, axis=1, keepdims=True), np.finfo(np.float32).tiny)
            for row, pattern in enumerate(measured):
                score = predicted @ pattern  # one by one: in company a product's last bits would be others
                best[row] = best_so_far(*best[row], score, first=rows.start, keep=keep)
        return averaged.ids, np.stack([one for one, _ in best])

    def _own(self, responses: Responses) -> Responses:
        return own_trials(responses, voxels=self.voxels, unit=self.unit, scaler=self.scaler)

    def together(self, patterns: Float, showings: Int) -> Evidence:
        """Patterns (pattern, voxel) of so many showings each -> the evidence of all sets of voxels, each by its
        weight."""
        parts = zip(self.encodings, self.columns, self.weights, strict=True)
        every = [one.evidence(patterns[:, own], showings).tempered(weight) for one, own, weight in parts]
        total = every[0]
        for other in every[1:]:
            total = total + other
        return total

    def unexplained(self, log_best: Double, showings: Int) -> NDArray[np.bool_]:
        """(pattern,) whether the likeliest candidate of the bank, of tempered log likelihood `log_best` (pattern,),
        explains a pattern far worse than any of the training stimuli's was explained (`FAR`); never where voxels say
        nothing."""
        if not any(self.weights):
            return np.zeros(len(log_best), np.bool_)
        most, voxels = np.zeros(len(showings)), 0.0
        for one, weight in zip(self.encodings, self.weights, strict=True):
            most += weight * one.ceiling(showings)
            voxels += weight * len(one.columns)
        usual, worst = float(np.median(self.misfits)), float(self.misfits[-1])
        return np.asarray((most - log_best) / max(voxels, 1) > usual + FAR * (worst - usual), np.bool_)

    def quadratic(self, showings: Int) -> dict[int, Double]:
        """Number of showings (pattern,) -> the evidence's quadratic form, which depends on nothing else."""
        known = np.unique(showings)
        none = np.zeros((len(known), len(self.voxels)), np.float32)
        return dict(self.together(none, known).quadratic)

    def facts(self) -> dict[str, Any]:
        """What a card says of it."""
        sets = {
            name: {
                "voxels": len(own), "with a say": len(one.columns), "weight": weight,
                "temperature": 1 / weight if weight else None,
                "shrinkage": None if one.noise is None else one.noise.shrinkage,
            }
            for name, own, one, weight in zip(self.names, self.columns, self.encodings, self.weights, strict=True)
        }  # fmt: skip
        return {
            "sets": sets, "mixture": self.mixture, "error": self.error, "gain": self.gain, "bank": self.bank,
            "settled_on": self.settled_on, "notes": list(self.notes),
        }  # fmt: skip

    def save(self, path: Path) -> None:
        """One safetensors file with its card, whole or not at all."""
        tensors: Arrays = {**voxel_arrays(self.voxels), **self.scaler.arrays(), "misfits": self.misfits}
        for number, (own, one) in enumerate(zip(self.columns, self.encodings, strict=True)):
            tensors |= {f"{number}.of": own, **{f"{number}.{name}": array for name, array in one.arrays().items()}}
        card = {
            "voxels": voxel_facts(self.voxels), "unit": self.unit, "split": self.split,
            "spaces": [one.facts() for one in self.spaces],
            "names": list(self.names), "weights": list(self.weights), "struck": list(self.struck),
            "ids": list(self.ids), **self.facts(),
        }  # fmt: skip
        write_tensors(path, tensors, kind=KIND, card=card)

    @classmethod
    def load(cls, path: Path) -> Reading:
        """Reads what `save` wrote; a damaged or foreign file is an InputError."""
        tensors, card = read_tensors(path, kind=KIND)
        try:
            own = [
                {name.partition(".")[2]: array for name, array in tensors.items() if name.startswith(f"{number}.")}
                for number in range(len(card["names"]))
            ]
            return cls(
                voxels=stored_voxels(tensors, card["voxels"]), unit=card["unit"],
                scaler=SessionScaler.from_arrays(tensors), bank=card["bank"],
                spaces=tuple(SpaceCard.from_facts(one) for one in card["spaces"]), misfits=tensors["misfits"],
                names=tuple(card["names"]), columns=tuple(one["of"] for one in own),
                encodings=tuple(Encoding.from_arrays(one) for one in own), weights=tuple(card["weights"]),
                mixture=float(card["mixture"]), error=float(card["error"]), gain=float(card["gain"]),
                split=card["split"], settled_on=int(card["settled_on"]), ids=tuple(card["ids"]),
                struck=tuple(card["struck"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as fault:
            raise InputError(expected(path, f"a {KIND}", f"one without {fault}", "fit it again")) from fault


@dataclass(frozen=True, kw_only=True)
class _Training:
    """Averaged training patterns (stimulus, voxel) of all sets, their features, and single trials' deviations."""

    ids: tuple[str, ...]
    patterns: Float
    showings: Int
    features: Float
    owner: Int
    deviations: Float
    folds: int
    seed: int
    sound: bool

    def encoding(self, columns: Int, rows: Int) -> Encoding:
        """Features -> these voxels, on these stimuli alone."""
        trials = np.isin(self.owner, rows)
        return fit_encoding(
            self.features[rows], np.ascontiguousarray(self.patterns[np.ix_(rows, columns)]),
            groups=[self.ids[row] for row in rows.tolist()], showings=self.showings[rows],
            deviations=self.deviations[np.ix_(trials, columns)], folds=self.folds, seed=self.seed, sound=self.sound,
        )  # fmt: skip


def fit_reading(
    responses: Responses,
    fold: Split,
    *,
    experts: Mapping[str, Int],
    true: Mapping[str, Conditions],
    features: Features,
    own: Mapping[str, Int],
    bank: str,
    folds: int,
    seed: int,
) -> Reading:
    """Fit on the training trials of a fold.

    experts     name -> (voxel,) int64 columns of the responses
    true        space -> conditions of the training stimuli, in the spaces of `features`, which are of the bank's
                candidates; `own` training stimulus -> which of them it is (candidate,), windows of its
                clip among them
    bank        digest of the bank
    folds, seed of the training stimuli, which choose penalties, noise, weights and mixture
    """
    union = np.unique(np.concatenate(list(experts.values())))
    mine = responses.voxels(union)
    guard_test_copies(mine, fold)
    trials, scaler = standardised(mine, fold.train)
    averaged = average_repeats(trials)
    place = {name: row for row, name in enumerate(averaged.ids)}
    owner = np.array([place[name] for name in trials.stimulus.tolist()], np.int64)
    training = _Training(
        ids=averaged.ids, patterns=averaged.values, showings=averaged.repeats,
        features=features.of_conditions(true, averaged.ids), owner=owner,
        deviations=trials.values - averaged.values[owner], folds=folds, seed=seed,
        sound=any(map(of_sounds, features.spaces)),
    )  # fmt: skip
    columns = tuple(np.searchsorted(union, one).astype(np.int64) for one in experts.values())
    every, held = np.arange(len(averaged.ids)), held_in(averaged.ids, folds=folds, seed=seed, sound=training.sound)
    picked = np.sort(np.random.default_rng([seed, 5]).permutation(np.flatnonzero(held >= 0))[:MOST])
    rows = np.arange(len(features.candidates))
    if len(rows) > CANDIDATES:
        rows = np.sort(np.random.default_rng([seed, 6]).permutation(rows)[:CANDIDATES])
    candidates = np.asarray(features.candidates[rows], np.float32)
    itself = [np.flatnonzero(np.isin(rows, own.get(averaged.ids[one], ()))) for one in picked.tolist()]
    scores, short, sizes = _held_out(training, columns, picked, held, candidates, itself)
    found = settled(scores, training.features[picked], candidates)
    names = tuple(experts)
    jobs = progress(zip(names, columns, strict=True), total=len(names), desc="encoding models", unit="set")
    return Reading(
        voxels=trials.space, unit=responses.space.unit, scaler=scaler, bank=bank, names=names,
        spaces=tuple(one.card for one in features.spaces.values()),
        misfits=_misfits(scores, short, sizes, found.weights),
        columns=columns, encodings=tuple(training.encoding(one, every) for _, one in jobs), weights=found.weights,
        mixture=_mixture(training, picked, found.mean), error=found.error, gain=found.gain, split=fold.sha256,
        settled_on=len(picked), ids=averaged.ids,
    )  # fmt: skip


def held_in(ids: Sequence[str], *, folds: int, seed: int, sound: bool) -> Int:
    """(stimulus,) int64: the fold that each training stimulus is held out in to settle weights, -1 of none; as few of
    the `folds` as hold `MOST` stimuli, all where there are fewer."""
    # apart from the folds inside the encodings, which choose penalties and residuals
    fold = grouped_folds(ids, folds=folds, seed=seed + 1, sound=sound)
    few = next((count for count in range(1, folds) if (fold < count).sum() >= MOST), folds)
    return np.where(fold < few, fold, -1)


def _held_out(
    training: _Training, columns: Sequence[Int], picked: Int, fold: Int, candidates: Float, own: Sequence[Int]
) -> tuple[list[Float], list[Double], list[Double]]:
    """One a set of voxels: (picked stimulus, candidate) float32 log likelihoods by encodings without its fold, less
    each row's highest; (picked stimulus,) how much that stays below the ceiling, and of how many voxels; -inf of
    what is the stimulus itself, `own` (candidate,) of each."""
    scores = [np.empty((len(picked), len(candidates)), np.float32) for _ in columns]
    short, sizes = [np.empty(len(picked)) for _ in columns], [np.zeros(len(picked)) for _ in columns]
    for one in progress(np.unique(fold[picked]).tolist(), desc="how far to believe voxels", unit="fold"):
        held = np.flatnonzero(fold[picked] == one)
        rows, tested = np.flatnonzero(fold != one), picked[held]
        for score, below, size, voxels in zip(scores, short, sizes, columns, strict=True):
            encoding = training.encoding(voxels, rows)
            patterns = training.patterns[np.ix_(tested, voxels)]
            found = encoding.evidence(patterns, training.showings[tested]).log_likelihood(candidates)
            for place, row in enumerate(held.tolist()):
                found[place, own[row]] = -np.inf
            score[held] = found - found.max(1, keepdims=True)
            below[held] = encoding.ceiling(training.showings[tested]) - found.max(1)
            size[held] = len(encoding.columns)
    return scores, short, sizes


def _misfits(
    scores: Sequence[Float], short: Sequence[Double], sizes: Sequence[Double], weights: Sequence[float]
) -> Double:
    """(stimulus,) sorted: how much the candidate that is likeliest to all sets of voxels, each by its weight, stays
    below their ceilings, for each of these voxels: folds choose voxels of their own, and more data more of them."""
    total = np.zeros(scores[0].shape)
    below, voxels = np.zeros(len(total)), np.zeros(len(total))
    for weight, score, one, size in zip(weights, scores, short, sizes, strict=True):
        total += weight * np.maximum(score, np.finfo(np.float32).min)
        below += weight * one
        voxels += weight * size
    return np.sort((below - total.max(1)) / np.maximum(voxels, 1))


def _mixture(training: _Training, picked: Int, mean: Double) -> float:
    """Share of a ridge's prediction that brings the posterior's mean nearest to the truth, in hundredths.

    The ridge is of all voxels here, its predictions out of fold and rescaled as a mapping's are.
    """
    fit = fit_ridge(
        training.patterns, training.features, groups=training.ids, folds=training.folds, seed=training.seed,
        chunk=1024, sound=training.sound,
    )  # fmt: skip
    rescaling = Rescaling.fit(
        fit.cv_prediction, training.features, groups=training.ids, kind="spread", limit=5.0
    )  # fmt: skip
    ridge = rescaling.apply(fit.cv_prediction[picked]).astype(np.float64)
    apart = ridge - mean
    size = float(np.square(apart).sum())
    share = float(((training.features[picked] - mean) * apart).sum() / size) if size > 0 else 0.0
    return round(min(max(share, 0.0), 1.0), 2)
