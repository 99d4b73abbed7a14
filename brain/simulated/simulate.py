"""A whole simulated data set: scenes shown to a simulated cortex, written in the layout of the real data set.

    simulate(Path("data/simulated"), sessions=4, snr=1.0, seed=0)

Trials are the noiseless response of `cortex.py`, times `snr`, plus noise whose size follows a drawn ncsnr map (most
voxels poor, a few good, as in NSD), noise that voxels share, and drifts within and offsets between sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from brain.catalogue import unknown
from brain.errors import UsageError
from brain.nsd_facts import BETAS, LABELS
from brain.progress import progress
from brain.simulated import TRIALS
from brain.simulated.anatomy import AREAS, Anatomy
from brain.simulated.cortex import Cortex, build_cortex, to_tensor
from brain.simulated.layout import Design, SubjectToWrite, plan_design, write_nsd
from brain.simulated.scenes import Scene, draw_scene, render

PIXELS = 128  # NSD's own pictures have 425; the layout is the same
SHARED_IMAGES = 100
NCSNR_MEDIAN, NCSNR_SPREAD, NCSNR_RANGE = 0.2, 0.65, (0.02, 2.0)
SHARED_NOISE = 0.15  # share of the noise variance that voxels have in common
HALF_PICTURE_DEGREES = 4.2  # NSD's pictures span 8.4 degrees of visual angle
PARTS = {"ncsnr": 2, "session": 3}


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What a subject's voxels add to their signal, drawn from (seed, subject, session) alone.

    ncsnr (voxel,) float64: signal standard deviation (1 by construction) over noise standard deviation at snr 1
    """

    seed: int
    subject: int
    snr: float
    ncsnr: NDArray[np.float64]
    place: NDArray[np.float64]

    def _rng(self, session: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, self.subject, PARTS["session"], session]))

    def session(self, signal: NDArray[np.float32], session: int) -> NDArray[np.float32]:
        """Noiseless responses (trial, voxel) -> what a scanner saw in that session, percent signal change."""
        rng = self._rng(session)
        trials, voxels = signal.shape
        size = 1 / self.ncsnr
        own = rng.standard_normal((trials, voxels)) * np.sqrt(1 - SHARED_NOISE)
        waves = np.cos(self.place @ rng.normal(0, 0.08, (3, 6)) + rng.uniform(0, 2 * np.pi, 6))  # smooth over cortex
        waves /= np.sqrt(np.square(waves).sum(1, keepdims=True))
        common = rng.standard_normal((trials, 6)) @ waves.T * np.sqrt(SHARED_NOISE)
        gain = 1 + 0.06 * rng.standard_normal(voxels)
        offset = 0.4 * rng.standard_normal(voxels)
        clock = np.linspace(-1, 1, trials)[:, None]
        drift = 0.15 * rng.standard_normal(voxels) * clock + 0.1 * rng.standard_normal(voxels) * np.cos(3 * clock)
        return np.asarray(self.snr * gain * signal + size * (own + common) + offset + drift, np.float32)


