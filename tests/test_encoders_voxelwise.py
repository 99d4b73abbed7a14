"""Voxelwise encoders find a known map, collapse to one vector, refuse what they do not know, and let gradients pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from brain.errors import CheckpointAbsent, InputError, UsageError
from encoders.towers import CATALOGUE, Tower
from encoders.voxelwise.model import (
    Fitting,
    Voxelwise,
    features_of,
    fit_voxelwise,
    mean_of,
    objective,
    r2_of,
    towards,
    unit,
)
from tests.rounding import largest, rounding

RNG = np.random.default_rng(0)
PIXELS = torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
MIX = torch.randn(192, 12, generator=torch.Generator().manual_seed(1))


def agreed(encoder: Voxelwise, features: np.ndarray, *, sums: int) -> float:
    """A response adds up the features and a bias; `sums` more are what is made of responses."""
    terms = np.abs(features) @ np.abs(encoder.weights) + np.abs(encoder.bias)
    return rounding(sums=len(encoder.weights) + 1 + sums, scale=largest(terms))


def tower() -> Tower:
    """A linear look at 8 x 8 pixels."""
    return Tower(
        name="linear", model="toy", digest="ab", side=8, mean=(0.5,) * 3, std=(0.5,) * 3, width=12,
        forward=lambda x: x.flatten(1) @ MIX.to(x),
    )  # fmt: skip


@pytest.fixture(scope="module")
def encoder() -> Voxelwise:
    pictures = [np.asarray((one * 255).round().permute(1, 2, 0), np.uint8) for one in PIXELS.repeat(8, 1, 1, 1)]
    pictures = [np.clip(p.astype(int) + RNG.integers(-60, 60, p.shape), 0, 255).astype(np.uint8) for p in pictures]
    features = unit(features_of(tower(), pictures, count=len(pictures), say="toy"))
    weights = RNG.standard_normal((12, 6))
    responses = (features @ weights + 0.05 * RNG.standard_normal((len(features), 6))).astype(np.float32)
    responses[:, 5] = RNG.standard_normal(len(features))
    data = Fitting(
        responses=responses[:240], ids=[f"s{i}" for i in range(240)], test=responses[240:], split="cd",
        regions={"A": np.array([0, 1]), "B": np.array([2, 3, 4]), "noise": np.array([5]), "none": np.array([], int)},
        ceiling={"A": 0.9, "B": 0.9, "noise": 0.5, "none": 0.5},
    )  # fmt: skip
    return fit_voxelwise(tower(), features[:240], features[240:], data=data, seed=0)


def test_a_known_map_is_found_and_noise_is_not(encoder: Voxelwise) -> None:
    assert encoder.r2["A"] > 0.8 and encoder.r2["B"] > 0.8 and encoder.r2["noise"] < 0.05
    assert encoder.normalised("A") == pytest.approx(encoder.r2["A"] / 0.9)


def test_regions_collapse_to_one_vector(encoder: Voxelwise) -> None:
    features = unit(RNG.standard_normal((7, 12)).astype(np.float32))
    vector, bias = encoder.linear({"A": 1.0, "B": -0.5})
    responses = encoder.predict(features)
    by_hand = responses[:, [0, 1]].mean(1) - 0.5 * responses[:, [2, 3, 4]].mean(1)
    bound = (1.0 + 0.5) * agreed(encoder, features, sums=3 + 1)  # the larger region's mean, and their difference
    np.testing.assert_allclose(features @ vector + bias, by_hand, atol=bound, rtol=0)


def test_a_target_pattern_is_a_correlation_times_the_responses_own_spread(encoder: Voxelwise) -> None:
    features = unit(RNG.standard_normal((7, 12)).astype(np.float32))
    columns, target = np.array([0, 2, 3, 4]), np.array([3.0, -1.0, 0.5, 7.0], np.float32)
    asked = towards(columns, target, name="p")
    responses = encoder.predict(features)
    likeness = [np.corrcoef(row, target)[0, 1] * row.std() for row in responses[:, columns]]
    spread = 2 * len(columns) + 3  # a mean and squares, each added up and divided, and a root
    bound = rounding(sums=spread + 1, scale=largest(responses))
    np.testing.assert_allclose(asked(responses), likeness, atol=bound, rtol=0)
    moved = 5 * target + 2
    bound = rounding(sums=spread + 3, scale=largest(moved) / moved.std() / len(columns), dtype=np.float64)
    np.testing.assert_allclose(towards(columns, moved, name="p").weights, asked.weights, atol=bound, rtol=0)
    known = encoder.asking("p", asked, features=features, test=responses + 0.01, ceiling=0.8)
    vector, bias = known.linear({"p": 2.0, "A": -1.0})
    by_hand = 2 * np.array(likeness) - responses[:, [0, 1]].mean(1)
    bound = (2 * np.abs(asked.weights).sum() + 1) * agreed(encoder, features, sums=spread + 2)
    np.testing.assert_allclose(features @ vector + bias, by_hand, atol=bound, rtol=0)
    assert known.r2["p"] > 0.99 and known.normalised("p") == pytest.approx(known.r2["p"] / 0.8)
    assert "p" not in encoder.r2


def test_what_is_asked_of_a_pattern_is_followed_uphill(encoder: Voxelwise) -> None:
    """The gradient of the projection, followed on features, brings the population's correlation with the target up."""
    columns, target = np.array([0, 1, 2, 3, 4]), np.array([2.0, -1.0, 0.0, 1.0, -2.0], np.float32)
    features = unit(RNG.standard_normal((1, 12)).astype(np.float32))
    asked = towards(columns, target, name="p")
    vector, _ = encoder.asking("p", asked, features=features, test=encoder.predict(features), ceiling=1).linear(
        {"p": 1.0}
    )
    further = unit(features + vector / np.linalg.norm(vector))
    before, after = (np.corrcoef(encoder.predict(x)[0, columns], target)[0, 1] for x in (features, further))
    assert after > before


