"""open_clip's image tower as one that guides. Run where open-clip-torch is installed: pytest -m openclip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from brain.errors import CheckpointAbsent, InputError
from encoders.frozen.torchvision_guard import settle_torchvision
from encoders.spaces import CATALOGUE as SPACES
from encoders.towers import CATALOGUE, Tower
from tests.rounding import rounding

pytestmark = pytest.mark.openclip
settle_torchvision()
open_clip = pytest.importorskip(
    "open_clip", reason="open_clip is not installed here: its tests run in their own environment"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of 32 px pictures in open_clip's layout."""
    folder = tmp_path_factory.mktemp("openclip") / "model"
    SPACES["openclip-image"].tiny(folder)
    return folder


@pytest.fixture(scope="module")
def tower(folder: Path) -> Tower:
    return CATALOGUE["openclip-image"].open(folder, model="tiny", device="cpu")


def smooth(side: int) -> np.ndarray:
    """(3, side, side, 3) uint8 pictures without fine detail, as any resize shows them alike."""
    up, across = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side), indexing="ij")
    waves = [np.stack([np.sin(3 * up + n), np.cos(2 * across - n), np.sin(2 * up * across + n)], -1) for n in range(3)]
    return ((np.stack(waves) / 2 + 0.5) * 255).astype(np.uint8)


def theirs(folder: Path, pixels: np.ndarray) -> Any:
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    with torch.inference_mode():
        return model.eval().encode_image(torch.stack([transform(Image.fromarray(one)) for one in pixels]))


def ours(tower: Tower, pixels: np.ndarray) -> Any:
    with torch.inference_mode():
        return tower.raw(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)


def test_features_are_those_of_open_clip(folder: Path, tower: Tower) -> None:
    same = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    assert torch.equal(ours(tower, same), theirs(folder, same)), "the same network on the same four pictures"
    assert (tower.side, tower.width) == (32, 24) and tower.mean == (0.5,) * 3 and tower.std == (0.25,) * 3


def test_a_larger_picture_is_seen_nearly_as_open_clip_sees_it(folder: Path, tower: Tower) -> None:
    """Bilinear and antialiased here, bicubic and rounded to bytes there: close for pictures without fine detail."""
    ready = torch.nn.functional.cosine_similarity(ours(tower, smooth(96)), theirs(folder, smooth(96)))
    assert (ready > 0.999).all()


def test_gradients_pass_and_a_batch_changes_nothing(tower: Tower) -> None:
    pictures = torch.rand(5, 3, 48, 48, generator=torch.Generator().manual_seed(2)).requires_grad_(True)
    features = tower(pictures)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(5))
    alone = torch.cat([tower(pictures[number : number + 1]) for number in range(5)])
    # two blocks: queries, their products, a softmax and a mixture of 17 tokens, out, up and down
    blocks = 2 * (32 + 8 + 2 * 17 + 32 + 32 + 4 * 32)
    # four pixels along each side, a patch, the projection, and the norm of what it makes
    sums = 2 * 4 + 3 * 8 * 8 + blocks + 32 + tower.width
    apart = rounding(sums=sums, scale=float(features.detach().abs().max()))
    torch.testing.assert_close(features, alone, atol=apart, rtol=0)
    weights = torch.randn(tower.width, generator=torch.Generator().manual_seed(5))
    (gradient,) = torch.autograd.grad((features @ weights).sum(), pictures)
    assert torch.isfinite(gradient).all() and (gradient.abs().sum((1, 2, 3)) > 0).all()
    step = (pictures + 0.05 * gradient / gradient.abs().amax((1, 2, 3), keepdim=True)).clamp(0, 1)
    assert ((tower(step) - features) @ weights > 0).all()


def test_its_card_follows_the_weights(folder: Path, tower: Tower, tmp_path: Path) -> None:
    again = CATALOGUE["openclip-image"].open(folder, model="tiny", device="cpu")
    assert again.facts() == tower.facts()
    torch.manual_seed(7)
    SPACES["openclip-image"].tiny(tmp_path / "other")
    other = CATALOGUE["openclip-image"].open(tmp_path / "other", model="tiny", device="cpu")
    assert other.digest != tower.digest


def test_what_is_absent_or_damaged_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CheckpointAbsent, match="found no open_clip_config.json"):
        CATALOGUE["openclip-image"].open(tmp_path, model="m", device="cpu")
    SPACES["openclip-image"].tiny(tmp_path)
    weights = tmp_path / "open_clip_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-100])
    with pytest.raises(InputError) as said:
        CATALOGUE["openclip-image"].open(tmp_path, model="m", device="cpu")
    assert "\n" not in str(said.value)
    weights.unlink()
    with pytest.raises(CheckpointAbsent, match="no open_clip_model.safetensors"):
        CATALOGUE["openclip-image"].open(tmp_path, model="m", device="cpu")
