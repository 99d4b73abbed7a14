"""Reads BData, in which Kamitani's laboratory publishes responses to pictures and sounds. How to: docs/sound_data.md.

A folder of files, or one file: training and test responses in a file each (S1_VGGishishTrain_volume_native.h5 and
S1_VGGishishTest_volume_native.h5 of Park et al. 2025, S1_train.h5 and S1_test.h5 of the simulated listener), or both
in one, told apart by DataType (the image sets of Horikawa & Kamitani 2017 and Shen et al. 2019).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain.averages import count_repeats
from brain.catalogue import unknown
from brain.errors import InputError, UsageError, expected
from brain.readers import Inspection
from brain.readers._auditory import regions_of
from brain.readers._bdata_file import BDataFile, families, is_bdata, open_bdata
from brain.readers._bdata_voxels import choose_voxels, regions_in, same_voxels, space_of
from brain.readers._media import IMAGE_ENDINGS, NoMedia, check_ids, folder_media
from brain.readers._sittings import choose_subject, chosen, clip_splits, poolable, read_settings, seconds_of
from brain.readers._sounds import find_clips, given_folder, heard, homes_of, stimuli_of
from brain.splits import SLIDE, clip_of
from brain.types import Bool, Int, Recording, Responses, Stimuli

FIELDS: Mapping[str, str] = {
    "stimulus": "the key that names what each row showed",
    "session": "the key that counts sessions",
    "voxels": "a region or group, such as auditory, whose voxels alone are read; all reads every voxel",
    "stimuli": "the folder of sounds or pictures",
    "window_s": "seconds of a window, where it is not half a clip",
    "hop_s": "seconds from window to window, where it is not a quarter of a clip",
    "partial": "yes leaves out trials whose sound is not at hand",
}
"""What `fields` may say; all are optional."""
STIMULUS_KEYS = ("stimulus_name", "sample_name", "image_name", "stimulus_id", "image_index", "image_id", "Label")
"""The keys that name stimuli; the first that is there is taken."""
SIDES = {1.0: "train", 2.0: "test"}
"""What the column DataType says; 3 is imagery, which shows nothing."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What the rows of a subject's files showed: `side` (row,) is "train", "test" or "" where nothing says so."""

    stimulus: NDArray[np.str_]
    session: Int
    side: NDArray[np.str_]
    notes: tuple[str, ...]