def test_one_voxel_is_the_mean_of_one_and_is_refused_where_it_is_noise(encoder: Voxelwise) -> None:
    features = unit(RNG.standard_normal((40, 12)).astype(np.float32))
    truth = encoder.predict(features)
    truth[:, 5] = RNG.standard_normal(40)
    known = encoder.asking("three", mean_of(np.array([3])), features=features, test=truth, ceiling=0.5)
    known = known.asking("five", mean_of(np.array([5])), features=features, test=truth, ceiling=0.5)
    vector, _ = known.linear({"three": 1.0})
    weights = encoder.weights[:, 3]
    np.testing.assert_allclose(vector, weights, atol=rounding(sums=1, scale=largest(weights)), rtol=0)
    objective([(tower(), known)], {"three": 1.0})
    with pytest.raises(InputError, match="'five': expected an encoder with R2 of 0.05"):
        objective([(tower(), known)], {"five": 1.0})


def test_the_accuracy_of_many_voxels_is_that_of_each_alone() -> None:
    truth = RNG.standard_normal((30, 4)).astype(np.float32)
    truth[:, 3] = 2.0
    prediction = truth + np.array([0, 0.5, 2.0, 1.0], np.float32) * RNG.standard_normal((30, 4)).astype(np.float32)
    by_hand = [1 - ((truth[:, v] - prediction[:, v]) ** 2).sum() / (30 * truth[:, v].var()) for v in range(3)]
    # a mean, a spread and an error, each over all rows; three differences and squares and a quotient
    bound = rounding(sums=3 * len(truth) + 7, scale=1 - min(by_hand))
    np.testing.assert_allclose(r2_of(prediction, truth), [*by_hand, 0.0], atol=bound, rtol=0)


