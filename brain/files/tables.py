"""Tables of text that others wrote: ids, numbers, masks and records out of .txt, .csv, .tsv and .npy files.

    read_ids(path)                    (row,) text without blanks around it: 007, 3.10 and 1e3 stay what they are
    read_numbers(path)                (row,) or (row, column) float64; the first cell that is none is named
    read_mask(path, voxels)           (voxel,) bool of 0 and 1, true and false, yes and no
    read_records(path, needed=...)    rows by column name

UTF-8 with or without a byte order mark, or UTF-16 with one. A head line, a decimal comma, an empty cell or a blank line
above others is said with its line and never guessed away: a guess would shift every trial by one.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.files.hdf5 import texts
from brain.files.npz import read_npy
from brain.files.paths import kind_of, present, read_text
from brain.names import one_line
from brain.types import Bool

MARKS = {".csv": ",", ".tsv": "\t"}
ENDINGS = (".npy", ".txt", ".csv", ".tsv")
TRUE, FALSE = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
CELL = 2**20
"""Characters that a cell may have."""
THING = "stim|stimulus|stimuli|image|img|picture|sound|clip|audio|item|trial|condition|group|run|session|nsd|coco"
SAID = "ids?|names?|files?|filenames?|paths?|numbers?|index|labels?"
COLUMN = re.compile(rf"(?:(?:{THING})s?[ _.-]?)?(?:{SAID})|(?:{THING})s?")
"""What people call a column of ids."""


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """(line, cells) of every line up to the last that is not blank: split at commas (.csv), tabs (.tsv) or not at all.

    Blank lines at the end, and rows of nothing but marks there, are left out; one above others is an InputError.
    """
    text = _text(path)
    mark = MARKS.get(path.suffix.lower())
    if mark is None:
        lines = re.split("\r\n|\r|\n", text)
        return _without_end(path, [(line, [one.strip()]) for line, one in enumerate(lines, start=1)])
    return _split(path, text, mark=mark)


def cells(path: Path, *, mark: str = "\t", quoted: bool = True) -> list[tuple[int, list[str]]]:
    """(line, cells without blanks around them) of a table of whatever name; blank lines may stand at its end alone."""
    return _split(path, _whole_text(present(path, what="a table", then="put it back")), mark=mark, quoted=quoted)


def _split(path: Path, text: str, *, mark: str, quoted: bool = True) -> list[tuple[int, list[str]]]:
    csv.field_size_limit(CELL)
    source = io.StringIO(text, newline="")
    lines = csv.reader(source, delimiter=mark, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    try:
        return _without_end(path, [(lines.line_num, [cell.strip() for cell in row]) for row in lines])
    except csv.Error as error:
        raise InputError(expected(f"{path}, line {lines.line_num}", "a table", f"{error}", "save it again")) from error


def _without_end(path: Path, rows: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """The rows without the blank ones at their end; a blank one above others may be a trial, and is an InputError."""
    while rows and not any(rows[-1][1]):
        rows.pop()
    for line, row in rows:
        if not any(row):
            then = "fill it in, or take the line out if it stands for nothing"
            raise InputError(expected(f"{path}, line {line}", "a row", "a blank line above others", then))
    return rows


def _text(path: Path) -> str:
    present(path, what="an .npy, .txt, .csv or .tsv file", then="give the path of one")
    with open(path, "rb") as file:
        head = file.read(512)
    if path.suffix.lower() not in ENDINGS or not kind_of(head).startswith(("a file that begins", "an empty")):
        known = not kind_of(head).startswith("a file that begins")
        kind = kind_of(head) if known else f"a file that ends in {path.suffix!r}"
        then = "store its arrays as .npy, or as .csv with trials as rows (docs/howto/own_data.md)"
        raise InputError(expected(path, "an .npy, .txt, .csv or .tsv file", kind, then))
    return _whole_text(path)


def _whole_text(path: Path) -> str:
    text = read_text(path, what="a table", then="save it again")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise InputError(expected(f"{path}, line {line}", "text", "a zero byte", "save it again as UTF-8"))
    return text.replace("\r\r\n", "\r\n")  # one end of a line, as Python's csv writes it on Windows into a text file


def read_ids(path: Path) -> NDArray[np.str_]:
    """(row,) text: one id a line as it is written, or a one-dimensional .npy of text or whole numbers.

    A first id that names a column, such as "stim_id", while no other does, is an InputError: it may be a head line.
    """
    if path.suffix.lower() == ".npy":
        ids = unpadded(as_ids(read_npy(path), path), path)
        refuse_head(path, ids.tolist())
        return ids
    rows = read_rows(path)
    for line, cells in rows:
        if len(cells) != 1:
            then = "leave nothing but the column of ids in the file"
            raise InputError(expected(f"{path}, line {line}", "one id", f"{len(cells)} columns", then))
    refuse_head(path, [cells[0] for _, cells in rows])
    return np.array([cells[0] for _, cells in rows], np.str_)


def refuse_head(path: Path, ids: Sequence[str]) -> None:
    """Refuse (InputError) a column of ids whose first, and no other, is what people call such a column."""
    named = [one.startswith("#") or bool(COLUMN.fullmatch(one.lower())) for one in ids[:1]]
    if any(named) and not any(one.startswith("#") or COLUMN.fullmatch(one.lower()) for one in ids[1:]):
        then = "take the line out, or rename the stimulus if it is called so"
        raise InputError(expected(f"{path}, line 1", "an id", f"{ids[0][:60]!r} (a head line?)", then))


def as_ids(values: NDArray[Any], where: object) -> NDArray[np.str_]:
    """(row,) ids as text: text as it is, whole numbers in their plain form; anything else is an InputError."""
    flat = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if flat.ndim != 1:
        raise InputError(expected(where, "one id a row", f"shape {values.shape}", "leave the column of ids alone"))
    if flat.dtype.kind in "SU":
        return texts(flat, where)
    if flat.dtype.kind == "f":
        whole = whole_numbers(flat)
        if not whole.all():
            found = f"{flat[~whole][0]:g} in {flat.dtype}, a number that no id can be"
            raise InputError(expected(where, "text or whole numbers", found, "store the ids as text"))
        flat = flat.astype(np.int64)
    if flat.dtype.kind not in "iu":
        raise InputError(expected(where, "text or whole numbers", f"{flat.dtype}", "store the ids as text"))
    return flat.astype(np.str_)


def whole_numbers(values: NDArray[Any]) -> Bool:
    """Which values, in any shape, are whole numbers that their type keeps apart.

    They are below 2**11 in float16, 2**24 in float32, or 2**53; NaN and infinity are none.
    """
    digits = min(np.finfo(values.dtype).nmant + 1, 53) if values.dtype.kind == "f" else 53
    wide = values.astype(np.float64)
    return np.asarray((wide == np.rint(wide)) & (np.abs(wide) < 2.0**digits), np.bool_)


def unpadded(ids: NDArray[np.str_], where: object) -> NDArray[np.str_]:
    """(row,) ids without the blanks and zeros that fill text of one width, as MATLAB's and Fortran's, at their ends.

    Ids that differ in these alone are an InputError.
    """
    return apart(ids, [one.rstrip(" \0") for one in ids.tolist()], where, found="in blanks at their end")


def apart(ids: NDArray[np.str_], changed: Iterable[str], where: object, *, found: str) -> NDArray[np.str_]:
    """The `changed` ids (stimulus,), if those that differed in `ids` (stimulus,) differ still.

    Else an InputError: some differ only as `found` says.
    """
    after = np.array(list(changed), np.str_)
    if len(np.unique(after)) < len(np.unique(ids)):
        raise InputError(expected(where, "ids that differ", f"some that differ {found}", "rename them"))
    return after


def read_numbers(path: Path, *, measured: bool = True) -> NDArray[Any]:
    """(row, column) of numbers, (row,) where there is one column; an .npy keeps its own shape and type.

    What is no number (a head line, an empty cell, a decimal comma) is an InputError that names line and column, and so
    is, in `measured` numbers, a first column that merely counts the lines; places of voxels may count.
    """
    if path.suffix.lower() == ".npy":
        values = read_npy(path)
        if values.dtype.kind not in "biuf":
            raise InputError(expected(path, "numbers", f"{values.dtype}", "store a plain array of numbers"))
        return values
    rows = read_rows(path)
    if path.suffix.lower() not in MARKS:
        rows = [(line, cells[0].split()) for line, cells in rows]
    if not rows:
        raise InputError(expected(path, "numbers", "no line with any", "give the file with the numbers"))
    width = len(rows[0][1])
    values = np.empty((len(rows), width))
    for row, (line, cells) in enumerate(rows):
        if len(cells) != width:
            want = f"{width} cells as in line {rows[0][0]}"
            raise InputError(expected(f"{path}, line {line}", want, f"{len(cells)}", "correct it"))
        for column, cell in enumerate(cells):
            below = rows[1][1][column] if row == 0 and len(rows) > 1 and column < len(rows[1][1]) else ""
            values[row, column] = _number(path, line, column + 1, cell, below=below)
    if measured and width > 2 and (values[0] - values[0, 0] == np.arange(width)).all() and values[0, 0] in (0, 1):
        found = "the numbers of the columns (a head line?)"
        raise InputError(expected(f"{path}, line {rows[0][0]}", "measured numbers", found, "take the line out"))
    counted, first = np.arange(len(rows)), values[:, 0]
    if measured and width > 1 and len(rows) > 2 and (first - first[0] == counted).all() and first[0] in (0, 1):
        found = "the numbers of the lines (an index column?)"
        raise InputError(expected(f"{path}, column 1", "measured numbers", found, "take the column out"))
    return values[:, 0] if width == 1 else values


def _number(path: Path, line: int, column: int, cell: str, *, below: str) -> float:
    """The number in a cell. `below` is the cell under one of the first line, which tells a head line from data."""
    try:
        if "_" in cell:
            raise ValueError(cell)
        return float(cell)
    except ValueError as error:
        found, then = repr(cell[:60]), "correct it, or write NaN where nothing was measured"
        if re.fullmatch(r"[^\W\d]+[-_ ]?\d+", cell):
            then = f"correct it; where such are sessions or runs, number them: 1 for {cell[:60]!r}, and so on"
        if not cell and column == 1 and below == "0":
            found, then = "an empty cell (a head line over an index column?)", "take the line and the column out"
        elif not cell:
            found, then = "an empty cell", "fill it in (NaN where nothing was measured), or take the column out"
        elif ";" in cell or cell.replace(",", ".", 1).lstrip("-").replace(".", "", 1).isdigit():
            found = f"{found} (decimal commas or semicolons?)"
            then = "save it with decimal points and commas between cells"
        elif cell.startswith("#") or below.lstrip("+-").replace(".", "", 1)[:1].isdigit():
            found, then = f"{found} (a head line?)", "take the line out"
        raise InputError(expected(f"{path}, line {line}, column {column}", "a number", found, then)) from error


def read_mask(path: Path, voxels: int) -> NDArray[np.bool_]:
    """(voxel,) bool: one line a voxel, 0 or 1, true or false, yes or no; labels, indices and gaps are an InputError."""
    if path.suffix.lower() == ".npy":
        return as_mask(read_npy(path), path, voxels)
    rows = read_rows(path)
    cells = [(line, cell.lower()) for line, row in rows for cell in row]
    for line, cell in cells:
        if cell not in TRUE and cell not in FALSE:
            raise InputError(expected(f"{path}, line {line}", "0 or 1", repr(cell[:40]), _MASK))
    return as_mask(np.array([cell in TRUE for _, cell in cells], np.bool_), path, voxels)


_MASK = "give one 0 or 1 a voxel: indices or labels of an atlas become one mask a region"


def as_mask(values: NDArray[Any], where: object, voxels: int) -> NDArray[np.bool_]:
    """(voxel,) bool of an array of booleans or of 0 and 1, one a voxel; any other shape or number is an InputError."""
    flat = values.reshape(-1) if values.ndim == 2 and 1 in values.shape else values
    if flat.shape != (voxels,):
        then = "correct the mask" if flat.dtype.kind == "b" else _MASK
        raise InputError(expected(where, f"({voxels},) booleans, one a voxel", f"{values.dtype} {values.shape}", then))
    if flat.dtype.kind == "b":
        flat = np.ascontiguousarray(flat).view(np.uint8)  # a byte of a damaged file that is neither counts as true else
    if flat.dtype.kind not in "iuf" or not ((flat == 0) | (flat == 1)).all():
        strange = [one for one in flat.tolist() if one not in (0, 1)][:1]
        found = f"{flat.dtype} with {strange[0]!r}" if strange else f"{flat.dtype}"
        raise InputError(expected(where, f"({voxels},) booleans", found, _MASK))
    return flat.astype(np.bool_)


def read_records(
    path: Path, *, needed: Iterable[str] = (), mark: str = "\t", quoted: bool = False, then: str = "add it"
) -> list[dict[str, str]]:
    """The rows of a table with a head line, column -> text without blanks around it.

    `needed` are columns that must be there; they, two columns of one name and a row of more or fewer cells are an
    InputError.
    """
    lines = cells(path, mark=mark, quoted=quoted)
    head, rows = ([one_line(name, f"{path}, line 1") for name in lines[0][1]], lines[1:]) if lines else ([], [])
    for line, row in rows:
        if any(row[len(head) :]):
            found = f"{len(row)} ({row[len(head)]!r} has no column)"
            raise InputError(expected(f"{path}, line {line}", f"{len(head)} cells", found, "correct the row"))
    for name in needed:
        if name not in head:
            found = f"the columns {', '.join(head)[:120] or 'none'}"
            raise InputError(expected(path, f"the column {name!r}", found, then))
    twice = next((name for name in head if name and head.count(name) > 1), None)
    if twice is not None:
        found = f"two (the columns {', '.join(head)[:120]})"
        raise InputError(expected(path, f"the column {twice!r} once", found, "rename one, or take it out"))
    for line, row in rows:
        if len(row) != len(head):
            raise InputError(expected(f"{path}, line {line}", f"{len(head)} cells as in its head", f"{len(row)}", _ROW))
    return [dict(zip(head, row, strict=True)) for _, row in rows]


_ROW = "fill the row up, with n/a where there is nothing"


FORMULA = re.compile(r"'*[=+\-@\t\r]")
NUMBER = re.compile(r"'*[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


def as_cell(text: str) -> str:
    """Foreign text as a cell: what a spreadsheet would compute (=, +, -, @ first) gets an apostrophe, numbers none."""
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def of_cell(cell: str) -> str:
    """The text that `as_cell` wrote."""
    return cell[1:] if cell.startswith("'") and as_cell(cell[1:]) == cell else cell


def in_part(ids: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """Those of `ids` that are not among `known`, in order, each once: what would be left out, to be counted."""
    there = set(known)
    return tuple(dict.fromkeys(name for name in ids if name not in there))
