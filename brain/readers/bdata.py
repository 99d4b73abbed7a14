"""Reads BData, in which Kamitani's laboratory publishes responses to pictures and sounds (docs/howto/sound_data.md).

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

from brain.catalogue import unknown
from brain.data.averages import count_repeats
from brain.data.clips import SLIDE, groups_of
from brain.errors import InputError, UsageError, counted, expected
from brain.files.paths import listed, optional_folder
from brain.files.tables import in_part
from brain.readers import Inspection
from brain.readers._bdata.file import HALF, BDataFile, Family, families, holds_bdata, open_bdata
from brain.readers._bdata.voxels import choose_voxels, regions_in, same_voxels, space_of
from brain.readers._parts.auditory import regions_of
from brain.readers._parts.media import GO_ON, IMAGE_ENDINGS, NoMedia, check_ids, folder_media, without_media
from brain.readers._parts.sessions import choose_subject, chosen, is_yes, read_settings, seconds_of
from brain.readers._parts.sounds import find_clips, given_folder, heard, homes_of, stimuli_of
from brain.splits.held_out import clip_splits
from brain.types import Bool, Int, Recording, Responses, Stimuli

FIELDS: Mapping[str, str] = {
    "stimulus": "the key that names what each row showed",
    "session": "the key that counts sessions",
    "voxels": "a region or group, such as auditory, whose voxels alone are read; all reads every voxel",
    "stimuli": "the folder of sounds or pictures",
    "window_s": "seconds of a window, where it is not half a clip",
    "hop_s": "seconds from window to window, where it is not a quarter of a clip",
    "partial": "yes leaves out trials whose sound or picture is not at hand",
    "anew": "yes where the test file numbers its stimuli anew: its 1 is not the training file's 1 and is called test1",
}
"""What `fields` may say; all are optional."""
STIMULUS_KEYS = ("stimulus_name", "sample_name", "image_name", "stimulus_id", "image_index", "image_id", "Label")
"""The keys that name stimuli; the first that is there is taken."""
SIDES = {1.0: "train", 2.0: "test"}
"""What the column DataType says; 3 is imagery, which shows nothing."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What the rows of a subject's files showed: `side` (row,) is "train", "test" or "" where nothing says so.

    numbered   are the stimuli named by numbers, which a second file may count anew?
    """

    stimulus: NDArray[np.str_]
    session: Int
    side: NDArray[np.str_]
    numbered: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The stimuli, `kept` (row,) bool the rows that have one, `splits` clip -> what stimuli.tsv says, sentences."""

    stimuli: Stimuli
    kept: Bool
    splits: Mapping[str, str]
    notes: tuple[str, ...]


