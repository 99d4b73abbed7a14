"""NSD's volume betas, from HDF5 or NIfTI: two roads to the same columns, bit for bit.

The column order is `np.argwhere(mask)` over (X, Y, Z). HDF5 holds (trial, Z, Y, X) with one voxel's trials a chunk, so
it is read voxel by voxel; NIfTI holds (X, Y, Z, trial) and must be unzipped whole. HDF5 says nothing of places: its
order is NSD's declared one, the first voxel left, posterior and inferior.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.data.nsd_facts import SCALE, SPACES, VERSIONS
from brain.errors import InputError, UsageError, expected
from brain.files.hdf5 import must_be_written, open_hdf5
from brain.files.nifti import Grid, canonical, grid_of, on_grid, read_volume, unplaced
from brain.files.paths import listed
from brain.types import Float, Int

FORMATS = ("hdf5", "nii.gz")
FETCH = "fetch it again from the natural-scenes-dataset bucket"


@dataclass(frozen=True, kw_only=True)
class Betas:
    """One version of a subject's betas: its folder and the files of its sessions (1-based), HDF5 before NIfTI."""

    space: str
    version: str
    folder: Path
    files: dict[int, Path]


def find_betas(root: Path, subject: str) -> tuple[Betas, ...]:
    """The versions that hold at least one session, the most used first."""
    found = []
    for space in SPACES:
        home = root / "nsddata_betas/ppdata" / subject / space
        here = [path.name for path in listed(home) if path.is_dir()]
        ranked = [*(version for version in VERSIONS if version in here), *(v for v in here if v not in VERSIONS)]
        for version in ranked:
            files = _session_files(home / version)
            if files:
                found.append(Betas(space=space, version=version, folder=home / version, files=files))
    return tuple(found)


def _session_files(folder: Path) -> dict[int, Path]:
    files: dict[int, Path] = {}
    for ending in reversed(FORMATS):
        for path in listed(folder, f"betas_session*.{ending}"):
            number = re.fullmatch(rf"betas_session(\d+)\.{re.escape(ending)}", path.name)
            if number:
                files[int(number[1])] = path
    return dict(sorted(files.items()))


def choose_betas(root: Path, subject: str, name: str) -> Betas:
    """The version called `name` ("version" or "space/version"), or the first where `name` is empty."""
    found = find_betas(root, subject)
    if not found:
        where = root / "nsddata_betas/ppdata" / subject
        raise InputError(expected(where, "betas_sessionNN.hdf5 or .nii.gz of a version", "none", "fetch the betas"))
    for betas in found:
        if name in ("", betas.version, f"{betas.space}/{betas.version}"):
            return betas
    known = ", ".join(f"{betas.space}/{betas.version}" for betas in found)
    raise UsageError(f"{subject} has no betas called {name!r}; there are {known}")


def betas_grid(betas: Betas, sessions: Sequence[int], mask: Grid) -> tuple[Grid, str]:
    """The grid of these sessions' betas, and a sentence on what is taken on trust, or "".

    That of the first NIfTI among them; else HDF5's declared order, along the axes that the masks' grid `mask` has.
    """
    files = [betas.files[session] for session in sessions]
    images = [path for path in files if path.name.endswith(".nii.gz")]
    if images:
        grid = grid_of(images[0], then=FETCH)
        return grid, unplaced(grid)
    said = unplaced(mask) or (
        f"{files[0].name} and its like say no places: they are read in NSD's declared order, first voxel left, "
        f"posterior, inferior, where {mask.path.name} lies"
    )
    return canonical(mask), said


def read_session(path: Path, ijk: Int, grid: Grid, *, trials: int) -> Float:
    """(trial, voxel) float32 percent signal change of one session: int16 is cast, then divided by 300; float is kept.

    `ijk` (voxel, 3) places in the volume of `grid`, on which the betas must lie, or be brought by turning axes;
    `trials` how many the design says.
    """
    read = _read_nifti if path.name.endswith(".nii.gz") else _read_hdf5
    stored = read(path, ijk, grid, trials)
    if stored.dtype.kind in "iu":
        return stored.astype(np.float32) / np.float32(SCALE)
    return stored.astype(np.float32)


def _refuse_shape(path: Path, want: Sequence[int], came: Sequence[int]) -> None:
    if tuple(came) != tuple(want):
        then = "read the betas of the space that the masks are in, whole sessions only"
        raise InputError(expected(path, f"betas of shape {tuple(want)}", f"{tuple(came)}", then))


def _read_hdf5(path: Path, ijk: Int, grid: Grid, trials: int) -> NDArray[Any]:
    shape = (*grid.shape, trials)
    with open_hdf5(path, ["betas"], streamed=["betas"], sparse=["betas"], as_stored=True, then=FETCH) as file:
        betas = file["betas"]
        _refuse_shape(path, shape[::-1], betas.shape)
        if betas.dtype.kind not in "iuf":
            raise InputError(expected(f"{path}, betas", "integers or floats", f"type {betas.dtype}", FETCH))
        if betas.chunks is None or betas.chunks[1:] != (1, 1, 1):
            must_be_written(betas, f"{path}, betas")
            return _by_slabs(betas, ijk)
        written = _chunks_written(betas)
        columns = np.empty((len(ijk), shape[-1]), betas.dtype)
        for column, (i, j, k) in zip(columns, ijk.tolist(), strict=True):
            if not all((first, k, j, i) in written for first in range(0, len(betas), betas.chunks[0])):
                found = "none that were ever written (the writer stopped?)"
                raise InputError(expected(f"{path}, betas of voxel ({i}, {j}, {k})", "values", found, FETCH))
            column[:] = betas[:, k, j, i]
        return columns.T


def _chunks_written(dataset: Any) -> set[tuple[int, ...]]:
    """Where the chunks start that the file holds, in one walk: asked one by one they take longer than their values."""
    written: set[tuple[int, ...]] = set()

    def note(chunk: Any) -> None:
        if chunk.size:
            written.add(chunk.chunk_offset)

    dataset.id.chunk_iter(note)
    return written


def _by_slabs(betas: Any, ijk: Int) -> NDArray[Any]:
    """The same columns from a file that is not chunked by voxel: one Z slab at a time, cut to the voxels' box."""
    columns = np.empty((betas.shape[0], len(ijk)), betas.dtype)
    for k in np.unique(ijk[:, 2]).tolist():
        here = np.flatnonzero(ijk[:, 2] == k)
        (i0, j0), (i1, j1) = ijk[here, :2].min(axis=0).tolist(), ijk[here, :2].max(axis=0).tolist()
        slab = betas[:, k, j0 : j1 + 1, i0 : i1 + 1]
        columns[:, here] = slab[:, ijk[here, 1] - j0, ijk[here, 0] - i0]
    return columns


def _read_nifti(path: Path, ijk: Int, grid: Grid, trials: int) -> NDArray[Any]:
    volume = read_volume(path, then=FETCH)
    if volume.values.ndim != 4 or volume.values.shape[3] != trials:
        _refuse_shape(path, (*grid.shape, trials), volume.values.shape)
    return np.ascontiguousarray(on_grid(volume, grid)[tuple(ijk.T)].T)
