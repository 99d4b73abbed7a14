"""Gradients of the objective: on x0 in the denoising loop, or on the initial noise through a whole short one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from pipelines.sampling.guidance import Trace, slope
from pipelines.sampling.sampler import (
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
from pipelines.synthesis import Made, Sight, SynthesisContext
from pipelines.synthesis._parts.sampled import finished, sampled


def hooked(
    context: SynthesisContext, seeds: Sequence[int], hook: Hook, trace: Trace, *, steps: int, conditioned: bool
) -> Iterator[Made]:
    """Pictures of denoising loops under a hook that writes the objective into `trace`; at scale 0 there is no hook."""
    hooks = Hooks(on_x0=hook) if context.settings.scale else Hooks()
    latents = sampled(context, seeds, steps=steps, conditioned=conditioned, hooks=hooks)
    yield from finished(context, seeds, latents, before=[trace.of(number) for number in range(len(seeds))])


def on_noise(context: SynthesisContext, seed: int) -> Iterator[Made]:
    """The picture of the best noise that an ascent of its own length found."""
    how, trace = context.settings, Trace()
    noise = _best_noise(context, seed, trace)
    latents = sampled(context, [seed], steps=how.few_steps, conditioned=how.conditioned, noise=noise)
    yield from finished(context, [seed], latents, before=[trace.of(0)])


def _best_noise(context: SynthesisContext, seed: int, trace: Trace) -> Tensor:
    """The noise (1, channel, y, x) with the most worth on the way up; `trace` gathers the most so far."""
    how = context.settings
    noise = noise_of(generators_of([seed]), context.pipeline.latent_shape)
    worth = _worth_of_noise(context, seed)
    best_noise, best = noise, -torch.inf
    for number in range(how.iterations):
        if context.watch is not None:
            context.watch(Sight(step=number, steps=how.iterations))
        value, gradient = slope(worth, noise, context.batches)
        if float(value) > best:
            best_noise, best = noise, float(value)
        trace.values.append([best])
        size = noise.norm()
        stepped = noise + how.rate * size * gradient / gradient.norm().clamp(min=1e-12) * 0.5
        noise = stepped / stepped.norm() * size
    return best_noise


def _worth_of_noise(context: SynthesisContext, seed: int) -> Callable[[Tensor], Tensor]:
    """Noise -> the objective of what a short loop of this seed makes of it, differentiable from end to end."""
    pipeline, how = context.pipeline, context.settings
    empty = pipeline.nothing(context.batches)
    scheduler = scheduler_named(how.scheduler, pipeline.scheduler)
    denoise, prompt = unet_denoiser(pipeline.unet), empty
    if how.conditioned and context.takes_embeddings:
        with torch.no_grad():
            embedding = torch.from_numpy(context.conditions([seed]))
            image = pipeline.image_condition(embedding, 0, generators=generators_of([0]))
        prompt = Prompt(text=empty.text, image=image)
        denoise = classifier_free(denoise, empty, how.guidance)

    def worth(noise: Tensor) -> Tensor:
        latents = sample(
            denoise, prompt.repeat(len(noise)), scheduler=scheduler, start=Gaussian(), noise=noise,
            generators=generators_of(range(len(noise))), steps=how.few_steps, eta=0.0, hooks=Hooks(),
            watch=lambda step, t, x: x,
        )  # fmt: skip
        return context.worth(latents)

    return worth
