"""How objects and vehicles are drawn: one small function a kind (`brain/simulated/scenes/things.py`)."""

from __future__ import annotations

import numpy as np

from brain.simulated.scenes.colours import GLASS, INK, PAPER
from brain.simulated.scenes.pen import Colour, Pen, blend, shade

# objects


def cup(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A cup with a handle."""
    pen.oval(0.62, 0.2, 0.38, 0.4, shade(colour, 0.8))
    pen.oval(0.62, 0.2, 0.22, 0.24, blend((180, 180, 180), colour, 0.2))
    pen.poly([(-0.75, -0.55), (0.65, -0.55), (0.5, 0.95), (-0.6, 0.95)], colour)
    pen.oval(-0.05, -0.55, 0.7, 0.17, shade(colour, 0.6))
    pen.box(-0.55, -0.2, -0.38, 0.7, shade(colour, 1.3))


def chair(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A chair with a back of three slats."""
    dark = shade(colour, 0.65)
    for x, top in ((-0.55, 0.2), (0.5, 0.2), (-0.38, 0.1), (0.68, 0.1)):
        pen.line([(x, top), (x, 0.95)], 0.12, dark)
    pen.poly([(-0.62, 0.22), (0.58, 0.22), (0.78, -0.02), (-0.42, -0.02)], colour)
    pen.box(-0.5, -1.0, -0.36, 0.1, dark)
    pen.box(0.62, -1.0, 0.76, 0.1, dark)
    for y in (-0.95, -0.58, -0.25):
        pen.box(-0.45, y, 0.72, y + 0.19, colour)


def lamp(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A table lamp that is lit."""
    pen.oval(0, 0.9, 0.45, 0.13, (70, 66, 70))
    pen.box(-0.06, -0.2, 0.06, 0.9, (96, 92, 96))
    pen.oval(0, -0.1, 0.4, 0.14, (255, 240, 170))
    pen.poly([(-0.35, -0.95), (0.35, -0.95), (0.75, -0.1), (-0.75, -0.1)], colour)
    pen.poly([(-0.25, -0.95), (-0.05, -0.95), (-0.15, -0.1), (-0.5, -0.1)], shade(colour, 1.25))


def clock(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """An alarm clock whose two hands point anywhere."""
    for side in (-0.5, 0.5):
        pen.line([(side, 0.6), (side * 1.3, 0.98)], 0.14, shade(colour, 0.6))
        pen.oval(side, -0.75, 0.26, 0.22, shade(colour, 0.8))
    pen.oval(0, 0.05, 0.88, 0.88, colour)
    pen.oval(0, 0.05, 0.68, 0.68, PAPER)
    for angle in rng.uniform(0, 2 * np.pi, 2):
        pen.line([(0, 0.05), (0.46 * np.cos(angle), 0.05 + 0.46 * np.sin(angle))], 0.09, INK)
    for x, y in ((0, -0.5), (0, 0.6), (-0.55, 0.05), (0.55, 0.05)):
        pen.oval(x, y, 0.06, 0.06, INK)


# vehicles


def _wheel(pen: Pen, x: float, y: float, radius: float) -> None:
    pen.oval(x, y, radius, radius, INK)
    pen.oval(x, y, radius * 0.5, radius * 0.5, (170, 170, 176))


def car(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A car from the side."""
    pen.poly([(-0.6, 0.2), (-0.35, -0.4), (0.35, -0.4), (0.65, 0.2)], shade(colour, 0.85))
    pen.poly([(-0.48, 0.15), (-0.28, -0.28), (0.0, -0.28), (0.0, 0.15)], GLASS)
    pen.poly([(0.08, 0.15), (0.08, -0.28), (0.3, -0.28), (0.52, 0.15)], GLASS)
    pen.poly([(-1.05, 0.2), (1.0, 0.2), (1.08, 0.45), (1.05, 0.7), (-1.05, 0.7)], colour)
    pen.oval(0.98, 0.38, 0.1, 0.09, (255, 240, 160))
    for x in (-0.58, 0.58):
        _wheel(pen, x, 0.7, 0.27)


def bus(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A bus from the side."""
    pen.box(-1.1, -0.7, 1.1, 0.7, colour)
    pen.box(-1.1, 0.15, 1.1, 0.28, PAPER)
    for x in (-0.82, -0.36, 0.1, 0.56):
        pen.box(x - 0.17, -0.5, x + 0.17, 0.02, GLASS)
    pen.box(0.82, -0.5, 1.05, 0.55, GLASS)
    for x in (-0.62, 0.58):
        _wheel(pen, x, 0.72, 0.24)


def boat(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A boat with two sails."""
    pen.box(-0.05, -1.0, 0.04, 0.4, (110, 78, 48))
    pen.poly([(0.1, -0.95), (0.1, 0.25), (0.85, 0.25)], PAPER)
    pen.poly([(-0.12, -0.7), (-0.12, 0.25), (-0.66, 0.25)], (226, 220, 206))
    pen.poly([(-1.05, 0.38), (1.05, 0.38), (0.68, 0.95), (-0.7, 0.95)], colour)
    pen.box(-0.96, 0.38, 0.98, 0.5, shade(colour, 1.35))


def plane(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """An aeroplane from the side."""
    pen.poly([(-0.85, -0.05), (-1.1, -0.6), (-0.8, -0.6), (-0.45, -0.05)], shade(colour, 0.75))
    pen.poly([(0.1, 0.0), (-0.35, -0.7), (-0.1, -0.7), (0.5, 0.0)], shade(colour, 0.7))
    pen.oval(0, 0.06, 1.05, 0.25, colour)
    for x in (-0.4, -0.15, 0.1, 0.35):
        pen.oval(x, -0.02, 0.065, 0.065, GLASS)
    pen.poly([(0.72, -0.1), (0.95, 0.0), (0.72, 0.04)], GLASS)
    pen.poly([(0.3, 0.12), (-0.45, 0.85), (-0.1, 0.85), (0.62, 0.12)], shade(colour, 0.85))
