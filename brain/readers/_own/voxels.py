"""The voxels of the own-data format: their places, their regions, their noise ceiling, which of them can be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain.data.validity import Validity
from brain.errors import InputError, UsageError, expected
from brain.files.nifti import must_be_affine
from brain.files.tables import as_mask, whole_numbers
from brain.readers._own.fields import FIELDS, ArrayFile
from brain.readers._own.values import numbers_of, text_of
from brain.types import Float, Int, Region
from brain.voxels import VoxelSpace


def _places(source: ArrayFile, name: str, shape: tuple[int, ...]) -> Int:
    values = numbers_of(source, name, shape)
    if not whole_numbers(values).all():
        raise InputError(expected(f"{source.path}, {name}", FIELDS[name], "others", "correct it"))
    return values.astype(np.int64)


def space_of(source: ArrayFile, voxels: int) -> VoxelSpace:
    """The voxel contract of the file; places outside the volume, and two voxels in one, are an InputError."""
    lone = np.stack([np.arange(voxels), np.zeros(voxels, int), np.zeros(voxels, int)], axis=1)
    ijk = _places(source, "ijk", (voxels, 3)) if "ijk" in source else lone
    least = ijk.max(axis=0) + 1
    shape = _places(source, "shape", (3,)) if "shape" in source else least
    if ijk.min() < 0 or (shape < least).any() or len(np.unique(ijk, axis=0)) < voxels:
        came = f"ijk {ijk.min(axis=0).tolist()}..{(least - 1).tolist()} in {shape.tolist()}"
        raise InputError(expected(source.path, "each voxel's own place in the volume", came, "correct ijk or shape"))
    return VoxelSpace(
        subject=text_of(source, "subject", source.path.stem),
        name="native",
        betas=text_of(source, "betas", "native"),
        unit=text_of(source, "unit", "native"),
        shape=(int(shape[0]), int(shape[1]), int(shape[2])),
        affine=affine_of(source),
        ijk=ijk,
    )


def affine_of(source: ArrayFile) -> NDArray[np.float64]:
    """(4, 4) float64 voxel index -> millimetres, the identity where the file has none."""
    return must_be_affine(source.read("affine"), f"{source.path}, affine") if "affine" in source else np.eye(4)


def check_asked(path: Path, space: VoxelSpace, *, subject: str, betas: str) -> None:
    """Refuse (UsageError) a subject or version of betas that the file does not hold."""
    for name, asked, have in (("subject", subject, space.subject), ("betas", betas, space.betas)):
        if asked not in ("", have):
            raise UsageError(f"{path}: {name} {asked!r} was asked for and the file holds {have!r}; leave it out")


def rows_of(path: Path, session: Int, sessions: tuple[int, ...]) -> Int:
    """(trial,) int64 the trials of these sessions, all where none is named; an absent session is an InputError."""
    missing = sorted(set(sessions) - set(session.tolist()))
    if missing:
        there = np.unique(session).tolist()
        raise InputError(expected(path, f"session {missing[0]}", f"a file with sessions {there}", "name others"))
    return np.flatnonzero(np.isin(session, sessions)) if sessions else np.arange(len(session))


def usable_in(path: Path, values: Float, session: Int) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """(voxel,) bool, the voxels that can be used, by the (trial,) sessions, and why others cannot."""
    validity = Validity(values.shape[1])
    for one in np.unique(session).tolist():
        validity.look(values[session == one], one)
    if not validity.usable.any():
        raise InputError(f"{path}: {'; '.join(validity.sentences())}; no voxel is left to decode")
    return validity.usable, validity.sentences()


def regions_of(source: ArrayFile, voxels: int, usable: NDArray[np.bool_]) -> tuple[Region, ...]:
    """Every roi/<name> that has a usable voxel, and "all"; `usable` (voxel,)."""
    regions = []
    for name, values in sorted(source.group("roi").items()) if "roi" in source else ():
        mask = as_mask(values, f"{source.path}, roi/{name}", voxels)
        if mask[usable].any():
            regions.append(Region(name=name, atlas="roi", mask=mask[usable]))
        else:
            why = "holds no voxel" if not mask.any() else f"loses all its {int(mask.sum())} voxels"
            source.notes.append(f"region {name} {why} and is left out")
    if all(region.name != "all" for region in regions):
        regions.append(Region(name="all", atlas="all voxels", mask=np.ones(int(usable.sum()), np.bool_)))
    return tuple(regions)


def ncsnr_of(source: ArrayFile, voxels: int, usable: NDArray[np.bool_]) -> Float | None:
    """The noise ceiling SNR (voxel,) of the `usable` (voxel,); that of others was not measured and may be anything."""
    return numbers_of(source, "ncsnr", (voxels,), of=usable).astype(np.float32)[usable] if "ncsnr" in source else None
