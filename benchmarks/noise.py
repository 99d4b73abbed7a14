"""What the statistics make of pure noise and of a planted signal: python -m benchmarks.noise

Noise: patterns that know nothing of the stimuli, by the project's own mapping, null and intervals, over fixed seeds,
for one test set, ten folds, leave-one-out, folds whose stimuli are alike, and a blocked design whose sessions drift,
standardised over all sessions. How often the 95 % interval misses the chance that is printed, how often
p <= .05, whether p is uniform, whether the mean over seeds is that chance. Each number has bounds that a right tool
keeps in ALL of them together with probability .95, so that one number outside is a fault; exit code 1 then.

Signal: power at three strengths in folds, beside scikit-learn's permutation_test_score (RidgeCV, negative squared
error) on the very same patterns, stimuli and folds, with as many permutations; and how often the interval misses the
mean over seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from brain.console.progress import progress, silent
from brain.data.averages import average_repeats
from brain.data.standardise import SessionScaler
from brain.splits.leave_out import leave_out
from brain.types import Float, Responses, Split
from brain.voxels import VoxelSpace
from decode.stages.fit.null import null_facts
from encoders.conditions import Conditions, SpaceCard
from encoders.mappings._parts.linear import MappingSettings, fit_mapping
from encoders.mappings._parts.refit import refitting_of
from encoders.ridge import RidgeSettings
from evaluation.score import Chances
from evaluation.statistics.conditions import ConditionScore, score_map
from evaluation.statistics.folds import Design, null_from

TOGETHER = 0.95
"""The probability with which a right tool keeps all bounds together."""
VOXELS, TARGETS = 40, 16
ALPHAS = tuple(float(10.0**power) for power in range(1, 6))
SETTINGS = MappingSettings(ridge=RidgeSettings(alphas=ALPHAS))
STRENGTHS = (0.2, 0.35, 0.5)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A design.

    folds   in how many folds the stimuli are left out; 0 is one test set, 1 is leave-one-out
    kinds   how many kinds of like stimuli there are
    alike   whether a fold is a kind; else each fold has stimuli of every kind
    drift   whether a kind is a session of its own, of two trials each stimulus, that has a level of its own
    """

    name: str
    stimuli: int
    folds: int
    kinds: int = 1
    alike: bool = False
    drift: bool = False

    def splits(self, ids: Sequence[str]) -> tuple[Split, ...]:
        """Its folds over these ids."""
        if not self.folds:
            half = len(ids) // 2
            return (Split(name="half", train=tuple(ids[:half]), test=tuple(ids[half:])),)
        count = len(ids) if self.folds == 1 else self.folds
        if self.alike:
            each = len(ids) // count
            return leave_out({str(one): ids[one * each : (one + 1) * each] for one in range(count)}, sound=False)[0]
        return leave_out({str(one): ids[one::count] for one in range(count)}, sound=False)[0]


PLANS = (
    Plan(name="one test set of 60", stimuli=120, folds=0),
    Plan(name="60 stimuli in 10 folds", stimuli=60, folds=10),
    Plan(name="30 stimuli, leave-one-out", stimuli=30, folds=1),
    Plan(name="30 stimuli in 3 folds of their kind", stimuli=30, folds=3, kinds=3, alike=True),
    Plan(name="32 stimuli, blocked, sessions drift", stimuli=32, folds=8, kinds=4, drift=True),
)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One made-up experiment: trials, the stimuli's true conditions, and the folds."""

    trials: Responses
    true: Conditions
    folds: tuple[Split, ...]


