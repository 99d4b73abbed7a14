"""Reads any laboratory's own arrays from one HDF5 or npz file; `pack` makes such a file. The format: docs/own_data.md.

Two fields are enough: `responses` (trial, voxel) and either `stimulus` (trial,) with pictures beside the file, or
`images`, one a trial. Whatever else a file holds is left alone.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain import hdf5, npz
from brain.averages import count_repeats
from brain.catalogue import unknown
from brain.errors import InputError, UsageError, counted, expected
from brain.files import ZIP_MAGIC, composed, is_hdf5, optional, present
from brain.json_files import as_object, read_json
from brain.leaks import NEAR, content_sha256, look_at, twins_of
from brain.names import one_line
from brain.nifti import must_be_affine
from brain.origin import plain
from brain.readers import Inspection
from brain.readers._bdata_file import is_bdata
from brain.readers._media import (
    GO_ON,
    ArrayImages,
    NoMedia,
    array_images,
    by_ending,
    check_ids,
    examples,
    folder_media,
    likely_folder,
    without_media,
)
from brain.readers._sittings import is_yes
from brain.splits import leave_out, tenth_by_hash
from brain.tables import apart, as_ids, as_mask, in_part, unpadded, whole_numbers
from brain.types import LEAVE_OUT, Float, Int, Recording, Region, Responses, Split, Stimuli, VoxelSpace
from brain.validity import Validity, must_be_measured, without_dropped

DIGEST = "packed_sha256"
FIELDS: Mapping[str, str] = {
    "responses": "(trial, voxel) numbers",
    "stimulus": "(trial,) text or whole numbers, the stimulus of each trial",
    "images": "(image, H, W) or (image, H, W, 3) numbers in 0..1 or 0..255, or binary",
    "image_ids": "(image,) text or whole numbers, the stimulus that each image is",
    "folder": "text, the folder of image or sound files, relative to the file",
    "session": "(trial,) whole numbers",
    "repeat": "(trial,) whole numbers, 0 for a stimulus' first showing",
    "group": "(trial,) text or whole numbers; each is left out in turn",
    "ncsnr": "(voxel,) numbers, noise ceiling SNR",
    "ijk": "(voxel, 3) whole numbers, the voxels' places in the volume",
    "shape": "(3,) whole numbers, X, Y, Z of the volume",
    "affine": "(4, 4) numbers, voxel index -> millimetres",
    "subject": "text",
    "unit": "text, such as psc or z",
    "betas": "text, where the responses come from",
    "simulated": "text, what simulated the responses; absent for a recorded brain",
    "captions": "(caption,) text",
    "caption_ids": "(caption,) text or whole numbers, the stimulus of each caption",
    "label_ids": "(labelled,) text or whole numbers, the stimuli that `labels` speaks of",
    "labels": "group of (labelled,) text, such as labels/category",
    "roi": "group of (voxel,) booleans, one a region, such as roi/V1",
    DIGEST: "text, JSON of field -> sha256, of every field but responses and images as `pack` wrote it",
    "split": "group of groups of text, split/<name>/train and split/<name>/test: stimulus ids",
}
"""The fields of the format. Only `responses` must be there."""

PARTIAL = "partial"
"""No field of a file: "yes" leaves out the trials of stimuli that have no picture or sound."""
COLUMNS = ("session", "repeat", "group")
"""Fields of one value a trial: an array may be several of them at once."""
GROUPS = ("roi", "labels", "split")
"""Fields of which each is a group of arrays."""
VALIDATION = ("val", "valid", "validation", "dev")
"""What others call the part of a split by which a training is stopped; here folds of the training stimuli do that."""
LEAVE_OUT_UP_TO = 200
"""So many stimuli or fewer are also offered to be left out one by one."""
TENTH_FROM = 50
"""From so many stimuli a tenth is a test set."""
COPIES, COPIES_OF = 4000, 64
"""Images without names among which copies are looked for, and of how many of them."""
LOOK_BYTES = 2**28
"""Images in HDF5 are all looked at, to tell what numbers they hold, up to so many bytes; else LOOK_AT of them are."""
LOOK_AT = 256


@dataclass(frozen=True)
class Box:
    """The fields of one file, HDF5 or npz, under our names: `fields` says what the file calls them.

    partial whether stimuli without a picture or sound, and their trials, may be left out
    notes   sentences on what was decided or left out while the fields were read
    """

    path: Path
    fields: Mapping[str, str]
    names: tuple[str, ...]
    is_hdf5: bool
    partial: bool = False
    notes: list[str] = field(default_factory=list)

    def __contains__(self, name: str) -> bool:
        theirs = self.fields.get(name, name)
        within = [other for other in self.names if _is_within(other, theirs)]
        inside = [other for other in within if other != theirs] or within  # a group that is listed with what it holds
        return any(not self._is_another(name, other) for other in inside)

    def _is_another(self, name: str, theirs: str) -> bool:
        """Is this array said to be another field than `name`? It is that alone then, but a session may be a group."""
        if name in self.fields:
            return False
        whole = name not in GROUPS  # a group's other arrays stay in it
        said = self.fields.items()
        taken = [ours for ours, other in said if (_is_within(other, name) if whole else _is_within(theirs, other))]
        return any(ours not in COLUMNS or name not in COLUMNS for ours in taken)

    def read(self, name: str) -> NDArray[Any]:
        """The whole array of a field."""
        theirs = self.fields.get(name, name)
        if name not in self:
            came = f"a file with {', '.join(self.names)[:200] or 'nothing'}"
            raise InputError(expected(self.path, f"the field {theirs!r}", came, "add it, or name it with --fields"))
        if not self.is_hdf5:
            return npz.read_npz(self.path, [theirs])[theirs]
        with hdf5.open_hdf5(self.path, [theirs]) as data:
            if theirs not in data:
                raise InputError(
                    expected(f"{self.path}, {theirs}", FIELDS.get(name, "an array"), "a group", "rename it")
                )
            self._note(data.values())
            return hdf5.plain(data[theirs], f"{self.path}, {theirs}")

    def group(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of a group, by their names in it; none where the file has no such group."""
        theirs = self.fields.get(name, name)
        if not self.is_hdf5:
            inside = [other for other in self.names if _is_within(other, theirs)]
            arrays = npz.read_npz(self.path, inside)
        else:
            with hdf5.open_hdf5(self.path, [], optional=[theirs]) as data:
                self._note(data.values())
                arrays = {key: hdf5.plain(dataset, f"{self.path}, {key}") for key, dataset in data.items()}
        if theirs in arrays:
            then = f"call the array {theirs}/<name>, each its own"
            raise InputError(expected(f"{self.path}, {theirs}", FIELDS[name], "one array", then))
        own = {key: values for key, values in arrays.items() if not self._is_another(name, key)}
        return {key.removeprefix(f"{theirs}/"): values for key, values in own.items()}

    def images(self) -> tuple[ArrayImages, int]:
        """The opener of the field `images`, not yet told whose is whose, and how many there are.

        HDF5 is streamed, but not what MATLAB saved: one image is strewn over the whole data set there.
        """
        theirs, where = self.fields.get("images", "images"), f"{self.path}, images"
        if not self.is_hdf5 or self._strewn(theirs):
            whole = self.read("images")
            return array_images(whole.__getitem__, shape=whole.shape, dtype=whole.dtype, where=where), len(whole)
        with hdf5.open_hdf5(self.path, [theirs], streamed=[theirs]) as data:
            images = data[theirs]
            shape, dtype = images.shape, images.dtype
            look = None
            if images.nbytes > LOOK_BYTES:
                look = np.unique(np.linspace(0, shape[0] - 1, LOOK_AT).astype(int)).tolist()
            opener = array_images(images.__getitem__, shape=shape, dtype=dtype, where=where, look=look)
        return replace(opener, row=Hdf5Rows(self.path, theirs)), int(shape[0])


    def _strewn(self, theirs: str) -> bool:
        with hdf5.open_hdf5(self.path, [theirs], streamed=[theirs]) as data:
            return isinstance(data[theirs], hdf5.OfMatlab)

    def _note(self, read: Iterable[Any]) -> None:
        if any(isinstance(one, hdf5.OfMatlab) for one in read):
            self.notes.append(hdf5.OF_MATLAB)


