"""Opening npz archives that others wrote: plain arrays only, no pickles, and no more than the archive really holds."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.files import ZIP_MAGIC, check_magic, present

LIMIT = 32 * 2**30
"""Bytes that one array may claim."""
RATIO, RATIO_FROM = 500, 2**26
"""A member of more than `RATIO_FROM` bytes may claim this many times what is stored of it; deflate ends at 1032."""


def names_in(path: Path) -> tuple[str, ...]:
    """The names of the arrays of an npz archive, sorted."""
    return tuple(sorted(_members(path)))


def read_npz(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """These arrays of an npz archive; one that is absent, pickled, damaged or larger than stored is an InputError."""
    members = _members(path)
    missing = [name for name in names if name not in members]
    if missing:
        came = f"one with {', '.join(sorted(members))[:200]}"
        raise InputError(expected(path, f"the array {missing[0]!r}", came, "name the field that holds it"))
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(path) as archive:
        for name in names:
            arrays[name] = _read(archive, members[name], path)
    return arrays


def _members(path: Path) -> dict[str, zipfile.ZipInfo]:
    present(path, what="an npz archive", then="give the path of one")
    check_magic(path, ZIP_MAGIC, what="an npz archive")
    try:
        with zipfile.ZipFile(path) as archive:
            return {info.filename[:-4]: info for info in archive.infolist() if info.filename.endswith(".npy")}
    except (zipfile.BadZipFile, OSError) as error:
        size = path.stat().st_size
        came = f"a damaged one of {size} bytes ({error})"
        raise InputError(expected(path, "an intact npz archive", came, "fetch the file again")) from error


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> NDArray[Any]:
    where = f"{path}, {info.filename[:-4]}"
    bomb = info.file_size > RATIO_FROM and info.file_size > RATIO * max(info.compress_size, 1)
    if info.file_size > LIMIT or bomb:
        came = f"{info.file_size} bytes claimed and {info.compress_size} stored"
        raise InputError(expected(where, "data as large as they claim", came, "check the file"))
    try:
        with archive.open(info) as member:
            claims = _claimed_bytes(member)
        if claims > info.file_size:
            came = f"{claims} bytes claimed and {info.file_size} stored"
            raise InputError(expected(where, "data as large as they claim", came, "check the file"))
        with archive.open(info) as member:
            return np.asarray(np.lib.format.read_array(member, allow_pickle=False))
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        came = f"one that cannot be read as it is ({error})"
        raise InputError(expected(where, "a plain array", came, "store numbers or text, not objects")) from error


def _claimed_bytes(member: Any) -> int:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    claims = dtype.itemsize
    for length in shape:
        claims *= length
    return int(claims)