def experiment(plan: Plan, *, seed: int, strength: float = 0.0) -> Experiment:
    """Patterns = strength x a random projection of the conditions + noise of spread 1; conditions share a mean.

    With a signal all seeds are of one subject and one kind of stimuli, so that an interval can be held to their mean.
    """
    rng = np.random.default_rng([seed, plan.stimuli, plan.folds])
    fixed = np.random.default_rng([plan.stimuli, plan.folds, 0]) if strength else rng
    ids = [f"s{number:03d}" for number in range(plan.stimuli)]
    kind = np.arange(plan.stimuli) * plan.kinds // plan.stimuli
    values = rng.normal(size=(plan.stimuli, 8)) @ fixed.normal(size=(8, TARGETS)) + 3 * fixed.normal(size=TARGETS)
    values += (plan.kinds > 1) * 3 * rng.normal(size=(plan.kinds, TARGETS))[kind]
    # as much of a signal as of noise at strength 1
    shown = (values - values.mean(0)) / values.std()
    weights = fixed.normal(size=(TARGETS, VOXELS)) / np.sqrt(TARGETS)
    trial = np.tile(np.arange(plan.stimuli), 1 + plan.drift)
    patterns = strength * (shown @ weights)[trial] + rng.normal(size=(len(trial), VOXELS))
    patterns += plan.drift * rng.normal(size=(plan.kinds, VOXELS))[kind[trial]]
    space = VoxelSpace(
        subject="made up", name="none", betas="none", unit="psc", shape=(VOXELS, 1, 1), affine=np.eye(4),
        ijk=np.stack([np.arange(VOXELS), np.zeros(VOXELS), np.zeros(VOXELS)], 1).astype(np.int64),
    )  # fmt: skip
    trials = Responses(
        values=patterns.astype(np.float32), stimulus=np.array(ids)[trial], session=1 + plan.drift * kind[trial],
        repeat=np.arange(len(trial)) // plan.stimuli, space=space, standardise="all",
    )  # fmt: skip
    card = SpaceCard(
        name="made up", model="none", revision="0", layer="none", normalisation="none", shape=(TARGETS,)
    )
    true = Conditions(space=card, values=values.astype(np.float32), ids=tuple(ids))
    return Experiment(trials=trials, true=true, folds=plan.splits(ids))


def decoded(made: Experiment) -> Conditions:
    """Every fold's test stimuli, by a mapping fitted as a run fits it."""
    found: list[tuple[str, Float]] = []
    for fold in made.folds:
        scaler = SessionScaler.fit(made.trials, made.trials.of(fold.train))
        training = average_repeats(scaler.apply(made.trials.trials(made.trials.of(fold.train))))
        mapping = fit_mapping(
            training.values, training.ids, conditions=made.true, voxels=made.trials.space.take(np.arange(VOXELS))
            if scaler.leaves else scaler.apply(made.trials).space, unit="psc", regions=("all",), scaler=scaler,
            rescaling="spread", split=fold.sha256, settings=SETTINGS,
        )  # fmt: skip
        part = mapping.decode(made.trials.trials(made.trials.of(fold.test)))
        found += zip(part.ids, part.values, strict=True)
    return Conditions(
        space=made.true.space, ids=tuple(name for name, _ in found), values=np.stack([one for _, one in found])
    )


def scored(made: Experiment, *, seed: int, draws: int) -> ConditionScore:
    """What a report says of these conditions: in folds against `draws` refits, else against 10 times as many orders."""
    nulls = {}
    if len(made.folds) > 1:
        design = refitting_of(
            made.trials, made.true, folds=made.folds, settings=SETTINGS, rescaling="spread", single=False
        )
        with silent():
            nulls["made up"] = null_from(null_facts(design, draws=draws, seed=seed, whole=made.true))
    chances = Chances(seed=seed, bootstrap=1000, permutations=10 * draws)
    return score_map(
        "made up", decoded(made), made.true, None, chances, design=Design(folds=len(made.folds), nulls=nulls), blocks={}
    )


@dataclass(frozen=True, kw_only=True)
class Number:
    """One number of the table beside its bounds."""

    plan: str
    what: str
    value: float
    low: float
    high: float

    @property
    def kept(self) -> bool:
        """Whether it lies inside."""
        return self.low <= self.value <= self.high


def noise(plans: Sequence[Plan], *, seeds: int, draws: int) -> list[Number]:
    """Every number of pure noise with its bounds."""
    every: dict[str, list[ConditionScore]] = {}
    for plan in plans:
        bar = progress(range(seeds), desc=f"noise, {plan.name}", unit="seed")
        every[plan.name] = [scored(experiment(plan, seed=seed), seed=seed, draws=draws) for seed in bar]
    cells = 7 * len(plans)
    alpha = 1 - TOGETHER ** (1 / cells)
    return [number for name, found in every.items() for number in numbers(name, found, alpha=alpha)]


