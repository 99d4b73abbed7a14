"""Log-mel spectrograms by AudioLDM's recipe: what its autoencoder, its vocoder and our judge of sounds all see.

Time comes first, 100 frames a second at the defaults:

    mel = log_mel(wave)                             # (frame, mel) float32
    mels = log_mel_tensor(waves, MelRecipe())       # (n, frame, mel), differentiable
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from brain.errors import InputError, expected
from brain.types import Float

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class MelRecipe:
    """Magnitudes of a Hann-windowed transform on Slaney's mel scale, natural logarithm, nothing after it.

    rate   Hz                         mels       number of bands
    n_fft  samples of the transform   low, high  Hz, ends of the mel scale
    hop    samples a frame            floor      smallest magnitude before the logarithm
    win    samples of the window

    The defaults are those of AudioLDM and AudioLDM 2 at 16 kHz (Liu et al. 2023, HiFi-GAN's front end).
    """

    rate: int = 16000
    n_fft: int = 1024
    hop: int = 160
    win: int = 1024
    mels: int = 64
    low: float = 0.0
    high: float = 8000.0
    floor: float = 1e-5

    def frames(self, samples: int) -> int:
        """How many frames a sound of so many samples has."""
        return samples // self.hop

    def samples(self, frames: int) -> int:
        """How many samples so many frames stand for."""
        return frames * self.hop

    def facts(self) -> dict[str, Any]:
        """The recipe as JSON says it."""
        return asdict(self)


DEFAULT = MelRecipe()


def log_mel(wave: Float, recipe: MelRecipe = DEFAULT) -> Float:
    """(sample,) at `recipe.rate` -> (sample // hop, mels) float32, ln of magnitudes; see `log_mel_tensor`."""
    import torch

    if np.ndim(wave) != 1:
        raise InputError(
            expected("log-mel", "a mono sound (sample,)", f"shape {np.shape(wave)}", "average its channels")
        )
    waves = torch.from_numpy(np.array(wave, np.float32)[None])
    return np.asarray(log_mel_tensor(waves, recipe)[0].numpy(), np.float32)


def log_mel_tensor(waves: torch.Tensor, recipe: MelRecipe = DEFAULT) -> torch.Tensor:
    """(n, sample) float -> (n, sample // hop, mels), ln of mel magnitudes, gradients kept.

    The ends are reflected by (n_fft - hop) / 2 samples, so that frames are exactly sample // hop; a sound that is too
    short to be reflected is an `InputError`.
    """
    import torch

    edge = (recipe.n_fft - recipe.hop) // 2
    if waves.ndim != 2 or waves.shape[1] <= edge:
        want = f"sounds (n, sample) of more than {edge} samples"
        raise InputError(expected("log-mel", want, f"shape {tuple(waves.shape)}", "give longer sounds"))
    padded = torch.nn.functional.pad(waves[:, None], (edge, edge), mode="reflect")[:, 0]
    window = torch.hann_window(recipe.win, dtype=waves.dtype, device=waves.device)
    magnitude = torch.stft(
        padded, recipe.n_fft, recipe.hop, recipe.win, window=window, center=False, return_complex=True
    ).abs()
    basis = torch.from_numpy(mel_basis(recipe)).to(waves)
    return (magnitude.transpose(1, 2) @ basis).clamp(min=recipe.floor).log()


@lru_cache(maxsize=8)
def mel_basis(recipe: MelRecipe = DEFAULT) -> Float:
    """(bin, mel) float32, n_fft // 2 + 1 bins: Slaney's triangles of equal area, as librosa draws them."""
    from transformers.audio_utils import mel_filter_bank

    return np.asarray(
        mel_filter_bank(
            num_frequency_bins=recipe.n_fft // 2 + 1,
            num_mel_filters=recipe.mels,
            min_frequency=recipe.low,
            max_frequency=recipe.high,
            sampling_rate=recipe.rate,
            norm="slaney",
            mel_scale="slaney",
        ),
        np.float32,
    )


def edges(recipe: MelRecipe = DEFAULT) -> Float:
    """(mel + 2,) float32, Hz: band b rises from edge b to its peak at edge b + 1 and falls to edge b + 2."""
    from transformers.audio_utils import hertz_to_mel, mel_to_hertz

    low, high = (hertz_to_mel(end, mel_scale="slaney") for end in (recipe.low, recipe.high))
    return np.asarray(mel_to_hertz(np.linspace(low, high, recipe.mels + 2), mel_scale="slaney"), np.float32)
