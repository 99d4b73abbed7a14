"""The brain in the demo: a surface where, and only where, a pattern belongs on one; values and colours are right."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.demo.brain import brain_view
from app.demo.looks import STRONG, bytes_of
from app.demo.pages import page, text_of
from app.demo.surface import EMPTY, MILLIMETRES, VERTICES, colours, mesh, mesh_text, place_of, values_text
from app.demo.view_types import BrainView
from brain.types import Region
from brain.voxels import VoxelSpace, column_space
from tests.surfaces import FACTS, TEST, opened_on, recording_on, run_on, unpacked, vertices, volume, z_of

WHOLE = {"side": 4.0, "shape": (41, 50, 42), "corner": (-80.0, -112.0, -72.0)}
"""A brain's box in 4 mm."""


def seen(space: VoxelSpace, home: Path, *, simulated: str = "", suffix: str = ".png") -> tuple[BrainView, np.ndarray]:
    """What the demo shows of a run whose data lie there, and the z-scores that it should show."""
    half = np.arange(len(space)) % 2 == 0
    recording = recording_on(space, {"even": half, "odd": ~half}, simulated=simulated)
    view = brain_view(run_on(home, ("even",), suffix=suffix), opened_on(recording, home), TEST[0])
    assert view is not None
    return view, z_of(recording, TEST[0])


def test_a_vertex_has_the_z_of_its_own_column_whatever_the_order(tmp_path: Path) -> None:
    """Three thousand vertices of the left and a thousand of the right, in any order; everything else is no data."""
    rng = np.random.default_rng(1)
    left, right = rng.permutation(VERTICES)[:3000], rng.permutation(VERTICES)[:1000]
    order = rng.permutation(4000)
    ids, sides = np.concatenate([left, right])[order], np.array(["L"] * 3000 + ["R"] * 1000)[order]
    view, z = seen(vertices(ids, sides), tmp_path)
    assert view.surface is not None and view.space == "fsaverage5" and not view.slices and not view.glass
    values = unpacked(view.surface.values, "<i2").reshape(2, VERTICES)
    expected = np.full((2, VERTICES), np.nan)
    expected[(sides == "R").astype(int), ids] = z
    known = np.isfinite(expected)
    assert (values[~known] == EMPTY).all() and known.sum() == 4000
    assert np.abs(values[known] / 100 - expected[known]).max() < 0.0051  # hundredths
    masks = np.unpackbits(unpacked(view.surface.masks, "u1").reshape(2, -1), axis=1, bitorder="little")
    even = np.zeros((2, VERTICES), bool)
    even[(sides == "R").astype(int)[::2], ids[::2]] = True
    assert np.array_equal(masks[0, : 2 * VERTICES].reshape(2, -1), even)
    assert np.array_equal(masks[1, : 2 * VERTICES].reshape(2, -1), known & ~even)
    assert view.surface.regions == ("even", "odd") and view.choosable == ("even",)  # the card has one of them


@pytest.mark.parametrize(("name", "of"), [("fsaverage", 163_842), ("fsaverage7", 163_842), ("fsaverage6", 40_962)])
def test_of_a_finer_fsaverage_the_first_vertices_are_shown_and_it_is_said(name: str, of: int, tmp_path: Path) -> None:
    ids = np.concatenate([np.arange(0, of, 7), np.arange(3, of, 11)])
    sides = np.repeat(["R", "L"], [len(range(0, of, 7)), len(range(3, of, 11))])
    view, z = seen(vertices(ids, sides, of=of, name=name), tmp_path)
    assert view.surface is not None
    values = unpacked(view.surface.values, "<i2").reshape(2, VERTICES)
    known = ids < VERTICES
    assert (values != EMPTY).sum() == known.sum() and f"the {known.sum():,} are shown" in view.why
    shown = values[(sides == "R").astype(int)[known], ids[known]]
    assert np.abs(shown / 100 - z[known]).max() < 0.0051


