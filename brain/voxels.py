"""The voxel contract: which voxels, in which volume, of which betas, a mapping is fitted on and held to.

    VoxelSpace(...)       voxels of a volume, by their places in it
    surface_space(...)    vertices of a surface, by their ids and hemispheres
    column_space(...)     columns of a file that says nothing of places, held to that very file
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.catalogue import unknown
from brain.digest import sha256_of
from brain.errors import InputError, UsageError, expected
from brain.files.nifti import moved, must_be_affine
from brain.names import one_line

Int = NDArray[np.int64]
KINDS = ("volume", "surface", "columns")
HEMISPHERES = ("L", "R")


@dataclass(frozen=True, kw_only=True)
class VoxelSpace:
    """The voxel contract: the columns of a response matrix, by place and provenance.

    subject   such as "subj01"
    name      the volume's name, such as "func1pt8mm"; "native" where the laboratory gave none
    betas     the betas' version, such as "betas_fithrf_GLMdenoise_RR"
    unit      "psc" (percent signal change) or "z" or what the laboratory says
    shape     (X, Y, Z) of the volume
    affine    (4, 4) float64, voxel index -> millimetres
    ijk       (voxel, 3) int64, the voxels' places in the volume, in column order
    kind      "volume"; "surface", where ijk is (vertex, hemisphere, 0) and shape (vertices of a hemisphere, 2, 1);
              "columns", where ijk is (column, 0, 0)
    source    of "columns" the sha256 of the file that they are columns of, else ""
    """

    subject: str
    name: str
    betas: str
    unit: str
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    ijk: Int
    kind: str = "volume"
    source: str = ""

    def __post_init__(self) -> None:
        for fact in ("subject", "name", "betas", "unit"):
            one_line(getattr(self, fact), fact)
        where = f"voxel space of {self.subject}, affine"
        object.__setattr__(self, "affine", must_be_affine(np.asarray(self.affine, np.float64), where))
        object.__setattr__(self, "ijk", np.asarray(self.ijk, np.int64))
        if self.ijk.ndim != 2 or self.ijk.shape[1] != 3:
            raise InputError(f"voxel space of {self.subject}: ijk must be (voxel, 3), found {self.ijk.shape}")
        if self.kind not in KINDS:
            raise UsageError(unknown("kind of voxel space", self.kind, KINDS))
        if not self._fits_its_kind():
            found = f"shape {self.shape} and source {self.source!r:.12}"
            then = "make it with surface_space or column_space"
            raise InputError(expected(where_of(self), f"what a space of kind {self.kind} holds", found, then))

    def __len__(self) -> int:
        return len(self.ijk)

    def _fits_its_kind(self) -> bool:
        if self.kind == "volume":
            return not self.source
        beside = (len(HEMISPHERES), 1) if self.kind == "surface" else (1, 1)
        inside = bool((self.ijk >= 0).all() and (self.ijk < self.shape).all())
        source = not self.source if self.kind == "surface" else re.fullmatch("[0-9a-f]{64}", self.source) is not None
        return inside and self.shape[1:] == beside and source

    @property
    def placed(self) -> bool:
        """Whether the voxels lie in a volume. Where no places were given, readers number them in a row, (n, 0, 0)."""
        return self.kind == "volume" and bool(self.ijk[:, 1:].any())

    @property
    def millimetres(self) -> NDArray[np.float64]:
        """(voxel, 3) float64, where the voxels are; vertices and columns without places are an InputError."""
        must_be_of_volume(self, "places in millimetres")
        return np.asarray(self.ijk @ self.affine[:3, :3].T + self.affine[:3, 3])

    @property
    def vertices(self) -> tuple[Int, NDArray[np.str_]]:
        """(vertex,) ids and (vertex,) hemispheres, "L" or "R"; voxels and columns are an InputError."""
        if self.kind != "surface":
            then = "give data on a surface, or leave the surface out"
            raise InputError(expected(where_of(self), "vertices of a surface", FOUND[self.kind], then))
        return self.ijk[:, 0], np.array(HEMISPHERES, np.str_)[self.ijk[:, 1]]

    @cached_property
    def sha256(self) -> str:
        """The digest of everything a mapping must not be wrong about."""
        facts = [self.subject, self.name, self.betas, self.unit, list(self.shape)]
        facts += [] if self.kind == "volume" else [self.kind, self.source]
        return sha256_of(
            json.dumps(facts).encode(), self.affine.round(6).tobytes(), np.ascontiguousarray(self.ijk).tobytes()
        )

    def take(self, columns: NDArray[Any]) -> VoxelSpace:
        """The same space with only these voxels, in this order. `columns`: (voxel,) bool mask or int index."""
        return replace(self, ijk=self.ijk[columns])

    def columns_of(self, needed: VoxelSpace) -> Int:
        """Where each voxel that `needed` names stands in this space, (voxel,) int64: reorder or refuse, never count.

        The same place in millimetres is the same voxel, whichever way the axes of the two volumes run.
        """
        for fact in ("kind", "subject", "name", "betas", "unit"):
            have, want = getattr(self, fact), getattr(needed, fact)
            if have != want:
                raise InputError(
                    f"voxel space: the mapping was fitted on {fact} {want!r} and these data have {have!r}; "
                    "decode the data the mapping was fitted on, or fit again"
                )
        if self.source != needed.source:
            then = "decode that file, or fit again"
            raise InputError(expected("voxel space", "columns of the mapping's own file", "those of another", then))
        same = np.array_equal(self.affine, needed.affine)
        ijk = needed.ijk if same else moved(needed.ijk, there=needed.affine, home=self.affine)
        if ijk is None or (same and self.shape != needed.shape):
            mine, theirs = (f"{one.shape} {one.affine[:3].round(3).tolist()}" for one in (self, needed))
            raise InputError(
                expected("voxel space", f"the mapping's volume {theirs}", f"{mine} in these data", "fit again on these")
            )
        place = {tuple(voxel): column for column, voxel in enumerate(self.ijk.tolist())}
        missing = [voxel for voxel in ijk.tolist() if tuple(voxel) not in place]
        if missing:
            raise InputError(
                f"voxel space: {len(missing)} of the mapping's {len(needed)} voxels are not in these data "
                f"(first missing: ijk {missing[0]}); use the regions the mapping was fitted on, or fit again"
            )
        return np.array([place[tuple(voxel)] for voxel in ijk.tolist()], np.int64)


FOUND = {"volume": "voxels of a volume", "surface": "vertices of a surface", "columns": "columns without places"}


def where_of(space: VoxelSpace) -> str:
    """How messages call a voxel space."""
    return f"voxel space of {space.subject}"


def must_be_of_volume(space: VoxelSpace, what: str) -> None:
    """Refuse (InputError) `what`, such as "a map", for vertices of a surface and for columns without places."""
    if space.kind != "volume":
        want = f"voxels with places in a volume, for {what}"
        raise InputError(expected(where_of(space), want, FOUND[space.kind], "give ijk and affine, or leave it out"))


def surface_space(
    *,
    subject: str,
    name: str,
    betas: str,
    unit: str,
    vertices: Sequence[int] | Int,
    hemisphere: Sequence[str] | NDArray[np.str_],
    of: int,
) -> VoxelSpace:
    """The contract of vertices of a surface, such as `name` "fsaverage5".

    vertices (vertex,) ids from 0 in their hemisphere, "L" or "R" (vertex,); a mesh has `of` vertices a hemisphere.
    Ids beyond the mesh, one vertex twice and other hemispheres are an InputError.
    """
    ids, sides = np.asarray(vertices, np.int64), np.asarray(hemisphere, np.str_)
    where = f"voxel space of {subject}"
    if ids.shape != sides.shape or ids.ndim != 1 or not np.isin(sides, HEMISPHERES).all():
        found = f"{ids.shape} ids and {sides.shape} hemispheres {sorted(set(sides.ravel().tolist()))[:3]}"
        raise InputError(expected(where, "one hemisphere, L or R, a vertex", found, "correct them"))
    side = (sides == "R").astype(np.int64)
    ijk = np.stack([ids, side, np.zeros_like(ids)], axis=1)
    if (ids < 0).any() or (ids >= of).any() or len(np.unique(ijk, axis=0)) < len(ids):
        found = f"ids {ids.min(initial=0)} to {ids.max(initial=0)}, {len(np.unique(ijk, axis=0))} of {len(ids)} differ"
        raise InputError(expected(where, f"vertices 0 to {of - 1}, each once", found, "correct the ids or the mesh"))
    return VoxelSpace(
        subject=subject, name=name, betas=betas, unit=unit, shape=(of, len(HEMISPHERES), 1), affine=np.eye(4),
        ijk=ijk, kind="surface",
    )  # fmt: skip


def column_space(*, subject: str, name: str, betas: str, unit: str, columns: int, source: str) -> VoxelSpace:
    """The contract of a file that says nothing of places: its columns, held to its sha256, `source`."""
    ijk = np.zeros((columns, 3), np.int64)
    ijk[:, 0] = np.arange(columns)
    return VoxelSpace(
        subject=subject, name=name, betas=betas, unit=unit, shape=(columns, 1, 1), affine=np.eye(4), ijk=ijk,
        kind="columns", source=source,
    )  # fmt: skip
