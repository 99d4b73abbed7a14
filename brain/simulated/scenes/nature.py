"""How food and animals are drawn: one small function a kind (`brain/simulated/scenes/things.py`)."""

from __future__ import annotations

import numpy as np

from brain.simulated.scenes.colours import INK, PAPER
from brain.simulated.scenes.pen import Colour, Pen, blend, shade

# food


def apple(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """An apple with a stem and a leaf."""
    pen.oval(-0.28, 0.15, 0.56, 0.75, colour)
    pen.oval(0.28, 0.15, 0.56, 0.75, colour)
    pen.oval(-0.38, -0.1, 0.15, 0.22, shade(colour, 1.35))
    pen.line([(0, -0.45), (0.1, -0.85)], 0.11, (90, 60, 36))
    pen.poly([(0.1, -0.7), (0.4, -1.0), (0.68, -0.82), (0.4, -0.62)], (70, 150, 60))


def banana(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A banana, bent upwards."""
    outer = [(-1.0, -0.35), (-0.75, 0.35), (-0.2, 0.75), (0.4, 0.72), (0.95, 0.3)]
    inner = [(0.9, 0.1), (0.35, 0.3), (-0.15, 0.25), (-0.55, -0.05), (-0.78, -0.48)]
    pen.poly(outer + inner, colour)
    pen.line([(-0.9, -0.4), (-0.62, 0.16), (-0.15, 0.5), (0.4, 0.5), (0.9, 0.2)], 0.07, shade(colour, 0.75))
    pen.poly([(-1.02, -0.35), (-0.98, -0.75), (-0.82, -0.75), (-0.76, -0.45)], (90, 70, 34))


def pizza(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A round pizza with six slices of topping."""
    pen.oval(0, 0.1, 0.98, 0.9, (196, 138, 72))
    pen.oval(0, 0.1, 0.84, 0.76, blend((244, 206, 96), colour, 0.25))
    for x, y in ((-0.4, -0.2), (0.3, -0.3), (0.5, 0.25), (-0.05, 0.15), (-0.45, 0.4), (0.12, 0.6)):
        pen.oval(x, y, 0.17, 0.155, colour)


def cake(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A cake on a plate, with one candle."""
    pen.oval(0, 0.92, 1.0, 0.14, (214, 214, 220))
    pen.box(-0.8, 0.1, 0.8, 0.9, (226, 184, 128))
    pen.box(-0.8, 0.1, 0.8, 0.36, colour)
    for x in (-0.6, -0.2, 0.2, 0.6):
        pen.oval(x, 0.36, 0.19, 0.17, colour)
    pen.box(-0.5, -0.35, 0.5, 0.1, shade(colour, 1.2))
    pen.box(-0.04, -0.75, 0.04, -0.35, (250, 250, 250))
    pen.oval(0, -0.86, 0.07, 0.13, (255, 190, 60))


# animals


def dog(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A dog from the side."""
    dark = shade(colour, 0.7)
    for x in (-0.55, -0.3, 0.28, 0.5):
        pen.line([(x, 0.3), (x, 0.9)], 0.2, dark)
    pen.oval(-0.05, 0.18, 0.72, 0.36, colour)
    pen.line([(-0.7, 0.05), (-0.95, -0.45)], 0.15, colour)
    pen.oval(0.66, -0.3, 0.36, 0.34, colour)
    pen.oval(0.96, -0.2, 0.22, 0.16, shade(colour, 1.15))
    pen.oval(0.46, -0.22, 0.15, 0.36, dark)
    pen.oval(0.74, -0.38, 0.06, 0.06, INK)
    pen.oval(1.12, -0.26, 0.07, 0.07, INK)


def cat(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A cat that sits, from the front."""
    dark = shade(colour, 0.75)
    pen.line([(0.4, 0.85), (0.85, 0.7), (0.9, 0.2)], 0.15, dark)
    pen.oval(0, 0.48, 0.48, 0.56, colour)
    for side in (-1.0, 1.0):
        pen.poly([(side * 0.46, -0.4), (side * 0.44, -1.0), (side * 0.08, -0.66)], colour)
        pen.line([(side * 0.18, 0.6), (side * 0.18, 0.98)], 0.18, dark)
    pen.oval(0, -0.35, 0.52, 0.42, colour)
    for side in (-0.21, 0.21):
        pen.oval(side, -0.4, 0.12, 0.11, (190, 220, 90))
        pen.oval(side, -0.4, 0.045, 0.1, INK)
    pen.poly([(-0.08, -0.22), (0.08, -0.22), (0, -0.12)], (226, 130, 140))


def bird(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A bird from the side."""
    pen.poly([(-0.55, 0.1), (-1.1, -0.1), (-1.0, 0.35)], shade(colour, 0.7))
    pen.oval(-0.05, 0.15, 0.66, 0.42, colour)
    pen.oval(0.52, -0.25, 0.32, 0.3, colour)
    pen.poly([(0.78, -0.32), (1.15, -0.18), (0.78, -0.1)], (240, 170, 40))
    pen.poly([(-0.35, 0.05), (0.3, 0.0), (-0.1, -0.85), (-0.5, -0.75)], shade(colour, 0.78))
    pen.oval(0.6, -0.3, 0.07, 0.07, INK)
    for x in (-0.1, 0.15):
        pen.line([(x, 0.5), (x, 0.95)], 0.07, (220, 150, 50))


def fish(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A fish from the side."""
    pen.poly([(-0.5, 0.1), (-1.1, -0.4), (-1.0, 0.1), (-1.1, 0.6)], shade(colour, 0.75))
    pen.poly([(-0.2, -0.25), (0.1, -0.75), (0.4, -0.25)], shade(colour, 0.75))
    pen.oval(0.1, 0.1, 0.85, 0.48, colour)
    for x in (-0.25, 0.1):
        pen.line([(x, -0.25), (x, 0.45)], 0.12, blend(colour, PAPER, 0.6))
    pen.oval(0.62, 0.0, 0.13, 0.13, PAPER)
    pen.oval(0.65, 0.0, 0.07, 0.07, INK)
