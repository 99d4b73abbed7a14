"""openclip-image: the image embedding of any open_clip model, from a folder in open_clip's layout, never the network.

BrainDiVE guides through one (ViT-B/16, LAION-2B). Needs the extra openclip: pip install -e ".[openclip]" in a checkout.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brain.errors import CheckpointAbsent, InputError, expected
from encoders.frozen.checkpoint_folders import checked
from encoders.frozen.torchvision_guard import settle_torchvision
from encoders.spaces._pretrained import reading, revision_of
from encoders.spaces.openclip_image import CONFIG, INSTALL, WEIGHTS
from encoders.towers import Tower

if TYPE_CHECKING:
    from torch import Tensor


class OpenClipImageTower:
    """The catalogue's entry: a folder with open_clip_config.json and open_clip_model.safetensors."""

    name = "openclip-image"
    title = "OpenCLIP vision tower"
    description = "the embedding of any open_clip model from a folder"
    citation = "Cherti et al. (2023), CVPR (OpenCLIP); Luo et al. (2023), NeurIPS (BrainDiVE)"

    def open(self, folder: Path, *, model: str, device: str) -> Tower:
        """The image tower of the model in `folder`, projected, not normalised.

        Absent files or an absent package are a CheckpointAbsent, damaged files an InputError.
        """
        for file in (CONFIG, WEIGHTS):
            if not os.path.lexists(folder / file):
                then = "put the two files of an open_clip model there"
                raise CheckpointAbsent(expected(folder, f"{CONFIG} and {WEIGHTS}", f"no {file}", then))
        package = _open_clip(folder)
        with reading(checked(folder)):
            network, transform = package.create_model_from_pretrained(f"local-dir:{folder}", device=device)
        network = network.float().eval().requires_grad_(False)
        side = _side(network, folder)
        looks = package.get_model_preprocess_cfg(network)

        def forward(pixels: Tensor) -> Tensor:
            features: Tensor = network.encode_image(pixels, normalize=False)
            return features

        return Tower(
            name=self.name, model=model, digest=revision_of([folder], ""), side=side, mean=tuple(looks["mean"]),
            std=tuple(looks["std"]), width=_width(forward, side, device), forward=forward,
        )  # fmt: skip

    def tiny(self, folder: Path) -> Path:
        """The random model of the space of the same name."""
        from encoders.spaces.openclip_image import OpenClipImage

        OpenClipImage().tiny(folder)
        return folder


def _open_clip(folder: Path) -> Any:
    settle_torchvision()
    try:
        import open_clip
    except ModuleNotFoundError as fault:
        raise CheckpointAbsent(expected(folder, "the package open_clip to open it", "none", INSTALL)) from fault
    return open_clip


def _side(network: Any, folder: Path) -> int:
    """Pixels a side; a tower that is not square is an InputError."""
    size = network.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise InputError(expected(folder, "a tower of square pictures", f"{height} x {width}", "use another model"))
    return int(height)


def _width(forward: Any, side: int, device: str) -> int:
    """The embedding's length, from one empty picture: towers name it differently."""
    import torch

    with torch.inference_mode():
        return int(forward(torch.zeros(1, 3, side, side, device=device)).shape[-1])


ENTRIES = (OpenClipImageTower(),)