@dataclass(frozen=True)
class Hdf5Rows:
    """Reads one row of an HDF5 data set at a time, of which whoever makes it has asked whether it was ever written."""

    path: Path
    name: str

    def __call__(self, number: int) -> NDArray[Any]:
        """Row `number` of the data set."""
        with hdf5.open_hdf5(self.path, [self.name], streamed=[self.name], sparse=[self.name]) as data:
            return np.asarray(data[self.name][number])


def _is_within(name: str, group: str) -> bool:
    """Is `name` this group, or in it?"""
    return name == group or name.startswith(f"{group}/")


def open_box(path: Path, fields: Mapping[str, str]) -> Box:
    """The file as a box of fields; `fields` goes before those of a <file>.fields.json beside it.

    A name that the file does not hold, in whatever group, is an InputError with the nearest ones.
    """
    head = _head(present(path, what="an .h5, .hdf5 or .npz file", then="give the path of one"))
    of_hdf5 = is_hdf5(path)
    archive = not of_hdf5 and (path.suffix.lower() == ".npz" or head.startswith(ZIP_MAGIC))
    mapping = {**_sidecar(path), **fields}
    leaves_out = is_yes(mapping, PARTIAL)
    mapping.pop(PARTIAL, None)
    for ours in mapping:
        if ours not in FIELDS:
            raise UsageError(unknown("field", ours, (*FIELDS, PARTIAL)))
    names = npz.names_in(path) if archive else hdf5.names_in(path, tuple(mapping.values()))
    for ours, theirs in mapping.items():
        if any(_is_within(name, theirs) for name in names):
            continue
        if ours == "folder" and _inside(path, theirs):
            continue  # the folder itself
        near = difflib.get_close_matches(theirs, names, n=3)
        came = f"a file with {', '.join(near or names)[:200]}"
        then = "correct --fields" + (f", or put a folder {theirs!r} beside the file" if ours == "folder" else "")
        raise InputError(expected(path, f"the field {theirs!r} for {ours}", came, then))
    return Box(path, mapping, names, of_hdf5, leaves_out)


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(8)


def _beside(path: Path) -> tuple[Path, ...]:
    """The file as it is called, and, where that is a link, the file it leads to: what lies beside either belongs to it.

    DataLad and laboratories' stores keep the file under another name elsewhere, and pictures beside the link.
    """
    return tuple(dict.fromkeys((Path(os.path.abspath(path)), path.resolve())))


