"""Is the file there, is it a file at all, and is it what it claims to be? Asked before any library opens it.

    present(path, what="a table", then="give its path")      refuses what is absent, a folder, a pipe, a dead link
    optional(path, what="captions")                          None where nothing lies; a dead link is still refused
    listed(folder, "*.png")                                  what a person put there: no hidden and no ._ files
    composed(path.stem)                                      a name in the one form in which names are compared
"""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brain.errors import AfterimageError, InputError, expected

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
BLOCKS = (0, 512, 1024, 2048, 4096)
"""Where HDF5 may begin: what is before is its writer's own, 512 bytes of MATLAB's."""
ZIP_MAGIC = b"PK\x03\x04"
GZIP_MAGIC = b"\x1f\x8b"
NPY_MAGIC = b"\x93NUMPY"
TEXT_LIMIT = 2**30
"""Bytes that a file which is read whole as text may have."""
AGAIN = "fetch the file again"


def present(path: Path, *, what: str, then: str, limit: int = 0) -> Path:
    """`path` if it is a readable regular file, else an InputError that says `what` was expected and what to do `then`.

    Links are followed; one that leads nowhere is told apart, for DataLad and git-annex leave one where a file has not
    been fetched. A pipe, a device or a socket is refused before it is opened. `limit`: bytes it may have, 0 for any.
    """
    try:
        facts = os.stat(path)
    except (OSError, ValueError) as error:
        raise InputError(expected(_shown(path), what, _absent(path, error), _fetch(path, error, then))) from error
    if not stat.S_ISREG(facts.st_mode):
        kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "a pipe, a device or a socket"
        raise InputError(expected(path, what, kind, then))
    if limit and facts.st_size > limit:
        raise InputError(expected(path, f"{what} of at most {limit} bytes", f"{facts.st_size} bytes", then))
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        raise InputError(expected(path, what, f"a file that cannot be read ({error.strerror})", then)) from error
    return path


def optional(path: Path, *, what: str, then: str = "fetch it, or take the link away", limit: int = 0) -> Path | None:
    """`path` where a readable file lies there, None where nothing does; a dead link or another thing is an InputError.

    An unfetched link would otherwise read as "there is none", and another test set or fewer regions be taken.
    """
    return present(path, what=what, then=then, limit=limit) if os.path.lexists(path) else None


def optional_folder(path: Path, *, what: str, then: str = "fetch it, or take the link away") -> Path | None:
    """`path` where a folder lies there, None where nothing does; a dead link or a file is an InputError."""
    if not os.path.lexists(path):
        return None
    if not path.exists():
        present(path, what=what, then=then)
    if not path.is_dir():
        raise InputError(expected(path, what, "a file", then))
    return path


def listed(folder: Path, *patterns: str) -> list[Path]:
    """What matches one of the patterns ("*" where none is given) in a folder, by name, each once.

    Hidden files are left out, and with them the "._" companions that a Mac leaves beside every file on other disks.
    """
    found = {path for pattern in patterns or ("*",) for path in folder.glob(pattern)}
    below = len(folder.parts)
    return sorted(path for path in found if not any(part.startswith(".") for part in path.parts[below:]))


def composed(name: str) -> str:
    """A name with its accents composed (NFC): a Mac takes them apart in file names; either form is the same name."""
    return unicodedata.normalize("NFC", name)


def read_text(path: Path, *, what: str, then: str, limit: int = TEXT_LIMIT) -> str:
    """The text of a file: UTF-8, with or without a byte order mark, or UTF-16 with one; else an InputError."""
    raw = present(path, what=what, then=then, limit=limit).read_bytes()
    utf16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return raw.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        found = f"other bytes in line {line} ({raw[error.start : error.start + 4]!r})"
        raise InputError(expected(path, f"{what} in UTF-8", found, "save it again as UTF-8")) from error


@contextmanager
def damage(path: object, *, what: str, then: str = AGAIN) -> Iterator[None]:
    """Whatever a library raises inside about the bytes of a file is one sentence about `path`, an InputError.

    For libraries that promise no family of exceptions: Pillow, nibabel, scipy.io, zipfile and numpy's own formats raise
    what their parsers stumble over. Only calls into the library stand inside. Our own sentences pass, and so does
    memory that is not there.
    """
    try:
        yield
    except (AfterimageError, MemoryError):
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(expected(path, what, f"a damaged or a foreign one ({said})", then)) from error


