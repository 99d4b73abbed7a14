"""Data that no reader opens as they lie: what they are, and the next command."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from brain.errors import InputError, expected
from brain.files.paths import listed, present

TABLES = (".csv", ".tsv", ".txt", ".npy")
NEXT = {
    TABLES: (
        "an array or a table",
        "put it into one file with what was shown: `afterimage pack data.h5 --responses {name} --stimulus ids.txt "
        "--images FOLDER`",
    ),
    (".mat",): (
        "a MATLAB file",
        "read it with scipy.io.loadmat, save each array with numpy.save, and put them into one file: "
        "`afterimage pack data.h5 --responses responses.npy --stimulus ids.txt --images FOLDER`",
    ),
    (".nii", ".nii.gz"): (
        "a NIfTI file",
        "take the voxels of a mask out of one volume a trial with the lines under 'From NIfTI' in "
        "docs/howto/own_data.md",
    ),
}
"""Endings of what people have -> what that is, and what to do with it."""


def not_recognised(path: Path, above: Iterable[str], known: str) -> InputError:
    """The error about data of no format that is `known`. `above`: folders that hold them and that a reader opens.

    A link among them that leads nowhere is an InputError of its own: DataLad's, where nothing has been fetched.
    """
    whole = "" if path.is_file() and path.name.lower().endswith(TABLES) else next(iter(above), "")
    if whole:
        return InputError(expected(path, "a whole data set", "a part of one", f"name the folder above: {whole}"))
    for one in _files(path):
        if not one.exists():
            present(one, what="data", then="take the link away")
    kind, then = _kind(path)
    if kind:
        return InputError(expected(path, "data of a format that is read as it lies", kind, then))
    return InputError(f"{path}: no reader recognises these data; known are {known}")


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [one for one in listed(path) if not one.is_dir()]


def _kind(path: Path) -> tuple[str, str]:
    """What a file is, or all files of a folder are, and the next step; "" for anything else."""
    files = _files(path)
    for endings, (kind, then) in NEXT.items():
        if files and all(one.name.lower().endswith(endings) for one in files):
            largest = max(files, key=lambda one: one.stat().st_size)
            found = kind if path.is_file() else f"a folder of {len(files)} such files as {largest.name}, {kind}"
            return found, then.format(name=largest)
    return "", ""