def _sidecar(path: Path) -> dict[str, str]:
    what, then = 'JSON such as {"group": "run"}', "correct it"
    for file in _beside(path):
        beside = optional(file.with_name(f"{file.name}.fields.json"), what=what)
        if beside is None:
            continue
        table = read_json(beside, what=what, then=then)
        strange = [theirs for theirs in table.values() if not isinstance(theirs, str)]
        if strange:
            raise InputError(expected(beside, what, f"{strange[0]!r} for a name", then))
        return dict(table)
    return {}


class Arrays:
    """The reader of data of one's own: one file, one subject."""

    name = "arrays"
    title = "data of your own, an .h5, .hdf5 or .npz with `responses`; see docs/own_data.md"

    def recognises(self, path: Path) -> bool:
        """A file that ends in .h5, .hdf5 or .npz, or is HDF5 whatever its name, and no BData."""
        if not path.is_file() or not os.access(path, os.R_OK):
            return False
        named = path.suffix.lower() in (".h5", ".hdf5", ".npz")
        return (named or is_hdf5(path)) and not is_bdata(path)

    def subjects(self, path: Path) -> tuple[str, ...]:
        """The one subject of the file: its field `subject`, else the file's name."""
        return (_text(open_box(path, {}), "subject", path.stem),)

    def read(
        self, path: Path, *, subject: str, sessions: Sequence[int], betas: str, fields: Mapping[str, str]
    ) -> Recording:
        """The file's subject in the laboratory's own unit."""
        box = open_box(path, fields)
        _check_digest(box)
        values = _responses(box)
        trials, voxels = values.shape
        _check_turned(box, trials, voxels)
        stimulus, stimuli = _stimulus(box, trials)
        session = _whole(box, "session", trials, np.ones(trials, np.int64))
        repeat = _whole(box, "repeat", trials, count_repeats(stimulus))
        space = _space(box, voxels)
        _check_asked(path, space, subject=subject, betas=betas)
        responses = Responses(values=values, stimulus=stimulus, session=session, repeat=repeat, space=space)
        shown = frozenset(stimulus.tolist())
        rows = _session_rows(path, session, tuple(sessions))
        rows = rows[np.isin(stimulus[rows], np.array(stimuli.ids, np.str_))]
        responses, kept, dropped = without_dropped(responses.trials(rows), path)
        rows = rows[kept]
        box.notes.extend(dropped)
        usable, masked = _usable(path, responses.values, responses.session)
        # without pictures nobody knows that ids called like windows are none
        sound = stimuli.modality == "sound" or isinstance(stimuli.opener, NoMedia)
        splits, left_out = _splits(box, responses.stimulus, rows, trials=trials, shown=shown, sound=sound)
        return Recording(
            responses=responses.voxels(np.flatnonzero(usable)),
            stimuli=stimuli,
            regions=_regions(box, voxels, usable),
            splits=splits,
            left_out=left_out,
            ncsnr=_ncsnr(box, voxels, usable),
            masked=masked,
            notes=tuple(dict.fromkeys(box.notes)),
            reader=self.name,
            source=str(path),
            simulated=plain(_text(box, "simulated", "")),
        )

    def inspect(self, path: Path, *, fields: Mapping[str, str] | None = None) -> Inspection:
        """What the file holds, which of it is understood, what would be left out, and every part that is at fault."""
        box = open_box(path, fields or {})
        try:
            recording = self.read(path, subject="", sessions=(), betas="", fields=fields or {})
        except InputError as error:
            line = f"data of your own at {path}, with {', '.join(box.names)[:500]}"
            problems = tuple(dict.fromkeys((*_faults(box), str(error))))
            return Inspection(lines=(line,), facts={"format": "arrays"}, problems=problems)
        responses, stimuli = recording.responses, recording.stimuli
        families = sorted({split.name if LEAVE_OUT not in split.name else LEAVE_OUT for split in recording.splits})
        regions = {region.name: int(region.mask.sum()) for region in recording.regions}
        understood = [name for name in FIELDS if name in box]
        used = [box.fields.get(name, name) for name in understood]
        known = [name for name in box.names for one in used if _is_within(name, one) or _is_within(one, name)]
        ignored = in_part(box.names, known)
        lines = [
            f"data of your own at {path}, subject {responses.space.subject}, unit {responses.space.unit}",
            f"{len(responses.values)} trials of {len(stimuli.ids)} stimuli ({stimuli.modality}), "
            f"{len(responses.space)} voxels, {counted(len(np.unique(responses.session)), 'session')}",
            f"regions: {', '.join(f'{name} {count}' for name, count in regions.items())}",
            f"splits: {', '.join(families)}",
            f"fields: {', '.join(understood)}" + (f"; not used: {', '.join(ignored)}" if ignored else ""),
            f"absent: {', '.join(name for name in FIELDS if name not in understood)}",
            *recording.masked,
            *recording.notes,
        ]
        facts = {
            "format": "arrays",
            "trials": len(responses.values),
            "voxels": len(responses.space),
            "stimuli": len(stimuli.ids),
            "modality": stimuli.modality,
            "regions": regions,
            "splits": [split.name for split in recording.splits],
            "fields": understood,
            "ignored": list(ignored),
        }
        return Inspection(lines=tuple(lines), facts=facts, recording=recording)


def field_sha256(values: Any) -> str:
    """The digest of a small field, of its type, shape and values: what `pack` notes and reading compares."""
    array = np.asarray(values)
    is_text = array.dtype.kind in "UO"
    data = json.dumps(array.ravel().tolist()).encode() if is_text else np.ascontiguousarray(array).tobytes()
    head = f"{'text' if is_text else array.dtype.str} {array.shape} "
    return hashlib.sha256(head.encode() + data).hexdigest()


