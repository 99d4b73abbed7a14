"""vae-latent: the latent a stack's AutoencoderKL gives a picture, scaled as its diffusion model expects it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from brain.types import Float, Stimuli
from encoders.conditions import Conditions, SpaceCard
from encoders.frozen.micro_batches import in_micro_batches
from encoders.spaces._pretrained import component, frozen, reading, revision_of
from encoders.spaces._streaming import encode_stream, fitted, picture


@dataclass(frozen=True, kw_only=True)
class VaeLatentSpace:
    """Pictures -> (channel, height, width): the mode, never a sample, of the posterior, (z - shift) * scaling factor.

    A picture is cut to a square around its centre and resized (Lanczos) to the autoencoder's own size.
    """

    card: SpaceCard
    vae: Any = field(repr=False)
    size: tuple[int, int]
    scale: float
    shift: float
    device: str
    rescaling: str = "spread"

    def encode(self, stimuli: Stimuli, ids: Sequence[str], *, batch: int) -> Conditions:
        """True latents of these pictures."""

        def prepare(one: str) -> Float:
            image = fitted(picture(stimuli, one, space=self.card.name), *self.size, resample=Image.Resampling.LANCZOS)
            return np.asarray(image, np.float32).transpose(2, 0, 1) / 127.5 - 1

        return encode_stream(self.card, ids, batch=batch, prepare=prepare, forward=self._forward)

    def _forward(self, pixels: list[Float]) -> Float:
        import torch

        def encode(some: torch.Tensor) -> torch.Tensor:
            latent: torch.Tensor = self.vae.encode(some).latent_dist.mode()
            return latent

        with torch.inference_mode():
            latent = in_micro_batches(encode, torch.from_numpy(np.stack(pixels)), device=self.device)
        return np.asarray((latent.cpu().numpy() - self.shift) * self.scale, np.float32)


class VaeLatent:
    """The catalogue's entry: component vae."""

    name = "vae-latent"
    title = "Latent of the picture"
    description = "the latent that a stack's autoencoder gives a picture"
    citation = "Rombach et al. (2022), CVPR (latent diffusion)"
    modality = "image"
    component = "vae"
    requires = ""
    captioned = False
    telling = 20
    noised = True

    def open(self, folder: Path, *, model: str, revision: str, device: str) -> VaeLatentSpace:
        """The space on the stack in `folder`."""
        place = component(folder, "vae", model=model)
        with reading(place):
            from diffusers import AutoencoderKL
        vae = frozen(AutoencoderKL, place, device=device)
        size, scale = vae.config.sample_size, float(vae.config.scaling_factor)
        height, width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        shift = float(vae.config.shift_factor or 0)
        smaller = 2 ** (len(vae.config.block_out_channels) - 1)
        card = SpaceCard(
            name=self.name,
            model=model,
            revision=revision_of([place], revision),
            layer=f"posterior mode of {height}x{width} px",
            normalisation=f"(z - {shift:g}) * {scale:g}",
            shape=(vae.config.latent_channels, height // smaller, width // smaller),
        )
        return VaeLatentSpace(card=card, vae=vae, size=(height, width), scale=scale, shift=shift, device=device)

    def tiny(self, folder: Path) -> str:
        """A random autoencoder of 2 levels on 32 px pictures."""
        from diffusers import AutoencoderKL

        AutoencoderKL(
            block_out_channels=(8, 16),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=32,
        ).save_pretrained(folder / "vae")
        return "tiny"


ENTRIES = (VaeLatent(),)