@pytest.mark.parametrize("name", ["func1pt8mm", "native", "T1w", "subj01", "OMNI", "talairach"])
def test_a_volume_of_the_subject_s_own_stays_on_its_slices(name: str, tmp_path: Path) -> None:
    """The very grid that would reach every vertex, were it said to be MNI."""
    view, _ = seen(volume(name, **WHOLE), tmp_path)
    assert view.surface is None and not view.glass and len(view.slices) == 12 and view.choosable == ()
    html = page("beside", view=beside(view))
    assert f"Space: <b>{name}</b>" in html and "canvas" not in html and "data-region" not in html
    assert place_of(volume(f"MNI-{name}", **WHOLE), simulated="").kind == "surface"


@pytest.mark.parametrize(
    ("name", "of", "first"),
    [("fsLR", 32_492, 0), ("native", 10_242, 0), ("fsaverage_sym", 163_842, 0), ("fsaverage5", 163_842, 0),
     ("fsaverage4", 2_562, 0), ("fsaverage", 163_842, 20_000)],
)  # fmt: skip
def test_vertices_of_another_surface_are_bars_alone(name: str, of: int, first: int, tmp_path: Path) -> None:
    ids = np.arange(first, first + 500)
    view, _ = seen(vertices(ids, ["L"] * 500, of=of, name=name), tmp_path)
    assert view.surface is None and not view.slices and len(view.bars) == 2 and view.space == name
    assert "only the bars" in view.why


def test_columns_without_places_are_bars_alone(tmp_path: Path) -> None:
    space = column_space(**FACTS, name="native", columns=50, source="0" * 64)
    view, _ = seen(space, tmp_path)
    assert view.surface is None and not view.slices and "no voxel positions" in view.why


def test_a_vertex_shows_the_mni_voxel_that_it_lies_in(tmp_path: Path) -> None:
    """Left is left, front is front, and the voxel is the one around the middle of the cortex there."""
    space = volume("MNI152NLin2009cAsym", **WHOLE)
    view, z = seen(space, tmp_path)
    columns = place_of(space, simulated="").columns
    assert view.surface is not None and columns is not None and view.slices
    values = unpacked(view.surface.values, "<i2")
    assert (columns >= 0).all() and np.abs(values / 100 - z[columns]).max() < 0.0051
    middle = (mesh().white + mesh().pial).reshape(-1, 3) / 2
    off = space.millimetres[columns] - middle
    assert np.abs(off[:, 0]).max() < 4 and np.abs(off[:, 1:]).max() < 6  # half a voxel, and MNI305 to MNI152
    assert 1 < np.median(off[:, 1]) < 2.2  # of which MNI152 lies 1.5 mm further to the front
    x = space.millimetres[columns, 0].reshape(2, -1)
    assert np.quantile(x[0], 0.95) < 0 < np.quantile(x[1], 0.05)
    old = place_of(replace(space, name="MNI305"), simulated="").columns
    assert old is not None and abs(np.median(space.millimetres[old, 1] - middle[:, 1])) < 0.3


def test_the_simulated_brain_says_where_it_lies(tmp_path: Path) -> None:
    view, _ = seen(volume("func1pt8mm", **WHOLE), tmp_path, simulated="afterimage simulate, seed 0")
    assert view.space == "MNI152 (simulated)" and view.surface is not None


def test_an_mni_volume_that_no_cortex_reaches_is_a_glass_brain(tmp_path: Path) -> None:
    deep = volume("MNI152", side=3.0, shape=(8, 8, 8), corner=(-12.0, -30.0, -40.0))  # the brain stem
    view, _ = seen(deep, tmp_path)
    assert view.surface is None and view.slices and "glass brain" in view.why and view.choosable == ("even",)
    glass = np.asarray(Image.open(io.BytesIO(bytes_of(view.glass))).convert("RGB")).reshape(-1, 3)
    assert len(np.unique(glass, axis=0)) > 50
    html = page("beside", view=beside(view))
    assert 'class="glass"' in html and "canvas" not in html and 'data-region="even"' in html


