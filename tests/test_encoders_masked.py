"""Masked brain modelling: patches of neighbours, a loss over hidden voxels alone, an encoder that sees the visible."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brain.errors import InputError, UsageError
from brain.voxels import VoxelSpace
from encoders.masked.model import MaskedBrain, augmented
from encoders.masked.patches import Patches, cut_cortex
from encoders.settings import MaskedSettings
from tests.rounding import largest, rounding

SMALL = MaskedSettings(patch=4, width=24, depth=2, heads=2, decoder_width=12, decoder_depth=1)


def space(count: int, seed: int = 0) -> VoxelSpace:
    """`count` voxels scattered over both hemispheres of a 2-mm volume."""
    rng = np.random.default_rng(seed)
    places = rng.permutation(30 * 30 * 30)[:count]
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -30
    ijk = np.stack(np.unravel_index(places, (30, 30, 30)), 1)
    return VoxelSpace(subject="s", name="v", betas="b", unit="z", shape=(30, 30, 30), affine=affine, ijk=ijk)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 300), size=st.integers(1, 20))
def test_any_number_of_voxels_is_cut_and_joined_again(count: int, size: int) -> None:
    patches = cut_cortex(space(count), size)
    values = np.random.default_rng(1).standard_normal((3, count)).astype(np.float32)
    cut = patches.cut(values)
    assert np.array_equal(patches.join(cut), values)
    assert not cut[:, ~patches.valid].any()
    assert patches.valid.sum() == count
    assert (~patches.valid).any(1).sum() <= 2  # the last patch of each hemisphere alone is filled up


def test_a_patch_holds_neighbours_of_one_hemisphere() -> None:
    voxels = space(2000)
    patches = cut_cortex(voxels, 16)
    place = voxels.ijk @ voxels.affine[:3, :3].T + voxels.affine[:3, 3]
    full = patches.column[patches.valid.all(1)]
    sides = place[full, 0] < 0
    assert (sides.all(1) | ~sides.any(1)).all()
    spread = np.linalg.norm(place[full] - place[full].mean(1, keepdims=True), axis=2).mean()
    shuffled = np.random.default_rng(0).permutation(2000)[: full.size].reshape(full.shape)
    scattered = np.linalg.norm(place[shuffled] - place[shuffled].mean(1, keepdims=True), axis=2).mean()
    assert spread < 0.4 * scattered


def test_a_cut_that_loses_a_voxel_cannot_be_made() -> None:
    with pytest.raises(InputError, match="each of 3 voxels once"):
        Patches(column=np.array([[0, 1], [1, -1]]), centre=np.zeros((2, 3), np.float32), voxels=3)


def parts(count: int = 20, trials: int = 5) -> tuple[torch.Tensor, ...]:
    rng = torch.Generator().manual_seed(0)
    patches = torch.randn(trials, count, 4, generator=rng)
    centre = torch.randn(count, 3, generator=rng) * 20
    return patches, centre, torch.ones(count, 4, dtype=torch.bool), torch.rand(trials, count, generator=rng)


def model() -> MaskedBrain:
    torch.manual_seed(0)
    return MaskedBrain(SMALL)


def test_hidden_patches_reach_the_loss_and_nothing_else() -> None:
    net, (patches, centre, valid, noise) = model(), parts()
    seen = patches.clone().requires_grad_()
    net(patches, centre, valid, noise, seen).sum().backward()
    hidden = noise.argsort(1)[:, SMALL.kept(20) :]
    gradient = seen.grad
    assert gradient is not None
    for trial, rows in enumerate(hidden):
        assert not gradient[trial, rows].any()
        visible = [row for row in range(20) if row not in rows.tolist()]
        assert gradient[trial, visible].abs().sum(1).min() > 0


def test_the_loss_is_the_mean_square_over_hidden_voxels_that_are_there() -> None:
    net, (patches, centre, valid, noise) = model(), parts()
    torch.nn.init.zeros_(net.predict.weight)
    torch.nn.init.zeros_(net.predict.bias)
    valid[:, 3] = False
    hidden = noise.argsort(1)[:, SMALL.kept(20) :]
    by_hand = torch.stack([patches[trial, rows, :3].square().mean() for trial, rows in enumerate(hidden)])
    torch.testing.assert_close(net(patches, centre, valid, noise, patches), by_hand)


def test_visible_tokens_alone_equal_the_tokens_of_a_brain_that_has_no_others() -> None:
    net, (patches, centre, _, _) = model(), parts()
    keep = torch.tensor([[3, 7, 11]]).expand(5, -1)
    alone = net.encode(patches[:, [3, 7, 11]], centre[[3, 7, 11]])
    torch.testing.assert_close(net.encode(patches, centre, keep), alone)


def test_a_trial_is_the_same_in_any_company() -> None:
    net, (patches, centre, valid, noise) = model(), parts()
    together = net(patches, centre, valid, noise, patches)
    alone = torch.cat(
        [net(patches[n : n + 1], centre, valid, noise[n : n + 1], patches[n : n + 1]) for n in range(len(patches))]
    )
    # of a block: queries, their products, a softmax and a mixture over tokens, out, up and down
    encoder = 2 * (24 + 12 + 2 * 5 + 24 + 24 + 24)
    decoder = 12 + 6 + 2 * 20 + 12 + 12 + 24
    # the waves of a place, the layers between the two and after them, and the mean over 15 hidden patches of 4 voxels
    sums = 36 + encoder + 24 + decoder + 12 + 15 * 4
    torch.testing.assert_close(together, alone, atol=rounding(sums=sums, scale=largest(alone.detach())), rtol=0)


def test_augmentation_acts_on_voxels_and_belongs_to_the_trial() -> None:
    patches, *_ = parts(count=200)
    how = MaskedSettings(patch=4, width=24, heads=2, decoder_width=12, noise=0.0, drop=0.25)
    first = augmented(patches, how, [torch.Generator().manual_seed(n) for n in range(5)])
    again = augmented(patches[2:3], how, [torch.Generator().manual_seed(2)])
    dropped = (first == 0).float().mean()
    assert 0.2 < dropped < 0.3
    assert torch.equal(first[2:3], again)
    assert not torch.equal(first[0] == 0, first[1] == 0)


def test_it_learns_what_hidden_voxels_share_with_visible_ones() -> None:
    """Voxels that all carry one number: a hidden one is told from the others; constant guessing stays at 1."""
    torch.manual_seed(0)
    net = MaskedBrain(SMALL)
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    centre, valid = torch.randn(12, 3) * 20, torch.ones(12, 4, dtype=torch.bool)
    losses = []
    for _ in range(150):
        patches = torch.randn(64, 1, 1).expand(64, 12, 4).contiguous()
        loss = net(patches, centre, valid, torch.rand(64, 12), patches).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-10:]) < 0.2 < 0.8 < losses[0]


@pytest.mark.parametrize("ratio", [0.0, 1.0, 1.5])
def test_a_ratio_that_hides_nothing_or_all_is_refused(ratio: float) -> None:
    with pytest.raises(UsageError, match="ratio"):
        MaskedSettings(ratio=ratio)


def test_too_few_patches_to_hide_any_are_refused() -> None:
    with pytest.raises(InputError, match="of 1 patches"):
        SMALL.kept(1)
