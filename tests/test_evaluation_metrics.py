"""Contracts that every metric of the catalogue keeps, and parity with libraries and naive loops."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import rgb2gray
from skimage.metrics import structural_similarity

from evaluation.metrics import CATALOGUE, Marks, Metric, Views, own_values
from evaluation.metrics.identification import shares_beaten, top1_marks, two_way_marks
from evaluation.metrics.pixels import correlation, ssim
from evaluation.score import mismatched

SIDE = 14
EVERY = [pytest.param(metric, id=metric.name) for metric in CATALOGUE]
GROUPS = ("category", "kind", "colour", "position", "size", "setting", "light")


def pictures(n: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, SIDE, SIDE, 3), np.uint8)


def views(pixels: NDArray[np.uint8], *, labelled: bool = False) -> Views:
    """Features and verdicts that follow from the pixels, as a judge's do."""
    features = (pixels.reshape(len(pixels), -1)[:, ::3] / 255 - 0.5).astype(np.float32)
    verdicts = {group: features[:, 4 * i : 4 * i + 4].argmax(axis=1).astype(np.str_) for i, group in enumerate(GROUPS)}
    return Views(pixels=pixels, features=features, verdicts=verdicts, labels=verdicts if labelled else {})


def judged(metric: Metric, samples: Views, references: Views) -> Marks:
    n = len(references)
    return metric.marks(samples, references, own=np.arange(n), blocks=np.arange(n) // 10)


@pytest.mark.parametrize("metric", EVERY)
def test_one_finite_value_a_stimulus(metric: Metric) -> None:
    marks = judged(metric, views(pictures(20, 0)), views(pictures(20, 1), labelled=True))
    assert marks.table.shape == (20, 20) and marks.table.dtype == np.float32
    assert np.isfinite(own_values(marks, np.arange(20))).all()
    assert metric.named(20) == (f"{metric.name}_of_20" if metric.name == "top1" else metric.name)


@pytest.mark.parametrize("metric", EVERY)
def test_identical_pictures_reach_the_best(metric: Metric) -> None:
    same = views(pictures(20, 3), labelled=True)
    assert own_values(judged(metric, same, same), np.arange(20)) == pytest.approx(metric.best, abs=1e-6)


@pytest.mark.parametrize("metric", EVERY)
def test_independent_pairs_are_at_chance(metric: Metric) -> None:
    n = 400
    marks = judged(metric, views(pictures(n, 4)), views(pictures(n, 5), labelled=True))
    values = own_values(marks, np.arange(n)).astype(np.float64)
    declared = metric.chance(n)
    chance = mismatched(marks.table) if declared is None else declared
    assert abs(values.mean() - chance) < 4 * max(values.std() / np.sqrt(n), 1 / n)


@pytest.mark.parametrize("metric", EVERY)
def test_noise_never_helps(metric: Metric) -> None:
    n = 150
    clean, noise = pictures(n, 6), pictures(n, 7)
    references = views(clean, labelled=True)
    means = []
    for share in (0.0, 0.35, 0.6, 0.8, 1.0):
        samples = views(((1 - share) * clean + share * noise).astype(np.uint8))
        means.append(float(own_values(judged(metric, samples, references), np.arange(n)).mean()))
    assert means == sorted(means, reverse=True) and means[0] > means[-1] + 0.2


@pytest.mark.parametrize("metric", EVERY)
def test_a_subset_is_judged_as_in_the_whole(metric: Metric) -> None:
    samples, references = views(pictures(20, 8)), views(pictures(20, 9), labelled=True)
    own, blocks = np.array([3, 11, 17]), np.arange(20) // 10
    whole = metric.marks(samples, references, own=np.arange(20), blocks=blocks)
    part = metric.marks(samples.take(own), references, own=own, blocks=blocks)
    if metric.name != "two_way_other_recons":  # its distractors are the other samples
        assert np.array_equal(own_values(part, own), own_values(whole, np.arange(20))[own])
    assert np.isfinite(own_values(part, own)).all()


@pytest.mark.parametrize("name", ["two_way", "two_way_other_recons", "top1"])
def test_identification_equals_the_naive_loop(name: str) -> None:
    n = 12
    samples, references = views(pictures(n, 11)), views(pictures(n, 12))
    samples.features[4], references.features[7] = samples.features[5], references.features[2]
    likeness = np.array([[np.corrcoef(s, r)[0, 1] for r in references.features] for s in samples.features]).round(5)
    want = []
    for i in range(n):
        others = [j for j in range(n) if j != i]
        if name == "top1":
            ties = int((likeness[i] == likeness[i].max()).sum())
            want.append((likeness[i, i] == likeness[i].max()) / ties)
            continue
        rivals = [likeness[i, j] if name == "two_way" else likeness[j, i] for j in others]
        want.append(np.mean([1.0 if likeness[i, i] > r else 0.5 if likeness[i, i] == r else 0.0 for r in rivals]))
    marks = judged(CATALOGUE[name], samples, references)
    assert own_values(marks, np.arange(n)) == pytest.approx(np.array(want), abs=1e-6)
    if marks.distractor is not None:
        assert marks.distractor.mean() == pytest.approx(np.mean(want), abs=1e-6)


def test_every_cell_of_the_table_is_the_value_under_that_assignment() -> None:
    similar = np.random.default_rng(13).normal(size=(9, 9))
    table = shares_beaten(similar)
    order = np.random.default_rng(14).permutation(9)
    moved = two_way_marks(similar[:, order], np.arange(9)).table
    assert np.diagonal(moved) == pytest.approx(table[np.arange(9), order])


def test_ties_count_one_half() -> None:
    flat = np.zeros((6, 6))
    assert np.allclose(shares_beaten(flat), 0.5)
    assert np.allclose(top1_marks(flat).table, 1 / 6)
    constant = views(np.full((6, SIDE, SIDE, 3), 77, np.uint8))
    for name in ("two_way", "two_way_other_recons"):
        marks = judged(CATALOGUE[name], constant, views(pictures(6, 15)))
        assert own_values(marks, np.arange(6)) == pytest.approx(0.5)


@pytest.mark.parametrize("k", [2, 4, 10])
def test_category_oracle_scores_what_theory_says(k: int) -> None:
    each = 40
    labels = np.repeat(np.arange(k), each)
    marks = two_way_marks((labels[:, None] == labels[None, :]).astype(float), np.arange(k * each))
    value = own_values(marks, np.arange(k * each)).mean()
    n = k * each
    assert value == pytest.approx(1 - (each - 1) / (2 * (n - 1)), abs=1e-6)
    assert value == pytest.approx(1 - 1 / (2 * k), abs=0.01)


@pytest.mark.parametrize(("height", "width"), [(11, 11), (16, 24), (40, 33)])
def test_ssim_equals_scikit_image(height: int, width: int) -> None:
    rng = np.random.default_rng(16)
    left = rng.integers(0, 256, (3, height, width, 3), np.uint8)
    right = np.clip(left + rng.normal(0, 25, left.shape), 0, 255).astype(np.uint8)
    right[2] = 0
    ours = ssim(left, right)
    for i in range(3):
        for j in range(3):
            theirs = structural_similarity(
                rgb2gray(left[i]), rgb2gray(right[j]),
                gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0,
            )  # fmt: skip
            assert ours[i, j] == pytest.approx(theirs, abs=1e-6)


def test_ssim_is_said_to_be_absent_on_tiny_pictures() -> None:
    tiny = views(np.zeros((3, 10, 10, 3), np.uint8))
    assert "10 x 10" in CATALOGUE["ssim"].absent(tiny)
    assert CATALOGUE["pixcorr"].absent(tiny) == ""


def test_correlation_equals_numpy_and_forgives_constants() -> None:
    rng = np.random.default_rng(17)
    left, right = rng.normal(size=(4, 50)), rng.normal(size=(5, 50))
    assert correlation(left, right) == pytest.approx(np.corrcoef(left, right)[:4, 4:])
    left[1] = 3
    assert (correlation(left, right)[1] == 0).all()


def test_labels_that_nobody_gave_are_not_scored() -> None:
    references = views(pictures(6, 18), labelled=True)
    references.labels["category"][2] = ""
    marks = judged(CATALOGUE["category"], references, references)
    values = own_values(marks, np.arange(6))
    assert np.isnan(values[2]) and (np.delete(values, 2) == 1).all()
    assert CATALOGUE["category"].absent(views(pictures(6, 18))) == "the references carry no true category"
    assert CATALOGUE["category_pseudo"].absent(views(pictures(6, 18))) == ""
