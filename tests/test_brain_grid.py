"""One grid: what lies on a grid is held to it by shape and affine; axes that are only turned are turned back."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from brain.errors import InputError
from brain.files.nifti import canonical, grid_of, moved, on_grid, read_volume, unplaced
from brain.files.paths import kind_of
from brain.readers import open_recording
from brain.simulated.layouts.tiny import tiny_nsd
from brain.voxels import VoxelSpace

AFFINE = np.array([[1.8, 0, 0, -30.0], [0, 1.8, 0, 4.0], [0, 0, 2.0, 7.5], [0, 0, 0, 1]])
ROI = "nsddata/ppdata/subj01/func1pt8mm/roi"


def saved(path: Path, values: np.ndarray, affine: np.ndarray | None = AFFINE) -> Path:
    """A NIfTI file; `affine` None says nothing of where it lies."""
    image = nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine)
    if affine is None:
        image.set_sform(None, code=0)
        image.set_qform(None, code=0)
    nibabel.save(image, path)
    return path


def turned(path: Path, axes: Sequence[int] = (0,), order: Sequence[int] = (0, 1, 2)) -> None:
    """Saves the file again with axes flipped and reordered, array and affine together: the same brain in space."""
    image = nibabel.load(path)
    values, affine = np.asanyarray(image.dataobj), image.affine.copy()
    for axis in axes:
        affine[:3, 3] += affine[:3, axis] * (values.shape[axis] - 1)
        affine[:, axis] *= -1
        values = np.flip(values, axis)
    values = np.transpose(values, (*order, *range(3, values.ndim)))
    affine[:3, :3] = affine[:3, order]
    other = nibabel.Nifti1Image(np.ascontiguousarray(values), affine)
    other.header.set_xyzt_units("mm", "sec")
    nibabel.save(other, path)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
@pytest.mark.parametrize("axes", [(), (0,), (1, 2), (0, 1, 2)])
def test_turned_axes_come_back_exactly(tmp_path: Path, axes: tuple[int, ...], order: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).standard_normal((4, 5, 6, 3)).astype(np.float32)
    home = saved(tmp_path / "home.nii.gz", values)
    shutil.copy(home, tmp_path / "turned.nii.gz")
    turned(tmp_path / "turned.nii.gz", axes, order)
    other = read_volume(tmp_path / "turned.nii.gz")
    assert other.values.shape[:3] == tuple(values.shape[axis] for axis in order)
    np.testing.assert_array_equal(on_grid(other, grid_of(home)), values)
    back = canonical(other.grid)
    assert back.shape == values.shape[:3] and np.allclose(back.affine, AFFINE, atol=1e-3)
    np.testing.assert_array_equal(on_grid(other, back), values)


def shifted(millimetres: float) -> np.ndarray:
    other = AFFINE.copy()
    other[0, 3] += millimetres
    return other


def oblique() -> np.ndarray:
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    return turn @ AFFINE


@pytest.mark.parametrize(
    "affine",
    [shifted(0.9), shifted(1.8), shifted(3.6), oblique(), AFFINE * [[1.1], [1], [1], [1]]],
    ids=["half a voxel", "a voxel", "two voxels", "oblique", "other voxels"],
)
def test_another_grid_is_refused_with_both_affines(tmp_path: Path, affine: np.ndarray) -> None:
    home, other = (saved(tmp_path / f"{n}.nii", np.ones((4, 5, 6)), one) for n, one in (("h", AFFINE), ("o", affine)))
    with pytest.raises(InputError, match=r"o\.nii: expected the grid of h\.nii, \(4, 5, 6\) \[\[1\.8.*found .*\[\["):
        on_grid(read_volume(other), grid_of(home))


def test_rounding_of_a_header_is_no_other_grid(tmp_path: Path) -> None:
    home = saved(tmp_path / "h.nii", np.ones((4, 5, 6)))
    other = saved(tmp_path / "o.nii", np.ones((4, 5, 6)), shifted(1e-3))
    np.testing.assert_array_equal(on_grid(read_volume(other), grid_of(home)), np.ones((4, 5, 6)))


def test_a_header_without_a_place_is_held_by_shape_and_said(tmp_path: Path) -> None:
    values = np.arange(120.0).reshape(4, 5, 6)
    home, other = saved(tmp_path / "h.nii", values), saved(tmp_path / "o.nii", values, None)
    np.testing.assert_array_equal(on_grid(read_volume(other), grid_of(home)), values)
    assert "o.nii does not say where it lies" in unplaced(grid_of(other)) and unplaced(grid_of(home)) == ""
    with pytest.raises(InputError, match=r"w\.nii: expected the shape of h\.nii"):
        on_grid(read_volume(saved(tmp_path / "w.nii", np.ones((4, 5, 7)), None)), grid_of(home))


def test_sform_and_qform_that_disagree_have_a_sentence(tmp_path: Path) -> None:
    home = saved(tmp_path / "h.nii", np.ones((4, 5, 6)))
    image = nibabel.Nifti1Image(np.ones((4, 5, 6)), AFFINE)
    image.set_qform(shifted(20), code=1)
    nibabel.save(image, tmp_path / "o.nii")
    other = read_volume(tmp_path / "o.nii")
    with pytest.raises(InputError, match=r"o\.nii: expected one place for its voxels, found sform .* and qform"):
        on_grid(other, grid_of(home))
    # a whole data set that was saved so lies on one grid, and that is said
    np.testing.assert_array_equal(on_grid(other, replace(other.grid, path=home)), other.values)
    assert "sform and the qform of o.nii disagree" in unplaced(other.grid)


def test_a_flipped_bit_under_gzip_is_always_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "v.nii.gz", np.random.default_rng(0).integers(0, 9, (6, 6, 6)).astype(np.int16))
    whole, truth = path.read_bytes(), read_volume(path).values
    rng, refused = np.random.default_rng(1), 0
    for _ in range(60):
        place, bit = int(rng.integers(20, len(whole))), int(rng.integers(8))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :])
        with pytest.raises(InputError):
            read_volume(path)
        refused += 1
    assert refused == 60
    path.write_bytes(whole)
    np.testing.assert_array_equal(read_volume(path).values, truth)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda raw: raw[:200], "expected a NIfTI file"),
        (lambda raw: raw[:-60], "Expected 480 bytes, got 420"),
        (lambda raw: raw[:40] + b"\xff\x7f" * 8 + raw[56:], "NIfTI"),
        (lambda raw: raw[:70] + b"\x99\x99" + raw[72:], "NIfTI"),
        (lambda raw: b"<!DOCTYPE html>" * 40, "a web page"),
        (lambda raw: b"", "an empty file"),
    ],
    ids=["head", "tail", "dimensions", "type", "page", "empty"],
)
def test_damage_of_a_volume_is_one_sentence(tmp_path: Path, spoil: Callable[[bytes], bytes], says: str) -> None:
    path = saved(tmp_path / "v.nii", np.ones((4, 5, 6), np.float32))
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InputError, match=says):
        read_volume(path)


def test_places_are_compared_by_millimetres() -> None:
    shape, ijk = (4, 5, 6), np.argwhere(np.ones((4, 5, 6)))
    flipped = AFFINE.copy()
    flipped[0, 3] += 3 * 1.8
    flipped[:3, 0] *= -1
    facts: dict[str, Any] = {"subject": "s", "name": "n", "betas": "b", "unit": "z", "shape": shape}
    mine, theirs = (VoxelSpace(affine=one, ijk=ijk, **facts) for one in (AFFINE, flipped))
    columns = mine.columns_of(theirs)
    places = [space.ijk @ space.affine[:3, :3].T + space.affine[:3, 3] for space in (mine, theirs)]
    np.testing.assert_allclose(places[0][columns], places[1], atol=1e-3)
    assert not np.array_equal(columns, np.arange(len(ijk)))
    with pytest.raises(InputError, match="voxel space: expected the mapping's volume .* found"):
        mine.columns_of(VoxelSpace(affine=oblique(), ijk=ijk, **facts))
    assert moved(ijk, there=shifted(0.9), home=AFFINE) is None


def by_place(root: Path) -> tuple[set[tuple[float, ...]], np.ndarray]:
    """FFA-1's places in millimetres, and (voxel, trial + 1) responses and ncsnr in the order of places."""
    recording = open_recording(root)
    space = recording.responses.space
    places = [tuple(one) for one in (space.ijk @ space.affine[:3, :3].T + space.affine[:3, 3]).round(2).tolist()]
    order = np.argsort([str(place) for place in places])
    face = recording.region("FFA-1").mask
    assert recording.ncsnr is not None
    return (
        {place for place, here in zip(places, face, strict=True) if here},
        np.column_stack([recording.responses.values[:, order].T, recording.ncsnr[order]]),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny brain in each format, without the table of all 73,000 stimuli, which takes a second to read."""
    home = tmp_path_factory.mktemp("made")
    for ending in ("nii.gz", "hdf5"):
        tiny_nsd(home / f"whole-{ending}", formats=(ending,))
        shutil.copytree(home / f"whole-{ending}", home / ending, ignore=shutil.ignore_patterns("*.csv"))
    return home


@pytest.mark.parametrize(
    ("ending", "which"),
    [*(("nii.gz", one) for one in ("betas", "one session", "mask", "first mask", "ncsnr", "masks", "all")),
     *(("hdf5", one) for one in ("mask", "first mask", "ncsnr", "masks", "all"))],
)  # fmt: skip
def test_a_data_set_saved_again_with_turned_axes_is_the_same_brain(
    made: Path, tmp_path: Path, which: str, ending: str
) -> None:
    shutil.copytree(made / ending, tmp_path / "again")
    betas = sorted((tmp_path / "again").glob("nsddata_betas/**/betas_session*.nii.gz"))
    masks = sorted((tmp_path / "again" / ROI).glob("*.nii.gz"))
    ncsnr = sorted((tmp_path / "again").glob("nsddata_betas/**/ncsnr.nii.gz"))
    faces, first = [path for path in masks if "floc-faces" in path.name], [p for p in masks if "prf-visual" in p.name]
    chosen = {"betas": betas, "one session": betas[:1], "mask": faces, "first mask": first, "ncsnr": ncsnr,
              "masks": masks, "all": [*betas, *masks, *ncsnr]}[which]  # fmt: skip
    for path in chosen:
        turned(path, (0, 2), (1, 0, 2) if which == "all" else (0, 1, 2))
    good, again = by_place(made / ending), by_place(tmp_path / "again")
    assert good[0] == again[0]
    np.testing.assert_array_equal(good[1], again[1])


def test_hdf5_betas_say_that_they_say_no_places(made: Path) -> None:
    notes = open_recording(made / "hdf5").notes
    assert any("say no places: they are read in NSD's declared order" in note for note in notes)


def test_betas_of_another_grid_are_refused_with_both_affines(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "nii.gz", tmp_path, dirs_exist_ok=True)
    path = sorted(tmp_path.glob("nsddata_betas/**/betas_session*.nii.gz"))[-1]
    image = nibabel.load(path)
    moved_on = image.affine.copy()
    moved_on[0, 3] += 2
    nibabel.save(nibabel.Nifti1Image(np.asanyarray(image.dataobj), moved_on), path)
    with pytest.raises(InputError, match=r"betas_session\d+\.nii\.gz: expected the grid of .* found"):
        open_recording(tmp_path)


def test_a_mask_of_half_labels_is_refused(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "nii.gz", tmp_path, dirs_exist_ok=True)
    path = tmp_path / ROI / "floc-faces.nii.gz"
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.asanyarray(image.dataobj).astype(np.float32) * 0.75, image.affine), path)
    with pytest.raises(InputError, match=r"floc-faces\.nii\.gz: expected whole numbers as labels, found"):
        open_recording(tmp_path)


def test_gzip_that_is_cut_after_its_numbers_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "v.nii.gz", np.ones((4, 5, 6), np.int16))
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()))[:-6])
    with pytest.raises(InputError, match="an intact NIfTI file"):
        read_volume(path)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
@pytest.mark.parametrize("joined", [True, False])
def test_half_a_pair_is_refused_whatever_it_is_called(tmp_path: Path, kind: type, joined: bool) -> None:
    values = np.arange(24 * 200, dtype=np.int16).reshape(40, 40, 3)
    nibabel.save(kind(values, np.eye(4)), tmp_path / "t1.hdr")
    head, numbers = ((tmp_path / f"t1.{end}").read_bytes() for end in ("hdr", "img"))
    path = tmp_path / "t1.nii"
    path.write_bytes(head + numbers * joined)
    with pytest.raises(InputError) as caught:
        read_volume(path)
    says = "t1.nii: expected a NIfTI file with its numbers in it, found the header of a pair (.hdr and .img); give the"
    assert says in str(caught.value) and "nibabel.save(nibabel.load('x.hdr'), 'x.nii.gz')" in str(caught.value)
    assert kind_of(head) == "the header of a NIfTI pair (.hdr and .img)"
    nibabel.save(nibabel.load(tmp_path / "t1.hdr"), path)  # what the sentence says to do
    np.testing.assert_array_equal(read_volume(path).values, values)