def check_magic(path: Path, magic: bytes, *, what: str, then: str = AGAIN) -> None:
    """Refuse (InputError) a file that does not begin with `magic`, naming what it is instead."""
    with open(path, "rb") as file:
        head = file.read(512)
    if not head.startswith(magic):
        raise foreign(path, head, what=what, then=then)


def is_hdf5(path: Path) -> bool:
    """Does a readable file begin as HDF5 does, at once or behind a block of its writer's, such as MATLAB's?"""
    with open(path, "rb") as file:
        head = file.read(BLOCKS[-1] + len(HDF5_MAGIC))
    return any(head.startswith(HDF5_MAGIC, place) for place in BLOCKS)


def foreign(path: object, head: bytes, *, what: str, then: str = AGAIN) -> InputError:
    """The error about a file that is something else by its first bytes, `head`, with the next step that fits it."""
    kind = kind_of(head)
    return InputError(expected(path, what, kind, _NEXT.get(kind, then)))


def kind_of(head: bytes) -> str:
    """What a file is by its first bytes, in words."""
    if not head:
        return "an empty file"
    if head.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer (its content was not fetched: git lfs pull)"
    if head.startswith((b"/annex/objects", b"../.git/annex", b".git/annex")):
        return "a git-annex pointer (its content was not fetched: datalad get)"
    if head.lstrip()[:15].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page (an error page of the download?)"
    magics = {
        HDF5_MAGIC: "an HDF5 file",
        ZIP_MAGIC: "a zip or npz archive",
        GZIP_MAGIC: "a gzip file (a .nii.gz?)",
        NPY_MAGIC: "an npy file",
        b"\x80": "a Python pickle",
        b"MATLAB 7.3": "a MATLAB 7.3 file",
        b"MATLAB 5.0": "a MATLAB 5 file",
        b"\x89PNG": "a PNG image",
        b"\xff\xd8\xff": "a JPEG image",
        b"%!PS": "a PostScript file",
        b"RIFX": "a wav file of the other byte order",
        b"\xd0\xcf\x11\xe0": "an old Excel or Word file",
        b"\x00\x05\x16\x07": "the companion file that a Mac leaves on other disks (it holds no data)",
    }
    if head.startswith(b"RIFF"):  # a container: what is in it stands behind its length
        riffs = {b"WAVE": "a wav file", b"WEBP": "a WebP image", b"AVI ": "an AVI film"}
        return riffs.get(head[8:12], f"a RIFF file of {head[8:12]!r}")
    for magic, kind in magics.items():
        if head.startswith(magic):
            return kind
    if head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0":
        return "a NIfTI file"
    if head[344:348] == b"ni1\0" or head[4:8] == b"ni2\0":
        return "the header of a NIfTI pair (.hdr and .img)"
    if not any(head):
        return "a file of zeros"
    return f"a file that begins with {head[:8]!r}"


_NEXT = {
    "a git-lfs pointer (its content was not fetched: git lfs pull)": "run `git lfs pull`",
    "a git-annex pointer (its content was not fetched: datalad get)": "run `datalad get` on it",
    "a MATLAB 7.3 file": "store its arrays under the names of docs/howto/own_data.md and give that file by itself",
    "a MATLAB 5 file": "store its arrays as .npy or .h5 (docs/howto/own_data.md)",
}


def _shown(path: Path) -> str:
    return str(path)[:300].replace("\0", "\\0")


def _absent(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOENT:
        return "a link to a file that has not been fetched" if path.is_symlink() else "no such file"
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "a link that leads to itself"
    said = error.strerror if isinstance(error, OSError) else str(error)
    return f"a path that cannot be read ({said})"


def _fetch(path: Path, error: Exception, then: str) -> str:
    dead = isinstance(error, OSError) and error.errno == errno.ENOENT and path.is_symlink()
    return "run `datalad get` on it" if dead else then
