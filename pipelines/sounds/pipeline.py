"""Sounds drawn from LOA, CLAP and mel latents by the networks of AudioLDM 2 or AudioLDM, on our own sampler.

diffusers' own pipelines ask for every text encoder and know no start from latents, and AudioLDM's is deprecated; tests
hold this one equal to both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from brain.errors import InputError, UsageError
from pipelines.sampling.micro_batches import MicroBatches, given
from pipelines.sampling.sampler import (
    Gaussian,
    Hooks,
    Noised,
    Start,
    classifier_free,
    generators_of,
    noise_of,
    sample,
    scheduler_named,
)
from pipelines.sounds.language import language_loa
from pipelines.sounds.prompt import SoundPrompt, in_sound_micro_batches, reads_loa, sound_denoiser
from pipelines.sounds.stack import LOA_TOKENS, SoundDrawing, SoundStack

StepEnd = Callable[[Any, int, Tensor, dict[str, Tensor]], dict[str, Tensor]]


class SoundPipeline(SoundStack):
    """Draws sounds on a stack of AudioLDM (Liu et al. 2023) or AudioLDM 2 (Liu et al. 2024), bit for bit by seed."""

    @torch.no_grad()
    def coarse_to_fine(
        self,
        clap: Tensor,
        loa: Tensor | None = None,
        *,
        weight: float = 0.5,
        text: SoundPrompt | None = None,
        batches: MicroBatches | None = None,
    ) -> Tensor:
        """LOA (sample, token, dim): weight * `loa` + (1 - weight) * what the language model makes of `clap`.

        clap    (sample, dim), made unit length
        loa     (sample, token, dim) decoded; None is the language model alone
        weight  1 leaves the language model out
        text    `text` and `mask` beside CLAP in the language model's context; None is the empty text
        A stack without projection and language model, asked for them, is an `InputError`.
        """
        if not 0 <= weight <= 1:
            raise UsageError(f"LOA weight must be from 0 to 1, found {weight}")
        if loa is not None and weight == 1:
            return given(loa, self.device)
        if self.projection_model is None or self.language_model is None:
            raise InputError(
                "coarse to fine: this stack has no projection_model and language_model to make LOA of CLAP; "
                "give decoded LOA and weight 1"
            )
        batches = batches or self.batches()
        told = text or self.empty(batches).repeat(len(clap))
        if told.text is None or told.mask is None:
            raise InputError("coarse to fine: expected a text and its mask, found one alone; use encode_text")
        tokens = self.language_model.config.max_new_tokens if loa is None else loa.shape[1]
        made = language_loa(
            self.projection_model,
            self.language_model,
            self._clap(clap, dim=self.projection_model.config.text_encoder_dim),
            text=told.text,
            mask=told.mask,
            tokens=tokens,
            batches=batches,
        )
        return made if loa is None else weight * loa.to(made) + (1 - weight) * made

    def prompt_of(
        self, clap: Tensor, loa: Tensor | None = None, *, weight: float, batches: MicroBatches | None = None
    ) -> SoundPrompt:
        """What this stack's UNet reads of decoded CLAP and LOA: CLAP for AudioLDM, `coarse_to_fine` for AudioLDM 2.

        `clap` (sample, dim), `loa` (sample, token, dim).
        """
        if not reads_loa(self.unet):
            return SoundPrompt(clap=clap)
        return SoundPrompt(loa=self.coarse_to_fine(clap, loa, weight=weight, batches=batches))

    @torch.no_grad()
    def __call__(
        self,
        prompt: SoundPrompt,
        latents: Tensor | None = None,
        *,
        seeds: Sequence[int],
        seconds: float = 0,
        steps: int = 50,
        strength: float = 0.3,
        guidance_scale: float = 3.5,
        eta: float = 0.0,
        scheduler: str = "",
        hooks: Hooks = Hooks(),  # noqa: B008  frozen
        batches: MicroBatches | None = None,
        callback_on_step_end: StepEnd | None = None,
        unconditional: SoundPrompt | None = None,
        noise: Tensor | None = None,
    ) -> SoundDrawing:
        """Draw one sound a row.

        prompt         LOA, and text if wanted, for AudioLDM 2; CLAP, made unit length, for AudioLDM
        latents        (sample, channel, time, mel) to start from, noised by `strength` (SDEdit); None: noise alone
        seconds        how long, where no latents say; 0 is what the UNet was trained on
        unconditional  (1, ...) what guidance leads away from, instead of `empty`
        noise          (sample, channel, time, mel) instead of each seed's own
        """
        batches = batches or self.batches()
        if len(seeds) != len(prompt) or (latents is not None and len(latents) != len(prompt)):
            raise InputError(
                f"drawing: {len(prompt)} conditions, {len(seeds)} seeds and latents for another number; give one each"
            )
        empty = self.empty(batches, tokens=LOA_TOKENS if prompt.loa is None else prompt.loa.shape[1])
        if unconditional is not None:
            empty = self._whole(unconditional, empty)
        generators = generators_of(seeds)
        start, shape = self._start(latents, strength, seconds)
        own = noise_of(generators, shape)
        with self.progress_bar(total=steps) as bar:

            def watch(step: int, t: Tensor, x: Tensor) -> Tensor:
                bar.update()
                if callback_on_step_end is None:
                    return x
                return callback_on_step_end(self, step, t, {"latents": x}).get("latents", x)

            drawn = sample(
                in_sound_micro_batches(classifier_free(sound_denoiser(self.unet), empty, guidance_scale), batches),
                self._whole(prompt, empty),
                scheduler=scheduler_named(scheduler, self.scheduler),
                start=start,
                noise=given(own if noise is None else noise, self.device),
                generators=generators,
                steps=steps,
                eta=eta,
                hooks=hooks,
                watch=watch,
            )
        return self.decode_latents(drawn, batches=batches)

    def prior(
        self,
        *,
        seeds: Sequence[int],
        seconds: float = 0,
        steps: int = 50,
        eta: float = 0.0,
        scheduler: str = "",
        batches: MicroBatches | None = None,
    ) -> SoundDrawing:
        """Draw one sound a seed from the empty condition: what the stack plays when nobody tells it."""
        batches = batches or self.batches()
        return self(
            self.empty(batches).repeat(len(seeds)),
            seeds=seeds,
            seconds=seconds,
            steps=steps,
            guidance_scale=1.0,
            eta=eta,
            scheduler=scheduler,
            batches=batches,
        )

    def _start(self, latents: Tensor | None, strength: float, seconds: float) -> tuple[Start, tuple[int, int, int]]:
        """Where sampling starts, and the shape (channel, time, mel) of its latents."""
        if latents is None:
            return Gaussian(), self.latent_shape(seconds)
        channels, _, mels = self.latent_shape()
        if latents.ndim != 4 or latents.shape[1] != channels or latents.shape[3] != mels:
            raise InputError(
                f"mel latents: expected (sample, {channels}, time, {mels}), found {tuple(latents.shape)}; encode again"
            )
        if seconds and latents.shape[2] != self.latent_shape(seconds)[1]:
            raise UsageError(
                f"{seconds:g} seconds were asked for and mel latents of another length were given; give one"
            )
        start = Noised(latents=given(latents, self.device), strength=strength)
        return start, (latents.shape[1], latents.shape[2], latents.shape[3])