class BData:
    """The reader of BData HDF5 files."""

    name = "bdata"
    title = "BData HDF5 (dataset, metadata), one file or a folder of them; see docs/howto/sound_data.md"
    description = "responses to pictures or sounds as the Kamitani laboratory publishes them, one row a trial or window"
    citation = "Horikawa and Kamitani 2017; Shen et al. 2019; Park et al. 2025"
    licence = ""
    terms = ""

    def recognises(self, path: Path) -> bool:
        """A BData file, or a folder that holds some, itself or in `bdata`."""
        return holds_bdata(path)

    def subjects(self, path: Path, *, fields: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """The subjects that have a file, by the files' names: without the other files of a subject that has a pair."""
        return tuple(sorted(name for name, family in families(path).items() if family.main or path.is_file()))

    def read(
        self, path: Path, *, subject: str, sessions: Sequence[int], betas: str, fields: Mapping[str, str]
    ) -> Recording:
        """One subject in the laboratory's own unit: the voxels of all regions, or all voxels where there are none."""
        read_settings(fields, FIELDS)
        for name in ("partial", "anew"):
            is_yes(fields, name)
        if betas not in ("", "native"):
            raise UsageError(f"{path}: betas {betas!r} was asked for and BData knows only native; leave it out")
        if path.is_file():
            open_bdata(path)  # a damaged file says so itself
        found = families(path)
        known = tuple(sorted(found)) if subject else self.subjects(path)
        name = choose_subject(path, known, subject, what="BData files (dataset and metadata)")
        sided = found[name].sided
        files = [open_bdata(file) for file, _ in sided]
        for file in files[1:]:
            same_voxels(files[0], file)
        rows = _rows(files, [side for _, side in sided], fields)
        shown = _shown(path, rows, fields)
        stimuli, kept = shown.stimuli, shown.kept
        masks = regions_in(files[0])
        voxels = choose_voxels(masks, asked=fields.get("voxels", ""), voxels=len(files[0].brain))
        space, placed = space_of(files[0], subject=name)
        stimulus = rows.stimulus[kept]
        sides = _sides(path, stimulus, rows.side[kept], numbered=rows.numbered, table=shown.splits,
                       sound=stimuli.modality == "sound")  # fmt: skip
        splits = clip_splits(stimulus.tolist(), sides, what=stimuli.modality)
        values = np.concatenate([file.responses(voxels) for file in files])
        whole = Responses(
            values=values if kept.all() else values[kept],
            stimulus=stimulus,
            session=rows.session[kept],
            repeat=count_repeats(stimulus),
            space=space.take(voxels),
        )
        responses, usable, masked = chosen(path, whole, sessions)
        here = voxels[usable]
        gone = [key for key, mask in masks.items() if mask[voxels].any() and not mask[here].any()]
        return Recording(
            responses=responses,
            stimuli=stimuli,
            regions=regions_of({key: mask[here] for key, mask in masks.items()}, voxels=len(here)),
            splits=splits,
            masked=masked,
            notes=tuple(
                filter(None, (*rows.notes, *shown.notes, placed, *_said_of(found[name], files, gone=gone)))
            ),
            reader=self.name,
            source=str(path),
        )

    def inspect(self, path: Path, *, fields: Mapping[str, str] | None = None) -> Inspection:
        """What the files hold, subject by subject, and what of it is understood; reads no responses."""
        lines, found = [f"BData at {path}"], dict[str, object]()
        faults: list[InputError] = []
        for subject, family in sorted(families(path).items()):
            try:
                said, found[subject] = _looked_at(path, subject, family)
            except InputError as error:
                said, found[subject] = [f"  {error}"], {"fault": str(error)}
                faults.append(error)
            lines += [f"{subject}: {', '.join(file.name for file, _ in family.sided)}", *said]
        if faults and len(faults) == len(found):
            raise faults[0]
        return Inspection(lines=tuple(lines), facts={"format": "bdata", "subjects": found})


def _looked_at(path: Path, subject: str, family: Family) -> tuple[list[str], dict[str, object]]:
    """Lines and facts on one subject."""
    files = [open_bdata(file) for file, _ in family.sided]
    for file in files[1:]:
        same_voxels(files[0], file)
    rows = _rows(files, [side for _, side in family.sided], {})
    shown = _shown(path, rows, {"partial": "yes"})
    stimuli, masks = shown.stimuli, regions_in(files[0])
    regions = {region.name: int(region.mask.sum()) for region in regions_of(masks, voxels=len(files[0].brain))}
    fault = ""
    try:
        given = _sides(path, rows.stimulus, rows.side, numbered=rows.numbered, table=shown.splits,
                       sound=stimuli.modality == "sound")  # fmt: skip
    except InputError as error:
        given, fault = {}, str(error)
    sides = Counter(given.values())
    said = (*rows.notes, *shown.notes, space_of(files[0], subject=subject)[1], *_said_of(family, files), fault)
    lines = [
        f"  {int(shown.kept.sum())} rows of {len(stimuli.ids)} stimuli ({stimuli.modality}), "
        f"{len(files[0].brain)} voxels, {counted(len(np.unique(rows.session)), 'session')}",
        *([] if fault else [f"  {sides['train']} training and {sides['test']} test {_what(stimuli.modality)}"]),
        f"  regions: {', '.join(f'{name} {count}' for name, count in regions.items())}",
        f"  columns: {', '.join(files[0].columns)}",
        *(f"  {note}" for note in said if note),
    ]
    facts = {"rows": len(shown.kept), "stimuli": len(stimuli.ids), "regions": regions, "sides": dict(sides)}
    return lines, facts | ({"fault": fault} if fault else {})


def _said_of(family: Family, files: Sequence[BDataFile], *, gone: Sequence[str] = ()) -> tuple[str, ...]:
    """Sentences on what was not read: files, sides, regions."""
    said = []
    (path, side), lone = family.sided[0], HALF.search(family.sided[0][0].stem)
    if lone and not side and "DataType" not in files[0].columns:
        other = "test" if lone[0].lower().startswith("train") else "training"
        said.append(f"{path.name} has no {other} file beside it: what is tested is not what the laboratory tested")
    if family.beside and family.main:
        those = ", ".join(family.beside)
        said.append(f"not read, for they are subjects of their own (inspect lists them): {those}")
    if files[0].strange:
        said.append(f"not regions, for they hold other numbers than 1 and 0: {', '.join(files[0].strange)}")
    if gone:
        said.append(f"regions left out, for none of their voxels is usable: {', '.join(gone)}")
    return tuple(said)


def _what(modality: str) -> str:
    return "clips" if modality == "sound" else "images"


def _rows(files: Sequence[BDataFile], sides: Sequence[str], fields: Mapping[str, str]) -> Rows:
    """The rows of all files, one file after the other."""
    notes: list[str] = []
    keys = [_stimulus_key(file, fields) for file in files]
    for file, key in zip(files[1:], keys[1:], strict=True):
        want, had = _named_by(files[0], keys[0]), _named_by(file, key)
        if want != had:
            want = f"{want}, as {files[0].path.name} has it"
            raise InputError(expected(file.path, want, had, "name a key of both with --fields stimulus=KEY"))
    numbered = keys[0] not in files[0].texts
    stimulus = [file.labels(key) for file, key in zip(files, keys, strict=True)]
    notes.extend(said for file, key in zip(files, keys, strict=True) for said in file.said_of(key))
    found = [_side(file, side) for file, side in zip(files, sides, strict=True)]
    if is_yes(fields, "anew"):
        if not numbered:
            raise UsageError(f"--fields anew=yes: {files[0].path.name} names its stimuli by texts; leave it out")
        stimulus = [
            np.where((part == "test") & (name != ""), np.char.add("test", name), name)
            for part, name in zip(found, stimulus, strict=True)
        ]
    session = _sessions(files, fields, notes)
    imagined = sum(int((part == "none").sum()) for part in found)
    blank = sum(int((part == "").sum()) for part in stimulus)
    if imagined:
        notes.append(f"{imagined} rows of a DataType that is neither 1 nor 2 (3 is imagery) are left out")
    if blank:
        notes.append(f"{blank} rows without a stimulus (rest) are left out")
    return Rows(
        stimulus=np.concatenate(
            [np.where(part == "none", "", name) for part, name in zip(found, stimulus, strict=True)]
        ),
        session=session,
        side=np.concatenate(found),
        numbered=numbered,
        notes=tuple(notes),
    )


def _named_by(file: BDataFile, key: str) -> str:
    return f"{key} {'with' if key in file.texts else 'without'} texts in vmap"


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


def _sides(
    path: Path, stimulus: NDArray[np.str_], side: NDArray[np.str_], *, numbered: bool, table: Mapping[str, str],
    sound: bool,
) -> dict[str, str]:
    """clip -> "train" or "test" by the files, else by the table of clips; empty where nothing says so.

    Clips of both sides, and clips of which file and table say different sides, are an InputError.
    """
    sides: dict[str, str] = {}
    both: dict[str, None] = {}
    clips = groups_of(stimulus.tolist(), sound=sound).tolist()
    for clip, part in zip(clips, side.tolist(), strict=True):
        if clip and part in ("train", "test") and sides.setdefault(clip, part) != part:
            both[clip] = None
    if both:
        came = f"{min(both)!r} in both" + f" and {len(both) - 1} more" * (len(both) > 1)
        then = "take it out of one of the two"
        if numbered:
            then += ", or give --fields anew=yes if these numbers are other images in the test file"
        raise InputError(expected(path, "stimuli that are training or test", came, then))
    if not sides:
        shown = set(filter(None, clips))
        return {clip: part for clip, part in table.items() if clip in shown}
    other = [clip for clip in sides if table.get(clip, sides[clip]) != sides[clip]]
    if other:
        came = f"{table[other[0]]} for {other[0]!r} ({len(other)} of {len(sides)} clips)"
        then = "correct the column split, or take it out"
        raise InputError(expected(f"{path}, stimuli.tsv", f"{sides[other[0]]}, as the data say", came, then))
    return sides


def _shown(path: Path, rows: Rows, fields: Mapping[str, str]) -> Shown:
    """The stimuli of the rows and which rows have one; none at all is an InputError."""
    shown: Bool = rows.stimulus != ""
    if not shown.any():
        raise InputError(
            expected(path, "rows that showed a stimulus", "none", "name the key with --fields stimulus=KEY")
        )
    names = rows.stimulus[shown]
    ids = tuple(sorted(set(names.tolist())))
    check_ids(ids, str(path))
    window, hop = seconds_of(fields, "window_s", 0), seconds_of(fields, "hop_s", 0)
    given, homes = given_folder(path, fields), homes_of(path)
    places = [given] if given else [home / name for home in homes for name in ("images", "stimuli")]
    folder = next((place for place in places if optional_folder(place, what="a folder of stimuli")), None)
    if folder is not None and _has_images(folder):
        opener, modality = folder_media(folder, ids, partial=is_yes(fields, "partial"), then=GO_ON)
        stimuli = Stimuli(ids=tuple(opener.files), modality=modality, opener=opener)
        kept = np.isin(rows.stimulus, np.array(stimuli.ids, np.str_))
        said = without_media(ids, in_part(ids, opener.files))
        return Shown(stimuli=stimuli, kept=kept, splits={}, notes=(*((said,) * bool(said)), *opener.notes()))
    clips = find_clips(homes, given)
    if clips.folder is None and not any(SLIDE in name for name in ids):
        stimuli = Stimuli(ids=ids, modality="image", opener=NoMedia(where=str(path)))
        return Shown(stimuli=stimuli, kept=shown, splits={}, notes=())
    here, said = heard(clips, names, where=str(path), partial=is_yes(fields, "partial"))
    kept = shown.copy()
    kept[shown] = here
    if clips.folder is None:
        said = f"there is no folder of sounds beside {path.name}: responses alone are read"
    heard_of = names[here].tolist()
    stimuli = stimuli_of(clips, heard_of, where=str(path), window_s=window, hop_s=hop)
    notes = tuple(filter(None, (said, *clips.partly(heard_of))))
    return Shown(stimuli=stimuli, kept=kept, splits=clips.splits, notes=notes)


def _has_images(folder: Path) -> bool:
    return any(file.suffix.lower() in IMAGE_ENDINGS for file in listed(folder))


ENTRIES = (BData(),)
