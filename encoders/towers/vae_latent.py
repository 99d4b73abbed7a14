"""vae-latent: a stack's autoencoder seen through a coarse grid, what is where and in which colours; early areas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from encoders.spaces._pretrained import component, frozen, revision_of
from encoders.towers import Tower

if TYPE_CHECKING:
    from torch import Tensor

GRID = 8


class VaeLatentTower:
    """The catalogue's entry: component vae; the latent's mean, pooled to an 8 x 8 grid."""

    name = "vae-latent"

    def open(self, folder: Path, *, model: str, device: str) -> Tower:
        """The encoder half of the autoencoder in `folder`."""
        from diffusers import AutoencoderKL
        from torch.nn import functional as F  # noqa: N812

        place = component(folder, "vae", model=model)
        network = frozen(AutoencoderKL, place, device=device)

        def forward(pixels: Tensor) -> Tensor:
            latents = network.encode(pixels).latent_dist.mean
            return F.adaptive_avg_pool2d(latents, GRID).flatten(1)

        half = (0.5, 0.5, 0.5)
        return Tower(
            name=self.name, model=model, digest=revision_of([place], ""), side=network.config.sample_size, mean=half,
            std=half, width=GRID * GRID * network.config.latent_channels, forward=forward,
        )  # fmt: skip


ENTRIES = (VaeLatentTower(),)
