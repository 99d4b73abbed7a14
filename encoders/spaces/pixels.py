"""pixels: the picture itself, small, grey or in colour; no network at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from brain.console.progress import progress
from brain.errors import UsageError
from brain.types import Float, Stimuli
from encoders.conditions import Conditions, SpaceCard
from encoders.spaces._streaming import encode_stream, fitted, picture

CHANNELS = {"rgb": 3, "grey": 1}
DEFAULT = "rgb-64x64"
LARGEST = 64
"""Pixels of a side where the pictures decide."""


@dataclass(frozen=True, kw_only=True)
class PixelSpace:
    """Pictures -> (channel, height, width) in 0..1; every pixel is the mean of what it covers.

    A prediction may leave 0..1; whoever draws it clips.
    """

    card: SpaceCard
    rescaling: str = "spread"

    def encode(self, stimuli: Stimuli, ids: Sequence[str], *, batch: int) -> Conditions:
        """The pictures of these stimuli, cut to the needed aspect around the centre and resized."""
        channels, height, width = self.card.shape

        def prepare(one: str) -> Float:
            image = fitted(picture(stimuli, one, space=self.card.name), height, width, resample=Image.Resampling.BOX)
            pixels: Float = np.asarray(image if channels == 3 else image.convert("L"), np.float32)
            return pixels.reshape(height, width, channels).transpose(2, 0, 1) / np.float32(255)

        return encode_stream(self.card, ids, batch=batch, prepare=prepare, forward=np.stack)


class Pixels:
    """The catalogue's entry. `model` says what pixels: "rgb-64x64", "grey-10x10" (height x width)."""

    name = "pixels"
    title = "Pixels"
    description = "the picture itself, small, grey or in colour"
    citation = "Miyawaki et al. (2008), Neuron 60:915"
    modality = "image"
    component = ""
    requires = ""
    captioned = False
    telling = 30
    noised = False

    def open(self, folder: Path, *, model: str, revision: str, device: str) -> PixelSpace:
        """The space of these pixels; `folder`, `revision` and `device` do not matter to it."""
        model = model or DEFAULT
        match = re.fullmatch(r"(rgb|grey)-([1-9]\d{0,3})x([1-9]\d{0,3})", model)
        if match is None:
            raise UsageError(f"condition space 'pixels': expected such as {DEFAULT} or grey-10x10, found {model!r}")
        shape = (CHANNELS[match[1]], int(match[2]), int(match[3]))
        card = SpaceCard(name=self.name, model=model, revision="1", layer="pixels", normalisation="0..1", shape=shape)
        return PixelSpace(card=card)

    def model_of(self, stimuli: Stimuli, ids: Sequence[str]) -> str:
        """The pixels these pictures have: the first one's size, no side above 64; grey where every one is."""
        width, height = stimuli.open(ids[0]).size
        shrink = min(1.0, LARGEST / max(width, height))
        looked = progress(ids, desc="looking for colour", unit="picture", leave=False)
        kind = "grey" if all(_is_grey(stimuli.open(name).convert("RGB")) for name in looked) else "rgb"
        return f"{kind}-{max(1, round(height * shrink))}x{max(1, round(width * shrink))}"

    def tiny(self, folder: Path) -> str:
        """Nothing to write: there is no component."""
        return "rgb-12x16"


def _is_grey(picture: object) -> bool:
    pixels = np.asarray(picture)
    return bool((pixels == pixels[..., :1]).all())


ENTRIES = (Pixels(),)
