"""What a sound is made of: contours, harmonic tones, shaped noise, struck grains and rooms, at 16 kHz.

Every voice of brain/simulated/sounds/voices.py and noises.py is a few calls of these; numpy and scipy only:

    wave = tone(contour, (1.0, 0.5, 0.25))            # harmonics on an F0 contour, one value a sample
    wave = shaped(source, gains)                      # a source heard through a spectral envelope that moves
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from brain.files.waveforms import RATE

FRAME, HOP = 512, 128  # of the moving envelopes: 32 ms every 8 ms
TABLE = 4096  # points of one period of a tone

Wave = NDArray[np.float32]
BIN_HZ: Wave = fft.rfftfreq(FRAME, 1 / RATE).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What one voice is given: `height` and `pace` in 0..1 within the kind's own range, a length and a generator."""

    height: float
    pace: float
    samples: int
    rng: np.random.Generator

    @property
    def frames(self) -> int:
        """Envelope frames of this length."""
        return -(-self.samples // HOP)


def span(low: float, high: float, share: float) -> float:
    """`low` at share 0, `high` at 1, in equal ratios between."""
    return float(low * (high / low) ** share)


def noise(rng: np.random.Generator, samples: int) -> Wave:
    """White Gaussian noise (sample,) of unit power."""
    return rng.standard_normal(samples, dtype=np.float32)


def contour(times_s: NDArray[np.floating], values: NDArray[np.floating], samples: int) -> Wave:
    """Straight lines between (time, value) points, one value a sample."""
    return np.asarray(np.interp(np.arange(samples) / RATE, times_s, values), np.float32)


def wander(rng: np.random.Generator, points: int, samples: int) -> Wave:
    """A smooth random contour (sample,) in about -1..1 through `points` drawn values."""
    knots = rng.uniform(-1, 1, points + 3)
    place = np.linspace(0, points, samples, dtype=np.float32)
    cell = np.minimum(place.astype(np.int64), points - 1)
    ease = place - cell
    ease = ease * ease * (3 - 2 * ease)
    return np.asarray(knots[cell] * (1 - ease) + knots[cell + 1] * ease, np.float32)


def tone(hertz: NDArray[np.floating], amplitudes: tuple[float, ...] | NDArray[np.floating]) -> Wave:
    """Harmonics 1, 2, ... of an F0 contour (sample,), by wavetable; those that would pass 7.8 kHz are left out."""
    limit = max(1, int(7800 / float(np.max(hertz))))
    kept = np.asarray(amplitudes, np.float64)[:limit]
    spectrum = np.zeros(TABLE // 2 + 1, np.complex128)
    # Schroeder's phases keep the crest of many harmonics low
    order = np.arange(1, len(kept) + 1)
    spectrum[order] = kept * np.exp(-1j * np.pi * order * (order - 1) / max(len(kept), 1))
    table = (np.fft.irfft(spectrum) * TABLE / 2).astype(np.float32)
    phase = np.cumsum(np.asarray(hertz, np.float64)) * (TABLE / RATE)
    return np.asarray(table[phase.astype(np.int64) & (TABLE - 1)], np.float32)


def falling(count: int, power: float) -> NDArray[np.float64]:
    """Amplitudes (harmonic,), 1/k^power of harmonics 1..count."""
    return np.arange(1, count + 1, dtype=np.float64) ** -power


def _spectra(wave: Wave, frames: int) -> NDArray[np.complex64]:
    padded = np.zeros((frames + 3) * HOP, np.float32)
    padded[2 * HOP : 2 * HOP + len(wave)] = wave[: len(padded) - 2 * HOP]
    cut = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP][:frames]
    window = np.hanning(FRAME + 1)[:-1].astype(np.float32)
    return np.asarray(fft.rfft(cut * window, axis=1), np.complex64)


def shaped(*layers: tuple[Wave, NDArray[np.floating]]) -> Wave:
    """The sum of sources (sample,), each heard through its gains (frame, bin) or (bin,) that move every 8 ms."""
    samples = len(layers[0][0])
    frames = -(-samples // HOP)
    total = _spectra(layers[0][0], frames) * np.asarray(layers[0][1], np.float32)
    for source, gains in layers[1:]:
        total = total + _spectra(source, frames) * np.asarray(gains, np.float32)
    pieces = fft.irfft(total, n=FRAME, axis=1).reshape(frames, FRAME // HOP, HOP)
    out = np.zeros((frames + 3, HOP), np.float32)
    for part in range(FRAME // HOP):
        out[part : part + frames] += pieces[:, part]
    return np.asarray(out.reshape(-1)[2 * HOP : 2 * HOP + samples] / 2, np.float32)


def resonances(
    centres: NDArray[np.floating], widths: tuple[float, ...], gains: tuple[float, ...]
) -> NDArray[np.float32]:
    """Envelopes (frame, bin) of formants whose centres (frame, formant) move, in hertz."""
    out = np.full((len(centres), len(BIN_HZ)), 1e-3, np.float32)
    for column, (width, gain) in enumerate(zip(widths, gains, strict=True)):
        away = (BIN_HZ[None, :] - centres[:, column, None].astype(np.float32)) * np.float32(1 / width)
        out += np.float32(gain) / (1 + away * away)
    return out


def band(centre: float, octaves: float) -> Wave:
    """A bell of gains (bin,) around a centre in hertz, its half width in octaves."""
    away = np.log2(np.maximum(BIN_HZ, 20) / centre) / octaves
    return np.exp(-(away**2)).astype(np.float32)


def at_frames(per_sample: Wave, frames: int) -> Wave:
    """A contour (sample,) thinned to one value per envelope frame, (frame,)."""
    return per_sample[::HOP][:frames]


def onsets(draw: Draw, rate: float, *, jitter: float) -> NDArray[np.float64]:
    """Event times (event,) in s, `rate` a second, each moved by up to `jitter` of a period; the first within one."""
    count = int(draw.samples / RATE * rate) + 2
    start = draw.rng.uniform(0, 0.6)
    times = (np.arange(count) + start + draw.rng.uniform(-jitter, jitter, count)) / rate
    return np.asarray(np.sort(times[(times >= 0) & (times < draw.samples / RATE)]))


def since(times_s: NDArray[np.float64], samples: int) -> tuple[Wave, NDArray[np.int64]]:
    """Seconds since the last event and which event it was, both (sample,); before the first: the last, long ago.

    `times_s` (event,), ascending.
    """
    starts = np.round(times_s * RATE).astype(np.int64)
    which = np.searchsorted(starts, np.arange(samples), side="right") - 1
    age = (np.arange(samples) - starts[which]) / RATE
    return np.where(which < 0, 60.0, age).astype(np.float32), np.asarray(which, np.int64)


def bumps(times_s: NDArray[np.float64], lengths_s: NDArray[np.floating], samples: int) -> tuple[Wave, Wave]:
    """Rounded bumps of given lengths at events: loudness 0..1 and place within the event 0..1, both (sample,).

    `times_s` and `lengths_s` (event,), in seconds.
    """
    age, which = since(times_s, samples)
    place = np.minimum(age / np.asarray(lengths_s, np.float32)[which], 1)
    return np.sin(np.float32(3.1415) * place) ** np.float32(0.7), np.asarray(place, np.float32)


def strike(hertz: NDArray[np.floating], decays_s: NDArray[np.floating], seconds: float) -> Wave:
    """A struck grain (sample,): damped sinusoids, louder the lower; `hertz` and `decays_s` (mode,)."""
    time = np.arange(round(seconds * RATE), dtype=np.float32)[:, None] / RATE
    rings = np.sin(2 * np.pi * hertz.astype(np.float32) * time) * np.exp(-time / decays_s.astype(np.float32))
    return np.asarray(rings @ falling(len(hertz), 0.6).astype(np.float32), np.float32)


def burst(rng: np.random.Generator, decay_s: float) -> Wave:
    """A grain of white noise (sample,) that dies away."""
    samples = round(decay_s * 5 * RATE)
    return np.asarray(noise(rng, samples) * np.exp(-np.arange(samples) / (decay_s * RATE)), np.float32)


def fitted(grain: Wave, samples: int) -> Wave:
    """The grain (sample,) cut, or followed by silence, to this length."""
    out = np.zeros(samples, np.float32)
    out[: len(grain)] = grain[:samples]
    return out


def placed(samples: int, times_s: NDArray[np.float64], grains: list[Wave], gains: NDArray[np.floating]) -> Wave:
    """Grains (sample,), taken in turn, laid at their times with their gains; what passes the end is cut.

    `times_s` in seconds and `gains` (event,).
    """
    out = np.zeros(samples, np.float32)
    for turn, (time, gain) in enumerate(zip(times_s, gains, strict=True)):
        start = int(time * RATE)
        grain = grains[turn % len(grains)][: samples - start]
        out[start : start + len(grain)] += grain * np.float32(gain)
    return out


def unit(wave: Wave) -> Wave:
    """The wave (sample,) at unit power."""
    return np.asarray(wave / max(float(np.sqrt(np.mean(wave**2))), 1e-9), np.float32)


def finished(wave: Wave, rng: np.random.Generator, *, tilt_db: float, echo_s: float) -> Wave:
    """Tilts the spectrum of a wave (sample,), and adds a room's reverberation, a quiet floor and a peak.

    The tilt is in dB an octave about 1 kHz, `echo_s` the reverberation time (0: none). The tail of the room wraps from
    the end to the start, so the first window rings as the others do.
    """
    samples = len(wave)
    spectrum = fft.rfft(unit(wave) + noise(rng, samples) * np.float32(0.004))
    hertz = np.maximum(fft.rfftfreq(samples, 1 / RATE), 60).astype(np.float32)
    spectrum *= (hertz / 1000) ** np.float32(tilt_db / 6.02)
    spectrum[: int(40 * samples / RATE)] = 0
    if echo_s > 0:
        length = min(round(echo_s * RATE), samples)
        tail = noise(rng, length) * np.exp(-6.9 * np.arange(length, dtype=np.float32) / length)
        room = fft.rfft(tail * np.float32(0.8 / np.linalg.norm(tail)), n=samples)
        spectrum *= 1 + room
    wave = unit(fft.irfft(spectrum, n=samples))
    wave = np.tanh(wave / np.float32(4.5))
    wave -= wave.mean()
    return np.asarray(wave * np.float32(0.5 / np.abs(wave).max()), np.float32)
