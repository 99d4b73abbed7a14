"""What a subject heard, on disk as laboratories store it: clips and their table, Kamitani's BData, BIDS-like series.

    write_stimuli(root, clips, wave=wave_of)                  root/stimuli/<clip>.wav and root/stimuli.tsv
    write_bdata(root / "bdata/S1_train.h5", values, ...)      one row a window, as Park et al. (2025) publish theirs
    write_series(root / "bids", values, ...)                  one run as a time series, as LeBel et al. (2023)

These are writers alone: what the values are is the simulator's affair, and the readers `bdata` and `series` take both
what is written here and the published files. Every file is whole or absent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.console.progress import progress
from brain.errors import InputError, expected
from brain.files.waveforms import RATE, write_wave
from brain.types import Bool, Float, Int
from brain.writing.opener import write_text, writing_hdf5

TASK = "listen"


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A clip and what is known of it: one row of stimuli.tsv.

    clip      its name, which is the name of its file: <clip>.wav
    split     "train" or "test"
    captions  sentences, columns caption_1, caption_2, ...; labels  group -> value, a column each ("category", "kind")
    """

    clip: str
    split: str
    captions: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Voxels:
    """Where the voxels of a subject are.

    ijk      (voxel, 3) int64, their places in the volume, all different, in column order
    affine   (4, 4) float64, voxel index -> millimetres
    regions  name -> (voxel,) bool, such as "A1"; they may overlap
    """

    ijk: Int
    affine: NDArray[np.float64]
    regions: Mapping[str, Bool]

    def __post_init__(self) -> None:
        object.__setattr__(self, "ijk", np.asarray(self.ijk, np.int64))
        object.__setattr__(self, "affine", np.asarray(self.affine, np.float64))
        came = f"ijk {self.ijk.shape}, affine {self.affine.shape}"
        if self.ijk.ndim != 2 or self.ijk.shape[1:] != (3,) or self.affine.shape != (4, 4):
            raise InputError(expected("voxels to write", "ijk (voxel, 3) and affine (4, 4)", came, "give both"))
        for name, mask in self.regions.items():
            if np.shape(mask) != (len(self.ijk),):
                raise InputError(
                    expected(f"region {name!r} to write", f"({len(self.ijk)},)", f"{np.shape(mask)}", "follow ijk")
                )

    def __len__(self) -> int:
        return len(self.ijk)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One sound of a run: seconds from the first stored volume, its length in seconds, its kind and its file's name."""

    onset_s: float
    duration_s: float
    trial_type: str
    stim_file: str


def write_stimuli(root: Path, clips: Sequence[Clip], *, wave: Callable[[str], Float]) -> Path:
    """Write root/stimuli/<clip>.wav (16 kHz mono PCM_16) and root/stimuli.tsv, the table last; returns the table.

    `wave`: clip -> (sample,) float32 at 16 kHz, asked for one clip at a time. Clips of one name, labels that differ
    between clips and texts with tabs or line breaks are an InputError.
    """
    rows = _table(clips)
    folder = root / "stimuli"
    folder.mkdir(parents=True, exist_ok=True)
    for clip in progress(clips, desc="sounds", unit="clip", leave=False):
        write_wave(folder / f"{clip.clip}.wav", wave(clip.clip), RATE)
    write_text(root / "stimuli.tsv", "".join("\t".join(row) + "\n" for row in rows))
    return root / "stimuli.tsv"


def _table(clips: Sequence[Clip]) -> list[list[str]]:
    groups = tuple(clips[0].labels) if clips else ()
    captions = max((len(clip.captions) for clip in clips), default=0)
    if not clips or len({clip.clip for clip in clips}) < len(clips):
        came = f"{len(clips)} clips, {len({clip.clip for clip in clips})} names"
        raise InputError(expected("clips to write", "one clip or more, each of its own name", came, "rename them"))
    rows = [["clip", "split", *groups, *(f"caption_{number}" for number in range(1, captions + 1))]]
    for clip in clips:
        if tuple(clip.labels) != groups or clip.split not in ("train", "test"):
            came = f"{clip.split!r} with {', '.join(clip.labels)}"
            want = f"train or test, and the labels {', '.join(groups)}"
            raise InputError(expected(f"clip {clip.clip!r} to write", want, came, "label all clips alike"))
        padded = (*clip.captions, *[""] * (captions - len(clip.captions)))
        rows.append([clip.clip, clip.split, *clip.labels.values(), *padded])
    broken = [text for row in rows for text in row if set(text) & set("\t\r\n")]
    if broken:
        raise InputError(expected("texts to write", "no tabs or line breaks", repr(broken[0][:60]), "take them out"))
    return rows


