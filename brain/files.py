"""Is the file there, and is it what it claims to be? Asked before any library opens it."""

from __future__ import annotations

from pathlib import Path

from brain.errors import InputError, expected

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ZIP_MAGIC = b"PK\x03\x04"
GZIP_MAGIC = b"\x1f\x8b"


def present(path: Path, *, what: str, then: str) -> Path:
    """`path` if it is a readable file, else an InputError that says `what` was wanted and what to do `then`.

    A broken link is told apart: DataLad and git-annex leave one where a file has not been fetched.
    """
    if path.is_symlink() and not path.exists():
        raise InputError(expected(path, what, "a link to a file that has not been fetched", "run `datalad get` on it"))
    if not path.is_file():
        raise InputError(expected(path, what, "a folder" if path.is_dir() else "no such file", then))
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        raise InputError(expected(path, what, f"a file that cannot be read ({error.strerror})", then)) from error
    return path


def check_magic(path: Path, magic: bytes, *, what: str) -> None:
    """Refuse (InputError) a file that does not begin with `magic`, naming what it is instead."""
    with open(path, "rb") as file:
        head = file.read(512)
    if not head.startswith(magic):
        raise InputError(expected(path, what, kind_of(head), "fetch the file again"))


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
        b"\x93NUMPY": "an npy file",
        b"\x80": "a Python pickle",
        b"MATLAB 5.0": "a MATLAB file",
        b"\x89PNG": "a PNG image",
        b"\xff\xd8\xff": "a JPEG image",
        b"RIFF": "a wav file",
    }
    for magic, kind in magics.items():
        if head.startswith(magic):
            return kind
    if head[344:348] in (b"n+1\0", b"ni1\0"):
        return "a NIfTI file"
    return f"a file that begins with {head[:8]!r}"
