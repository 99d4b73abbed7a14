"""The voxels of a series and their regions: rois.h5, NIfTI masks, a brain mask, or merely the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.files import hdf5
from brain.files.nifti import Grid, grid_of, moved, must_be_affine, on_grid, read_volume, unplaced
from brain.files.paths import listed, optional
from brain.files.tables import as_mask
from brain.readers._parts.auditory import united
from brain.readers._series.runs import Run, shape_of
from brain.types import Bool, Int

ROIS = "rois.h5"
FOLDER = "rois"
LONGEST = 2**20
"""Voxels that an axis of a volume may have."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """The voxels in the order of the columns.

    ijk, shape, affine   as in VoxelSpace;  masks  name -> (voxel,) bool;  said  what was assumed, or ""
    grid                 that of images, on which every run has to lie; None for matrices
    """

    ijk: Int
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    masks: Mapping[str, Bool] = field(default_factory=dict)
    said: str = ""
    grid: Grid | None = None


def find_voxels(root: Path, runs: Sequence[Run]) -> Places:
    """The voxels of a subject.

    1. sub-01/rois.h5: `ijk` (voxel, 3), `affine`, regions/<name> (voxel,) bool; it serves matrices and images.
    2. Images: the union of the masks sub-01/rois/*.nii.gz; else the brain mask beside the first run; else refused.
    3. Matrices without rois.h5: the columns, one region "all".
    """
    home, first = root / runs[0].subject, runs[0]
    stored = optional(home / ROIS, what="the subject's regions")
    if stored is not None:
        return _stored(stored, first)
    shape = shape_of(first)
    if not first.is_nifti:
        count = shape[1]
        ijk = np.stack([np.arange(count), np.zeros(count, int), np.zeros(count, int)], axis=1)
        said = f"there is no {home / ROIS}: voxels are numbered in the order of the columns and have no regions"
        return Places(ijk=ijk, shape=(count, 1, 1), affine=np.eye(4), said=said)
    grid = grid_of(first.series)
    files = listed(home / FOLDER, "*.nii.gz", "*.nii")
    if files:
        names = [path.name.split(".nii", 1)[0] for path in files]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(expected(home / FOLDER, "one mask a region", f"two for {twice!r}", "take one away"))
        volumes = {name: _mask(path, grid) for name, path in zip(names, files, strict=True)}
        return _inside(np.any(list(volumes.values()), axis=0), volumes, first, grid, home=home / FOLDER)
    masks = listed(first.series.parent, f"{first.series.name.split('_desc-', 1)[0]}*_desc-brain_mask.nii*")
    if not masks:
        then = f"put masks into {home / FOLDER}, one file a region"
        raise InputError(expected(first.series, "masks of regions or of the brain", "none", then))
    if len(masks) > 1:
        came = f"{len(masks)}, {masks[0].name} and {masks[1].name}"
        raise InputError(expected(first.series, "one mask of the brain beside it", came, "take the others away"))
    return _inside(_mask(masks[0], grid), {}, first, grid, home=masks[0])


def _stored(path: Path, run: Run) -> Places:
    with hdf5.open_hdf5(path, ["ijk"], optional=["affine", "regions"]) as data:
        if "ijk" not in data:
            raise InputError(expected(f"{path}, ijk", "an array (voxel, 3)", "a group", "correct it"))
        ijk = np.asarray(data["ijk"][()])
        affine = np.asarray(data["affine"][()]) if "affine" in data else None
        masks = {
            name.removeprefix("regions/"): np.asarray(entry[()])
            for name, entry in data.items()
            if name.startswith("regions/")
        }
    whole = ijk.ndim == 2 and ijk.shape[1] == 3 and ijk.dtype.kind in "iu" and len(ijk) > 0
    if not whole or ijk.min() < 0 or ijk.max() >= LONGEST or len(np.unique(ijk, axis=0)) < len(ijk):
        came = f"ijk {ijk.dtype} {ijk.shape}"
        raise InputError(expected(path, "ijk (voxel, 3), a place of its own each", came, "correct it"))
    if affine is not None:
        affine = must_be_affine(affine, f"{path}, affine")
    checked = {name: as_mask(mask, f"{path}, regions/{name}", len(ijk)) for name, mask in masks.items()}
    return _placed(path, run, ijk.astype(np.int64), affine, united(checked, f"{path}, regions"))


def _placed(path: Path, run: Run, ijk: Int, affine: NDArray[np.generic] | None, masks: Mapping[str, Bool]) -> Places:
    """Stored places as voxels of the series: by millimetres where both say where they lie, else by their numbers."""
    own = np.eye(4) if affine is None else affine.astype(np.float64)
    if not run.is_nifti:
        x, y, z = (ijk.max(axis=0) + 1).tolist()
        return Places(ijk=ijk, shape=(x, y, z), affine=own, masks=masks)
    grid = grid_of(run.series)
    home, said = own if grid.affine is None else grid.affine, unplaced(grid)
    if affine is not None and grid.affine is not None:
        found = moved(ijk, there=own, home=grid.affine)
        if found is None:
            want = f"places on the grid of {run.series.name}, {grid.affine[:3].round(3).tolist()}"
            then = "store the places of the series' own space"
            raise InputError(expected(path, want, f"affine {own[:3].round(3).tolist()}", then))
        ijk = found
    elif affine is None:
        said = said or f"{path.name} has no affine: its places are taken as voxels of the series' array"
    if ijk.min() < 0 or (ijk >= grid.shape).any():
        outside = ijk[(ijk < 0).any(axis=1) | (ijk >= grid.shape).any(axis=1)][0].tolist()
        want = f"places inside {run.series.name} {grid.shape}"
        raise InputError(expected(path, want, f"voxel {outside}", "give one space's files"))
    return Places(ijk=ijk, shape=grid.shape, affine=home, masks=masks, said=said, grid=grid)


def _mask(path: Path, grid: Grid) -> Bool:
    """(X, Y, Z) bool of a mask, on the series' grid: 0 (or NaN) and one number above; an atlas of labels is refused."""
    volume = read_volume(path)
    if volume.values.ndim != 3:
        raise InputError(expected(path, "a (X, Y, Z) mask", f"shape {volume.values.shape}", "give one mask a file"))
    values = np.nan_to_num(on_grid(volume, grid))
    inside = np.unique(values[values != 0])
    if len(inside) > 1 or (len(inside) and inside[0] < 0):
        then = "threshold it, or write one file of 0 and 1 a region"
        raise InputError(expected(path, "a mask of 0 and 1", f"{inside[:4].tolist()} and more or less", then))
    return np.asarray(values > 0)


def _inside(union: Bool, volumes: Mapping[str, Bool], run: Run, grid: Grid, *, home: Path) -> Places:
    ijk = np.argwhere(union).astype(np.int64)
    if not len(ijk):
        raise InputError(expected(run.series, "masks that hold a voxel", "empty ones", "give other masks"))
    masks = united({name: volume[tuple(ijk.T)] for name, volume in volumes.items()}, home)
    affine = np.eye(4) if grid.affine is None else grid.affine
    return Places(ijk=ijk, shape=grid.shape, affine=affine, masks=masks, said=unplaced(grid), grid=grid)
