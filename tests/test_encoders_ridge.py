"""Ridge against the normal equations, himalaya and scikit-learn, tall and wide; and what may not change a fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from brain.errors import InputError, UsageError
from encoders.ridge import DECADES, RidgeFit, RidgeSettings, fit_ridge, grouped_folds, penalties_for
from tests.rounding import largest, rounding

ALPHAS = (0.1, 1.0, 10.0, 100.0, 1000.0)
SHAPES = {"wide": (60, 150), "tall": (150, 40), "square": (80, 80)}


def problem(shape: str, *, targets: int = 7, noise: float = 2.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Voxels with unequal variance and offsets, targets with offsets and their own noise."""
    samples, voxels = SHAPES[shape]
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, voxels)) * rng.uniform(0.3, 2, voxels) + rng.normal(size=voxels)
    y = x[:, :10] @ rng.standard_normal((10, targets)) + noise * rng.uniform(0, 4, targets) * rng.standard_normal(
        (samples, targets)
    )
    return x.astype(np.float32), (y + rng.normal(size=targets) * 5).astype(np.float32)


def each(samples: int) -> list[str]:
    return [f"image{one:04d}" for one in range(samples)]


def fit(x: np.ndarray, y: np.ndarray, *, groups: list[str] | None = None, **changed: Any) -> RidgeFit:
    settings = {"alphas": ALPHAS, "folds": 5, "seed": 3, "chunk": 3} | changed
    return fit_ridge(x, y, groups=groups or each(len(x)), **settings)


