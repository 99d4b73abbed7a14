"""How speech, music and animals sound: one small function a kind, `draw` in, a waveform out.

A voice takes a Draw (height and pace within the kind's own range, a length, a generator) and gives (sample,) at
16 kHz of any level; brain/simulated/sounds/sound.py tilts it, puts it in a room and sets its peak.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from brain.files.waveforms import RATE
from brain.simulated.sounds.acoustics import (
    BIN_HZ,
    HOP,
    Draw,
    Wave,
    at_frames,
    bumps,
    burst,
    contour,
    falling,
    fitted,
    noise,
    onsets,
    placed,
    resonances,
    shaped,
    since,
    span,
    strike,
    tone,
    unit,
    wander,
)

# F1-F3 of a man's vowels, Peterson & Barney (J Acoust Soc Am, 1952), Table II
VOWELS = np.asarray(
    [
        (270, 2290, 3010),
        (390, 1990, 2550),
        (530, 1840, 2480),
        (660, 1720, 2410),
        (730, 1090, 2440),
        (570, 840, 2410),
        (440, 1020, 2240),
        (300, 870, 2240),
        (490, 1350, 1690),
    ]
)
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 7, 10))


# speech: a glottal source or breath through moving formants, consonants before the vowels, pauses between phrases


def _talk(draw: Draw, *, hertz: float, tract: float, voiced: bool) -> Wave:
    """Syllables at 2.6-6 Hz on a falling phrase melody; `tract` scales the formants."""
    rng, length = draw.rng, draw.samples / RATE
    rate = span(2.6, 6.0, draw.pace)
    times = onsets(draw, rate, jitter=0.14)
    phrase = int(rng.integers(4, 8))
    pause = np.arange(len(times)) % phrase == phrase - 1
    spoken, place_in_phrase = times[~pause], (np.arange(len(times)) % phrase)[~pause]
    vowels = VOWELS[rng.integers(len(VOWELS), size=len(spoken))] * tract
    knots = np.concatenate((spoken + 0.3 / rate, spoken + 0.7 / rate))
    order = np.argsort(knots)
    targets = np.concatenate((vowels, vowels))[order]
    centres = np.stack([contour(knots[order], targets[:, k], draw.samples)[::HOP] for k in range(3)], axis=1)
    loud, place = bumps(spoken, np.full(len(spoken), 0.95 / rate), draw.samples)
    accent = rng.uniform(0.6, 1.0, len(spoken))
    which = since(spoken, draw.samples)[1]
    turn, into = which[::HOP][: draw.frames], at_frames(place, draw.frames)
    vowel = at_frames(loud, draw.frames) * accent[turn] * np.minimum(into * 5, 1)
    melody = hertz * (1.18 - 0.06 * place_in_phrase + rng.uniform(-0.08, 0.08, len(spoken)))
    f0 = contour(np.append(spoken, length), np.append(melody, hertz), draw.samples)
    breath = noise(rng, draw.samples)
    source = unit(tone(f0 * (1 + 0.02 * wander(rng, 60, draw.samples)), falling(90, 1.0))) if voiced else breath
    formants = resonances(centres, (70, 100, 140), (1.0, 0.6, 0.35)) * vowel[:, None].astype(np.float32)
    hiss_at = np.where(rng.random(len(spoken)) < 0.6, rng.uniform(2600, 6800, len(spoken)) * tract**0.5, 900)
    away = (BIN_HZ[None, :] - hiss_at[turn, None].astype(np.float32)) / np.float32(900 if voiced else 700)
    hiss = 1 / (1 + np.square(np.square(away)))
    start = np.sin(np.pi * np.minimum(into / 0.24, 1))
    consonant = hiss * (0.35 * start[:, None]).astype(np.float32)
    if not voiced:
        return shaped((breath, formants + consonant))
    return shaped((source, formants), (breath, consonant))


def man(draw: Draw) -> Wave:
    """A man who talks, voiced, F0 of 78 to 155 Hz (sample,)."""
    return _talk(draw, hertz=span(78, 155, draw.height), tract=1.0, voiced=True)


def woman(draw: Draw) -> Wave:
    """A woman who talks, voiced, F0 of 165 to 265 Hz (sample,)."""
    return _talk(draw, hertz=span(165, 265, draw.height), tract=1.17, voiced=True)


def child(draw: Draw) -> Wave:
    """A child who talks, voiced, F0 of 270 to 430 Hz (sample,)."""
    return _talk(draw, hertz=span(270, 430, draw.height), tract=1.36, voiced=True)


def whisper(draw: Draw) -> Wave:
    """A whisper: speech without voice (sample,)."""
    return _talk(draw, hertz=200.0, tract=span(0.85, 1.4, draw.height), voiced=False)


# music: notes of a scale in a walk, each instrument its attack, decay and spectrum


def _walk(draw: Draw, count: int, lowest: float) -> NDArray[np.float64]:
    """`count` notes in hertz: steps of a drawn scale that stay within about an octave and a half."""
    scale = np.asarray(SCALES[int(draw.rng.integers(len(SCALES)))])
    ladder = np.concatenate((scale, scale + 12))
    place = int(draw.rng.integers(len(scale)))
    notes = np.empty(count)
    for turn in range(count):
        place = int(np.clip(place + draw.rng.integers(-2, 3), 0, len(ladder) - 1))
        notes[turn] = lowest * 2 ** (ladder[place] / 12)
    return notes


def piano(draw: Draw) -> Wave:
    """A piano: a melody of struck notes over a bass (sample,)."""
    rate = span(1.8, 7.0, draw.pace)
    times = onsets(draw, rate, jitter=0.02)
    notes = _walk(draw, len(times), span(110, 560, draw.height))
    age, which = since(times, draw.samples)
    attack = np.minimum(age / 0.006, 1)
    hertz = notes[which]
    ring = tone(hertz, falling(16, 1.0)) * np.exp(-age / 0.13) + tone(hertz, falling(6, 1.6)) * np.exp(-age / 0.5)
    bass_age, bass = since(times[::4], draw.samples)
    bass_hertz = notes[::4][bass] / 2
    left = tone(bass_hertz, falling(8, 1.3)) + tone(bass_hertz * 1.5, falling(6, 1.5))
    return np.asarray(ring * attack + 0.5 * left * np.exp(-bass_age / 0.8), np.float32)


def violin(draw: Draw) -> Wave:
    """A violin: bowed notes with vibrato (sample,)."""
    times = onsets(draw, span(1.0, 4.5, draw.pace), jitter=0.1)
    notes = _walk(draw, len(times), span(196, 700, draw.height))
    age, which = since(times, draw.samples)
    vibrato = 1 + 0.008 * np.sin(2 * np.pi * draw.rng.uniform(4.8, 6.4) * np.arange(draw.samples) / RATE)
    hertz = notes[which]
    bow = np.minimum(age / 0.09, 1) * (0.75 + 0.25 * wander(draw.rng, 12, draw.samples))
    body = np.stack([np.full(draw.frames, hz) for hz in (480.0, 1150.0, 2900.0)], axis=1)
    return shaped((tone(hertz * vibrato, falling(30, 0.8)) * bow, resonances(body, (300, 500, 900), (1, 0.8, 0.6))))


def flute(draw: Draw) -> Wave:
    """A flute: notes with tremolo and breath (sample,)."""
    times = onsets(draw, span(1.2, 5.5, draw.pace), jitter=0.08)
    hertz = _walk(draw, len(times), span(330, 1150, draw.height))[since(times, draw.samples)[1]]
    age, _ = since(times, draw.samples)
    clock = np.arange(draw.samples) / RATE
    tremble = 1 + 0.22 * np.sin(2 * np.pi * draw.rng.uniform(4.5, 6) * clock)
    loud = np.minimum(age / 0.05, 1) * tremble
    air = shaped((noise(draw.rng, draw.samples), resonances(np.full((draw.frames, 1), 2400.0), (900,), (1,))))
    return np.asarray(tone(hertz, (1, 0.28, 0.1, 0.03)) * loud + 0.05 * unit(air), np.float32)


def organ(draw: Draw) -> Wave:
    """An organ: chords, major and minor (sample,)."""
    times = onsets(draw, span(0.7, 2.6, draw.pace), jitter=0.02)
    roots = _walk(draw, len(times), span(82, 330, draw.height))
    age, which = since(times, draw.samples)
    third = np.where(draw.rng.random(len(times)) < 0.5, 4, 3)[which]
    pipes = (1, 0.7, 0.25, 0.5, 0.08, 0.2, 0.05, 0.3)
    chord = tone(roots[which], pipes) + tone(roots[which] * 2 ** (third / 12), pipes) + tone(roots[which] * 1.5, pipes)
    return np.asarray(chord * np.minimum(age / 0.04, 1), np.float32)


def drums(draw: Draw) -> Wave:
    """Drums: kick, snare and hi-hat in bars of eight (sample,)."""
    step = 1 / span(4.5, 12.0, draw.pace)
    tuning = span(0.7, 1.6, draw.height)
    count = int(draw.samples / RATE / step)
    grid = np.arange(count) * step
    place = np.arange(count) % 8
    bar = draw.rng.random(8)
    sweep = 55 * tuning * (1 + 2.5 * np.exp(-np.arange(3200) / 500))
    kick = np.asarray(tone(sweep, (1, 0.2)) * np.exp(-np.arange(3200) / 1100), np.float32)
    shell = strike(np.asarray([185.0, 330.0]) * tuning, np.asarray([0.07, 0.05]), 0.25)
    snare = fitted(shell, 4000) + 0.8 * fitted(burst(draw.rng, 0.05), 4000)
    hat = np.diff(burst(draw.rng, float(draw.rng.uniform(0.012, 0.04))), n=2).astype(np.float32)
    out = np.zeros(draw.samples, np.float32)
    for grain, played, gain in (
        (kick, (place == 0) | ((bar < 0.3)[place] & (place % 2 == 0)), 1.6),
        (snare, (place == 4) | (bar > 0.88)[place], 0.8),
        (hat, (place % 2 == 0) | (bar > 0.55)[place], 0.3),
    ):
        hits = grid[played]
        out += placed(draw.samples, hits, [grain], gain * draw.rng.uniform(0.7, 1, len(hits)))
    return out


# animals


def bird(draw: Draw) -> Wave:
    """A bird: chirps of two shapes in turn (sample,)."""
    rate = span(2.2, 7.5, draw.pace)
    times = onsets(draw, rate, jitter=0.08)
    shape = draw.rng.uniform(-1, 1, (2, 3))[np.arange(len(times)) % 2] + draw.rng.uniform(-0.15, 0.15, (len(times), 3))
    loud, place = bumps(times, draw.rng.uniform(0.5, 0.8, len(times)) / rate, draw.samples)
    turn = shape[since(times, draw.samples)[1]]
    bend = turn[:, 0] * (place - 0.5) + turn[:, 1] * np.sin(np.pi * place) + 0.2 * turn[:, 2] * np.sin(9 * place)
    hertz = np.clip(span(1900, 5000, draw.height) * 2 ** (0.55 * bend), 900, 7500)
    return np.asarray(tone(hertz, (1, 0.12)) * loud, np.float32)


def dog(draw: Draw) -> Wave:
    """A dog that barks (sample,)."""
    rate = span(1.3, 3.6, draw.pace)
    times = onsets(draw, rate, jitter=0.18)
    loud, place = bumps(times, draw.rng.uniform(0.14, 0.24, len(times)), draw.samples)
    f0 = span(190, 620, draw.height)
    hertz = f0 * (0.8 + 0.5 * np.sin(np.pi * place)) * (1 + 0.06 * wander(draw.rng, 300, draw.samples))
    mouth = np.stack([0.7 + 0.5 * np.sin(np.pi * at_frames(place, draw.frames))] * 2, axis=1) * (f0 * 2.4, f0 * 5)
    throat = tone(hertz, falling(30, 0.6)) + 0.5 * noise(draw.rng, draw.samples)
    return shaped((np.asarray(throat * loud, np.float32), resonances(mouth, (260, 600), (1, 0.6))))


def cat(draw: Draw) -> Wave:
    """A cat that mews (sample,)."""
    rate = span(0.75, 1.9, draw.pace)
    times = onsets(draw, rate, jitter=0.1)
    loud, place = bumps(times, draw.rng.uniform(0.7, 0.92, len(times)) / rate, draw.samples)
    hertz = span(330, 850, draw.height) * (0.85 + 0.35 * np.sin(np.pi * place ** np.float32(0.7)))
    opening = np.sin(np.pi * at_frames(place, draw.frames) ** np.float32(0.8))
    mouth = np.stack((700 + 700 * opening, 1500 + 1300 * opening, 3400 + 500 * opening), axis=1)
    return shaped((tone(hertz, falling(24, 0.7)) * loud, resonances(mouth, (160, 260, 400), (1, 0.8, 0.3))))


def cricket(draw: Draw) -> Wave:
    """A cricket: trains of chirps, and a second one behind (sample,)."""
    times = onsets(draw, span(1.6, 6.0, draw.pace), jitter=0.03)
    age, _ = since(times, draw.samples)
    beat, count = draw.rng.uniform(22, 48), int(draw.rng.integers(3, 7))
    pulse = np.maximum(np.sin(2 * np.pi * beat * age), 0) * (age < count / beat)
    hertz = span(2300, 5600, draw.height) * (1 - 0.04 * np.minimum(age * beat / count, 1))
    second = tone(np.full(draw.samples, span(2300, 5600, draw.height) * 1.13), (1,))
    return np.asarray(tone(hertz, (1, 0.1)) * pulse + 0.08 * second, np.float32)


def frog(draw: Draw) -> Wave:
    """A frog that croaks (sample,)."""
    rate = span(1.0, 3.2, draw.pace)
    times = onsets(draw, rate, jitter=0.08)
    loud, place = bumps(times, np.full(len(times), draw.rng.uniform(0.5, 0.8) / rate), draw.samples)
    clicks = tone(draw.rng.uniform(28, 65) * (1 + 0.3 * place), falling(60, 0.1))
    centre = span(350, 1500, draw.height)
    throat = np.stack((np.full(draw.frames, centre), np.full(draw.frames, centre * 2.3)), axis=1)
    return shaped((np.asarray(clicks * loud, np.float32), resonances(throat, (110, 260), (1, 0.5))))
