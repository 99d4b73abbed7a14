"""The mel recipe against an independent implementation, and its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from brain.errors import InputError
from brain.types import Float
from encoders.mel import MelRecipe, edges, log_mel, log_mel_tensor, mel_basis


def noise(samples: int = 8000, *, seed: int = 0) -> Float:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


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
    np.testing.assert_allclose(mel, expected, atol=1e-5)


def test_the_basis_is_slaneys() -> None:
    """Auditory Toolbox (Slaney 1998): linear to 1 kHz, logarithmic above, triangles of area 1."""
    ends = edges()
    np.testing.assert_allclose(np.diff(ends[ends < 1000]), np.diff(ends[:2])[0], rtol=1e-4)
    high = ends[ends > 1000]
    np.testing.assert_allclose(high[1:] / high[:-1], high[1] / high[0], rtol=1e-4)
    hertz = np.linspace(0, 8000, 513)
    basis = mel_basis()
    for band in (0, 20, 63):
        triangle = np.interp(hertz, ends[band : band + 3], [0, 2 / (ends[band + 2] - ends[band]), 0])
        np.testing.assert_allclose(basis[:, band], triangle, atol=1e-7)


def test_a_tone_stands_in_its_band_and_moves_with_its_level() -> None:
    wave = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    mel = log_mel(wave)[10:-10]
    ends = edges()
    for band in mel.argmax(1):
        assert ends[band] < 1000 < ends[band + 2]
    np.testing.assert_allclose(log_mel(wave / 10)[10:-10].max(1) - mel.max(1), -np.log(10), atol=1e-4)


def test_a_batch_is_its_sounds_and_gradients_flow() -> None:
    waves = np.stack([noise(3200, seed=seed) for seed in range(3)])
    tensor = torch.from_numpy(waves).requires_grad_()
    mels = log_mel_tensor(tensor)
    for wave, mel in zip(waves, mels.detach().numpy(), strict=True):
        np.testing.assert_allclose(log_mel(wave), mel, atol=1e-5)
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
