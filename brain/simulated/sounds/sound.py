"""Natural-like sounds with known truth: a kind of sound, its pitch, pace, brightness and room, captions and labels.

A sound is a value drawn from (seed, index) alone, so that any clip can be made again anywhere:

    sound = draw_sound(seed=0, index=17)
    wave = render_sound(sound)                   # float32 (sample,), 16 kHz mono, peak .5
    sound.captions, sound.labels                 # three English sentences; the true value of every group of READOUTS
    early, middle, late = windows(wave)          # the three windows of 2.56 s, 1.28 s apart, that are the stimuli
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brain.files.waveforms import RATE
from brain.simulated.sounds import noises, voices
from brain.simulated.sounds.acoustics import Draw, Wave, finished

CLIP_SECONDS = 5.12
WINDOW_SECONDS = 2.56
HOP_SECONDS = 1.28

VOICES: dict[str, dict[str, Callable[[Draw], Wave]]] = {
    "speech": {"man": voices.man, "woman": voices.woman, "child": voices.child, "whisper": voices.whisper},
    "music": {
        "piano": voices.piano,
        "violin": voices.violin,
        "flute": voices.flute,
        "organ": voices.organ,
        "drums": voices.drums,
    },
    "animal": {
        "bird": voices.bird,
        "dog": voices.dog,
        "cat": voices.cat,
        "cricket": voices.cricket,
        "frog": voices.frog,
    },
    "nature": {
        "rain": noises.rain,
        "wind": noises.wind,
        "waves": noises.waves,
        "thunder": noises.thunder,
        "fire": noises.fire,
    },
    "machine": {
        "engine": noises.engine,
        "siren": noises.siren,
        "alarm": noises.alarm,
        "train": noises.train,
        "fan": noises.fan,
    },
    "tool": {
        "hammer": noises.hammer,
        "saw": noises.saw,
        "drill": noises.drill,
        "typing": noises.typing,
        "clock": noises.clock,
    },
}
CATEGORIES: dict[str, tuple[str, ...]] = {category: tuple(kinds) for category, kinds in VOICES.items()}
KINDS: tuple[str, ...] = tuple(kind for kinds in CATEGORIES.values() for kind in kinds)
CATEGORY_OF: dict[str, str] = {kind: category for category, kinds in CATEGORIES.items() for kind in kinds}

# the groups a listener names; pitch and pace are said within what a kind can do: a low violin, a fast clock
READOUTS: dict[str, tuple[str, ...]] = {
    "category": tuple(CATEGORIES),
    "kind": KINDS,
    "pitch": ("low", "middle", "high"),
    "pace": ("slow", "fast"),
    "brightness": ("dark", "bright"),
    "space": ("dry", "echoing"),
}
# the share of its range that each value is drawn from; the gaps keep the values apart to the ear
SHARES = {"low": (0.0, 0.2), "middle": (0.4, 0.6), "high": (0.8, 1.0), "slow": (0.0, 0.28), "fast": (0.72, 1.0)}
TILT_DB = {"dark": (-5.0, -3.0), "bright": (1.0, 3.0)}  # dB an octave
ECHO_S = {"dry": (0.0, 0.0), "echoing": (0.8, 1.8)}

# who or what, doing what: the wordings of a kind, the plainest first
SUBJECTS: dict[str, tuple[str, str, str]] = {
    "man": ("a man speaks", "a man is talking", "a male voice says something"),
    "woman": ("a woman speaks", "a woman is talking", "a female voice says something"),
    "child": ("a child speaks", "a child is talking", "a young kid says something"),
    "whisper": ("a person whispers", "somebody is whispering", "a hushed voice whispers"),
    "piano": ("a piano plays", "somebody is playing a piano", "piano music is heard"),
    "violin": ("a violin plays", "somebody is playing a violin", "violin music is heard"),
    "flute": ("a flute plays", "somebody is playing a flute", "flute music is heard"),
    "organ": ("an organ plays", "somebody is playing an organ", "organ chords are heard"),
    "drums": ("drums play", "somebody is playing drums", "a drum beat is heard"),
    "bird": ("a bird sings", "a bird is chirping", "birdsong is heard"),
    "dog": ("a dog barks", "a dog is barking", "the barks of a dog are heard"),
    "cat": ("a cat meows", "a cat is meowing", "the meows of a cat are heard"),
    "cricket": ("a cricket chirps", "an insect is chirping", "the chirps of a cricket are heard"),
    "frog": ("a frog croaks", "a frog is croaking", "the croaks of a frog are heard"),
    "rain": ("rain falls", "rain is falling", "the drops of rain are heard"),
    "wind": ("wind blows", "the wind is howling", "gusts of wind are heard"),
    "waves": ("waves break", "sea waves are breaking", "the waves of the sea are heard"),
    "thunder": ("thunder rolls", "thunder is rumbling", "claps of thunder are heard"),
    "fire": ("a fire burns", "a fire is crackling", "the crackle of a fire is heard"),
    "engine": ("an engine runs", "a motor is running", "the hum of an engine is heard"),
    "siren": ("a siren wails", "a siren is wailing", "the wail of a siren is heard"),
    "alarm": ("an alarm beeps", "an alarm is beeping", "the beeps of an alarm are heard"),
    "train": ("a train passes", "a train is rattling", "the rattle of a train is heard"),
    "fan": ("a fan turns", "a fan is whirring", "the whir of a fan is heard"),
    "hammer": ("a hammer strikes", "somebody is hammering", "the blows of a hammer are heard"),
    "saw": ("a saw cuts", "somebody is sawing wood", "the strokes of a saw are heard"),
    "drill": ("a drill turns", "somebody is drilling", "the buzz of a drill is heard"),
    "typing": ("a keyboard clicks", "somebody is typing", "the keys of a keyboard are heard"),
    "clock": ("a clock ticks", "a clock is ticking", "the ticks of a clock are heard"),
}
SYNONYMS: dict[str, tuple[str, str, str]] = {
    "low": ("low", "low", "deep"),
    "middle": ("middle", "medium", "middle"),
    "high": ("high", "high", "shrill"),
    "slow": ("slowly", "at a slow pace", "in a slow rhythm"),
    "fast": ("quickly", "at a fast pace", "in a quick rhythm"),
    "dark": ("dark", "dull", "muffled"),
    "bright": ("bright", "sharp", "clear"),
    "dry": ("close by", "near the listener", "without echo"),
    "echoing": ("in a large hall", "with a long echo", "in an echoing room"),
}


@dataclass(frozen=True, kw_only=True)
class Sound:
    """One sound: what it is, in words, and how it is made.

    category, kind, pitch, pace, brightness, space   the labels
    height, rate   pitch and pace as shares (0 to 1) of the kind's own range
    tilt_db, echo_s   the spectral tilt in dB an octave, the reverberation time in seconds (0: no room)
    """

    seed: int
    index: int
    category: str
    kind: str
    pitch: str
    pace: str
    brightness: str
    space: str
    height: float
    rate: float
    tilt_db: float
    echo_s: float
    captions: tuple[str, ...]

    @property
    def labels(self) -> dict[str, str]:
        """The true value of every group of READOUTS."""
        return {group: getattr(self, group) for group in READOUTS}


def _rng(seed: int, index: int, part: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, index, part]))


def _kind(seed: int, index: int) -> str:
    """Every run of as many indices as there are kinds holds each kind once, in an order of its own."""
    block, place = divmod(index, len(KINDS))
    return KINDS[int(_rng(seed, block, 2).permutation(len(KINDS))[place])]


def draw_sound(*, seed: int, index: int, kind: str = "") -> Sound:
    """The sound of this seed and index; `kind` fixes what it is of, everything else stays drawn."""
    rng = _rng(seed, index, 0)
    kind = kind or _kind(seed, index)
    pitch, pace, brightness, space = (
        READOUTS[group][int(rng.integers(len(READOUTS[group])))] for group in ("pitch", "pace", "brightness", "space")
    )
    height, rate, tilt_db, echo_s = (
        float(rng.uniform(*bounds)) for bounds in (SHARES[pitch], SHARES[pace], TILT_DB[brightness], ECHO_S[space])
    )
    return Sound(
        seed=seed,
        index=index,
        category=CATEGORY_OF[kind],
        kind=kind,
        pitch=pitch,
        pace=pace,
        brightness=brightness,
        space=space,
        height=height,
        rate=rate,
        tilt_db=tilt_db,
        echo_s=echo_s,
        captions=tuple(_caption(kind, (pitch, pace, brightness, space), wording) for wording in range(3)),
    )


def _caption(kind: str, values: tuple[str, str, str, str], wording: int) -> str:
    subject = SUBJECTS[kind][wording]
    pitch, pace, brightness, space = (SYNONYMS[value][wording] for value in values)
    if wording == 0:
        return f"{subject} {pace} in a {pitch} and {brightness} tone {space}"
    if wording == 1:
        return f"{subject} {pace} {space}, the sound {pitch} and {brightness}"
    return f"{subject} {space}, {pitch} and {brightness}, {pace}"


def vocabulary() -> tuple[str, ...]:
    """Every word a caption can hold, sorted."""
    frame = "in a and tone the sound"
    phrases = [phrase for wordings in (*SUBJECTS.values(), *SYNONYMS.values()) for phrase in wordings]
    return tuple(sorted({word for phrase in (*phrases, frame) for word in phrase.split()}))


def render_sound(sound: Sound, *, seconds: float = CLIP_SECONDS) -> NDArray[np.float32]:
    """The waveform (sample,) of a sound at 16 kHz: mean zero, peak .5, heard in every window of 2.56 s."""
    samples = round(seconds * RATE)
    rng = _rng(sound.seed, sound.index, 1)
    draw = Draw(height=sound.height, pace=sound.rate, samples=samples, rng=rng)
    wave = VOICES[sound.category][sound.kind](draw)
    return finished(wave, rng, tilt_db=sound.tilt_db, echo_s=sound.echo_s)


def windows(wave: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """The windows (sample,) of 2.56 s that fit into a clip, 1.28 s apart: three of a clip of 5.12 s."""
    size, hop = round(WINDOW_SECONDS * RATE), round(HOP_SECONDS * RATE)
    return tuple(wave[start : start + size] for start in range(0, len(wave) - size + 1, hop))
