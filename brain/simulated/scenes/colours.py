"""The colours of drawn things, by name and by what they stand for."""

from __future__ import annotations

import numpy as np

from brain.simulated.scenes.pen import Colour

COLOURS: dict[str, Colour] = {
    "red": (206, 40, 40),
    "orange": (235, 130, 30),
    "yellow": (240, 210, 50),
    "green": (50, 150, 60),
    "blue": (45, 85, 200),
    "purple": (130, 55, 165),
    "pink": (240, 140, 180),
    "brown": (125, 78, 42),
    "white": (240, 240, 236),
    "black": (34, 32, 36),
}
SKIN: tuple[Colour, ...] = ((246, 212, 184), (228, 182, 144), (190, 138, 98), (132, 88, 60), (98, 64, 46))
HAIR: tuple[Colour, ...] = ((40, 28, 22), (88, 54, 30), (150, 104, 50), (214, 176, 96), (120, 44, 24))
INK: Colour = (24, 22, 26)
PAPER: Colour = (238, 234, 222)
GLASS: Colour = (166, 206, 226)


def pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    """One of these colours, each as likely."""
    return colours[int(rng.integers(len(colours)))]


def drawn_letters(rng: np.random.Generator, count: int) -> str:
    """So many capital letters at random, of those that are hard to mistake."""
    return "".join(rng.choice(list("ABCDEFHKLMNPRSTUXZ"), count))
