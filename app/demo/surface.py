"""Where voxels lie on the mesh that every page can draw, fsaverage5 as nilearn bundles it, and whether they do at all.

    place = place_of(space, simulated="")     "surface", "glass" or "own", why, and a column for each vertex of the mesh
    mesh_text()                               the mesh as a page is sent it, once

A vertex of the mesh is counted over both hemispheres, the left one's 10,242 first. No value is resampled: a vertex
shows one voxel of the data, or none. A volume of a subject's own is never put on a template.
"""

from __future__ import annotations

import base64
import re
import zlib
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.demo.looks import STRONG
from brain.types import Float
from brain.voxels import HEMISPHERES, VoxelSpace

Int = NDArray[np.int64]

VERTICES = 10_242
"""Of a hemisphere of fsaverage5; finer members of the family begin with the same ones."""
FAMILY = {"fsaverage": (10_242, 40_962, 163_842), "fsaverage5": (10_242,), "fsaverage6": (40_962,),
          "fsaverage7": (163_842,)}  # fmt: skip
"""Name of a space -> how many vertices its hemispheres may have."""
FEWEST = 200
"""Vertices of the mesh that have to lie in voxels, below which a glass brain shows more."""
DEPTHS = (0.5, 0.25, 0.75, 0.0, 1.0)
"""Where in the cortex a vertex looks for a voxel, the middle first."""
MILLIMETRES = 0.05
"""What a whole number of the mesh's coordinates counts."""
NONE = -1
"""The column of a vertex without data."""
EMPTY = -(2**15)
"""Its value in a page; any other value is in hundredths of a standard deviation."""
TO_MNI152 = np.array(
    [[0.9975, -0.0073, 0.0176, -0.0429], [0.0146, 1.0009, -0.0024, 1.5496], [-0.0130, -0.0093, 0.9971, 1.1840]]
)
"""(3, 4), millimetres of MNI305, where fsaverage lies, to those of MNI152: FreeSurfer's wiki, CoordinateSystems."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a pattern is shown.

    kind     "surface"; "glass", a glass brain; "own", slices of the data's own grid where there is one, and bars
    space    the name of the space, as it is printed
    why      one sentence: what is shown, and why that
    columns  (vertex,) the column of the pattern at each vertex of the mesh, NONE where there are no data; of a surface
    """

    kind: str
    space: str
    why: str
    columns: Int | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """fsaverage5.

    inflated, white, pial   (hemisphere, vertex, 3) mm, of which the first is about its own centre
    faces   (face, 3) the same for both hemispheres, anticlockwise seen from outside
    depth   (hemisphere, vertex) sulcal depth, above 0 in a sulcus
    """

    inflated: Float
    white: Float
    pial: Float
    faces: Int
    depth: Float


@cache
def mesh() -> Mesh:
    """The mesh, read from nilearn's own files; nothing is fetched."""
    from nilearn.datasets import fetch_surf_fsaverage
    from nilearn.surface import load_surf_data, load_surf_mesh

    files = fetch_surf_fsaverage("fsaverage5")
    sides = ("left", "right")
    sheets: dict[str, list[Any]] = {
        kind: [load_surf_mesh(files[f"{kind}_{side}"]) for side in sides] for kind in ("infl", "pial", "white")
    }
    inflated, white, pial = (
        np.stack([np.asarray(one.coordinates, np.float32) for one in sheets[kind]])
        for kind in ("infl", "white", "pial")
    )
    return Mesh(
        inflated=inflated - (inflated.max(1, keepdims=True) + inflated.min(1, keepdims=True)) / 2,
        white=white, pial=pial,
        faces=np.asarray(sheets["infl"][0].faces, np.int64),
        depth=np.stack([load_surf_data(files[f"sulc_{side}"]) for side in sides]).astype(np.float32),
    )  # fmt: skip


def place_of(space: VoxelSpace, *, simulated: str) -> Place:
    """Where a pattern over this space is shown; the simulated brain lies in MNI152 by its making."""
    if space.kind == "surface":
        return _of_vertices(space)
    name = "MNI152 (simulated)" if simulated else space.name
    if not space.placed:
        why = "These data carry no voxel positions, so that there is neither a surface nor a slice to show."
        return Place(kind="own", space=name, why=why)
    if not re.search("(?<![A-Z])MNI", name.upper()):
        why = (
            "A space of the subject's own: the pattern stays on slices of its own grid, for pictures of a standard "
            "brain would put it in wrong places."
        )
        return Place(kind="own", space=name, why=why)
    return _of_mni(space, name)


