"""A pen that draws in the unit square of an object, wherever it stands: x to the right, y down, both in [-1, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]


def shade(colour: Colour, factor: float) -> Colour:
    """The colour made darker (factor below 1) or lighter (above 1), kept within 0..255."""
    red, green, blue = (max(0, min(255, round(channel * factor))) for channel in colour)
    return red, green, blue


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """The colour at `share` (0..1) between the first and the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


class Pen:
    """Draws unit-square shapes at (x, y) pixels with half-size `size`, turned by `tilt` radians, mirrored if `flip`."""

    def __init__(
        self, canvas: Image.Image, x: float, y: float, *, size: float, tilt: float = 0.0, flip: bool = False
    ) -> None:
        self.canvas = canvas
        self.draw = ImageDraw.Draw(canvas)
        self.x, self.y, self.size = x, y, size
        self.cos, self.sin = math.cos(tilt), math.sin(tilt)
        self.tilt = tilt
        self.mirror = -1.0 if flip else 1.0

    def at(self, x: float, y: float) -> Point:
        """The canvas pixel of a unit-square point."""
        x *= self.mirror
        return self.x + self.size * (self.cos * x - self.sin * y), self.y + self.size * (self.sin * x + self.cos * y)

    def poly(self, points: Sequence[Point], fill: Colour) -> None:
        """A filled polygon."""
        self.draw.polygon([self.at(*point) for point in points], fill=fill)

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        """A filled rectangle."""
        self.poly([(left, top), (right, top), (right, bottom), (left, bottom)], fill)

    def oval(
        self, x: float, y: float, rx: float, ry: float, fill: Colour, *, start: float = 0, stop: float = 360
    ) -> None:
        """A filled ellipse around (x, y), or the sector of it from `start` to `stop` degrees (0 right, 90 down)."""
        steps = 28
        turn = [math.radians(start + (stop - start) * step / steps) for step in range(steps + 1)]
        self.poly([(x + rx * math.cos(a), y + ry * math.sin(a)) for a in turn], fill)

    def line(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """A thick line with round joints; `width` in half-sizes."""
        pixels = [self.at(*point) for point in points]
        thick = max(1, round(width * self.size))
        self.draw.line(pixels, fill=fill, width=thick, joint="curve")
        for x, y in (pixels[0], pixels[-1]):
            self.draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=fill)

    def text(self, x: float, y: float, words: str, height: float, fill: Colour) -> None:
        """Words centred on (x, y), `height` in half-sizes; letters are never mirrored."""
        font = ImageFont.load_default(size=max(4, round(height * self.size)))
        self.draw.text(
            self.at(x * self.mirror, y), words, font=font, fill=fill, anchor="mm", stroke_width=1, stroke_fill=fill
        )