class BData:
    """The reader of BData HDF5 files."""

    name = "bdata"
    title = "BData HDF5 (dataset, metadata), one file or a folder of them; see docs/sound_data.md"

    def recognises(self, path: Path) -> bool:
        """A BData file, or a folder that holds some, itself or in `bdata`."""
        return is_bdata(path) if path.is_file() else bool(families(path))

    def subjects(self, path: Path) -> tuple[str, ...]:
        """The subjects that have a file, by the files' names."""
        return tuple(sorted(families(path)))

    def read(
        self, path: Path, *, subject: str, sessions: Sequence[int], betas: str, fields: Mapping[str, str]
    ) -> Recording:
        """One subject in the laboratory's own unit: the voxels of all regions, or all voxels where there are none."""
        read_settings(fields, FIELDS)
        if betas not in ("", "native"):
            raise UsageError(f"{path}: betas {betas!r} was asked for and BData knows only native; leave it out")
        if path.is_file():
            open_bdata(path)  # a damaged file says so itself
        name = choose_subject(path, self.subjects(path), subject, what="BData files (dataset and metadata)")
        sided = families(path)[name]
        files = [open_bdata(file) for file, _ in sided]
        for file in files[1:]:
            same_voxels(files[0], file)
        rows = _rows(files, [side for _, side in sided], fields)
        stimuli, kept, media = _stimuli(path, rows.stimulus, fields)
        masks = regions_in(files[0])
        voxels = choose_voxels(masks, asked=fields.get("voxels", ""), voxels=len(files[0].brain))
        space, placed = space_of(files[0], subject=name)
        stimulus = rows.stimulus[kept]
        splits = clip_splits(stimulus.tolist(), _sides(path, stimulus, rows.side[kept]), what=stimuli.modality)
        session, pooled = poolable(rows.session[kept], stimulus, splits[0] if splits else None)
        values = np.concatenate([file.responses(voxels) for file in files])
        whole = Responses(
            values=values if kept.all() else values[kept],
            stimulus=stimulus,
            session=session,
            repeat=count_repeats(stimulus),
            space=space.take(voxels),
        )
        responses, usable, masked = chosen(path, whole, sessions)
        here = voxels[usable]
        return Recording(
            responses=responses,
            stimuli=stimuli,
            regions=regions_of({key: mask[here] for key, mask in masks.items()}, voxels=len(here)),
            splits=splits,
            masked=masked,
            notes=tuple(filter(None, (*rows.notes, media, placed, pooled))),
            reader=self.name,
            source=str(path),
        )

    def inspect(self, path: Path, *, fields: Mapping[str, str] | None = None) -> Inspection:
        """What the files hold, subject by subject, and what of it is understood; reads no responses."""
        lines, facts = [f"BData at {path}"], dict[str, object](format="bdata", subjects={})
        found: dict[str, object] = {}
        for subject, sided in sorted(families(path).items()):
            files = [open_bdata(file) for file, _ in sided]
            rows = _rows(files, [side for _, side in sided], {})
            stimuli, kept, media = _stimuli(path, rows.stimulus, {"partial": "yes"})
            masks = regions_in(files[0])
            regions = {region.name: int(region.mask.sum()) for region in regions_of(masks, voxels=len(files[0].brain))}
            sides = Counter(_sides(path, rows.stimulus, rows.side).values())
            lines += [
                f"{subject}: {', '.join(file.path.name for file in files)}",
                f"  {int(kept.sum())} rows of {len(stimuli.ids)} stimuli ({stimuli.modality}), "
                f"{len(files[0].brain)} voxels, {len(np.unique(rows.session))} sessions",
                f"  {sides['train']} training and {sides['test']} test {_what(stimuli.modality)}",
                f"  regions: {', '.join(f'{name} {count}' for name, count in regions.items())}",
                f"  columns: {', '.join(files[0].columns)}",
                *(f"  {note}" for note in (*rows.notes, media, space_of(files[0], subject=subject)[1]) if note),
            ]
            found[subject] = {"rows": len(kept), "stimuli": len(stimuli.ids), "regions": regions, "sides": dict(sides)}
        facts["subjects"] = found
        return Inspection(lines=tuple(lines), facts=facts)


def _what(modality: str) -> str:
    return "clips" if modality == "sound" else "images"


def _rows(files: Sequence[BDataFile], sides: Sequence[str], fields: Mapping[str, str]) -> Rows:
    """The rows of all files, one file after the other."""
    notes: list[str] = []
    stimulus = [file.labels(_stimulus_key(file, fields)) for file in files]
    found = [_side(file, side) for file, side in zip(files, sides, strict=True)]
    session = _sessions(files, fields, notes)
    imagined = sum(int((part == "none").sum()) for part in found)
    blank = sum(int((part == "").sum()) for part in stimulus)
    if imagined:
        notes.append(f"{imagined} rows of DataType 3 or more (imagery) showed nothing and are left out")
    if blank:
        notes.append(f"{blank} rows without a stimulus (rest) are left out")
    return Rows(
        stimulus=np.concatenate(
            [np.where(part == "none", "", name) for part, name in zip(found, stimulus, strict=True)]
        ),
        session=session,
        side=np.concatenate(found),
        notes=tuple(notes),
    )


def _stimulus_key(file: BDataFile, fields: Mapping[str, str]) -> str:
    asked = fields.get("stimulus", "")
    if asked:
        if asked not in file.columns:
            raise UsageError(f"{file.path}: {unknown('column', asked, tuple(file.columns))}")
        return asked
    key = next((key for key in STIMULUS_KEYS if key in file.columns), "")
    if not key:
        came = f"the columns {', '.join(file.columns)[:120] or 'none'}"
        raise InputError(expected(file.path, STIMULUS_KEYS[0], came, "name it with --fields stimulus=KEY"))
    return key


