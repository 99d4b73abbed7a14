"""The residual network, its contrastive loss, its prior, and a trunk that subjects share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.numpy import load_file

from brain.errors import InputError, UsageError
from brain.voxels import VoxelSpace
from encoders.conditions import SpaceCard
from encoders.labelled import Key, Labelled
from encoders.mappings._parts.diffusion_prior import Prior, PriorSettings
from encoders.mappings._parts.residual_map import FitSettings, JoinSettings, ResidualMap, fit_residual, join
from encoders.mappings._parts.residual_network import Residual, ResidualLoss, ResidualSettings, dropout, soft_clip
from encoders.ridge import RidgeSettings
from encoders.settings import Plan
from encoders.storage import write_tensors
from encoders.training import WEIGHTS
from tests.rounding import largest, rounding

NETWORK = ResidualSettings(
    width=16, blocks=1, drop_in=0.2, drop=0.1, prior=PriorSettings(width=16, depth=1, train_steps=20, steps=4)
)
PLAN = Plan(steps=40, rate=3e-3, warm=4, validate=10, save=10, patience=0)
FIT = FitSettings(network=NETWORK, plan=PLAN, batch=16)
JOIN = JoinSettings(plan=replace(PLAN, rate=1e-3), batch=16, ridge=RidgeSettings(alphas=(1.0, 10.0, 100.0), folds=3))
CARD = SpaceCard(name="toy", model="m", revision="r", layer="l", normalisation="none", shape=(5,))
MIXING = np.random.default_rng(7).standard_normal((5, 5)).astype(np.float32)


def subject(name: str, voxels: int, *, stimuli: int = 40, seed: int = 0) -> Labelled:
    """Voxels that are a noisy linear picture of five latent numbers, of which the conditions are another mixture."""
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((stimuli, 5)).astype(np.float32)
    signal = latent @ rng.standard_normal((5, voxels)) / np.sqrt(5)
    ids = np.repeat([f"{name}{number:02d}" for number in range(stimuli)], 2)
    values = np.repeat(signal, 2, axis=0) + 0.3 * rng.standard_normal((2 * stimuli, voxels))
    held = np.arange(2 * stimuli) >= 2 * stimuli - 12
    ijk = np.stack([np.arange(voxels), np.zeros(voxels, int), np.zeros(voxels, int)], 1)
    space = VoxelSpace(
        subject=name, name="v", betas="b", unit="z", shape=(voxels, 1, 1), affine=np.eye(4), ijk=ijk
    )  # fmt: skip
    return Labelled(
        voxels=space,
        space=CARD,
        values=values.astype(np.float32),
        truth=np.repeat(latent @ MIXING + 2, 2, axis=0),
        ids=ids,
        train=np.flatnonzero(~held),
        held_out=np.flatnonzero(held),
        split="s",
    )


def fit(folder: Path, sets: list[Labelled], settings: FitSettings = FIT) -> ResidualMap:
    return fit_residual(sets, folder=folder, settings=settings, rescaling="none", accelerator=Accelerator(cpu=True))


def correlation(mapped: ResidualMap, trials: Labelled) -> float:
    values, _, truth = trials.averaged(trials.held_out)
    prediction = mapped.predict(values, subject=trials.voxels.subject)
    return float(np.mean([np.corrcoef(prediction[:, n], truth[:, n])[0, 1] for n in range(5)]))


def test_soft_clip_is_the_cross_entropy_written_out() -> None:
    rng = np.random.default_rng(0)
    prediction, pool = rng.standard_normal((2, 4)), rng.standard_normal((3, 4))
    own, heat = np.array([2, 0]), 0.5
    unit = [row / np.linalg.norm(row) for row in pool]
    expected = []
    for row, mine in zip(prediction, own, strict=True):
        label = np.exp([unit[mine] @ other / heat for other in unit])
        logit = np.exp([row / np.linalg.norm(row) @ other / heat for other in unit])
        expected.append(-np.sum(label / label.sum() * np.log(logit / logit.sum())))
    came = soft_clip(torch.tensor(prediction), torch.tensor(own), torch.tensor(pool), temperature=heat)
    # a norm and a product of 4 numbers, divided by the heat; two softmaxes over a pool of 3, and a sum over it
    apart = rounding(sums=2 * 4 + 3 * 3, scale=largest(expected) / heat, dtype=np.float64)
    np.testing.assert_allclose(came.numpy(), expected, atol=apart, rtol=0)


def test_soft_clip_does_not_tell_two_showings_of_one_picture_apart() -> None:
    pool = torch.eye(3)[[0, 0, 1]]
    first, second = soft_clip(pool[:1].repeat(2, 1), torch.tensor([0, 1]), pool, temperature=0.1)
    assert first == second


def test_dropout_belongs_to_the_trial_and_keeps_the_mean() -> None:
    x = torch.ones(3, 4000)
    dropped = dropout(x, 0.25, [torch.Generator().manual_seed(n) for n in range(3)])
    alone = dropout(x[1:2], 0.25, [torch.Generator().manual_seed(1)])
    assert torch.equal(dropped[1:2], alone)
    assert abs(float(dropped.mean()) - 1) < 0.03 and not torch.equal(dropped[0], dropped[1])
    assert torch.equal(dropout(x, 0.25, None), x)


def test_a_trial_s_loss_is_the_same_however_a_batch_divides() -> None:
    sets = [subject("a", 12), subject("b", 9, seed=1)]
    torch.manual_seed(0)
    network = Residual({"a": 12, "b": 9}, 5, NETWORK)
    scaled = [one.truth for one in sets]
    loss = ResidualLoss(sets, scaled, settings=NETWORK, seed=0, device="cpu")
    rows = [3, 90, 17, 100]
    key = Key(step=4, batch=tuple(rows))
    together = loss(network, key, rows)
    parts = torch.cat([loss(network, key, rows[:1]), loss(network, key, rows[2:3]), loss(network, key, [90, 100])])
    torch.testing.assert_close(together, parts)


def test_the_prior_learns_two_points_where_a_regression_says_nothing() -> None:
    """Truth is +1 or -1 with nothing to tell which: the mean is 0, draws are one of the two, each about half the time.

    And where the guess tells which, draws follow it.
    """
    torch.manual_seed(0)
    prior = Prior(2, PriorSettings(width=48, depth=2, train_steps=20, steps=10))
    optimiser = torch.optim.Adam(prior.parameters(), lr=3e-3)
    for _ in range(400):
        sign = torch.randint(0, 2, (128, 1)) * 2.0 - 1
        truth = sign.expand(128, 2)
        told = torch.rand(128, 1) < 0.5
        step, noise = torch.randint(20, (128,)), torch.randn(128, 2)
        loss = prior.loss(truth, truth * told, step=step, noise=noise).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    drawn = prior.draw(torch.zeros(200, 2), seeds=range(200))
    assert (drawn.abs() - 1).abs().mean() < 0.2
    assert 0.3 < float((drawn[:, 0] > 0).float().mean()) < 0.7
    assert (prior.draw(torch.ones(50, 2), seeds=range(50)) > 0.5).float().mean() > 0.95
    alone = prior.draw(torch.zeros(1, 2), seeds=[6])
    # in each of 10 steps the layers: 2 numbers, a guess of 2 and 32 waves in, two of 48, out again; and a step's sums.
    # So many of either sign come to their root, four times that less than once in a thousand (Higham and Mary 2019)
    sums = 10 * (2 + 2 + 32 + 2 * 48 + 48 + 3)
    apart = rounding(sums=round(4 * sums**0.5), scale=largest(alone))
    torch.testing.assert_close(prior.draw(torch.zeros(3, 2), seeds=[5, 6, 7])[1:2], alone, atol=apart, rtol=0)


def test_subjects_of_different_voxel_counts_share_a_trunk(tmp_path: Path) -> None:
    sets = [subject("a", 30), subject("b", 21, seed=1)]
    mapped = fit(tmp_path, sets, replace(FIT, plan=replace(PLAN, steps=150, validate=25)))
    assert {name: one.in_features for name, one in mapped.network.adapters.items()} == {"a": 30, "b": 21}
    for one in sets:
        assert correlation(mapped, one) > 0.5
        drawn = mapped.draw(one.values[:6], seeds=range(6), subject=one.voxels.subject)
        assert drawn.shape == (6, 5) and np.isfinite(drawn).all()
    with pytest.raises(UsageError, match="no subject of this map is called"):
        mapped.predict(sets[0].values[:1])


def test_a_new_subject_joins_with_few_trials_and_the_trunk_stays(tmp_path: Path) -> None:
    shared = fit(tmp_path / "shared", [subject("a", 30)], replace(FIT, plan=replace(PLAN, steps=150, validate=25)))
    before = {name: one.clone() for name, one in shared.network.trunk.state_dict().items()}
    new = subject("c", 24, stimuli=16, seed=3)
    joined = join(
        shared, new, folder=tmp_path / "c", settings=JOIN, rescaling="none", accelerator=Accelerator(cpu=True)
    )
    assert joined.subjects == ("c",) and shared.subjects == ("a",)
    for network in (joined.network, shared.network):
        assert all(torch.equal(before[name], one) for name, one in network.trunk.state_dict().items())
    assert correlation(joined, new) > 0.5
    spoilt = RidgeSettings(alphas=(1e7,), folds=3)  # an adapter that starts from nothing leaves something to learn
    slowly = replace(JOIN, ridge=spoilt, tune=replace(PLAN, steps=30, validate=5, rate=1e-3))
    tuned = join(
        shared, new, folder=tmp_path / "t", settings=slowly, rescaling="none", accelerator=Accelerator(cpu=True)
    )
    assert not torch.equal(before["head.weight"], tuned.network.trunk.head.weight)
    assert torch.equal(before["head.weight"], shared.network.trunk.head.weight)


def test_the_same_seed_gives_the_same_bits_stopped_or_not(tmp_path: Path) -> None:
    sets = [subject("a", 30)]
    whole = fit(tmp_path / "whole", sets)
    fit(tmp_path / "part", sets)
    sorted((tmp_path / "part" / "checkpoints").iterdir())[-1].unlink()  # as if it had been killed before its last save
    again = fit(tmp_path / "part", sets)
    mine, theirs = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "part"))
    assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
    assert np.array_equal(whole.predict(sets[0].values), again.predict(sets[0].values))
    other = fit(tmp_path / "other", sets, replace(FIT, plan=replace(PLAN, seed=1)))
    assert not np.array_equal(whole.predict(sets[0].values), other.predict(sets[0].values))


def test_a_map_comes_back_and_another_family_does_not(tmp_path: Path) -> None:
    sets = [subject("a", 30), subject("b", 21, seed=1)]
    mapped = fit(tmp_path / "out", sets)
    mapped.save(tmp_path / "map.safetensors")
    back = ResidualMap.load(tmp_path / "map.safetensors")
    for one in sets:
        name = one.voxels.subject
        assert np.array_equal(back.predict(one.values, subject=name), mapped.predict(one.values, subject=name))
    write_tensors(tmp_path / "foreign.safetensors", {"centre": np.zeros(3)}, kind="masked-readout", card={})
    with pytest.raises(InputError, match="expected a residual-map file, found a masked-readout file"):
        ResidualMap.load(tmp_path / "foreign.safetensors")


def test_a_checkpoint_of_other_trials_is_refused(tmp_path: Path) -> None:
    fit(tmp_path, [subject("a", 30)])
    with pytest.raises(InputError, match=r"expected data .*another --out"):
        fit(tmp_path, [subject("a", 30, seed=5)])


def test_one_subject_twice_and_other_voxels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="each subject once"):
        fit(tmp_path, [subject("a", 30), subject("a", 30)])
    mapped = fit(tmp_path, [subject("a", 30)])
    with pytest.raises(InputError, match="expected .sample, 30. of a"):
        mapped.predict(np.zeros((2, 29), np.float32))
