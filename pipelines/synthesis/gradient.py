"""Methods that follow a gradient: on x0 alone, through the UNet as BrainDiVE does, or on the initial noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.synthesis import LOOP, MIXED, Made, SynthesisContext


@dataclass(frozen=True, kw_only=True)
class Guided:
    """Each x0 moves uphill through the small decoder; the UNet is never differentiated, the full decoder runs once."""

    name: str = "guided"
    title: str = "Guided"
    description: str = "gradient on x0 through the small decoder, none through the UNet"
    citation: str = ""
    reads: tuple[str, ...] = ("steps", "scale", "conditioned", *MIXED, *LOOP)
    control: bool = False
    counts: str = "denoising step"

    def make(self, context: SynthesisContext, seeds: Sequence[int]) -> Iterator[Made]:
        """One picture a seed, in order."""
        from pipelines.sampling.guidance import Trace, uphill
        from pipelines.synthesis._parts.ascent import hooked

        how, trace = context.settings, Trace()
        hook = uphill(context.worth, scale=how.scale, batches=context.batches, trace=trace)
        yield from hooked(context, seeds, hook, trace, steps=how.steps, conditioned=how.conditioned)


@dataclass(frozen=True, kw_only=True)
class BrainDive:
    """Luo et al. 2023 as its code has it: through UNet and full decoder, on the blend of x0 and the noisy latent."""

    name: str = "braindive"
    title: str = "BrainDiVE"
    description: str = "the published loop, gradient through UNet and full decoder"
    citation: str = "Luo et al., NeurIPS 2023 (BrainDiVE)"
    reads: tuple[str, ...] = ("published_steps", "scale", *LOOP)
    control: bool = False
    counts: str = "denoising step"

    def make(self, context: SynthesisContext, seeds: Sequence[int]) -> Iterator[Made]:
        """One picture a seed, in order."""
        from pipelines.sampling.guidance import Trace, braindive
        from pipelines.synthesis._parts.ascent import hooked

        how, trace = context.settings, Trace()
        hook = braindive(context.full_worth, scale=how.scale, batches=context.batches, trace=trace)
        yield from hooked(context, seeds, hook, trace, steps=how.published_steps, conditioned=False)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The initial noise of a short loop climbs, renormalised to a noise' own length after every step (ReNO, 2024)."""

    name: str = "noise"
    title: str = "Ascent on the noise"
    description: str = "ascent on the initial noise of a short denoising loop"
    citation: str = ""
    reads: tuple[str, ...] = ("few_steps", "iterations", "rate", "conditioned", *MIXED, *LOOP)
    control: bool = False
    counts: str = "step of the ascent"

    def make(self, context: SynthesisContext, seeds: Sequence[int]) -> Iterator[Made]:
        """One picture a seed, in order."""
        from pipelines.synthesis._parts.ascent import on_noise

        for seed in seeds:
            yield from on_noise(context, seed)


ENTRIES = (Guided(), BrainDive(), Noise())
