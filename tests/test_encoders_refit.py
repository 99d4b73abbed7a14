"""Refits are what a fit in folds gives, patterns are permuted where the design allows, and noise has a fair p."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.noise import SETTINGS, Plan, decoded, experiment, noise, numbers, power, scored
from brain.data.averages import average_repeats
from brain.data.standardise import SessionScaler
from brain.splits.leave_out import leave_out
from brain.types import Responses, Split
from brain.voxels import VoxelSpace
from encoders.conditions import Conditions, SpaceCard
from encoders.mappings._parts import refit
from encoders.mappings._parts.linear import MappingSettings, fit_mapping
from encoders.mappings._parts.refit import Refitting, exchangeable, permuted, refits, refitting_of, sizes, some_of
from encoders.ridge import RidgeSettings
from tests.rounding import rounding

STIMULI, VOXELS, TARGETS = 24, 30, 7
CARD = SpaceCard(name="toy", model="m", revision="r", layer="l", normalisation="none", shape=(TARGETS,))


def recorded(way: str, *, repeats: int = 2, seed: int = 0) -> tuple[Responses, Conditions]:
    rng = np.random.default_rng(seed)
    ids = [f"s{one:02d}" for one in range(STIMULI)]
    truth = (rng.normal(size=(STIMULI, TARGETS)) + 3).astype(np.float32)
    stimulus = np.tile(ids, repeats)
    session = rng.integers(1, 4, len(stimulus))
    values = np.tile(truth, (repeats, 1)) @ rng.normal(size=(TARGETS, VOXELS)) / 2
    values = values + 2 * rng.normal(size=(len(stimulus), VOXELS)) + 2 * session[:, None]
    space = VoxelSpace(
        subject="one", name="native", betas="none", unit="psc", shape=(VOXELS, 1, 1), affine=np.eye(4),
        ijk=np.stack([np.arange(VOXELS), np.zeros(VOXELS), np.zeros(VOXELS)], 1).astype(int),
    )  # fmt: skip
    trials = Responses(
        values=values, stimulus=stimulus, session=session, repeat=np.repeat(np.arange(repeats), STIMULI), space=space,
        standardise=way,
    )  # fmt: skip
    return trials, Conditions(space=CARD, values=truth, ids=tuple(ids))


def folds_of(count: int, *, spared: int = 0) -> tuple[Split, ...]:
    ids = [f"s{one:02d}" for one in range(STIMULI)]
    folds, _ = leave_out({str(one): ids[one::count] for one in range(count)}, sound=False)
    return tuple(replace(fold, train=fold.train[spared:]) for fold in folds)


def fitted(
    trials: Responses, true: Conditions, folds: tuple[Split, ...], *, kind: str, single: bool, settings: MappingSettings
) -> np.ndarray:
    """What mappings decode that are fitted fold by fold, as a run fits them."""
    found = {}
    for fold in folds:
        rows = trials.of(fold.train)
        scaler = SessionScaler.fit(trials, rows)
        training = scaler.apply(trials.trials(rows))
        patterns, ids = training.values, tuple(training.stimulus.tolist())
        if not single:
            averaged = average_repeats(training)
            patterns, ids = averaged.values, averaged.ids
        mapping = fit_mapping(
            patterns, ids, conditions=true, voxels=training.space, unit="psc", regions=("all",), scaler=scaler,
            rescaling=kind, split=fold.sha256, settings=settings,
        )  # fmt: skip
        part = mapping.decode(trials.trials(trials.of(fold.test)))
        found |= dict(zip(part.ids, part.values, strict=True))
    return np.stack([found[name] for name in sorted(found)])


def designed(trials: Responses, true: Conditions, folds: tuple[Split, ...], **more: object) -> Refitting:
    facts: dict[str, object] = {"settings": MappingSettings(), "rescaling": "spread", "single": False, **more}
    return refitting_of(trials, true, folds=folds, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", ["none", "all", "session"])
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(("count", "spared"), [(4, 0), (STIMULI, 0), (4, 3)])
def test_the_true_assignment_is_the_fit_fold_by_fold(way: str, single: bool, count: int, spared: int) -> None:
    trials, true = recorded(way)
    folds = folds_of(count, spared=spared)
    for kind, shared in (("none", False), ("spread", True), ("spread+norm", False)):
        settings = MappingSettings(ridge=RidgeSettings(per_target=not shared))
        want = fitted(trials, true, folds, kind=kind, single=single, settings=settings)
        design = designed(trials, true, folds, settings=settings, rescaling=kind, single=single)
        (found,) = refits(design, draws=0, seed=0)
        # the run's ridge predicts in float32, whose rounding the gain of the restoration stretches
        slack = rounding(sums=STIMULI * VOXELS, scale=float(np.abs(want).max()), dtype=np.float32)
        np.testing.assert_allclose(found, want, atol=slack, rtol=0)


def test_of_large_designs_only_the_spread_of_a_voxel_differs() -> None:
    trials, true = recorded("all")
    folds = folds_of(4)
    want = fitted(trials, true, folds, kind="spread", single=False, settings=MappingSettings())
    design = designed(trials, true, folds)
    once = replace(design, anew=False, values=(trials.values - trials.values.mean(0)) / trials.values.std(0))
    (found,) = refits(once, draws=0, seed=0)
    assert design.anew and 0.98 < np.corrcoef(found.ravel(), want.ravel())[0, 1] < 1
    assert once.seconds < design.seconds


def test_a_permutation_is_the_fit_of_those_patterns_under_other_names() -> None:
    """Within sessions, so that mean and spread are those of the training trials under the new names."""
    trials, true = recorded("session")
    design = designed(trials, true, folds_of(4))
    _, found = refits(design, draws=1, seed=5)
    order = permuted(design, np.random.default_rng([5, 3, 0]))
    assert sorted(order.tolist()) == list(range(STIMULI)) and (order != np.arange(STIMULI)).any()
    names = {name: design.ids[place] for name, place in zip(design.ids, order.tolist(), strict=True)}
    renamed = replace(trials, stimulus=np.array([names[name] for name in trials.stimulus.tolist()]))
    want = fitted(renamed, true, folds_of(4), kind="spread", single=False, settings=MappingSettings())
    slack = rounding(sums=STIMULI * VOXELS, scale=float(np.abs(want).max()), dtype=np.float32)
    np.testing.assert_allclose(found, want, atol=slack, rtol=0)


def test_a_refit_depends_on_its_number_and_the_seed_alone() -> None:
    design = designed(*recorded("all"), folds_of(4))
    few, many = list(refits(design, draws=2, seed=1)), list(refits(design, draws=4, seed=1))
    assert all(np.array_equal(one, other) for one, other in zip(few, many, strict=False))
    assert not np.array_equal(many[1], list(refits(design, draws=1, seed=2))[1])


def test_of_very_many_targets_some_are_drawn_and_all_are_taken_where_that_is_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trials, true = recorded("all")
    wide = Conditions(
        space=replace(CARD, shape=(40, 20)), ids=true.ids,
        values=np.random.default_rng(0).normal(size=(STIMULI, 40, 20)).astype(np.float32),
    )  # fmt: skip
    flat = wide.values.reshape(STIMULI, -1)
    np.testing.assert_array_equal(designed(trials, wide, folds_of(4)).truth, flat)
    monkeypatch.setattr(refit, "SOON", 0.0)
    few = designed(trials, wide, folds_of(4)).truth
    np.testing.assert_array_equal(few, flat[:, some_of(800)])
    # no row and no column of a picture stands for all
    rows, columns = np.divmod(some_of(64 * 64), 64)
    assert len(set(rows.tolist())) > 55 and len(set(columns.tolist())) > 55 and len(some_of(4096)) == 256


def blocks(owner: list[int], session: list[int], clips: list[str] | None = None) -> list[set[int]]:
    names = np.array(clips or [f"s{one}" for one in range(max(owner) + 1)])
    found = exchangeable(np.array(owner), np.array(session), clips=names, sets=True)
    return sorted((set(np.flatnonzero(found == one).tolist()) for one in np.unique(found)), key=min)


def test_stimuli_change_places_within_their_sessions_where_the_design_has_such() -> None:
    # each in one session
    assert blocks([0, 1, 2, 3], [0, 0, 1, 1]) == [{0, 1}, {2, 3}]
    # each in two, which it shares with others
    assert blocks([0, 1, 2, 3, 4, 5] * 2, [0, 0, 0, 2, 2, 2, 1, 1, 1, 3, 3, 3]) == [{0, 1, 2}, {3, 4, 5}]
    # one trial elsewhere frees nobody
    anchored = [*range(10), 0], [0] * 5 + [1] * 5 + [1]
    assert [len(one) for one in blocks(*anchored)] == [5, 5]
    # a session of its own for each: they may all change places
    assert blocks([0, 1, 2, 3], [0, 1, 2, 3]) == [{0, 1, 2, 3}]
    # repeats that spread as they like
    assert blocks([0, 1, 2, 3] * 2, [0, 0, 1, 1, 1, 2, 2, 0]) == [{0, 1, 2, 3}]
    assert blocks([0, 1, 2, 3], [0, 0, 0, 0]) == [{0, 1, 2, 3}]


def test_stimuli_change_places_with_those_shown_as_often() -> None:
    assert blocks([0, 0, 1, 1, 2, 3], [0] * 6) == [{0, 1}, {2, 3}]
    # those shown as often as no other are joined with the next, two by two and no more
    owner = [stimulus for stimulus in range(6) for _ in range(1 + stimulus)]
    assert blocks(owner, [0] * len(owner)) == [{0, 1}, {2, 3}, {4, 5}]
    assert blocks([0, 0, 0, 1, 1, 2, 3], [0] * 7) == [{0, 1}, {2, 3}]
    assert blocks([0, 0, 1, 2, 3], [0] * 5) == [{0, 1, 2, 3}]


def test_refits_for_chance_leave_no_pattern_with_its_stimulus() -> None:
    trials, true = recorded("all")
    inside = replace(trials, session=np.tile(1 + np.arange(STIMULI) // 4, 2))
    design = designed(inside, true, folds_of(4))
    assert sizes(design) == [4] * 6
    for seed in range(20):
        order = permuted(design, np.random.default_rng(seed), moved=True)
        assert (order != np.arange(STIMULI)).all() and sorted(order.tolist()) == list(range(STIMULI))
        assert (design.blocks[order] == design.blocks).all()


def test_the_windows_of_a_clip_stay_together() -> None:
    ids = [f"c{clip}_slide{window}" for clip in range(5) for window in range(3)]
    trials, _ = recorded("all")
    sounds = replace(trials.trials(np.arange(15)), stimulus=np.array(ids))
    card = SpaceCard(name="clap", model="m", revision="r", layer="l", normalisation="none", shape=(TARGETS,))
    true = Conditions(space=card, ids=tuple(ids), values=np.ones((15, TARGETS), np.float32))
    folds, _ = leave_out({str(clip): ids[3 * clip : 3 * clip + 3] for clip in range(5)}, sound=True)
    design = designed(sounds, true, folds, settings=MappingSettings(ridge=RidgeSettings(folds=2)))
    order = permuted(design, np.random.default_rng(1))
    assert (order.reshape(5, 3) % 3 == [0, 1, 2]).all() and (np.ptp(order.reshape(5, 3) // 3, axis=1) == 0).all()


SMALL = (
    Plan(name="one test set of 30", stimuli=60, folds=0),
    Plan(name="24 stimuli in 6 folds", stimuli=24, folds=6),
    Plan(name="16 stimuli, leave-one-out", stimuli=16, folds=1),
    Plan(name="18 stimuli in 3 folds of their kind", stimuli=18, folds=3, kinds=3, alike=True),
    Plan(name="20 stimuli, blocked, sessions drift", stimuli=20, folds=5, kinds=4, drift=True),
)


def test_noise_is_noise_in_every_design() -> None:
    """The benchmark's numbers in a small form; docs/background/statistics.md has those of 100 seeds."""
    found = noise(SMALL, seeds=8, draws=39)
    assert len(found) == 7 * len(SMALL)
    outside = [one for one in found if not one.kept]
    assert not outside, outside


