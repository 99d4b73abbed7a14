"""Encoding models as likelihoods: against the formula written out, over showings, streamed, alone, and on noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from brain.errors import InputError
from encoders.conditions import Conditions, SpaceCard
from encoders.ridge import grouped_folds
from encoders.voxelwise.banks import Components
from encoders.voxelwise.encoding import Encoding, Evidence, fit_encoding
from encoders.voxelwise.features import Features
from encoders.voxelwise.noise import Noise, fit_noise, shrinkage_of
from encoders.voxelwise.posterior import first_few, posterior, settled
from encoders.voxelwise.reading import held_in
from tests.rounding import rounding

EXACT = 1e-8
"""Of a log density, relative to the largest term in it."""


def studied(
    *, stimuli: int = 120, voxels: int = 40, features: int = 6, often: int = 3, signal: float = 1.0, seed: int = 0
) -> dict[str, np.ndarray]:
    """A linear brain: correlated misfit and correlated measurement noise of known covariances, `often` showings."""
    rng = np.random.default_rng(seed)
    weights = signal * rng.standard_normal((features, voxels))
    misfit = rng.standard_normal((voxels, 5)) / 2
    measured = rng.standard_normal((voxels, 5))
    x = rng.standard_normal((stimuli, features))
    clean = x @ weights + rng.standard_normal((stimuli, 5)) @ misfit.T + 0.5 * rng.standard_normal((stimuli, voxels))
    noise = rng.standard_normal((often, stimuli, 5)) @ measured.T + rng.standard_normal((often, stimuli, voxels))
    trials = clean + noise
    return {
        "features": x.astype(np.float32), "patterns": trials.mean(0).astype(np.float32),
        "deviations": (trials - trials.mean(0)).reshape(-1, voxels).astype(np.float32),
        "showings": np.full(stimuli, often), "misfit": misfit @ misfit.T + 0.25 * np.eye(voxels),
        "measured": measured @ measured.T + np.eye(voxels), "weights": weights,
    }  # fmt: skip


def fitted(data: dict[str, np.ndarray], **more: float) -> Encoding:
    names = [f"s{one:03d}" for one in range(len(data["features"]))]
    return fit_encoding(
        data["features"], data["patterns"], groups=names, showings=data["showings"], deviations=data["deviations"],
        **more,
    )  # fmt: skip


@pytest.mark.parametrize("voxels", [7, 40, 300])
def test_a_likelihood_is_the_dense_formulas(voxels: int) -> None:
    data = studied(voxels=voxels)
    encoding = fitted(data, floor=-1.0)
    rng = np.random.default_rng(1)
    candidates = rng.standard_normal((9, 6)).astype(np.float32)
    showings = np.array([1, 3, 2, 3, 1])
    found = encoding.evidence(data["patterns"][:5], showings).log_likelihood(candidates)
    weights = encoding.weights.astype(np.float64)
    expected = encoding.means + (candidates.astype(np.float64) - encoding.centre) @ weights
    for row, count in enumerate(showings.tolist()):
        assert encoding.noise is not None
        dense = multivariate_normal(cov=encoding.noise.covariance(count), allow_singular=False)
        pattern = data["patterns"][row].astype(np.float64)[encoding.columns]
        truth = [dense.logpdf(pattern - one) for one in expected]
        scale = np.abs(encoding.evidence(data["patterns"][row : row + 1], showings[row : row + 1]).constant).max()
        np.testing.assert_allclose(found[row], truth, rtol=EXACT, atol=EXACT * scale)


@pytest.mark.parametrize("voxels", [20, 90, 400])
def test_noise_is_positive_and_at_the_training_showings_what_was_seen(voxels: int) -> None:
    rng = np.random.default_rng(0)
    residuals = rng.standard_normal((90, voxels)) @ np.diag(rng.uniform(0.2, 3, voxels))
    deviations = rng.standard_normal((180, voxels))
    noise = fit_noise(residuals, deviations, np.full(90, 2), rank=1000)
    seen = residuals.T @ residuals / 90
    shrunk = noise.shrinkage * np.diag(np.diag(seen)) + (1 - noise.shrinkage) * seen
    np.testing.assert_allclose(noise.covariance(2), shrunk, atol=rounding(sums=400, scale=float(seen.max())))
    assert noise.shrinkage > 0.8, "independent voxels have no correlations to keep"
    traces = []
    for showings in (0.5, 1, 2, 7, 1e9):
        values = np.linalg.eigvalsh(noise.covariance(showings))
        assert values.min() > 0
        traces.append(values.sum())
    assert traces == sorted(traces, reverse=True) and traces[0] > traces[-1]


def test_only_the_noise_of_the_measurement_shrinks_with_showings() -> None:
    data = studied(stimuli=900, voxels=200, often=3)
    encoding = fitted(data, floor=-1.0)
    assert encoding.noise is not None
    for showings in (1, 2, 3, 6):
        true = data["misfit"] + data["measured"] / showings
        ours = encoding.noise.covariance(showings)
        assert abs(np.trace(ours) / np.trace(true) - 1) < 0.2, showings
        # a pattern of so many showings is as far off as the model expects: Mahalanobis distance over voxels
        assert abs(np.trace(np.linalg.solve(ours, true)) / 200 - 1) < 0.4, showings


@pytest.mark.parametrize(("stimuli", "voxels"), [(60, 200), (200, 60)])
def test_shrinkage_is_schaefer_and_strimmers(stimuli: int, voxels: int) -> None:
    rng = np.random.default_rng(2)
    white = rng.standard_normal((stimuli, voxels))
    white += rng.standard_normal((stimuli, 4)) @ rng.standard_normal((4, voxels))
    white /= np.sqrt(np.square(white).mean(0))
    products = np.einsum("ki,kj->kij", white, white)
    mean = products.mean(0)
    covariance = stimuli / (stimuli - 1) * mean
    variance = stimuli / (stimuli - 1) ** 3 * np.square(products - mean).sum(0)
    off = ~np.eye(voxels, dtype=bool)
    assert abs(shrinkage_of(white) / (variance[off].sum() / np.square(covariance[off]).sum()) - 1) < 1e-3
    assert shrinkage_of(rng.standard_normal((2, 5))) == 1


def test_without_repeats_nothing_is_known_to_shrink() -> None:
    data = studied(often=1)
    noise = fitted(data, floor=-1.0).noise
    assert noise is not None and noise.showings == 1
    np.testing.assert_array_equal(noise.covariance(1), noise.covariance(50))


def test_unequal_showings_weigh_patterns_as_they_should() -> None:
    """Trained on one to five showings, tested at one and five: the true stimulus is as likely as it is right."""
    data = studied(stimuli=600, voxels=60, often=5, signal=0.35, seed=3)
    rng = np.random.default_rng(5)
    counts = rng.integers(1, 6, 600)
    deviations = data["deviations"].reshape(5, 600, 60)
    trials = deviations + data["patterns"]
    patterns = np.stack([trials[:count, row].mean(0) for row, count in enumerate(counts)]).astype(np.float32)
    parts = [trials[:count, row] - patterns[row] for row, count in enumerate(counts)]
    encoding = fitted({**data, "patterns": patterns, "deviations": np.concatenate(parts), "showings": counts})
    candidates = rng.standard_normal((400, 6)).astype(np.float32)
    for often in (1, 5):
        noise = rng.multivariate_normal(np.zeros(60), data["misfit"] + data["measured"] / often, 400)
        patterns = (candidates.astype(np.float64) @ data["weights"] + noise).astype(np.float32)
        found = posterior(encoding.evidence(patterns, np.full(400, often)), candidates, keep=1)
        right = np.mean(found.best[:, 0] == np.arange(400))
        assert abs(right - found.share[:, 0].mean()) < 0.12, (often, right, found.share[:, 0].mean())


def streamed(candidates: int = 5000, patterns: int = 6) -> tuple[Evidence, np.ndarray]:
    data = studied()
    rng = np.random.default_rng(2)
    counts = np.array([1, 3, 2, 3, 1, 5])[:patterns]
    return fitted(data).evidence(data["patterns"][:patterns], counts), rng.standard_normal((candidates, 6))


def test_streaming_is_the_whole_softmax() -> None:
    evidence, candidates = streamed()
    labels = {"kind": np.arange(5000) % 7}
    other = np.random.default_rng(3).standard_normal((5000, 2))
    found = posterior(evidence.tempered(0.2), candidates, keep=10, labels=labels, averaged=other)
    scores = 0.2 * evidence.log_likelihood(candidates)
    share = np.exp(scores - scores.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    close = {"rtol": rounding(sums=5000, scale=1.0), "atol": rounding(sums=5000, scale=1.0)}
    np.testing.assert_array_equal(found.best, np.argsort(-scores, axis=1, kind="stable")[:, :10])
    np.testing.assert_allclose(found.share, -np.sort(-share, axis=1)[:, :10], **close)
    np.testing.assert_allclose(found.entropy, -(share * np.log(share + 1e-300)).sum(1), **close)
    np.testing.assert_allclose(found.mean, share @ other, **close)
    np.testing.assert_allclose(found.marginals["kind"], share @ np.eye(7)[labels["kind"]], **close)
    assert found.prior_entropy == np.log(5000)


def test_a_pattern_alone_has_the_bits_it_has_among_others() -> None:
    evidence, candidates = streamed()
    every = posterior(evidence, candidates, keep=5)
    data, counts = studied(), np.array([1, 3, 2, 3, 1, 5])
    encoding = fitted(data)
    for row in range(6):
        one = encoding.evidence(data["patterns"][row : row + 1], counts[row : row + 1])
        alone = posterior(one, candidates, keep=5)
        np.testing.assert_array_equal(alone.mean[0], every.mean[row])
        np.testing.assert_array_equal(alone.share[0], every.share[row])
        assert alone.entropy[0] == every.entropy[row] and alone.log_best[0] == every.log_best[row]


def test_candidates_drawn_by_seeds_are_as_frequent_as_their_shares_and_alone_the_same() -> None:
    evidence, candidates = streamed(candidates=5000, patterns=3)
    flat = evidence.tempered(0.01)
    seeds = list(range(400))
    found = posterior(flat, candidates, keep=5000, seeds={1: seeds, 2: [7]})
    shares = np.zeros(5000)
    shares[found.best[1]] = found.share[1]
    top = shares >= np.sort(shares)[-1000]
    expected, seen = shares[top].sum(), top[found.drawn[1]].mean()
    assert set(found.drawn) == {1, 2} and 0.2 < expected < 0.95
    assert abs(seen - expected) < 4 * np.sqrt(expected * (1 - expected) / len(seeds))
    alone = posterior(_pattern(flat, 1), candidates, keep=1, seeds={0: [3]})
    assert alone.drawn[0].tolist() == [found.drawn[1][3]]
    gone = posterior(flat, candidates, keep=1, seeds={1: seeds}, without={1: np.flatnonzero(top)})
    assert not top[gone.drawn[1]].any()


def _pattern(evidence: Evidence, row: int) -> Evidence:
    one = slice(row, row + 1)
    return replace(
        evidence, linear=evidence.linear[one], constant=evidence.constant[one], showings=evidence.showings[one]
    )  # fmt: skip


def test_what_is_impossible_has_no_share() -> None:
    evidence, candidates = streamed(patterns=2)
    whole = posterior(evidence, candidates, keep=3)
    gone = np.arange(0, 2100)  # a whole block and a little of the next
    some = posterior(evidence, candidates, keep=3, without={1: gone})
    np.testing.assert_array_equal(some.mean[0], whole.mean[0])
    assert some.best[1].min() >= 2100
    rest = posterior(evidence, candidates[2100:], keep=3)
    np.testing.assert_array_equal(some.best[1], rest.best[1] + 2100)


def test_models_of_several_sets_of_voxels_add_up() -> None:
    data, other = studied(), studied(seed=4)
    counts = data["showings"][:4]
    one, two = (fitted(each).evidence(data["patterns"][:4], counts) for each in (data, other))
    candidates = np.random.default_rng(0).standard_normal((8, 6))
    both = (one.tempered(0.25) + two.tempered(0.0625)).log_likelihood(candidates)
    apart = 0.25 * one.log_likelihood(candidates) + 0.0625 * two.log_likelihood(candidates)
    np.testing.assert_allclose(both, apart, rtol=EXACT)
    with pytest.raises(InputError, match="showings"):
        one + replace(two, showings=two.showings + 1)


def test_weights_follow_what_voxels_say_and_noise_is_the_prior() -> None:
    data = studied(stimuli=400, voxels=60, signal=0.3, seed=1)
    bank = np.random.default_rng(7).standard_normal((3000, 6)).astype(np.float32)
    half = {name: data[name][:200] for name in ("features", "patterns", "showings")}
    half["deviations"] = data["deviations"].reshape(3, 400, 60)[:, :200].reshape(-1, 60)
    held, truth = data["patterns"][200:], data["features"][200:]
    speaking = fitted(half).evidence(held, data["showings"][200:]).log_likelihood(bank)
    found = settled([speaking], truth, bank)
    assert 0.2 < found.weights[0] <= 1 and found.error < 0.8 and found.gain > 3
    rng = np.random.default_rng(0)
    for seed in range(5):
        deaf = studied(stimuli=400, voxels=60, signal=0.0, seed=seed)
        silent = fitted(half, floor=-1.0).evidence(deaf["patterns"][200:], data["showings"][200:]).log_likelihood(bank)
        assert settled([silent], rng.permutation(truth), bank).weights == (0.0,)
        found = settled([speaking, silent], truth, bank)
        assert found.weights[1] < found.weights[0] / 4


def test_a_candidate_that_is_the_stimulus_itself_settles_nothing() -> None:
    data = studied(stimuli=60, voxels=30, signal=0.5)
    scores = fitted(data).evidence(data["patterns"], data["showings"]).log_likelihood(data["features"])
    with_itself = settled([scores], data["features"], data["features"])
    np.fill_diagonal(scores, -np.inf)
    found = settled([scores], data["features"], data["features"])
    assert found.error > with_itself.error
    np.fill_diagonal(scores, 1e9)  # whatever it is, only where it is -inf it has no say
    assert settled([scores], data["features"], data["features"]).error < with_itself.error


@pytest.mark.parametrize("count", [1, 3, 24, 400])
def test_the_first_few_are_those_of_a_whole_sort(count: int) -> None:
    values = np.random.default_rng(count).integers(0, 40, 300).astype(np.float32)  # with many that are equal
    values[:3] = np.inf
    assert np.array_equal(first_few(values, count), np.argsort(values, kind="stable")[:count])


@pytest.mark.parametrize(("stimuli", "held"), [(900, 360), (400, 240), (200, 200), (12, 12)])
def test_weights_are_settled_in_as_few_folds_as_hold_the_stimuli_needed(stimuli: int, held: int) -> None:
    ids = [f"s{number:03}" for number in range(stimuli)]
    fold = held_in(ids, folds=5, seed=0, sound=False)
    assert (fold >= 0).sum() == held
    whole = grouped_folds(ids, folds=5, seed=1, sound=False)
    assert np.array_equal(fold[fold >= 0], whole[fold >= 0])  # a fold is held out whole, or not at all
    assert not set(whole[fold < 0]) & set(fold[fold >= 0])


def test_an_encoding_without_voxels_says_nothing() -> None:
    data = studied()
    mute = fitted(data, floor=2.0)
    assert mute.noise is None and len(mute.columns) == 0
    found = posterior(mute.evidence(data["patterns"][:2], data["showings"][:2]), np.eye(6), keep=6)
    np.testing.assert_allclose(found.share, 1 / 6)
    np.testing.assert_allclose(found.entropy, found.prior_entropy)
    again = Encoding.from_arrays(mute.arrays())
    assert again.noise is None


def test_an_encoding_comes_back_from_its_arrays() -> None:
    data = studied()
    encoding = fitted(data)
    again = Encoding.from_arrays(encoding.arrays())
    one, two = (each.evidence(data["patterns"][:2], data["showings"][:2]) for each in (encoding, again))
    np.testing.assert_array_equal(one.linear, two.linear)
    np.testing.assert_array_equal(one.constant, two.constant)
    broken = encoding.arrays()
    del broken["noise.factor"]
    with pytest.raises(InputError, match="fit it again"):
        Encoding.from_arrays(broken)


def test_what_cannot_be_a_noise_model_is_refused() -> None:
    with pytest.raises(InputError, match="all move"):
        fit_noise(np.zeros((5, 3)), np.zeros((0, 3)), np.ones(5, np.int64))
    noise = fitted(studied()).noise
    assert noise is not None
    with pytest.raises(InputError, match="showing"):
        noise.solver(0)
    facts = {name: getattr(noise, name) for name in ("spread", "factor", "shared", "own")}
    with pytest.raises(InputError, match="fit it again"):
        Noise(**{**facts, "own": facts["own"][:-1]}, showings=1.0, shrinkage=0.5)


def test_the_ceiling_is_the_likelihood_of_what_was_expected() -> None:
    data = studied(voxels=20)
    encoding = fitted(data, floor=-1.0)
    candidate = data["features"][:1]
    expected, showings = encoding.expected(candidate), np.array([2])
    found = encoding.evidence(expected, showings).log_likelihood(candidate)[0, 0]
    np.testing.assert_allclose(encoding.ceiling(showings), [found], rtol=1e-3)
    worse = encoding.evidence(expected + 1, showings).log_likelihood(candidate)[0, 0]
    assert worse < found - 1 and encoding.ceiling(np.array([8]))[0] > encoding.ceiling(np.array([1]))[0]


def components(name: str, rows: np.ndarray, size: float) -> Components:
    """Of a space of as many numbers as `rows` (candidate, number) has."""
    card = SpaceCard(name=name, model="m", revision="", layer="l", normalisation="none", shape=(rows.shape[1],))
    axes = np.eye(rows.shape[1], dtype=np.float32)
    return Components(
        card=card, mean=np.ones(rows.shape[1], np.float32), axes=axes, kept=1.0,
        coordinates=(size * rows).astype(np.float16),
    )  # fmt: skip


def test_features_of_several_spaces_have_equal_shares() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50, 3)).astype(np.float32)
    alone = Features.of({"a": components("a", rows, 1)})
    assert alone.candidates.dtype == np.float16 and alone.scales == (1.0,)
    both = Features.of({"a": components("a", rows, 1), "b": components("b", rows[:, :2], 100)})
    first, second = both.candidates[:, :3], both.candidates[:, 3:]
    assert np.square(first).sum(1).mean() == pytest.approx(1) and np.square(second).sum(1).mean() == pytest.approx(1)
    for name, size in (("a", 1), ("b", 100)):
        kept = both.spaces[name].coordinates.astype(np.float64)
        np.testing.assert_allclose(both.part(both.candidates, name), kept, rtol=1e-3, atol=1e-3 * size)
    ids = tuple(map(str, range(50)))
    true = {
        name: Conditions(space=both.spaces[name].card, values=1 + size * rows[:, :width], ids=ids)
        for name, width, size in (("a", 3, 1), ("b", 2, 100))
    }
    np.testing.assert_allclose(both.of_conditions(true, true["a"].ids), both.candidates, atol=5e-3)
