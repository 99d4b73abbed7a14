"""What happens to files: `mutate(path, files, random)` changes one in place and says how."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Chance = random.Random
OTHERS = (b"", b"<!doctype html><html>404", b"version https://git-lfs.github.com/spec/v1\n", b"\x80\x04N.", bytes(300))
CELLS = ("", "nan", "-1", "1e400", "9" * 5000, '"', "\0", "../x", "n/a", "1,5", "\x1b[31m", "é", "99999999")
VALUES: tuple[Any, ...] = (None, "", "../../etc/passwd", -1, 0, 1e308, float("nan"), 10**30, True, [], {}, "\ud800")
NUMBERS = (0, 1, 127, 255, 32767, 65535, 2**31 - 1, 2**32 - 1)


def of_bytes(data: bytes, chance: Chance) -> bytes:
    """Bits flipped, cut, zeroed, huge numbers, bytes put in, taken out or doubled."""
    at = chance.randrange(max(1, len(data) if chance.random() < 0.6 else min(len(data), 600)))
    count = chance.choice((1, 8, 64, 512))
    whole = bytearray(data)
    how = chance.randrange(7)
    if how == 0 and data:
        whole[at] ^= 1 << chance.randrange(8)
    elif how == 1:
        del whole[at:]
    elif how == 2:
        whole[at : at + count] = bytes(len(whole[at : at + count]))
    elif how == 3:
        whole[at : at + 4] = chance.choice(NUMBERS).to_bytes(4, chance.choice(("little", "big")))
    elif how == 4:
        whole[at:at] = chance.randbytes(count)
    elif how == 5:
        del whole[at : at + count]
    else:
        whole[at:at] = whole[at : at + count]
    return bytes(whole)


def of_array(values: np.ndarray[Any, Any], chance: Chance) -> np.ndarray[Any, Any]:
    """Another type, shape, length, or numbers that are none."""
    turns: tuple[Callable[[Any], Any], ...] = (
        lambda a: a.T,
        lambda a: a[None],
        lambda a: a[:0],
        lambda a: a[:-1],
        lambda a: a.ravel(),
        lambda a: a.ravel()[0],
        lambda a: a.astype(str),
        lambda a: a.astype(complex),
        lambda a: a.astype(bool),
        lambda a: a.astype(float) * np.nan,
        lambda a: a.astype(float) + 0.5,
        lambda a: -np.abs(a.astype(float)) - 1,
        lambda a: np.zeros_like(a),
        lambda a: np.zeros(a.shape, "V5"),
        lambda a: np.full(a.shape, b"\xe9\xff", "S9"),
        lambda a: np.array(["../x"] * max(a.size, 1)),
    )
    try:
        return np.asarray(chance.choice(turns)(values))
    except (ValueError, TypeError, IndexError):
        return np.zeros(3, complex)


def of_npz(path: Path, chance: Chance) -> None:
    """One member as another array, left out, doubled or damaged."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name, how = chance.choice(sorted(members)), chance.randrange(5)
    if how < 2:
        out = io.BytesIO()
        np.save(out, of_array(np.load(io.BytesIO(members[name])), chance))
        members[name] = out.getvalue()
    elif how == 2:
        members[name] = of_bytes(members[name], chance)
    elif how == 3:
        members[chance.choice(("x.npy", "../x.npy", "roi/.npy", name.upper()))] = members.pop(name)
    else:
        head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 4), }" % chance.choice((2**40, 10**12, 7))
        members[name] = b"\x93NUMPY\x01\x00" + (len(head) + 1).to_bytes(2, "little") + head + b"\n" + bytes(64)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)


def of_hdf5(path: Path, chance: Chance) -> None:
    """One data set as another array, a link, a loop, a huge claim, a group, a reference, or gone."""
    with h5py.File(path, "a") as file:
        names: list[str] = []
        file.visit(names.append)
        name, how = chance.choice(names), chance.randrange(12)
        node = file[name]
        values = node[()] if isinstance(node, h5py.Dataset) else np.arange(3)
        shape = np.shape(values) or (1,)
        del file[name]
        if how < 4:
            plain = np.asarray(values)
            changed = of_array(plain.astype("S9") if plain.dtype.kind == "O" else plain, chance)
            file[name] = np.char.encode(changed, "utf-8") if changed.dtype.kind == "U" else changed
        elif how == 4:
            file[name] = h5py.SoftLink(f"/{chance.choice(names)}")
        elif how == 5:
            file[name] = h5py.ExternalLink("/etc/hostname", "/x")
        elif how == 6:
            file.create_group(name)["loop"] = file
        elif how == 7:
            file.create_dataset(name, shape=(2**40, 8), dtype="f4", chunks=(1, 8))
        elif how == 8:
            file.create_dataset(name, shape=shape, dtype=chance.choice((h5py.ref_dtype, h5py.vlen_dtype("f4"), "V7")))
        elif how == 9:
            file[name] = h5py.Empty("f4")
        elif how == 10:
            file.create_dataset(name, shape=(0, 0), maxshape=(None, None), dtype="f4", chunks=(1, 1))


