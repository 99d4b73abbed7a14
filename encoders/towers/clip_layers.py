"""clip-layers: every layer of a stack's CLIP vision tower, averaged over a coarse grid of patches, joined.

The embedding keeps what a caption would say; the layers below it also keep size, place and texture, which regions are
tuned to as well. It guides beside clip-image as an ensemble.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from encoders.spaces._pretrained import component, frozen, reading, revision_of
from encoders.towers import Tower

if TYPE_CHECKING:
    from torch import Tensor

GRID = 2


class ClipLayersTower:
    """The catalogue's entry: components image_encoder and feature_extractor."""

    name = "clip-layers"

    def open(self, folder: Path, *, model: str, device: str) -> Tower:
        """The vision tower of the stack in `folder`."""
        import torch
        from torch.nn import functional as F  # noqa: N812

        place = component(folder, "image_encoder", model=model)
        looks = component(folder, "feature_extractor", model=model)
        with reading(looks):
            from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

            processor = CLIPImageProcessorPil.from_pretrained(looks, local_files_only=True)
        network = frozen(CLIPVisionModelWithProjection, place, device=device)
        config = network.config
        patches = config.image_size // config.patch_size

        def forward(pixels: Tensor) -> Tensor:
            states = network(pixel_values=pixels, output_hidden_states=True).hidden_states[1:]
            found = []
            for state in states:
                grid = state[:, 1:].transpose(1, 2).unflatten(2, (patches, patches))
                pooled = F.adaptive_avg_pool2d(grid, GRID).flatten(1)
                # every layer has a size of its own; none may drown the others
                found.append(F.normalize(pooled.float(), dim=1))
            return torch.cat(found, 1)

        return Tower(
            name=self.name, model=model, digest=revision_of([place, looks], ""), side=config.image_size,
            mean=tuple(processor.image_mean), std=tuple(processor.image_std),
            width=GRID * GRID * config.hidden_size * config.num_hidden_layers, forward=forward,
        )  # fmt: skip


ENTRIES = (ClipLayersTower(),)
