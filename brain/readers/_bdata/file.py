"""One BData file: a matrix of rows whose columns are voxels and labels, distinguished by rows of metadata.

Kamitani's laboratory publishes its data so (bdpy): /dataset (row, column); /metadata/key and /metadata/value
(key, column), where 1 marks the columns that a key names, numbers describe them and NaN stands elsewhere; and
/vmap/<key>/<number>, the text that a number in such a column stands for. Older files say dataSet and metaData.
/header holds source code and paths of whoever saved the file and is never read.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.console.progress import progress
from brain.errors import AfterimageError, InputError, expected
from brain.files import hdf5
from brain.files.paths import composed, listed
from brain.types import Bool, Float, Int

SPELLINGS = (("dataset", "metadata"), ("dataSet", "metaData"))
BRAIN = ("VoxelData", "VertexData")
"""The keys that mark responses: of a volume, or of a surface."""
PLACES = ("voxel_", "vertex_")
"""How keys begin that say where a voxel is."""
PATTERNS = ("*.h5", "*.hdf5", "bdata/*.h5", "bdata/*.hdf5")
HALF = re.compile(r"train(ing)?|test(ing)?", re.IGNORECASE)
"""What of a file's name says its side."""
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
    strange  keys that are called regions and hold other numbers than 1, 0 and NaN
    """

    path: Path
    rows: int
    brain: Int
    columns: Mapping[str, int]
    masks: Mapping[str, Bool] = field(repr=False)
    places: Mapping[str, NDArray[np.float64]] = field(repr=False)
    texts: Mapping[str, Mapping[float, str]] = field(repr=False)
    strange: tuple[str, ...] = ()
    name: str = "dataset"

    def column(self, key: str) -> NDArray[np.float64]:
        """(row,) the numbers of a column."""
        return np.asarray(self._stored(key), np.float64)

    def labels(self, key: str) -> NDArray[np.str_]:
        """(row,) the label of each row by a column: the vmap's text, else the number in plain form; NaN gives "".

        A number without its text, and numbers that a matrix of this type cannot keep apart, are an InputError.
        """
        numbers = self._stored(key)
        there = np.isfinite(numbers)
        different = np.unique(numbers[there])
        texts = self.texts.get(key)
        if texts is None:
            names: Mapping[float, str] = number_names(different, f"{self.path}, {key}")
        else:
            names = texts
            strange = [number for number in different.tolist() if number not in texts]
            if strange:
                came, where = f"none for {_plain(strange[0])}", f"{self.path}, vmap/{key}"
                raise InputError(expected(where, "a text for every number", came, "fetch it again"))
        named = zip(numbers.tolist(), there.tolist(), strict=True)
        return np.array([names[number] if ok else "" for number, ok in named], np.str_)

    def said_of(self, key: str) -> tuple[str, ...]:
        """Sentences on what the labels of a column may hide: texts of several numbers, decimals that 32 bits lose."""
        numbers = self._stored(key)
        different = np.unique(numbers[np.isfinite(numbers)])
        texts = self.texts.get(key)
        if texts is None:
            large = float(np.abs(different).max(initial=0))
            if different.dtype.kind != "f" or different.dtype.itemsize == 8 or large < SYNSETS:
                return ()
            said = f"{self.path.name}: {key} holds numbers such as {large:.0f} in {different.dtype}"
            return (f"{said}: decimals, where there were any, are lost, and images of one number count as one",)
        shared = Counter(texts[number] for number in different.tolist())
        several = [text for text, count in shared.items() if count > 1]
        if not several:
            return ()
        said = f"{self.path.name}: {len(several)} texts of vmap/{key} stand for several numbers (first: {several[0]!r})"
        return (f"{said}: rows of one text count as one stimulus",)

    def _stored(self, key: str) -> NDArray[Any]:
        """(row,) the numbers of a column in the type in which they are stored."""
        with hdf5.open_hdf5(self.path, [self.name], streamed=[self.name]) as data:
            return np.asarray(data[self.name][:, self.columns[key]])

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


SYNSETS = 10**5
"""From here on a number with decimals is an ImageNet image: synset and, in six decimals, image."""


def number_names(numbers: NDArray[Any], where: object) -> dict[float, str]:
    """number -> the label that it is without a text: 7 -> "7", 1518878.005958 -> "n01518878_5958", 3.5 -> "3.5".

    ImageNet's images are numbered so by Horikawa & Kamitani (2017). `numbers` (stimulus,) are finite; those that
    their type cannot keep apart from their neighbours, and different ones of one name, are an InputError about `where`.
    """
    if numbers.dtype.kind in "iub":
        return {number: str(int(number)) for number in numbers.tolist()}
    exact = 2 ** (np.finfo(numbers.dtype).nmant + 1)
    whole = numbers == np.rint(numbers)
    narrow = numbers.dtype.itemsize < 8
    lost = np.abs(numbers) >= np.where(whole, exact, SYNSETS if narrow else exact)
    if lost.any():
        came = f"{_plain(numbers[lost][0])} in {numbers.dtype}, which cannot be told from its neighbours"
        raise InputError(expected(where, "numbers that tell stimuli apart", came, "store them in 64 bits, or as texts"))
    names = {number.item(): _number_name(number) for number in numbers}
    shared = [name for name, count in Counter(names.values()).items() if count > 1]
    if shared:
        those = ", ".join(repr(number) for number, name in names.items() if name == shared[0])
        came = f"{those[:120]}, which all read {shared[0]!r}"
        raise InputError(expected(where, "a number for every stimulus", came, "store texts in vmap"))
    return names


def _number_name(number: Any) -> str:
    if number == np.rint(number):
        return str(int(number))
    synset = int(number)
    if synset >= SYNSETS:
        return f"n{synset:08d}_{round((float(number) - synset) * 1e6)}"
    return f"{float(number):.12g}" if number.dtype.itemsize == 8 else str(number)


def _plain(number: Any) -> str:
    """A number in full, whatever its size."""
    return str(int(number)) if number == np.rint(number) else f"{float(number):.12g}"


def is_bdata(path: Path) -> bool:
    """Is this a BData file, by the names at its root? Never raises."""
    try:
        names = hdf5.names_in(path)
    except (AfterimageError, OSError):
        return False
    return any(dataset in names and metadata in names for dataset, metadata in SPELLINGS)


def holds_bdata(path: Path) -> bool:
    """Is this a BData file, or a folder that holds some, itself or in `bdata`? Never raises."""
    return any(is_bdata(file) for file in ([path] if path.is_file() else _files_at(path)))


@dataclass(frozen=True, kw_only=True)
class Family:
    """The files of one subject: `sided` file and "train" or "test", or one file and ""; `beside` what else is there.

    main   is it what the subject's first word means? Another task's file beside a pair is not
    """

    sided: tuple[tuple[Path, str], ...]
    main: bool = True
    beside: tuple[str, ...] = ()


def families(path: Path) -> dict[str, Family]:
    """subject -> its files: a training and a test file, or one file whose side is "".

    Two files belong together that differ in "train" and "test" ("training", "testing") alone. The first word of their
    names is the subject where it has one pair, or one file and no pair; every other file is a subject called by its own
    name. A file that is a link to nothing counts as what its name says, so that reading it says so. Files that
    belong to several pairs, or are called alike, are an InputError that lists them.
    """
    files = _files_at(path if path.is_dir() else path.parent)
    if path.is_file():
        files = [path, *(file for file in files if file.parent == path.parent and file != path)]
    counted = {file for file in files if file == path or _counts(file)}
    pairs = _pairs(files, counted)
    paired = {file for pair in pairs for file, _ in pair.sided}
    lone = [file for file in files if file in counted and file not in paired]
    groups = [*pairs, *(_Group(sided=((one, ""),), before=one.stem) for one in lone)]
    found: dict[str, Family] = {}
    for word in sorted({group.word for group in groups}):
        same = [group for group in groups if group.word == word]
        first = [group for group in same if len(group.sided) == 2] or same
        for group in same:
            name = _name(group, first)
            beside = tuple(file.name for other in same if other is not group for file, _ in other.sided)
            if name in found:
                came = ", ".join(str(file) for file, _ in (*found[name].sided, *group.sided))
                raise InputError(expected(path, f"one set of files called {name!r}", came, "rename or move the others"))
            found[name] = Family(sided=group.sided, main=group in first, beside=beside)
    if path.is_file():
        return {name: family for name, family in found.items() if path in dict(family.sided)}
    return found


@dataclass(frozen=True, kw_only=True)
class _Group:
    """A training and a test file with what stands before and after the side in their names, or one file."""

    sided: tuple[tuple[Path, str], ...]
    before: str
    after: str = ""

    @property
    def word(self) -> str:
        """The first word of the names."""
        words = self.before.strip("_-. ") or self.after.strip("_-. ") or self.sided[0][0].stem
        return words.split("_")[0].strip("-. ")


def _name(group: _Group, first: Sequence[_Group]) -> str:
    """The subject's name: the first word where `first`, what that word means, is this alone."""
    if group in first and len(first) == 1:
        return group.word
    alike = [one for one in first if one.before == group.before]
    return (group.before + group.after * (len(alike) > 1)).strip("_-. ") or group.sided[0][0].stem


