"""The mel recipe against an independent implementation, and its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from brain.errors import InputError
from brain.types import Float
from encoders.sounds.mel import MelRecipe, edges, log_mel, log_mel_tensor, mel_basis
from tests.rounding import largest, rounding


def noise(samples: int = 8000, *, seed: int = 0) -> Float:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def carried(wave: Float, mel: Float) -> NDArray[np.float64]:
    """(frame, band): how far two orders of additions carry the log-mel of a sound.

    A transform of 1024 has 10 stages, each a sum of two complex products, that is of 4 numbers. All it is off has that
    share of the norm of what it made (Higham 2002, theorem 24.2), and a band takes from it by the norm of its triangle.
    That, by the magnitude itself, is what the logarithm is off; besides, a magnitude sums 2 squares, a band as many of
    them as it is wide, and the logarithm is rounded.
    """
    recipe = MelRecipe()
    edge = (recipe.n_fft - recipe.hop) // 2
    padded = np.pad(wave.astype(np.float64), edge, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, recipe.n_fft)[:: recipe.hop]
    norm = np.linalg.norm(np.fft.rfft(frames * np.hanning(recipe.n_fft + 1)[:-1]), axis=1)
    taken = norm[:, None] * np.linalg.norm(mel_basis(), axis=0)
    widest = int((mel_basis() > 0).sum(0).max())
    transform = rounding(sums=4 * 10, scale=1.0) * taken / np.exp(mel.astype(np.float64))
    return transform + rounding(sums=2 + widest, scale=1.0) + rounding(sums=1, scale=largest(mel))


@pytest.mark.parametrize("samples", [8000, 40960, 8001, 8159])
def test_the_recipe_is_that_of_transformers_audio_utils(samples: int) -> None:
    """The oracle frames in numpy and float64: reflected by 432 samples, magnitudes, slaney, ln, floor 1e-5."""
    wave = noise(samples)
    wave[samples // 3 : 2 * samples // 3] = 0  # silence, where the floor counts
    basis = mel_filter_bank(513, 64, 0.0, 8000.0, 16000, norm="slaney", mel_scale="slaney")
    expected = spectrogram(
        np.pad(wave.astype(np.float64), 432, mode="reflect"),
        window_function(1024, "hann"),
        frame_length=1024,
        hop_length=160,
        power=1.0,
        center=False,
        mel_filters=basis,
        mel_floor=1e-5,
        log_mel="log",
    ).T
    mel = log_mel(wave)
    assert mel.shape == (samples // 160, 64) == (MelRecipe().frames(samples), 64) and mel.dtype == np.float32
    assert (mel == np.float32(np.log(1e-5))).any()
    assert (np.abs(mel - expected) <= carried(wave, expected)).all()


def test_the_basis_is_slaneys() -> None:
    """Auditory Toolbox (Slaney 1998): linear to 1 kHz, logarithmic above, triangles of area 1."""
    ends = edges()
    # edges are kept as float32: two of them, or two quotients of two, are compared
    bound = rounding(sums=2, scale=1000.0)
    np.testing.assert_allclose(np.diff(ends[ends < 1000]), np.diff(ends[:2])[0], atol=bound, rtol=0)
    high = ends[ends > 1000]
    bound = rounding(sums=2 * 2, scale=1.0)
    np.testing.assert_allclose(high[1:] / high[:-1], high[1] / high[0], rtol=bound)
    hertz = np.linspace(0, 8000, 513)
    basis = mel_basis()
    for band in (0, 20, 63):
        near = ends[band : band + 3]
        height = 2 / (near[2] - near[0])
        # three edges kept as float32, on a slope that rises over the distance of two
        bound = rounding(sums=3, scale=near[2] * height / np.diff(near).min())
        np.testing.assert_allclose(basis[:, band], np.interp(hertz, near, [0, height, 0]), atol=bound, rtol=0)


def test_a_tone_stands_in_its_band_and_moves_with_its_level() -> None:
    wave = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    mel = log_mel(wave)[10:-10]
    ends = edges()
    for band in mel.argmax(1):
        assert ends[band] < 1000 < ends[band + 2]
    bound = 2 * carried(wave, log_mel(wave))[10:-10].min(1).max()  # of either level, in the loudest band
    np.testing.assert_allclose(log_mel(wave / 10)[10:-10].max(1) - mel.max(1), -np.log(10), atol=bound, rtol=0)


def test_a_batch_is_its_sounds_and_gradients_flow() -> None:
    waves = np.stack([noise(3200, seed=seed) for seed in range(3)])
    tensor = torch.from_numpy(waves).requires_grad_()
    mels = log_mel_tensor(tensor)
    for wave, mel in zip(waves, mels.detach().numpy(), strict=True):
        assert (np.abs(log_mel(wave) - mel) <= carried(wave, mel)).all()
    mels.mean().backward()
    assert tensor.grad is not None and torch.isfinite(tensor.grad).all() and tensor.grad.abs().max() > 0


def test_another_recipe_is_another_shape_and_says_so() -> None:
    recipe = MelRecipe(rate=22050, n_fft=512, hop=128, win=512, mels=20, high=11025.0)
    assert log_mel(noise(), recipe).shape == (8000 // 128, 20)
    assert recipe.facts()["mels"] == 20 and MelRecipe(**recipe.facts()) == recipe
    assert recipe.samples(recipe.frames(8000)) == 7936


def test_what_is_no_sound_is_refused() -> None:
    with pytest.raises(InputError, match="mono"):
        log_mel(np.zeros((100, 2), np.float32))
    with pytest.raises(InputError, match="432"):
        log_mel(np.zeros(432, np.float32))