def splits(samples: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The very folds of `fit`, as scikit-learn and himalaya take them."""
    fold = grouped_folds(each(samples), folds=5, seed=3)
    return [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(5)]


def normal_equations(x: np.ndarray, y: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights and intercept in float64, straight from (x'x + a) w = x'y."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    centred = x - x.mean(0)
    weights = np.linalg.solve(centred.T @ centred + alpha * np.eye(x.shape[1]), centred.T @ (y - y.mean(0)))
    return weights, y.mean(0) - x.mean(0) @ weights


def kept(x: np.ndarray, *, penalty: float, scale: float, sums: int = 1) -> float:
    """What was solved in float64 and is rounded to float32 `sums` times.

    The sums over samples and over voxels in float64 are enlarged by the condition number of x'x + penalty.
    """
    spectrum = np.linalg.svd(x - x.mean(0, dtype=np.float64), compute_uv=False) ** 2
    condition = float((spectrum[0] + penalty) / (spectrum[-1] + penalty))
    before = rounding(sums=sum(x.shape), scale=condition * scale, dtype=np.float64)
    return before + rounding(sums=sums, scale=scale)


def predicted(x: np.ndarray, ours: RidgeFit) -> float:
    """The same of a prediction: the weights are rounded, then it is itself."""
    terms = np.abs(x - ours.x_mean) @ np.abs(ours.weights) + np.abs(ours.y_mean)
    return kept(x, penalty=float(ours.alpha.min()), scale=largest(terms), sums=2)


def held_out(x: np.ndarray, y: np.ndarray, alpha: np.ndarray) -> float:
    """Of a held-out prediction: a sum in float32 over each fold's directions, of factors made in 7 operations."""
    terms = []
    for train, test in splits(len(x)):
        mean, y_mean = (values[train].mean(0, dtype=np.float64) for values in (x, y))
        left, stretch, axes = np.linalg.svd(x[train] - mean, full_matrices=False)
        seen = stretch[:, None] * (left.T @ (y[train] - y_mean)) / (stretch[:, None] ** 2 + alpha)
        terms.append(np.abs((x[test] - mean) @ axes.T) @ np.abs(seen) + np.abs(y_mean))
    return rounding(sums=min(x.shape) + 7, scale=largest(*terms))


@contextmanager
def numpy_backend() -> Iterator[None]:
    from himalaya.backend import get_backend, set_backend

    before = get_backend().name
    set_backend("numpy")
    try:
        yield
    finally:
        set_backend(before)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("alpha", [1e-3, 1.0, 300.0])
def test_equals_the_closed_form(shape: str, alpha: float) -> None:
    x, y = problem(shape)
    weights, intercept = normal_equations(x, y, alpha)
    ours = fit(x, y, alphas=(alpha,))
    np.testing.assert_allclose(ours.weights, weights, atol=kept(x, penalty=alpha, scale=largest(weights)), rtol=0)
    np.testing.assert_allclose(ours.predict(x), x @ weights + intercept, atol=predicted(x, ours), rtol=0)


@pytest.mark.parametrize("per_target", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_himalaya_with_the_same_folds(shape: str, per_target: bool) -> None:
    from himalaya.ridge import RidgeCV

    x, y = problem(shape)
    with numpy_backend():
        theirs = RidgeCV(
            alphas=ALPHAS,
            fit_intercept=True,
            cv=splits(len(x)),
            solver_params={"warn": False, "local_alpha": per_target},
        ).fit(x.astype(np.float64), y.astype(np.float64))
        coefficients, prediction = np.asarray(theirs.coef_), np.asarray(theirs.predict(x.astype(np.float64)))
        alphas = np.asarray(theirs.best_alphas_)
    ours = fit(x, y, per_target=per_target)
    assert (len(set(alphas)) > 1) == per_target, "an oracle that agrees on one penalty only shows little"
    # himalaya keeps a penalty as the logarithm of its inverse: a quotient, a logarithm and an exponential
    through = rounding(sums=3, scale=largest(np.log(ALPHAS)), dtype=np.float64)
    np.testing.assert_allclose(ours.alpha, alphas, rtol=through)
    bound = kept(x, penalty=ours.alpha.min(), scale=largest(coefficients))
    np.testing.assert_allclose(ours.weights, coefficients, atol=bound, rtol=0)
    np.testing.assert_allclose(ours.predict(x), prediction, atol=predicted(x, ours), rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_scikit_learn_with_the_same_folds(shape: str) -> None:
    from sklearn.linear_model import Ridge, RidgeCV

    x, y = problem(shape)
    ours = fit(x, y)
    bound = held_out(x, y, ours.alpha)
    for target in range(y.shape[1]):
        theirs = RidgeCV(alphas=ALPHAS, cv=splits(len(x)), scoring="neg_mean_squared_error").fit(
            x.astype(np.float64), y[:, target].astype(np.float64)
        )
        assert ours.alpha[target] == pytest.approx(theirs.alpha_)
        alone = kept(x, penalty=theirs.alpha_, scale=largest(theirs.coef_))
        np.testing.assert_allclose(ours.weights[:, target], theirs.coef_, atol=alone, rtol=0)
        held = np.empty(len(x))
        for train, test in splits(len(x)):
            one = Ridge(alpha=theirs.alpha_).fit(x[train].astype(np.float64), y[train, target].astype(np.float64))
            held[test] = one.predict(x[test].astype(np.float64))
        np.testing.assert_allclose(ours.cv_prediction[:, target], held, atol=bound, rtol=0)
        spread = np.square(y[:, target] - y[:, target].mean(dtype=np.float64)).sum()
        r2 = 1 - np.square(held - y[:, target]).sum() / spread
        # the predictions' bound through the squares, and a difference, a square, a quotient and what is kept
        through = 2 * np.abs(held - y[:, target]).sum() * bound / spread + rounding(sums=4, scale=largest(r2))
        assert ours.cv_r2[target] == pytest.approx(r2, abs=through)


def test_kernel_and_covariance_form_agree() -> None:
    x, y = problem("square")
    kernel = fit(x, y)
    covariance = fit(x[:, :79], y)  # 80 samples, 79 voxels: the other form
    last = x.copy()
    last[:, 79] = 7  # a voxel that never moves brings the kernel form to the same 79
    again = fit(last, y)
    np.testing.assert_array_equal(again.weights[79], 0)
    np.testing.assert_array_equal(again.alpha, covariance.alpha)
    bound = kept(x[:, :79], penalty=covariance.alpha.min(), scale=largest(covariance.weights))
    np.testing.assert_allclose(again.weights[:79], covariance.weights, atol=bound, rtol=0)
    bound = held_out(x[:, :79], y, covariance.alpha)
    np.testing.assert_allclose(again.cv_prediction, covariance.cv_prediction, atol=bound, rtol=0)
    assert not np.allclose(kernel.weights[:79], covariance.weights, atol=0.1, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_chunks_change_nothing_but_last_bits(shape: str) -> None:
    x, y = problem(shape)
    one, all_ = fit(x, y, chunk=1), fit(x, y, chunk=100)
    np.testing.assert_array_equal(one.alpha, all_.alpha)
    bound = kept(x, penalty=one.alpha.min(), scale=largest(one.weights))
    np.testing.assert_allclose(one.weights, all_.weights, atol=bound, rtol=0)
    bound = held_out(x, y, one.alpha)
    np.testing.assert_allclose(one.cv_prediction, all_.cv_prediction, atol=bound, rtol=0)


def test_the_order_of_rows_changes_nothing() -> None:
    x, y = problem("wide")
    order = np.random.default_rng(1).permutation(len(x))
    groups = each(len(x))
    straight, shuffled = fit(x, y, groups=groups), fit(x[order], y[order], groups=[groups[one] for one in order])
    np.testing.assert_array_equal(straight.alpha, shuffled.alpha)
    bound = kept(x, penalty=straight.alpha.min(), scale=largest(straight.weights))
    np.testing.assert_allclose(straight.weights, shuffled.weights, atol=bound, rtol=0)
    bound = held_out(x, y, straight.alpha)
    np.testing.assert_allclose(straight.cv_prediction[order], shuffled.cv_prediction, atol=bound, rtol=0)


def test_a_held_out_stimulus_is_predicted_without_its_own_rows() -> None:
    """Poison one stimulus' targets: the predictions of its own rows come from fits that never saw them."""
    x, y = problem("wide")
    groups = [f"image{one // 3:03d}" for one in range(len(x))]  # three repeats each
    clean = fit(x, y, groups=groups, alphas=(10.0,))
    poisoned = y.copy()
    poisoned[:3] = 1e6
    dirty = fit(x, poisoned, groups=groups, alphas=(10.0,))
    np.testing.assert_array_equal(clean.cv_prediction[:3], dirty.cv_prediction[:3])
    assert np.abs(dirty.cv_prediction[3:] - clean.cv_prediction[3:]).max() > 1


@pytest.mark.parametrize("seed", range(5))
def test_folds_are_grouped_balanced_and_free_of_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.choice([f"s{one}" for one in range(23)], 90)
    fold = grouped_folds(groups, folds=4, seed=seed)
    for group in set(groups.tolist()):
        assert len(set(fold[groups == group].tolist())) == 1
    sizes = [len(set(groups[fold == one].tolist())) for one in range(4)]
    assert max(sizes) - min(sizes) <= 1 and min(sizes) > 0
    order = rng.permutation(90)
    np.testing.assert_array_equal(grouped_folds(groups[order], folds=4, seed=seed), fold[order])


def test_a_sample_alone_has_the_bits_it_has_in_a_batch() -> None:
    x, y = problem("wide", targets=150)
    ours = fit(x, y)
    together = ours.predict(x)
    for rows in (slice(0, 1), slice(5, 6), slice(3, 10), slice(0, 60, 7)):
        np.testing.assert_array_equal(ours.predict(x[rows]), together[rows])
    np.testing.assert_array_equal(ours.predict(x[::-1])[::-1], together)


def test_constant_targets_and_voxels_stay_finite() -> None:
    x, y = problem("wide")
    y[:, 2], x[:, 4] = 0.1, 3.3
    ours = fit(x, y)
    assert np.isfinite(ours.weights).all() and np.isfinite(ours.cv_r2).all()
    np.testing.assert_array_equal(ours.predict(x)[:, 2], y[:, 2])
    np.testing.assert_array_equal(ours.cv_prediction[:, 2], y[:, 2])
    np.testing.assert_array_equal(ours.weights[4], 0)
    assert ours.constant.tolist() == [False, False, True, False, False, False, False]
    assert ours.cv_r2[2] == 0
    assert any("never move" in note for note in ours.notes)


@pytest.mark.parametrize("shape", SHAPES)
def test_voxels_of_rank_one(shape: str) -> None:
    samples, voxels = SHAPES[shape]
    rng = np.random.default_rng(0)
    line = rng.standard_normal(samples)
    x = np.outer(line, rng.standard_normal(voxels)).astype(np.float32)
    y = np.stack([line, rng.standard_normal(samples)], axis=1).astype(np.float32)
    ours = fit(x, y)
    assert np.isfinite(ours.weights).all()
    assert ours.cv_r2[0] > 0.99 and ours.cv_r2[1] < 0.1


def test_voxels_that_never_move_at_all_predict_the_mean() -> None:
    y = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    for voxels in (5, 40):
        ours = fit(np.ones((20, voxels), np.float32), y)
        np.testing.assert_array_equal(ours.weights, 0)
        found = ours.predict(np.ones((1, voxels), np.float32))[0]
        np.testing.assert_allclose(found, y.mean(0, dtype=np.float64), atol=rounding(sums=1, scale=1.0), rtol=0)


def test_noise_chooses_the_edge_and_says_so() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 150)).astype(np.float32), rng.standard_normal((60, 20)).astype(np.float32)
    ours = fit(x, y)
    assert ours.at_edge > 0.5
    assert any("edge of the grid 0.1 to 1000" in note for note in ours.notes)
    signal = rng.standard_normal((150, 40)).astype(np.float32)
    answer = signal @ rng.standard_normal((40, 5)).astype(np.float32) + 6 * rng.standard_normal((150, 5))
    assert fit(signal, answer.astype(np.float32), alphas=(1e-6, 1.0, 10.0, 100.0, 1e6)).notes == ()


def test_an_edge_where_nothing_changes_any_more_is_none() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((80, 300)).astype(np.float32)
    exact = (x @ rng.standard_normal((300, 4)) / 17).astype(np.float32)  # wants no penalty, however small
    noise = rng.standard_normal((80, 4)).astype(np.float32)  # wants all there is
    ours = fit(x, np.hstack([exact, noise]), alphas=(1e-3, 1e-2, 1e5, 1e7, 1e9))
    assert {1e-3, 1e9} <= set(ours.alpha.tolist())
    assert ours.at_edge == 0 and ours.notes == ()


def test_what_cannot_be_fitted_is_said_in_one_sentence() -> None:
    x, y = problem("wide")
    holed = x.copy()
    holed[3, 3] = np.nan
    for wrong, kind in (
        (lambda: fit(holed, y), InputError),
        (lambda: fit(x, y[:-1]), InputError),
        (lambda: fit(x, y, groups=["one", "two"] * 30), InputError),
        (lambda: fit(x, y, alphas=(0.0,)), UsageError),
        (lambda: fit(x, y, folds=1), UsageError),
        (lambda: fit(x, y).predict(x[:, :-1]), InputError),
    ):
        with pytest.raises(kind) as said:
            wrong()
        assert "\n" not in str(said.value)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("unit", [1e-3, 1.0, 700.0])
def test_penalties_that_nobody_names_follow_the_data(shape: str, unit: float) -> None:
    x, y = problem(shape)
    x = (unit * x).astype(np.float32)
    centred = x.astype(np.float64) - x.mean(0, dtype=np.float64)
    squared = np.linalg.svd(centred, compute_uv=False) ** 2
    mean = squared.sum() / min(len(x) - 1, x.shape[1])
    ours = fit(x, y, alphas=())
    steps = np.log10(ours.alphas)
    np.testing.assert_allclose(np.diff(steps), 0.5)
    np.testing.assert_allclose(2 * steps, np.round(2 * steps), atol=rounding(sums=1, scale=60.0))
    low, high = DECADES
    assert abs(steps[0] - np.log10(mean) - low) <= 0.26 and abs(steps[-1] - np.log10(mean) - high) <= 0.26
    named = fit(x, y, alphas=ours.alphas)
    np.testing.assert_array_equal(ours.weights, named.weights)
    assert RidgeSettings().alphas == ()


def test_data_that_never_move_have_a_scale_too() -> None:
    x, y = np.ones((20, 5), np.float32), np.random.default_rng(0).standard_normal((20, 2)).astype(np.float32)
    assert penalties_for(x)[0] == 1e-3 and fit(x, y, alphas=()).alpha.tolist() == [1e4, 1e4]