def write_bdata(
    path: Path,
    values: NDArray[Any],
    *,
    stimulus: Sequence[str],
    voxels: Voxels,
    columns: Mapping[str, NDArray[Any]],
) -> Path:
    """Write one BData HDF5 file of `values` (row, voxel): /dataset, /metadata, /vmap; returns `path`.

    stimulus  (row,) the name of what each row heard, such as "clip_slide1"; stored as numbers with a vmap
    columns   name -> (row,) numbers: "Session", "Run", "Repeat", "slide". Sessions and runs are counted through a
              subject's training and test file, so that a session of the two is one session

    /dataset holds the voxels first, then the columns, then stimulus_name. Each row of /metadata/value says by 1 which
    columns a key names, NaN elsewhere; ROI_<region> is 1 or 0 over the voxels, voxel_x, _y, _z are millimetres and
    voxel_i, _j, _k places. No /header: bdpy writes the source code and paths of whoever saved the file there.
    """
    table = {name: np.asarray(column, np.float64) for name, column in columns.items()}
    values = np.asarray(values, np.float32)
    bad = [name for name, column in table.items() if column.shape != (len(values),)]
    if values.ndim != 2 or values.shape[1] != len(voxels) or len(stimulus) != len(values) or bad:
        came = f"values {values.shape}, {len(stimulus)} stimuli" + (
            f", column {bad[0]} of another length" if bad else ""
        )
        raise InputError(
            expected(path, f"(row, {len(voxels)}) values, a stimulus and columns a row", came, "correct it")
        )
    names = {name: number for number, name in enumerate(sorted(set(stimulus)), start=1)}
    table["stimulus_name"] = np.array([names[name] for name in stimulus], np.float64)
    metadata = _metadata(voxels, tuple(table))
    with writing_hdf5(path) as file:
        whole = np.concatenate([values, np.stack(list(table.values()), axis=1).astype(np.float32)], axis=1)
        file.create_dataset("dataset", data=whole, fletcher32=True)
        for part, texts in (("key", list(metadata)), ("description", [text for text, _ in metadata.values()])):
            file.create_dataset(f"metadata/{part}", data=np.array([text.encode() for text in texts]))
        stacked = np.stack([row for _, row in metadata.values()])
        file.create_dataset("metadata/value", data=stacked, fletcher32=True)
        for name, number in names.items():
            file.create_dataset(f"vmap/stimulus_name/{float(number)}", data=np.bytes_(name.encode()))
    return path


def _metadata(voxels: Voxels, columns: Sequence[str]) -> dict[str, tuple[str, NDArray[np.float64]]]:
    """key -> description and (column,) values."""
    count, width = len(voxels), len(voxels) + len(columns)

    def over_voxels(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.concatenate([np.asarray(values, np.float64), np.full(width - count, np.nan)])

    rows = {"VoxelData": ("1 = VoxelData", over_voxels(np.ones(count)))}
    for place, name in enumerate(columns, start=count):
        rows[name] = (f"1 = {name}", np.where(np.arange(width) == place, 1.0, np.nan))
    for name, mask in voxels.regions.items():
        rows[f"ROI_{name}"] = (f"1 = ROI_{name}", over_voxels(mask))
    millimetres = voxels.ijk @ voxels.affine[:3, :3].T + voxels.affine[:3, 3]
    for axis, (place_name, name) in enumerate(zip("ijk", "xyz", strict=True)):
        rows[f"voxel_{name}"] = (f"Voxel {name} coordinate", over_voxels(millimetres[:, axis]))
        rows[f"voxel_{place_name}"] = (f"Voxel {place_name} index", over_voxels(voxels.ijk[:, axis]))
    return rows


def write_series(
    root: Path,
    values: NDArray[Any],
    *,
    subject: str,
    run: int,
    session: int = 0,
    tr_s: float,
    start_s: float = 0.0,
    events: Sequence[Event],
    voxels: Voxels,
) -> Path:
    """Write one run under root/sub-<subject>/[ses-<session>/]func/ and the subject's rois.h5; returns the series.

    values    (time, voxel), stored as key "data" of ..._bold.h5, the layout of LeBel et al. (2023)
    subject   such as "01"; run from 1; session from 1, 0 for a subject without sessions
    tr_s      seconds from volume to volume; `start_s` when, after its start, a volume was taken (BIDS StartTime)
    events    ..._events.tsv: onset, duration, trial_type, stim_file (a name in the folder of stimuli)

    rois.h5 holds `ijk` (voxel, 3), `affine` (4, 4) and regions/<name> (voxel,) bool.
    """
    values = np.asarray(values, np.float32)
    if values.ndim != 2 or values.shape[1] != len(voxels) or not tr_s > 0:
        came = f"{values.shape} and TR {tr_s}"
        raise InputError(expected(f"series of sub-{subject}", f"(time, {len(voxels)}) and a TR", came, "correct it"))
    home = root / f"sub-{subject}"
    parts = [f"sub-{subject}", *([f"ses-{session:02d}"] if session else []), f"task-{TASK}", f"run-{run:02d}"]
    stem = (home / parts[1] if session else home) / "func" / "_".join(parts)
    if not (root / "dataset_description.json").exists():
        facts = {"Name": "simulated sounds", "BIDSVersion": "1.10.0", "DatasetType": "derivative",
                 "GeneratedBy": [{"Name": "afterimage"}]}  # fmt: skip
        write_text(root / "dataset_description.json", json.dumps(facts, indent=1))
    _write_regions(home / "rois.h5", voxels)
    lines = [("onset", "duration", "trial_type", "stim_file")]
    lines += [(f"{one.onset_s:.4f}", f"{one.duration_s:.4f}", one.trial_type, one.stim_file) for one in events]
    write_text(stem.with_name(f"{stem.name}_events.tsv"), "".join("\t".join(line) + "\n" for line in lines))
    sidecar = {"TaskName": TASK, "RepetitionTime": tr_s, "StartTime": start_s}
    write_text(stem.with_name(f"{stem.name}_bold.json"), json.dumps(sidecar, indent=1))
    path = stem.with_name(f"{stem.name}_bold.h5")
    with writing_hdf5(path) as file:
        file.create_dataset("data", data=values, fletcher32=True)
    return path


def _write_regions(path: Path, voxels: Voxels) -> None:
    with writing_hdf5(path) as file:
        file.create_dataset("ijk", data=voxels.ijk, fletcher32=True)
        file.create_dataset("affine", data=voxels.affine, fletcher32=True)
        for name, mask in voxels.regions.items():
            file.create_dataset(f"regions/{name}", data=np.asarray(mask, np.bool_))
