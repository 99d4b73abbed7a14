"""A decoded image embedding drawn by a UNet that takes one (unCLIP, Ramesh et al. 2022, laid out as Stable unCLIP)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor

from brain.errors import InputError, UsageError
from pipelines.images.base import Drawing, LatentPipeline, StepEnd
from pipelines.sampling.micro_batches import MicroBatches, given
from pipelines.sampling.sampler import (
    Denoiser,
    Gaussian,
    Hooks,
    Noised,
    Prompt,
    Start,
    classifier_free,
    generators_of,
    noise_of,
    scheduler_named,
    two_scales,
    unet_denoiser,
)


class ImageEmbeddingPipeline(LatentPipeline):
    """Draws pictures from image embeddings, with text and noised latents beside them where they are given.

    The UNet's image condition is the embedding, noised to a level in normalised units, next to the sinusoidal embedding
    of that level; its empty condition is zeros.
    """

    model_cpu_offload_seq = "text_encoder->image_encoder->unet->vae"
    _exclude_from_cpu_offload = ["image_normalizer"]
    _optional_components = ["image_encoder", "feature_extractor", "safety_checker"]

    def __init__(
        self,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        unet: Any,
        scheduler: Any,
        image_normalizer: Any,
        image_noising_scheduler: Any,
        image_encoder: Any = None,
        feature_extractor: Any = None,
        safety_checker: Any = None,
    ) -> None:
        super().__init__()
        if unet is not None and unet.config.class_embed_type != "projection":
            raise InputError("this stack's UNet takes no image embedding; choose a stack that serves unclip")
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
            image_normalizer=image_normalizer,
            image_noising_scheduler=image_noising_scheduler,
            image_encoder=image_encoder,
            feature_extractor=feature_extractor,
            safety_checker=safety_checker,
        )

    @torch.no_grad()
    def __call__(
        self,
        image_embeds: Tensor,
        text: Tensor | None = None,
        latents: Tensor | None = None,
        *,
        seeds: Sequence[int],
        steps: int = 20,
        strength: float = 0.8,
        guidance_scale: float = 10.0,
        image_scale: float | None = None,
        noise_level: int = 0,
        eta: float = 0.0,
        scheduler: str = "",
        hooks: Hooks = Hooks(),  # noqa: B008  frozen
        batches: MicroBatches | None = None,
        callback_on_step_end: StepEnd | None = None,
        output_type: str = "pil",
        noise: Tensor | None = None,
    ) -> Drawing:
        """Draw one picture a row.

        image_embeds    (sample, dim) projected embeddings of the stack's image encoder
        text            (sample, token, dim) last hidden states, or None for the empty text
        latents         (sample, channel, y, x) scaled as the UNet takes them, or None to start from noise
        guidance_scale  towards the whole prompt; with `image_scale` given, towards the text only
        noise_level     how far the embedding is noised, a step of the noising scheduler; forgives decoding errors
        noise           (sample, channel, y, x) to start from instead of each seed's own
        """
        batches = batches or self.batches()
        generators = generators_of(seeds)
        counts = {len(one) for one in (image_embeds, text, latents) if one is not None}
        if counts != {len(seeds)}:
            raise InputError(f"drawing: {len(seeds)} seeds for conditions of {sorted(counts)} samples; give one each")
        empty = self._empty(batches)
        start: Start = Gaussian()
        if latents is not None:
            start = Noised(latents=self._fitted(latents, batches), strength=strength)
        told = empty.repeat(len(seeds)).text if text is None else self._text(text)
        prompt = Prompt(text=told, image=self.image_condition(image_embeds, noise_level, generators=generators))
        return self._draw(
            self._guided(empty, guidance_scale, image_scale),
            prompt,
            start=start,
            generators=generators,
            scheduler=scheduler_named(scheduler, self.scheduler),
            steps=steps,
            eta=eta,
            hooks=hooks,
            batches=batches,
            on_step_end=callback_on_step_end,
            output_type=output_type,
            noise=noise,
        )

    def image_condition(
        self, image_embeds: Tensor, noise_level: int, *, generators: Sequence[torch.Generator]
    ) -> Tensor:
        """The UNet's image condition (sample, 2 * dim): the embedding noised in normalised units, then its level's.

        The noise is drawn at every level, level 0 too, before the latents' own, in the order of Stable unCLIP.
        """
        dim = self.unet.config.projection_class_embeddings_input_dim // 2
        levels = self.image_noising_scheduler.config.num_train_timesteps
        if image_embeds.ndim != 2 or image_embeds.shape[1] != dim:
            raise InputError(
                f"image embeddings: expected (sample, {dim}), found {tuple(image_embeds.shape)}; "
                "use this stack's encoder"
            )
        if not 0 <= noise_level < levels:
            raise UsageError(f"noise level must be from 0 to {levels - 1}, found {noise_level}")
        noise = noise_of(generators, (dim,)).to(self.device)
        level = torch.full((len(image_embeds),), noise_level, device=self.device)
        mean, std = self.image_normalizer.mean.float(), self.image_normalizer.std.float()
        unit = (given(image_embeds, self.device) - mean) / std
        noised = self.image_noising_scheduler.add_noise(unit, timesteps=level, noise=noise) * std + mean
        said = get_timestep_embedding(level[:1], dim, flip_sin_to_cos=True, downscale_freq_shift=0).float()
        return torch.cat([noised, said.expand(len(noised), -1)], 1)

    def _guided(self, empty: Prompt, guidance_scale: float, image_scale: float | None) -> Denoiser:
        plain = unet_denoiser(self.unet)
        if image_scale is None:
            return classifier_free(plain, empty, guidance_scale)
        return two_scales(plain, empty, text_scale=guidance_scale, image_scale=image_scale)
