"""A place that this process holds, and what killed processes left in it.

    with lock(run): ...                        # a folder of ours, held by this process; `claim(out)` any other place

The next command that holds a place removes the temporaries of processes that are gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from brain.errors import StorageError, expected
from brain.writing.places import storing, unlinked

PART = re.compile(r"\.(.+)\.(\d+)\.(?:part|tmp)")
"""A temporary of ours, of now or of earlier versions: the name it is for, and the process that wrote it."""
LIBRARYS = re.compile(r"\.tmp[A-Za-z0-9]{6}")
"""What safetensors writes to before it renames it to our temporary."""
CLAIM = re.compile(r"\..+\.lock")


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