def draw_noise(cortex: Cortex, *, seed: int, subject: int, snr: float) -> Noise:
    """A subject's noise; early voxels are a little better than the rest, as in NSD."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, subject, PARTS["ncsnr"]]))
    anatomy = cortex.anatomy
    ncsnr = NCSNR_MEDIAN * np.exp(NCSNR_SPREAD * rng.standard_normal(len(anatomy.ijk)))
    ncsnr[cortex.early.numpy()] *= 1.15
    place = anatomy.ijk @ anatomy.affine[:3, :3].T + anatomy.affine[:3, 3]
    return Noise(seed=seed, subject=subject, snr=snr, ncsnr=np.clip(ncsnr, *NCSNR_RANGE), place=place)


def atlas_labels(anatomy: Anatomy) -> dict[str, NDArray[np.int64]]:
    """Atlas name -> (voxel,) label, numbered as NSD numbers them."""
    names = np.array([AREAS[number].name for number in anatomy.area])
    streams = np.array([AREAS[number].stream for number in anatomy.area])
    labels = {atlas: np.zeros(len(names), np.int64) for atlas in {area.atlas for area in AREAS if area.atlas}}
    for atlas, values in labels.items():
        for number, name in LABELS[atlas].items():
            values[names == name] = number
    labels["streams"] = np.zeros(len(names), np.int64)
    for number, name in LABELS["streams"].items():
        labels["streams"][streams == name] = number
    labels["nsdgeneral"] = np.ones(len(names), np.int64)
    return labels


@torch.no_grad()
def noiseless(cortex: Cortex, pictures: NDArray[np.uint8], batch: int = 50) -> NDArray[np.float32]:
    """Pictures (picture, H, W, 3) uint8 -> noiseless responses (picture, voxel) float32, percent signal change."""
    tensors = torch.stack([to_tensor(picture) for picture in pictures])
    batches = progress(torch.split(tensors, batch), desc="the cortex watches", unit="batch")
    parts = [cortex.respond(part) for part in batches]
    return torch.cat(parts).numpy()


def _subject(
    cortex: Cortex, noise: Noise, design: Design, subject: int, responses: dict[int, NDArray[np.float32]]
) -> SubjectToWrite:
    anatomy = cortex.anatomy
    mask = np.zeros(anatomy.shape, np.bool_)
    mask[tuple(anatomy.ijk.T)] = True
    shown, sessions = design.shown(subject), design.session()
    angle, ecc = (np.zeros(len(cortex), np.float32) for _ in range(2))
    angle[cortex.early.numpy()] = cortex.angle.numpy()
    ecc[cortex.early.numpy()] = cortex.ecc.numpy() * HALF_PICTURE_DEGREES

    def betas(session: int) -> NDArray[np.float32]:
        signal = np.stack([responses[row] for row in shown[sessions == session].tolist()])
        return noise.session(signal, session)

    return SubjectToWrite(
        subject=subject,
        mask=mask,
        affine=anatomy.affine,
        betas=betas,
        regions=atlas_labels(anatomy),
        ncsnr=noise.ncsnr * noise.snr,
        ribbon=anatomy.ribbon,
        angle=angle,
        eccentricity=ecc,
    )


def simulate(
    out: Path,
    *,
    modality: str = "image",
    subjects: int = 1,
    sessions: int = 4,
    snr: float = 1.0,
    seed: int = 0,
    trials: int | None = None,
    formats: tuple[str, ...] = ("hdf5",),
) -> Path:
    """Write a simulated NSD (modality "image") or listening experiment ("sound") under `out` and return `out`.

    subjects 1..8, sessions 1..40 of `trials` trials (None: `TRIALS` of the modality); snr scales the signal (0 is
    noise alone); seed 0..2**31-1; formats of the images' responses. An `out` that already holds data is refused
    (StorageError). What is written for sounds: `simulate_sound.py`.
    """
    if modality not in TRIALS:
        raise UsageError(unknown("modality", modality, tuple(TRIALS)))
    trials = TRIALS[modality] if trials is None else trials
    if not 1 <= subjects <= 8:
        raise UsageError(f"subjects must be 1 to 8 as in NSD, found {subjects}")
    if not (np.isfinite(snr) and snr >= 0):
        raise UsageError(f"snr must be 0 or more, found {snr}")
    if not 0 <= seed < 2**31:
        raise UsageError(f"seed must be 0 to 2147483647, found {seed}; higher ones drew what our networks trained on")
    if modality == "sound":
        from brain.simulated.simulate_sound import simulate_sound

        return simulate_sound(out, subjects=subjects, sessions=sessions, snr=snr, seed=seed, trials=trials)
    shared = min(SHARED_IMAGES, sessions * trials // 30)
    design = plan_design(sessions=sessions, trials=trials, shared=shared, seed=seed)
    numbers = range(1, subjects + 1)
    rows = np.unique(np.concatenate([design.shown(subject) for subject in numbers]))
    planning = progress(rows.tolist(), desc="planning scenes", unit="scene")
    scenes: dict[int, Scene] = {row: draw_scene(seed=seed, index=row) for row in planning}
    drawing = progress(scenes.items(), desc="drawing scenes", unit="scene")
    drawn = {row: np.asarray(render(scene, PIXELS)) for row, scene in drawing}
    watching = progress(numbers, desc="making brains watch", unit="subject")
    written = [_one_subject(design, subject, drawn, seed=seed, snr=snr) for subject in watching]

    def brick() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        yield from progress(drawn.items(), desc="writing images", unit="picture")

    return write_nsd(
        out,
        design=design,
        subjects=written,
        brick=brick(),
        captions={row: scene.captions for row, scene in scenes.items()},
        labels={row: scene.labels for row, scene in scenes.items()},
        truth={"seed": seed, "snr": snr, "subjects": subjects, "sessions": sessions, "trials": trials, "betas": BETAS},
        formats=formats,
    )


def _one_subject(
    design: Design, subject: int, drawn: dict[int, NDArray[np.uint8]], *, seed: int, snr: float
) -> SubjectToWrite:
    cortex = build_cortex(seed, subject)
    rows = np.unique(design.shown(subject)).tolist()
    signal = noiseless(cortex, np.stack([drawn[row] for row in rows]))
    noise = draw_noise(cortex, seed=seed, subject=subject, snr=snr)
    return _subject(cortex, noise, design, subject, dict(zip(rows, signal, strict=True)))


Watcher = Callable[[torch.Tensor], torch.Tensor]


def truth_of(data: Path, subject: str) -> Watcher:
    """The simulated cortex behind a simulated data folder: pictures (picture, 3, H, W) -> noiseless (picture, voxel).

    The ground truth of region synthesis. Columns follow the voxel order of the reader (ijk in C order). Of sounds:
    waves (window, 40960) -> noiseless (window, voxel); a subject may be called "S1" or "sub-01" there.
    """
    from brain.errors import InputError, expected
    from brain.json_files import is_number, read_json

    path = data / "simulation.json"
    if not path.is_file():
        raise InputError(f"{path} is missing; only data written by `afterimage simulate` have a known answer")
    facts = read_json(path, what="the record of a simulation", then="simulate the data again")
    if not is_number(facts.get("seed")):
        then = "simulate the data again"
        raise InputError(expected(path, "the seed of a simulation", repr(facts.get("seed"))[:40], then))
    if facts.get("modality") == "sound":
        from brain.simulated.auditory_cortex import build_auditory_cortex

        return build_auditory_cortex(int(facts["seed"]), int(subject.lstrip("Ssub-"))).respond
    return build_cortex(int(facts["seed"]), int(subject.removeprefix("subj"))).respond
