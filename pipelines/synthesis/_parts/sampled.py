"""Denoising loops that methods share: latents from noise under hooks, and what becomes of the latents at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pipelines.images.base import pictures_of
from pipelines.sampling.sampler import Hooks, SamplerState
from pipelines.synthesis import Made, Sight, SynthesisContext

NO_HOOKS = Hooks()


def many_seeds(seed: int, count: int) -> list[int]:
    """`count` seeds that derive from one; the first is the seed itself."""
    digests = [hashlib.sha256(f"{seed}\0{number}".encode()).digest() for number in range(1, count)]
    return [seed, *(int.from_bytes(digest[:8], "little") >> 1 for digest in digests)]


def sampled(
    context: SynthesisContext,
    seeds: Sequence[int],
    *,
    steps: int,
    conditioned: bool,
    hooks: Hooks = NO_HOOKS,
    noise: Tensor | None = None,
    mixtures: Sequence[int] = (),
    candidates: bool = False,
) -> Tensor:
    """Latents (sample, channel, y, x) of one denoising loop a seed, from noise or from the context's reference picture.

    conditioned  towards embeddings that the objective rates highly, where the context has any
    mixtures     the seeds of these embeddings where they are not the loops' own
    candidates   whether one of the samples is chosen afterwards, so that none is a picture on its way
    """
    pipeline, how = context.pipeline, context.settings
    hooks = watched(context, hooks, seeds=() if candidates else tuple(seeds))
    latents: Any = None
    if context.reference is not None:
        latents = pipeline.encode_pictures([context.reference] * len(seeds), batches=context.batches)
    if conditioned and context.takes_embeddings:
        drawn: Tensor = pipeline(
            torch.from_numpy(context.conditions(mixtures or seeds)), None, latents, seeds=seeds, steps=steps,
            strength=how.strength, guidance_scale=how.guidance, scheduler=how.scheduler, hooks=hooks,
            batches=context.batches, output_type="latent", noise=noise,
        ).images  # fmt: skip
        return drawn
    found: Tensor = pipeline.prior(
        latents, seeds=seeds, steps=steps, strength=how.strength, scheduler=how.scheduler, hooks=hooks,
        batches=context.batches, output_type="latent", noise=noise,
    ).images  # fmt: skip
    return found


def watched(context: SynthesisContext, hooks: Hooks, *, seeds: tuple[int, ...]) -> Hooks:
    """The same hooks, and one that calls the context's `watch` at every step, where there is one.

    `seeds` (sample,) are those of the pictures that the samples become, () of candidates.
    """
    watch = context.watch
    if watch is None:
        return hooks

    def look(x0: Tensor, state: SamplerState) -> None:
        watch(Sight(step=state.step, steps=state.steps, latents=x0.detach().clone(), seeds=seeds))

    return replace(hooks, look=look)


def finished(
    context: SynthesisContext, seeds: Sequence[int], latents: Tensor, *, before: Sequence[Sequence[float]] | None
) -> Iterator[Made]:
    """The pictures of these latents through the full decoder; their own worth ends the trajectory `before` it.

    `latents` (sample, channel, y, x).
    """
    with torch.inference_mode():
        pixels = context.pipeline.decode_latents(latents, batches=context.batches)
    worth = context.judged(pixels)
    for number, (seed, image) in enumerate(zip(seeds, pictures_of(pixels), strict=True)):
        trajectory = tuple(before[number]) if before is not None else ()
        yield Made(seed=seed, image=image, trajectory=(*trajectory, worth[number]))
