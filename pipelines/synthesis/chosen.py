"""Ways without any generator or gradient: the best natural pictures, and the best of many that were drawn anyway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from brain.errors import InputError
from pipelines.base import pictures_of
from pipelines.sampler import generators_of
from pipelines.synthesis import Made, Studio
from pipelines.synthesis._walks import finished, many_seeds, walked


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """The natural pictures the objective likes best, the best first: what no synthesis should fall behind."""

    name: str = "retrieval"
    says: str = "the best natural pictures, none of them made"

    def make(self, studio: Studio, seeds: Sequence[int]) -> Iterator[Made]:
        natural = studio.natural
        if len(seeds) > len(natural.ids):
            raise InputError(
                f"retrieval: {len(seeds)} pictures are wanted of {len(natural.ids)} natural ones; ask for fewer"
            )
        best = np.argsort(-natural.worth, kind="stable")[: len(seeds)]
        for seed, row in zip(seeds, best, strict=True):
            yield Made(
                seed=seed, image=natural.open(natural.ids[row]), course=(float(natural.worth[row]),),
                candidates=len(natural.ids), source=natural.ids[row],
            )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Unguided:
    """What the stack draws by itself: the control that guidance is measured against."""

    name: str = "unguided"
    says: str = "no objective at all, the control"

    def make(self, studio: Studio, seeds: Sequence[int]) -> Iterator[Made]:
        yield from finished(
            studio, seeds, walked(studio, seeds, steps=studio.settings.steps, conditioned=False), course=None
        )


@dataclass(frozen=True, kw_only=True)
class BestOfN:
    """Short walks from many noises, of which the objective keeps one: no gradient, all luck."""

    name: str = "best-of-n"
    says: str = "many short walks, the best one kept"

    def make(self, studio: Studio, seeds: Sequence[int]) -> Iterator[Made]:
        for seed in seeds:
            how = studio.settings
            latents = walked(studio, many_seeds(seed, how.candidates), steps=how.few_steps, conditioned=how.conditioned)
            pixels = studio.pipeline.decode_latents(latents, lanes=studio.lanes)
            worth = studio.judged(pixels)
            best = int(np.argmax(worth))
            yield Made(
                seed=seed, image=pictures_of(pixels[best : best + 1])[0], candidates=len(worth),
                course=tuple(float(value) for value in np.maximum.accumulate(worth)),
            )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Search:
    """A (1, lambda) evolution of the initial noise: each generation turns the best noise a little and keeps the best.

    Gradient-free, so that it cannot follow an encoder's adversarial directions (the case made by NEvo 2026).
    """

    name: str = "search"
    says: str = "evolution of the initial noise, no gradient"

    def make(self, studio: Studio, seeds: Sequence[int]) -> Iterator[Made]:
        how = studio.settings
        width = max(2, min(8, how.candidates // 2))
        for seed in seeds:
            generator = generators_of([seed])[0]
            shape = (width, *studio.pipeline.latent_shape)
            noise = torch.randn(shape, generator=generator)
            best: tuple[float, torch.Tensor, torch.Tensor] | None = None
            course, turn = [], 0.6
            for _ in range(max(2, how.candidates // width)):
                latents = walked(
                    studio, many_seeds(seed, width), steps=how.few_steps, conditioned=how.conditioned, noise=noise,
                    mixtures=[seed] * width,
                )  # fmt: skip
                pixels = studio.pipeline.decode_latents(latents, lanes=studio.lanes)
                worth = studio.judged(pixels)
                top = int(np.argmax(worth))
                if best is None or worth[top] > best[0]:
                    best = worth[top], noise[top], pixels[top : top + 1]
                course.append(best[0])
                fresh = torch.randn(shape, generator=generator)
                noise = (1 - turn**2) ** 0.5 * best[1] + turn * fresh
                turn *= 0.8
            assert best is not None
            yield Made(seed=seed, image=pictures_of(best[2])[0], course=tuple(course), candidates=how.candidates)


ENTRIES = (Retrieval(), Unguided(), BestOfN(), Search())
