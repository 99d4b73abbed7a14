"""The voxels of a series and their regions: rois.h5, NIfTI masks, a brain mask, or merely the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain import hdf5
from brain.errors import InputError, expected
from brain.readers._auditory import united
from brain.readers._runs import Run, affine_of, shape_of, volume_of
from brain.types import Bool, Int

ROIS = "rois.h5"
FOLDER = "rois"
NEAR = 1e-3


@dataclass(frozen=True, kw_only=True)
class Places:
    """The voxels in the order of the columns.

    ijk, shape, affine   as in VoxelSpace;  masks  name -> (voxel,) bool;  said  what was assumed, or ""
    """

    ijk: Int
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    masks: Mapping[str, Bool] = field(default_factory=dict)
    said: str = ""


def find_voxels(root: Path, runs: Sequence[Run]) -> Places:
    """The voxels of a subject.

    1. sub-01/rois.h5: `ijk` (voxel, 3), `affine`, regions/<name> (voxel,) bool; it serves matrices and images.
    2. Images: the union of the masks sub-01/rois/*.nii.gz; else the brain mask beside the first run; else refused.
    3. Matrices without rois.h5: the columns, one region "all".
    """
    home, first = root / runs[0].subject, runs[0]
    if (home / ROIS).is_file():
        return _stored(home / ROIS, first)
    shape = shape_of(first)
    if not first.is_nifti:
        count = shape[1]
        ijk = np.stack([np.arange(count), np.zeros(count, int), np.zeros(count, int)], axis=1)
        said = f"there is no {home / ROIS}: voxels are numbered in the order of the columns and have no regions"
        return Places(ijk=ijk, shape=(count, 1, 1), affine=np.eye(4), said=said)
    files = sorted([*(home / FOLDER).glob("*.nii.gz"), *(home / FOLDER).glob("*.nii")])
    if files:
        volumes = {path.name.split(".nii", 1)[0]: _mask(path, first) for path in files}
        return _inside(np.any(list(volumes.values()), axis=0), volumes, first)
    masks = sorted(first.series.parent.glob(f"{first.series.name.split('_desc-', 1)[0]}*_desc-brain_mask.nii*"))
    if not masks:
        then = f"put masks into {home / FOLDER}, one file a region"
        raise InputError(expected(first.series, "masks of regions or of the brain", "none", then))
    return _inside(_mask(masks[0], first), {}, first)


def _stored(path: Path, run: Run) -> Places:
    with hdf5.open_hdf5(path, ["ijk"], optional=["affine", "regions"]) as data:
        ijk = np.asarray(data["ijk"][()])
        affine = np.asarray(data["affine"][()], np.float64) if "affine" in data else np.eye(4)
        masks = {
            name.removeprefix("regions/"): np.asarray(entry[()])
            for name, entry in data.items()
            if name.startswith("regions/")
        }
    whole = ijk.ndim == 2 and ijk.shape[1] == 3 and ijk.dtype.kind in "iu" and len(ijk) > 0
    if not whole or ijk.min() < 0 or len(np.unique(ijk, axis=0)) < len(ijk) or affine.shape != (4, 4):
        came = f"ijk {ijk.dtype} {ijk.shape}, affine {affine.shape}"
        raise InputError(
            expected(path, "ijk (voxel, 3), a place of its own each, and affine (4, 4)", came, "correct it")
        )
    for name, mask in masks.items():
        if mask.shape != (len(ijk),) or not np.isin(mask, (0, 1)).all():
            came = f"{mask.dtype} {mask.shape}"
            raise InputError(expected(f"{path}, regions/{name}", f"({len(ijk)},) booleans", came, "correct the mask"))
    x, y, z = shape_of(run)[:3] if run.is_nifti else (ijk.max(axis=0) + 1).tolist()
    return Places(
        ijk=ijk.astype(np.int64),
        shape=(int(x), int(y), int(z)),
        affine=affine,
        masks=united({name: mask.astype(np.bool_) for name, mask in masks.items()}),
    )


def _mask(path: Path, run: Run) -> Bool:
    """(X, Y, Z) bool of a mask that is in the series' own space: what is above 0."""
    values, affine = volume_of(path)
    shape = shape_of(run)[:3]
    if values.shape != shape or not np.allclose(affine, affine_of(run), atol=NEAR):
        came = f"{values.shape}" + (" with another affine" if values.shape == shape else "")
        raise InputError(expected(path, f"a mask in the space of {run.series.name} {shape}", came, "resample the mask"))
    return np.asarray(np.nan_to_num(values) > 0)


def _inside(union: Bool, volumes: Mapping[str, Bool], run: Run) -> Places:
    ijk = np.argwhere(union).astype(np.int64)
    if not len(ijk):
        raise InputError(expected(run.series, "masks that hold a voxel", "empty ones", "give other masks"))
    x, y, z = union.shape
    masks = united({name: volume[tuple(ijk.T)] for name, volume in volumes.items()})
    return Places(ijk=ijk, shape=(x, y, z), affine=affine_of(run), masks=masks)
