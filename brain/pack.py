"""Turns any laboratory's arrays into the one file that `brain.readers.arrays` reads; the format: docs/own_data.md.

    pack(Path("data.h5"), responses=Path("responses.npy"), stimulus=Path("ids.txt"), images=Path("images"))

What is written is read back before it is given its name, so that a file which `pack` made is one that works.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, StorageError, UsageError, expected
from brain.files import present
from brain.origin import simulated_by
from brain.readers._media import IMAGE_ENDINGS, SOUND_ENDINGS, open_image
from brain.readers.arrays import DIGEST, FIELDS, Arrays, field_sha256
from brain.writing import claim, hdf5_at, writing

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
    fields: the smaller ones of `brain.readers.arrays.FIELDS`, such as session, group, ncsnr, ijk, affine, subject;
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
        for name, value in arrays.items():
            _create(file, name, value)
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
) -> Path:
    """`write_arrays` from files: .npy, .txt (one value a line), .csv or .tsv (rows of numbers or text).

    images    an .npy of (image, H, W[, 3]), a folder of image files named after the stimuli (put into `out`), or a
              folder of sound files (left where it is, which must be beside `out` or below)
    columns   session, repeat, group, ncsnr, ijk, shape, affine -> file;  regions: name -> file of (voxel,) 0 and 1
    captions  .csv or .tsv of two columns, stimulus id and caption
    Where `responses` lie among data of a simulator, the file says so in its field `simulated`.
    size      pixels to which images of a folder are cut square and scaled; 0 keeps them, and they must be of one size
    """
    must_be_new(out)
    unfit = sorted(set(columns or {}) - set(COLUMNS))
    if unfit:
        raise UsageError(f"{unfit[0]!r} is no column that can be packed; columns are {', '.join(COLUMNS)}")
    fields: dict[str, Any] = {name: read_table(path) for name, path in (columns or {}).items()}
    texts = {"subject": subject, "unit": unit, "simulated": simulated_by(responses)}
    fields |= {name: text for name, text in texts.items() if text}
    ids = None if stimulus is None else [str(name) for name in read_table(stimulus).tolist()]
    pixels: NDArray[Any] | None = None
    names: list[str] | None = None
    if images is not None and images.is_dir():
        if ids is None:
            raise UsageError(f"{images}: a folder of pictures needs the stimulus of each trial; give the ids too")
        pixels, names = _folder_images(images, sorted(set(ids)), size=size)
        if pixels is None:
            fields["folder"] = _beside(images, out)
    elif images is not None:
        pixels = read_table(images)
    return write_arrays(
        out,
        responses=read_table(responses),
        stimulus=ids,
        images=pixels,
        image_ids=names,
        fields=fields,
        regions={name: read_table(path).astype(bool) for name, path in (regions or {}).items()},
        captions=None if captions is None else _read_captions(captions),
    )


def read_table(path: Path) -> NDArray[Any]:
    """A .npy array, or the values of a text file: numbers where all are numbers, else text; one column is 1-D."""
    present(path, what="an .npy, .txt, .csv or .tsv file", then="give the path of one")
    if path.suffix == ".npy":
        try:
            return np.asarray(np.load(path, allow_pickle=False))
        except (ValueError, OSError, EOFError) as error:
            then = "save a plain array, not objects"
            raise InputError(expected(path, "an npy array", f"another file ({error})", then)) from error
    rows = _rows(path)
    if len({len(row) for row in rows}) != 1:
        raise InputError(expected(path, "rows of one length", f"{len(rows)} rows that differ or none", "correct it"))
    texts = np.array(rows, np.str_)
    try:
        values: NDArray[Any] = texts.astype(np.float64)
        # ids such as 007 are names: they are kept as they are written
        if texts.shape[1] == 1 and any(len(text) > 1 and text[0] == "0" and text.isdigit() for text in texts[:, 0]):
            values = texts
    except ValueError:
        values = texts
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values == np.rint(values)).all():
        values = values.astype(np.int64)
    return values[:, 0] if values.shape[1] == 1 else values


def _rows(path: Path) -> list[list[str]]:
    import csv

    mark = {".csv": ",", ".tsv": "\t"}.get(path.suffix)
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        lines = csv.reader(file, delimiter=mark) if mark else ([line.strip()] for line in file)
        return [[cell.strip() for cell in row] for row in lines if any(row)]


def _read_captions(path: Path) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = {}
    for row in _rows(path):
        if len(row) != 2:
            then = "use a .csv or .tsv with quotes where needed"
            raise InputError(expected(path, "stimulus id and caption", f"{len(row)} columns", then))
        captions.setdefault(row[0], []).append(row[1])
    return captions


def _folder_images(folder: Path, ids: Sequence[str], *, size: int) -> tuple[NDArray[np.uint8] | None, list[str] | None]:
    """The images of `ids` as (image, H, W, 3) and their ids; None and None where the folder holds sounds."""
    from PIL import Image, ImageOps

    files = {name: path for path in sorted(folder.iterdir()) for name in (path.stem, path.name)}
    missing = [name for name in ids if name not in files]
    if missing:
        then = "name the files after the stimulus ids"
        raise InputError(expected(folder, f"a file for {len(ids)} stimuli", f"none for {missing[0]!r}", then))
    if files[ids[0]].suffix.lower() in SOUND_ENDINGS:
        return None, None
    foreign = [name for name in ids if files[name].suffix.lower() not in IMAGE_ENDINGS]
    if foreign:
        raise InputError(expected(files[foreign[0]], "an image", "another kind of file", "export it as PNG"))
    opened = [open_image(files[name]) for name in ids]
    if size:
        opened = [ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS) for image in opened]
    sizes = sorted({image.size for image in opened})
    if len(sizes) > 1:
        came = f"{len(sizes)} sizes, such as {sizes[0]} and {sizes[-1]}"
        raise InputError(expected(folder, "images of one size", came, "give --size to cut them square and scale them"))
    return np.stack([np.asarray(image, np.uint8) for image in opened]), list(ids)


def _beside(folder: Path, out: Path) -> str:
    home = out.resolve().parent
    if not folder.resolve().is_relative_to(home):
        then = "write the file beside the folder"
        raise InputError(expected(folder, f"a folder of sounds within {home}", "one elsewhere", then))
    return str(folder.resolve().relative_to(home))