@pytest.mark.parametrize(
    ("target", "said"),
    [([1.0, np.nan], "1 that are not"), ([1.0], r"found \(1,\)"), ([2.0, 2.0], "one value everywhere")],
)
def test_a_target_that_is_none_is_refused(target: list[float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        towards(np.array([0, 1]), np.array(target, np.float32), name="target.npy")


def test_an_objective_is_the_same_number_with_a_gradient_and_changes_sign(encoder: Voxelwise) -> None:
    up = objective([(tower(), encoder)], {"A": 1.0})
    down = objective([(tower(), encoder)], {"A": -1.0})
    pictures = PIXELS[:5].clone().requires_grad_(True)
    value = up(pictures)
    features = tower()(PIXELS[:5]).numpy()
    by_hand, bound = encoder.predict(features)[:, [0, 1]].mean(1), agreed(encoder, features, sums=2)
    np.testing.assert_allclose(value.detach(), by_hand, atol=bound, rtol=0)
    (gradient,) = torch.autograd.grad(value.sum(), pictures)
    assert (up((PIXELS[:5] + 1e-2 * gradient / gradient.norm()).clamp(0, 1)) > value).any()
    torch.testing.assert_close(down(PIXELS[:5]), -value.detach(), atol=bound, rtol=0)
    torch.testing.assert_close(up.over(2.0)(PIXELS[:5]), value.detach() / 2, atol=bound, rtol=0)
    both = objective([(tower(), encoder), (tower(), encoder)], {"A": 1.0})
    torch.testing.assert_close(both(PIXELS[:5]), value.detach(), atol=bound, rtol=0)


def test_what_it_does_not_know_is_refused_with_the_number(encoder: Voxelwise) -> None:
    with pytest.raises(InputError, match=r"'noise': expected an encoder with R2 of 0.05 or more .* found -?0\.0"):
        objective([(tower(), encoder)], {"noise": 1.0})
    with pytest.raises(UsageError, match="no region is called 'a'"):
        objective([(tower(), encoder)], {"a": 1.0})
    with pytest.raises(InputError, match="holds no voxel"):
        objective([(tower(), encoder)], {"none": 1.0})
    with pytest.raises(UsageError, match="needs a region"):
        objective([(tower(), encoder)], {})


def test_it_comes_back_and_is_tied_to_its_tower(encoder: Voxelwise, tmp_path: Path) -> None:
    encoder.save(tmp_path / "guide.safetensors")
    again = Voxelwise.load(tmp_path / "guide.safetensors")
    assert again.r2 == encoder.r2 and np.array_equal(again.weights, encoder.weights)
    other = Tower(
        name="linear", model="other", digest="ab", side=8, mean=(0.5,) * 3, std=(0.5,) * 3, width=12,
        forward=lambda x: x.flatten(1) @ MIX,
    )  # fmt: skip
    with pytest.raises(InputError, match="fit it again"):
        objective([(other, again)], {"A": 1.0})


def test_the_towers_are_these() -> None:
    assert CATALOGUE.names() == ("classifier", "clip-image", "openclip-image")  # the last has its own environment


@pytest.mark.parametrize("name", ["classifier", "clip-image"])
def test_every_tower_lets_gradients_pass_and_resizes_by_itself(name: str, checkout: Path, tmp_path: Path) -> None:
    stack = checkout / "pipelines/miniature/image"
    opened = CATALOGUE[name].open(stack / "eye" if name == "classifier" else stack, model="m", device="cpu")
    pictures = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(2)).requires_grad_(True)
    features = opened(pictures)
    assert features.shape == (2, opened.width)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2))
    weights = torch.randn(opened.width, generator=torch.Generator().manual_seed(5))
    (gradient,) = torch.autograd.grad((features @ weights).sum(), pictures)
    assert torch.isfinite(gradient).all() and gradient.abs().sum() > 0
    with pytest.raises((CheckpointAbsent, InputError)):
        CATALOGUE[name].open(tmp_path, model="m", device="cpu")
