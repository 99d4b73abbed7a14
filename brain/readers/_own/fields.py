"""The fields of one HDF5 or npz file under the names of the own-data format: which there are, and where each lies."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.catalogue import unknown
from brain.errors import InputError, UsageError, expected
from brain.files import hdf5, npz
from brain.files.json_files import read_json
from brain.files.paths import ZIP_MAGIC, is_hdf5, optional, present
from brain.readers._parts.media import ArrayImages, array_images
from brain.readers._parts.sessions import is_yes

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
LOOK_BYTES = 2**28
"""Images in HDF5 are all looked at, to tell what numbers they hold, up to so many bytes; else LOOK_AT of them are."""
LOOK_AT = 256


@dataclass(frozen=True)
class ArrayFile:
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
        within = [other for other in self.names if is_within(other, theirs)]
        inside = [other for other in within if other != theirs] or within  # a group that is listed with what it holds
        return any(not self._is_another(name, other) for other in inside)

    def _is_another(self, name: str, theirs: str) -> bool:
        """Is this array said to be another field than `name`? It is that alone then, but a session may be a group."""
        if name in self.fields:
            return False
        whole = name not in GROUPS  # a group's other arrays stay in it
        said = self.fields.items()
        taken = [ours for ours, other in said if (is_within(other, name) if whole else is_within(theirs, other))]
        return any(ours not in COLUMNS or name not in COLUMNS for ours in taken)

    def read(self, name: str) -> NDArray[Any]:
        """The whole array of a field, in any shape."""
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
        """The arrays of a group, in any shape, by their names in it; none where the file has no such group."""
        theirs = self.fields.get(name, name)
        if not self.is_hdf5:
            inside = [other for other in self.names if is_within(other, theirs)]
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
        """The opener of the field `images`, not yet matched to stimuli, and how many there are.

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


def is_within(name: str, group: str) -> bool:
    """Is `name` this group, or in it?"""
    return name == group or name.startswith(f"{group}/")


def open_arrays(path: Path, fields: Mapping[str, str]) -> ArrayFile:
    """The file as a source of fields; `fields` goes before those of a <file>.fields.json beside it.

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
        if any(is_within(name, theirs) for name in names):
            continue
        if ours == "folder" and folder_within(path, theirs):
            continue  # the folder itself
        near = difflib.get_close_matches(theirs, names, n=3)
        came = f"a file with {', '.join(near or names)[:200]}"
        then = "correct --fields" + (f", or put a folder {theirs!r} beside the file" if ours == "folder" else "")
        raise InputError(expected(path, f"the field {theirs!r} for {ours}", came, then))
    return ArrayFile(path, mapping, names, of_hdf5, leaves_out)


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(8)


def linked(path: Path) -> tuple[Path, ...]:
    """The file as it is called, and, where that is a link, the file it leads to: what lies beside either belongs to it.

    DataLad and laboratories' stores keep the file under another name elsewhere, and pictures beside the link.
    """
    return tuple(dict.fromkeys((Path(os.path.abspath(path)), path.resolve())))


def _sidecar(path: Path) -> dict[str, str]:
    what, then = 'JSON such as {"group": "run"}', "correct it"
    for file in linked(path):
        beside = optional(file.with_name(f"{file.name}.fields.json"), what=what)
        if beside is None:
            continue
        table = read_json(beside, what=what, then=then)
        strange = [theirs for theirs in table.values() if not isinstance(theirs, str)]
        if strange:
            raise InputError(expected(beside, what, f"{strange[0]!r} for a name", then))
        return dict(table)
    return {}


def folder_within(path: Path, text: str) -> Path | None:
    """The folder that a text names within the file's own, or the one of the link that the file is; None for no such."""
    plain_path = bool(text) and not Path(text).is_absolute() and ".." not in Path(text).parts
    return next((file.parent / text for file in linked(path) if plain_path and (file.parent / text).is_dir()), None)
