"""One BData file: a matrix of rows whose columns are voxels and labels, told apart by rows of metadata.

Kamitani's laboratory publishes its data so (bdpy): /dataset (row, column); /metadata/key and /metadata/value
(key, column), where 1 marks the columns that a key names, numbers describe them and NaN stands elsewhere; and
/vmap/<key>/<number>, the text that a number in such a column stands for. Older files say dataSet and metaData.
/header holds source code and paths of whoever saved the file and is never read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain import hdf5
from brain.errors import AfterimageError, InputError, expected
from brain.progress import progress
from brain.types import Bool, Float, Int

SPELLINGS = (("dataset", "metadata"), ("dataSet", "metaData"))
BRAIN = ("VoxelData", "VertexData")
"""The keys that mark responses: of a volume, or of a surface."""
PLACES = ("voxel_", "vertex_")
"""How keys begin that say where a voxel is."""
PATTERNS = ("*.h5", "*.hdf5", "bdata/*.h5", "bdata/*.hdf5")
HALF = re.compile(r"(?P<before>.*?)(?P<half>train|test)(?P<after>.*)", re.IGNORECASE)
SLAB = 2**26
"""Bytes of the matrix that are read at a time."""


@dataclass(frozen=True, kw_only=True)
class BDataFile:
    """What a BData file holds, without its responses.

    brain    (voxel,) int64, the columns that are voxels
    columns  key -> column, for keys that name one column that is no voxel
    masks    key -> (voxel,) bool, for keys that are 1, 0 or NaN over voxels and 1 somewhere: regions
    places   key -> (voxel,) float64: voxel_i, voxel_x, ...
    texts    key -> number -> text, of /vmap
    """

    path: Path
    rows: int
    brain: Int
    columns: Mapping[str, int]
    masks: Mapping[str, Bool] = field(repr=False)
    places: Mapping[str, NDArray[np.float64]] = field(repr=False)
    texts: Mapping[str, Mapping[float, str]] = field(repr=False)
    name: str = "dataset"

    def column(self, key: str) -> NDArray[np.float64]:
        """(row,) the numbers of a column."""
        with hdf5.open_hdf5(self.path, [self.name], streamed=[self.name]) as data:
            return np.asarray(data[self.name][:, self.columns[key]], np.float64)

    def labels(self, key: str) -> NDArray[np.str_]:
        """(row,) the label of each row by a column: the vmap's text, else the number in plain form; NaN gives ""."""
        numbers = self.column(key)
        texts = self.texts.get(key)
        if texts is None:
            return np.array([_number_name(number) for number in numbers.tolist()], np.str_)
        strange = sorted({number for number in numbers.tolist() if np.isfinite(number)} - set(texts))
        if strange:
            came = f"none for {strange[0]:g}"
            raise InputError(expected(f"{self.path}, vmap/{key}", "a text for every number", came, "fetch it again"))
        return np.array([texts[number] if np.isfinite(number) else "" for number in numbers.tolist()], np.str_)

    def responses(self, voxels: Int) -> Float:
        """(row, voxel) float32 of these voxels (indices into `brain`), read in slabs of rows."""
        values = np.empty((self.rows, len(voxels)), np.float32)
        columns = self.brain[voxels]
        first, last = int(columns.min()), int(columns.max()) + 1
        with hdf5.open_hdf5(self.path, [self.name], streamed=[self.name]) as data:
            matrix = data[self.name]
            step = max(1, SLAB // (matrix.dtype.itemsize * (last - first)))
            for start in progress(range(0, self.rows, step), desc=self.path.name, unit="slab", leave=False):
                values[start : start + step] = matrix[start : start + step, first:last][:, columns - first]
        return values


def _number_name(number: float) -> str:
    """A label that is a number: 7.0 -> "7"; 1518878.005958 -> "n01518878_5958", an ImageNet image as GOD counts it."""
    if not np.isfinite(number):
        return ""
    if number == round(number):
        return str(int(number))
    synset = int(number)
    return f"n{synset:08d}_{round((number - synset) * 1e6)}" if synset >= 10**6 else f"{number:g}"


def is_bdata(path: Path) -> bool:
    """Is this a BData file, by the names at its root? Never raises."""
    try:
        names = hdf5.names_in(path)
    except (AfterimageError, OSError):
        return False
    return any(dataset in names and metadata in names for dataset, metadata in SPELLINGS)


def families(path: Path) -> dict[str, tuple[tuple[Path, str], ...]]:
    """subject -> its files, each with its side: a training and a test file, or one file whose side is "".

    Files that differ in "train" and "test" alone belong together; the subject is the first word of their names. A lone
    test file (another task's) is a subject of its own only where its first word has no pair. Never raises.
    """
    home = path if path.is_dir() else path.parent
    pairs: dict[tuple[str, str], dict[str, Path]] = {}
    for file in (file for pattern in PATTERNS for file in sorted(home.glob(pattern))):
        if path.is_dir() or file.suffix == path.suffix:
            found = HALF.fullmatch(file.stem)
            key = (found["before"], found["after"]) if found else (file.stem, "")
            pairs.setdefault(key, {})[found["half"].lower() if found else ""] = file
    if path.is_file():
        pairs = {key: sides for key, sides in pairs.items() if path in sides.values()}
    found_files = {key: _sided(sides) for key, sides in pairs.items()}
    words = Counter(_word(key) for key, sides in found_files.items() if len(sides) == 2)
    chosen: dict[str, tuple[tuple[Path, str], ...]] = {}
    for key, sides in found_files.items():
        word = _word(key)
        if not all(is_bdata(file) for file, _ in sides) or (len(sides) == 1 and words[word]):
            continue
        chosen[word if words[word] < 2 and word not in chosen else key[0].strip("_-. ")] = sides
    return chosen


def _sided(sides: Mapping[str, Path]) -> tuple[tuple[Path, str], ...]:
    if {"train", "test"} <= set(sides):
        return (sides["train"], "train"), (sides["test"], "test")
    return tuple((file, "") for file in sides.values())


def _word(key: tuple[str, str]) -> str:
    return key[0].split("_")[0].strip("-. ") or key[0]


def open_bdata(path: Path) -> BDataFile:
    """What a BData file holds; another or a damaged file is an InputError."""
    names = hdf5.names_in(path)
    spelling = next((pair for pair in SPELLINGS if set(pair) <= set(names)), None)
    if spelling is None:
        came = f"a file with {', '.join(names)[:200] or 'nothing'}"
        raise InputError(expected(path, "BData (dataset and metadata)", came, "give a BData HDF5 file"))
    dataset, metadata = spelling
    needed = [dataset, f"{metadata}/key", f"{metadata}/value"]
    with hdf5.open_hdf5(path, needed, optional=["vmap"], streamed=[dataset, f"{metadata}/value"]) as data:
        shape = data[dataset].shape
        keys = [_text(key) for key in np.asarray(data[f"{metadata}/key"][()]).ravel().tolist()]
        value = data[f"{metadata}/value"]
        if len(shape) != 2 or value.shape != (len(keys), shape[1]):
            came = f"dataset {shape}, {len(keys)} keys and values {value.shape}"
            raise InputError(expected(path, "a value for every key and column", came, "fetch the file again"))
        known = [key for key in BRAIN if key in keys]
        if not known or not (value[keys.index(known[0])] == 1).any():
            came = f"the keys {', '.join(keys)[:120]}"
            raise InputError(expected(path, "columns that VoxelData marks", came, "give a file of brain responses"))
        over = value[keys.index(known[0])] == 1
        columns, masks, places = _sorted_keys(keys, value, over)
        texts: dict[str, dict[float, str]] = {}
        for name, entry in data.items():
            if name.startswith("vmap/"):
                key, _, number = name.removeprefix("vmap/").rpartition("/")
                texts.setdefault(key, {})[_as_number(path, number)] = _text(entry[()])
    brain = np.flatnonzero(over).astype(np.int64)
    return BDataFile(
        path=path, rows=shape[0], brain=brain, columns=columns, masks=masks, places=places, texts=texts, name=dataset
    )


def _sorted_keys(
    keys: Sequence[str], value: Any, over: Bool
) -> tuple[dict[str, int], dict[str, Bool], dict[str, NDArray[np.float64]]]:
    """What each key is, one row of metadata at a time."""
    columns: dict[str, int] = {}
    masks: dict[str, Bool] = {}
    places: dict[str, NDArray[np.float64]] = {}
    for number, key in enumerate(keys):
        row = np.asarray(value[number], np.float64)
        here, elsewhere = row[over], np.flatnonzero((row == 1) & ~over)
        if key.startswith(PLACES):
            places[key] = here
        elif key in BRAIN:
            continue
        elif (here == 1).any() and np.isin(here[np.isfinite(here)], (0, 1)).all():
            masks[key] = here == 1
        elif len(elsewhere) == 1 and not (here == 1).any():
            columns[key] = int(elsewhere[0])
    return columns, masks, places


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _as_number(path: Path, text: str) -> float:
    if not re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", text):
        raise InputError(expected(f"{path}, vmap", "numbers for names", repr(text[:40]), "fetch the file again"))
    return float(text)
