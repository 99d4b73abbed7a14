"""Voxels cut into patches that lie together on the cortex, for models that read patches as tokens.

    patches = cut_cortex(voxels, size=16)
    patches.cut(values)            # (trial, voxel) -> (trial, patch, size)
    patches.centre                 # (patch, 3) millimetres: what a patch's position embedding is made of

Any number of voxels: a hemisphere's last patch is filled up with zeros that `valid` marks, so that nothing of another
voxel is repeated there (MinD-Vis wraps around, and the network could copy what it was to predict).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from brain.digest import sha256_of
from brain.errors import InputError, UsageError
from brain.machine.memory import contiguous
from brain.types import Bool, Float, Int
from brain.voxels import VoxelSpace

EMPTY = -1
"""A place of a patch that holds no voxel."""


@dataclass(frozen=True, kw_only=True)
class Patches:
    """Which voxel stands where.

    column  (patch, size) int64, the voxel of each place, `EMPTY` where there is none
    centre  (patch, 3) float32, the mean place of a patch's voxels in millimetres
    voxels  how many voxels there are
    """

    column: Int
    centre: Float
    voxels: int

    def __post_init__(self) -> None:
        held = np.sort(self.column[self.column != EMPTY])
        if not np.array_equal(held, np.arange(self.voxels)):
            raise InputError(
                f"patches: expected each of {self.voxels} voxels once, found {len(held)} places; cut again"
            )

    def __len__(self) -> int:
        return len(self.column)

    @property
    def size(self) -> int:
        """Voxels in a full patch."""
        return int(self.column.shape[1])

    @cached_property
    def valid(self) -> Bool:
        """(patch, size) bool: the places that hold a voxel."""
        return np.asarray(self.column != EMPTY)

    @cached_property
    def sha256(self) -> str:
        """The digest of the cut."""
        return sha256_of(np.ascontiguousarray(self.column).tobytes(), self.centre.tobytes())

    def cut(self, values: Float) -> Float:
        """(trial, voxel) -> (trial, patch, size) float32 in C order, zero in empty places.

        Another number of voxels is an InputError.
        """
        if values.ndim != 2 or values.shape[1] != self.voxels:
            raise InputError(
                f"patches: expected (trial, {self.voxels}), found {values.shape}; use the voxels of the cut"
            )
        return contiguous(np.where(self.valid, values[:, self.column], 0), np.float32)

    def join(self, patches: Float) -> Float:
        """(trial, patch, size) -> (trial, voxel): the inverse of `cut`."""
        values = np.empty((len(patches), self.voxels), np.float32)
        values[:, self.column[self.valid]] = patches[:, self.valid]
        return values


def cut_cortex(voxels: VoxelSpace, size: int) -> Patches:
    """Patches of `size` neighbouring voxels, hemisphere by hemisphere: halved along the longest side until they fit."""
    if size < 1:
        raise UsageError(f"patches: a patch holds one voxel or more, found size {size}")
    if not len(voxels):
        raise InputError("patches: no voxels to cut; choose other regions")
    place = voxels.ijk @ voxels.affine[:3, :3].T + voxels.affine[:3, 3]
    rows = np.arange(len(voxels))
    groups = [
        group
        for side in (place[:, 0] < 0, place[:, 0] >= 0)
        if side.any()
        for group in _halved(rows[side], place, size)
    ]
    column = np.full((len(groups), size), EMPTY, np.int64)
    for patch, group in enumerate(groups):
        column[patch, : len(group)] = group
    centre = np.stack([place[group].mean(0) for group in groups]).astype(np.float32)
    return Patches(column=column, centre=centre, voxels=len(voxels))


def _halved(rows: NDArray[np.int64], place: NDArray[np.float64], size: int) -> list[NDArray[np.int64]]:
    """Groups of exactly `size` neighbours, but for the last one."""
    if len(rows) <= size:
        return [rows]
    widest = int(np.ptp(place[rows], axis=0).argmax())
    order = rows[np.lexsort((rows, place[rows, widest]))]
    half = max(1, round(len(order) / size / 2)) * size
    return [*_halved(order[:half], place, size), *_halved(order[half:], place, size)]
