"""Pixels: predicted pixels are the picture; no generator, no checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from brain.errors import UsageError, expected
from brain.types import Float
from decode.methods import Decoder, Plain, read_from
from decode.run.folder import RunFolder
from decode.run.settings import Settings, fitting
from decode.run.showing import Pictures
from encoders.conditions import Conditions, SpaceCard
from pipelines.drawing import Drawn, Watch

SPACE = "pixels"


@dataclass(frozen=True, kw_only=True)
class PixelsSettings:
    """Which pixels are predicted."""

    pixels: str = fitting("")
    """Such as grey-10x10 or rgb-64x64; empty takes the pictures' own, 64x64 at most."""

    def __post_init__(self) -> None:
        if self.pixels:
            check_pixels(self.pixels)


def check_pixels(pixels: str) -> None:
    """Refuses (UsageError) pixels that the space of that name does not know."""
    from encoders.spaces import CATALOGUE as SPACES  # imports arrays, which flags can be read without

    try:
        SPACES[SPACE].open(Path(), model=pixels, revision="", device="")
    except UsageError as fault:
        then = "write the kind and a height and a width from 1 to 9999"
        raise UsageError(expected("--pixels", "pixels such as grey-10x10 or rgb-64x64", repr(pixels), then)) from fault


@dataclass(frozen=True, kw_only=True)
class Pixels(Plain):
    """The method: values (channel, y, x) from 0 to 1 -> RGB pictures, what lies outside cut; seeds change nothing."""

    needs: tuple[str, ...] = (SPACE,)
    takes: tuple[str, ...] = ()

    def check(self, settings: Settings, own: PixelsSettings) -> None:
        """Refuses maps of no clear choice."""
        read_from(settings.maps, self.needs, method=self.name)

    def models(self, own: PixelsSettings) -> Mapping[str, str]:
        """The pixels that were asked for."""
        return {SPACE: own.pixels} if own.pixels else {}

    def open(self, run: RunFolder, settings: Settings, *, true: Mapping[str, Conditions]) -> SpaceCard:
        """The space of the pixels."""
        return true[read_from(settings.maps, self.needs, method=self.name)[SPACE]].space

    def decoder(self, opened: SpaceCard, settings: Settings, own: Any, *, seconds: float) -> Decoder:
        """Pictures of the size that was predicted."""

        def draw(
            conditions: Mapping[str, Conditions],
            ids: Sequence[str],
            seeds: Sequence[int],
            *,
            watch: Watch | None = None,
        ) -> Iterator[Drawn]:
            values = conditions[SPACE]
            opened.must_match(values.space)
            for stimulus, seed, row in zip(ids, seeds, values.rows(ids), strict=True):
                yield Drawn(id=stimulus, seed=seed, image=picture_of(values.values[row]), withheld=False)

        return Decoder(
            method=self.name,
            show=Pictures(size=(opened.shape[2], opened.shape[1])),
            draw=draw,
            prior=None,
            round_trip=None,
            facts={"generator": self.name, "pixels": opened.model},
            maps=read_from(settings.maps, self.needs, method=self.name),
        )


def picture_of(pixels: Float) -> Image.Image:
    """Pixels (channel, y, x) from 0 to 1, of one channel or three, as an RGB picture."""
    bytes_ = (np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(bytes_, (3, *bytes_.shape[1:])).transpose(1, 2, 0)))


ENTRIES = (
    Pixels(
        name="pixels",
        title="Predicted pixels",
        description="what plain regression sees: no generator, no checkpoint",
        citation="Miyawaki et al. 2008, Neuron",
        settings=PixelsSettings(),
        stack=False,
        lacks={"prior": "it draws nothing without a condition", "round_trip": "it has no autoencoder"},
    ),
)
