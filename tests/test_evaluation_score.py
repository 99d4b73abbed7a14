"""Means are taken in one order, intervals cover, p-values are uniform when there is nothing to find."""

from __future__ import annotations

import inspect
import itertools

import numpy as np
import pytest
from scipy import stats

from evaluation.score import (
    Chances,
    Marks,
    Score,
    Tally,
    assignments,
    corrected,
    interval,
    mismatched,
    permutation_p,
    resamples,
    score,
    units_of,
)
from evaluation.similarity import two_way_marks
from tests.rounding import rounding


def test_seeds_are_averaged_within_the_stimulus_first() -> None:
    tally = Tally(2)
    tally.add(Marks(table=np.array([[1, 0], [0, 0]], np.float32)), np.array([0, 1]))
    tally.add(Marks(table=np.array([[0, 0.5]], np.float32)), np.array([0]))
    assert np.diagonal(tally.table).tolist() == [0.5, 0.0]  # not the 1/3 of pooled samples
    assert tally.table[0].tolist() == [0.5, 0.25]
    assert tally.samples == 3 and tally.seed_sd == pytest.approx(np.std([0.5, 0.0], ddof=1))


def test_a_stimulus_without_samples_is_left_out() -> None:
    tally = Tally(3)
    tally.add(Marks(table=np.array([[1, 0, 0], [0, 0.5, 0]], np.float32)), np.array([0, 1]))
    found = score(
        tally, Chances(seed=0, bootstrap=100, permutations=10), row="r", metric="m", judge="", ids=("a", "b", "c"),
        chance=0.0, bounds=(0, 1), blocks=np.zeros(3, np.int64), withheld=1,
    )  # fmt: skip
    assert found is not None and found.n == 2 and found.value == 0.75 and found.withheld == 1 and found.pool == 3
    assert np.isnan(found.values[2])


def test_nothing_to_score_is_none() -> None:
    chances = Chances(seed=0, bootstrap=100, permutations=10)
    blocks = np.zeros(3, np.int64)
    assert (
        score(Tally(3), chances, row="r", metric="m", judge="", ids=("a", "b", "c"), chance=0.0, bounds=(0, 1),
              blocks=blocks, withheld=3) is None
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["normal", "skewed", "shares"])
def test_intervals_cover_the_truth(kind: str) -> None:
    rng = np.random.default_rng(0)
    truth = {"normal": 0.3, "skewed": 1.0, "shares": 0.8}[kind]
    weights = resamples(60, draws=1000, rng=rng)
    covered = 0
    for _ in range(200):
        draw = {
            "normal": lambda: rng.normal(0.3, 1, 60),
            "skewed": lambda: rng.exponential(1, 60),
            "shares": lambda: rng.beta(4, 1, 60),
        }[kind]()
        low, high = interval(draw, weights, level=0.95)
        covered += low <= truth <= high
    assert 0.90 <= covered / 200 <= 0.99


@pytest.mark.parametrize("signal", [0.0, 0.35])
def test_two_way_intervals_cover_the_value_over_all_stimuli(signal: float) -> None:
    """The truth is that of the population: other stimuli would have been other wrong answers too."""
    rng = np.random.default_rng(1)

    def experiment(n: int) -> Marks:
        references = rng.normal(size=(n, 12))
        samples = signal * references + rng.normal(size=(n, 12))
        # a prototype that many samples drift to makes some stimuli popular wrong answers
        samples += 0.7 * references.mean(axis=0) + 0.5
        unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (samples, references)]
        return two_way_marks(unit[0] @ unit[1].T, np.arange(n))

    truth = float(np.mean([np.diagonal(experiment(300).table).mean() for _ in range(20)]))
    weights = resamples(50, draws=600, rng=rng)
    covered = 0
    for _ in range(200):
        marks = experiment(50)
        assert marks.distractor is not None
        units = units_of(np.diagonal(marks.table).astype(float), marks.distractor.astype(float))
        # values, distractors and their mean over all stimuli, none above 1
        bound = rounding(sums=3 * len(units) + 2, scale=1.0, dtype=np.float64)
        assert units.mean() == pytest.approx(np.diagonal(marks.table).mean(dtype=np.float64), abs=bound)
        low, high = interval(units, weights, level=0.95)
        covered += low <= truth <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_bca_equals_scipy() -> None:
    values = np.random.default_rng(2).exponential(1, 40)
    # scipy 1.15 renamed the argument
    name = "rng" if "rng" in inspect.signature(stats.bootstrap).parameters else "random_state"
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method="BCa", **{name: np.random.default_rng(3)}
    ).confidence_interval
    ours = interval(values, resamples(40, draws=20000, rng=np.random.default_rng(4)), level=0.95)
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_values_all_alike_have_no_width() -> None:
    weights = resamples(5, draws=100, rng=np.random.default_rng(0))
    assert interval(np.full(5, 0.7), weights, level=0.95) == pytest.approx((0.7, 0.7))


@pytest.mark.parametrize("blocks", [1, 4])
def test_p_is_uniform_under_the_null(blocks: int) -> None:
    rng = np.random.default_rng(5)
    orders = assignments(np.arange(24) % blocks, draws=199, rng=rng)
    found = []
    for _ in range(300):
        similar = rng.normal(size=(24, 24))
        found.append(permutation_p(two_way_marks(similar, np.arange(24)).table.astype(float), orders))
    assert stats.kstest(found, "uniform").pvalue > 0.001
    assert 0.01 <= np.mean(np.array(found) <= 0.05) <= 0.1


