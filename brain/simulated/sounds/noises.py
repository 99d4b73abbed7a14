"""How nature, machines and tools sound: one small function a kind, `draw` in, a waveform out.

As brain/simulated/sounds/voices.py: a Draw in, (sample,) at 16 kHz of any level out.
"""

from __future__ import annotations

import numpy as np

from brain.files.waveforms import RATE
from brain.simulated.sounds.acoustics import (
    BIN_HZ,
    Draw,
    Wave,
    at_frames,
    band,
    bumps,
    burst,
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


def _clock(draw: Draw) -> Wave:
    return np.asarray(np.arange(draw.samples) / RATE, np.float32)


def _sparks(draw: Draw, rate: float) -> Wave:
    """Single-sample clicks at random times, `rate` a second, of random size."""
    out = np.zeros(draw.samples, np.float32)
    count = max(4, int(draw.rng.poisson(rate * draw.samples / RATE)))
    out[draw.rng.integers(draw.samples, size=count)] = draw.rng.exponential(1.0, count) + 0.3
    return out


# nature: noise whose spectrum and loudness move


def rain(draw: Draw) -> Wave:
    """Rain: drops over a steady hiss (sample,)."""
    drops = _sparks(draw, span(14, 160, draw.pace)) * 28
    sheet = noise(draw.rng, draw.samples) * (0.8 + 0.2 * wander(draw.rng, 6, draw.samples))
    centre = span(1300, 5200, draw.height)
    return shaped((drops, band(centre * 0.6, 0.35)), (sheet, 0.5 * band(centre, 1.1)))


def wind(draw: Draw) -> Wave:
    """Wind: noise whose resonances rise and fall with gusts (sample,)."""
    gust = wander(draw.rng, max(3, round(span(0.7, 5.0, draw.pace) * draw.samples / RATE)), draw.samples)
    place = at_frames(gust, draw.frames)[:, None]
    centre = span(230, 1200, draw.height) * 2 ** (0.8 * place)
    howl = resonances(centre * np.asarray([[1.0, 2.6]]), (60, 260), (1, 0.25))
    low = 0.3 * band(180, 1.2)[None, :]
    return shaped((noise(draw.rng, draw.samples), (howl + low) * (0.7 + 0.3 * place) ** 1.5))


def waves(draw: Draw) -> Wave:
    """Waves at a shore: swells of noise (sample,)."""
    swell = span(0.35, 1.3, draw.pace)
    place = (at_frames(_clock(draw), draw.frames) * swell + draw.rng.uniform()) % 1
    place = place[:, None]
    rise = np.where(place < 0.35, place / 0.35, np.exp(-(place - 0.35) * 3.2))
    centre = span(320, 1500, draw.height) * 2 ** (1.8 * rise - 0.9)
    away = np.log2(np.maximum(BIN_HZ, 20)[None, :] / centre)
    return shaped((noise(draw.rng, draw.samples), np.exp(-((away / 1.3) ** 2)) * (0.12 + 0.88 * rise)))


def thunder(draw: Draw) -> Wave:
    """Thunder: cracks, each with a long roll (sample,)."""
    times = onsets(draw, span(0.7, 2.6, draw.pace), jitter=0.3)
    age, which = since(times, draw.samples)
    size = draw.rng.uniform(0.4, 1.0, len(times)).astype(np.float32)[which]
    crack = at_frames(np.asarray(np.exp(-age / 0.07) * size, np.float32), draw.frames)[:, None]
    roll = at_frames(np.asarray(np.exp(-age / 0.7) * size + 0.15, np.float32), draw.frames)[:, None]
    uneven = 1 + 0.6 * at_frames(wander(draw.rng, 60, draw.samples), draw.frames)[:, None]
    base = span(60, 260, draw.height)
    return shaped((noise(draw.rng, draw.samples), roll * uneven * band(base, 0.9) + 0.35 * crack * band(base * 9, 1.8)))


def fire(draw: Draw) -> Wave:
    """Fire: crackling over a flickering roar (sample,)."""
    crackle = _sparks(draw, span(7, 60, draw.pace)) * 60
    flicker = 1 + 0.5 * wander(draw.rng, 40, draw.samples)
    centre = span(1100, 4600, draw.height)
    roar = noise(draw.rng, draw.samples) * flicker
    return shaped((crackle, band(centre, 0.6)), (np.asarray(roar, np.float32), 0.7 * band(220, 1.0)))


# machines: steady hums, sweeps and beats


def engine(draw: Draw) -> Wave:
    """An engine that revs (sample,)."""
    rev = np.sin(2 * np.pi * span(0.3, 2.4, draw.pace) * _clock(draw) + draw.rng.uniform(0, 6.28))
    hertz = span(24, 110, draw.height) * (1 + 0.22 * rev)
    odd = falling(70, 0.55) * np.where(np.arange(70) % 2, 1.0, draw.rng.uniform(0.2, 0.7))
    block = np.stack([np.full(draw.frames, hz) for hz in draw.rng.uniform((120, 500, 1500), (260, 1000, 2800))], axis=1)
    puff = 0.25 * noise(draw.rng, draw.samples) * (0.6 + 0.4 * rev)
    return shaped((unit(tone(hertz, odd)) + puff.astype(np.float32), resonances(block, (130, 260, 500), (1, 0.6, 0.4))))


def siren(draw: Draw) -> Wave:
    """A siren: a tone whose pitch sweeps or switches (sample,)."""
    turn = (_clock(draw) * span(0.5, 3.6, draw.pace) + draw.rng.uniform()) % 1
    shapes = (0.5 - 0.5 * np.cos(2 * np.pi * turn), 2 * np.abs(turn - 0.5), (turn > 0.5) * 0.6 + 0.2)
    bend = shapes[int(draw.rng.integers(len(shapes)))]
    hertz = span(330, 1000, draw.height) * 2 ** (draw.rng.uniform(0.7, 1.2) * bend)
    return tone(hertz, (1, 0.15, 0.5, 0.1, 0.25))


def alarm(draw: Draw) -> Wave:
    """An alarm: a tone, or two in turn, switched on and off (sample,)."""
    turn = _clock(draw) * span(1.5, 7.0, draw.pace) + draw.rng.uniform()
    on = (turn % 1 < draw.rng.uniform(0.45, 0.65)).astype(np.float32)
    other = np.where(turn.astype(np.int64) % 2 == 1, draw.rng.choice([1.0, 1.26, 0.75]), 1.0)
    odd = (1, 0, 0.5, 0, 0.3, 0, 0.2)
    return np.asarray(tone(span(700, 2900, draw.height) * other, odd) * (0.02 + on), np.float32)


def train(draw: Draw) -> Wave:
    """A train: pairs of knocks of its wheels over a rumble (sample,)."""
    rate = span(1.0, 3.8, draw.pace)
    first = onsets(draw, rate, jitter=0.01)
    pair = np.sort(np.concatenate((first, first + min(0.16, 0.34 / rate))))
    pair = pair[pair < draw.samples / RATE]
    base = span(70, 280, draw.height)
    knock = 0.6 * strike(np.asarray([base * 2.5, base * 6.3, base * 11]), np.asarray([0.07, 0.04, 0.03]), 0.3)
    tap = burst(draw.rng, 0.02)
    clatter = placed(draw.samples, pair, [knock, 0.7 * knock], np.ones(len(pair)))
    clatter += 0.3 * placed(draw.samples, pair, [tap], np.ones(len(pair)))
    sway = 0.8 + 0.2 * at_frames(wander(draw.rng, 10, draw.samples), draw.frames)[:, None]
    rumble = unit(shaped((noise(draw.rng, draw.samples), sway * band(base, 0.8))))
    hiss = unit(shaped((noise(draw.rng, draw.samples), sway * band(2600, 0.5))))
    return np.asarray(clatter + 0.22 * rumble + 0.035 * hiss, np.float32)


def fan(draw: Draw) -> Wave:
    """A fan: a hum and a rush of air that beat together (sample,)."""
    beat = 0.5 + 0.5 * np.sin(2 * np.pi * span(1.2, 9.0, draw.pace) * _clock(draw))
    blade = span(75, 330, draw.height)
    hum = tone(np.full(draw.samples, blade), falling(10, float(draw.rng.uniform(0.8, 1.6)))) * (0.7 + 0.3 * beat)
    air = noise(draw.rng, draw.samples) * (0.35 + 0.65 * beat)
    rush = shaped((np.asarray(air, np.float32), band(blade * 7, 1.3)))
    return np.asarray(0.5 * unit(hum) + unit(rush), np.float32)


# tools: blows, strokes and clicks


def hammer(draw: Draw) -> Wave:
    """A hammer: struck metal, again and again (sample,)."""
    times = onsets(draw, span(1.1, 4.4, draw.pace), jitter=0.06)
    base = span(320, 1700, draw.height)
    modes = base * np.cumprod(np.append(1, draw.rng.uniform(1.3, 1.9, 3)))
    ring = strike(modes[modes < 7800], np.linspace(0.16, 0.05, 4)[modes < 7800], 0.5)
    knock = ring + 0.8 * fitted(burst(draw.rng, 0.008), len(ring))
    return placed(draw.samples, times, [knock], draw.rng.uniform(0.6, 1.0, len(times)))


def saw(draw: Draw) -> Wave:
    """A saw: strokes of rough noise, to and fro (sample,)."""
    rate = span(1.2, 4.6, draw.pace)
    times = onsets(draw, rate, jitter=0.05)
    loud, place = bumps(times, np.full(len(times), 0.9 / rate), draw.samples)
    back = np.asarray(since(times, draw.samples)[1] % 2, np.float32)
    teeth = 0.45 + 0.55 * np.sin(2 * np.pi * np.cumsum(draw.rng.uniform(55, 110) * (0.5 + loud)) / RATE)
    rub = noise(draw.rng, draw.samples) * teeth * loud * (1 - 0.45 * back)
    slide = at_frames(np.asarray(place - 0.6 * back, np.float32), draw.frames)
    centre = span(1000, 3800, draw.height) * 2 ** (0.5 * slide[:, None])
    grain = resonances(centre * np.asarray([[1.0, 1.9]]), (280, 600), (1, 0.6))
    return shaped((np.asarray(rub, np.float32), grain))


def drill(draw: Draw) -> Wave:
    """A drill that speeds up at every use (sample,)."""
    times = onsets(draw, span(0.8, 3.2, draw.pace), jitter=0.1)
    age, _ = since(times, draw.samples)
    spin = 1 - np.exp(-np.minimum(age, 2) / 0.06)
    hertz = span(85, 340, draw.height) * (0.62 + 0.38 * spin)
    buzz = tone(hertz, falling(60, 0.35))
    grit = noise(draw.rng, draw.samples) * np.maximum(tone(hertz / 2, (1,)), 0)
    bit = resonances(np.full((draw.frames, 1), 1.0) * draw.rng.uniform((900, 2600), (1700, 4200)), (500, 900), (1, 0.9))
    return shaped((np.asarray((unit(buzz) + 0.7 * grit) * (0.25 + 0.75 * spin), np.float32), bit))


def typing(draw: Draw) -> Wave:
    """A keyboard: clicks of five keys at uneven times (sample,)."""
    times = onsets(draw, span(3.0, 10.0, draw.pace), jitter=0.38)
    base = span(1100, 4200, draw.height)
    keys: list[Wave] = []
    for _ in range(5):
        body = strike(base * draw.rng.uniform(0.85, 1.15, 3) * (1, 1.7, 0.35), np.asarray([0.006, 0.005, 0.015]), 0.08)
        keys.append(body + 0.5 * fitted(burst(draw.rng, 0.004), len(body)))
    return placed(draw.samples, times, keys, draw.rng.uniform(0.45, 1.0, len(times)))


def clock(draw: Draw) -> Wave:
    """A clock: tick and tock over its gears (sample,)."""
    times = onsets(draw, span(1.6, 5.5, draw.pace), jitter=0.0)
    base = span(1000, 4200, draw.height)
    decays = np.asarray([0.028, 0.02, 0.014])
    tick, tock = (
        strike(base * scale * np.asarray([1, 1.42, 0.37]), decays * draw.rng.uniform(0.7, 1.6), 0.16)
        for scale in (1.0, draw.rng.uniform(0.68, 0.86))
    )
    gears = shaped((noise(draw.rng, draw.samples), band(base * 1.3, 0.3)))
    beats = placed(draw.samples, times, [tick, tock], np.where(np.arange(len(times)) % 2, 0.8, 1.0))
    return np.asarray(beats + 0.01 * unit(gears), np.float32)
