"""A finished run as a zip file: what lies in its folder, by names relative to it, no links followed.

with open_archive(run, beside=folder) as (file, size): ...
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from app.demo.uploads.receive import must_have_room

PACKED = {".png", ".webp", ".jpg", ".mp3", ".flac", ".wav", ".safetensors", ".npz", ".gz", ".h5"}
"""Endings of files that are stored as they are: packing would not make them smaller."""


def members(folder: Path) -> list[Path]:
    """The regular files below a folder, by name; hidden ones and links to anything are left out."""
    found = []
    for place, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(place, name) for name in sorted(names) if not name.startswith(".")]
        found += [path for path in paths if stat.S_ISREG(path.lstat().st_mode)]
    return found


def size_of(folder: Path) -> int:
    """Bytes of the files that an archive of the folder holds."""
    return sum(path.lstat().st_size for path in members(folder))


@contextlib.contextmanager
def open_archive(folder: Path, *, beside: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The archive, open for reading, and its bytes; it has no name and is gone after the block.

    No room is a StorageError.
    """
    must_have_room(beside, size_of(folder))
    with tempfile.TemporaryFile(dir=beside) as file:
        with zipfile.ZipFile(file, "w") as archive:
            for path in members(folder):
                _add(archive, path, path.relative_to(folder).as_posix())
        size = file.tell()
        file.seek(0)
        yield file, size


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as source:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = 0o644 << 16
        entry.compress_type = zipfile.ZIP_STORED if path.suffix in PACKED else zipfile.ZIP_DEFLATED
        with archive.open(entry, "w", force_zip64=True) as target:
            while part := source.read(2**20):
                target.write(part)