def test_p_equals_all_permutations_by_hand() -> None:
    table = np.random.default_rng(6).normal(size=(4, 4))
    every = np.array(list(itertools.permutations(range(4))))
    # sums in another order are ties
    slack = rounding(sums=4, scale=float(np.abs(table).sum()), dtype=np.float64)
    reached = sum(table[range(4), order].sum() >= np.trace(table) - slack for order in every)
    assert permutation_p(table, every) == (1 + reached) / 25


def test_p_is_small_for_a_true_effect_and_one_for_a_constant() -> None:
    orders = assignments(np.zeros(20, np.int64), draws=999, rng=np.random.default_rng(7))
    assert permutation_p(np.eye(20), orders) == 1 / 1000
    assert permutation_p(np.full((20, 20), 0.1), orders) == 1.0


def test_assignments_stay_in_their_blocks() -> None:
    blocks = np.array([0, 0, 1, 1, 1, 2])
    orders = assignments(blocks, draws=50, rng=np.random.default_rng(8))
    assert (blocks[orders] == blocks).all() and (np.sort(orders, axis=1) == np.arange(6)).all()
    assert len(np.unique(orders, axis=0)) > 5


def test_chance_is_the_mean_over_mismatched_pairs() -> None:
    table = np.array([[9, 1, np.nan], [2, 9, 3], [np.nan, 6, 9]])
    assert mismatched(table) == 3


def test_intervals_cover_with_seeds_nested_in_stimuli() -> None:
    """A stimulus has an effect of its own and every seed another: the interval is for new stimuli with new seeds."""
    rng, weights = np.random.default_rng(9), resamples(40, draws=1000, rng=np.random.default_rng(10))
    covered = 0
    for _ in range(200):
        samples = 0.4 + rng.normal(0, 0.3, (40, 1)) + rng.normal(0, 0.6, (40, 5))
        low, high = interval(samples.mean(axis=1), weights, level=0.95)
        covered += low <= 0.4 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_permutations_inside_sessions_are_not_fooled_by_drift() -> None:
    """Stimuli of one session are alike, in brain and in order of the pictures: free permutations find 'an effect'."""
    rng, inside, free = np.random.default_rng(11), [], []
    sessions = np.repeat(np.arange(4), 8)
    within = assignments(sessions, draws=199, rng=rng)
    anywhere = assignments(np.zeros(32, np.int64), draws=199, rng=rng)
    for _ in range(100):
        table = rng.normal(size=(32, 32)) + 1.5 * (sessions[:, None] == sessions[None, :])
        inside.append(permutation_p(table, within))
        free.append(permutation_p(table, anywhere))
    assert np.mean(np.array(free) <= 0.05) > 0.9
    assert stats.kstest(inside, "uniform").pvalue > 0.001


def test_a_distance_is_tested_downwards() -> None:
    table, ids = 1 - 0.9 * np.eye(12), tuple("abcdefghijkl")
    tally = Tally(12)
    tally.add(Marks(table=table.astype(np.float32)), np.arange(12))
    found = score(
        tally, Chances(seed=0, bootstrap=100, permutations=199), row="r", metric="m", judge="", ids=ids, chance=None,
        bounds=(0, 2), blocks=np.zeros(12, np.int64), withheld=0, lower=True,
    )  # fmt: skip
    assert found is not None and found.lower and found.p == 1 / 200 and found.chance == pytest.approx(1.0)


def test_nobody_to_change_places_with_is_no_p() -> None:
    tally = Tally(4)
    tally.add(Marks(table=np.eye(4, dtype=np.float32)), np.arange(4))
    found = score(
        tally, Chances(seed=0, bootstrap=100, permutations=99), row="r", metric="m", judge="", ids=tuple("abcd"),
        chance=0.5, bounds=(0, 1), blocks=np.arange(4), withheld=0,
    )  # fmt: skip
    assert found is not None and found.p is None


def _scores(chances: Chances, tables: list[np.ndarray]) -> list[Score]:
    found = []
    for number, table in enumerate(tables):
        tally = Tally(len(table))
        tally.add(Marks(table=table.astype(np.float32)), np.arange(len(table)))
        one = score(
            tally, chances, row="decoded", metric=f"m{number}", judge="", ids=tuple(map(str, range(len(table)))),
            chance=0.0, bounds=(-9, 9), blocks=np.zeros(len(table), np.int64), withheld=0,
        )  # fmt: skip
        assert one is not None
        found.append(one)
    return found


def test_q_is_benjamini_hochberg_and_keeps_false_discoveries_rare() -> None:
    rng, false = np.random.default_rng(12), []
    for round_ in range(40):
        tables = [rng.normal(size=(16, 16)) for _ in range(15)] + [rng.normal(size=(16, 16)) + 2 * np.eye(16)] * 5
        found = corrected(_scores(Chances(seed=round_, bootstrap=100, permutations=199), tables))
        by_hand = stats.false_discovery_control([one.p for one in found])
        assert [one.q for one in found] == pytest.approx(by_hand.tolist())
        hits = [number for number, one in enumerate(found) if one.q is not None and one.q <= 0.1]
        assert set(range(15, 20)) <= set(hits)
        false.append(sum(number < 15 for number in hits) / max(1, len(hits)))
    assert np.mean(false) <= 0.15
