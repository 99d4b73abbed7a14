"""How each kind of thing is drawn: one small function a kind, eight categories of four kinds.

A function takes (pen, colour, rng): the pen stands where the thing stands, the colour is the thing's own, the rng
decides the details (skin, letters, stripes). Every thing fills roughly the unit square, feet at y = 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from brain.simulated.scenes.nature import apple, banana, bird, cake, cat, dog, fish, pizza
from brain.simulated.scenes.objects import boat, bus, car, chair, clock, cup, lamp, plane
from brain.simulated.scenes.pen import Colour, Pen
from brain.simulated.scenes.people import child, dancer, elder, jumper, man, sitter, walker, woman
from brain.simulated.scenes.places import church, forest, house, letters, mountain, number, poster, sign

Drawing = Callable[[Pen, Colour, np.random.Generator], None]
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
