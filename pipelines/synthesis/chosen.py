"""Methods without any generator or gradient: the best natural pictures, and the best of many that were drawn anyway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from brain.errors import InputError
from pipelines.synthesis import LOOP, MIXED, Made, SynthesisContext


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """The natural pictures the objective rates highest, the best first: what no synthesis should fall behind."""

    name: str = "retrieval"
    title: str = "Natural pictures"
    description: str = "the best natural pictures, none of them made"
    citation: str = ""
    reads: tuple[str, ...] = ()
    control: bool = False
    counts: str = ""

    def make(self, context: SynthesisContext, seeds: Sequence[int]) -> Iterator[Made]:
        """One picture a seed, in order of worth; more than there are is an InputError."""
        natural = context.natural
        if len(seeds) > len(natural.ids):
            raise InputError(
                f"retrieval: {len(seeds)} pictures are asked for of {len(natural.ids)} natural ones; ask for fewer"
            )
        best = np.argsort(-natural.worth, kind="stable")[: len(seeds)]
        for seed, row in zip(seeds, best, strict=True):
            yield Made(
                seed=seed, image=natural.open(natural.ids[row]), trajectory=(float(natural.worth[row]),),
                candidates=len(natural.ids), source=natural.ids[row],
            )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Unguided:
    """What the stack draws by itself: the control that guidance is measured against."""

    name: str = "unguided"
    title: str = "Unguided"
    description: str = "no objective at all, the control"
    citation: str = ""
    reads: tuple[str, ...] = ("steps", *LOOP)
    control: bool = True
    counts: str = ""

    def make(self, context: SynthesisContext, seeds: Sequence[int]) -> Iterator[Made]:
        """One picture a seed, in order."""
        from pipelines.synthesis._parts.sampled import finished, sampled

        latents = sampled(context, seeds, steps=context.settings.steps, conditioned=False)
        yield from finished(context, seeds, latents, before=None)


@dataclass(frozen=True, kw_only=True)
class BestOfN:
    """Short denoising loops from many noises, of which the objective keeps one: no gradient, all luck."""

    name: str = "best-of-n"
    title: str = "Best of n"
    description: str = "many short denoising loops, the best one kept"
    citation: str = ""
    reads: tuple[str, ...] = ("few_steps", "candidates", "conditioned", *MIXED, *LOOP)
    control: bool = False
    counts: str = "candidate"

    def make(self, context: SynthesisContext, seeds: Sequence[int]) -> Iterator[Made]:
        """One picture a seed, in order."""
        from pipelines.synthesis._parts.selection import best_of_n

        for seed in seeds:
            yield best_of_n(context, seed)


@dataclass(frozen=True, kw_only=True)
class Search:
    """A (1, lambda) evolution of the initial noise: each generation turns the best noise a little and keeps the best.

    Gradient-free, so that it cannot follow an encoder's adversarial directions (the case made by NEvo 2026).
    """

    name: str = "search"
    title: str = "Search over noise"
    description: str = "evolution of the initial noise, no gradient"
    citation: str = ""
    reads: tuple[str, ...] = ("few_steps", "candidates", "conditioned", *MIXED, *LOOP)
    control: bool = False
    counts: str = "generation"

    def make(self, context: SynthesisContext, seeds: Sequence[int]) -> Iterator[Made]:
        """One picture a seed, in order."""
        from pipelines.synthesis._parts.selection import search

        for seed in seeds:
            yield search(context, seed)


ENTRIES = (Retrieval(), Unguided(), BestOfN(), Search())