def _check_digest(box: Box) -> None:
    """Refuses fields that are not what `pack` wrote, where the file says what that was."""
    if not box.is_hdf5 or DIGEST not in box.names:
        return
    with hdf5.open_hdf5(box.path, [DIGEST]) as data:
        text = np.asarray(data[DIGEST][()]).tobytes().rstrip(b"\0")
    then = f"fetch the file again; if it was changed on purpose, take the field {DIGEST} out"
    facts = as_object(text, f"{box.path}, {DIGEST}", what=FIELDS[DIGEST], then=then)
    written = {str(name): str(digest) for name, digest in facts.items()}
    with hdf5.open_hdf5(box.path, list(written), then=then) as data:
        for name, digest in written.items():
            if name not in data or field_sha256(hdf5.plain(data[name], f"{box.path}, {name}")) != digest:
                raise InputError(expected(f"{box.path}, {name}", "what was packed (sha256)", "other values", then))


def _responses(box: Box) -> Float:
    return as_responses(box.read("responses"), f"{box.path}, responses")


def as_responses(values: NDArray[Any], where: object) -> Float:
    """(trial, voxel) float32 of numbers of two axes; a volume, one axis, text or no numbers are an InputError."""
    if values.ndim == 2 and values.dtype.kind in "iuf" and all(values.shape):
        with np.errstate(over="ignore"):  # numbers beyond float32 become infinity, which is reported
            return values.astype(np.float32)
    then = "store trials as rows"
    if values.ndim == 4 and values.dtype.kind in "iuf":
        then = "flatten the volume, trials as rows: betas.reshape(-1, trials).T where trials are the last axis"
    raise InputError(expected(where, FIELDS["responses"], f"{values.dtype} {values.shape}", then))


def _check_turned(box: Box, trials: int, voxels: int) -> None:
    """Refuse responses of (voxel, trial): what goes by trials is as long as a row, and nothing as a column."""
    given = [name for name in ("stimulus", "session", "repeat", "group") if name in box]
    lengths = {name: _flat(box.read(name)).shape[0] for name in given}
    turned_by = [name for name, length in lengths.items() if length == voxels]
    if turned_by and trials not in lengths.values():
        raise InputError(turned(f"{box.path}, responses", (trials, voxels), turned_by[0], voxels))


def turned(where: object, shape: tuple[int, int], name: str, length: int) -> str:
    """The sentence on responses whose columns, not rows, are as many as the trials that `name` speaks of."""
    found = f"{shape} and {length} trials in {name} (transposed?)"
    return expected(where, FIELDS["responses"], found, "store trials as rows: responses.T")


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    """A vector that came as one column, one row or one number, as MATLAB stores them, with one axis."""
    lone = values.ndim == 0 or (values.ndim == 2 and 1 in values.shape)
    return values.reshape(-1) if lone else values


def _texts(values: NDArray[Any], where: str) -> NDArray[np.str_]:
    """Text as it is, whole numbers in their plain form, (n,)."""
    return as_ids(_flat(values), where)


def _names(box: Box, name: str, values: NDArray[Any]) -> NDArray[np.str_]:
    """(n,) ids as text, accents composed, without the blanks that fill the rows of MATLAB's char arrays; both noted."""
    where = f"{box.path}, {name}"
    ids = _texts(values, where)
    bare = unpadded(ids, where)
    whole = apart(bare, map(composed, bare.tolist()), where, found="only in how accents are stored")
    for before, after, said in (
        (ids, bare, "blanks at the end of {} ids are left out"),
        (bare, whole, "accents of {} ids are composed (a Mac takes them apart)"),
    ):
        changed = int((before != after).sum())
        if changed:
            box.notes.append(f"{name}: " + said.format(f"{changed} of {len(ids)}"))
    return whole


def _ids(box: Box, name: str, length: int | None = None) -> NDArray[np.str_]:
    ids = _names(box, name, box.read(name))
    _check_length(box, name, ids, length)
    return ids


def _check_length(box: Box, name: str, values: NDArray[Any], length: int | None) -> None:
    if length is not None and len(values) != length:
        came = f"shape {values.shape}"
        raise InputError(expected(f"{box.path}, {name}", f"{FIELDS[name]}, {length} of them", came, "correct it"))


def _whole(box: Box, name: str, length: int, default: Int) -> Int:
    if name not in box:
        return default
    values = _flat(box.read(name))
    if values.shape == (length,) and values.dtype.kind in "SU":
        first = min(_texts(values, f"{box.path}, {name}").tolist())
        then = f"number them: 1 for {first!r}, and so on"
        raise InputError(expected(f"{box.path}, {name}", FIELDS[name], f"text such as {first!r}", then))
    if values.shape != (length,) or values.dtype.kind not in "iuf" or not whole_numbers(values).all():
        came = f"{values.dtype} {values.shape}"
        if values.shape == (length,) and values.dtype.kind in "iuf":
            came = f"{values[~whole_numbers(values)][0]:g} in {values.dtype}"
        raise InputError(expected(f"{box.path}, {name}", f"{FIELDS[name]}, {length} of them", came, "correct it"))
    return values.astype(np.int64)


def _places(box: Box, name: str, shape: tuple[int, ...]) -> Int:
    values = _numbers(box, name, shape)
    if not whole_numbers(values).all():
        raise InputError(expected(f"{box.path}, {name}", FIELDS[name], "others", "correct it"))
    return values.astype(np.int64)


