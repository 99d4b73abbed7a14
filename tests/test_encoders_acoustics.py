"""Acoustic descriptors against closed forms: tones, harmonic sounds in noise, ripples, noise that swells."""

from __future__ import annotations

import numpy as np
import pytest

from brain.errors import InputError
from brain.types import Float
from encoders.sounds.acoustics import RATES, SCALES, centroid, envelope, f0, hnr, mean_spectrum, modulation
from encoders.sounds.mel import log_mel
from tests.rounding import largest, rounding

RATE = 16000
TIME = np.arange(RATE) / RATE
INNER = slice(5, -5)
KEPT = rounding(sums=1, scale=1.0)
"""What is computed in float64 and kept as float32, relative."""


def harmonic(hertz: float, *, highest: int = 6) -> Float:
    """(1, sample): a sawtooth's first harmonics."""
    waves = [np.sin(2 * np.pi * hertz * one * TIME + one) / one for one in range(1, highest)]
    return np.sum(waves, axis=0).astype(np.float32)[None]


def noise(seed: int = 0) -> Float:
    return np.random.default_rng(seed).standard_normal((1, RATE)).astype(np.float32)


@pytest.mark.parametrize("hertz", [70.0, 151.3, 440.0, 880.0])
def test_the_pitch_of_a_harmonic_sound(hertz: float) -> None:
    pitch = f0(harmonic(hertz), RATE)
    assert pitch.shape == (1, 100) and pitch.dtype == np.float32
    np.testing.assert_allclose(pitch[0, INNER], hertz, rtol=3e-3)


def test_a_missing_fundamental_is_heard_and_noise_and_silence_have_no_pitch() -> None:
    missing = sum(np.sin(2 * np.pi * 200 * one * TIME) for one in (3, 4, 5))
    np.testing.assert_allclose(f0(np.asarray(missing, np.float32)[None], RATE)[0, INNER], 200, rtol=3e-3)
    assert np.isnan(f0(noise(), RATE)).mean() > 0.95
    assert np.isnan(f0(np.zeros((1, RATE), np.float32), RATE)).all()


def test_pitch_follows_a_glide_frame_by_frame() -> None:
    glide = np.sin(2 * np.pi * (150 * TIME + 100 * TIME**2)).astype(np.float32)[None]
    expected = 150 + 200 * (np.arange(100) + 0.5) / 100
    np.testing.assert_allclose(f0(glide, RATE)[0, INNER], expected[INNER], rtol=0.02)


@pytest.mark.parametrize("decibel", [0.0, 10.0, 20.0])
def test_hnr_is_the_ratio_that_was_mixed(decibel: float) -> None:
    clean = harmonic(200.0)
    mixed = clean + noise() * clean.std() * 10 ** (-decibel / 20)
    assert np.median(hnr(mixed, RATE)) == pytest.approx(decibel, abs=1)


def test_hnr_of_pure_sound_noise_and_silence() -> None:
    assert np.median(hnr(harmonic(200.0), RATE)) > 30
    assert np.median(hnr(noise(), RATE)) < -5
    assert np.isnan(hnr(np.zeros((1, RATE), np.float32), RATE)).all()


def test_the_envelope_of_a_tone_is_its_amplitude_over_root_two_and_follows_a_swell() -> None:
    tone = np.sin(2 * np.pi * 1000 * TIME).astype(np.float32)[None]
    # the tone, three times it, and the root are each kept as float32
    np.testing.assert_allclose(envelope(3 * tone, RATE), 3 / np.sqrt(2), rtol=rounding(sums=3, scale=1.0))
    swell = 1 + 0.8 * np.sin(2 * np.pi * 2 * TIME)
    came = envelope((swell * noise()).astype(np.float32), RATE)[0]
    expected = swell.reshape(100, 160).mean(1)
    assert came.shape == (100,) and np.corrcoef(came, expected)[0, 1] > 0.97


