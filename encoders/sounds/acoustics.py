"""What a sound is like, in numbers that need no network: pitch, brightness, noisiness, loudness, modulation.

Pure functions of a batch of equally long sounds, 100 frames a second; log-mels are those of `encoders.sounds.mel`:

    pitch = f0(waves, 16000)                 # (n, frame) Hz, NaN where nothing is voiced
    bright = centroid(mels, MelRecipe())     # (n, frame) Hz
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.types import Float
from encoders.sounds.mel import DEFAULT, MelRecipe, edges

FRAMES = 100
"""Frames a second, of every function here."""
LOWEST, HIGHEST = 60.0, 1000.0
"""Hz: where a pitch is looked for."""
VOICED = 0.15
"""How much of a frame's power may differ from one period to the next, for the frame to be voiced."""
QUIET = 1e-3
"""A frame below this part of its sound's loudest is silent."""
SMOOTHING = np.hanning(9)[1:-1] / np.hanning(9).sum()
"""The envelope's filter: 70 ms."""
RATES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Hz: edges between bands of modulation in time, the same for falling and rising ones: 13 bands."""
SCALES = (0.5, 1.5, 3.0, 6.0, 12.0, 24.0)
"""Cycles over all mels: edges between bands of modulation in frequency: 7 bands."""
HARMONIC = (-20.0, 40.0)
"""dB: beyond these a harmonic-to-noise ratio says nothing."""


_Lags: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
_Describe: TypeAlias = Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], int], Float]


def f0(waves: Float, rate: int) -> Float:
    """(n, sample) -> (n, frame) float32: fundamental frequency in Hz, NaN where a frame is unvoiced.

    YIN (de Cheveigne & Kawahara 2002, steps 1-5), 60 to 1000 Hz, windows of two longest periods around each frame.
    """
    return _each(waves, rate, _f0)


def hnr(waves: Float, rate: int) -> Float:
    """(n, sample) -> (n, frame) float32: harmonic-to-noise ratio in dB, -20 to 40; NaN where a frame has no sound.

    10 log10(r / (1 - r)) of the highest normalised correlation r of the frame with itself a period later (after
    Boersma 1993), over the periods of 60 to 1000 Hz.
    """
    return _each(waves, rate, _hnr)


def envelope(waves: Float, rate: int) -> Float:
    """(n, sample) -> (n, frame) float32: root mean square of each 10 ms, its square smoothed over 70 ms."""
    from scipy.ndimage import convolve1d

    _must_be_waves(waves, rate)
    hop = rate // FRAMES
    frames = waves.shape[1] // hop
    power = np.square(waves[:, : frames * hop], dtype=np.float64).reshape(len(waves), frames, hop).mean(2)
    return np.asarray(np.sqrt(convolve1d(power, SMOOTHING, axis=1, mode="nearest")), np.float32)


def centroid(mels: Float, recipe: MelRecipe = DEFAULT) -> Float:
    """(n, frame, mel) natural log-mels -> (n, frame) float32: mean frequency in Hz, weighted by magnitude.

    Bands count by their width, so that it is the centroid over Hz; NaN where every band is at the recipe's floor.
    """
    _must_be_mels(mels)
    if mels.shape[2] != recipe.mels:
        raise InputError(expected("centroid", f"{recipe.mels} mel bands", f"{mels.shape[2]}", "give their recipe"))
    ends = edges(recipe).astype(np.float64)
    magnitude = np.maximum(np.exp(mels.astype(np.float64)) - recipe.floor * (1 + 1e-3), 0) * (ends[2:] - ends[:-2])
    total = magnitude.sum(2)
    mean = (magnitude * ends[1:-1]).sum(2) / np.where(total > 0, total, 1)
    return np.where(total > 0, mean, np.nan).astype(np.float32)


def mean_spectrum(mels: Float) -> Float:
    """(n, frame, mel) log-mels -> (n, mel) float32: their mean over time."""
    _must_be_mels(mels)
    return np.asarray(mels.mean(axis=1, dtype=np.float64), np.float32)


def modulation(mels: Float) -> Float:
    """(n, frame, mel) log-mels, 1 s or more -> (n, rate * scale) float32: their modulation spectrum, pooled.

    The magnitude of the two-dimensional Fourier transform of each log-mel less its mean, averaged in bands of rate
    (falling above 32 Hz to falling above 1 Hz, below 1 Hz, rising above 1 Hz to above 32 Hz), each in bands of scale,
    coarse to fine, as auditory cortex is tuned (Santoro et al. 2014).
    """
    _must_be_mels(mels)
    count, frames, bands = mels.shape
    if frames < FRAMES:
        raise InputError(expected("modulation spectrum", f"{FRAMES} frames or more", f"{frames}", "give 1 s of sound"))
    centred = mels.astype(np.float64) - mels.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    magnitude = np.abs(np.fft.rfft2(centred, axes=(1, 2))) / np.sqrt(frames * bands)
    # a ripple cos(a t + b y) with positive a and b moves down the bands as time goes on
    rate = np.digitize(-np.fft.fftfreq(frames, 1 / FRAMES), [*(-np.array(RATES[::-1])), *RATES])
    scale = np.digitize(np.fft.rfftfreq(bands, 1 / bands), SCALES)
    pool = (rate[:, None] * (len(SCALES) + 1) + scale).ravel()
    size = (2 * len(RATES) + 1) * (len(SCALES) + 1)
    member = np.zeros((len(pool), size))
    member[np.arange(len(pool)), pool] = 1
    sums = magnitude.reshape(count, -1) @ member
    return np.asarray(sums / np.maximum(member.sum(0), 1), np.float32)


def _each(waves: Float, rate: int, describe: _Describe) -> Float:
    _must_be_waves(waves, rate)
    frames = waves.shape[1] // (rate // FRAMES)
    values = np.empty((len(waves), frames), np.float32)
    for row, wave in enumerate(waves):  # one at a time: a sound's correlations are larger than the sound
        product, own, met = _correlations(wave.astype(np.float64), rate, frames=frames)
        values[row] = describe(product, own, met, rate)
    return values


def _correlations(wave: NDArray[np.float64], rate: int, *, frames: int) -> _Lags:
    """Of each frame's window with itself later: products, its power and the power it meets, all (frame, lag)."""
    longest = int(np.ceil(rate / LOWEST)) + 2
    window = 2 * longest
    span, hop = window + longest, rate // FRAMES
    padded = np.pad(wave - wave.mean(), (span // 2, span))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, span)[hop // 2 :: hop][:frames]
    size = 1 << (span + window).bit_length()
    ahead = np.fft.rfft(pieces, size, axis=1)
    own = np.fft.rfft(pieces[:, :window], size, axis=1)
    product = np.fft.irfft(ahead * own.conj(), size, axis=1)[:, :longest]
    power = np.pad(np.cumsum(pieces**2, axis=1), ((0, 0), (1, 0)))
    met = power[:, window : window + longest] - power[:, :longest]
    return product, met[:, :1], met


def _f0(product: NDArray[np.float64], own: NDArray[np.float64], met: NDArray[np.float64], rate: int) -> Float:
    lags = np.arange(product.shape[1])
    difference = np.maximum(own + met - 2 * product, 0)
    total = np.cumsum(difference, axis=1)
    normal = np.where(total > 0, difference * lags / np.where(total > 0, total, 1), 1.0)
    inside = normal[:, 1:-1]
    dip = (inside < VOICED) & (inside <= normal[:, :-2]) & (inside < normal[:, 2:]) & (lags[1:-1] >= rate / HIGHEST)
    lag = dip.argmax(1) + 1
    # the dip is interpolated in the plain difference: normalising tilts it
    period = lag + _vertex(difference, lag)
    heard = dip.any(1) & ~_silent(own)
    return np.where(heard, rate / period, np.nan).astype(np.float32)


def _hnr(product: NDArray[np.float64], own: NDArray[np.float64], met: NDArray[np.float64], rate: int) -> Float:
    power = np.sqrt(own * met)
    correlation = np.where(power > 0, product / np.where(power > 0, power, 1), 0.0)
    first = int(rate // HIGHEST)
    lag = correlation[:, first:-1].argmax(1) + first
    shift = _vertex(correlation, lag)
    rows = np.arange(len(lag))
    before, at, after = (correlation[rows, lag + step] for step in (-1, 0, 1))
    highest = at - (before - after) * shift / 4
    harmonic = np.clip(highest, 1e-9, 1 - 1e-9)
    ratio = np.clip(10 * np.log10(harmonic / (1 - harmonic)), *HARMONIC)
    return np.where(_silent(own), np.nan, ratio).astype(np.float32)


def _vertex(curve: NDArray[np.float64], at: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where the parabola through a point and its neighbours turns, in steps from the point, at most half of one."""
    rows = np.arange(len(at))
    before, here, after = (curve[rows, at + step] for step in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = np.where(bend != 0, (before - after) / np.where(bend != 0, 2 * bend, 1), 0.0)
    return np.clip(shift, -0.5, 0.5)


def _silent(power: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(frame,) of (frame, 1) powers."""
    return np.asarray(power[:, 0] <= QUIET**2 * max(float(power.max()), 1e-12))


def _must_be_waves(waves: Float, rate: int) -> None:
    if np.ndim(waves) != 2 or not np.isfinite(waves).all():
        then = "stack mono sounds of one length"
        raise InputError(expected("acoustics", "finite sounds (n, sample)", f"shape {np.shape(waves)}", then))
    if rate < 2 * HIGHEST or rate % FRAMES or waves.shape[1] < rate // FRAMES:
        came = f"{waves.shape[1]} samples at {rate} Hz"
        want = f"10 ms or more, at a multiple of {FRAMES} Hz of {2 * HIGHEST:g} or more"
        raise InputError(expected("acoustics", want, came, "resample with brain.files.waveforms"))


def _must_be_mels(mels: Float) -> None:
    if np.ndim(mels) != 3 or 0 in np.shape(mels) or not np.isfinite(mels).all():
        came = f"shape {np.shape(mels)}"
        raise InputError(expected("acoustics", "finite log-mels (n, frame, mel)", came, "use encoders.sounds.mel"))
