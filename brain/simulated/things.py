"""How each kind of thing is drawn: one small function a kind, eight categories of four kinds.

A function takes (pen, colour, rng): the pen stands where the thing stands, the colour is the thing's own, the rng
decides the details (skin, letters, stripes). Every thing fills roughly the unit square, feet at y = 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from brain.simulated.pen import Colour, Pen, blend, shade

Drawing = Callable[[Pen, Colour, np.random.Generator], None]

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


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    return colours[int(rng.integers(len(colours)))]


def _letters(rng: np.random.Generator, count: int) -> str:
    return "".join(rng.choice(list("ABCDEFHKLMNPRSTUXZ"), count))


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
    skin, hair = _pick(rng, SKIN), _pick(rng, HAIR)
    _face(pen, colour, skin)
    pen.oval(0, 0.12, 0.53, 0.49, hair, start=0, stop=180)
    pen.oval(0, 0.16, 0.36, 0.27, skin)
    pen.oval(0, -0.42, 0.58, 0.42, hair, start=180, stop=360)
    pen.box(-0.58, -0.44, 0.58, -0.34, hair)
    _features(pen, skin, 0.9, (150, 70, 66))
    for side in (-0.23, 0.23):
        pen.line([(side - 0.12, -0.28), (side + 0.12, -0.28)], 0.07, hair)


def woman(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    skin, hair = _pick(rng, SKIN), _pick(rng, HAIR)
    pen.oval(0, -0.12, 0.82, 0.84, hair)
    pen.box(-0.82, -0.12, 0.82, 0.78, hair)
    _face(pen, colour, skin)
    pen.oval(0, -0.46, 0.6, 0.4, hair, start=180, stop=360)
    _features(pen, skin, 1.1, (200, 50, 66))


def child(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    skin = _pick(rng, SKIN)
    pen.oval(0, 1.12, 0.7, 0.42, colour, start=180, stop=360)
    pen.oval(0, 0.0, 0.7, 0.68, skin)
    for side in (-0.7, 0.7):
        pen.oval(side, 0.02, 0.12, 0.16, shade(skin, 0.9))
    pen.oval(0, -0.3, 0.72, 0.62, colour, start=180, stop=360)
    pen.box(-0.8, -0.36, 0.8, -0.22, shade(colour, 0.75))
    pen.oval(0, -0.92, 0.14, 0.14, shade(colour, 1.25))
    _features(pen, skin, 1.35, (196, 90, 90))


def elder(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    skin = _pick(rng, SKIN)
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
    skin = _pick(rng, SKIN)
    cloth = shade(clothes, 0.55)
    for leg in limbs[2:]:
        pen.line(leg, 0.21, cloth)
    for arm in limbs[:2]:
        pen.line(arm, 0.15, skin)
    (top, bottom) = (limbs[0][0], limbs[2][0])
    pen.line([(top[0], top[1] + 0.1), (bottom[0], bottom[1] - 0.05)], 0.5, clothes)
    pen.oval(top[0], top[1] - 0.34, 0.19, 0.22, skin)
    pen.oval(top[0], top[1] - 0.42, 0.2, 0.16, _pick(rng, HAIR), start=180, stop=360)


def walker(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    arms = (((0, -0.45), (-0.26, -0.1), (-0.12, 0.18)), ((0, -0.45), (0.28, -0.14), (0.42, 0.1)))
    legs = (((0, 0.1), (-0.2, 0.5), (-0.38, 0.95)), ((0, 0.1), (0.22, 0.5), (0.3, 0.95)))
    _body(pen, colour, rng, arms + legs)


def dancer(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    arms = (((0, -0.4), (-0.42, -0.6), (-0.7, -0.95)), ((0, -0.4), (0.42, -0.6), (0.7, -0.95)))
    legs = (((0, 0.12), (-0.06, 0.55), (-0.05, 0.97)), ((0, 0.12), (0.42, 0.3), (0.8, 0.12)))
    _body(pen, colour, rng, arms + legs)
    pen.poly([(-0.2, 0.0), (0.2, 0.0), (0.48, 0.34), (-0.48, 0.34)], shade(colour, 1.15))


def jumper(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    arms = (((0, -0.45), (-0.4, -0.42), (-0.82, -0.5)), ((0, -0.45), (0.4, -0.42), (0.82, -0.5)))
    legs = (((0, 0.05), (-0.4, 0.3), (-0.72, 0.68)), ((0, 0.05), (0.4, 0.3), (0.72, 0.68)))
    _body(pen, colour, rng, arms + legs)


def sitter(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.box(-0.55, 0.45, 0.2, 0.98, shade((150, 110, 70), 0.8))
    arms = (((-0.2, -0.3), (0.06, 0.05), (0.32, 0.14)), ((-0.2, -0.3), (0.0, 0.1), (0.3, 0.2)))
    legs = (((-0.2, 0.32), (0.34, 0.36), (0.38, 0.95)), ((-0.2, 0.32), (0.46, 0.3), (0.6, 0.92)))
    _body(pen, colour, rng, arms + legs)


# words


def letters(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.text(0, 0.1, _letters(rng, 3), 1.05, colour)


def number(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.oval(0, 0.05, 0.9, 0.9, colour)
    pen.oval(0, 0.05, 0.76, 0.76, PAPER)
    pen.text(0, 0.05, str(rng.integers(10, 99)), 1.0, INK)


def poster(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.box(-0.78, -0.95, 0.78, 0.95, colour)
    pen.box(-0.68, -0.85, 0.68, 0.85, PAPER)
    pen.text(0, -0.5, _letters(rng, 4), 0.56, INK)
    pen.text(0, 0.03, _letters(rng, 4), 0.56, INK)
    pen.text(0, 0.54, _letters(rng, 4), 0.56, colour)


def sign(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.box(-0.07, 0.1, 0.07, 1.0, (120, 120, 124))
    pen.poly([(-0.95, -0.6), (0.6, -0.6), (0.98, -0.2), (0.6, 0.2), (-0.95, 0.2)], colour)
    ink = INK if sum(colour) > 380 else PAPER
    pen.text(-0.12, -0.2, _letters(rng, 4), 0.62, ink)


# places


def house(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.box(-0.85, -0.2, 0.85, 1.0, colour)
    pen.poly([(-1.05, -0.2), (0, -1.0), (1.05, -0.2)], shade((150, 62, 48), 1.0 if sum(colour) > 300 else 1.3))
    pen.box(-0.18, 0.35, 0.18, 1.0, (84, 54, 36))
    for side in (-0.52, 0.52):
        pen.box(side - 0.19, 0.08, side + 0.19, 0.46, PAPER)
        pen.box(side - 0.14, 0.12, side + 0.14, 0.42, GLASS)


def church(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.box(-0.3, 0.1, 0.95, 1.0, colour)
    pen.poly([(-0.3, 0.1), (0.32, -0.25), (0.98, 0.1)], (96, 86, 92))
    pen.box(-0.85, -0.45, -0.3, 1.0, shade(colour, 0.9))
    pen.poly([(-0.93, -0.45), (-0.57, -1.25), (-0.22, -0.45)], (84, 74, 84))
    pen.box(-0.66, 0.5, -0.48, 1.0, (72, 48, 34))
    for x in (0.05, 0.4, 0.75):
        pen.oval(x, 0.45, 0.09, 0.22, GLASS)


def mountain(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.poly([(-1.35, 1.0), (-0.7, -0.1), (-0.35, 0.3), (-0.1, 1.0)], shade(colour, 0.8))
    pen.poly([(-0.75, 1.0), (0.15, -0.95), (1.3, 1.0)], colour)
    pen.poly([(0.15, -0.95), (1.3, 1.0), (0.5, 1.0), (0.3, 0.1)], shade(colour, 0.72))
    pen.poly([(-0.12, -0.38), (0.15, -0.95), (0.48, -0.4), (0.28, -0.5), (0.16, -0.3), (0.02, -0.48)], (246, 248, 252))


def forest(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
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


# food


def apple(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.oval(-0.28, 0.15, 0.56, 0.75, colour)
    pen.oval(0.28, 0.15, 0.56, 0.75, colour)
    pen.oval(-0.38, -0.1, 0.15, 0.22, shade(colour, 1.35))
    pen.line([(0, -0.45), (0.1, -0.85)], 0.11, (90, 60, 36))
    pen.poly([(0.1, -0.7), (0.4, -1.0), (0.68, -0.82), (0.4, -0.62)], (70, 150, 60))


def banana(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    outer = [(-1.0, -0.35), (-0.75, 0.35), (-0.2, 0.75), (0.4, 0.72), (0.95, 0.3)]
    inner = [(0.9, 0.1), (0.35, 0.3), (-0.15, 0.25), (-0.55, -0.05), (-0.78, -0.48)]
    pen.poly(outer + inner, colour)
    pen.line([(-0.9, -0.4), (-0.62, 0.16), (-0.15, 0.5), (0.4, 0.5), (0.9, 0.2)], 0.07, shade(colour, 0.75))
    pen.poly([(-1.02, -0.35), (-0.98, -0.75), (-0.82, -0.75), (-0.76, -0.45)], (90, 70, 34))


def pizza(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.oval(0, 0.1, 0.98, 0.9, (196, 138, 72))
    pen.oval(0, 0.1, 0.84, 0.76, blend((244, 206, 96), colour, 0.25))
    for x, y in ((-0.4, -0.2), (0.3, -0.3), (0.5, 0.25), (-0.05, 0.15), (-0.45, 0.4), (0.12, 0.6)):
        pen.oval(x, y, 0.17, 0.155, colour)


def cake(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
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
    pen.poly([(-0.55, 0.1), (-1.1, -0.1), (-1.0, 0.35)], shade(colour, 0.7))
    pen.oval(-0.05, 0.15, 0.66, 0.42, colour)
    pen.oval(0.52, -0.25, 0.32, 0.3, colour)
    pen.poly([(0.78, -0.32), (1.15, -0.18), (0.78, -0.1)], (240, 170, 40))
    pen.poly([(-0.35, 0.05), (0.3, 0.0), (-0.1, -0.85), (-0.5, -0.75)], shade(colour, 0.78))
    pen.oval(0.6, -0.3, 0.07, 0.07, INK)
    for x in (-0.1, 0.15):
        pen.line([(x, 0.5), (x, 0.95)], 0.07, (220, 150, 50))


def fish(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.poly([(-0.5, 0.1), (-1.1, -0.4), (-1.0, 0.1), (-1.1, 0.6)], shade(colour, 0.75))
    pen.poly([(-0.2, -0.25), (0.1, -0.75), (0.4, -0.25)], shade(colour, 0.75))
    pen.oval(0.1, 0.1, 0.85, 0.48, colour)
    for x in (-0.25, 0.1):
        pen.line([(x, -0.25), (x, 0.45)], 0.12, blend(colour, PAPER, 0.6))
    pen.oval(0.62, 0.0, 0.13, 0.13, PAPER)
    pen.oval(0.65, 0.0, 0.07, 0.07, INK)


# objects


def cup(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.oval(0.62, 0.2, 0.38, 0.4, shade(colour, 0.8))
    pen.oval(0.62, 0.2, 0.22, 0.24, blend((180, 180, 180), colour, 0.2))
    pen.poly([(-0.75, -0.55), (0.65, -0.55), (0.5, 0.95), (-0.6, 0.95)], colour)
    pen.oval(-0.05, -0.55, 0.7, 0.17, shade(colour, 0.6))
    pen.box(-0.55, -0.2, -0.38, 0.7, shade(colour, 1.3))


def chair(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    dark = shade(colour, 0.65)
    for x, top in ((-0.55, 0.2), (0.5, 0.2), (-0.38, 0.1), (0.68, 0.1)):
        pen.line([(x, top), (x, 0.95)], 0.12, dark)
    pen.poly([(-0.62, 0.22), (0.58, 0.22), (0.78, -0.02), (-0.42, -0.02)], colour)
    pen.box(-0.5, -1.0, -0.36, 0.1, dark)
    pen.box(0.62, -1.0, 0.76, 0.1, dark)
    for y in (-0.95, -0.58, -0.25):
        pen.box(-0.45, y, 0.72, y + 0.19, colour)


def lamp(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.oval(0, 0.9, 0.45, 0.13, (70, 66, 70))
    pen.box(-0.06, -0.2, 0.06, 0.9, (96, 92, 96))
    pen.oval(0, -0.1, 0.4, 0.14, (255, 240, 170))
    pen.poly([(-0.35, -0.95), (0.35, -0.95), (0.75, -0.1), (-0.75, -0.1)], colour)
    pen.poly([(-0.25, -0.95), (-0.05, -0.95), (-0.15, -0.1), (-0.5, -0.1)], shade(colour, 1.25))


def clock(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
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
    pen.poly([(-0.6, 0.2), (-0.35, -0.4), (0.35, -0.4), (0.65, 0.2)], shade(colour, 0.85))
    pen.poly([(-0.48, 0.15), (-0.28, -0.28), (0.0, -0.28), (0.0, 0.15)], GLASS)
    pen.poly([(0.08, 0.15), (0.08, -0.28), (0.3, -0.28), (0.52, 0.15)], GLASS)
    pen.poly([(-1.05, 0.2), (1.0, 0.2), (1.08, 0.45), (1.05, 0.7), (-1.05, 0.7)], colour)
    pen.oval(0.98, 0.38, 0.1, 0.09, (255, 240, 160))
    for x in (-0.58, 0.58):
        _wheel(pen, x, 0.7, 0.27)


def bus(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.box(-1.1, -0.7, 1.1, 0.7, colour)
    pen.box(-1.1, 0.15, 1.1, 0.28, PAPER)
    for x in (-0.82, -0.36, 0.1, 0.56):
        pen.box(x - 0.17, -0.5, x + 0.17, 0.02, GLASS)
    pen.box(0.82, -0.5, 1.05, 0.55, GLASS)
    for x in (-0.62, 0.58):
        _wheel(pen, x, 0.72, 0.24)


def boat(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.box(-0.05, -1.0, 0.04, 0.4, (110, 78, 48))
    pen.poly([(0.1, -0.95), (0.1, 0.25), (0.85, 0.25)], PAPER)
    pen.poly([(-0.12, -0.7), (-0.12, 0.25), (-0.66, 0.25)], (226, 220, 206))
    pen.poly([(-1.05, 0.38), (1.05, 0.38), (0.68, 0.95), (-0.7, 0.95)], colour)
    pen.box(-0.96, 0.38, 0.98, 0.5, shade(colour, 1.35))


def plane(pen: Pen, colour: Colour, rng: np.random.Generator) -> None:
    pen.poly([(-0.85, -0.05), (-1.1, -0.6), (-0.8, -0.6), (-0.45, -0.05)], shade(colour, 0.75))
    pen.poly([(0.1, 0.0), (-0.35, -0.7), (-0.1, -0.7), (0.5, 0.0)], shade(colour, 0.7))
    pen.oval(0, 0.06, 1.05, 0.25, colour)
    for x in (-0.4, -0.15, 0.1, 0.35):
        pen.oval(x, -0.02, 0.065, 0.065, GLASS)
    pen.poly([(0.72, -0.1), (0.95, 0.0), (0.72, 0.04)], GLASS)
    pen.poly([(0.3, 0.12), (-0.45, 0.85), (-0.1, 0.85), (0.62, 0.12)], shade(colour, 0.85))


CATEGORIES: dict[str, dict[str, Drawing]] = {
    "faces": {"man": man, "woman": woman, "child": child, "elder": elder},
    "bodies": {"walker": walker, "dancer": dancer, "jumper": jumper, "sitter": sitter},
    "words": {"letters": letters, "number": number, "poster": poster, "sign": sign},
    "places": {"house": house, "church": church, "mountain": mountain, "forest": forest},
    "food": {"apple": apple, "banana": banana, "pizza": pizza, "cake": cake},
    "animals": {"dog": dog, "cat": cat, "bird": bird, "fish": fish},
    "objects": {"cup": cup, "chair": chair, "lamp": lamp, "clock": clock},
    "vehicles": {"car": car, "bus": bus, "boat": boat, "plane": plane},
}
KINDS: dict[str, Drawing] = {kind: drawing for kinds in CATEGORIES.values() for kind, drawing in kinds.items()}
CATEGORY_OF: dict[str, str] = {kind: category for category, kinds in CATEGORIES.items() for kind in kinds}

# which colours a kind comes in: the correlation of kind and colour is the world's, not the decoder's
PALETTES: dict[str, tuple[str, ...]] = {
    "faces": ("red", "yellow", "green", "blue", "purple", "white", "black"),
    "bodies": ("red", "orange", "yellow", "green", "blue", "purple", "pink"),
    "words": ("red", "orange", "green", "blue", "purple", "black"),
    "house": ("white", "yellow", "orange", "pink", "blue"),
    "church": ("white", "brown", "yellow", "pink"),
    "mountain": ("brown", "blue", "purple", "green"),
    "forest": ("green", "orange", "yellow", "brown"),
    "apple": ("red", "green", "yellow"),
    "banana": ("yellow", "green", "brown"),
    "pizza": ("red", "green", "orange", "brown"),
    "cake": ("pink", "white", "brown", "red", "green"),
    "dog": ("brown", "black", "white", "orange"),
    "cat": ("orange", "black", "white", "brown"),
    "bird": ("red", "blue", "yellow", "black", "white", "green"),
    "fish": ("orange", "red", "blue", "yellow", "purple"),
    "objects": ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "brown"),
    "vehicles": ("red", "orange", "yellow", "green", "blue", "purple", "white"),
}


def palette(kind: str) -> tuple[str, ...]:
    """The colours this kind comes in."""
    return PALETTES[kind] if kind in PALETTES else PALETTES[CATEGORY_OF[kind]]
