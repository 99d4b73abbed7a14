"""Where the simulated regions lie: blobs at the regions' usual MNI places, cut by a folded ribbon, on a 1.8 mm grid.

The places are round numbers near the centres that localizer studies report; they make the maps look right on a glass
brain and carry no claim beyond that. A subject differs from the next in its folds, its shifts and so its voxel count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OUTSIDE = -1


@dataclass(frozen=True, kw_only=True)
class Box:
    """The part of the head a grid covers: two corners in MNI millimetres and the voxels' side."""

    near: tuple[float, float, float]
    far: tuple[float, float, float]
    millimetres: float


VISUAL = Box(near=(-61.2, -108.0, -30.6), far=(61.2, -32.4, 54.0), millimetres=1.8)


@dataclass(frozen=True, kw_only=True)
class Area:
    """A region of the right hemisphere (the left is its mirror): centre and radius in MNI mm, stream label, atlas."""

    name: str
    centre: tuple[float, float, float]
    radius: float
    stream: str
    atlas: str


AREAS: tuple[Area, ...] = (
    Area(name="V1v", centre=(9, -86, -3), radius=9.5, stream="early", atlas="prf-visualrois"),
    Area(name="V1d", centre=(9, -92, 9), radius=9.5, stream="early", atlas="prf-visualrois"),
    Area(name="V2v", centre=(15, -78, -8), radius=9, stream="early", atlas="prf-visualrois"),
    Area(name="V2d", centre=(16, -96, 17), radius=9, stream="early", atlas="prf-visualrois"),
    Area(name="V3v", centre=(23, -77, -12), radius=8.5, stream="early", atlas="prf-visualrois"),
    Area(name="V3d", centre=(24, -92, 21), radius=8.5, stream="early", atlas="prf-visualrois"),
    Area(name="hV4", centre=(29, -71, -15), radius=8.5, stream="midventral", atlas="prf-visualrois"),
    Area(name="OFA", centre=(39, -80, -10), radius=6, stream="lateral", atlas="floc-faces"),
    Area(name="FFA-1", centre=(40, -60, -18), radius=6, stream="ventral", atlas="floc-faces"),
    Area(name="FFA-2", centre=(40, -46, -21), radius=6, stream="ventral", atlas="floc-faces"),
    Area(name="EBA", centre=(47, -70, 5), radius=9, stream="lateral", atlas="floc-bodies"),
    Area(name="FBA-1", centre=(46, -53, -12), radius=5, stream="ventral", atlas="floc-bodies"),
    Area(name="FBA-2", centre=(47, -41, -18), radius=5, stream="ventral", atlas="floc-bodies"),
    Area(name="OPA", centre=(34, -81, 24), radius=7, stream="midparietal", atlas="floc-places"),
    Area(name="PPA", centre=(27, -45, -8), radius=8, stream="ventral", atlas="floc-places"),
    Area(name="RSC", centre=(16, -56, 13), radius=7, stream="parietal", atlas="floc-places"),
    Area(name="OWFA", centre=(45, -73, -13), radius=5, stream="midlateral", atlas="floc-words"),
    Area(name="VWFA-1", centre=(48, -60, -10), radius=5.5, stream="ventral", atlas="floc-words"),
    Area(name="VWFA-2", centre=(50, -48, -12), radius=5.5, stream="ventral", atlas="floc-words"),
    Area(name="food", centre=(32, -57, -13), radius=6.5, stream="ventral", atlas="food"),
    Area(name="VO", centre=(27, -62, -9), radius=7.5, stream="ventral", atlas=""),
    Area(name="IT", centre=(36, -38, -24), radius=7.5, stream="ventral", atlas=""),
    Area(name="LO", centre=(42, -80, 3), radius=8.5, stream="midlateral", atlas=""),
    Area(name="IPS", centre=(25, -70, 42), radius=7, stream="parietal", atlas=""),
)


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """The voxels of one simulated subject.

    shape, affine   the volume (X, Y, Z) and its (4, 4) affine into MNI millimetres
    ijk             (voxel, 3) int64, in C order of the volume
    area            (voxel,) int64 into the areas it was grown from
    right           (voxel,) bool, True in the right hemisphere
    along, across   (voxel,) float32 in [0, 1], the voxel's rank along the two sheet axes of its area and hemisphere
    ribbon          (X, Y, Z) bool, the cortical ribbon of the whole box
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    ijk: NDArray[np.int64]
    area: NDArray[np.int64]
    right: NDArray[np.bool_]
    along: NDArray[np.float32]
    across: NDArray[np.float32]
    ribbon: NDArray[np.bool_]

    def volume(self, values: NDArray[np.int64], outside: int = OUTSIDE) -> NDArray[np.int64]:
        """(voxel,) integers as a volume: `outside` beyond the ribbon, 0 where the ribbon carries no voxel of ours."""
        volume = np.where(self.ribbon, 0, outside)
        volume[tuple(self.ijk.T)] = values
        return volume


def grow(rng: np.random.Generator, *, box: Box = VISUAL, areas: tuple[Area, ...] = AREAS) -> Anatomy:
    """The anatomy of one subject: the voxels of `areas` on the grid of `box`."""
    shape = tuple(int(round((far - near) / box.millimetres)) + 1 for near, far in zip(box.near, box.far, strict=True))
    affine = np.diag([box.millimetres, box.millimetres, box.millimetres, 1.0])
    affine[:3, 3] = box.near
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)
    place = grid * box.millimetres + np.asarray(box.near)
    ribbon = _ribbon(place, rng)
    centres = np.array([area.centre for area in areas], np.float64) + rng.normal(0, 1.2, (len(areas), 3))
    radii = np.array([area.radius for area in areas]) * rng.uniform(0.93, 1.05, len(areas))
    mirrored = place.copy()
    mirrored[..., 0] = np.abs(mirrored[..., 0])
    reach = np.linalg.norm(mirrored[..., None, :] - centres, axis=-1) / radii
    nearest = reach.argmin(-1)
    ours = ribbon & (reach.min(-1) < 1) & (mirrored[..., 0] > 1.5)
    ijk = np.argwhere(ours).astype(np.int64)
    area, right = nearest[ours], place[ours][:, 0] > 0
    along, across = _sheet(place[ours], area, right, len(areas))
    return Anatomy(
        shape=(shape[0], shape[1], shape[2]),
        affine=affine,
        ijk=ijk,
        area=area.astype(np.int64),
        right=right,
        along=along,
        across=across,
        ribbon=ribbon,
    )


def _ribbon(place: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """A folded sheet: where a smooth random wave crosses zero, about four tenths of the box."""
    wave = np.zeros(place.shape[:3])
    for _ in range(6):
        direction = rng.normal(size=3)
        direction *= 2 * np.pi / rng.uniform(14, 26) / np.linalg.norm(direction)
        wave += np.sin(place @ direction + rng.uniform(0, 2 * np.pi))
    inside: NDArray[np.bool_] = np.abs(wave) < 0.85
    return inside


def _sheet(
    place: NDArray[np.float64], area: NDArray[np.int64], right: NDArray[np.bool_], areas: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Ranks in [0, 1] from back to front (along: fovea to periphery) and from below to above (across: polar angle)."""
    along, across = (np.zeros(len(place), np.float32) for _ in range(2))
    for number in range(areas):
        for side in (False, True):
            rows = np.flatnonzero((area == number) & (right == side))
            for target, axis in ((along, 1), (across, 2)):
                order = place[rows, axis].argsort(kind="stable").argsort()
                target[rows] = (order + 0.5) / max(1, len(rows))
    return along, across
