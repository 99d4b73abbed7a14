"""A whole simulated data set: scenes shown to a simulated cortex, written in the layout of the real data set.

    simulate(Path("data/simulated"), sessions=4, snr=1.0, seed=0)

Trials are the noiseless response of `cortex/visual_cortex.py`, times `snr`, plus the noise of `noise.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from brain.catalogue import unknown
from brain.console.progress import progress
from brain.data.nsd_facts import BETAS, LABELS
from brain.errors import UsageError
from brain.simulated.cortex.anatomy import AREAS, Anatomy
from brain.simulated.cortex.visual_cortex import Cortex, build_cortex, to_tensor
from brain.simulated.layouts.nsd import SubjectToWrite, write_nsd
from brain.simulated.layouts.nsd_schedule import Schedule, plan_schedule
from brain.simulated.noise import Noise, draw_noise
from brain.simulated.scenes.scene import Scene, draw_scene, render
from brain.simulated.sessions import TRIALS

PIXELS = 128  # NSD's own pictures have 425; the layout is the same
SHARED_IMAGES = 100
HALF_PICTURE_DEGREES = 4.2  # NSD's pictures span 8.4 degrees of visual angle


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
    cortex: Cortex, noise: Noise, schedule: Schedule, subject: int, responses: dict[int, NDArray[np.float32]]
) -> SubjectToWrite:
    anatomy = cortex.anatomy
    mask = np.zeros(anatomy.shape, np.bool_)
    mask[tuple(anatomy.ijk.T)] = True
    shown, sessions = schedule.shown(subject), schedule.session()
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
    schedule = plan_schedule(sessions=sessions, trials=trials, shared=shared, seed=seed)
    numbers = range(1, subjects + 1)
    rows = np.unique(np.concatenate([schedule.shown(subject) for subject in numbers]))
    planning = progress(rows.tolist(), desc="planning scenes", unit="scene")
    scenes: dict[int, Scene] = {row: draw_scene(seed=seed, index=row) for row in planning}
    drawing = progress(scenes.items(), desc="drawing scenes", unit="scene")
    drawn = {row: np.asarray(render(scene, PIXELS)) for row, scene in drawing}
    watching = progress(numbers, desc="making brains watch", unit="subject")
    written = [_one_subject(schedule, subject, drawn, seed=seed, snr=snr) for subject in watching]

    def brick() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        yield from progress(drawn.items(), desc="writing images", unit="picture")

    return write_nsd(
        out,
        schedule=schedule,
        subjects=written,
        brick=brick(),
        captions={row: scene.captions for row, scene in scenes.items()},
        labels={row: scene.labels for row, scene in scenes.items()},
        truth={"seed": seed, "snr": snr, "subjects": subjects, "sessions": sessions, "trials": trials, "betas": BETAS},
        formats=formats,
    )


def _one_subject(
    schedule: Schedule, subject: int, drawn: dict[int, NDArray[np.uint8]], *, seed: int, snr: float
) -> SubjectToWrite:
    cortex = build_cortex(seed, subject)
    rows = np.unique(schedule.shown(subject)).tolist()
    signal = noiseless(cortex, np.stack([drawn[row] for row in rows]))
    noise = draw_noise(cortex, seed=seed, subject=subject, snr=snr)
    return _subject(cortex, noise, schedule, subject, dict(zip(rows, signal, strict=True)))


Watcher = Callable[[torch.Tensor], torch.Tensor]


def truth_of(data: Path, subject: str) -> Watcher:
    """The simulated cortex behind a simulated data folder: pictures (picture, 3, H, W) -> noiseless (picture, voxel).

    The ground truth of region synthesis. Columns follow the voxel order of the reader (ijk in C order). Of sounds:
    waves (window, 40960) -> noiseless (window, voxel); a subject may be called "S1" or "sub-01" there.
    """
    from brain.errors import InputError, expected
    from brain.files.json_files import is_number, read_json

    path = data / "simulation.json"
    if not path.is_file():
        raise InputError(f"{path} is missing; only data written by `afterimage simulate` have a known answer")
    facts = read_json(path, what="the record of a simulation", then="simulate the data again")
    if not is_number(facts.get("seed")):
        then = "simulate the data again"
        raise InputError(expected(path, "the seed of a simulation", repr(facts.get("seed"))[:40], then))
    if facts.get("modality") == "sound":
        from brain.simulated.cortex.auditory_cortex import build_auditory_cortex

        return build_auditory_cortex(int(facts["seed"]), int(subject.lstrip("Ssub-"))).respond
    return build_cortex(int(facts["seed"]), int(subject.removeprefix("subj"))).respond
