"""A brain on disk as NSD stores one, file for file, holding whatever the simulator puts in it.

    schedule = plan_schedule(sessions=4, shared=100, seed=0)   who sees which image when
    write_nsd(root, schedule=schedule, subjects=[...], brick=((row, image), ...), ...)

The design is always NSD's whole design: 73000 images, 8 subjects, 10000 images and 40 sessions each. A tree holds
the first `schedule.sessions` sessions of it, exactly as a partial download of the real data set would, and
`responses.tsv` says that these are all that the subject did. What NSD leaves to COCO (captions, labels) stands in
two small files of our own beside the images; what a simulation knows and a brain does not is `simulation.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.console.progress import progress
from brain.data.nsd_facts import (
    BETAS,
    FSAVERAGE_ATLASES,
    IMAGES,
    LABELS,
    PER_SUBJECT,
    RESPONSE_COLUMNS,
    SCALE,
    SESSIONS,
    SHOWINGS,
    SPACE,
    SUBJECTS,
)
from brain.errors import InputError, StorageError, UsageError, expected
from brain.simulated.layouts.nsd_schedule import Schedule
from brain.types import Bool, Int
from brain.writing.opener import write_text, write_volume, writing, writing_hdf5
from brain.writing.origin import sign, sign_parts

HEAD = b"MATLAB 5.0 MAT-file, written by afterimage simulate"


@dataclass(frozen=True, kw_only=True)
class SubjectToWrite:
    """One subject's brain, ready to be written. "voxel" is the order of `np.argwhere(mask)`.

    subject       1..8
    mask          (X, Y, Z) bool, the voxels that have responses
    affine        (4, 4) float64, voxel index -> millimetres; x < 0 is the left hemisphere
    betas         session (1-based) -> (trial, voxel) percent signal change; called once a session, in order
    regions       atlas name -> (voxel,) int label, 0 where a voxel has none; names of labels in `names`
    ncsnr         (voxel,) noise ceiling SNR
    names         atlas name -> label -> name, for atlases that `LABELS` does not know
    ribbon        (X, Y, Z) bool cortical ribbon, holding the mask; the masks are -1 outside. None takes the mask itself
    brainmask     (X, Y, Z) bool; None takes the ribbon
    mean          (X, Y, Z) float mean volume; None writes the brain mask times 1000
    angle, eccentricity   (voxel,) population receptive fields, degrees; None writes no file
    """

    subject: int
    mask: Bool
    affine: NDArray[np.float64]
    betas: Callable[[int], NDArray[Any]] = field(repr=False)
    regions: Mapping[str, NDArray[Any]]
    ncsnr: NDArray[Any]
    names: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    ribbon: Bool | None = None
    brainmask: Bool | None = None
    mean: NDArray[Any] | None = None
    angle: NDArray[Any] | None = None
    eccentricity: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        voxels = int(self.mask.sum())
        who = f"simulated {self.name}"
        if not 1 <= self.subject <= SUBJECTS or self.mask.ndim != 3 or not voxels:
            raise InputError(expected(who, "subject 1..8 and a (X, Y, Z) mask", f"{self.mask.shape}", "give both"))
        for name, values in {**self.regions, **self.voxelwise()}.items():
            if np.shape(values) != (voxels,):
                raise InputError(expected(f"{who}, {name}", f"({voxels},)", f"{np.shape(values)}", "follow the mask"))
        for name in self.regions:
            if name not in self.names and name not in LABELS:
                raise InputError(expected(f"{who}, atlas {name!r}", "names of its labels", "none", "give `names`"))
        if self.ribbon is not None and (self.mask & ~self.ribbon).any():
            raise InputError(expected(who, "a ribbon that holds the mask", "a smaller one", "widen the ribbon"))

    @property
    def name(self) -> str:
        """Such as "subj01"."""
        return f"subj{self.subject:02d}"

    @cached_property
    def ijk(self) -> Int:
        """(voxel, 3) int64, the voxels' places."""
        return np.argwhere(self.mask).astype(np.int64)

    def voxelwise(self) -> dict[str, NDArray[Any]]:
        """Each map (voxel,) that has one number a voxel, by NSD's file name."""
        maps = {"ncsnr": self.ncsnr, "prf_angle": self.angle, "prf_eccentricity": self.eccentricity}
        return {name: np.asarray(values) for name, values in maps.items() if values is not None}

    def volume(self, values: NDArray[Any], *, outside: float = 0) -> NDArray[Any]:
        """`values` (voxel,) put at their places in a (X, Y, Z) volume of `outside`."""
        volume = np.full(self.mask.shape, outside, values.dtype)
        volume[self.mask] = values
        return volume


