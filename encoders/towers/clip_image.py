"""clip-image: the projected image embedding of a stack's CLIP vision tower, the tower that BrainDiVE guides through."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from encoders.spaces._pretrained import component, frozen, reading, revision_of
from encoders.towers import Tower

if TYPE_CHECKING:
    from torch import Tensor


class ClipImageTower:
    """The catalogue's entry: components image_encoder and feature_extractor."""

    name = "clip-image"
    title = "CLIP vision tower"
    description = "the projected embedding of a stack's CLIP vision tower"
    citation = "Radford et al. (2021), ICML (CLIP); Luo et al. (2023), NeurIPS (BrainDiVE)"

    def open(self, folder: Path, *, model: str, device: str) -> Tower:
        """The vision tower of the stack in `folder`."""
        place = component(folder, "image_encoder", model=model)
        looks = component(folder, "feature_extractor", model=model)
        with reading(looks):
            from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

            processor = CLIPImageProcessorPil.from_pretrained(looks, local_files_only=True)
        network = frozen(CLIPVisionModelWithProjection, place, device=device)

        def forward(pixels: Tensor) -> Tensor:
            embeds: Tensor = network(pixel_values=pixels).image_embeds
            return embeds

        return Tower(
            name=self.name, model=model, digest=revision_of([place, looks], ""), side=network.config.image_size,
            mean=tuple(processor.image_mean), std=tuple(processor.image_std), width=network.config.projection_dim,
            forward=forward,
        )  # fmt: skip

    def tiny(self, folder: Path) -> Path:
        """The random tower of the space of the same name."""
        from encoders.spaces.clip_image import ClipImage

        ClipImage().tiny(folder)
        return folder


ENTRIES = (ClipImageTower(),)
