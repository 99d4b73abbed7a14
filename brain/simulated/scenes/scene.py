"""Natural-like scenes with known truth: a main thing, often a companion, a setting, a light, captions and labels.

A scene is a value drawn from (seed, index) alone, so that any scene can be drawn again anywhere:

    scene = draw_scene(seed=0, index=17)
    picture = render(scene, pixels=128)          # PIL RGB
    scene.captions                               # three wordings of one description, word for word aligned
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from brain.simulated.scenes.colours import COLOURS
from brain.simulated.scenes.pen import Colour, Pen, blend, shade
from brain.simulated.scenes.things import CATEGORIES, CATEGORY_OF, KINDS, palette

CANVAS = 256  # pixels a scene is drawn at before it is reduced; `pixels` must divide it

SETTINGS = ("beach", "meadow", "street", "room", "snowfield", "desert")
LIGHTS = ("noon", "dusk", "night")
POSITIONS = ("left", "middle", "right")
SIZES = ("small", "large")

# every synonym is one word in the same place of the sentence, so captions of one scene differ in words, never in order
SYNONYMS: dict[str, tuple[str, ...]] = {
    "small": ("small", "little"),
    "large": ("large", "big"),
    "middle": ("middle", "centre"),
    "beach": ("beach", "shore"),
    "meadow": ("meadow", "field"),
    "street": ("street", "road"),
    "room": ("room", "parlour"),
    "snowfield": ("snowfield", "glacier"),
    "desert": ("desert", "wasteland"),
    "noon": ("noon", "midday"),
    "dusk": ("dusk", "sunset"),
    "night": ("night", "midnight"),
    "man": ("man", "gentleman"),
    "woman": ("woman", "lady"),
    "child": ("child", "kid"),
    "elder": ("elder", "grandfather"),
    "car": ("car", "automobile"),
    "boat": ("boat", "sailboat"),
    "plane": ("plane", "airplane"),
    "cup": ("cup", "mug"),
    "forest": ("forest", "wood"),
    "dog": ("dog", "hound"),
    "cake": ("cake", "tart"),
}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One scene: what it shows, in words, and where exactly, in shares of the picture's width.

    category, kind, colour, size, position, setting, light   the labels
    companion   the kind of the smaller second thing, "" for none
    x, y, half  the main thing's centre and half-size; `seed`, `index` draw all details
    """

    seed: int
    index: int
    category: str
    kind: str
    colour: str
    size: str
    position: str
    setting: str
    light: str
    companion: str
    x: float
    y: float
    half: float
    captions: tuple[str, ...]

    @property
    def labels(self) -> dict[str, str]:
        """The true labels, as text."""
        names = ("category", "kind", "colour", "size", "position", "setting", "light", "companion")
        return {name: getattr(self, name) for name in names}


def _rng(seed: int, index: int, part: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, index, part]))


def _one(rng: np.random.Generator, values: tuple[str, ...]) -> str:
    return values[int(rng.integers(len(values)))]


def draw_scene(*, seed: int, index: int, kind: str = "") -> Scene:
    """The scene of this seed and index; `kind` fixes the main thing, everything else stays drawn."""
    rng = _rng(seed, index, 0)
    category = _one(rng, tuple(CATEGORIES))
    drawn = _one(rng, tuple(CATEGORIES[category]))
    kind = kind or drawn
    colour = _one(rng, palette(kind))
    size, position = _one(rng, SIZES), _one(rng, POSITIONS)
    outdoors = tuple(setting for setting in SETTINGS if setting != "room")
    setting = _one(rng, outdoors if CATEGORY_OF[kind] in ("places", "vehicles") else SETTINGS)
    light = _one(rng, LIGHTS)
    half = float(rng.uniform(0.17, 0.215) if size == "small" else rng.uniform(0.29, 0.36))
    x = {"left": 0.3, "middle": 0.5, "right": 0.7}[position] + float(rng.uniform(-0.05, 0.05))
    y = float(rng.uniform(0.52, 0.62)) if size == "large" else float(rng.uniform(0.5, 0.7))
    if kind in ("plane", "bird") and size == "small":
        y -= 0.2
    companion = ""
    if rng.random() < 0.3:
        others = tuple(other for other in KINDS if CATEGORY_OF[other] not in (CATEGORY_OF[kind], "places"))
        companion = _one(rng, others)
    labels = (size, kind, colour, position, setting, light, companion)
    return Scene(
        seed=seed,
        index=index,
        category=CATEGORY_OF[kind],
        kind=kind,
        colour=colour,
        size=size,
        position=position,
        setting=setting,
        light=light,
        companion=companion,
        x=x,
        y=y,
        half=half,
        captions=tuple(_caption(labels, rng if wording else None) for wording in range(3)),
    )


