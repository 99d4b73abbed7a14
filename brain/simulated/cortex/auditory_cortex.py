"""An auditory cortex with a known answer: any sound in, the noiseless response of every voxel out, differentiable.

    cortex = build_auditory_cortex(seed=0, subject=1)
    cortex.respond(waves)        # (window, 40960) in [-1, 1], 16 kHz -> (window, voxel) percent signal change

Early regions (A1, the belts, RI) listen to a cochlea: each voxel has a best frequency, laid out in gradients that turn
round from A1 to the belts, a tuning to how fast and how broadly the spectrum is modulated, and a preference for a part
of the window, with a compressive exponent. Association regions (A4, A5, STS, STGa, TA2) read the pitch of the sound
and the simulator's own network (`auditory.py`): each prefers a category, never saturating, and mixes in kinds, pitch,
pace, brightness and room. Nothing here is a feature of any decoder, tower or judge.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from brain.errors import InputError, expected
from brain.files.waveforms import RATE
from brain.machine.memory import fresh
from brain.simulated.cortex.anatomy import Anatomy, Area, Box, grow
from brain.simulated.cortex.auditory import (
    CHANNELS,
    FEATURE,
    FRAME,
    FRAMES,
    SAMPLES,
    AuditoryNet,
    centres,
    load_auditory,
)
from brain.simulated.sounds.sound import CATEGORIES, READOUTS, draw_sound, render_sound, windows
from brain.types import Bool

REFERENCE_SEED = 2**33 + 1  # natural sounds that set every voxel's zero and scale; nobody's stimuli
REFERENCE_SOUNDS = 174
SUPERIOR_TEMPORAL = Box(near=(-76.0, -52.0, -30.0), far=(76.0, 16.0, 26.0), millimetres=2.0)
# regions of HCP-MMP1 (Glasser et al., Nature, 2016), round numbers near their centres; as for the pictures' cortex
# they make maps look right and claim no more
REGIONS: tuple[Area, ...] = (
    Area(name="A1", centre=(45, -23, 9), radius=7.5, stream="early", atlas="hcp-mmp1"),
    Area(name="LBelt", centre=(50, -15, 5), radius=6, stream="early", atlas="hcp-mmp1"),
    Area(name="MBelt", centre=(43, -14, 1), radius=6.5, stream="early", atlas="hcp-mmp1"),
    Area(name="PBelt", centre=(57, -23, 10), radius=6.5, stream="early", atlas="hcp-mmp1"),
    Area(name="RI", centre=(39, -32, 17), radius=6, stream="early", atlas="hcp-mmp1"),
    Area(name="A4", centre=(63, -20, 4), radius=7.5, stream="association", atlas="hcp-mmp1"),
    Area(name="A5", centre=(65, -12, -4), radius=7.5, stream="association", atlas="hcp-mmp1"),
    Area(name="STSdp", centre=(57, -35, 4), radius=7, stream="association", atlas="hcp-mmp1"),
    Area(name="STSda", centre=(56, -8, -13), radius=6.5, stream="association", atlas="hcp-mmp1"),
    Area(name="STSvp", centre=(58, -36, -7), radius=7, stream="association", atlas="hcp-mmp1"),
    Area(name="STSva", centre=(54, -14, -22), radius=6.5, stream="association", atlas="hcp-mmp1"),
    Area(name="STGa", centre=(54, 4, -10), radius=6.5, stream="association", atlas="hcp-mmp1"),
    Area(name="TA2", centre=(49, -3, -4), radius=7, stream="association", atlas="hcp-mmp1"),
)
EARLY = frozenset(area.name for area in REGIONS if area.stream == "early")
# speech along the sulcus (Belin et al. 2000), music on the planum polare (Norman-Haignere et al. 2015), animals in the
# middle of the gyrus and tools behind it (Lewis et al. 2005)
PREFERS: dict[str, str] = {
    "A4": "animal",
    "A5": "speech",
    "STSdp": "speech",
    "STSda": "speech",
    "STSva": "speech",
    "STSvp": "tool",
    "STGa": "music",
    "TA2": "music",
}
SECOND: dict[str, tuple[str, ...]] = {"A4": ("nature", "machine"), "A5": ("animal",), "STSvp": ("machine",)}
# spreads of the log odds over natural sounds that count as one unit of evidence; exponent on it
EVIDENCE, COMPRESSION = 1.2, 0.7
TEMPORAL, SPECTRAL = (2.0, 4.0, 8.0, 16.0), (0.06, 0.14)  # modulations: hertz, and cycles a cochlear channel
MOMENTS, BANDS = 8, 24  # early maps are pooled at 8 moments by 24 bands
MAPS = 1 + len(TEMPORAL) * (1 + 2 * len(SPECTRAL))
PITCH_HZ = np.geomspace(75, 1050, 13)  # edges of the pitch bands
SHARPNESS = {"A1": 1.3, "LBelt": 2.2, "MBelt": 2.2, "PBelt": 3.5, "RI": 3.0}  # half width of tuning, in bands


@dataclass(frozen=True, kw_only=True)
class AuditoryCortex:
    """One simulated subject's auditory cortex. `respond` is the ground truth that noise is later added to.

    anatomy     where the voxels are; areas number REGIONS
    early       (early voxel,) int64, the columns of the early regions
    best_hz, best_rate   (early voxel,) best frequency and best rate of modulation, hertz
    levels, certainty    the mean of each early map, the spread of the net's log odds, over natural sounds
    late_share  (early voxel,) how much more the second half of a window counts than the first, in -1..1
    """

    anatomy: Anatomy
    net: AuditoryNet
    early: torch.Tensor
    pooling: torch.Tensor
    tuning: torch.Tensor
    higher: torch.Tensor
    mixing: torch.Tensor
    levels: torch.Tensor
    certainty: torch.Tensor
    zero: torch.Tensor
    scale: torch.Tensor
    best_hz: torch.Tensor
    best_rate: torch.Tensor
    late_share: torch.Tensor

    def __len__(self) -> int:
        return len(self.anatomy.ijk)

    def raw(self, waves: torch.Tensor) -> torch.Tensor:
        """Responses before every voxel's zero and scale are set, (window, voxel)."""
        waves = fresh(waves)
        maps = early_maps(self.net.cochlea(waves)) / self.levels[:, None, None]
        pooled = torch.einsum("bmp,vp->bvm", maps.flatten(2), self.pooling)
        early = (pooled * self.tuning).sum(-1).clamp(min=0).add(1e-4).pow(0.6)
        heard = torch.cat([_named(self.net, waves, self.certainty), pitch_strength(waves)], 1)
        higher = F.softplus(2 * (heard @ self.mixing.T)) / 2
        out = waves.new_zeros(len(waves), len(self))
        return out.index_copy(1, self.early, early).index_copy(1, self.higher, higher)

    def respond(self, waves: torch.Tensor) -> torch.Tensor:
        """Waves (window, 40960) in [-1, 1] at 16 kHz -> noiseless responses (window, voxel).

        Unit: percent signal change around the mean over natural sounds; their standard deviation is 1 for every voxel.
        Windows of another length are an InputError.
        """
        if waves.ndim != 2 or waves.shape[1] != SAMPLES:
            raise InputError(expected("waves to hear", f"(window, {SAMPLES})", f"{tuple(waves.shape)}", "cut windows"))
        return (self.raw(waves) - self.zero) / self.scale

    def regions(self) -> dict[str, Bool]:
        """Region -> (voxel,) bool, both hemispheres together."""
        return {area.name: np.asarray(self.anatomy.area == number) for number, area in enumerate(REGIONS)}


