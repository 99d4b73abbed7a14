"""A brain of a few hundred voxels in NSD's layout, written in a second: linear in the pixels, with a known ncsnr.

It is what tests and benchmarks stand on; `simulate` writes the real thing. Every voxel is a weighted sum of its
picture's pixels with unit variance over pictures, plus noise of standard deviation 1 / ncsnr, plus a session's drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain.simulated.layouts.nsd import SubjectToWrite, write_nsd
from brain.simulated.layouts.nsd_schedule import Schedule, plan_schedule
from brain.types import Bool, Float, Int

SHAPE = (12, 14, 10)
PIXELS = 16


@dataclass(frozen=True, kw_only=True)
class TinyBrain:
    """What was written, and the truth behind it.

    root     the data;  schedule, mask (X, Y, Z) bool and affine (4, 4) as written
    images   nsdId (0-based) -> (16, 16, 3) uint8
    signal   nsdId -> (voxel,) float32 noiseless response, percent signal change
    ncsnr    (voxel,) float32, in the order of np.argwhere(mask)
    """

    root: Path
    schedule: Schedule
    mask: Bool
    affine: NDArray[np.float64]
    images: dict[int, NDArray[np.uint8]]
    signal: dict[int, Float]
    ncsnr: Float


def tiny_nsd(
    root: Path,
    *,
    sessions: int = 2,
    trials: int = 30,
    shared: int = 4,
    formats: Sequence[str] = ("hdf5",),
    seed: int = 0,
    betas: str = "betas_fithrf_GLMdenoise_RR",
) -> TinyBrain:
    """Write subj01 of a tiny brain under `root` and return it with its truth."""
    generator = np.random.default_rng(seed)
    schedule = plan_schedule(sessions=sessions, trials=trials, shared=shared, seed=seed)
    images = {int(nsd): _picture(generator) for nsd in np.unique(schedule.shown(1))}
    mask = _blob(SHAPE)
    affine = np.array([[1.8, 0, 0, -9.9], [0, 1.8, 0, -80], [0, 0, 1.8, -12], [0, 0, 0, 1]])
    voxels = int(mask.sum())
    signal = _signal(images, generator.standard_normal((PIXELS * PIXELS * 3, voxels)))
    ncsnr = generator.uniform(0.3, 3, voxels).astype(np.float32)
    shown = schedule.shown(1)

    def session_betas(session: int) -> Float:
        rows = shown[(session - 1) * trials : session * trials]
        noise = generator.standard_normal((len(rows), voxels)) / ncsnr
        drift = generator.standard_normal(voxels)
        return np.asarray(np.stack([signal[int(nsd)] for nsd in rows]) + noise + drift, np.float32)

    subject = SubjectToWrite(
        subject=1, mask=mask, affine=affine, betas=session_betas, regions=_regions(mask), ncsnr=ncsnr, ribbon=mask
    )
    captions = {nsd: [f"picture {nsd}"] for nsd in images}
    labels = {nsd: {"category": "even" if nsd % 2 == 0 else "odd"} for nsd in images}
    truth = {"kind": "tiny", "seed": seed}
    bricks = iter(images.items())
    write_nsd(
        root, schedule=schedule, subjects=[subject], brick=bricks, captions=captions, labels=labels, truth=truth,
        betas=betas, formats=formats,
    )  # fmt: skip
    return TinyBrain(
        root=root, schedule=schedule, mask=mask, affine=affine, images=images, signal=signal, ncsnr=ncsnr
    )


def _picture(generator: np.random.Generator) -> NDArray[np.uint8]:
    """Four blocks of colour: smooth enough to be decoded, different enough to be distinguished."""
    coarse = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return coarse.repeat(PIXELS // 4, axis=0).repeat(PIXELS // 4, axis=1)


def _signal(images: dict[int, NDArray[np.uint8]], weights: NDArray[np.float64]) -> dict[int, Float]:
    pixels = np.stack([image.ravel() for image in images.values()]) / 255 - 0.5
    raw = pixels @ weights
    scaled = ((raw - raw.mean(axis=0)) / raw.std(axis=0)).astype(np.float32)
    return dict(zip(images, scaled, strict=True))


def _blob(shape: tuple[int, int, int]) -> Bool:
    """An ellipsoid that no flip or transposition of axes maps onto itself."""
    grid = np.stack(np.meshgrid(*(np.arange(length) for length in shape), indexing="ij"), -1)
    centre, radius = np.array([5.2, 6.1, 4.3]), np.array([4.6, 5.4, 3.4])
    return np.asarray((((grid - centre) / radius) ** 2).sum(axis=-1) < 1)


def _regions(mask: Bool) -> dict[str, Int]:
    """Labels from back to front; FFA-2, the medial temporal labels and RSC stay empty, as in many a subject."""
    places = np.argwhere(mask) @ np.array([1, 100, 10])
    rank = np.argsort(np.argsort(places)) / len(places)
    visual = np.minimum((rank * 14).astype(np.int64) + 1, 8) % 8
    front = rank > 0.55
    return {
        "prf-visualrois": visual,
        "floc-faces": np.where(front, 1 + (rank > 0.75), 0),
        "floc-bodies": np.where(front & (rank < 0.9), 1, 0),
        "floc-places": np.where(front, 1 + (rank > 0.8), 0),
        "floc-words": np.where(rank > 0.7, 2, 0),
        "streams": np.where(front, 5, 1),
        "food": (rank > 0.85).astype(np.int64),
        "nsdgeneral": np.ones(len(rank), np.int64),
    }