def _of_vertices(space: VoxelSpace) -> Place:
    ids, _ = space.vertices
    of, known = space.shape[0], ids < VERTICES
    why = ""
    if of not in FAMILY.get(space.name.strip().lower(), ()):
        why = f"Vertices of a surface, {of:,} a hemisphere, not fsaverage5, the mesh at hand, nor a finer one of it"
    elif not known.any():
        why = f"None of these {len(ids):,} vertices is one that fsaverage5, the mesh at hand, has too"
    if why:
        return Place(kind="own", space=space.name, why=f"{why}: only the bars are shown.")
    columns = np.full((len(HEMISPHERES), VERTICES), NONE, np.int64)
    columns[space.ijk[known, 1], ids[known]] = np.flatnonzero(known)
    why = "Vertices of fsaverage, whose surface this is, inflated."
    if of > VERTICES:
        why = (
            f"Of {len(ids):,} vertices the {int(known.sum()):,} are shown that fsaverage5 has too, the first "
            f"{VERTICES:,} of each hemisphere, on its inflated surface; the bars are means over all."
        )
    return Place(kind="surface", space=space.name, why=why, columns=columns.ravel())


def _of_mni(space: VoxelSpace, name: str) -> Place:
    columns = np.full(len(HEMISPHERES) * VERTICES, NONE, np.int64)
    for depth in DEPTHS:
        columns = np.where(columns >= 0, columns, voxels_at(space, places_of(name, depth)))
    seen, voxels = int((columns >= 0).sum()), len(np.unique(columns[columns >= 0]))
    if seen < FEWEST:
        why = (
            f"A standard brain's space: a glass brain, for only {seen} of the {len(columns):,} vertices of fsaverage5 "
            "lie in voxels of these data."
        )
        return Place(kind="glass", space=name, why=why)
    why = (
        "A standard brain's space: each vertex of fsaverage5, inflated, shows one voxel, that nearest to the middle of "
        f"the standard cortex there, {voxels:,} of {len(space):,} voxels in all; nobody's own folds are the standard's."
    )
    return Place(kind="surface", space=name, why=why, columns=columns)


def places_of(name: str, depth: float) -> NDArray[np.float64]:
    """(vertex, 3) millimetres in that MNI space, at a depth of the cortex: 0 at the white matter, 1 at the surface."""
    found = mesh()
    places = (found.white + depth * (found.pial - found.white)).reshape(-1, 3).astype(np.float64)
    if "305" in name:
        return places
    return np.asarray(places @ TO_MNI152[:, :3].T + TO_MNI152[:, 3])


def voxels_at(space: VoxelSpace, places: NDArray[np.float64]) -> Int:
    """(vertex,) the column of the voxel in which each of these places (vertex, 3) in millimetres lies, NONE of none."""
    back = np.linalg.inv(space.affine)
    ijk = np.rint(places @ back[:3, :3].T + back[:3, 3]).astype(np.int64)
    volume = np.full(space.shape, NONE, np.int64)
    volume[tuple(space.ijk.T)] = np.arange(len(space))
    inside = ((ijk >= 0) & (ijk < space.shape)).all(1)
    columns = np.full(len(places), NONE, np.int64)
    columns[inside] = volume[tuple(ijk[inside].T)]
    return columns


def values_text(values: Float, columns: Int) -> str:
    """A pattern (voxel,) of z-scores as a page reads it: (vertex,) int16 hundredths, EMPTY where there are no data."""
    rounded = np.clip(np.round(100 * np.nan_to_num(values.astype(np.float64))), -(2**15) + 1, 2**15 - 1)
    known = (columns >= 0) & np.isfinite(values[columns])
    return _packed(np.where(known, rounded[columns], EMPTY).astype("<i2"))


def masks_text(masks: NDArray[np.bool_], columns: Int) -> str:
    """Which vertices each region has, of masks (row, voxel), a row each: (row, vertex) bits, the lowest bit first."""
    return _packed(np.packbits(masks[:, columns] & (columns >= 0), axis=1, bitorder="little"))


@cache
def mesh_text() -> dict[str, str]:
    """The mesh for a page: `coords` and `faces` as differences from number to number, `depth`, `colours` as bytes."""
    found = mesh()
    coords = np.round(found.inflated.transpose(0, 2, 1) / MILLIMETRES).astype(np.int64).ravel()
    low, high = np.quantile(found.depth, (0.02, 0.98))
    depth = np.round(255 * np.clip((found.depth - low) / (high - low), 0, 1))
    return {
        "coords": _packed(np.diff(coords, prepend=0).astype("<i2")),
        "faces": _packed(np.diff(found.faces.T.ravel(), prepend=0).astype("<i2")),
        "depth": _packed(depth.astype(np.uint8)),
        "colours": _packed(colours()),
    }


def colours() -> NDArray[np.uint8]:
    """(row, channel) of 255 rows from -STRONG to STRONG, blue below, red above, as slices have them."""
    import matplotlib

    return np.asarray(np.round(255 * matplotlib.colormaps["RdBu_r"](np.linspace(0, 1, 255))[:, :3]), np.uint8)


def scale_css() -> str:
    """The colours from left to right, as a gradient of a style sheet."""
    stops = colours()[np.linspace(0, 254, 11).round().astype(int)]
    return ", ".join(f"#{bytes(stop).hex()}" for stop in stops.tolist())


def scale_ends() -> tuple[str, str]:
    """What stands at the ends of the colours."""
    return f"−{STRONG:g}", f"+{STRONG:g}"


def _packed(values: NDArray[Any]) -> str:
    """The bytes of an array, deflated (zlib), as base64."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 9)).decode()