@lru_cache(maxsize=1)
def _modulations() -> torch.Tensor:
    """Filters (map, time frequency, channel frequency) on the transform of a padded cochleagram, one quadrant each.

    The magnitude of what such a filter lets through is the energy of ripples that drift up or down (Chi et al. 2005).
    """
    hertz = torch.fft.fftfreq(FRAMES + 32, FRAME / RATE)[:, None]
    cycles = torch.fft.fftfreq(CHANNELS + 16)[None, :]
    filters = []
    for rate in TEMPORAL:
        fast = torch.exp(-((torch.log2(hertz.clamp(min=1e-3) / rate) / 0.6) ** 2)) * (hertz > 0)
        filters.append(fast * torch.exp(-((cycles / 0.03) ** 2)))
        for scale in SPECTRAL:
            for side in (1, -1):
                ripple = torch.exp(-((torch.log2((side * cycles).clamp(min=1e-4) / scale) / 0.6) ** 2))
                filters.append(fast * ripple * (side * cycles > 0))
    return torch.stack(filters)


def early_maps(heard: torch.Tensor) -> torch.Tensor:
    """Cochleagrams (window, frame, channel) -> (window, 21, 8, 24): loudness, then modulation energy, by frame."""
    centred = heard - heard.mean((1, 2), keepdim=True)
    padded = F.pad(centred, (8, 8, 16, 16))
    spectra = torch.fft.fft2(padded)[:, None] * _modulations().to(heard)
    ripples = torch.view_as_real(torch.fft.ifft2(spectra)).square().sum(-1).add(1e-8).sqrt()[:, :, 16:-16, 8:-8]
    return F.adaptive_avg_pool2d(torch.cat([heard[:, None], ripples], 1), (MOMENTS, BANDS))