def _caption(labels: tuple[str, ...], rng: np.random.Generator | None) -> str:
    """The description in one wording: the first synonym of every word without `rng`, a drawn one with it."""
    words = [(SYNONYMS.get(label, (label,)) if label else ("",)) for label in labels]
    size, kind, colour, position, setting, light, companion = (
        options[0] if rng is None else options[int(rng.integers(len(options)))] for options in words
    )
    tail = f" with a {companion}" if companion else ""
    return f"a {size} {kind} in {colour} at the {position} of a {setting} at {light}{tail}"


def vocabulary() -> tuple[str, ...]:
    """Every word a caption can hold, sorted."""
    words = {"a", "in", "at", "the", "of", "with", *SETTINGS, *LIGHTS, *POSITIONS, *SIZES, *KINDS, *COLOURS}
    return tuple(sorted(words | {word for synonyms in SYNONYMS.values() for word in synonyms}))


# the settings: sky above the horizon, ground below it

SKIES: dict[str, tuple[Colour, Colour]] = {
    "noon": ((96, 164, 232), (206, 230, 246)),
    "dusk": ((92, 62, 128), (250, 160, 92)),
    "night": ((10, 14, 44), (40, 48, 96)),
}
GROUNDS: dict[str, Colour] = {
    "beach": (232, 212, 160),
    "meadow": (104, 164, 70),
    "street": (112, 112, 118),
    "room": (150, 106, 70),
    "snowfield": (234, 240, 246),
    "desert": (218, 158, 92),
}


def _gradient(top: Colour, bottom: Colour, rows: int) -> Image.Image:
    ramp = np.linspace(0, 1, rows)[:, None, None]
    pixels = np.asarray(top) * (1 - ramp) + np.asarray(bottom) * ramp
    return Image.fromarray(np.broadcast_to(pixels, (rows, CANVAS, 3)).astype(np.uint8))


def _background(scene: Scene, rng: np.random.Generator) -> Image.Image:
    horizon = round(CANVAS * float(rng.uniform(0.48, 0.58)))
    ground = shade(GROUNDS[scene.setting], float(rng.uniform(0.92, 1.06)))
    canvas = Image.new("RGB", (CANVAS, CANVAS))
    if scene.setting == "room":
        wall = shade(
            ((222, 206, 176), (178, 200, 190), (206, 186, 204))[int(rng.integers(3))], float(rng.uniform(0.9, 1.0))
        )
        canvas.paste(_gradient(wall, shade(wall, 0.86), CANVAS))
        _window(canvas, scene.light, rng)
        horizon = round(CANVAS * 0.74)
    else:
        canvas.paste(_gradient(*SKIES[scene.light], horizon))
        _sky(canvas, scene.light, horizon, rng)
    canvas.paste(_gradient(shade(ground, 0.86), shade(ground, 1.05), CANVAS - horizon), (0, horizon))
    FURNISH[scene.setting](canvas, horizon, rng)
    return canvas