def numbers(plan: str, found: Sequence[ConditionScore], *, alpha: float) -> list[Number]:
    """The seven numbers of one design, each with the bounds that a right tool leaves with probability `alpha`."""
    seeds = len(found)
    low, high = stats.binom.ppf([alpha / 2, 1 - alpha / 2], seeds, 0.05) / seeds
    most = stats.binom.ppf(1 - alpha, seeds, 0.05) / seeds
    missed = np.array([not one.low <= one.chance <= one.high for one in found])
    top_missed = np.array([not one.top1_low <= one.top1_chance <= one.top1_high for one in found])
    p, top_p = (np.array([getattr(one, name) for one in found], float) for name in ("p", "top1_p"))
    rows = [
        Number(plan=plan, what="two-way: 95 % interval misses chance", value=missed.mean(), low=low, high=high),
        Number(plan=plan, what="top-1: 95 % interval misses chance", value=top_missed.mean(), low=0.0, high=most),
        Number(plan=plan, what="two-way: p <= .05", value=(p <= 0.05).mean(), low=low, high=high),
        Number(plan=plan, what="top-1: p <= .05", value=(top_p <= 0.05).mean(), low=0.0, high=most),
        Number(
            plan=plan, what="two-way: p uniform, Kolmogorov-Smirnov", value=float(stats.kstest(p, "uniform").pvalue),
            low=alpha, high=1.0,
        ),
    ]  # fmt: skip
    for what, off in (
        ("two-way: mean over seeds less chance", [one.two_way - one.chance for one in found]),
        ("top-1: mean over seeds less chance", [one.top1 - one.top1_chance for one in found]),
    ):
        reach = float(stats.t.ppf(1 - alpha / 2, seeds - 1) * stats.sem(off))
        rows.append(Number(plan=plan, what=what, value=float(np.mean(off)), low=-reach, high=reach))
    return rows


def power(plan: Plan, strength: float, *, seeds: int, draws: int) -> tuple[float, float, float, float]:
    """Share of seeds with p <= .05, ours and scikit-learn's; mean two-way; share of intervals that miss that mean."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import permutation_test_score

    ours, theirs, scores = [], [], list[ConditionScore]()
    for seed in progress(range(seeds), desc=f"power {strength:g}, {plan.name}", unit="seed"):
        made = experiment(plan, seed=1000 + seed, strength=strength)
        found = scored(made, seed=seed, draws=draws)
        place = {name: row for row, name in enumerate(made.true.ids)}
        folds: Any = [
            ([place[name] for name in fold.train], [place[name] for name in fold.test]) for fold in made.folds
        ]
        _, _, p = permutation_test_score(
            RidgeCV(alphas=ALPHAS), made.trials.values, made.true.values, cv=folds, n_permutations=draws,
            random_state=seed, scoring="neg_mean_squared_error",
        )  # fmt: skip
        ours.append(found.p is not None and found.p <= 0.05)
        theirs.append(p <= 0.05)
        scores.append(found)
    mean = float(np.mean([one.two_way for one in scores]))
    missed = float(np.mean([not one.low <= mean <= one.high for one in scores]))
    return float(np.mean(ours)), float(np.mean(theirs)), mean, missed


def main() -> int:
    """Prints both tables; exit code 1 where a number of the noise lies outside its bounds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.noise", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--draws", type=int, default=99)
    parser.add_argument("--power-seeds", type=int, default=40)
    asked = parser.parse_args()
    found = noise(PLANS, seeds=asked.seeds, draws=asked.draws) if asked.seeds else []
    print(f"pure noise, {asked.seeds} seeds, {asked.draws} refits; bounds hold together with probability {TOGETHER}")
    for one in found:
        mark = "" if one.kept else "   OUTSIDE"
        print(f"{one.plan:35} {one.what:40} {one.value:8.4f}   {one.low:8.4f} to {one.high:.4f}{mark}", flush=True)
    print(f"signal, {asked.power_seeds} seeds: p <= .05, ours and scikit-learn's; mean two-way; intervals that miss it")
    for plan in PLANS[1:3] if asked.power_seeds else ():
        for strength in STRENGTHS:
            ours, theirs, value, off = power(plan, strength, seeds=asked.power_seeds, draws=asked.draws)
            numbers_ = f"{ours:6.2f} {theirs:6.2f}   {value:.3f} {off:6.2f}"
            print(f"{plan.name:35} strength {strength:<4g} {numbers_}", flush=True)
    return int(not all(one.kept for one in found))


if __name__ == "__main__":
    raise SystemExit(main())