def _text(box: Box, name: str, default: str) -> str:
    if name not in box:
        return default
    values = box.read(name)
    if values.ndim == 2 and values.dtype.kind in "iuf" and min(values.shape) > 1:
        then = f"name it with --fields responses={name} if these are the responses"
        raise InputError(expected(f"{box.path}, {name}", FIELDS[name], f"{values.dtype} {values.shape}", then))
    texts = _texts(values, f"{box.path}, {name}")
    if len(texts) != 1:
        raise InputError(expected(f"{box.path}, {name}", "one text", f"{len(texts)} of them", "store one"))
    return one_line(str(texts[0]).rstrip(" \0"), f"{box.path}, {name}")


def _numbers(
    box: Box, name: str, shape: tuple[int, ...], *, of: NDArray[np.bool_] | slice = slice(None)
) -> NDArray[np.float64]:
    """The numbers of a field of this shape; those `of` its first axis that count are finite."""
    values = box.read(name)
    values = _flat(values) if len(shape) == 1 else values
    if values.shape != shape or values.dtype.kind not in "iuf" or not np.isfinite(values[of]).all():
        came = f"{values.dtype} {values.shape}" + (" with NaN or infinity" if values.shape == shape else "")
        raise InputError(expected(f"{box.path}, {name}", f"{FIELDS[name]}, finite, shape {shape}", came, "correct it"))
    return values.astype(np.float64)


def _space(box: Box, voxels: int) -> VoxelSpace:
    lone = np.stack([np.arange(voxels), np.zeros(voxels, int), np.zeros(voxels, int)], axis=1)
    ijk = _places(box, "ijk", (voxels, 3)) if "ijk" in box else lone
    least = ijk.max(axis=0) + 1
    shape = _places(box, "shape", (3,)) if "shape" in box else least
    if ijk.min() < 0 or (shape < least).any() or len(np.unique(ijk, axis=0)) < voxels:
        came = f"ijk {ijk.min(axis=0).tolist()}..{(least - 1).tolist()} in {shape.tolist()}"
        raise InputError(expected(box.path, "each voxel's own place in the volume", came, "correct ijk or shape"))
    return VoxelSpace(
        subject=_text(box, "subject", box.path.stem),
        name="native",
        betas=_text(box, "betas", "native"),
        unit=_text(box, "unit", "native"),
        shape=(int(shape[0]), int(shape[1]), int(shape[2])),
        affine=_affine(box),
        ijk=ijk,
    )


def _affine(box: Box) -> NDArray[np.float64]:
    return must_be_affine(box.read("affine"), f"{box.path}, affine") if "affine" in box else np.eye(4)


def _check_asked(path: Path, space: VoxelSpace, *, subject: str, betas: str) -> None:
    for name, asked, have in (("subject", subject, space.subject), ("betas", betas, space.betas)):
        if asked not in ("", have):
            raise UsageError(f"{path}: {name} {asked!r} was asked for and the file holds {have!r}; leave it out")


def _session_rows(path: Path, session: Int, sessions: tuple[int, ...]) -> Int:
    missing = sorted(set(sessions) - set(session.tolist()))
    if missing:
        there = np.unique(session).tolist()
        raise InputError(expected(path, f"session {missing[0]}", f"a file with sessions {there}", "name others"))
    return np.flatnonzero(np.isin(session, sessions)) if sessions else np.arange(len(session))


def _usable(path: Path, values: Float, session: Int) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """(voxel,) bool, the voxels that can be used, by the (trial,) sessions, and why others cannot."""
    validity = Validity(values.shape[1])
    for one in np.unique(session).tolist():
        validity.look(values[session == one], one)
    if not validity.usable.any():
        raise InputError(f"{path}: {'; '.join(validity.sentences())}; no voxel is left to decode")
    return validity.usable, validity.sentences()


def _stimulus(box: Box, trials: int) -> tuple[NDArray[np.str_], Stimuli]:
    """(trial,) ids, and the stimuli they name."""
    ids = _ids(box, "stimulus", trials) if "stimulus" in box else None
    if "images" in box:
        images, count = box.images()
        box.notes.extend(filter(None, [images.note]))
        stimulus, rows = _whose(box, ids, images, count=count, trials=trials)
        known = tuple(sorted(rows))
        check_ids(known, str(box.path))
        shown = sorted(set(stimulus.tolist()))
        missing = in_part(shown, known)
        box.notes.extend(filter(None, [without_media(shown, missing)]))
        return stimulus, _described(box, known, replace(images, rows=rows), "image", without=missing)
    if ids is None:
        then = "add `stimulus`, the id of what each trial showed, or name it with --fields stimulus=..."
        raise InputError(expected(box.path, "stimulus or images", "neither", then))
    known = tuple(sorted(set(ids.tolist())))
    check_ids(known, str(box.path))
    folder = _folder(box)
    if folder is None:
        likely = likely_folder((file.parent for file in _beside(box.path)), known)
        return ids, _described(box, known, NoMedia(where=str(box.path), likely=likely), "image")
    opener, modality = folder_media(folder, known, partial=box.partial, then=GO_ON)
    missing = in_part(known, opener.files)
    box.notes.extend(filter(None, [without_media(known, missing), *opener.notes()]))
    return ids, _described(box, tuple(opener.files), opener, modality, without=missing)


