"""A cortex with a known answer: any picture in, the noiseless response of every voxel out, differentiable.

    cortex = build_cortex(seed=0, subject=1)
    cortex.respond(pictures)        # (picture, 3, H, W) in [0, 1] -> (picture, voxel) percent signal change

Early areas (V1 to hV4) pool oriented energy, luminance and colour contrast of the actual picture through
population receptive fields, laid out retinotopically, with a compressive exponent (Kay et al. 2013).
Higher areas read the simulator's own ventral network (`ventral.py`). A category region is driven by how clearly the
picture shows its category, never saturating, and multiplied by how much of the region's central receptive field the
thing fills (`GRADED`); its voxels mix in kinds, colour, size, position and setting. Nothing here is a feature of any
decoder, tower or judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch.nn import functional as F

from brain.machine.memory import fresh
from brain.simulated.cortex.anatomy import AREAS, Anatomy, grow
from brain.simulated.cortex.ventral import PIXELS, READOUTS, VentralNet, load_ventral
from brain.simulated.scenes.scene import draw_scene, render
from brain.simulated.scenes.things import CATEGORIES

REFERENCE_SEED = 2**33  # natural scenes that set every voxel's zero and scale; nobody's stimuli
REFERENCE_SCENES = 400
MAP = 32  # early maps are pooled at 32 x 32
ORIENTATIONS, WAVELENGTHS = 4, (4.0, 8.0, 16.0)
PREFERS: dict[str, str] = {
    "OFA": "faces",
    "FFA-1": "faces",
    "FFA-2": "faces",
    "EBA": "bodies",
    "FBA-1": "bodies",
    "FBA-2": "bodies",
    "OPA": "places",
    "PPA": "places",
    "RSC": "places",
    "OWFA": "words",
    "VWFA-1": "words",
    "VWFA-2": "words",
    "food": "food",
}
EVIDENCE, EXTENT, PLACE = 6.0, 12.0, 8.0  # logits of the ventral network that count as one unit of each
COMPRESSION = 0.7  # exponent on category evidence (category areas sum compressively, Kay et al. 2015)
# category -> what the drive is multiplied by: a base, and what a thing gains by its extent and by standing centrally,
# both in [0, 1]. Faces and words lean on the fovea, buildings on the periphery (Levy et al. 2001, Hasson et al. 2002)
GRADED: dict[str, tuple[float, float, float]] = {
    "faces": (0.7, 0.4, 0.3),
    "words": (0.7, 0.4, 0.3),
    "bodies": (0.7, 0.4, 0.2),
    "food": (0.7, 0.4, 0.2),
    "places": (0.7, 0.5, 0.0),
}
# category -> read-out group, its values, and how much its areas like them besides: places areas built surroundings
# (Epstein and Kanwisher 1998), the food area warm colours (Pennock et al. 2023)
BESIDES: dict[str, tuple[str, tuple[str, ...], float]] = {
    "places": ("setting", ("street", "room"), 0.5),
    "food": ("colour", ("red", "orange", "yellow", "brown"), 0.3),
}
# pRF size at the fovea and its growth with eccentricity, in half picture widths (after the slopes of Kay et al. 2013)
PRF = {"V1": (0.07, 0.10), "V2": (0.09, 0.14), "V3": (0.12, 0.2), "hV": (0.16, 0.3)}


@dataclass(frozen=True, kw_only=True)
class Cortex:
    """One simulated subject's cortex. `respond` is the ground truth that noise is later added to.

    anatomy     where the voxels are
    early       (early voxel,) int64, the columns with a population receptive field
    angle, ecc  (early voxel,) polar angle in degrees (0 right, counter-clockwise) and eccentricity in half pictures
    """

    anatomy: Anatomy
    net: VentralNet
    early: torch.Tensor
    pooling: torch.Tensor
    tuning: torch.Tensor
    higher: torch.Tensor
    mixing: torch.Tensor
    zero: torch.Tensor
    scale: torch.Tensor
    angle: torch.Tensor
    ecc: torch.Tensor

    def __len__(self) -> int:
        return len(self.anatomy.ijk)

    def raw(self, pictures: torch.Tensor) -> torch.Tensor:
        """Responses before every voxel's zero and scale are set, (picture, voxel)."""
        small = F.interpolate(fresh(pictures), (PIXELS, PIXELS), mode="area")
        maps = _early_maps(small)
        pooled = torch.einsum("bcp,vp->bvc", maps.flatten(2), self.pooling)
        early = (pooled * self.tuning).sum(-1).clamp(min=0).add(1e-4).pow(0.6)
        seen = _ventral_features(self.net, small)
        higher = F.softplus(2 * (seen @ self.mixing.T)) / 2
        out = pictures.new_zeros(len(pictures), len(self))
        return out.index_copy(1, self.early, early).index_copy(1, self.higher, higher)

    def respond(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (picture, 3, H, W) in [0, 1], any square size from 64 up -> noiseless responses (picture, voxel).

        Unit: percent signal change around the mean over natural scenes; their standard deviation is 1 for every voxel.
        """
        return (self.raw(pictures) - self.zero) / self.scale


def to_tensor(image: object) -> torch.Tensor:
    """A PIL RGB image as (3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.array(image, np.float32)).permute(2, 0, 1) / 255


def _gabors() -> torch.Tensor:
    """Quadrature pairs, (orientation x wavelength x 2, 1, 21, 21), zero mean, unit norm."""
    reach = 10
    y, x = torch.meshgrid(*(torch.arange(-reach, reach + 1.0),) * 2, indexing="ij")
    kernels = []
    for wavelength in WAVELENGTHS:
        for step in range(ORIENTATIONS):
            turn = torch.tensor(step * torch.pi / ORIENTATIONS)
            wave = (x * turn.cos() + y * turn.sin()) * 2 * torch.pi / wavelength
            bell = torch.exp(-(x**2 + y**2) / (2 * (0.45 * wavelength) ** 2))
            for phase in (wave.cos(), wave.sin()):
                kernel = bell * phase
                kernel = kernel - bell * kernel.sum() / bell.sum()
                kernels.append(kernel / kernel.norm())
    return torch.stack(kernels)[:, None]


def _early_maps(pictures: torch.Tensor) -> torch.Tensor:
    """(picture, 18, 32, 32): oriented energy at three scales, signed luminance, red-green, blue-yellow contrast."""
    red, green, blue = pictures.unbind(1)
    luminance = 0.3 * red + 0.6 * green + 0.1 * blue
    opponents = torch.stack([luminance - 0.5, red - green, blue - (red + green) / 2], 1)
    padded = F.pad(luminance[:, None], (10,) * 4, mode="replicate")
    waves = F.conv2d(padded, _gabors()).reshape(len(pictures), -1, 2, *pictures.shape[2:])
    energy = waves.square().sum(2).add(1e-6).sqrt()
    signed = torch.cat([opponents.clamp(min=0), (-opponents).clamp(min=0)], 1) * 2
    return F.adaptive_avg_pool2d(torch.cat([energy, signed], 1), MAP)


def _ventral_features(net: VentralNet, pictures: torch.Tensor) -> torch.Tensor:
    """(picture, feature): softened read-outs of every group, graded drives, the net's own feature at a shared scale."""
    feature = net(pictures)
    logits = net.readout(feature)
    named = [F.softmax(values / 2, 1) for values in logits.values()]
    return torch.cat([*named, _graded(logits), feature / 16], 1)


def _graded(logits: dict[str, torch.Tensor]) -> torch.Tensor:
    """(picture, 3 x category): evidence for each category, the same times extent, and times how central things stand.

    Evidence is the compressed soft plus of the category's log odds: near 0 without it, about 1 with it, and open above.
    """
    category = logits["category"]
    others = torch.eye(category.shape[1], dtype=torch.bool).to(category.device)
    rest = category[:, None].masked_fill(others, -torch.inf).logsumexp(2)
    evidence = F.softplus((category - rest) / EVIDENCE).add(1e-4).pow(COMPRESSION) / 2
    extent = torch.sigmoid((logits["size"][:, 1:] - logits["size"][:, :1]) / EXTENT)
    central = F.softmax(logits["position"] / PLACE, 1)[:, 1:2]
    return torch.cat([evidence, evidence * extent, evidence * central], 1)


def _fields(anatomy: Anatomy, early: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Polar angle (degrees), eccentricity and size of every early voxel's receptive field, from its place in its area.

    The right hemisphere sees the left of the picture; ventral halves see its upper part; the back is the fovea.
    """
    names = [AREAS[number].name for number in anatomy.area[early]]
    along, across, right = anatomy.along[early], anatomy.across[early], anatomy.right[early]
    ecc = 0.04 + 0.95 * along**1.3 + rng.normal(0, 0.03, len(early))
    swing = across * 90 + rng.normal(0, 5, len(early))  # 0 at the horizontal meridian of dorsal areas
    full = np.array([name == "hV4" for name in names])
    upper = np.array([name.endswith("v") for name in names])
    elevation = np.where(full, swing * 2 - 90, np.where(upper, swing, -swing))
    angle = np.where(right, 180 - elevation, elevation)
    size = np.array([PRF[name[:2]][0] for name in names]) + np.array([PRF[name[:2]][1] for name in names]) * ecc
    return angle % 360, np.clip(ecc, 0.02, 1.1), size * rng.uniform(0.8, 1.25, len(early))


def _pooling(angle: np.ndarray, ecc: np.ndarray, size: np.ndarray) -> torch.Tensor:
    """Gaussian receptive fields over the 32 x 32 map, (voxel, 1024), each summing to one."""
    line = (np.arange(MAP) + 0.5) / MAP * 2 - 1
    y, x = np.meshgrid(-line, line, indexing="ij")  # rows run downwards, visual field upwards
    turn = np.deg2rad(angle)
    squared = (x.ravel() - (ecc * np.cos(turn))[:, None]) ** 2 + (y.ravel() - (ecc * np.sin(turn))[:, None]) ** 2
    fields = np.exp(-squared / (2 * size[:, None] ** 2))
    return torch.from_numpy((fields / fields.sum(1, keepdims=True)).astype(np.float32))


def _tuning(count: int, colourful: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Channel weights of early voxels, (voxel, 18): an orientation, a scale, and a share for luminance and colour."""
    step = np.arange(ORIENTATIONS) * np.pi / ORIENTATIONS
    orientation = np.exp(1.2 * np.cos(2 * (step - rng.uniform(0, np.pi, (count, 1)))))
    scale = np.exp(-((np.arange(len(WAVELENGTHS)) - rng.uniform(-0.3, 2.3, (count, 1))) ** 2) / 0.8)
    energy = (scale[:, :, None] * orientation[:, None, :]).reshape(count, -1)
    energy = energy / energy.sum(1, keepdims=True) * rng.uniform(0.5, 1.5, (count, 1))
    signed = rng.gamma(0.5, 1.0, (count, 6)) * np.where(colourful, 0.5, 0.25)[:, None]
    return torch.from_numpy(np.concatenate([energy, signed], 1).astype(np.float32))


def _mixing(anatomy: Anatomy, higher: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Read-out weights of higher voxels, (voxel, feature): the region's category, then everything else, gradedly."""
    width = sum(len(values) for values in READOUTS.values())
    start = dict(zip(READOUTS, np.cumsum([0, *(len(values) for values in READOUTS.values())]), strict=False))
    spread = {
        "category": 0.25,
        "kind": 0.25,
        "colour": 0.25,
        "size": 0.2,
        "position": 0.2,
        "setting": 0.2,
        "light": 0.12,
        "companion": 0.12,
    }
    drives = 3 * len(CATEGORIES)
    weights = np.zeros((len(higher), width + drives + 256))
    for group, values in READOUTS.items():
        weights[:, start[group] : start[group] + len(values)] = rng.normal(0, spread[group], (len(higher), len(values)))
    weights[:, width + drives :] = rng.normal(0, 0.2, (len(higher), 256))
    categories = tuple(CATEGORIES)
    for row, voxel in enumerate(higher):
        name = AREAS[anatomy.area[voxel]].name
        left, right = start["position"], start["position"] + 2
        weights[row, left if anatomy.right[voxel] else right] += 0.25  # contralateral preference
        if name in PREFERS:
            wanted = categories.index(PREFERS[name])
            gain = rng.normal(2.0, 0.4)
            weights[row] *= 0.6
            graded = np.array(GRADED[PREFERS[name]]) * rng.uniform(0.7, 1.3, 3)
            weights[row, width + wanted : width + drives : len(CATEGORIES)] = gain * graded
            weights[row, start["companion"] + wanted] += 0.35 * gain
        if PREFERS.get(name) in BESIDES:
            group, values, mean = BESIDES[PREFERS[name]]
            liked = [start[group] + READOUTS[group].index(value) for value in values]
            weights[row, liked] += rng.normal(mean, 0.3, len(liked))
    return torch.from_numpy(weights.astype(np.float32))


@lru_cache(maxsize=8)
def build_cortex(seed: int, subject: int) -> Cortex:
    """The cortex of subject 1, 2, ... of this seed; the same arguments give the same cortex, voxel for voxel."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, subject, 7]))
    anatomy = grow(rng)
    is_early = np.array([AREAS[number].atlas == "prf-visualrois" for number in anatomy.area])
    early, higher = np.flatnonzero(is_early), np.flatnonzero(~is_early)
    angle, ecc, size = _fields(anatomy, early, rng)
    colourful = np.array([AREAS[number].name == "hV4" for number in anatomy.area[early]])
    blank = Cortex(
        anatomy=anatomy,
        net=load_ventral(),
        early=torch.from_numpy(early),
        pooling=_pooling(angle, ecc, size),
        tuning=_tuning(len(early), colourful, rng),
        higher=torch.from_numpy(higher),
        mixing=_mixing(anatomy, higher, rng),
        zero=torch.zeros(len(anatomy.ijk)),
        scale=torch.ones(len(anatomy.ijk)),
        angle=torch.from_numpy(angle),
        ecc=torch.from_numpy(ecc),
    )
    raw = torch.cat([_without_gradient(blank, batch) for batch in torch.split(_reference_scenes(), 100)])
    calibrated = {name: getattr(blank, name) for name in blank.__dataclass_fields__}
    return Cortex(**(calibrated | {"zero": raw.mean(0), "scale": raw.std(0).clamp(min=1e-6)}))


def _without_gradient(cortex: Cortex, pictures: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return cortex.raw(pictures)


@lru_cache(maxsize=1)
def _reference_scenes() -> torch.Tensor:
    scenes = (draw_scene(seed=REFERENCE_SEED, index=index) for index in range(REFERENCE_SCENES))
    return torch.stack([to_tensor(render(scene, PIXELS)) for scene in scenes])
