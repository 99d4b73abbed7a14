"""The generator that is none: decoded pixels are the picture. It keeps the contract of `pipelines/generators/`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from brain.types import Float
from encoders.conditions import Conditions, SpaceCard
from pipelines.drawing import Drawn, Watch

NAME = "pixels"


@dataclass(frozen=True, kw_only=True)
class Painter:
    """Pixels (channel, y, x) from 0 to 1 -> RGB pictures; what lies outside is cut. Seeds change nothing."""

    card: SpaceCard

    @property
    def picture_size(self) -> tuple[int, int]:
        """(width, height) in pixels of what it paints."""
        return self.card.shape[2], self.card.shape[1]

    def __call__(
        self,
        conditions: Mapping[str, Conditions],
        ids: Sequence[str],
        seeds: Sequence[int],
        *,
        watch: Watch | None = None,
    ) -> Iterator[Drawn]:
        """One picture an id, in order; nothing is denoised, so that `watch` is never told anything."""
        values = conditions[NAME]
        self.card.must_match(values.space)
        for stimulus, seed, row in zip(ids, seeds, values.rows(ids), strict=True):
            yield Drawn(id=stimulus, seed=seed, image=painted(values.values[row]), withheld=False)

    def facts(self) -> dict[str, Any]:
        """For the run's card."""
        return {"generator": NAME, "pixels": self.card.model}


def painted(pixels: Float) -> Image.Image:
    """Pixels (1 or 3, y, x) from 0 to 1 as an RGB picture."""
    bytes_ = (np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(bytes_, (3, *bytes_.shape[1:])).transpose(1, 2, 0)))