def pitch_strength(waves: torch.Tensor) -> torch.Tensor:
    """(window, 12): how periodic a window is at the periods of each pitch band, 0 for noise.

    A generalised autocorrelation (Tolonen & Karjalainen, IEEE Trans Speech Audio Process, 2000), mean of 64-ms frames.
    """
    frames = waves[:, : SAMPLES // 1024 * 1024].reshape(len(waves), -1, 1024) * torch.hann_window(1024).to(waves)
    power = torch.view_as_real(torch.fft.rfft(frames, 2048)).square().sum(-1)
    loud = power.sum(-1).add(1e-6).pow(0.3)
    periodic = torch.fft.irfft(power.add(1e-6).pow(0.33))
    periodic = periodic / periodic[..., :1]
    lags = np.round(RATE / PITCH_HZ).astype(int)
    bands = [periodic[..., high : low + 1].amax(-1) for low, high in zip(lags[:-1], lags[1:], strict=True)]
    strength = F.softplus(20 * (torch.stack(bands, -1) - 0.15)) / 20
    return (strength * loud[..., None]).sum(1) / loud.sum(1)[:, None] * 2


def log_odds(category: torch.Tensor) -> torch.Tensor:
    """Category logits (window, category) -> how much each category is believed over all others together."""
    others = torch.eye(category.shape[1], dtype=torch.bool).to(category.device)
    return category - category[:, None].masked_fill(others, -torch.inf).logsumexp(2)


def _named(net: AuditoryNet, waves: torch.Tensor, certainty: torch.Tensor) -> torch.Tensor:
    """(window, feature): graded evidence, softened read-outs of every other group, the net's feature at their scale."""
    feature = net(waves)
    logits = net.readout(feature)
    # near 0 without the category, about 1 with it, and open above: no response saturates
    evidence = F.softplus(log_odds(logits["category"]) / (EVIDENCE * certainty)).add(1e-4).pow(COMPRESSION) / 2
    softened = [F.softmax(values / 2, 1) for group, values in logits.items() if group != "category"]
    return torch.cat([evidence, *softened, feature / 8], 1)


def _best(anatomy: Anatomy, early: NDArray[np.int64], rng: np.random.Generator) -> tuple[NDArray[np.float64], ...]:
    """Best frequency (as a place 0..1 on the cochlea), best rate in hertz and late share of every early voxel.

    A1 is high behind and low in front, the belts the other way round (mirror reversal); rates rise across the sheet.
    """
    mirrored = np.array([REGIONS[number].name in ("LBelt", "MBelt") for number in anatomy.area[early]])
    along, across = anatomy.along[early], anatomy.across[early]
    place = np.where(mirrored, along, 1 - along) + rng.normal(0, 0.05, len(early))
    rate = 1.6 * 2 ** (3.4 * across + rng.normal(0, 0.35, len(early)))
    return np.clip(place, 0, 1), np.clip(rate, 1.4, 18.0), rng.uniform(-0.9, 0.9, len(early))


def _pooling(
    place: NDArray[np.float64], width: NDArray[np.float64], late: NDArray[np.float64], rng: np.random.Generator
) -> torch.Tensor:
    """Weights over frames x bands, (voxel, 192), each summing to one: a band at the best frequency, a tilt in time.

    Half of the voxels lean to one end of the window, the other half to a moment of their own.
    """
    band = np.exp(-((np.arange(BANDS) - place[:, None] * (BANDS - 1)) ** 2) / (2 * width[:, None] ** 2))
    clock = (np.arange(MOMENTS) + 0.5) / MOMENTS * 2 - 1
    bump = np.exp(-((clock - late[:, None]) ** 2) / (2 * rng.uniform(0.35, 0.7, (len(late), 1)) ** 2))
    time = np.where(rng.random((len(late), 1)) < 0.5, 1 + late[:, None] * clock, bump)
    weights = time[:, :, None] * band[:, None, :]
    return torch.from_numpy((weights / weights.sum((1, 2), keepdims=True)).reshape(len(late), -1).astype(np.float32))


def _tuning(primary: NDArray[np.bool_], rate: NDArray[np.float64], rng: np.random.Generator) -> torch.Tensor:
    """Weights of loudness and of each modulation map, (voxel, 21): a best rate, a best scale, a direction."""
    count = len(rate)
    fast = np.exp(-((np.log2(np.array(TEMPORAL)) - np.log2(rate)[:, None]) ** 2) / 0.5)
    broad = rng.gamma(0.7, 1.0, (count, 1 + len(SPECTRAL)))
    rising = rng.uniform(0.3, 1.7, (count, len(SPECTRAL)))
    ripples = np.stack([rising, 2 - rising], -1) * broad[:, 1:, None]
    shape = np.concatenate([broad[:, :1], ripples.reshape(count, -1)], 1)
    energy = (fast[:, :, None] * shape[:, None, :]).reshape(count, -1)
    energy *= rng.uniform(0.6, 1.4, (count, 1)) / energy.sum(1, keepdims=True)
    loudness = rng.uniform(0.5, 1.6, count) * np.where(primary, 1.0, 0.4)
    return torch.from_numpy(np.concatenate([loudness[:, None], energy], 1).astype(np.float32))


def _mixing(anatomy: Anatomy, higher: NDArray[np.int64], rng: np.random.Generator) -> torch.Tensor:
    """Read-out weights of association voxels, (voxel, feature): the region's category, then everything else."""
    categories = tuple(CATEGORIES)
    spread = {"kind": 0.35, "pitch": 0.25, "pace": 0.25, "brightness": 0.25, "space": 0.2}
    named = [rng.normal(0, size, (len(higher), len(READOUTS[group]))) for group, size in spread.items()]
    deep = rng.normal(0, 0.2, (len(higher), FEATURE))
    category = rng.normal(0, 0.25, (len(higher), len(categories)))
    pitch = rng.gamma(0.4, 0.5, (len(higher), len(PITCH_HZ) - 1)) * 0.5
    for row, number in enumerate(anatomy.area[higher]):
        name = REGIONS[number].name
        category[row, categories.index(PREFERS[name])] += rng.normal(2.0, 0.4)
        for second in SECOND.get(name, ()):
            category[row, categories.index(second)] += max(0.0, rng.normal(0.7, 0.4))
        if name in ("A4", "TA2", "STGa"):
            pitch[row] *= 3
    return torch.from_numpy(np.concatenate([category, *named, deep, pitch], 1).astype(np.float32))


@lru_cache(maxsize=1)
def reference_waves() -> torch.Tensor:
    """Middle windows (sound, 40960) of natural sounds that are nobody's stimuli."""
    sounds = [draw_sound(seed=REFERENCE_SEED, index=index) for index in range(REFERENCE_SOUNDS)]
    return torch.from_numpy(np.stack([windows(render_sound(sound))[1] for sound in sounds]))


@lru_cache(maxsize=8)
def build_auditory_cortex(seed: int, subject: int) -> AuditoryCortex:
    """The auditory cortex of subject 1, 2, ... of this seed; the same arguments give the same cortex, voxel for voxel.

    Without the weights of the simulator's own network this is an InputError.
    """
    return calibrated(wired(load_auditory(), seed=seed, subject=subject))


@torch.no_grad()
def calibrated(cortex: AuditoryCortex) -> AuditoryCortex:
    """The cortex with map levels, the net's certainty, zeros and scales set by the reference sounds."""
    batches = torch.split(reference_waves(), 29)
    levels = torch.stack([early_maps(cortex.net.cochlea(batch)).mean((0, 2, 3)) for batch in batches]).mean(0)
    odds = torch.cat([log_odds(cortex.net.readout(cortex.net(batch))["category"]) for batch in batches])
    levelled = replace(cortex, levels=levels, certainty=odds.std())
    raw = torch.cat([levelled.raw(batch) for batch in batches])
    return replace(levelled, zero=raw.mean(0), scale=raw.std(0).clamp(min=1e-6))


def wired(net: AuditoryNet, *, seed: int, subject: int) -> AuditoryCortex:
    """A cortex around this network, its voxels not yet scaled to natural sounds."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, subject, 11]))
    anatomy = grow(rng, box=SUPERIOR_TEMPORAL, areas=REGIONS)
    names = np.array([REGIONS[number].name for number in anatomy.area])
    is_early = np.isin(names, sorted(EARLY))
    early, higher = np.flatnonzero(is_early), np.flatnonzero(~is_early)
    place, rate, late = _best(anatomy, early, rng)
    width = np.array([SHARPNESS[name] for name in names[early]]) * rng.uniform(0.8, 1.25, len(early))
    best_hz = np.interp(place * (CHANNELS - 1), np.arange(CHANNELS), centres())
    return AuditoryCortex(
        anatomy=anatomy,
        net=net,
        early=torch.from_numpy(early),
        pooling=_pooling(place, width, late, rng),
        tuning=_tuning(names[early] == "A1", rate, rng),
        higher=torch.from_numpy(higher),
        mixing=_mixing(anatomy, higher, rng),
        levels=torch.ones(MAPS),
        certainty=torch.ones(()),
        zero=torch.zeros(len(anatomy.ijk)),
        scale=torch.ones(len(anatomy.ijk)),
        best_hz=torch.from_numpy(best_hz.astype(np.float32)),
        best_rate=torch.from_numpy(rate.astype(np.float32)),
        late_share=torch.from_numpy(late.astype(np.float32)),
    )