def _whose(
    box: Box, ids: NDArray[np.str_] | None, images: ArrayImages, *, count: int, trials: int
) -> tuple[NDArray[np.str_], dict[str, int]]:
    """Which image is which stimulus: by `image_ids`; or one a trial; or, for whole-number ids, by row."""
    if "image_ids" in box:
        names = _ids(box, "image_ids", count).tolist()
        rows = {name: number for number, name in enumerate(names)}
        if ids is None:
            then = "add stimulus, the id of what each trial showed"
            raise InputError(expected(box.path, "stimulus beside image_ids", "image_ids alone", then))
        if len(rows) < count:
            twice = next(name for number, name in enumerate(names) if rows[name] != number)
            raise InputError(expected(f"{box.path}, image_ids", "ids that differ", f"{twice!r} twice", "correct it"))
        return ids, _only_shown(box, ids, rows)
    if count == trials:
        return _one_a_trial(box, ids, images, trials)
    if ids is None or not all(name.isdigit() for name in ids.tolist()):
        want = f"{trials} images, one a trial, or image_ids"
        shape = box.read("responses").shape
        if ids is None and count == shape[1]:
            raise InputError(turned(f"{box.path}, responses", shape, "images", count))
        then = "add image_ids"
        if ids is None:
            then = "add stimulus, the id or the row of images that each trial showed, or name it: --fields stimulus=..."
        raise InputError(expected(f"{box.path}, images", want, f"{count} images without", then))
    shown = _only_shown(box, ids, {str(number): number for number in range(count)})
    if "0" not in shown:
        said = "stimulus holds whole numbers, taken as rows of images counted from 0, and row 0 was never shown"
        box.notes.append(f"{said}: give image_ids if they count from 1")
    return ids, shown


def _only_shown(box: Box, ids: NDArray[np.str_], rows: Mapping[str, int]) -> dict[str, int]:
    shown = set(ids.tolist())
    missing = sorted(shown - set(rows))
    from_one = "image_ids" not in box and str(len(rows)) in missing and "0" not in shown
    if missing and (not box.partial or len(missing) == len(shown) or from_one):
        came = f"none for stimulus {examples(missing)} ({len(missing)} of {len(shown)})"
        then = "correct the ids"
        if "image_ids" not in box:
            came += f", for {len(rows)} images are rows 0 to {len(rows) - 1}"
            then = "count from 0, or give image_ids"
        elif ending := by_ending(missing, rows):
            came += f"; ids in image_ids differ from these by {ending!r} alone"
            then = f"write both with {ending!r}, or both without"
        elif len(missing) < len(shown):
            then += GO_ON
        raise InputError(expected(f"{box.path}, images", "an image for every stimulus", came, then))
    return {name: rows[name] for name in shown if name in rows}


def _one_a_trial(
    box: Box, ids: NDArray[np.str_] | None, images: ArrayImages, trials: int
) -> tuple[NDArray[np.str_], dict[str, int]]:
    """Image t is what trial t showed. Equal images are one stimulus; where ids are given they must say so too."""
    digests = [content_sha256(images.image(trial)) for trial in range(trials)]
    names = ids.tolist() if ids is not None else [f"image-{digest[:12]}" for digest in digests]
    rows: dict[str, int] = {}
    for trial, name in enumerate(names):
        first = rows.setdefault(name, trial)
        if digests[first] != digests[trial]:
            came = f"two different ones, in trials {first} and {trial} (0-based)"
            then = "give each image its own id, or give image_ids"
            raise InputError(expected(f"{box.path}, images", f"one image for stimulus {name!r}", came, then))
    if ids is not None:
        _check_order(box, names, digests)
    else:
        box.notes.extend(_near_copies(images, dict(list(rows.items())[:COPIES])))
    return np.array(names, np.str_), rows


def _inside(path: Path, text: str) -> Path | None:
    """The folder that a text names within the file's own, or the one of the link that the file is; None for no such."""
    plain_path = bool(text) and not Path(text).is_absolute() and ".." not in Path(text).parts
    return next((file.parent / text for file in _beside(path) if plain_path and (file.parent / text).is_dir()), None)


