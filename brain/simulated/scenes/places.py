"""How words and places are drawn: one small function a kind (`brain/simulated/scenes/things.py`)."""

from __future__ import annotations

import numpy as np

from brain.simulated.scenes.colours import GLASS, INK, PAPER, drawn_letters
from brain.simulated.scenes.pen import Colour, Pen, shade

# words


def letters(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """Three random letters."""
    pen.text(0, 0.1, drawn_letters(rng, 3), 1.05, colour)


def number(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A round plate with a number of two digits."""
    pen.oval(0, 0.05, 0.9, 0.9, colour)
    pen.oval(0, 0.05, 0.76, 0.76, PAPER)
    pen.text(0, 0.05, str(rng.integers(10, 99)), 1.0, INK)


def poster(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A framed poster with three lines of random letters."""
    pen.box(-0.78, -0.95, 0.78, 0.95, colour)
    pen.box(-0.68, -0.85, 0.68, 0.85, PAPER)
    pen.text(0, -0.5, drawn_letters(rng, 4), 0.56, INK)
    pen.text(0, 0.03, drawn_letters(rng, 4), 0.56, INK)
    pen.text(0, 0.54, drawn_letters(rng, 4), 0.56, colour)


def sign(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A signpost that points to the right, with random letters."""
    pen.box(-0.07, 0.1, 0.07, 1.0, (120, 120, 124))
    pen.poly([(-0.95, -0.6), (0.6, -0.6), (0.98, -0.2), (0.6, 0.2), (-0.95, 0.2)], colour)
    ink = INK if sum(colour) > 380 else PAPER
    pen.text(-0.12, -0.2, drawn_letters(rng, 4), 0.62, ink)


# places


def house(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A house with a gabled roof."""
    pen.box(-0.85, -0.2, 0.85, 1.0, colour)
    pen.poly([(-1.05, -0.2), (0, -1.0), (1.05, -0.2)], shade((150, 62, 48), 1.0 if sum(colour) > 300 else 1.3))
    pen.box(-0.18, 0.35, 0.18, 1.0, (84, 54, 36))
    for side in (-0.52, 0.52):
        pen.box(side - 0.19, 0.08, side + 0.19, 0.46, PAPER)
        pen.box(side - 0.14, 0.12, side + 0.14, 0.42, GLASS)


def church(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A church with a steeple."""
    pen.box(-0.3, 0.1, 0.95, 1.0, colour)
    pen.poly([(-0.3, 0.1), (0.32, -0.25), (0.98, 0.1)], (96, 86, 92))
    pen.box(-0.85, -0.45, -0.3, 1.0, shade(colour, 0.9))
    pen.poly([(-0.93, -0.45), (-0.57, -1.25), (-0.22, -0.45)], (84, 74, 84))
    pen.box(-0.66, 0.5, -0.48, 1.0, (72, 48, 34))
    for x in (0.05, 0.4, 0.75):
        pen.oval(x, 0.45, 0.09, 0.22, GLASS)


def mountain(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A mountain with a snowy peak, and a lower one."""
    pen.poly([(-1.35, 1.0), (-0.7, -0.1), (-0.35, 0.3), (-0.1, 1.0)], shade(colour, 0.8))
    pen.poly([(-0.75, 1.0), (0.15, -0.95), (1.3, 1.0)], colour)
    pen.poly([(0.15, -0.95), (1.3, 1.0), (0.5, 1.0), (0.3, 0.1)], shade(colour, 0.72))
    pen.poly([(-0.12, -0.38), (0.15, -0.95), (0.48, -0.4), (0.28, -0.5), (0.16, -0.3), (0.02, -0.48)], (246, 248, 252))


def forest(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """Five conifers."""
    for x, base, height in (
        (-0.72, 0.8, 0.85),
        (0.74, 0.82, 0.9),
        (-0.3, 0.92, 1.1),
        (0.34, 0.95, 1.2),
        (0.0, 1.0, 0.9),
    ):
        tone = shade(colour, float(rng.uniform(0.75, 1.1)))
        pen.box(x - 0.06, base - 0.3, x + 0.06, base, (92, 62, 40))
        for level in range(3):
            top = base - 0.2 - height * (level + 1.3) / 3
            wide = 0.36 - 0.08 * level
            pen.poly(
                [(x - wide, top + 0.5 * height), (x, top), (x + wide, top + 0.5 * height)], shade(tone, 1 + 0.1 * level)
            )
