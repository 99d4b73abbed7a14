"""The optimum in closed form: natural embeddings mixed by what the objective makes of their pictures, drawn.

BrainSCUBA's softmax (Luo et al. 2024) before an image-embedding condition (BrainACTIV 2025): no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from brain.errors import UsageError
from pipelines.synthesis import LOOP, MIXED, Made, SynthesisContext


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """A mixture and a noise a seed."""

    name: str = "embedding"
    title: str = "Embedding"
    description: str = "a mixture of the best natural image embeddings, drawn by the image condition"
    citation: str = ""
    reads: tuple[str, ...] = ("steps", *MIXED, *LOOP)
    control: bool = False
    counts: str = ""

    def make(self, context: SynthesisContext, seeds: Sequence[int]) -> Iterator[Made]:
        """One picture a seed, in order; a stack or an objective without an embedding is a UsageError."""
        from pipelines.synthesis._parts.sampled import finished, sampled

        if not context.takes_embeddings:
            raise UsageError(
                "method 'embedding': expected a stack whose UNet takes an image embedding and an objective linear in "
                "it, found others; use a stack that serves unclip"
            )
        latents = sampled(context, seeds, steps=context.settings.steps, conditioned=True)
        yield from finished(context, seeds, latents, before=None)


ENTRIES = (Embedding(),)