def _near_copies(images: ArrayImages, rows: Mapping[str, int]) -> tuple[str, ...]:
    """A sentence where images that nobody named differ by no more than copies do that were compressed or scaled."""
    looks = look_at(((name, images.image(row)) for name, row in rows.items()), count=len(rows))
    some = looks.ids[:: -(-len(looks.ids) // COPIES_OF)]
    twins = [twin for twin in twins_of(looks, looks.of(some)) if twin.train != twin.test]
    if not twins:
        return ()
    count = f"{len({twin.test for twin in twins})} of {len(some)} looked at"
    said = f"images: {count} are nearly another one (likeness from {NEAR}), and each counts as a stimulus of its own"
    return (f"{said}: where they are copies of one, saved anew, give `stimulus`, the id of what each trial showed",)


def _check_order(box: Box, names: Sequence[str], digests: Sequence[str]) -> None:
    """Refuse ids that count the images, each once, in another order: image t may be trial t's, or image k stimulus k's.

    Where an id comes twice, its images were equal, which only trials' own images are.
    """
    numbers = [int(name) for name in names if name.isdecimal()]
    first = min(numbers, default=0)
    if sorted(numbers) != list(range(first, first + len(names))):
        box.notes.extend(_each_once(names))
        return
    trial = next((one for one, number in enumerate(numbers) if digests[number - first] != digests[one]), None)
    if trial is None:
        return
    count, name = len(names), names[trial]
    found = (
        f"{count} images for {count} trials whose stimuli are the numbers {first} to {first + count - 1} in another "
        f"order: image {trial} may be that of trial {trial}, or image {numbers[trial] - first} that of its stimulus "
        f"{name!r}"
    )
    then = (
        f"add image_ids: the numbers in order (numpy.arange({first}, {first + count})) if image k is of stimulus k, "
        "the stimulus of each trial if image t is what trial t showed"
    )
    raise InputError(expected(f"{box.path}, images", "one reading of whose image is whose", found, then))


def _each_once(names: Sequence[str]) -> tuple[str, ...]:
    """A sentence where ids that come once each stand in no order: image t is taken for trial t's on trust."""
    ordered = sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names)
    if len(set(names)) < len(names) or list(names) == ordered:
        return ()
    said = "images: as many as trials, so image t is read as what trial t showed"
    return (f"{said}: where image k is that of the k-th id in order, give image_ids",)


def _folder(box: Box) -> Path | None:
    """The folder of pictures or sounds: the field `folder`, or the folder that --fields names for it, within the file's
    own; else `images` or `sounds` beside.

    Where the file is a link, beside the link first. A folder may be a link that its owner made to elsewhere; one that
    leads nowhere is an InputError.
    """
    homes = [file.parent for file in _beside(box.path)]
    if "folder" in box or "folder" in box.fields:
        text = _text(box, "folder", box.fields.get("folder", ""))
        folder = _inside(box.path, text)
        if folder is None:
            want = f"a folder within {homes[0]}"
            raise InputError(expected(f"{box.path}, folder", want, f"{text!r}", "move it there, or fetch it"))
        return folder
    for place in (home / name for home in homes for name in ("images", "sounds")):
        if place.is_dir():
            return place
        if place.is_symlink():
            found = "a link that leads to none"
            raise InputError(expected(place, "a folder", found, "fetch it, or take the link away"))
    return None


def _described(
    box: Box, ids: tuple[str, ...], opener: Any, modality: str, *, without: tuple[str, ...] = ()
) -> Stimuli:
    """The stimuli of these ids; `without` are those that have no picture, whose captions and labels are no error."""
    captions: dict[str, tuple[str, ...]] = {}
    if "captions" in box:
        texts = _texts(box.read("captions"), f"{box.path}, captions")
        for name, text in zip(_ids(box, "caption_ids", len(texts)).tolist(), texts.tolist(), strict=True):
            captions[name] = (*captions.get(name, ()), text)
        _count(box, "captions", captions, ids, without)
    labels: dict[str, dict[str, str]] = {}
    for key, column in box.group("labels").items() if "labels" in box else ():
        spoken = np.where(column, "yes", "no") if column.dtype.kind == "b" else column
        values = _texts(spoken, f"{box.path}, labels/{key}")
        names = _ids(box, "label_ids", len(values)).tolist()
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise InputError(expected(f"{box.path}, label_ids", "each id once", f"{twice[0]!r} twice", "correct it"))
        for name, label in zip(names, values.tolist(), strict=True):
            labels.setdefault(name, {})[key] = label
    if "labels" in box:
        _count(box, "labels", labels, ids, without)
    shown = set(ids)
    return Stimuli(
        ids=ids,
        modality=modality,
        opener=opener,
        captions={name: texts for name, texts in captions.items() if name in shown},
        labels={name: known for name, known in labels.items() if name in shown},
    )


def _count(box: Box, what: str, given: Iterable[str], ids: tuple[str, ...], without: tuple[str, ...]) -> None:
    """Note how far captions or labels fit the stimuli, where they do not fit in full."""
    named = in_part(tuple(given), without)
    strange, without = in_part(named, ids), in_part(ids, named)
    if strange or without:
        said = f"{what}: {len(ids) - len(without)} of {len(ids)} stimuli have one"
        more = f"; ids that are no stimulus: {examples(strange)} ({len(strange)})" if strange else ""
        box.notes.append(said + more)


def _regions(box: Box, voxels: int, usable: NDArray[np.bool_]) -> tuple[Region, ...]:
    """Every roi/<name> that has a usable voxel, and "all"."""
    regions = []
    for name, values in sorted(box.group("roi").items()) if "roi" in box else ():
        mask = as_mask(values, f"{box.path}, roi/{name}", voxels)
        if mask[usable].any():
            regions.append(Region(name=name, atlas="roi", mask=mask[usable]))
        else:
            why = "holds no voxel" if not mask.any() else f"loses all its {int(mask.sum())} voxels"
            box.notes.append(f"region {name} {why} and is left out")
    if all(region.name != "all" for region in regions):
        regions.append(Region(name="all", atlas="all voxels", mask=np.ones(int(usable.sum()), np.bool_)))
    return tuple(regions)


def _ncsnr(box: Box, voxels: int, usable: NDArray[np.bool_]) -> Float | None:
    """The noise ceiling SNR of the usable voxels; of the others it may be anything: it was not measured."""
    return _numbers(box, "ncsnr", (voxels,), of=usable).astype(np.float32)[usable] if "ncsnr" in box else None


def _splits(
    box: Box, stimulus: NDArray[np.str_], rows: Int, *, trials: int, shown: frozenset[str], sound: bool
) -> tuple[tuple[Split, ...], dict[str, str]]:
    """The file's own splits; one "leave-out-<group>" a group; and, where it brings neither, splits made by rule.

    With them name -> why, the groups that have none. `stimulus` of the `rows` that are read, out of `trials`; `shown`
    are the stimuli of all trials of the file.
    """
    ids = sorted(set(stimulus.tolist()))
    splits = _stored_splits(box, ids, shown)
    if "group" in box:
        groups: dict[str, set[str]] = {}
        for group, name in zip(_ids(box, "group", trials)[rows].tolist(), stimulus.tolist(), strict=True):
            groups.setdefault(group, set()).add(name)
        family, left_out = leave_out(dict(sorted(groups.items())), sound=sound)
        return (*splits, *family), left_out
    if splits or len(ids) < 2:
        return splits, {}
    tenth = (tenth_by_hash(ids, sound=sound),) if len(ids) >= TENTH_FROM else ()
    family, left_out = leave_out({name: [name] for name in ids} if len(ids) <= LEAVE_OUT_UP_TO else {}, sound=sound)
    return (*tenth, *family), left_out


def _stored_splits(box: Box, read: Sequence[str], shown: frozenset[str]) -> tuple[Split, ...]:
    """The splits of the file, whole; stimuli that are `read` and in no half are noted.

    Ids that were never `shown` are refused, and so is a name that the splits of groups have.
    """
    return tuple(
        _stored_split(box, name, lists, read=read, shown=shown) for name, lists in sorted(_halves(box).items())
    )


def _halves(box: Box) -> dict[str, dict[str, tuple[str, ...]]]:
    """name of a stored split -> "train" and "test" -> ids."""
    halves: dict[str, dict[str, tuple[str, ...]]] = {}
    for key, values in box.group("split").items() if "split" in box else ():
        name, _, half = key.rpartition("/")
        if name and half in VALIDATION:
            box.notes.append(f"split {name}: {half} is not used, its stimuli neither train nor test")
            continue
        if half not in ("train", "test") or not name:
            came = f"split/{key}"
            raise InputError(expected(box.path, "split/<name>/train and split/<name>/test", came, "rename it"))
        halves.setdefault(name, {})[half] = tuple(dict.fromkeys(_names(box, f"split/{key}", values).tolist()))
    return halves


def _stored_split(
    box: Box, name: str, lists: Mapping[str, tuple[str, ...]], *, read: Sequence[str], shown: frozenset[str]
) -> Split:
    where = f"{box.path}, split/{name}"
    if name.startswith(f"{LEAVE_OUT}-") and "group" in box:
        found = f"one that begins with {LEAVE_OUT!r}, as those of the field `group` do"
        raise InputError(expected(where, "a name of its own", found, "rename it, or take `group` out"))
    listed = [one for part in ("train", "test") for one in lists.get(part, ())]
    strange = in_part(listed, shown)
    if strange:
        seen = examples(sorted(shown))
        came = f"{len(strange)} of {len(listed)} that were not: {examples(strange)} (shown: {seen})"
        ending = by_ending(strange, shown)
        came += f"; they differ by {ending!r} alone" if ending else ""
        then = "write them as in stimulus, or take them out"
        raise InputError(expected(where, "ids that were shown", came, then))
    train, test = (lists.get(part, ()) for part in ("train", "test"))
    if not train or not test:
        raise InputError(expected(where, "train and test ids", f"{len(train)} and {len(test)}", "add them"))
    spare = len(in_part(read, listed))
    if spare:
        box.notes.append(f"split {name}: {spare} of {len(read)} stimuli are in neither train nor test")
    return Split(name=name, train=train, test=test)


def _faults(box: Box) -> tuple[str, ...]:
    """What is wrong with the parts of the file, each read by itself: one sentence a part."""
    found: list[str] = []

    def tried(part: Callable[[], Any]) -> Any:
        try:
            return part()
        except InputError as error:
            found.append(str(error))
            return None

    tried(partial(_check_digest, box))
    for name in ("subject", "betas", "unit", "simulated"):
        tried(partial(_text, box, name, ""))
    tried(partial(_affine, box))
    values = tried(partial(_responses, box))
    if values is None:
        return tuple(found)
    before = len(found)
    tried(partial(_check_turned, box, *values.shape))
    values = values.T if len(found) > before else values  # of turned ones the other parts are no fault
    trials, voxels = values.shape
    kept = tried(partial(must_be_measured, values, box.path))
    whole = [tried(partial(_whole, box, name, trials, np.ones(trials, np.int64))) for name in ("session", "repeat")]
    tried(partial(_space, box, voxels))
    tried(partial(_regions, box, voxels, np.ones(voxels, np.bool_)))
    usable = None
    if kept is not None and whole[0] is not None:
        usable = tried(partial(_usable, box.path, values[kept], whole[0][kept]))
    # of voxels of which nobody knows whether they are used the noise ceiling may be anything
    tried(partial(_ncsnr, box, voxels, np.zeros(voxels, np.bool_) if usable is None else usable[0]))
    if "group" in box:
        tried(partial(_ids, box, "group", trials))
    ids = tried(partial(_ids, box, "stimulus", trials)) if "stimulus" in box else None
    stimulus = tried(partial(_stimulus, box, trials))
    if stimulus is None and ids is not None:
        tried(partial(_described, box, tuple(sorted(set(ids.tolist()))), None, "image"))
    shown = ids if stimulus is None else stimulus[0]
    halves = tried(partial(_halves, box))
    if shown is not None and halves is not None:
        names = frozenset(shown.tolist())
        for name, lists in sorted(halves.items()):
            tried(partial(_stored_split, box, name, lists, read=(), shown=names))
    return tuple(dict.fromkeys(found))


ENTRIES = (Arrays(),)