def test_a_region_of_sounds_is_seen_and_not_chosen(tmp_path: Path) -> None:
    view, _ = seen(vertices(np.arange(500), ["R"] * 500), tmp_path, suffix=".wav")
    assert view.surface is not None and view.choosable == ()


def test_what_is_not_finite_is_no_data_and_what_is_large_is_the_largest() -> None:
    columns = np.array([2, 0, 1, -1, 3])
    found = unpacked(values_text(np.array([1.234, np.nan, -0.5, 1e6], np.float32), columns), "<i2")
    assert found.tolist() == [-50, 123, EMPTY, EMPTY, 2**15 - 1]


def test_the_mesh_of_a_page_is_nilearn_s_and_light_enough_for_a_phone() -> None:
    parts, found = mesh_text(), mesh()
    coords = np.cumsum(unpacked(parts["coords"], "<i2").astype(np.int64)).reshape(2, 3, VERTICES) * 0.05
    faces = np.cumsum(unpacked(parts["faces"], "<i2").astype(np.int64)).reshape(3, -1).T
    assert np.abs(coords.transpose(0, 2, 1) - found.inflated).max() < 0.0251  # half a step of 0.05 mm
    assert np.array_equal(faces, found.faces) and faces.shape == (20_480, 3)
    assert sum(len(text) for text in parts.values()) < 256 * 1024
    for side in coords.transpose(0, 2, 1):  # seen from outside a face goes round anticlockwise: its volume is above 0
        a, b, c = (side[faces[:, corner]] for corner in range(3))
        assert (a * np.cross(b, c)).sum() > 0
    depth = unpacked(parts["depth"], "u1").reshape(2, VERTICES)
    assert all(np.corrcoef(depth[side], found.depth[side])[0, 1] > 0.95 for side in (0, 1))


def test_both_hemispheres_have_the_faces_that_are_sent_once() -> None:
    from nilearn.datasets import fetch_surf_fsaverage
    from nilearn.surface import load_surf_mesh

    files = fetch_surf_fsaverage("fsaverage5")
    sides = [np.sort(load_surf_mesh(files[f"infl_{side}"]).faces, axis=1) for side in ("left", "right")]
    left, right = (np.unique(faces, axis=0) for faces in sides)
    assert np.array_equal(left, right)


def test_red_is_above_and_the_middle_is_white() -> None:
    found = colours().astype(int)
    assert found[-1, 0] > found[-1, 2] and found[0, 2] > found[0, 0] and found[127].min() > 240


def test_the_script_is_sent_as_it_is_written(checkout: Path) -> None:
    """The environment of pages fills nothing into it; what is written in it twice agrees with the values here."""
    text = (checkout / "app/demo/templates/brain.js").read_text(encoding="utf-8")
    assert text_of("brain.js").rstrip() == text.rstrip()
    for said in (f"SIDE = {VERTICES}", f"EMPTY = {EMPTY}", f"STRONG = {STRONG:g}", f"STEP = {MILLIMETRES:g}"):
        assert said in text


def test_names_of_regions_stay_text(tmp_path: Path) -> None:
    evil = '"><img src=x onerror=alert(1)>'
    space = vertices(np.arange(500), ["L"] * 500)
    recording = recording_on(space, {"odd": np.arange(500) % 2 == 1})
    recording = replace(recording, regions=(Region(name=evil, atlas="a", mask=np.ones(500, bool)),))
    view = brain_view(run_on(tmp_path, (evil,)), opened_on(recording, tmp_path), TEST[0])
    assert view is not None and view.choosable == (evil,)
    html = page("beside", view=beside(replace(view, space=evil, why=evil, run=evil)))
    assert "<img src=x" not in html and evil not in html


def beside(view: BrainView) -> dict[str, object]:
    """As much of a stimulus' view as its lower half reads."""
    return {"waiting": "", "missing": (), "rank": None, "brain": view, "reads": "clip-text from early"}
