"""Previews: what a denoising loop has in mind at a step, as pictures or log-mel spectrograms, long before it is done.

    small = small_decoder(stack, device="cpu")
    def watch(glimpse): show(previews(generator, glimpse.latents, small=small))

They look through the stack's small decoder where it has one, for the full one would cost more than the step itself.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoders.frozen.checkpoint_folders import checked
from pipelines.stacks.folder import StackFolder
from pipelines.stacks.load import damage
from pipelines.stacks.parts import part_of

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.drawing import Generator

SMALL = "tiny_vae"
"""The component that decodes latents cheaply (an `AutoencoderTiny`)."""


def small_decoder(stack: StackFolder, *, device: str) -> Any:
    """The stack's small decoder in float32, None where it has none; opened once."""
    place: Path | None = part_of(stack, SMALL)
    return None if place is None else _opened(place, device)


@lru_cache(maxsize=2)
def _opened(place: Path, device: str) -> Any:
    from diffusers import AutoencoderTiny

    with damage(checked(place)):
        network = AutoencoderTiny.from_pretrained(place, local_files_only=True, use_safetensors=True)
    return network.float().to(device).eval().requires_grad_(False)


def previews(generator: Generator, latents: Tensor, *, small: Any = None) -> list[Any]:
    """Latents (sample, ...) as RGB pictures, or as log-mel spectrograms (frame, mel) float32 of a stack of sounds."""
    import torch

    from pipelines.images.base import pictures_of

    pipeline, batches = generator.pipeline, generator.pipeline.batches()
    with torch.inference_mode():
        if generator.modality == "sound":
            return list(pipeline.decode_mels(latents, batches=batches).cpu().numpy())
        if small is None:
            return list(pictures_of(pipeline.decode_latents(latents, batches=batches)))
        pixels = batches.run(lambda z: small.decode(z, return_dict=False)[0], latents)
        return list(pictures_of((pixels / 2 + 0.5).clamp(0, 1)))
