"""A metric that nobody knows: how alike two pictures are in red."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from evaluation.metrics import Views
from evaluation.metrics._parts.comparison import Comparison, pictureless
from evaluation.score import Int, Marks


@dataclass(frozen=True, kw_only=True)
class Redness(Comparison):
    """1 - the difference of the mean reds, from 0 to 1."""

    name: str = "toy_redness"
    title: str = "Redness"
    description: str = "how alike sample and reference are in red, as nobody has asked before"
    profiles: Mapping[str, int] = field(default_factory=lambda: {"clean": 55})

    def absent(self, references: Views) -> str:
        return pictureless(references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        left, right = (one.pixels[..., 0].mean((1, 2)) / 255 for one in (samples, references))
        return Marks(table=(1 - np.abs(left[:, None] - right[None])).astype(np.float32))


ENTRIES = (Redness(),)