def _files_at(folder: Path) -> list[Path]:
    return listed(folder, *PATTERNS) if folder.is_dir() else []


def _counts(file: Path) -> bool:
    """A BData file, a link to nothing, or one that cannot be read: reading it will say so."""
    if is_bdata(file):
        return True
    try:
        hdf5.names_in(file)
    except InputError:
        return True
    return False


def _pairs(files: Sequence[Path], counted: Set[Path]) -> list[_Group]:
    """The training and test files that differ in their side alone, in order of their names.

    One that is not `counted` still is what its partner's name says: reading it tells what it lacks.
    """
    sides: dict[tuple[str, str], dict[str, list[Path]]] = {}
    for file in files:
        for found in HALF.finditer(file.stem):
            key = (file.stem[: found.start()], file.stem[found.end() :])
            side = "train" if found[0].lower().startswith("train") else "test"
            sides.setdefault(key, {"train": [], "test": []})[side].append(file)
    pairs, taken = [], Counter[Path]()
    for (before, after), both in sorted(sides.items()):
        if not (both["train"] and both["test"]) or counted.isdisjoint([*both["train"], *both["test"]]):
            continue
        if len(both["train"]) + len(both["test"]) > 2:
            came, where = ", ".join(str(file) for part in both.values() for file in part), both["train"][0].parent
            raise InputError(expected(where, "one training and one test file of a name", came, "move the others away"))
        sided = ((both["train"][0], "train"), (both["test"][0], "test"))
        pairs.append(_Group(sided=sided, before=before, after=after))
        taken.update(file for file, _ in sided)
    twice = [file for file, count in taken.items() if count > 1]
    if twice:
        those = {file.name for pair in pairs if twice[0] in dict(pair.sided) for file, _ in pair.sided}
        came = f"one of several ({', '.join(sorted(those))})"
        raise InputError(expected(twice[0], "a file of one pair", came, "rename one of them"))
    return pairs


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
        _refuse_types(path, {name: data[name].dtype for name in (dataset, f"{metadata}/value")})
        if not math.prod(shape) or data[dataset].dtype.kind == "b":
            found = f"{data[dataset].dtype} {shape}"
            raise InputError(expected(f"{path}, {dataset}", "numbers (row, column)", found, "fetch the file again"))
        keys = hdf5.plain(data[f"{metadata}/key"], f"{path}, {metadata}/key").ravel().astype(np.str_).tolist()
        value = data[f"{metadata}/value"]
        if len(shape) != 2 or value.shape != (len(keys), shape[1]):
            came = f"dataset {shape}, {len(keys)} keys and values {value.shape}"
            raise InputError(expected(path, "a value for every key and column", came, "fetch the file again"))
        twice = [key for key, count in Counter(keys).items() if count > 1]
        if twice:
            found = f"{twice[0]!r} twice"
            raise InputError(expected(f"{path}, {metadata}/key", "each key once", found, "keep the one you mean"))
        known = [key for key in BRAIN if key in keys]
        if not known or not (value[keys.index(known[0])] == 1).any():
            came = f"the keys {', '.join(keys)[:120]}"
            raise InputError(expected(path, "columns that VoxelData marks", came, "give a file of brain responses"))
        over = value[keys.index(known[0])] == 1
        columns, masks, places, strange = _sorted_keys(keys, value, over)
        texts = _vmap(path, data)
    brain = np.flatnonzero(over).astype(np.int64)
    return BDataFile(
        path=path, rows=shape[0], brain=brain, columns=columns, masks=masks, places=places, texts=texts,
        strange=strange, name=dataset,
    )  # fmt: skip


