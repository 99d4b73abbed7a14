"""How faces and bodies are drawn: one small function a kind (`brain/simulated/scenes/things.py`)."""

from __future__ import annotations

import numpy as np

from brain.simulated.scenes.colours import GLASS, HAIR, INK, SKIN, pick
from brain.simulated.scenes.pen import Colour, Pen, blend, shade

# faces


def _face(pen: Pen, clothes: Colour, skin: Colour) -> None:
    pen.oval(0, 1.12, 0.92, 0.52, clothes, start=180, stop=360)
    pen.box(-0.22, 0.4, 0.22, 0.75, shade(skin, 0.85))
    pen.oval(0, -0.1, 0.56, 0.7, skin)


def _features(pen: Pen, skin: Colour, eye: float, mouth: Colour) -> None:
    for side in (-0.23, 0.23):
        pen.oval(side, -0.14, 0.13 * eye, 0.09 * eye, (248, 248, 246))
        pen.oval(side, -0.14, 0.06 * eye, 0.075 * eye, INK)
    pen.poly([(-0.05, -0.06), (0.05, -0.06), (0.1, 0.16), (-0.1, 0.16)], shade(skin, 0.82))
    pen.oval(0, 0.33, 0.2, 0.07, mouth)


def man(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A man's face and shoulders, with a beard."""
    skin, hair = pick(rng, SKIN), pick(rng, HAIR)
    _face(pen, colour, skin)
    pen.oval(0, 0.12, 0.53, 0.49, hair, start=0, stop=180)
    pen.oval(0, 0.16, 0.36, 0.27, skin)
    pen.oval(0, -0.42, 0.58, 0.42, hair, start=180, stop=360)
    pen.box(-0.58, -0.44, 0.58, -0.34, hair)
    _features(pen, skin, 0.9, (150, 70, 66))
    for side in (-0.23, 0.23):
        pen.line([(side - 0.12, -0.28), (side + 0.12, -0.28)], 0.07, hair)


def woman(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A woman's face and shoulders, with long hair."""
    skin, hair = pick(rng, SKIN), pick(rng, HAIR)
    pen.oval(0, -0.12, 0.82, 0.84, hair)
    pen.box(-0.82, -0.12, 0.82, 0.78, hair)
    _face(pen, colour, skin)
    pen.oval(0, -0.46, 0.6, 0.4, hair, start=180, stop=360)
    _features(pen, skin, 1.1, (200, 50, 66))


def child(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A child's face under a cap."""
    skin = pick(rng, SKIN)
    pen.oval(0, 1.12, 0.7, 0.42, colour, start=180, stop=360)
    pen.oval(0, 0.0, 0.7, 0.68, skin)
    for side in (-0.7, 0.7):
        pen.oval(side, 0.02, 0.12, 0.16, shade(skin, 0.9))
    pen.oval(0, -0.3, 0.72, 0.62, colour, start=180, stop=360)
    pen.box(-0.8, -0.36, 0.8, -0.22, shade(colour, 0.75))
    pen.oval(0, -0.92, 0.14, 0.14, shade(colour, 1.25))
    _features(pen, skin, 1.35, (196, 90, 90))


def elder(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """An old person's face, with white hair, a beard and glasses."""
    skin = pick(rng, SKIN)
    white = (226, 226, 224)
    _face(pen, colour, skin)
    for side in (-0.58, 0.58):
        pen.oval(side, -0.2, 0.17, 0.3, white)
    pen.poly([(-0.44, 0.2), (0.44, 0.2), (0.3, 0.8), (0, 0.98), (-0.3, 0.8)], white)
    _features(pen, skin, 0.85, (150, 84, 80))
    for side in (-0.24, 0.24):
        pen.oval(side, -0.14, 0.22, 0.17, INK)
        pen.oval(side, -0.14, 0.17, 0.125, blend(skin, GLASS, 0.5))
        pen.oval(side, -0.14, 0.06, 0.07, INK)


# bodies


def _body(
    pen: Pen, clothes: Colour, rng: np.random.Generator, limbs: tuple[tuple[tuple[float, float], ...], ...]
) -> None:
    """Torso, head without a face, and four limbs given as arms (skin) then legs (dark cloth)."""
    skin = pick(rng, SKIN)
    cloth = shade(clothes, 0.55)
    for leg in limbs[2:]:
        pen.line(leg, 0.21, cloth)
    for arm in limbs[:2]:
        pen.line(arm, 0.15, skin)
    (top, bottom) = (limbs[0][0], limbs[2][0])
    pen.line([(top[0], top[1] + 0.1), (bottom[0], bottom[1] - 0.05)], 0.5, clothes)
    pen.oval(top[0], top[1] - 0.34, 0.19, 0.22, skin)
    pen.oval(top[0], top[1] - 0.42, 0.2, 0.16, pick(rng, HAIR), start=180, stop=360)


def walker(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A person in mid-stride."""
    arms = (((0, -0.45), (-0.26, -0.1), (-0.12, 0.18)), ((0, -0.45), (0.28, -0.14), (0.42, 0.1)))
    legs = (((0, 0.1), (-0.2, 0.5), (-0.38, 0.95)), ((0, 0.1), (0.22, 0.5), (0.3, 0.95)))
    _body(pen, colour, rng, arms + legs)


def dancer(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A dancer in a skirt with raised arms."""
    arms = (((0, -0.4), (-0.42, -0.6), (-0.7, -0.95)), ((0, -0.4), (0.42, -0.6), (0.7, -0.95)))
    legs = (((0, 0.12), (-0.06, 0.55), (-0.05, 0.97)), ((0, 0.12), (0.42, 0.3), (0.8, 0.12)))
    _body(pen, colour, rng, arms + legs)
    pen.poly([(-0.2, 0.0), (0.2, 0.0), (0.48, 0.34), (-0.48, 0.34)], shade(colour, 1.15))


def jumper(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A person in the air, arms and legs apart."""
    arms = (((0, -0.45), (-0.4, -0.42), (-0.82, -0.5)), ((0, -0.45), (0.4, -0.42), (0.82, -0.5)))
    legs = (((0, 0.05), (-0.4, 0.3), (-0.72, 0.68)), ((0, 0.05), (0.4, 0.3), (0.72, 0.68)))
    _body(pen, colour, rng, arms + legs)


def sitter(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    """A person who sits on a box."""
    pen.box(-0.55, 0.45, 0.2, 0.98, shade((150, 110, 70), 0.8))
    arms = (((-0.2, -0.3), (0.06, 0.05), (0.32, 0.14)), ((-0.2, -0.3), (0.0, 0.1), (0.3, 0.2)))
    legs = (((-0.2, 0.32), (0.34, 0.36), (0.38, 0.95)), ((-0.2, 0.32), (0.46, 0.3), (0.6, 0.92)))
    _body(pen, colour, rng, arms + legs)