def of_nifti(path: Path, chance: Chance) -> None:
    """Damage within the gzip layer: a header's number, or any byte."""
    data = bytearray(gzip.decompress(path.read_bytes()))
    at = chance.choice((0, 40, 42, 48, 70, 72, 76, 80, 108, 112, 252, 254, 280, 300, 344))
    data[at : at + 4] = chance.choice(NUMBERS).to_bytes(4, chance.choice(("little", "big")))
    path.write_bytes(gzip.compress(bytes(data if chance.random() < 0.6 else of_bytes(bytes(data), chance)), 1))


def of_table(path: Path, chance: Chance) -> None:
    """A cell, a column, a line, or the encoding of a text table."""
    mark = "," if path.suffix == ".csv" else "\t"
    rows = [line.split(mark) for line in path.read_text(errors="replace").split("\n")]
    row, how = chance.choice(rows), chance.randrange(6)
    column = chance.randrange(len(row))
    if how < 3:
        row[column] = chance.choice(CELLS)
    elif how == 3:
        rows = [cells[1:] for cells in rows]
    elif how == 4:
        rows.remove(row)
    text = "\n".join(mark.join(cells) for cells in rows)
    path.write_bytes(text.encode(chance.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16"))) + b"\xff\xe9" * (how == 5))


def of_json(path: Path, chance: Chance) -> None:
    """A value of another kind, a key that is gone, or JSON nested without end."""
    text = path.read_text()
    node = whole = json.loads(text.splitlines()[0] if path.suffix == ".jsonl" else text)
    for _ in range(chance.randrange(4)):
        children = node.values() if isinstance(node, dict) else node
        inside = [one for one in children if isinstance(one, dict | list) and one]
        node = chance.choice(inside) if inside else node
    key = chance.choice(sorted(node) if isinstance(node, dict) else range(len(node))) if node else None
    if key is not None and chance.random() < 0.7:
        node[key] = chance.choice(VALUES)
    elif key is not None:
        del node[key]
    changed = json.dumps(whole) if chance.random() < 0.9 else "[" * 100000
    rest = "\n".join(text.splitlines()[1:]) if path.suffix == ".jsonl" else ""
    path.write_text(f"{changed}\n{rest}")


def of_place(path: Path, files: Sequence[Path], chance: Chance) -> None:
    """Another file under its name, a folder, a pipe, a link to nowhere or to itself, nothing at all."""
    how = chance.randrange(6)
    other = chance.choice(files).read_bytes()
    path.unlink()
    if how == 0:
        path.mkdir()
    elif how == 1:
        os.mkfifo(path)
    elif how == 2:
        path.symlink_to(chance.choice(("nowhere/x", path.name, "/dev/zero")))
    elif how < 5:
        path.write_bytes(other if how == 3 else chance.choice(OTHERS))


FORMATS: dict[str, Callable[[Path, Chance], None]] = {
    ".npz": of_npz, ".h5": of_hdf5, ".hdf5": of_hdf5, ".gz": of_nifti, ".json": of_json, ".jsonl": of_json,
    ".tsv": of_table, ".csv": of_table, ".txt": of_table,
}  # fmt: skip


def mutate(path: Path, files: Sequence[Path], chance: Chance) -> str:
    """Change `path`, one of `files`, and say how: by its format, byte by byte, or its place among files."""
    draw, of_format = chance.random(), FORMATS.get(path.suffix)
    if draw < 0.5 and of_format:
        of_format(path, chance)
        return of_format.__name__
    if draw < 0.92:
        path.write_bytes(of_bytes(path.read_bytes(), chance))
        return "of_bytes"
    of_place(path, files, chance)
    return "of_place"