def _window(canvas: Image.Image, light: str, rng: np.random.Generator) -> None:
    left = round(CANVAS * float(rng.choice([0.06, 0.66])))
    frame = (left, round(CANVAS * 0.1), left + round(CANVAS * 0.28), round(CANVAS * 0.42))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle(frame, fill=(246, 244, 238))
    draw.rectangle((frame[0] + 7, frame[1] + 7, frame[2] - 7, frame[3] - 7), fill=blend(*SKIES[light], 0.5))
    middle = (frame[0] + frame[2]) // 2
    draw.rectangle((middle - 3, frame[1], middle + 3, frame[3]), fill=(246, 244, 238))


def _sky(canvas: Image.Image, light: str, horizon: int, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(canvas)
    x, y = rng.uniform(0.1, 0.9) * CANVAS, rng.uniform(0.1, 0.32) * horizon
    if light == "night":
        draw.ellipse((x - 14, y - 14, x + 14, y + 14), fill=(240, 238, 214))
        for star in rng.uniform(0, 1, (9, 2)):
            sx, sy = star[0] * CANVAS, star[1] * horizon * 0.8
            draw.ellipse((sx - 2, sy - 2, sx + 2, sy + 2), fill=(226, 228, 240))
    elif light == "dusk":
        draw.ellipse((x - 22, horizon - 34, x + 22, horizon + 10), fill=(255, 214, 120))
    else:
        for _ in range(2):
            cx, cy = rng.uniform(0, 1) * CANVAS, rng.uniform(0.1, 0.5) * horizon
            for dx, radius in ((-22, 11), (0, 16), (22, 12)):
                draw.ellipse(
                    (cx + dx - radius * 1.5, cy - radius, cx + dx + radius * 1.5, cy + radius), fill=(248, 250, 252)
                )


Furnish = Callable[[Image.Image, int, np.random.Generator], None]


def _sea(canvas: Image.Image, horizon: int, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, horizon, CANVAS, horizon + 30), fill=(52, 120, 178))
    draw.rectangle((0, horizon + 28, CANVAS, horizon + 34), fill=(222, 236, 240))


def _hills_and_flowers(canvas: Image.Image, horizon: int, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(canvas)
    for x in rng.uniform(0, CANVAS, 2):
        draw.ellipse((x - 90, horizon - 26, x + 90, horizon + 40), fill=(84, 142, 66))
    for across, down in rng.uniform(0, 1, (8, 2)):
        x, y = across * CANVAS, horizon + 30 + down * (CANVAS - horizon - 34)
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=((244, 226, 90), (238, 240, 244))[int(across > 0.5)])


def _buildings(canvas: Image.Image, horizon: int, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(canvas)
    edge = 0
    while edge < CANVAS:
        wide, tall = int(rng.integers(30, 62)), int(rng.integers(34, 96))
        tone = int(rng.integers(90, 168))
        draw.rectangle((edge, horizon - tall, edge + wide, horizon), fill=(tone, tone - 8, tone - 14))
        for x in range(edge + 7, edge + wide - 9, 15):
            for y in range(horizon - tall + 8, horizon - 12, 18):
                draw.rectangle((x, y, x + 7, y + 9), fill=(232, 214, 140))
        edge += wide
    middle = (horizon + CANVAS) // 2 + 22
    for x in range(-10, CANVAS, 64):
        dash = [(x, middle), (x + 34, middle), (x + 30, middle + 10), (x - 6, middle + 10)]
        draw.polygon(dash, fill=(226, 222, 200))


def _firs(canvas: Image.Image, horizon: int, rng: np.random.Generator) -> None:
    for x in rng.uniform(0, CANVAS, 4):
        tall = float(rng.uniform(26, 50))
        fir = [(x - tall * 0.4, horizon + 4), (x, horizon - tall), (x + tall * 0.4, horizon + 4)]
        ImageDraw.Draw(canvas).polygon(fir, fill=(64, 98, 92))


def _dunes(canvas: Image.Image, horizon: int, rng: np.random.Generator) -> None:
    for x in rng.uniform(0, CANVAS, 3):
        wide = float(rng.uniform(60, 130))
        dune = [(x - wide, horizon + 2), (x, horizon - 28), (x + wide, horizon + 2)]
        ImageDraw.Draw(canvas).polygon(dune, fill=(200, 138, 80))


def _floor(canvas: Image.Image, horizon: int, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, horizon - 5, CANVAS, horizon), fill=(240, 234, 222))
    for x in range(0, CANVAS + 120, 40):
        draw.line((x, horizon, x * 1.6 - 76, CANVAS), fill=(126, 88, 58), width=3)


