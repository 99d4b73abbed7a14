"""The pipeline of Takagi & Nishimoto (CVPR 2023): a decoded latent is the noised start, decoded text the condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from brain.errors import InputError
from pipelines.images.base import Drawing, LatentPipeline, StepEnd
from pipelines.sampling.micro_batches import MicroBatches
from pipelines.sampling.sampler import (
    Gaussian,
    Hooks,
    Noised,
    Prompt,
    Start,
    classifier_free,
    generators_of,
    scheduler_named,
    unet_denoiser,
)


class LatentTextPipeline(LatentPipeline):
    """Draws pictures from text conditions, starting from noised latents where they are given.

    Loads every stack with a text-conditioned UNet: Stable Diffusion 1.x, 2.x, the miniature. A UNet that also takes an
    image condition is given its empty one.
    """

    def __init__(
        self,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        unet: Any,
        scheduler: Any,
        safety_checker: Any = None,
        feature_extractor: Any = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
            safety_checker=safety_checker,
            feature_extractor=feature_extractor,
        )

    @torch.no_grad()
    def __call__(
        self,
        text: Tensor,
        latents: Tensor | None = None,
        *,
        seeds: Sequence[int],
        steps: int = 50,
        strength: float = 0.8,
        guidance_scale: float = 5.0,
        eta: float = 0.0,
        scheduler: str = "",
        hooks: Hooks = Hooks(),  # noqa: B008  frozen
        batches: MicroBatches | None = None,
        callback_on_step_end: StepEnd | None = None,
        output_type: str = "pil",
    ) -> Drawing:
        """Draw one picture a row.

        text     (sample, token, dim) last hidden states of the stack's text encoder
        latents  (sample, channel, y, x) scaled as the UNet takes them, or None to start from noise
        seeds    one a sample; the same seed and conditions give the same bits in any batch
        Defaults are the paper's: 50 steps of which the last 40 are walked, guidance 5.
        """
        batches = batches or self.batches()
        if len(seeds) != len(text) or (latents is not None and len(latents) != len(text)):
            raise InputError(
                f"drawing: {len(text)} texts, {len(seeds)} seeds and latents for another number; give one each"
            )
        start: Start = Gaussian()
        if latents is not None:
            start = Noised(latents=self._fitted(latents, batches), strength=strength)
        empty = self._empty(batches)
        text = self._text(text)
        prompt = Prompt(text=text, image=empty.repeat(len(text)).image)
        return self._draw(
            classifier_free(unet_denoiser(self.unet), empty, guidance_scale),
            prompt,
            start=start,
            generators=generators_of(seeds),
            scheduler=scheduler_named(scheduler, self.scheduler),
            steps=steps,
            eta=eta,
            hooks=hooks,
            batches=batches,
            on_step_end=callback_on_step_end,
            output_type=output_type,
        )
