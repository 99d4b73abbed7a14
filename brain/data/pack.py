"""Turns any laboratory's arrays into the one file that `brain.readers.arrays` reads (docs/howto/own_data.md).

    pack(Path("data.h5"), responses=Path("responses.npy"), stimulus=Path("ids.txt"), images=Path("images"))

What is written is read back before it is given its name, so that a file which `pack` made is one that works.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from brain.console.progress import progress
from brain.errors import InputError, StorageError, UsageError, expected
from brain.files.npz import read_npy
from brain.files.paths import listed
from brain.files.pictures import open_image
from brain.files.tables import read_ids, read_mask, read_numbers, read_rows, refuse_head
from brain.readers._own.fields import DIGEST, FIELDS
from brain.readers._own.values import as_responses, field_sha256, turned
from brain.readers._parts.media import examples, folder_media
from brain.readers.arrays import Arrays
from brain.writing.locks import claim
from brain.writing.opener import hdf5_at, writing
from brain.writing.origin import simulated_by

COLUMNS = ("session", "repeat", "group", "ncsnr", "ijk", "shape", "affine")
"""Fields that `pack` takes as further files."""
ENDINGS = (".h5", ".hdf5")
LARGE = ("responses", "images")
"""Fields that are checked piece by piece as they are read; of all others the file holds a digest."""
CHECKED = "v110"
"""From this version of HDF5 on a file's structure, names and types included, carries checksums."""