def _sorted_keys(
    keys: Sequence[str], value: Any, over: Bool
) -> tuple[dict[str, int], dict[str, Bool], dict[str, NDArray[np.float64]], tuple[str, ...]]:
    """What each key is, one row of metadata at a time: columns, masks, places, and regions of other numbers."""
    columns: dict[str, int] = {}
    masks: dict[str, Bool] = {}
    places: dict[str, NDArray[np.float64]] = {}
    strange: list[str] = []
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
        elif key.startswith("ROI_") and np.isfinite(here).any() and (here[np.isfinite(here)] != 0).any():
            strange.append(key)
    return columns, masks, places, tuple(strange)


def _refuse_types(path: Path, types: Mapping[str, np.dtype[Any]]) -> None:
    for name, kind in types.items():
        if kind.kind not in "biuf":
            then = "store texts as numbers with a vmap"
            raise InputError(expected(f"{path}, {name}", "a matrix of numbers", f"{kind}", then))


def _vmap(path: Path, data: Mapping[str, Any]) -> dict[str, dict[float, str]]:
    """key -> number -> text; two texts for one number, and what is no single text, are an InputError."""
    texts: dict[str, dict[float, str]] = {}
    for name, entry in data.items():
        if not name.startswith("vmap/"):
            continue
        if entry.size != 1:
            raise InputError(expected(f"{path}, {name}", "one text", f"shape {entry.shape}", "fetch the file again"))
        value = hdf5.plain(entry, f"{path}, {name}").reshape(-1)[:1]
        if value.dtype.kind not in "SU":
            raise InputError(expected(f"{path}, {name}", "one text", f"{value.dtype}", "fetch the file again"))
        key, _, number = name.removeprefix("vmap/").rpartition("/")
        text = composed(str(hdf5.texts(value, f"{path}, {name}")[0]))
        of = texts.setdefault(key, {})
        if of.setdefault(_as_number(path, number), text) != text:
            came = f"{of[_as_number(path, number)]!r} and {text!r} for {number}"
            raise InputError(expected(f"{path}, vmap/{key}", "one text for a number", came, "fetch the file again"))
    return texts


def _as_number(path: Path, text: str) -> float:
    if not re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", text):
        raise InputError(expected(f"{path}, vmap", "numbers for names", repr(text[:40]), "fetch the file again"))
    return float(text)
