"""The one opener of everything that is written: whole or not at all, never through a link, swept after a kill.

    with writing(path) as part: ...            # a temporary beside `path`, which becomes `path` when all went well
    with writing_hdf5(path) as file: ...       # the same for an HDF5 file

Files get the rights that the umask leaves, as those of any other program, whichever library wrote them. A temporary is
named .NAME.PID.part; the next command that holds the place (`brain/writing/locks.py`) removes those of processes that
are gone.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brain.writing.locks import claim
from brain.writing.places import storing, unlinked

LONGEST = 200
"""Bytes of a file's name that its temporary repeats: with process and ending it has to fit into 255."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A new, empty file beside `path` to write into; it becomes `path` in one step at the end, and is gone on failure.

    Missing folders are made. A link at `path` is an InputError; no room or no rights is a StorageError.
    """
    unlinked(path)
    part = path.with_name(f".{os.fsdecode(os.fsencode(path.name)[:LONGEST])}.{os.getpid()}.part")
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        rights = _made(part)
        try:
            yield part
            _settled(part, rights)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        sync(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all; errors as `writing`."""
    with writing(path) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Writes text as UTF-8, line ends as they are; errors as `writing`."""
    write_bytes(path, text.encode())


def write_volume(path: Path, image: Any) -> None:
    """Writes an image of nibabel as .nii.gz, the same bytes whenever it is written; errors as `writing`."""
    with (
        writing(path) as part,
        part.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=file, mtime=0) as packed,
    ):
        packed.write(image.to_bytes())


@contextlib.contextmanager
def writing_hdf5(path: Path, *, libver: str | None = None) -> Iterator[Any]:
    """A new h5py.File that becomes `path` at the end; errors as `writing`. A full disk is a StorageError, no crash.

    libver  of the format, as h5py has it; from "v110" on the file's own structure carries checksums
    """
    with writing(path) as part, hdf5_at(part, libver=libver) as file:
        yield file


@contextlib.contextmanager
def hdf5_at(part: Path, *, libver: str | None = None) -> Iterator[Any]:
    """A new h5py.File in place of the temporary file `part`, which `writing` gave."""
    import h5py

    with part.open("r+b", buffering=0) as raw:
        held = _Held(raw)
        try:
            with h5py.File(held, "w", libver=libver and (libver, libver)) as file:
                yield file
        except Exception:
            held.check()
            raise
        held.check()


class _Held(io.RawIOBase):
    """A file as HDF5 may have it: the first fault of writing is kept and what follows it goes nowhere.

    Told of a full disk, HDF5 tries to write the rest when the file is closed, and once more when the process ends,
    where it crashes.
    """

    def __init__(self, raw: io.FileIO) -> None:
        self.raw = raw
        self.fault: OSError | None = None

    def check(self) -> None:
        """Raises what writing met, if it met anything."""
        if self.fault is not None:
            raise self.fault

    def write(self, data: Any) -> int:
        """Writes all of `data`."""
        rest = memoryview(data).cast("B")
        count = len(rest)
        try:
            while len(rest) and self.fault is None:
                rest = rest[self.raw.write(rest) :]
        except OSError as error:
            self.fault = error
        return count

    def truncate(self, size: int | None = None) -> int:
        """Cuts or lengthens the file."""
        try:
            return self.raw.truncate(size) if self.fault is None else int(size or 0)
        except OSError as error:
            self.fault = error
            return int(size or 0)

    def readinto(self, buffer: Any) -> int:
        """Reads into all of `buffer`; zeros where a fault has left nothing."""
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and (count := self.raw.readinto(view[done:])):
            done += count
        view[done:] = bytes(len(view) - done)
        return len(view)

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a place."""
        return self.raw.seek(place, whence)

    def tell(self) -> int:
        """The place."""
        return self.raw.tell()


@contextlib.contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path` to write into, which becomes `path` at the end; an empty folder may stand there.

    Two processes at the same `path`, no room and no rights are a StorageError. What a killed process left is removed.
    """
    part = path.with_name(f".{path.name}.part")
    with claim(path), storing(path):
        _gone(part)
        part.mkdir()
        try:
            yield part
            if path.is_dir():
                path.rmdir()
            part.rename(path)
        finally:
            _gone(part)


def _gone(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def appending(path: Path) -> io.FileIO:
    """A file to read and to add lines to, made where there is none; a link is an InputError, no rights StorageError."""
    unlinked(path)
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+")


def sync(path: Path) -> None:
    """Has the system put a file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _made(part: Path) -> int:
    """Makes the temporary and returns the rights it was given."""
    how = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
    try:
        handle = os.open(part, how, 0o666)
    except FileExistsError:
        # left by a process of our number: where processes are counted from 1, in a container, that is soon met
        part.unlink()
        handle = os.open(part, how, 0o666)
    try:
        return stat.S_IMODE(os.fstat(handle).st_mode)
    finally:
        os.close(handle)


def _settled(part: Path, rights: int) -> None:
    """On the disk, with these rights, even where a library has put a file of its own in our temporary's place."""
    handle = os.open(part, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        if stat.S_IMODE(os.fstat(handle).st_mode) != rights:
            os.fchmod(handle, rights)
        os.fsync(handle)
    finally:
        os.close(handle)
