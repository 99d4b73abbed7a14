"""Where files may be written: room and rights, names that any system can hold, and never through a link."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from brain.errors import InputError, StorageError, expected


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