def test_the_centroid_of_a_tone_of_noise_and_of_silence() -> None:
    tone = np.sin(2 * np.pi * 1000 * TIME)
    waves = np.stack([tone, noise()[0], 0 * tone]).astype(np.float32)
    came = centroid(np.stack([log_mel(wave) for wave in waves]))
    np.testing.assert_allclose(came[0, INNER], 1000, rtol=0.02)
    magnitude = np.abs(np.fft.rfft(waves[1]))
    linear = (magnitude * np.linspace(0, 8000, len(magnitude))).sum() / magnitude.sum()
    assert came[1].mean() == pytest.approx(linear, rel=0.05)
    assert np.isnan(came[2]).all()


def ripple(rate: float, scale: float, *, frames: int = 200) -> Float:
    """(1, frame, 64): a log-mel that moves up the bands where `rate` is positive."""
    time, band = np.arange(frames)[:, None] / 100, np.arange(64) / 64
    return np.cos(2 * np.pi * (rate * time - scale * band)).astype(np.float32)[None]


@pytest.mark.parametrize(("rate", "scale"), [(6.0, 4.0), (-6.0, 4.0), (20.0, 0.0), (0.0, 9.0), (-3.0, 1.0)])
def test_a_ripple_stands_in_its_band_of_rate_and_scale(rate: float, scale: float) -> None:
    came = modulation(ripple(rate, scale)).reshape(2 * len(RATES) + 1, len(SCALES) + 1)
    band = int(np.sign(rate) * np.digitize(abs(rate), RATES)) + len(RATES)
    expected = {(band, int(np.digitize(scale, SCALES)))}
    if scale == 0:  # the whole band swells at once: rising and falling alike
        expected.add((2 * len(RATES) - band, 0))
    loud = {tuple(int(one) for one in place) for place in np.argwhere(came > 0.5 * came.max())}
    assert loud == expected


def described(mels: Float) -> float:
    """How far two orders of its additions carry a modulation spectrum, in float64: a mean, a transform and a pool."""
    cells = mels.shape[1] * mels.shape[2]
    stages = 4 * np.log2(cells)  # of the transform, each a sum of two complex products
    return rounding(sums=2 * cells + int(stages), scale=largest(mels) * np.sqrt(cells), dtype=np.float64)


def test_modulation_knows_no_level_but_depth() -> None:
    mels = np.stack([log_mel(noise(seed)[0]) for seed in range(3)])
    mels = np.rint(mels * 2**20) / 2**20  # so few digits that nothing of them is rounded off where 2 is added
    came = modulation(mels)
    assert came.shape == (3, 91) and came.dtype == np.float32 and (came >= 0).all()
    np.testing.assert_allclose(modulation(mels + 2), came, rtol=KEPT, atol=described(mels))
    np.testing.assert_allclose(modulation(mels * 2), 2 * came, rtol=KEPT, atol=described(mels))
    assert modulation(np.concatenate([mels, mels], axis=2)).shape == (3, 91)


def test_each_sound_is_described_by_itself() -> None:
    waves = np.concatenate([harmonic(120.0), noise(), harmonic(300.0) * 1e-3])
    mels = np.stack([log_mel(wave) for wave in waves])
    for row, wave in enumerate(waves):
        for describe in (f0, hnr, envelope):
            np.testing.assert_array_equal(describe(waves, RATE)[row], describe(wave[None], RATE)[0])
        np.testing.assert_allclose(mean_spectrum(mels)[row], mels[row].astype(np.float64).mean(0), rtol=KEPT)
        alone = modulation(mels[row][None])[0]
        np.testing.assert_allclose(modulation(mels)[row], alone, rtol=KEPT, atol=described(mels))


def test_what_cannot_be_described_is_refused() -> None:
    for wrong, words in (
        (np.zeros(RATE, np.float32), "shape"),
        (np.full((1, RATE), np.nan, np.float32), "finite"),
        (np.zeros((1, 100), np.float32), "10 ms"),
    ):
        with pytest.raises(InputError, match=words):
            envelope(wrong, RATE)
    with pytest.raises(InputError, match="multiple"):
        f0(noise(), 11025)
    with pytest.raises(InputError, match="1 s"):
        modulation(np.zeros((1, 50, 64), np.float32))
    with pytest.raises(InputError, match="64 mel bands"):
        centroid(np.zeros((1, 50, 32), np.float32))
