"""What every picture pipeline shares: components of a latent diffusion stack, micro-batches, sampling, withheld ones.

Subclasses name their components in `__init__` (diffusers saves and loads by that signature) and say in `__call__`
what their condition is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput
from PIL import Image, ImageOps
from torch import Tensor

from brain.errors import InputError
from pipelines.sampling.micro_batches import MicroBatches, given
from pipelines.sampling.sampler import (
    Denoiser,
    Gaussian,
    Hooks,
    Noised,
    Prompt,
    Start,
    generators_of,
    in_micro_batches,
    noise_of,
    sample,
    scheduler_named,
    unet_denoiser,
)

StepEnd = Callable[[Any, int, Tensor, dict[str, Tensor]], dict[str, Tensor]]


@dataclass
class Drawing(BaseOutput):  # type: ignore[misc]
    """What a pipeline returns.

    images    (sample,) PIL RGB images, None where withheld; or a tensor for output_type "pt" and "latent"
    withheld  (sample,) True where the stack's safety checker objects; such a sample is counted, never scored
    """

    images: Any
    withheld: list[bool]


class LatentPipeline(DiffusionPipeline):  # type: ignore[misc]
    """A latent diffusion stack that draws from conditions; the base of the pipelines, not one itself."""

    model_cpu_offload_seq = "text_encoder->unet->vae"
    _optional_components = ["safety_checker", "feature_extractor"]
    _callback_tensor_inputs = ["latents"]

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(channel, y, x) of a latent at the size the UNet was trained for."""
        size = self.unet.config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        return self.unet.config.in_channels, height, width

    @property
    def picture_size(self) -> tuple[int, int]:
        """(width, height) in pixels of what it draws."""
        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        return self.latent_shape[2] * factor, self.latent_shape[1] * factor

    def batches(self) -> MicroBatches:
        """The micro-batches this stack is called in where no others are given."""
        return MicroBatches.fitting(self.unet, self.device, beside=self.components.values())

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str], *, batches: MicroBatches | None = None) -> Tensor:
        """Captions as the UNet reads them: last hidden states (sample, token, dim) float32, padded to full length."""
        tokens = self.tokenizer(
            list(captions),
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids.to(self.device)
        return (batches or self.batches()).run(lambda ids: self.text_encoder(ids).last_hidden_state.float(), tokens)

    @torch.no_grad()
    def encode_pictures(self, pictures: Sequence[Image.Image], *, batches: MicroBatches | None = None) -> Tensor:
        """Pictures, cut and resized to `picture_size`, as latents (sample, channel, y, x) float32, scaled."""
        sized = [ImageOps.fit(one.convert("RGB"), self.picture_size, Image.Resampling.LANCZOS) for one in pictures]
        pixels = torch.from_numpy(np.stack([np.asarray(one) for one in sized])).permute(0, 3, 1, 2)
        return self._latents_of(pixels.to(self.device).float() / 127.5 - 1, batches or self.batches())

    @torch.no_grad()
    def decode_latents(self, latents: Tensor, *, batches: MicroBatches | None = None) -> Tensor:
        """Latents as pixels (sample, 3, y, x) float32 from 0 to 1; numbers that are not finite are an `InputError`."""
        kind, (scale, shift) = self.vae.dtype, self._scale_and_shift()

        def decode(z: Tensor) -> Tensor:
            decoded: Tensor = self.vae.decode((z / scale + shift).to(kind), return_dict=False)[0].float()
            return decoded

        pixels = (batches or self.batches()).run(decode, given(latents, self.device))
        if not torch.isfinite(pixels).all():
            raise InputError(
                f"pictures: expected finite numbers, found NaN from the decoder in {kind}; draw in float32"
            )
        return (pixels / 2 + 0.5).clamp(0, 1)

    def _latents_of(self, pixels: Tensor, batches: MicroBatches) -> Tensor:
        scale, shift = self._scale_and_shift()

        def encode(x: Tensor) -> Tensor:
            coded = self.vae.encode(x.to(self.vae.dtype))
            mode = coded.latent_dist.mode() if hasattr(coded, "latent_dist") else coded.latents
            scaled: Tensor = (mode.float() - shift) * scale
            return scaled

        return batches.run(encode, pixels)

    def _fitted(self, latents: Tensor, batches: MicroBatches) -> Tensor:
        """Latents at the UNet's size: those of another size go through pixels, as Takagi & Nishimoto do (40 -> 64)."""
        if latents.ndim != 4 or latents.shape[1] != self.latent_shape[0]:
            raise InputError(
                f"latents: expected (sample, {self.latent_shape[0]}, y, x), found {tuple(latents.shape)}; encode again"
            )
        latents = given(latents, self.device)
        if latents.shape[2:] == self.latent_shape[1:]:
            return latents
        pixels = self.decode_latents(latents, batches=batches) * 2 - 1
        size = (self.picture_size[1], self.picture_size[0])
        return self._latents_of(
            torch.nn.functional.interpolate(pixels, size, mode="bicubic", antialias=True).clamp(-1, 1), batches
        )

    def _scale_and_shift(self) -> tuple[float, float]:
        return float(self.vae.config.scaling_factor), float(getattr(self.vae.config, "shift_factor", None) or 0)

    def _text(self, text: Tensor) -> Tensor:
        dim = self.unet.config.cross_attention_dim
        if text.ndim != 3 or text.shape[2] != dim:
            raise InputError(
                f"text condition: expected (sample, token, {dim}), found {tuple(text.shape)}; "
                "use the stack's text encoder"
            )
        return given(text, self.device)

    @torch.no_grad()
    def prior(
        self,
        latents: Tensor | None = None,
        *,
        seeds: Sequence[int],
        steps: int = 50,
        strength: float = 0.8,
        eta: float = 0.0,
        scheduler: str = "",
        hooks: Hooks = Hooks(),  # noqa: B008  frozen
        batches: MicroBatches | None = None,
        callback_on_step_end: StepEnd | None = None,
        output_type: str = "pil",
        noise: Tensor | None = None,
    ) -> Drawing:
        """Draw one picture a seed from the empty condition: what the stack paints when nobody tells it.

        latents  (sample, channel, y, x) to start from, noised by `strength`; None starts from noise alone
        noise    (sample, channel, y, x) instead of each seed's own
        """
        batches = batches or self.batches()
        start: Start = Gaussian()
        if latents is not None:
            start = Noised(latents=self._fitted(latents, batches), strength=strength)
        return self._draw(
            unet_denoiser(self.unet),
            self._empty(batches).repeat(len(seeds)),
            start=start,
            generators=generators_of(seeds),
            scheduler=scheduler_named(scheduler, self.scheduler),
            steps=steps,
            eta=eta,
            hooks=hooks,
            batches=batches,
            on_step_end=callback_on_step_end,
            output_type=output_type,
            noise=noise,
        )

    def nothing(self, batches: MicroBatches) -> Prompt:
        """The prompt that says nothing, of one sample."""
        return self._empty(batches)

    def _empty(self, batches: MicroBatches) -> Prompt:
        """The prompt that says nothing: the encoding of "" and, for a UNet that takes an image condition, zeros."""
        width = self.unet.config.projection_class_embeddings_input_dim
        image = torch.zeros(1, width, device=self.device) if self.unet.config.class_embed_type == "projection" else None
        return Prompt(text=self.encode_text([""], batches=batches), image=image)

    def _draw(
        self,
        denoise: Denoiser,
        prompt: Prompt,
        *,
        start: Start,
        generators: Sequence[torch.Generator],
        scheduler: Any,
        steps: int,
        eta: float,
        hooks: Hooks,
        batches: MicroBatches,
        on_step_end: StepEnd | None,
        output_type: str,
        noise: Tensor | None = None,
    ) -> Drawing:
        """The denoising loop with its progress bar, then the decoder, then the safety checker."""
        own = noise_of(generators, self.latent_shape)
        noise = given(own if noise is None else noise, self.device)
        with self.progress_bar(total=steps) as bar:

            def watch(step: int, t: Tensor, x: Tensor) -> Tensor:
                bar.update()
                return x if on_step_end is None else on_step_end(self, step, t, {"latents": x}).get("latents", x)

            latents = sample(
                in_micro_batches(denoise, batches),
                prompt,
                scheduler=scheduler,
                start=start,
                noise=noise,
                generators=generators,
                steps=steps,
                eta=eta,
                hooks=hooks,
                watch=watch,
            )
        if output_type == "latent":
            return Drawing(images=latents, withheld=[False] * len(latents))
        pixels = self.decode_latents(latents, batches=batches)
        pictures = pictures_of(pixels)
        withheld = self._withheld(pictures)
        if output_type == "pt":
            return Drawing(images=pixels, withheld=withheld)
        return Drawing(
            images=[None if flag else one for one, flag in zip(pictures, withheld, strict=True)], withheld=withheld
        )

    def _withheld(self, pictures: Sequence[Image.Image]) -> list[bool]:
        """(sample,) what the stack's safety checker objects to, one picture at a time; none without a checker."""
        if self.safety_checker is None:
            return [False] * len(pictures)
        flags = []
        for picture in pictures:
            seen = self.feature_extractor(picture, return_tensors="pt").pixel_values.to(
                self.device, self.safety_checker.dtype
            )
            # the checker blackens what it is handed: it gets a stand-in, and the flag decides
            _, objections = self.safety_checker(images=[np.zeros((1, 1, 3), np.float32)], clip_input=seen)
            flags.append(bool(objections[0]))
        return flags


def pictures_of(pixels: Tensor) -> list[Image.Image]:
    """Pixels (sample, 3, y, x) from 0 to 1 as 8-bit PIL RGB images."""
    bytes_ = (pixels.cpu() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return [Image.fromarray(one) for one in bytes_]
