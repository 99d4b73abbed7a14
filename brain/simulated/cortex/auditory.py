"""The auditory network of the simulated auditory cortex: a cochlea, and a small net that knows what a sound is.

It is the simulator's own: other seeds, another architecture, another front end and another training set than every
decoder, tower and judge, so that nothing a decoder uses can compute a response. Its read-outs drive the association
regions of `auditory_cortex.py`, whose early regions listen to the cochlea alone.

    net = load_auditory()
    feature = net(waves)                     # (window, 40960) float32 in [-1, 1], 16 kHz -> (window, 192)
    net.readout(feature)["category"]         # logits (window, value) of every group of `sounds.READOUTS`

Trained by the stage "auditory" of `pipelines.miniature.recipe_sound` (sum of the cross-entropies over the groups of
READOUTS; windows made louder or softer, moved in time and mixed with noise); the weights lie beside this file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from brain.files.tensors import finite_header, read_torch
from brain.files.waveforms import RATE
from brain.simulated.sounds.sound import READOUTS

SAMPLES = 40_960  # a window of 2.56 s
FRAME, WINDOW, FFT = 256, 640, 1024  # of the cochlea: 40 ms every 16 ms
FRAMES = SAMPLES // FRAME
CHANNELS, LOW_HZ, HIGH_HZ = 48, 60.0, 7600.0
WIDTHS = (16, 32, 64, 128)
FEATURE = 192
WEIGHTS = Path(__file__).parent / "auditory.safetensors"


def _erb(hertz: np.ndarray) -> np.ndarray:
    """Number of equivalent rectangular bandwidths below a frequency (Glasberg & Moore, Hear Res, 1990, equation 4)."""
    return np.asarray(21.4 * np.log10(1 + 0.00437 * hertz))


def centres() -> np.ndarray:
    """(channel,) centre frequencies in hertz, evenly spaced on the ERB scale."""
    steps = np.linspace(_erb(np.array(LOW_HZ)), _erb(np.array(HIGH_HZ)), CHANNELS)
    return np.asarray((10 ** (steps / 21.4) - 1) / 0.00437)


class Cochlea(nn.Module):
    """Waves (window, sample) in [-1, 1] -> cochleagram (window, frame, channel): band power every 16 ms, power 0.3.

    Bands have the power response of a fourth-order gammatone, their width that of the ear's filters.
    """

    bands: torch.Tensor
    bell: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        hertz, middle = np.fft.rfftfreq(FFT, 1 / RATE)[:, None], centres()
        width = 1.019 * 24.7 * (0.00437 * middle + 1)
        power = (1 + ((hertz - middle) / width) ** 2) ** -4
        bands = power / power.sum(axis=0)
        self.register_buffer("bands", torch.from_numpy(bands.astype(np.float32)), persistent=False)
        self.register_buffer("bell", torch.hann_window(WINDOW), persistent=False)

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """The cochleagram (window, frame, channel) of waves (window, sample)."""
        spectrum = torch.stft(waves, FFT, FRAME, WINDOW, self.bell, pad_mode="constant", return_complex=True)
        power = torch.view_as_real(spectrum).square().sum(-1).transpose(1, 2)
        bands = power[:, : waves.shape[1] // FRAME] @ self.bands
        return bands.add(1e-5).pow(0.3)


class _Block(nn.Module):
    """Halve time and frequency, then look again, as a residual."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(width_in, width_out, 4, stride=2, padding=1)
        self.norm_down = nn.GroupNorm(8, width_out)
        self.look = nn.Conv2d(width_out, width_out, 3, padding=1)
        self.norm_look = nn.GroupNorm(8, width_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.gelu(self.norm_down(self.down(x)))
        out: torch.Tensor = x + F.gelu(self.norm_look(self.look(x)))
        return out


class AuditoryNet(nn.Module):
    """Waves (window, 40960) in [-1, 1] -> feature (window, 192); `readout` gives logits per group of `READOUTS`.

    What a moment sounds like is pooled over the window by its mean and its maximum, so a shift in time matters little.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cochlea = Cochlea()
        self.blocks = nn.Sequential(*(_Block(a, b) for a, b in zip((1, *WIDTHS[:-1]), WIDTHS, strict=True)))
        self.gather = nn.Linear(2 * WIDTHS[-1] * (CHANNELS // 16), FEATURE)
        self.heads = nn.ModuleDict({group: nn.Linear(FEATURE, len(values)) for group, values in READOUTS.items()})

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """The feature (window, 192) of waves (window, 40960)."""
        heard = self.cochlea(waves)
        heard = (heard - heard.mean((1, 2), keepdim=True)) / heard.std((1, 2), keepdim=True).add(0.05)
        moments = self.blocks(heard[:, None]).flatten(3).transpose(2, 3).flatten(1, 2)  # (window, width x band, time)
        feature: torch.Tensor = F.gelu(self.gather(torch.cat([moments.mean(2), moments.amax(2)], 1)))
        return feature

    def readout(self, feature: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits (window, value) of every group."""
        return {group: head(feature) for group, head in self.heads.items()}


def load_auditory() -> AuditoryNet:
    """The trained net, in evaluation mode, without gradients to its weights."""
    then = "install the package again, or run pipelines.miniature.recipe_sound"
    finite_header(WEIGHTS, what="the weights of the simulated brain", then=then)
    net = AuditoryNet()
    net.load_state_dict(read_torch(WEIGHTS))
    return net.eval().requires_grad_(False)
