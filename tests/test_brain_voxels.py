"""The voxel contract: voxels of a volume, vertices of a surface, columns of a file; reordered or refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brain.errors import InputError, UsageError
from brain.voxels import VoxelSpace, column_space, surface_space

FACTS = {"subject": "s1", "name": "native", "betas": "b1", "unit": "psc"}


def volume() -> VoxelSpace:
    ijk = np.array([[0, 0, 0], [1, 0, 0], [1, 2, 1]])
    return VoxelSpace(**FACTS, shape=(2, 3, 2), affine=np.diag([2.0, 2, 2, 1]), ijk=ijk)


def surface() -> VoxelSpace:
    return surface_space(**FACTS, vertices=[3, 3, 7], hemisphere=["L", "R", "R"], of=10)


def columns(source: str = "a" * 64) -> VoxelSpace:
    return column_space(**FACTS, columns=4, source=source)


def test_the_digest_of_a_volume_stays_what_it_was() -> None:
    assert volume().sha256 == "e4c7ad73c223bd46ef147f310d89b388df18845dfe026486616e3bad60c31205"
    assert len({volume().sha256, surface().sha256, columns().sha256, columns("b" * 64).sha256}) == 4


def test_vertices_keep_their_ids_and_hemispheres() -> None:
    ids, sides = surface().vertices
    assert ids.tolist() == [3, 3, 7] and sides.tolist() == ["L", "R", "R"]
    assert surface().take(np.array([2, 0])).vertices[0].tolist() == [7, 3]


def test_vertices_and_columns_are_found_in_another_order() -> None:
    turned = surface().take(np.array([2, 0]))
    assert surface().columns_of(turned).tolist() == [2, 0]
    assert columns().columns_of(columns().take(np.array([3, 1]))).tolist() == [3, 1]
    with pytest.raises(InputError, match="1 of the mapping's 3 voxels are not in these data"):
        surface().take(np.array([0, 1])).columns_of(surface())


def test_other_kinds_files_and_meshes_are_refused() -> None:
    with pytest.raises(InputError, match="fitted on kind 'volume' and these data have 'surface'"):
        surface().columns_of(volume())
    with pytest.raises(InputError, match="expected columns of the mapping's own file, found those of another"):
        columns().columns_of(columns("b" * 64))
    other = surface_space(**FACTS, vertices=[3], hemisphere=["L"], of=20)
    with pytest.raises(InputError, match="voxel space: expected the mapping's volume"):
        surface().columns_of(other)


def test_maps_and_millimetres_are_of_volumes_alone() -> None:
    assert volume().placed and volume().millimetres.tolist() == [[0, 0, 0], [2, 0, 0], [2, 4, 2]]
    for space, found in ((surface(), "vertices of a surface"), (columns(), "columns without places")):
        assert not space.placed
        with pytest.raises(InputError, match=f"s1: expected voxels with places in a volume, .*, found {found}; give"):
            _ = space.millimetres
    for space, found in ((volume(), "voxels of a volume"), (columns(), "columns without places")):
        with pytest.raises(InputError, match=f"s1: expected vertices of a surface, found {found}"):
            _ = space.vertices


def test_a_space_that_is_not_what_it_says_is_refused() -> None:
    with pytest.raises(UsageError, match="no kind of voxel space is called 'mesh'"):
        replace(volume(), kind="mesh")
    for space in (replace(columns(), shape=(4, 1, 1)), surface()):
        with pytest.raises(InputError, match="expected what a space of kind"):
            replace(space, source="not a digest")
    with pytest.raises(InputError, match="expected what a space of kind surface holds"):
        replace(volume(), kind="surface")
    with pytest.raises(InputError, match="expected one hemisphere, L or R, a vertex, found .*X"):
        surface_space(**FACTS, vertices=[1], hemisphere=["X"], of=3)
    for ids in ([1, 1], [0, 3], [-1, 0]):
        with pytest.raises(InputError, match="expected vertices 0 to 2, each once"):
            surface_space(**FACTS, vertices=ids, hemisphere=["L", "L"], of=3)
