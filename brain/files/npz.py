"""npz and npy files that others wrote: plain arrays only, no pickles, read to the end, where checksums stand.

    read_npz(path, ["responses"])["responses"];  read_npy(path)
"""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.files.paths import NPY_MAGIC, ZIP_MAGIC, check_magic, damage, present
from brain.names import one_line

LIMIT = 32 * 2**30
"""Bytes that one array may claim."""
RATIO, RATIO_FROM = 500, 2**31
"""A member of more than `RATIO_FROM` bytes may claim this many times what is stored of it. Memory bears smaller ones,
and figures that are all but empty come to deflate's end, 1032."""
PLAIN = "store numbers or text, not objects"


def names_in(path: Path) -> tuple[str, ...]:
    """The names of the arrays of an npz archive, sorted."""
    return tuple(sorted(_members(path)))


def read_npz(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """These arrays of an npz archive, in any shape.

    One that is absent, pickled, damaged or larger than stored is an InputError.
    """
    members = _members(path)
    missing = [name for name in names if name not in members]
    if missing:
        came = f"one with {', '.join(sorted(members))[:200]}"
        raise InputError(expected(path, f"the array {missing[0]!r}", came, "name the field that holds it"))
    with damage(path, what="an intact npz archive"), zipfile.ZipFile(path) as archive:
        return {name: _member(archive, members[name], path) for name in names}


def type_in(path: Path, name: str) -> np.dtype[Any] | None:
    """The type of the numbers of an array of an npz archive, from its header; None where there is no such array."""
    members = _members(path)
    if name not in members:
        return None
    where = f"{path}, {name}"
    with (
        damage(where, what="a plain array", then=PLAIN),
        zipfile.ZipFile(path) as archive,
        archive.open(members[name]) as member,
    ):
        return _header(cast("BinaryIO", member))[2]


def read_npy(path: Path) -> NDArray[Any]:
    """The array of an npy file, in any shape; pickled objects, a cut and a foreign file are InputErrors."""
    present(path, what="an npy file", then="give the path of one")
    check_magic(path, NPY_MAGIC, what="an npy file")
    with open(path, "rb") as file:
        return _array(file, os.fstat(file.fileno()).st_size, str(path))


def _members(path: Path) -> dict[str, zipfile.ZipInfo]:
    present(path, what="an npz archive", then="give the path of one")
    check_magic(path, ZIP_MAGIC, what="an npz archive")
    with damage(path, what="a whole npz archive"), zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    twice = [name for name, count in Counter(info.filename for info in members).items() if count > 1]
    if twice:
        raise InputError(expected(path, "one array of each name", f"two of {twice[0]!r}", "store the archive anew"))
    return {one_line(info.filename.removesuffix(".npy"), path): info for info in members}


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> NDArray[Any]:
    where = f"{path}, {info.filename.removesuffix('.npy')}"
    bomb = info.file_size > RATIO_FROM and info.file_size > RATIO * max(info.compress_size, 1)
    if info.file_size > LIMIT or bomb:
        came = f"{info.file_size} bytes claimed and {info.compress_size} stored"
        raise InputError(expected(where, "data as large as they claim", came, "check the file"))
    with damage(where, what="a plain array", then=PLAIN), archive.open(info) as member:
        return _array(cast("BinaryIO", member), info.file_size, where)


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type."""
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return header(file)


def _array(file: BinaryIO, size: int, where: str) -> NDArray[Any]:
    """The array in a stream of `size` bytes that holds nothing else, read to its end, where the CRC is."""
    with damage(where, what="a plain array", then=PLAIN):
        shape, column_major, dtype = _header(file)
    if dtype.hasobject:
        raise InputError(expected(where, "a plain array", "Python objects (a pickle)", PLAIN))
    claims = dtype.itemsize
    for length in shape:
        claims *= length
    with damage(where, what="a plain array", then=PLAIN):
        stored = size - file.tell()
    if claims != stored:
        came = f"{claims} bytes by its header {tuple(shape)} and {stored} stored"
        raise InputError(expected(where, "an array as large as it claims", came, "store or fetch the array anew"))
    with damage(where, what="a plain array", then=PLAIN):
        raw = bytearray(claims)
        view, done = memoryview(raw), 0
        while done < claims:
            part = file.readinto(view[done:])  # type: ignore[attr-defined]
            if not part:
                raise EOFError(f"{done} of {claims} bytes")
            done += part
        file.read(1)
    if dtype.kind == "U" and not _are_letters(np.frombuffer(raw, ">u4" if dtype.byteorder == ">" else "<u4")):
        raise InputError(expected(where, "text", "numbers that are no letters", "store or fetch the array anew"))
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if column_major else "C")


def _are_letters(codes: NDArray[np.uint32]) -> bool:
    """Are these Unicode's numbers of letters? numpy makes text of any, which ends Python's own functions."""
    return bool(((codes <= 0x10FFFF) & ((codes < 0xD800) | (codes > 0xDFFF))).all())
