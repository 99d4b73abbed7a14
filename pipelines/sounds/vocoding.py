"""From log-mel spectrograms to waveforms: the stack's HiFi-GAN, or Griffin-Lim where a stack has no vocoder.

    Hifigan(vocoder)(mels)      Kong et al. 2020, as transformers' SpeechT5HifiGan
    GriffinLim(recipe)(mels)    Griffin & Lim 1984, fast variant of Perraudin et al. 2013
    limited(waves)              no sample beyond the peak that a file can hold

Griffin-Lim is our own on torch alone: the libraries that have it (librosa, torchaudio) pad a waveform otherwise than
AudioLDM's mel recipe does, and bring compilers or a second audio stack along. A test holds it against librosa.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from brain.errors import InputError
from brain.files.waveforms import PEAK
from encoders.sounds.mel import MelRecipe, mel_basis

SILENCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Hifigan:
    """A pretrained vocoder: log-mels (sample, frame, mel) -> (sample, frame * hop) float32, cut to that length."""

    vocoder: Any = field(repr=False)
    recipe: MelRecipe
    name: ClassVar[str] = "hifigan"

    def __post_init__(self) -> None:
        config = self.vocoder.config
        hop = int(torch.tensor(config.upsample_rates).prod())
        came = (config.sampling_rate, hop, config.model_in_dim)
        if came != (self.recipe.rate, self.recipe.hop, self.recipe.mels):
            raise InputError(
                f"vocoder: expected {self.recipe.rate} Hz, hop {self.recipe.hop}, {self.recipe.mels} mels, "
                f"found {came}; "
                "use a stack whose autoencoder and vocoder share one mel recipe"
            )

    def __call__(self, mels: Tensor) -> Tensor:
        waves: Tensor = self.vocoder(mels.to(next(self.vocoder.parameters()).dtype)).float()
        return waves.reshape(len(mels), -1)[:, : mels.shape[1] * self.recipe.hop]


@dataclass(frozen=True, kw_only=True)
class GriffinLim:
    """Phases found by projection: log-mels (sample, frame, mel) -> (sample, frame * hop) float32.

    Magnitudes are the least-squares ones behind the mel bands, negative ones cut at zero. Phases start at zero, so
    nothing is drawn by chance. `momentum` 0 is the algorithm of 1984.
    """

    recipe: MelRecipe
    iterations: int = 32
    momentum: float = 0.99
    name: ClassVar[str] = "griffin-lim"

    def __call__(self, mels: Tensor) -> Tensor:
        bands = torch.linalg.pinv(torch.from_numpy(mel_basis(self.recipe)).to(mels.device))
        magnitudes = (mels.float().exp() @ bands).clamp(min=0)
        edge = (self.recipe.n_fft - self.recipe.hop) // 2
        whole = self.invert(magnitudes)
        return whole[:, edge : edge + mels.shape[1] * self.recipe.hop]

    def invert(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (sample, frame, frequency) -> the padded waveform (sample, (frame - 1) * hop + n_fft)."""
        guess = magnitudes.to(torch.complex64)
        before = torch.zeros_like(guess)
        for _ in range(self.iterations):
            rebuilt = self._stft(self._istft(guess))
            ahead = rebuilt - self.momentum / (1 + self.momentum) * before
            guess = magnitudes * ahead / (ahead.abs() + torch.finfo(torch.float32).tiny)
            before = rebuilt
        return self._istft(guess)

    def _stft(self, waves: Tensor) -> Tensor:
        frames = waves.unfold(-1, self.recipe.n_fft, self.recipe.hop) * self._window(waves.device)
        spectra: Tensor = torch.fft.rfft(frames)
        return spectra

    def _istft(self, spectra: Tensor) -> Tensor:
        """The least-squares waveform behind frames of spectra."""
        window = self._window(spectra.device)
        frames = torch.fft.irfft(spectra, n=self.recipe.n_fft) * window
        weights = (window**2).expand(1, spectra.shape[1], -1)
        envelope = self._added(weights)
        return self._added(frames) / torch.where(envelope > torch.finfo(torch.float32).tiny, envelope, 1)

    def _added(self, frames: Tensor) -> Tensor:
        """Overlapping frames (sample, frame, n_fft) summed at their places, (sample, time)."""
        length = (frames.shape[1] - 1) * self.recipe.hop + self.recipe.n_fft
        return torch.nn.functional.fold(
            frames.transpose(1, 2),
            output_size=(1, length),
            kernel_size=(1, self.recipe.n_fft),
            stride=(1, self.recipe.hop),
        )[:, 0, 0]

    def _window(self, device: torch.device) -> Tensor:
        spare = self.recipe.n_fft - self.recipe.win
        window = torch.hann_window(self.recipe.win, device=device)
        return torch.nn.functional.pad(window, (spare // 2, spare - spare // 2))


Vocoder = Hifigan | GriffinLim


def limited(waves: Tensor) -> Tensor:
    """Waveforms (sample, time) scaled down, each by itself, where their peak passes .99: scaled, never clipped."""
    peaks = waves.abs().amax(1, keepdim=True)
    return waves * torch.where(peaks > PEAK, PEAK / peaks, 1)


def silent(waves: Tensor) -> list[bool]:
    """(sample,) True where no sample of a waveform passes -80 dB of full scale."""
    return [bool(peak <= SILENCE) for peak in waves.abs().amax(1)]