def _side(file: BDataFile, side: str) -> NDArray[np.str_]:
    """(row,) "train", "test", "" or, for what showed nothing, "none"."""
    if "DataType" not in file.columns:
        return np.full(file.rows, side, "<U5")
    kinds = file.column("DataType").tolist()
    return np.array([SIDES.get(kind, "none") for kind in kinds], "<U5")


def _sessions(files: Sequence[BDataFile], fields: Mapping[str, str], notes: list[str]) -> Int:
    """(row,) int64. Where a second file counts its sessions from 1 again they are other sessions."""
    key = fields.get("session", "Session")
    if any(key not in file.columns for file in files):
        if "session" in fields:
            raise UsageError(f"{files[0].path}: {unknown('column', key, tuple(files[0].columns))}")
        notes.append("there is no column Session: all rows count as one session")
        return np.ones(sum(file.rows for file in files), np.int64)
    counted: list[Int] = []
    seen: set[tuple[int, ...]] = set()
    for file in files:
        session = _whole(file, key)
        run = _whole(file, "Run") if "Run" in file.columns else np.zeros_like(session)
        pairs = set(zip(session.tolist(), run.tolist(), strict=True))
        if pairs & seen:
            session = session + max(int(part.max()) for part in counted)
            notes.append(f"{file.path.name} counts its sessions anew: they are sessions of their own")
        seen |= pairs
        counted.append(session)
    return np.concatenate(counted)


def _whole(file: BDataFile, key: str) -> Int:
    numbers = file.column(key)
    if not (np.isfinite(numbers).all() and (numbers == np.rint(numbers)).all()):
        raise InputError(expected(f"{file.path}, {key}", "whole numbers", "others", "name another key with --fields"))
    return numbers.astype(np.int64)


def _sides(path: Path, stimulus: NDArray[np.str_], side: NDArray[np.str_]) -> dict[str, str]:
    """clip -> "train" or "test", empty where nothing says so; a clip of both is an InputError."""
    sides: dict[str, str] = {}
    for name, part in zip(stimulus.tolist(), side.tolist(), strict=True):
        if name and part in ("train", "test") and sides.setdefault(clip_of(name), part) != part:
            came = f"{clip_of(name)!r} in both"
            raise InputError(expected(path, "stimuli that are training or test", came, "take it out of one of the two"))
    return sides


def _stimuli(
    path: Path, stimulus: NDArray[np.str_], fields: Mapping[str, str]
) -> tuple[Stimuli, NDArray[np.bool_], str]:
    """The stimuli, (row,) bool the rows to keep, and a sentence on those that are left out, or ""."""
    shown: Bool = stimulus != ""
    if not shown.any():
        raise InputError(
            expected(path, "rows that showed a stimulus", "none", "name the key with --fields stimulus=KEY")
        )
    names = stimulus[shown]
    check_ids(sorted(set(names.tolist())), str(path))
    window, hop = seconds_of(fields, "window_s", 0), seconds_of(fields, "hop_s", 0)
    given, homes = given_folder(path, fields), homes_of(path)
    folder = given or next((home / name for home in homes for name in ("images", "stimuli")
                            if (home / name).is_dir()), None)  # fmt: skip
    if folder is not None and folder.is_dir() and _has_images(folder):
        ids = tuple(sorted(set(names.tolist())))
        opener, modality = folder_media(folder, ids)
        return Stimuli(ids=ids, modality=modality, opener=opener), shown, ""
    clips = find_clips(homes, given)
    if clips.folder is None and not any(SLIDE in name for name in names.tolist()):
        ids = tuple(sorted(set(names.tolist())))
        return Stimuli(ids=ids, modality="image", opener=NoMedia(where=str(path))), shown, ""
    here, said = heard(clips, names, where=str(path), partial=fields.get("partial") == "yes")
    kept = shown.copy()
    kept[shown] = here
    said = said or (
        "" if clips.folder else f"there is no folder of sounds beside {path.name}: responses alone are read"
    )
    return stimuli_of(clips, names[here].tolist(), where=str(path), window_s=window, hop_s=hop), kept, said


def _has_images(folder: Path) -> bool:
    return any(file.suffix.lower() in IMAGE_ENDINGS for file in folder.iterdir())


ENTRIES = (BData(),)
