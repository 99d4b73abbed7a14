"""NSD's masks and the names of their labels. -1 is outside the cortical ribbon, 0 is none; neither is ever a region."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.data.nsd_facts import LABELS, UNIONS
from brain.errors import InputError, expected
from brain.files.nifti import Grid, Volume, on_grid, read_volume
from brain.files.paths import listed, optional, read_text
from brain.readers._nsd.betas import FETCH
from brain.types import Bool, Int, Region

ORDER = (
    "prf-visualrois", "floc-faces", "floc-bodies", "floc-places", "floc-words", "food", "streams", "nsdgeneral",
    "prf-eccrois",
)  # fmt: skip
"""The atlases whose labels keep their plain names; a later atlas that repeats a name gives "<atlas>:<name>"."""


@dataclass(frozen=True, kw_only=True)
class Atlas:
    """One mask file: `volume` (X, Y, Z) of labels on `grid`, their `names`, and where (`named_by`) they are from."""

    name: str
    volume: NDArray[Any]
    grid: Grid
    names: Mapping[int, str]
    named_by: str


def read_atlases(root: Path, subject: str, space: str) -> tuple[Atlas, ...]:
    """Every mask of both hemispheres of a subject, in `ORDER`, each as its file has it (`on_one_grid` brings them)."""
    folder = root / "nsddata/ppdata" / subject / space / "roi"
    paths = [path for path in listed(folder, "*.nii.gz") if not path.name.startswith(("lh.", "rh."))]
    if not paths:
        raise InputError(expected(folder, "masks such as nsdgeneral.nii.gz", "none", "fetch the roi folder"))
    names = {path.name.removesuffix(".nii.gz"): path for path in paths}
    ranked = [name for name in ORDER if name in names] + [name for name in names if name not in ORDER]
    atlases: list[Atlas] = []
    for name in ranked:
        volume = read_volume(names[name], then=FETCH)
        _check_labels(names[name], volume.values)
        labels, source = _names(root, subject, name)
        atlases.append(Atlas(name=name, volume=volume.values, grid=volume.grid, names=labels, named_by=source))
    return tuple(atlases)


def on_one_grid(atlases: Sequence[Atlas], grid: Grid) -> tuple[Atlas, ...]:
    """The atlases on `grid`, the betas': axes that are only turned are turned back, another grid is an InputError."""
    return tuple(
        replace(atlas, volume=on_grid(Volume(values=atlas.volume, grid=atlas.grid), grid), grid=grid)
        for atlas in atlases
    )


def _check_labels(path: Path, volume: NDArray[Any]) -> None:
    if volume.ndim != 3:
        raise InputError(expected(path, "a (X, Y, Z) mask", f"shape {volume.shape}", "fetch the mask again"))
    if volume.dtype.kind == "f" and not (volume == np.rint(volume)).all():
        strange = volume[volume != np.rint(volume)][0]
        then = "fetch the mask again; resample labels by nearest neighbour"
        raise InputError(expected(path, "whole numbers as labels", f"{strange:g}", then))


def _names(root: Path, subject: str, atlas: str) -> tuple[Mapping[int, str], str]:
    for home in (subject, "fsaverage"):
        path = root / "nsddata/freesurfer" / home / "label" / f"{atlas}.mgz.ctab"
        if optional(path, what="a colour table") is not None:
            return read_ctab(path), str(path.relative_to(root))
    if atlas in LABELS:
        return LABELS[atlas], "NSD's manual (its ctab was not fetched)"
    return {}, ""


def read_ctab(path: Path) -> dict[int, str]:
    """Label -> name of the positive labels of a colour table: lines of "number name", what follows is colours."""
    names: dict[int, str] = {}
    text = read_text(path, what="a colour table", then="fetch it again")
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        if len(words) < 2 or not re.fullmatch(r"-?[0-9]{1,9}", words[0]):
            raise InputError(
                expected(f"{path}, line {number}", "a number and a name", repr(line[:60]), "fetch it again")
            )
        if int(words[0]) > 0:
            names[int(words[0])] = words[1]
    return names


def voxels_of(atlases: Sequence[Atlas]) -> Bool:
    """(X, Y, Z) bool, the voxels to read: nsdgeneral, or, where it was not fetched, every voxel with a label."""
    general = [atlas.volume > 0 for atlas in atlases if atlas.name == "nsdgeneral"]
    mask = general[0] if general else np.any([atlas.volume > 0 for atlas in atlases], axis=0)
    if not mask.any():
        raise InputError("the masks hold no voxel with a positive label; fetch the roi folder again")
    return np.asarray(mask)


def regions_at(atlases: Sequence[Atlas], ijk: Int) -> tuple[tuple[Region, ...], tuple[str, ...]]:
    """The regions over the voxels `ijk` (voxel, 3), and the names of those that hold none of them.

    Every label by its name; unions such as V1 of V1v and V1d; every atlas of several labels as a whole by its own name.
    """
    regions: dict[str, Region] = {}
    empty: list[str] = []
    for atlas in atlases:
        labels = np.asarray(atlas.volume[tuple(ijk.T)])
        for label, name in sorted(atlas.names.items()):
            free = name if name not in regions and name not in empty else f"{atlas.name}:{name}"
            _add(regions, empty, name=free, atlas=atlas.name, mask=labels == label)
        if len(atlas.names) > 1:
            _add(regions, empty, name=atlas.name, atlas=atlas.name, mask=np.isin(labels, list(atlas.names)))
    for union, parts in UNIONS.items():
        there = [regions[part] for part in parts if part in regions]
        if there and union not in regions:
            mask = np.any([part.mask for part in there], axis=0)
            _add(regions, empty, name=union, atlas=there[0].atlas, mask=mask)
    return tuple(regions.values()), tuple(empty)


def _add(regions: dict[str, Region], empty: list[str], *, name: str, atlas: str, mask: Bool) -> None:
    if mask.any():
        regions[name] = Region(name=name, atlas=atlas, mask=mask)
    else:
        empty.append(name)
