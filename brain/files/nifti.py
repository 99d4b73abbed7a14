"""NIfTI volumes that others wrote, and the one grid that everything of a data set has to lie on.

    grid = grid_of(betas)                          header alone: shape, affine, whether the header says where it lies
    mask = on_grid(read_volume(path), grid)        values in the betas' own order; axes that are only turned are turned
                                                   back exactly, anything else is refused with both affines

Compressed files are read to their end, for that is where gzip's checksum stands.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.files.paths import GZIP_MAGIC, check_magic, damage, kind_of, present

LIMIT = 32 * 2**30
"""Bytes that a volume may take in memory."""
RATIO = 1100
"""How many times its size a gzip file may claim to unpack to: deflate ends at 1032."""
SPARE = 2**22
"""Bytes that a header's extensions may take."""
NEAR = 0.02
"""Voxels by which a corner of a volume may lie beside its place in another: what headers round, and no more."""
FLAT = 1e-6
"""Volume of a voxel's edges, each of length 1, below which an affine puts several voxels into one place."""
FETCH = "fetch it again"
PAIR = "give the .nii, or join the pair with nibabel: nibabel.save(nibabel.load('x.hdr'), 'x.nii.gz')"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Where the voxels of a volume are.

    path     the file that says so
    shape    (X, Y, Z)
    affine   (4, 4) float64, voxel index -> millimetres: the header's sform, else its qform; None where it has neither
    other    (4, 4), the header's qform where it disagrees with the sform, else None
    """

    path: Path
    shape: tuple[int, int, int]
    affine: NDArray[np.float64] | None = field(repr=False)
    other: NDArray[np.float64] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Volume:
    """The numbers of a NIfTI file: `values` (X, Y, Z[, time]), scaled where the header says so; its `grid`."""

    values: NDArray[Any] = field(repr=False)
    grid: Grid


def read_header(path: Path, *, then: str = FETCH) -> tuple[tuple[int, ...], Any, Grid]:
    """The shape of all axes, nibabel's header and the grid of a NIfTI file; its numbers are not read."""
    with _opened(path, then, whole=False) as (image, grid):
        return tuple(int(length) for length in image.shape), image.header, grid


def grid_of(path: Path, *, then: str = FETCH) -> Grid:
    """The grid of a NIfTI file, by its header alone."""
    return read_header(path, then=then)[2]


def read_volume(path: Path, *, shape: tuple[int, ...] | None = None, then: str = FETCH) -> Volume:
    """The numbers of a NIfTI file and its grid; `shape`, where given, is what it must have.

    Absent, foreign, cut short, damaged by one bit under gzip's checksum, or other than real numbers: an InputError.
    """
    with _opened(path, then, whole=True) as (image, grid):
        if shape is not None and tuple(image.shape) != tuple(shape):
            raise InputError(expected(path, f"a volume of shape {tuple(shape)}", f"{tuple(image.shape)}", then))
        with damage(path, what="an intact NIfTI file", then=then):
            values = np.asanyarray(image.dataobj)
    return Volume(values=values, grid=grid)


