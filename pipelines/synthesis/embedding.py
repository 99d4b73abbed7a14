"""The optimum in closed form: natural embeddings mixed by what the objective makes of their pictures, drawn.

BrainSCUBA's softmax (Luo et al. 2024) before an image-embedding condition (BrainACTIV 2025): no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from brain.errors import UsageError
from pipelines.synthesis import Made, Studio
from pipelines.synthesis._walks import finished, walked


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """A mixture and a noise a seed."""

    name: str = "embedding"
    says: str = "a mixture of the best natural image embeddings, drawn by the image condition"

    def make(self, studio: Studio, seeds: Sequence[int]) -> Iterator[Made]:
        if not studio.takes_embeddings:
            raise UsageError(
                "way 'embedding': expected a stack whose UNet takes an image embedding and an objective linear in it, "
                "found others; use a stack that serves unclip"
            )
        latents = walked(studio, seeds, steps=studio.settings.steps, conditioned=True)
        yield from finished(studio, seeds, latents, course=None)


ENTRIES = (Embedding(),)
