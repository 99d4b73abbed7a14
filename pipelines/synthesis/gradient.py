"""Ways that follow a gradient: on x0 alone, through the UNet as BrainDiVE does, or on the initial noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.guidance import Trace, braindive, slope, uphill
from pipelines.sampler import (
    Gaussian,
    Hook,
    Hooks,
    Prompt,
    classifier_free,
    generators_of,
    noise_of,
    sample,
    scheduler_named,
    unet_denoiser,
)
from pipelines.synthesis import Made, Sight, Studio
from pipelines.synthesis._walks import finished, walked


@dataclass(frozen=True, kw_only=True)
class Guided:
    """Each x0 moves uphill through the small decoder; the UNet is never differentiated, the full decoder runs once."""

    name: str = "guided"
    says: str = "gradient on x0 through the small decoder, none through the UNet"

    def make(self, studio: Studio, seeds: Sequence[int]) -> Iterator[Made]:
        trace = Trace()
        hook = uphill(studio.worth, scale=studio.settings.scale, lanes=studio.lanes, trace=trace)
        how = studio.settings
        yield from _hooked(studio, seeds, hook, trace, steps=how.steps, conditioned=how.conditioned)


@dataclass(frozen=True, kw_only=True)
class BrainDive:
    """Luo et al. 2023 as its code has it: through UNet and full decoder, on the blend of x0 and the noisy latent."""

    name: str = "braindive"
    says: str = "the published loop, gradient through UNet and full decoder"

    def make(self, studio: Studio, seeds: Sequence[int]) -> Iterator[Made]:
        trace = Trace()
        hook = braindive(studio.full_worth, scale=studio.settings.scale, lanes=studio.lanes, trace=trace)
        yield from _hooked(studio, seeds, hook, trace, steps=studio.settings.published_steps, conditioned=False)


def _hooked(
    studio: Studio, seeds: Sequence[int], hook: Hook, trace: Trace, *, steps: int, conditioned: bool
) -> Iterator[Made]:
    hooks = Hooks(on_x0=hook) if studio.settings.scale else Hooks()
    latents = walked(studio, seeds, steps=steps, conditioned=conditioned, hooks=hooks)
    yield from finished(studio, seeds, latents, course=[trace.of(number) for number in range(len(seeds))])


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The initial noise of a short walk climbs, renormalised to a noise' own length after every step (ReNO, 2024)."""

    name: str = "noise"
    says: str = "ascent on the initial noise of a short walk"

    def make(self, studio: Studio, seeds: Sequence[int]) -> Iterator[Made]:
        for seed in seeds:
            yield from self._one(studio, seed)

    def _one(self, studio: Studio, seed: int) -> Iterator[Made]:
        how = studio.settings
        noise = noise_of(generators_of([seed]), studio.pipeline.latent_shape)
        worth = _worth_of_noise(studio, seed)
        trace = Trace()
        best_noise, best = noise, -torch.inf
        for number in range(how.iterations):
            if studio.watch is not None:
                studio.watch(Sight(step=number, steps=how.iterations))
            value, gradient = slope(worth, noise, studio.lanes)
            if float(value) > best:
                best_noise, best = noise, float(value)
            trace.values.append([best])
            size = noise.norm()
            stepped = noise + how.rate * size * gradient / gradient.norm().clamp(min=1e-12) * 0.5
            noise = stepped / stepped.norm() * size
        latents = walked(studio, [seed], steps=how.few_steps, conditioned=how.conditioned, noise=best_noise)
        yield from finished(studio, [seed], latents, course=[trace.of(0)])


def _worth_of_noise(studio: Studio, seed: int) -> Callable[[Tensor], Tensor]:
    """Noise -> the objective of what a short walk of this seed makes of it, differentiable from end to end."""
    pipeline, how = studio.pipeline, studio.settings
    empty = pipeline.nothing(studio.lanes)
    scheduler = scheduler_named(how.scheduler, pipeline.scheduler)
    denoise, prompt = unet_denoiser(pipeline.unet), empty
    if how.conditioned and studio.takes_embeddings:
        with torch.no_grad():
            embedding = torch.from_numpy(studio.conditions([seed]))
            image = pipeline.image_condition(embedding, 0, generators=generators_of([0]))
        prompt = Prompt(text=empty.text, image=image)
        denoise = classifier_free(denoise, empty, how.guidance)

    def worth(noise: Tensor) -> Tensor:
        latents = sample(
            denoise, prompt.repeat(len(noise)), scheduler=scheduler, start=Gaussian(), noise=noise,
            generators=generators_of(range(len(noise))), steps=how.few_steps, eta=0.0, hooks=Hooks(),
            watch=lambda step, t, x: x,
        )  # fmt: skip
        return studio.worth(latents)

    return worth


ENTRIES = (Guided(), BrainDive(), Noise())