def write_arrays(
    out: Path,
    *,
    responses: NDArray[Any],
    stimulus: NDArray[Any] | Sequence[str] | None = None,
    images: NDArray[Any] | None = None,
    image_ids: Sequence[str] | None = None,
    fields: Mapping[str, NDArray[Any] | Sequence[Any] | str] | None = None,
    regions: Mapping[str, NDArray[Any]] | None = None,
    splits: Mapping[str, tuple[Sequence[str], Sequence[str]]] | None = None,
    captions: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Write the own-data format as HDF5 with checksums and return `out`.

    responses (trial, voxel); stimulus (trial,) ids; images (image, H, W[, 3]) and their ids (one a trial without ids);
    fields: the smaller ones of `brain.readers._own.fields.FIELDS`, such as session, group, ncsnr, ijk, affine, subject;
    regions: name -> (voxel,) bool; splits: name -> (training ids, test ids); captions: id -> captions.

    Arrays that the reader would refuse are an InputError, and nothing is left at `out`. Another ending than .h5 and
    .hdf5 is a UsageError; a file that is there already, no room and no rights are a StorageError.
    """
    pairs = [(name, caption) for name, texts in (captions or {}).items() for caption in texts]
    arrays: dict[str, Any] = {"responses": np.asarray(responses), **(fields or {})}
    given = {
        "stimulus": stimulus,
        "images": images,
        "image_ids": image_ids,
        "captions": [caption for _, caption in pairs] or None,
        "caption_ids": [name for name, _ in pairs] or None,
    }
    arrays |= {name: value for name, value in given.items() if value is not None}
    strange = [name for name in arrays if name not in FIELDS or name == DIGEST]
    if strange:
        raise UsageError(f"{out}: {strange[0]!r} is no field of the format; fields are {', '.join(FIELDS)}")
    arrays |= {f"roi/{name}": np.asarray(mask) for name, mask in (regions or {}).items()}
    for name, halves in (splits or {}).items():
        arrays |= {f"split/{name}/{part}": list(ids) for part, ids in zip(("train", "test"), halves, strict=True)}
    return _store(out, arrays)


def _store(out: Path, arrays: Mapping[str, Any]) -> Path:
    must_be_new(out)
    with claim(out):
        must_be_new(out)  # another process may have made it meanwhile
        try:
            with writing(out) as part:
                _write(part, arrays)
                recording = Arrays().read(part, subject="", sessions=(), betas="", fields={})
                if "images" in arrays or "folder" in arrays:
                    recording.stimuli.open(recording.stimuli.ids[0])
        except InputError as error:
            raise InputError(re.sub(rf"\.{re.escape(out.name)}\.\d+\.part", out.name, str(error))) from error
    return out


def must_be_new(out: Path) -> None:
    """Refuses a name that is not of HDF5 (UsageError), a place that is taken and one in no folder (StorageError)."""
    if out.suffix.lower() not in ENDINGS:
        then = f"name it {out.stem}{ENDINGS[0]}"
        raise UsageError(expected(out, f"a name that ends in {' or '.join(ENDINGS)}", repr(out.suffix), then))
    if out.exists() or out.is_symlink():
        raise StorageError(expected(out, "a new file", "one that is there", "move it away, or choose another name"))
    if not out.parent.is_dir():
        raise StorageError(expected(out, "a folder to write into", "none", "make the folder first"))


def _write(part: Path, arrays: Mapping[str, Any]) -> None:
    """All under a checksum: the file's structure by its format, what is large in pieces, the rest by a digest."""
    small = [name for name in arrays if name not in LARGE]
    digest = json.dumps({name: field_sha256(arrays[name]) for name in small})
    with hdf5_at(part, libver=CHECKED) as file:
        for name in progress(arrays, desc="writing", unit="field"):
            _create(file, name, arrays[name])
        file.create_dataset(DIGEST, data=np.bytes_(digest.encode()))


def _create(file: h5py.File, name: str, value: Any) -> None:
    array = np.asarray(value)
    if array.dtype.kind in "UO":
        file.create_dataset(name, data=array.astype(object), dtype=h5py.string_dtype())
    elif not array.ndim or not array.size:
        file.create_dataset(name, data=array)
    elif name == "images":
        file.create_dataset(name, data=array, chunks=(1, *array.shape[1:]), compression="gzip", fletcher32=True)
    else:
        file.create_dataset(name, data=array, fletcher32=True)


def pack(
    out: Path,
    *,
    responses: Path,
    stimulus: Path | None,
    images: Path | None,
    columns: Mapping[str, Path] | None = None,
    regions: Mapping[str, Path] | None = None,
    captions: Path | None = None,
    subject: str = "",
    unit: str = "",
    size: int = 0,
    say: Callable[[str], object] = print,
) -> Path:
    """`write_arrays` from files: .npy, .txt (one value a line), .csv or .tsv (rows of numbers or text).

    images    an .npy of (image, H, W[, 3]), a folder of image files named after the stimuli (put into `out`), or a
              folder of sound files (left where it is, which must be beside `out` or below)
    columns   session, repeat, group, ncsnr, ijk, shape, affine -> file;  regions: name -> file of (voxel,) 0 and 1
    captions  .csv or .tsv of two columns, stimulus id and caption
    Where `responses` lie among data of a simulator, the file says so in its field `simulated`.
    size      pixels to which images of a folder are cut square and scaled; 0 keeps them, and they must be of one size
    say       is told what was written and what was left out
    """
    unfit = sorted(set(columns or {}) - set(COLUMNS))
    if unfit:
        raise UsageError(f"{unfit[0]!r} is no column that can be packed; columns are {', '.join(COLUMNS)}")
    values = as_responses(read_numbers(responses), responses)
    trials, voxels = values.shape
    ids = None if stimulus is None else read_ids(stimulus).tolist()
    if ids is not None and len(ids) != trials:
        if len(ids) == voxels:
            raise InputError(turned(responses, (trials, voxels), str(stimulus), len(ids)))
        found = f"{len(ids)}" + " (a head line?)" * (len(ids) == trials + 1)
        raise InputError(expected(stimulus, f"{trials} ids, one a trial", found, "correct it"))
    fields: dict[str, Any] = {name: _column(name, path) for name, path in (columns or {}).items()}
    texts = {"subject": subject, "unit": unit, "simulated": simulated_by(responses)}
    fields |= {name: text for name, text in texts.items() if text}
    masks = {name: read_mask(path, voxels) for name, path in (regions or {}).items()}
    told = None if captions is None else _read_captions(captions)
    must_be_new(out)  # after what is wrong with the input, before the pictures are opened
    pixels: NDArray[Any] | None = None
    names: list[str] | None = None
    left = ""
    if images is not None and images.is_dir():
        if ids is None:
            raise UsageError(f"{images}: a folder of pictures needs the stimulus of each trial; give the ids too")
        names = sorted(set(ids))
        media, modality = folder_media(images, names)
        left = _left_out(images, set(media.files.values()))
        if modality == "image":
            reading = progress(names, desc="reading pictures", unit="picture")
            pixels = _stacked(images, [open_image(media.files[name]) for name in reading], size=size)
        else:
            fields["folder"], names = _beside(images, out), None
    elif images is not None:
        pixels = read_npy(images)
    write_arrays(
        out,
        responses=values,
        stimulus=ids,
        images=pixels,
        image_ids=names,
        fields=fields,
        regions=masks,
        captions=told,
    )
    wrote = [f"{trials} trials of {voxels} voxels"]
    wrote += [f"{len(ids)} ids"] if ids is not None else []
    wrote += [f"{len(pixels)} images"] if pixels is not None else []
    wrote += [f"{sum(map(len, told.values()))} captions"] if told is not None else []
    wrote += [*fields, *(f"region {name} ({int(mask.sum())} voxels)" for name, mask in masks.items())]
    say(f"{out}: wrote {', '.join(wrote)}" + left)
    return out


def _column(name: str, path: Path) -> NDArray[Any]:
    if name == "group":
        return read_ids(path)
    return read_numbers(path, measured=name not in ("ijk", "shape", "affine"))


def _read_captions(path: Path) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = {}
    rows = read_rows(path)
    refuse_head(path, [row[0] for _, row in rows])
    for line, row in rows:
        if len(row) != 2:
            then = "use a .csv or .tsv with quotes where needed"
            raise InputError(expected(f"{path}, line {line}", "stimulus id and caption", f"{len(row)} columns", then))
        captions.setdefault(row[0], []).append(row[1])
    return captions


def _left_out(folder: Path, taken: set[Path]) -> str:
    """How many files of a folder nobody was shown, in words, or ""."""
    others = [path.name for path in listed(folder) if path not in taken]
    return f"; left out of {folder}, for no trial showed them: {len(others)} ({examples(others)})" if others else ""


def _stacked(folder: Path, opened: list[Any], *, size: int) -> NDArray[np.uint8]:
    """(image, H, W, 3) of RGB pictures, cut square and scaled to `size` unless that is 0."""
    from PIL import Image, ImageOps

    if size:
        opened = [ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS) for image in opened]
    sizes = sorted({image.size for image in opened})
    if len(sizes) > 1:
        came = f"{len(sizes)} sizes, such as {sizes[0]} and {sizes[-1]}"
        raise InputError(expected(folder, "images of one size", came, "give --size to cut them square and scale them"))
    return np.stack([np.asarray(image, np.uint8) for image in opened])


def _beside(folder: Path, out: Path) -> str:
    """The folder as seen from `out`: by its own place, which may be a link, else by where it leads."""
    for where, home in (
        (Path(os.path.abspath(folder)), Path(os.path.abspath(out)).parent),
        (folder.resolve(), out.resolve().parent),
    ):
        if where.is_relative_to(home):
            return str(where.relative_to(home))
    found = f"one elsewhere than in {out.resolve().parent}"
    raise InputError(expected(folder, "a folder of sounds beside the file", found, "write the file beside the folder"))