@contextmanager
def _opened(path: Path, then: str, *, whole: bool) -> Iterator[tuple[Any, Grid]]:
    """nibabel's image over an open file, with its grid; what follows the numbers is read too, to reach the checksum."""
    import nibabel

    present(path, what="a NIfTI file", then=then)
    zipped = path.name.endswith(".gz")
    if zipped:
        check_magic(path, GZIP_MAGIC, what="a gzipped NIfTI file", then=then)
    with open(path, "rb") as raw:
        file = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if zipped else raw
        with damage(path, what="an intact NIfTI file", then=then):
            head = file.read(540)
            file.seek(0)
        second = head[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c")
        kind, magic = (nibabel.nifti2.Nifti2Image, head[4:8]) if second else (nibabel.Nifti1Image, head[344:348])
        if magic in (b"ni1\0", b"ni2\0"):  # its numbers lie in another file: here the header would be read
            found = "the header of a pair (.hdr and .img)"
            raise InputError(expected(path, "a NIfTI file with its numbers in it", found, PAIR))
        if magic not in (b"n+1\0", b"n+2\0"):
            raise InputError(expected(path, "a NIfTI file", f"{'gzipped, ' * zipped}{kind_of(head)}", then))
        with damage(path, what="an intact NIfTI file", then=then):
            image = kind.from_stream(file)
        _must_hold(path, image, zipped=zipped, then=then)
        with damage(path, what="a NIfTI file whose header says where it lies", then=then):
            grid = _grid(path, image)
        yield image, grid
        if zipped and whole:
            with damage(path, what="an intact NIfTI file", then=then):
                while file.read(2**22):
                    pass


def _must_hold(path: Path, image: Any, *, zipped: bool, then: str) -> None:
    """Refuse a header that claims what the file cannot hold, before memory is asked for."""
    shape, dtype = tuple(int(length) for length in image.shape), image.get_data_dtype()
    bits = int(image.header["bitpix"])
    if dtype.kind not in "iuf" or not 3 <= len(shape) <= 7 or min(shape) < 1 or bits != 8 * dtype.itemsize:
        raise InputError(expected(path, "a volume of real numbers", f"{dtype} of {bits} bits {shape}", then))
    claims = math.prod(shape) * dtype.itemsize
    size = path.stat().st_size
    # zipped, a file is hardly larger than what it holds: a longer one would be read on to an end that is not its own
    if claims > size * (RATIO if zipped else 1) or claims > LIMIT or (zipped and size > 1.01 * claims + SPARE):
        raise InputError(expected(path, "data as large as they claim", f"{claims} bytes for {shape} in {size}", then))


def _grid(path: Path, image: Any) -> Grid:
    x, y, z = (int(length) for length in image.shape[:3])
    header = image.header
    sform, qform = (get(coded=True)[0] for get in (header.get_sform, header.get_qform))
    affine = sform if sform is not None else qform
    if affine is not None and not is_affine(affine):
        raise ValueError(f"affine {_said(affine)}")
    other = None
    if sform is not None and qform is not None and not _alike(sform, qform, (x, y, z)):
        other = np.asarray(qform, np.float64)
    where = None if affine is None else np.asarray(affine, np.float64)
    return Grid(path=path, shape=(x, y, z), affine=where, other=other)


def is_affine(affine: NDArray[Any]) -> bool:
    """Is this (4, 4), finite, with 0 0 0 1 for its last row, and does it put every voxel into a place of its own?"""
    if affine.shape != (4, 4) or affine.dtype.kind not in "iuf" or not np.isfinite(affine).all():
        return False
    wide = affine.astype(np.float64)
    steps = np.linalg.norm(wide[:3, :3], axis=0)  # in millimetres or metres: what counts is the shape of a voxel
    flat = not steps.all() or abs(np.linalg.det(wide[:3, :3] / steps)) < FLAT
    return not flat and np.array_equal(wide[3], (0, 0, 0, 1))


def must_be_affine(affine: NDArray[Any], where: object) -> NDArray[np.float64]:
    """The affine as (4, 4) float64; what is none (`is_affine`) is an InputError about `where`."""
    if is_affine(affine):
        return np.asarray(affine, np.float64)
    found, then = f"{affine.dtype} {affine.shape}", "correct it, or leave it out"
    if affine.shape == (4, 4):
        found = str(affine.tolist())
        then = "store its transpose" if is_affine(affine.T) else then
    raise InputError(expected(where, "an affine (4, 4) that tells voxels apart, last row 0 0 0 1", found, then))


def _alike(first: NDArray[Any], second: NDArray[Any], shape: tuple[int, int, int]) -> bool:
    """Do both affines put every corner of the volume into the same place, to `NEAR` voxels?"""
    try:
        return float(np.abs(_corners(shape) - _through(first, second, _corners(shape))).max()) <= NEAR
    except np.linalg.LinAlgError:
        return False


def _corners(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """(8, 3) the corner voxels of a volume."""
    return np.array([[i, j, k] for i in (0, shape[0] - 1) for j in (0, shape[1] - 1) for k in (0, shape[2] - 1)], float)


def _through(home: NDArray[Any], there: NDArray[Any], ijk: NDArray[Any]) -> NDArray[np.float64]:
    """(voxel, 3) where the voxels `ijk` of a volume with affine `there` lie in one with affine `home`; not rounded."""
    step = np.linalg.inv(home) @ there
    return np.asarray(ijk @ step[:3, :3].T + step[:3, 3], np.float64)


def moved(ijk: NDArray[Any], *, there: NDArray[Any], home: NDArray[Any]) -> NDArray[np.int64] | None:
    """(voxel, 3) int64: the same places in millimetres, as voxels of the volume with affine `home`.

    `ijk` (voxel, 3) are voxels of a volume with affine `there`. None where they do not fall on voxels: another
    resolution, an oblique turn, half a voxel's shift.
    """
    places = _through(home, there, np.asarray(ijk, np.float64))
    whole = np.rint(places)
    return whole.astype(np.int64) if len(places) and np.abs(places - whole).max() <= NEAR else None


def on_grid(volume: Volume, grid: Grid) -> NDArray[Any]:
    """The numbers of `volume` in the order of `grid`, (X, Y, Z) or (X, Y, Z, time): as they are, or with axes turned.

    A volume whose header says nothing of where it lies is held by its shape. Another resolution, field of view or
    an oblique turn is an InputError with both affines.
    """
    mine = volume.grid
    if mine.affine is None or grid.affine is None:
        if mine.shape != grid.shape:
            raise InputError(expected(mine.path, f"the shape of {grid.path.name}, {grid.shape}", f"{mine.shape}", _ONE))
        return volume.values
    _must_agree(mine, grid)
    step = np.linalg.inv(mine.affine) @ grid.affine
    turn, shift = np.rint(step[:3, :3]), step[:3, 3]
    corners = _through(mine.affine, grid.affine, _corners(grid.shape))
    near = np.abs(corners - (_corners(grid.shape) @ turn.T + np.rint(shift))).max() <= NEAR
    axes = np.abs(turn)
    if not near or (axes.sum(axis=0) != 1).any() or (axes.sum(axis=1) != 1).any():
        raise InputError(_other_grid(mine, grid))
    order = axes.argmax(axis=0)  # grid axis -> axis of the file
    back = tuple(bool(turn[own, axis] < 0) for axis, own in enumerate(order.tolist()))
    rest = range(3, volume.values.ndim)
    values = np.transpose(volume.values, (*order.tolist(), *rest))
    values = values[tuple(slice(None, None, -1) if flip else slice(None) for flip in back)]
    low, high = corners.min(axis=0), corners.max(axis=0)
    whole = np.abs(low).max() <= NEAR and np.abs(high - (np.array(mine.shape) - 1)).max() <= NEAR
    if values.shape[:3] != grid.shape or not whole:
        raise InputError(_other_grid(mine, grid))
    return values


def canonical(grid: Grid) -> Grid:
    """The same voxels with axes that grow to the right, front and top, in that order; as it is without an affine."""
    if grid.affine is None:
        return grid
    turn = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    order = [int(np.abs(turn[row]).argmax()) for row in range(3)]
    if len(set(order)) < 3:
        return grid
    flips = [turn[row, axis] < 0 for row, axis in enumerate(order)]
    if order == [0, 1, 2] and not any(flips):
        return grid
    step = np.zeros((4, 4))
    step[3, 3] = 1
    for new, (axis, flip) in enumerate(zip(order, flips, strict=True)):
        step[axis, new] = -1 if flip else 1
        step[axis, 3] = grid.shape[axis] - 1 if flip else 0
    x, y, z = (grid.shape[axis] for axis in order)
    other = None if grid.other is None else grid.other @ step
    return replace(grid, shape=(x, y, z), affine=grid.affine @ step, other=other)


_ONE = "use files of one space: func1mm is not func1pt8mm"


def _must_agree(mine: Grid, grid: Grid) -> None:
    """Refuse a header whose sform and qform disagree, unless the other file's disagree alike."""
    if mine.other is None or mine.path == grid.path:
        return
    same = grid.other is not None and grid.affine is not None and mine.affine is not None
    if same and _alike(mine.affine, grid.affine, grid.shape) and _alike(mine.other, grid.other, grid.shape):  # type: ignore[arg-type]
        return
    found = f"sform {_said(mine.affine)} and qform {_said(mine.other)}"
    then = "set the one that is right for both (nibabel: image.set_qform(image.affine))"
    raise InputError(expected(mine.path, "one place for its voxels", found, then))


def _other_grid(mine: Grid, grid: Grid) -> str:
    want = f"the grid of {grid.path.name}, {grid.shape} {_said(grid.affine)}"
    return expected(mine.path, want, f"{mine.shape} {_said(mine.affine)}", f"resample it onto that grid, or {_ONE}")


def _said(affine: NDArray[Any] | None) -> str:
    return "no affine" if affine is None else str(np.asarray(affine)[:3].round(3).tolist())


def unplaced(grid: Grid) -> str:
    """A sentence on a header that does not say where its volume lies, or says it twice; "" for one that does."""
    if grid.affine is None:
        return f"{grid.path.name} does not say where it lies (sform and qform 0): it is taken in its array's order"
    if grid.other is not None:
        return f"the sform and the qform of {grid.path.name} disagree; the sform is believed"
    return ""