def write_nsd(
    root: Path,
    *,
    schedule: Schedule,
    subjects: Sequence[SubjectToWrite],
    brick: Iterable[tuple[int, NDArray[np.uint8]]],
    captions: Mapping[int, Sequence[str]] | None = None,
    labels: Mapping[int, Mapping[str, str]] | None = None,
    truth: Mapping[str, Any] | None = None,
    betas: str = BETAS,
    formats: Sequence[str] = ("hdf5",),
) -> Path:
    """Write an NSD tree under `root` and return `root`.

    brick     (nsdId 0-based, uint8 image (height, width, 3), square), streamed; rows that never come are never stored
    captions, labels   by nsdId 0-based
    truth     what the simulator knows (JSON), written last: a tree without `simulation.json` was cut short
    betas     the betas' version, which is a folder's name;  formats: "hdf5", "nii.gz" or both

    A `root` that already holds an `nsddata` folder is refused (StorageError), as is a disk without room or rights.
    """
    root = Path(root)
    if (root / "nsddata").exists():
        whole = (root / "simulation.json").exists()
        came = "one that holds nsddata" if whole else "one that holds nsddata without simulation.json, cut short"
        then = "choose another folder" if whole else "delete it if it is a simulation, or choose another folder"
        raise StorageError(expected(root, "a folder without data", came, then))
    if not subjects or not formats or set(formats) - {"hdf5", "nii.gz"}:
        raise UsageError(f"one subject or more and the formats hdf5 or nii.gz are needed, found {tuple(formats)}")
    _write_experiment(root, schedule)
    for subject in subjects:
        _write_behaviour(root, schedule, subject)
        _write_anatomy(root, subject)
        _write_betas(root / "nsddata_betas/ppdata" / subject.name / SPACE / betas, schedule, subject, formats=formats)
    _write_brick(root / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5", brick)
    by_id = {"captions": captions or {}, "labels": labels or {}}
    for name, entries in by_id.items():
        table = {str(nsd): entries[nsd] for nsd in sorted(entries)}
        write_text(root / f"nsddata_stimuli/stimuli/nsd/{name}.json", json.dumps(table, ensure_ascii=False))
    sign_parts(root, {"modality": "image", "seed": (truth or {}).get("seed")})
    sign(root, truth or {})
    return root


def _write_experiment(root: Path, schedule: Schedule) -> None:
    from scipy.io import savemat

    folder = root / "nsddata/experiments/nsd"
    arrays = {
        "masterordering": schedule.masterordering[None].astype(np.float64),
        "subjectim": schedule.subjectim.astype(np.float64),
        "sharedix": schedule.sharedix[None].astype(np.float64),
        "stimpattern": schedule.stimpattern.astype(np.float64),
        "basiccnt": _basic_counts(schedule),
    }
    with writing(folder / "nsd_expdesign.mat") as part, part.open("wb") as file:
        savemat(file, arrays, do_compression=True)
        file.seek(0)
        file.write(HEAD.ljust(116))  # in the place of the date, so that the same simulation is the same bytes
    write_text(folder / "nsd_stim_info_merged.csv", _stim_info(schedule))


def _basic_counts(schedule: Schedule) -> NDArray[np.float64]:
    """(3, 40): how many images each session shows once, twice, three times."""
    counts = np.zeros((SHOWINGS, SESSIONS))
    for session in range(SESSIONS):
        shown = schedule.masterordering[session * schedule.trials : (session + 1) * schedule.trials]
        counts[:, session] = np.bincount(np.bincount(shown), minlength=SHOWINGS + 1)[1 : SHOWINGS + 1]
    return counts


def _stim_info(schedule: Schedule) -> str:
    """The csv of all 73000 images; no image of a simulation is from COCO, so cocoSplit says so."""
    when = np.zeros((PER_SUBJECT, SHOWINGS), np.int64)
    order = np.argsort(schedule.masterordering, kind="stable")
    when[:] = order.reshape(PER_SUBJECT, SHOWINGS) + 1
    trials = np.zeros((IMAGES, SUBJECTS, SHOWINGS), np.int64)
    for subject, images in enumerate(schedule.subjectim):
        trials[images - 1, subject] = when
    repeats = [f"subject{subject}_rep{rep}" for subject in range(1, SUBJECTS + 1) for rep in range(SHOWINGS)]
    columns = ["", "cocoId", "cocoSplit", "cropBox", "loss", "nsdId", "flagged", "BOLD5000", "shared1000"]
    lines = [",".join(columns + [f"subject{subject}" for subject in range(1, SUBJECTS + 1)] + repeats)]
    shared = np.isin(np.arange(1, IMAGES + 1), schedule.sharedix)
    sees = trials[:, :, 0] > 0
    # whoever sees an image sees it at the same trials: a row is a pattern of viewers with three numbers put into it
    patterns = {viewers: _viewer_pattern(viewers) for viewers in map(tuple, np.unique(sees, axis=0).tolist())}
    rows = zip(shared.tolist(), sees.tolist(), trials.max(axis=1).tolist(), strict=True)
    for nsd, (is_shared, viewers, times) in enumerate(rows):
        numbers = patterns[tuple(viewers)] % (tuple(times) * sum(viewers))
        lines.append(f'{nsd},{nsd},simulated,"(0.0, 0.0, 0.0, 0.0)",0.0,{nsd},False,False,{is_shared},{numbers}')
    return "\n".join(lines) + "\n"


def _viewer_pattern(viewers: tuple[bool, ...]) -> str:
    """The subject columns of a row: 1 or 0 for each subject, then the three trials of each who sees the image."""
    return ",".join([str(int(sees)) for sees in viewers] + ["%d,%d,%d" if sees else "0,0,0" for sees in viewers])


def _write_behaviour(root: Path, schedule: Schedule, subject: SubjectToWrite) -> None:
    """responses.tsv. What the design decides is filled in; nobody pressed a button, so the rest is NaN and missing."""
    shown, session = schedule.shown(subject.subject), schedule.session()
    run, place = schedule.run_and_trial()
    within, first, latest = _memory(shown, session)
    lines = ["\t".join(RESPONSE_COLUMNS)]
    for trial, nsd in enumerate(shown.tolist()):
        # a MATLAB date: a session a week, a run every six minutes, a trial every four seconds
        time = 737000 + 7 * session[trial] + (run[trial] * 360 + place[trial] * 4) / 86400
        old, gaps = latest[trial] >= 0, (trial - latest[trial], trial - first[trial])
        memory = [str(gap) if old else "NaN" for gap in gaps]
        cells = [subject.subject, session[trial], run[trial], place[trial], nsd + 1, schedule.masterordering[trial]]
        cells += [f"{time:.8f}", int(old), "NaN", "NaN", "NaN", *memory, int(within[trial]), "NaN", 0, 0, "NaN", 1]
        lines.append("\t".join(map(str, cells)))
    write_text(root / "nsddata/ppdata" / subject.name / "behav/responses.tsv", "\n".join(lines) + "\n")


def _memory(shown: Int, session: Int) -> tuple[list[bool], list[int], list[int]]:
    """For each trial: was its image shown before in this session; its first and latest earlier trial (-1: none)."""
    within: list[bool] = []
    first: list[int] = []
    latest: list[int] = []
    begun: dict[int, tuple[int, int]] = {}
    for trial, image in enumerate(shown.tolist()):
        start, last = begun.get(image, (-1, -1))
        within.append(last >= 0 and bool(session[last] == session[trial]))
        first.append(start)
        latest.append(last)
        begun[image] = (trial if start < 0 else start, trial)
    return within, first, latest


def _save_volume(path: Path, volume: NDArray[Any], affine: NDArray[np.float64]) -> None:
    import nibabel

    image = nibabel.nifti1.Nifti1Image(volume, affine)
    image.header.set_xyzt_units("mm", "sec")
    write_volume(path, image)


def _write_anatomy(root: Path, subject: SubjectToWrite) -> None:
    folder = root / "nsddata/ppdata" / subject.name / SPACE
    ribbon = subject.mask if subject.ribbon is None else subject.ribbon
    brain = ribbon if subject.brainmask is None else subject.brainmask
    mean = brain * np.float32(1000) if subject.mean is None else subject.mean
    _save_volume(folder / "brainmask.nii.gz", brain.astype(np.uint8), subject.affine)
    _save_volume(folder / "mean.nii.gz", np.asarray(mean, np.float32), subject.affine)
    for name, values in subject.voxelwise().items():
        if name != "ncsnr":
            _save_volume(folder / f"{name}.nii.gz", subject.volume(values.astype(np.float32)), subject.affine)
    sides = _hemispheres(subject.mask.shape, subject.affine)
    for atlas, label in subject.regions.items():
        volume = np.where(ribbon, subject.volume(np.asarray(label, np.int16)), np.int16(-1)).astype(np.int16)
        for side, where in sides.items():
            _save_volume(folder / f"roi/{side}{atlas}.nii.gz", np.where(where, volume, np.int16(-1)), subject.affine)
        _write_names(root, subject, atlas)


def _write_names(root: Path, subject: SubjectToWrite, atlas: str) -> None:
    names = subject.names[atlas] if atlas in subject.names else LABELS[atlas]
    table = "".join(f"{label} {name}\n" for label, name in [(0, "Unknown"), *sorted(names.items())])
    homes = [subject.name, *(["fsaverage"] if atlas in FSAVERAGE_ATLASES else [])]
    for home in homes:
        write_text(root / "nsddata/freesurfer" / home / "label" / f"{atlas}.mgz.ctab", table)


def _hemispheres(shape: tuple[int, ...], affine: NDArray[np.float64]) -> dict[str, Bool]:
    """File name prefix -> (X, Y, Z) bool: both hemispheres, the left, the right."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    left = np.asarray(grid @ affine[0, :3] + affine[0, 3] < 0)
    return {"": np.ones(shape, np.bool_), "lh.": left, "rh.": ~left}


def _write_betas(folder: Path, schedule: Schedule, subject: SubjectToWrite, *, formats: Sequence[str]) -> None:
    ncsnr = subject.volume(np.asarray(subject.ncsnr, np.float32))
    _save_volume(folder / "ncsnr.nii.gz", ncsnr, subject.affine)
    sessions = range(1, schedule.sessions + 1)
    for session in progress(sessions, desc=f"{subject.name}: writing responses", unit="session"):
        values = np.asarray(subject.betas(session))
        if values.shape != (schedule.trials, len(subject.ijk)):
            came, want = f"{values.shape}", f"({schedule.trials}, {len(subject.ijk)})"
            raise InputError(expected(f"betas of {subject.name}, session {session}", want, came, "follow the design"))
        stored = to_int16(values)
        if "hdf5" in formats:
            _write_betas_hdf5(folder / f"betas_session{session:02d}.hdf5", stored, subject)
        if "nii.gz" in formats:
            volume = np.zeros((*subject.mask.shape, schedule.trials), np.int16)
            volume[subject.mask] = stored.T
            _save_volume(folder / f"betas_session{session:02d}.nii.gz", volume, subject.affine)


def to_int16(values: NDArray[Any]) -> NDArray[np.int16]:
    """Percent signal change, in any shape, as NSD stores it: times 300, rounded, held within int16."""
    return np.clip(np.rint(np.asarray(values, np.float32) * SCALE), -32768, 32767).astype(np.int16)


def _write_betas_hdf5(path: Path, stored: NDArray[np.int16], subject: SubjectToWrite) -> None:
    """(trial, Z, Y, X), one voxel's trials a chunk, as NSD has it; the chunks of other voxels are never allocated."""
    trials = len(stored)
    columns = np.ascontiguousarray(stored.T.astype("<i2"))
    with writing_hdf5(path) as file:
        betas = file.create_dataset(
            "betas", (trials, *subject.mask.shape[::-1]), "<i2", chunks=(trials, 1, 1, 1), fillvalue=0
        )
        for (i, j, k), column in zip(subject.ijk.tolist(), columns, strict=True):
            betas.id.write_direct_chunk((0, k, j, i), column.tobytes())


def _write_brick(path: Path, brick: Iterable[tuple[int, NDArray[np.uint8]]]) -> None:
    with writing_hdf5(path) as file:
        images: Any = None
        for row, image in brick:
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not 0 <= row < IMAGES:
                came = f"row {row} {image.dtype} {image.shape}"
                raise InputError(
                    expected("image of the brick", "a row 0..72999 and (P, P, 3) uint8", came, "draw it so")
                )
            if images is None:
                shape = image.shape
                images = file.create_dataset(
                    "imgBrick", (IMAGES, *shape), np.uint8, chunks=(1, *shape), compression="gzip", compression_opts=1
                )
            images[row] = image
        if images is None:
            raise InputError("the brick of images is empty; give the image of every trial")
