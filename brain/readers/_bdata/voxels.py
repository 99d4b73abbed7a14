"""Which columns of a BData file are read, and where these voxels are: places, millimetres, regions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from brain.catalogue import unknown
from brain.errors import InputError, UsageError, expected
from brain.files.nifti import is_affine
from brain.readers._bdata.file import BDataFile
from brain.readers._parts.auditory import GROUPS, united
from brain.types import Bool, Int
from brain.voxels import VoxelSpace

NEAR = 1e-2
"""How far, in millimetres, a coordinate may lie from the grid."""


def regions_in(file: BDataFile) -> dict[str, Bool]:
    """name -> (voxel,) bool over all voxels of the file, hemispheres united."""
    return united(file.masks, f"{file.path}, metadata/key")


def choose_voxels(masks: Mapping[str, Bool], *, asked: str, voxels: int) -> Int:
    """(voxel,) int64: the voxels of region or group `asked`; "" takes those of any region, "all" every voxel."""
    if asked in masks:
        mask = masks[asked]
    elif asked in GROUPS and any(name in masks for name in GROUPS[asked]):
        mask = np.any([masks[name] for name in GROUPS[asked] if name in masks], axis=0)
    elif asked in ("", "all"):
        mask = np.any(list(masks.values()), axis=0) if masks and not asked else np.ones(voxels, np.bool_)
    else:
        raise UsageError(f"--fields voxels={asked}: {unknown('region', asked, tuple(masks))}")
    return np.flatnonzero(mask).astype(np.int64)


def space_of(file: BDataFile, *, subject: str) -> tuple[VoxelSpace, str]:
    """The space of all voxels of the file, and a sentence where the file does not say where they are, or ""."""
    count = len(file.brain)
    millimetres = _stacked(file, "xyz")
    ijk, said = _stacked(file, "ijk"), ""
    affine = np.eye(4)
    if ijk is not None and not _are_places(ijk):
        raise InputError(
            expected(f"{file.path}, voxel_i, voxel_j, voxel_k", "a place of its own for every voxel", "others",
                   "fetch the file again")
        )  # fmt: skip
    if ijk is not None and millimetres is not None:
        affine = _affine(ijk, millimetres)
        if not is_affine(affine):  # all voxels in one plane
            affine, said = np.eye(4), "the voxels' places do not tell their millimetres: voxels are 1 mm apart"
    elif millimetres is not None:
        ijk, affine, said = _grid(millimetres)
    if ijk is None:
        said = said or "the file does not say where its voxels are: they are numbered in the order of the columns"
        ijk = np.stack([np.arange(count), np.zeros(count), np.zeros(count)], axis=1)
    places = np.rint(ijk).astype(np.int64)
    x, y, z = (places.max(axis=0) + 1).tolist()
    space = VoxelSpace(
        subject=subject, name="native", betas="native", unit="native", shape=(x, y, z), affine=affine, ijk=places
    )
    return space, said


def _stacked(file: BDataFile, axes: str) -> NDArray[np.float64] | None:
    rows = [file.places.get(f"voxel_{axis}") for axis in axes]
    found = [row for row in rows if row is not None and np.isfinite(row).all()]
    return np.stack(found, axis=1) if len(found) == 3 else None


def _are_places(ijk: NDArray[np.float64]) -> bool:
    whole = bool((ijk == np.rint(ijk)).all() and ijk.min() >= 0)
    return whole and len(np.unique(ijk, axis=0)) == len(ijk)


def _affine(ijk: NDArray[np.float64], millimetres: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4, 4) the map from places to millimetres, by least squares."""
    ones = np.concatenate([ijk, np.ones((len(ijk), 1))], axis=1)
    solution = np.linalg.lstsq(ones, millimetres, rcond=None)[0]
    return np.concatenate([solution.T, [[0, 0, 0, 1]]]).round(6) + 0.0


def _grid(
    millimetres: NDArray[np.float64],
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64], str]:
    """Places by coordinates alone, where these lie on a grid along the axes; else None and why."""
    low = millimetres.min(axis=0)
    steps = np.array([_step(millimetres[:, axis]) for axis in range(3)])
    ijk = np.rint((millimetres - low) / steps)
    if np.abs(ijk * steps + low - millimetres).max() > NEAR or not _are_places(ijk):
        return None, np.eye(4), "voxel_x, _y, _z lie on no grid along the axes: voxels are numbered in column order"
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = low
    return ijk, affine, ""


def _step(values: NDArray[np.float64]) -> float:
    apart = np.diff(np.unique(values.round(3)))
    return float(apart.min()) if apart.size else 1.0


def same_voxels(first: BDataFile, second: BDataFile) -> None:
    """Refuse (InputError) two files of a subject that do not have the same voxels in the same order."""
    alike = len(first.brain) == len(second.brain) and first.places.keys() == second.places.keys()
    if alike:
        alike = all(np.array_equal(row, second.places[key], equal_nan=True) for key, row in first.places.items())
    shared = first.masks.keys() & second.masks.keys()
    alike = alike and all(np.array_equal(first.masks[key], second.masks[key]) for key in shared)
    if not alike:
        came = f"{len(second.brain)} others"
        want = f"the {len(first.brain)} voxels of {first.path.name}"
        raise InputError(expected(second.path, want, came, "give two files of one subject and space"))