def test_the_bounds_catch_a_tool_that_is_wrong() -> None:
    """Narrow intervals, a p that is too small, a p that is not uniform and a wrong chance: each is found."""
    found = [scored(experiment(SMALL[2], seed=seed), seed=seed, draws=39) for seed in range(10)]

    def kept(**wrong: float) -> list[bool]:
        return [one.kept for one in numbers("x", [replace(one, **wrong) for one in found], alpha=0.01)]

    assert not kept(low=0.0, high=0.1)[0] and not kept(p=0.01)[2] and not kept(p=0.5)[4]
    assert not kept(top1_p=0.01)[3] and not kept(chance=0.8)[5] and not kept(top1_chance=0.5)[6]


def test_a_planted_signal_is_found_as_scikit_learn_finds_it() -> None:
    plan = SMALL[1]
    ours, theirs, value, _ = power(plan, 0.8, seeds=4, draws=19)
    assert ours == 1 and theirs >= 0.5 and value > 0.7


def test_conditions_of_one_test_set_keep_the_permutation_inside_it() -> None:
    made = experiment(SMALL[0], seed=3, strength=0.8)
    found = scored(made, seed=0, draws=19)
    assert found.chance == 0.5 and found.p == 1 / 191 and found.refits == 0 and found.top1_chance == 1 / 30
    assert found.low > 0.5 and len(decoded(made)) == 30 and SETTINGS.rank == 0
    assert stats.kstest([0.1, 0.5, 0.9], "uniform").pvalue > 0.05