FURNISH: dict[str, Furnish] = {
    "beach": _sea,
    "meadow": _hills_and_flowers,
    "street": _buildings,
    "room": _floor,
    "snowfield": _firs,
    "desert": _dunes,
}


def _shadow(canvas: Image.Image, x: float, y: float, half: float) -> None:
    dark = Image.new("L", (CANVAS, CANVAS), 0)
    ImageDraw.Draw(dark).ellipse((x - half, y - half * 0.16, x + half, y + half * 0.2), fill=110)
    canvas.paste(Image.new("RGB", (CANVAS, CANVAS), (20, 18, 26)), mask=dark.filter(ImageFilter.BoxBlur(4)))


def _place(
    canvas: Image.Image, kind: str, colour: str, rng: np.random.Generator, place: tuple[float, float, float]
) -> None:
    x, y, half = (share * CANVAS for share in place)
    flying = kind in ("plane", "bird") or CATEGORY_OF[kind] == "words" and kind in ("letters", "number")
    if not flying:
        _shadow(canvas, x, y + half * 0.97, half * 0.95)
    pen = Pen(canvas, x, y, size=half, tilt=float(rng.uniform(-0.09, 0.09)), flip=bool(rng.random() < 0.5))
    tone = shade(COLOURS[colour], float(rng.uniform(0.9, 1.1)))
    KINDS[kind](pen, tone, rng)


def _lit(pixels: NDArray[np.float32], light: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """The picture under its light: a tint, and a soft fall-off from one side."""
    tint = {"noon": (1.04, 1.03, 1.0), "dusk": (1.0, 0.82, 0.7), "night": (0.64, 0.7, 0.92)}[light]
    angle = rng.uniform(0, 2 * np.pi)
    line = np.linspace(-1, 1, len(pixels), dtype=np.float32)
    fall = 1 + 0.1 * (np.cos(angle) * line[None, :, None] + np.sin(angle) * line[:, None, None])
    return np.asarray(pixels * np.asarray(tint, np.float32) * fall, np.float64)


def render(scene: Scene, pixels: int) -> Image.Image:
    """The scene as a PIL RGB image of `pixels` x `pixels`; `pixels` must divide 256.

    Any size is a plain mean over the same canvas, so a 128-pixel picture reduced to 64 is the 64-pixel picture
    (but where light beyond white is cut).
    """
    if CANVAS % pixels:
        raise ValueError(f"pixels must divide {CANVAS}, found {pixels}")
    rng = _rng(scene.seed, scene.index, 1)
    canvas = _background(scene, rng)
    if scene.companion:
        side = 0.2 if scene.x > 0.5 else 0.8
        place = (side + float(rng.uniform(-0.04, 0.04)), float(rng.uniform(0.72, 0.8)), float(rng.uniform(0.12, 0.15)))
        _place(canvas, scene.companion, _one(rng, palette(scene.companion)), rng, place)
    _place(canvas, scene.kind, scene.colour, rng, (scene.x, scene.y, scene.half))
    small = np.asarray(canvas.reduce(CANVAS // pixels) if pixels < CANVAS else canvas, np.float32)
    return Image.fromarray(np.clip(_lit(small, scene.light, rng), 0, 255).round().astype(np.uint8))
