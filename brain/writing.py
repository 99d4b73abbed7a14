"""The one opener of everything that is written: whole or not at all, never through a link, swept after a kill.

    with writing(path) as part: ...            # a temporary beside `path`, which becomes `path` when all went well
    with writing_hdf5(path) as file: ...       # the same for an HDF5 file
    with lock(run): ...                        # a folder of ours, held by this process; `claim(out)` any other place

Files get the rights that the umask leaves, as those of any other program, whichever library wrote them. A temporary is
named .NAME.PID.part; the next command that holds the place removes those of processes that are gone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gzip
import io
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from brain.errors import InputError, StorageError, expected

PART = re.compile(r"\.(.+)\.(\d+)\.(?:part|tmp)")
"""A temporary of ours, of now or of earlier versions: the name it is for, and the process that wrote it."""
LIBRARYS = re.compile(r"\.tmp[A-Za-z0-9]{6}")
"""What safetensors writes to before it renames it to our temporary."""
CLAIM = re.compile(r"\..+\.lock")
LONGEST = 200
"""Bytes of a file's name that its temporary repeats: with process and ending it has to fit into 255."""


def quoted(name: str) -> str:
    """A name as a file's name can hold it on any system: what it cannot bear is percent-quoted."""
    stem = quote(name, safe=" ").replace("~", "%7E")
    return "%2E" + stem[1:] if stem.startswith(".") else stem


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turns an OSError of writing at `path` into a StorageError with the system's own word."""
    try:
        yield
    except OSError as error:
        then = "make room, or choose another place that you may write to"
        raise StorageError(expected(path, "room and rights to write", str(error.strerror or error), then)) from error


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


def inside(root: Path, path: Path) -> Path:
    """`path`, which lies below `root`, if neither it nor a folder between the two is a link, else an InputError."""
    step = root
    for name in path.relative_to(root).parts:
        step = step / name
        unlinked(step)
    return path


def unlinked(path: Path) -> Path:
    """`path` if it is no link, else an InputError."""
    if path.is_symlink():
        raise InputError(_stranger(path, "a link"))
    return path


def free_targets(folder: Path, names: Iterable[str]) -> None:
    """Refuses what would keep files of these names from being written into `folder`, before any of them is.

    A link, a folder or a device in a file's place, or a file in the folder's, is an InputError, no rights a
    StorageError. A command that writes several files asks for all before its work: none is left of a refused one.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError(expected(folder, "a folder, or nothing yet", "something else", "name another place"))
    with storing(folder):
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    for name in names:
        path = folder / name
        if os.path.lexists(unlinked(path)) and not path.is_file():
            raise InputError(_stranger(path, "a folder" if path.is_dir() else "a device or pipe"))


def only_files(folder: Path) -> None:
    """Refuses (InputError) a folder of ours below which there is anything but files and folders.

    A link below a run would be read from, or written to, elsewhere: a run may come from somebody else. The folder
    itself may be a link, and where there is none nothing is refused.
    """
    folders = [folder] if folder.is_dir() else []
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False):
                    raise InputError(_stranger(entry.path, "a link" if entry.is_symlink() else "a device or pipe"))


def _stranger(path: object, came: str) -> str:
    return expected(path, "a file or folder of this place itself", came, "put the thing itself there, or take it away")


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Holds a folder for this process, made where there is none, and sweeps what lies right in it.

    A folder that another process holds is a StorageError that names the holder; a lock that is a link is an InputError.
    A folder that was made for the lock and got nothing else, for what was asked was refused, is gone afterwards.
    The kernel lets go when the process ends, however it ends, so that no stale lock is left behind.
    """
    new = not folder.exists()
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _holding(folder / ".lock", folder):
        sweep(folder)
        try:
            yield
        except BaseException:
            if new and [one.name for one in folder.iterdir()] == [".lock"]:
                (folder / ".lock").unlink()
                folder.rmdir()
            raise


def must_be_idle(place: Path) -> None:
    """Refuses (StorageError) a place that another process works on, by `lock` or by `claim`; nothing is written."""
    beside = [_claim_of(place)] if place.name else []
    for file in (place / ".lock", *beside):
        if holder := _holder(file):
            raise StorageError(
                expected(place, "a place at rest", f"{holder} at work on it", "wait until it has ended, and ask again")
            )


def _claim_of(place: Path) -> Path:
    return place.with_name(f".{place.name}.lock")


def _holder(file: Path) -> str:
    """Who holds the lock, such as "process 4711"; "" where nobody does; nothing is kept."""
    if not unlinked(file).is_file():
        return ""
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(handle, 200, 0).decode(errors="replace").strip() or "another process"
    finally:
        os.close(handle)
    return ""


@contextlib.contextmanager
def claim(path: Path) -> Iterator[None]:
    """Holds a place that is to be written, a file or a folder, for this process, and sweeps what is for it.

    As `lock`, but by a file beside it that is gone afterwards: nothing of ours lies in what others get.
    """
    beside = _claim_of(path)
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _holding(beside, path):
        try:
            sweep(path.parent, name=path.name)
            sweep(path)
            yield
        finally:
            beside.unlink(missing_ok=True)


def sweep(folder: Path, *, name: str = "", below: bool = False) -> None:
    """Removes the temporaries that dead processes have left right in `folder`, or those for `name` alone.

    below  in a folder that is all ours: in folders below it too, and what a library of ours has left
    """
    for home, _, files in os.walk(folder):
        for file in files:
            found = PART.fullmatch(file)
            left = found is not None and not _alive(int(found[2])) and name in ("", found[1])
            with storing(folder):
                if left or (below and LIBRARYS.fullmatch(file)):
                    Path(home, file).unlink(missing_ok=True)
                elif below and CLAIM.fullmatch(file):
                    _unclaim(Path(home, file))
        if not below:
            return


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


@contextlib.contextmanager
def _holding(file: Path, subject: Path) -> Iterator[None]:
    unlinked(file)
    with storing(subject):
        handle = _locked(file, subject)
    try:
        with storing(subject):
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()}".encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _locked(file: Path, subject: Path) -> int:
    """The lock's open file. Whoever held it before may have removed it, then a new one is taken."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file.exists() and file.stat().st_ino == os.fstat(handle).st_ino:
                return handle
        except BlockingIOError as error:
            holder = os.pread(handle, 200, 0).decode(errors="replace").strip()
            os.close(handle)
            raise StorageError(
                f"{subject}: {holder or 'another process'} is working here; wait for it, or choose another place"
            ) from error
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _unclaim(file: Path) -> None:
    """Removes a claim's file if nobody holds it: who held it was killed."""
    try:
        handle = _locked(file, file)
    except StorageError:
        return
    file.unlink(missing_ok=True)
    os.close(handle)


def _alive(process: int) -> bool:
    """Whether it may be writing now. Our own number is of one before us: what we write we have not begun."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
