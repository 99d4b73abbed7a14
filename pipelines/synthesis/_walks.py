"""Walks that the ways share: from noise under hooks, and what becomes of the latents at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pipelines.base import pictures_of
from pipelines.sampler import Hooks, Moment
from pipelines.synthesis import Made, Sight, Studio

NO_HOOKS = Hooks()


def many_seeds(seed: int, count: int) -> list[int]:
    """`count` seeds that derive from one; the first is the seed itself."""
    digests = [hashlib.sha256(f"{seed}\0{number}".encode()).digest() for number in range(1, count)]
    return [seed, *(int.from_bytes(digest[:8], "little") >> 1 for digest in digests)]


def walked(
    studio: Studio,
    seeds: Sequence[int],
    *,
    steps: int,
    conditioned: bool,
    hooks: Hooks = NO_HOOKS,
    noise: Tensor | None = None,
    mixtures: Sequence[int] = (),
) -> Tensor:
    """Latents (sample, channel, y, x) of one walk a seed, from noise or from the studio's reference picture.

    conditioned  towards embeddings that the objective likes, where the studio has any
    mixtures     the seeds of these embeddings where they are not the walks' own
    """
    pipeline, how = studio.pipeline, studio.settings
    hooks = watched(studio, hooks)
    latents: Any = None
    if studio.reference is not None:
        latents = pipeline.encode_pictures([studio.reference] * len(seeds), lanes=studio.lanes)
    if conditioned and studio.takes_embeddings:
        drawn: Tensor = pipeline(
            torch.from_numpy(studio.conditions(mixtures or seeds)), None, latents, seeds=seeds, steps=steps,
            strength=how.strength, guidance_scale=how.guidance, scheduler=how.scheduler, hooks=hooks,
            lanes=studio.lanes, output_type="latent", noise=noise,
        ).images  # fmt: skip
        return drawn
    found: Tensor = pipeline.prior(
        latents, seeds=seeds, steps=steps, strength=how.strength, scheduler=how.scheduler, hooks=hooks,
        lanes=studio.lanes, output_type="latent", noise=noise,
    ).images  # fmt: skip
    return found


def watched(studio: Studio, hooks: Hooks) -> Hooks:
    """The same hooks, and one that tells the studio's `watch` of every step, where there is one."""
    watch = studio.watch
    if watch is None:
        return hooks

    def look(x0: Tensor, moment: Moment) -> None:
        watch(Sight(step=moment.step, steps=moment.steps, latents=x0.detach().clone()))

    return replace(hooks, look=look)


def finished(
    studio: Studio, seeds: Sequence[int], latents: Tensor, *, course: Sequence[Sequence[float]] | None
) -> Iterator[Made]:
    """The pictures of these latents through the full decoder, each with its course and its own worth as the last."""
    with torch.inference_mode():
        pixels = studio.pipeline.decode_latents(latents, lanes=studio.lanes)
    worth = studio.judged(pixels)
    for number, (seed, image) in enumerate(zip(seeds, pictures_of(pixels), strict=True)):
        before = tuple(course[number]) if course is not None else ()
        yield Made(seed=seed, image=image, course=(*before, worth[number]))
