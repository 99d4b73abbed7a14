"""Pictures that the objective chooses among many, without any gradient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pipelines.images.base import pictures_of
from pipelines.sampling.sampler import generators_of
from pipelines.synthesis import Made, SynthesisContext
from pipelines.synthesis._parts.sampled import many_seeds, sampled

TURN, CALMER = 0.6, 0.8
"""How far the first generation of a search turns the noise, and what every later turn is multiplied by."""


def best_of_n(context: SynthesisContext, seed: int) -> Made:
    """The best of short denoising loops from many noises that derive from one seed."""
    how = context.settings
    latents = sampled(
        context, many_seeds(seed, how.candidates), steps=how.few_steps, conditioned=how.conditioned, candidates=True
    )
    pixels, worth = _judged(context, latents)
    best = int(np.argmax(worth))
    return Made(
        seed=seed, image=pictures_of(pixels[best : best + 1])[0], candidates=len(worth),
        trajectory=tuple(float(value) for value in np.maximum.accumulate(worth)),
    )  # fmt: skip


def search(context: SynthesisContext, seed: int) -> Made:
    """The best of a (1, lambda) evolution of the initial noise, lambda being half of the candidates from 2 to 8."""
    candidates = context.settings.candidates
    width = max(2, min(8, candidates // 2))
    trajectory, best = [], None
    for worth, pixels in _generations(context, seed, width=width, count=max(2, candidates // width)):
        trajectory.append(worth)
        best = pixels
    assert best is not None
    return Made(seed=seed, image=pictures_of(best)[0], trajectory=tuple(trajectory), candidates=candidates)


def _generations(context: SynthesisContext, seed: int, *, width: int, count: int) -> Iterator[tuple[float, Tensor]]:
    """The best worth so far, and the pixels (1, 3, y, x) that have it, generation after generation."""
    how, generator = context.settings, generators_of([seed])[0]
    shape = (width, *context.pipeline.latent_shape)
    noise = torch.randn(shape, generator=generator)
    best: tuple[float, Tensor, Tensor] | None = None
    turn = TURN
    for _ in range(count):
        latents = sampled(
            context, many_seeds(seed, width), steps=how.few_steps, conditioned=how.conditioned, noise=noise,
            mixtures=[seed] * width, candidates=True,
        )  # fmt: skip
        pixels, worth = _judged(context, latents)
        top = int(np.argmax(worth))
        if best is None or worth[top] > best[0]:
            best = worth[top], noise[top], pixels[top : top + 1]
        yield best[0], best[2]
        fresh = torch.randn(shape, generator=generator)
        noise = (1 - turn**2) ** 0.5 * best[1] + turn * fresh
        turn *= CALMER


def _judged(context: SynthesisContext, latents: Tensor) -> tuple[Tensor, list[float]]:
    pixels = context.pipeline.decode_latents(latents, batches=context.batches)
    return pixels, context.judged(pixels)
