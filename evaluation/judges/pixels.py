"""The judge that is no network: a small grey picture as features; for patterns and patches, such as 10 x 10 stimuli."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from evaluation.judges import NO_NETWORK, Opinion
from evaluation.samples.images import IMAGE

SIDE = 16


@dataclass(frozen=True, kw_only=True)
class PixelJudge:
    """Features are the 16 x 16 grey values of a picture (PIL's bilinear, antialiased), 0..1; it gives no verdicts."""

    name: str = "pixels"
    title: str = "Pixels"
    description: str = "a small grey picture as features; no network, no verdicts"
    citation: str = ""
    modality: str = IMAGE

    @property
    def card(self) -> Mapping[str, str]:
        """What stands in the report's card."""
        return {"name": self.name, "kind": f"{SIDE} x {SIDE} grey values, no network", "world": NO_NETWORK}

    def open(self) -> PixelJudge:
        """Itself: there is nothing to load."""
        return self

    def look(self, pictures: Iterable[Image.Image]) -> Opinion:
        """The pictures' grey values, features (picture, 256); no verdicts."""
        small = [picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR) for picture in pictures]
        grey = np.array([np.asarray(picture, np.float32).ravel() / 255 for picture in small], np.float32)
        return Opinion(features=grey.reshape(len(small), SIDE * SIDE))


ENTRIES = (PixelJudge(),)
