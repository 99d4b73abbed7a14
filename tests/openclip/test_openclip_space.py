"""open_clip's towers behind the space interface. Run where open-clip-torch is installed: pytest -m openclip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from brain.errors import CheckpointAbsent, InputError
from brain.machine.memory import fresh
from brain.types import Stimuli
from encoders.frozen.torchvision_guard import settle_torchvision
from encoders.spaces import CATALOGUE

pytestmark = pytest.mark.openclip
settle_torchvision()
open_clip = pytest.importorskip(
    "open_clip", reason="open_clip is not installed here: its tests run in their own environment"
)

IDS = ("a", "b", "c")


def stimuli() -> Stimuli:
    def draw(one: str) -> Image.Image:
        rng = np.random.default_rng(ord(one))
        return Image.fromarray(rng.integers(0, 255, (40, 50, 3), np.uint8))

    return Stimuli(ids=IDS, modality="image", opener=draw)


def opened(folder: Path) -> Any:
    return CATALOGUE["openclip-image"].open(
        folder, model=CATALOGUE["openclip-image"].tiny(folder), revision="", device="cpu"
    )


def test_embeddings_are_those_of_open_clip(tmp_path: Path) -> None:
    import torch

    space = opened(tmp_path)
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    model.eval()
    pixels = torch.stack([transform(stimuli().open(one)) for one in IDS])
    with torch.inference_mode():
        expected = torch.cat([model.encode_image(fresh(one)) for one in pixels.split(1)]).numpy()
    # one picture a call on either side: the same bits
    np.testing.assert_array_equal(space.encode(stimuli(), IDS, batch=2).values, expected)
    assert space.card.shape == (24,) and space.rescaling == "spread+norm"


def test_neither_folder_nor_name_is_an_absent_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointAbsent, match="open_clip_config.json"):
        CATALOGUE["openclip-image"].open(tmp_path, model="", revision="", device="cpu")
    with pytest.raises(CheckpointAbsent):
        CATALOGUE["openclip-image"].open(tmp_path, model="ViT-B-32:no_such_tag", revision="", device="cpu")


@pytest.mark.parametrize("damage", ["truncated weights", "no weights", "broken configuration"])
def test_a_damaged_folder_is_one_sentence(tmp_path: Path, damage: str) -> None:
    opened(tmp_path)
    weights = tmp_path / "open_clip_model.safetensors"
    if damage == "truncated weights":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "no weights":
        weights.unlink()
    else:
        (tmp_path / "open_clip_config.json").write_text("{")
    with pytest.raises(InputError) as said:
        CATALOGUE["openclip-image"].open(tmp_path, model="tiny", revision="", device="cpu")
    assert "\n" not in str(said.value)


def test_the_other_towers_still_open_beside_open_clip(tmp_path: Path) -> None:
    """torchvision stands beside us here, and maybe one that was built for another torch."""
    for name in ("clip-image", "clip-text", "vae-latent"):
        model = CATALOGUE[name].tiny(tmp_path)
        space = CATALOGUE[name].open(tmp_path, model=model, revision="", device="cpu")
        assert space.card.name == name
