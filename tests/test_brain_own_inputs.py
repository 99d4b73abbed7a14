"""Data of one's own as people have them: what fits in part is counted, what cannot be is said in one sentence."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile
from PIL import Image

from brain.data.leaks import guard
from brain.data.pack import pack, write_arrays
from brain.errors import InputError, UsageError
from brain.files import hdf5
from brain.readers import open_recording
from brain.readers.arrays import Arrays
from brain.types import Recording
from brain.voxels import VoxelSpace
from encoders.ridge import fit_ridge

TRIALS, VOXELS = 24, 6
IDS = [f"pic{number}" for number in range(8)]
NAMES = [IDS[number % 8] for number in range(TRIALS)]


def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(TRIALS, VOXELS)).astype(np.float32)


def pictures(count: int = 8) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (count, 5, 6, 3), dtype=np.uint8)


def read(home: Path, name: str = "data.npz", **arrays: Any) -> Recording:
    fields = {"responses": values(), "stimulus": NAMES, **arrays}
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{key: np.asarray(value) for key, value in fields.items() if value is not None})
    return open_recording(path)


def save_pictures(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for name, pixels in zip(names, pictures(), strict=False):
        Image.fromarray(pixels).save(folder / name)


# vectors and masks


@pytest.mark.parametrize("shape", [(-1, 1), (1, -1)])
def test_vectors_may_be_columns_or_rows(tmp_path: Path, shape: tuple[int, int]) -> None:
    recording = read(
        tmp_path,
        stimulus=np.array(NAMES).reshape(shape),
        session=np.repeat([1.0, 2], 12).reshape(shape),
        group=np.array(["a", "b"])[np.arange(24) % 2].reshape(shape),
        ncsnr=np.ones(VOXELS).reshape(shape),
        **{"roi/V1": (np.arange(VOXELS) < 2).reshape(shape)},
    )
    assert recording.responses.stimulus.tolist() == NAMES and recording.responses.session[20] == 2
    assert recording.region("V1").mask.sum() == 2 and recording.ncsnr is not None


@pytest.mark.parametrize("mask", [np.arange(2), np.arange(6), np.array([1, 0, -1, 0, 0, 0]), np.full(6, np.nan)])
def test_regions_of_indices_labels_or_nan_are_refused(tmp_path: Path, mask: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"roi/V1: expected \(6,\) booleans.*give one 0 or 1 a voxel"):
        read(tmp_path, **{"roi/V1": mask})


def test_a_region_that_loses_all_its_voxels_is_said(tmp_path: Path) -> None:
    spoilt = values()
    spoilt[3, 4] = np.nan
    recording = read(tmp_path, responses=spoilt, **{"roi/V1": np.arange(VOXELS) == 4})
    assert recording.notes == ("region V1 loses all its 1 voxels and is left out",)


def test_one_array_called_roi_or_labels_is_not_taken_for_a_group(tmp_path: Path) -> None:
    for name in ("roi", "labels"):
        with pytest.raises(InputError, match=f"call the array {name}/<name>"):
            read(tmp_path, **{name: np.ones(VOXELS, bool)})


def test_what_has_no_axis_or_two_is_told(tmp_path: Path) -> None:
    for field in (
        {"stimulus": "pic0"},
        {"stimulus": np.array([NAMES, NAMES])},
        {"group": ["a"]},
        {"session": 3},
        {"captions": "x", "caption_ids": [["a", "b"], ["c", "d"]]},
        {"labels/kind": "x", "label_ids": NAMES},
        {"subject": ["a", "b"]},
        {"subject": np.array([], "U1")},
        {"split/a/train": np.zeros((2, 2), int)},
    ):
        with pytest.raises(InputError, match=r"data\.npz"):
            read(tmp_path, **field)


@pytest.mark.parametrize(
    "field",
    [{"ijk": np.eye(6, 3) * 0.5}, {"shape": [9, 9, 9.5]}, {"session": [1e300] * TRIALS}, {"session": [0.5] * TRIALS}],
)
def test_whole_numbers_are_never_cut_to_fit(tmp_path: Path, field: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="whole numbers"):
        read(tmp_path, **field)


def test_copies_that_were_saved_anew_are_told_where_no_stimulus_names_them(tmp_path: Path) -> None:
    smooth = np.kron(np.random.default_rng(4).integers(20, 235, (8, 4, 4)), np.ones((8, 8))).astype(np.int64)
    noise = np.random.default_rng(5).integers(-2, 3, (TRIALS, 32, 32))
    shown = np.arange(TRIALS) % 8
    anew = (smooth[shown] + noise).astype(np.uint8)
    recording = read(tmp_path, stimulus=None, images=anew)
    (note,) = recording.notes
    assert len(recording.stimuli.ids) == TRIALS and "24 of 24 looked at are nearly another one" in note
    assert "give `stimulus`" in note
    assert read(tmp_path, stimulus=None, images=smooth[shown].astype(np.uint8)).notes == ()
    assert read(tmp_path, images=anew[:8], image_ids=IDS).notes == ()


def test_pictures_of_several_sizes_are_told_with_what_becomes_of_them(tmp_path: Path) -> None:
    save_pictures(tmp_path / "a/images", [f"{name}.png" for name in IDS])
    assert read(tmp_path / "a", images=None).notes == ()
    for name, size in (("pic0.png", (12, 10)), ("pic3.png", (12, 10))):
        Image.new("RGB", size, "red").save(tmp_path / "a/images" / name)
    (note,) = read(tmp_path / "a", images=None).notes
    assert note == (
        "pictures are of 2 sizes, 6 x 5 (6), 12 x 10 (2): each is scaled to the one size that a recipe reads and draws"
    )
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (5, 6), "blue").save(tmp_path / "a/images/pic1.png", exif=turned)  # upright it is 6 x 5
    assert read(tmp_path / "a", images=None).notes == (note,)
    Image.new("RGB", (24, 10), "blue").save(tmp_path / "a/images/pic1.png")
    (note,) = read(tmp_path / "a", images=None).notes
    assert "6 x 5 (5), 12 x 10 (2), 24 x 10 (1)" in note and "its centre alone" in note
    (tmp_path / "a/images/pic2.png").write_bytes(b"no picture at all")
    assert "6 x 5 (4)" in read(tmp_path / "a", images=None).notes[0]


def test_images_that_are_dark_throughout_are_told(tmp_path: Path) -> None:
    ramp = np.linspace(0, 3, 30).reshape(1, 5, 6) * np.ones((8, 1, 1))
    for images, reach in ((pictures() / 2.55, "99.6"), (ramp, "3"), (pictures() // 4, "63")):
        (note,) = read(tmp_path, images=images, image_ids=IDS).notes
        assert note.startswith(f"images: numbers that reach {reach}") and "are taken as 0..255" in note
    for images in (pictures(), pictures() / 255, pictures().astype(np.float32), pictures() > 99):
        assert read(tmp_path, images=images, image_ids=IDS).notes == ()


AFFINES = {
    "zeros": np.zeros((4, 4)),
    "flat": np.diag([2.0, 2, 0, 1]),
    "transposed": np.array([[2.0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [9, 9, 9, 1]]),
    "two equal edges": np.array([[2.0, 2, 0, 0], [1, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]),
    "NaN": np.full((4, 4), np.nan),
}


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_an_affine_that_puts_voxels_into_one_place_is_refused_as_it_is_read(tmp_path: Path, affine: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"data\.npz, affine: expected an affine \(4, 4\)"):
        read(tmp_path, affine=affine)
    with pytest.raises(InputError, match="voxel space of anna, affine: expected an affine"):
        VoxelSpace(
            subject="anna", name="native", betas="native", unit="z", shape=(2, 1, 1), affine=affine, ijk=np.eye(2, 3)
        )


def test_an_affine_in_metres_is_one(tmp_path: Path) -> None:
    affine = np.diag([1e-3, 1e-3, 1e-3, 1])
    assert np.array_equal(read(tmp_path, affine=affine).responses.space.affine, affine)


# ids


def test_ids_are_text_and_stay_what_they_are(tmp_path: Path) -> None:
    for ids in (["3.1", "3.10", "1e3", "10e2"], ["2023041512345678900", "2023041512345678901", "007", "7"]):
        shown = [ids[number % 4] for number in range(TRIALS)]
        assert read(tmp_path, stimulus=shown).responses.stimulus.tolist() == shown
        (tmp_path / "ids.txt").write_text("\n".join(shown))
        np.save(tmp_path / "r.npy", values())
        out = pack(tmp_path / f"{ids[0]}.h5", responses=tmp_path / "r.npy", stimulus=tmp_path / "ids.txt", images=None)
        assert open_recording(out).responses.stimulus.tolist() == shown
    assert read(tmp_path, stimulus=np.arange(TRIALS) % 4 + 1.0).stimuli.ids == ("1", "2", "3", "4")
    with pytest.raises(InputError, match="found nan in float64, a number that no id can be"):
        read(tmp_path, stimulus=[np.nan] * TRIALS)


def test_blanks_of_char_arrays_are_left_out_and_said_and_never_merge(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "chars.h5", "w") as file:
        file["responses"], file["stimulus"] = values(), np.array([name.ljust(9).encode() for name in NAMES])
    recording = open_recording(tmp_path / "chars.h5")
    assert recording.responses.stimulus.tolist() == NAMES
    assert recording.notes == ("stimulus: blanks at the end of 24 of 24 ids are left out",)
    with pytest.raises(InputError, match="differ in blanks at their end"):
        read(tmp_path, stimulus=["a", "a "] * 12)
    save_pictures(tmp_path / "pictures", [f"{name}.png" for name in IDS])
    np.save(tmp_path / "r.npy", values())
    where = {"responses": tmp_path / "r.npy", "stimulus": tmp_path / "ids.npy", "images": tmp_path / "pictures"}
    for padded in (np.array([name.ljust(9).encode() for name in NAMES]), np.array([f"{name} " for name in NAMES])):
        np.save(tmp_path / "ids.npy", padded)
        out = pack(tmp_path / f"{padded.dtype.kind}.h5", **where)
        assert open_recording(out).responses.stimulus.tolist() == NAMES
    np.save(tmp_path / "ids.npy", np.array(["pic0", "pic0 "] * 12))
    with pytest.raises(InputError, match=r"ids\.npy: .* differ in blanks at their end"):
        pack(tmp_path / "o.h5", **where)


def test_names_of_a_mac_match_and_names_that_do_not_say_what_is_there(tmp_path: Path) -> None:
    ids = [unicodedata.normalize("NFC", f"caf\u00e9 {number}") for number in range(8)]
    save_pictures(tmp_path / "images", [unicodedata.normalize("NFD", f"{name}.png") for name in ids])
    recording = read(tmp_path, stimulus=ids * 3)
    np.testing.assert_array_equal(np.asarray(recording.stimuli.open(ids[5])), pictures()[5])
    with pytest.raises(InputError, match=r"none for 8: 'pic0', 'pic1', 'pic2', \.\.\. \(there: 'caf"):
        read(tmp_path)
    save_pictures(tmp_path / "deep/images/dogs", [f"{name}.png" for name in IDS])
    with pytest.raises(InputError, match="there: folders 'dogs'"):
        read(tmp_path / "deep")


def test_accents_are_the_same_name_in_every_field_and_never_merge_two(tmp_path: Path) -> None:
    composed = [f"caf\u00e9 {number}" for number in range(8)]
    apart = [unicodedata.normalize("NFD", name) for name in composed]
    save_pictures(tmp_path / "images", [f"{name}.png" for name in composed])
    told = {"captions": np.array(["a dog"] * 8), "caption_ids": composed}
    split = {"split/mine/train": composed[:6], "split/mine/test": apart[6:]}
    recording = read(tmp_path, stimulus=apart * 3, **told, **split)
    assert recording.responses.stimulus.tolist() == composed * 3 and recording.stimuli.captions[composed[2]]
    assert recording.splits[0].test == tuple(composed[6:])
    assert "stimulus: accents of 24 of 24 ids are composed (a Mac takes them apart)" in recording.notes
    np.testing.assert_array_equal(np.asarray(recording.stimuli.open(composed[5])), pictures()[5])
    with pytest.raises(InputError, match="some that differ only in how accents are stored; rename them"):
        read(tmp_path, "two.npz", stimulus=(composed[:7] + apart[:1]) * 3)
    Image.new("RGB", (6, 5)).save(tmp_path / f"images/{apart[3]}.png")
    with pytest.raises(InputError, match="one file for stimulus 'caf\u00e9 3', found '.*', '.*'; keep one"):
        read(tmp_path, "twice.npz", stimulus=composed * 3)


@pytest.mark.parametrize("where", ["folder", "images"])
def test_stimuli_without_a_picture_are_refused_or_left_out_and_counted(tmp_path: Path, where: str) -> None:
    arrays: dict[str, Any] = {
        "captions": np.array(["a dog"] * 8), "caption_ids": IDS, "split/mine/train": IDS[:6], "split/mine/test": IDS[6:]
    }  # fmt: skip
    if where == "images":
        arrays |= {"images": pictures()[[0, 1, 2, 4, 5, 7]], "image_ids": [*IDS[:3], "pic4", "pic5", "pic7"]}
    else:
        save_pictures(tmp_path / "images", [f"{name}.png" for name in (*IDS[:3], "pic4", "pic5", "pic7")])
    with pytest.raises(InputError, match="'pic3', 'pic6'.* or go on without their trials by --fields partial=yes"):
        read(tmp_path, **arrays)
    recording = open_recording(tmp_path / "data.npz", fields={"partial": "yes"})
    assert recording.notes == (
        "6 of 8 stimuli have a picture or sound; the trials of the others are left out: 'pic3', 'pic6'",
        "split mine: 5/1 of 6/2 stimuli (train/test) are in the trials that are read",
    )
    kept = np.array([name not in ("pic3", "pic6") for name in NAMES])
    np.testing.assert_array_equal(recording.responses.values, values()[kept])
    assert recording.stimuli.ids == tuple(name for name in IDS if name not in ("pic3", "pic6"))
    assert recording.splits[0].test == ("pic7",) and len(recording.stimuli.captions) == 6
    with pytest.raises(UsageError, match="expected yes or no, found 'true'"):
        open_recording(tmp_path / "data.npz", fields={"partial": "true"})
    if where == "folder":
        with pytest.raises(InputError, match="none for 8: .*; name the files after the stimulus ids$"):
            read(tmp_path, stimulus=[f"x{name}" for name in NAMES])
            open_recording(tmp_path / "data.npz", fields={"partial": "yes"})


def test_two_pictures_of_one_id_are_refused_and_companion_files_are_none(tmp_path: Path) -> None:
    save_pictures(tmp_path / "images", [f"{name}.png" for name in IDS])
    (tmp_path / "images/._pic3.png").write_bytes(b"\x00\x05\x16\x07")
    assert read(tmp_path).stimuli.open("pic3").size == (6, 5)
    Image.new("RGB", (6, 5)).save(tmp_path / "images/pic3.jpg")
    with pytest.raises(InputError, match=r"one file for stimulus 'pic3', found 'pic3.jpg', 'pic3.png'"):
        read(tmp_path)


def test_whole_numbers_that_count_images_from_one_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"stimulus '8' \(1 of 8\), for 8 images are rows 0 to 7; count from 0"):
        read(tmp_path, stimulus=np.arange(TRIALS) % 8 + 1, images=pictures(8))
    spare = read(tmp_path, stimulus=np.arange(TRIALS) % 8 + 1, images=pictures(9))
    assert "row 0 was never shown" in spare.notes[0]
    with pytest.raises(InputError, match=r"stimulus '8' \(1 of 8\), for 8 images are rows 0 to 7; count from 0"):
        read(tmp_path, stimulus=np.arange(TRIALS) % 8 + 1, images=pictures(8), partial="yes")


# lists that fit in part


@pytest.mark.parametrize("first", [0, 1, 100])
def test_one_shot_designs_whose_numbers_may_count_the_images_are_refused_until_image_ids_says(
    tmp_path: Path, first: int
) -> None:
    order = np.random.default_rng(3).permutation(TRIALS)
    images = pictures(TRIALS)
    for ids in (order + first, np.array([f"{number:03d}" for number in order + first])):
        with pytest.raises(InputError, match=r"expected one reading of whose image is whose.*add image_ids"):
            read(tmp_path, stimulus=ids, images=images)
    for image_ids, shown in ((np.arange(first, first + TRIALS), images[order]), (order + first, images)):
        recording = read(tmp_path, stimulus=order + first, images=images, image_ids=image_ids)
        for trial in (0, 11):
            opened = np.asarray(recording.stimuli.open(recording.responses.stimulus[trial]))
            np.testing.assert_array_equal(opened, shown[trial])
    in_order = read(tmp_path, stimulus=np.arange(first, first + TRIALS), images=images)
    assert not in_order.notes and len(in_order.stimuli.ids) == TRIALS
    for ids in (2 * order, np.array([f"im{number:03d}" for number in order])):
        (note,) = read(tmp_path, stimulus=ids, images=images).notes
        assert "image t is read as what trial t showed" in note and "give image_ids" in note
    assert not read(tmp_path, stimulus=np.arange(TRIALS) * 3, images=images).notes
    eight = np.arange(TRIALS)[::-1] % 8
    assert len(read(tmp_path, stimulus=eight, images=pictures()[eight]).stimuli.ids) == 8


def test_captions_and_labels_that_fit_in_part_are_counted(tmp_path: Path) -> None:
    named = [*IDS[:5], "07", "08"]
    fit = {"captions": ["a"] * 7, "caption_ids": named, "labels/kind": ["x"] * 7, "label_ids": named}
    recording = read(tmp_path, **fit)
    want = "5 of 8 stimuli have one; ids that are no stimulus: '07', '08' (2)"
    assert recording.notes == (f"captions: {want}", f"labels: {want}")
    assert set(recording.stimuli.captions) == set(recording.stimuli.labels) == set(IDS[:5])
    whole = {"captions": ["a"] * 8, "caption_ids": IDS, "labels/kind": ["x"] * 8, "label_ids": IDS}
    assert read(tmp_path, **whole).notes == ()


def test_a_stored_split_that_loses_stimuli_is_refused_unless_sessions_were_chosen(tmp_path: Path) -> None:
    halves = {"split/mine/train": IDS[:4], "split/mine/test": [*IDS[4:6], "06", "07"]}
    with pytest.raises(InputError, match=r"split/mine: .* found 2 of 8 that were not: '06', '07' \(shown: 'pic0'"):
        read(tmp_path, **halves)
    halves["split/mine/test"] = IDS[4:7]
    session = np.where(np.isin(NAMES, IDS[:5]), 1, 2)
    recording = read(tmp_path, session=session, **halves)
    assert recording.notes == ("split mine: 1 of 8 stimuli are in neither train nor test",)
    chosen = open_recording(tmp_path / "data.npz", sessions=[1])
    assert chosen.split("mine").test == ("pic4",)
    assert chosen.notes == ("split mine: 4/1 of 4/3 stimuli (train/test) are in the trials that are read",)


# responses


def test_a_dropped_trial_is_left_out_and_costs_no_voxel(tmp_path: Path) -> None:
    spoilt = values()
    spoilt[17] = np.nan
    recording = read(tmp_path, responses=spoilt, session=np.repeat([1, 2], 12))
    assert recording.responses.values.shape == (TRIALS - 1, VOXELS) and np.isfinite(recording.responses.values).all()
    assert recording.responses.stimulus.tolist() == NAMES[:17] + NAMES[18:]
    said = "1 of 24 trials holds NaN or infinity in most voxels, or one value in all (session 2), and is left out"
    assert recording.notes == (said,)
    with pytest.raises(InputError, match="NaN, infinity or one value throughout in all 24 trials"):
        read(tmp_path, responses=spoilt * np.nan)


def test_transposed_responses_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\(6, 24\) and 24 trials in stimulus \(transposed\?\).*responses\.T"):
        read(tmp_path, responses=values().T)
    with pytest.raises(InputError, match=r"24 trials in images \(transposed\?\)"):
        read(tmp_path, responses=values().T, stimulus=None, images=pictures(24))
    with pytest.raises(InputError, match=r"flatten the volume"):
        read(tmp_path, responses=np.ones((2, 3, 1, TRIALS)))
    np.save(tmp_path / "r.npy", values().T)
    (tmp_path / "ids.txt").write_text("\n".join(NAMES))
    with pytest.raises(InputError, match=r"r\.npy: .*transposed\?"):
        pack(tmp_path / "o.h5", responses=tmp_path / "r.npy", stimulus=tmp_path / "ids.txt", images=None)


# pictures


def test_float_images_a_hair_outside_stay_what_they_are(tmp_path: Path) -> None:
    for scale, top in ((1 / 255, 1), (1.0, 255)):
        pixels = (pictures().astype(np.float32) + np.float32(0.25)) * np.float32(scale)
        pixels[3, 0, 0], pixels[5, 1, 1, 0] = top * 1.0000002, -0.004 * top
        for name in ("float.npz", "float.h5"):
            if name == "float.h5":
                out = tmp_path / f"{top}.h5"
                write_arrays(out, responses=values(), stimulus=NAMES, images=pixels, image_ids=IDS)
                recording = open_recording(out)
            else:
                recording = read(tmp_path, name, images=pixels, image_ids=IDS)
            np.testing.assert_array_equal(np.asarray(recording.stimuli.open("pic2")), pictures()[2])
            assert np.asarray(recording.stimuli.open("pic3"))[0, 0].tolist() == [255, 255, 255]
            assert np.asarray(recording.stimuli.open("pic5"))[1, 1, 0] == 0
            assert recording.notes[0].startswith(f"images: 4 numbers lie outside 0..{top} by a hair")


@pytest.mark.parametrize(
    ("images", "then"),
    [
        (pictures() / 127.5 - 1, r"\(images \+ 1\) / 2"),
        (pictures() / 255 * 1.2, "cut them off at 1"),
        (pictures() / 255 * 1.2 - 0.1, "cut them off at 0 and 1"),
        (pictures().astype(np.uint16) * 257, "images / 257"),
        (pictures().astype(np.int16) - 100, "scale all images alike"),
        (pictures() * np.where(np.arange(8) < 4, 1, 1 / 255)[:, None, None, None], "4 images in 0..1 among others"),
        (pictures()[..., :1], r"images\[\.\.\., 0\]"),
        (pictures()[..., 0][:, None], r"images\[:, 0\]"),
        (pictures().transpose(0, 3, 1, 2), r"transpose\(0, 2, 3, 1\)"),
        (np.concatenate([pictures(), pictures()[..., :1]], -1), "lay transparency on its background"),
    ],
)
def test_images_of_another_range_or_layout_are_told_when_they_are_opened(
    tmp_path: Path, images: np.ndarray, then: str
) -> None:
    with pytest.raises(InputError, match=f"images: expected .*{then}"):
        read(tmp_path, images=images, image_ids=IDS)


def test_a_dark_picture_among_fractions_is_dark_and_one_of_another_scale_is_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    bright = random.random((8, 12, 10, 3)) * 255
    said = "images: {} that reach no further than 1 are taken as dark ones in 0..255; scale all images alike if they"
    black, dim, unlit = np.zeros((12, 10, 3)), random.random((12, 10, 3)) * 0.3, random.random((12, 10, 3))
    black[0, 0] = 0.4
    for dark, count in (([black], 1), ([dim, black, black], 3), ([unlit], 1)):
        images = np.concatenate([np.stack(dark), bright[len(dark) :]])
        recording = read(tmp_path, images=images, image_ids=IDS)
        assert recording.notes[0].startswith(said.format(count))
        np.testing.assert_array_equal(np.asarray(recording.stimuli.open("pic0")), np.rint(dark[0]).astype(np.uint8))
    whole = np.rint(bright)
    assert read(tmp_path, images=np.concatenate([np.ones((1, 12, 10, 3)), whole[1:]]), image_ids=IDS).notes == ()
    for images, count in (
        (np.concatenate([whole[:1] / 255, bright[1:]]), 1),  # made of bytes
        (np.concatenate([bright[:3] / 255, bright[3:]]), 3),
        (np.concatenate([black[None], whole[1:]]), 1),  # the others are whole numbers
    ):
        for kind in (np.float64, np.float32):
            with pytest.raises(InputError, match=f"found {count} images in 0..1 among others that reach 25"):
                read(tmp_path, images=images.astype(kind), image_ids=IDS)


def test_images_too_large_to_be_all_looked_at_are_looked_at_when_they_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = pictures() / 255
    pixels[4] = 7
    ask = {"responses": values(), "stimulus": NAMES, "images": pixels, "image_ids": IDS}
    monkeypatch.setattr("brain.readers._own.fields.LOOK_BYTES", 0)
    monkeypatch.setattr("brain.readers._own.fields.LOOK_AT", 3)
    with pytest.raises(InputError, match="images on one scale"):
        write_arrays(tmp_path / "a.h5", **{**ask, "images": np.where(np.arange(8)[:, None, None, None] > 6, 7, pixels)})
    stimuli = open_recording(write_arrays(tmp_path / "b.h5", **ask)).stimuli
    np.testing.assert_array_equal(np.asarray(stimuli.open("pic1")), pictures()[1])
    with pytest.raises(InputError, match=r"numbers in 0\.\.1, found 7\.\.7 in image 4; scale all images alike"):
        stimuli.open("pic4")


def test_whether_images_were_written_is_asked_once_and_not_of_every_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = {"responses": values(), "stimulus": NAMES, "images": pictures(), "image_ids": IDS}
    asked: list[str] = []
    monkeypatch.setattr(hdf5, "must_be_written", lambda dataset, where: asked.append(where.rpartition(", ")[2]))
    stimuli = open_recording(write_arrays(tmp_path / "d.h5", **ask)).stimuli
    assert "images" in asked
    asked.clear()
    for number, name in enumerate(IDS):
        np.testing.assert_array_equal(np.asarray(stimuli.open(name)), pictures()[number])
    assert not asked


def test_pictures_beside_the_file_go_the_strict_road(tmp_path: Path) -> None:
    save_pictures(tmp_path / "images", [f"{name}.png" for name in IDS])
    Image.new("RGBA", (3, 3), (10, 20, 30, 0)).save(tmp_path / "images/pic7.png")
    (tmp_path / "images/pic0.png").unlink()
    (tmp_path / "images/pic1.png").unlink()
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "images/pic0.tif")
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "images/pic1.gif", save_all=True, append_images=frames[1:])
    stimuli = read(tmp_path).stimuli
    assert np.asarray(stimuli.open("pic7")).min() == 255
    for name, says in (("pic0", "floating point"), ("pic1", "one picture that does not move")):
        with pytest.raises(InputError, match=says):
            stimuli.open(name)


# links


def test_what_lies_beside_a_link_belongs_to_it_and_a_dead_link_is_told(tmp_path: Path) -> None:
    own, key = tmp_path / "own", tmp_path / "store/key.npz"
    key.parent.mkdir()
    np.savez(key, responses=values(), figure=np.array(NAMES), folder=np.array("pics"))
    save_pictures(own / "pics", [f"{name}.png" for name in IDS])
    (own / "d.npz").symlink_to("../store/key.npz")
    sidecar = own / "d.npz.fields.json"
    sidecar.write_text(json.dumps({"stimulus": "figure"}))
    assert open_recording(own / "d.npz").responses.stimulus.tolist() == NAMES
    sidecar.unlink()
    sidecar.symlink_to("nowhere.json")
    with pytest.raises(InputError, match="a link to a file that has not been fetched"):
        open_recording(own / "d.npz")
    sidecar.unlink()
    (tmp_path / "store/key.npz.fields.json").write_text(json.dumps({"stimulus": "figure"}))
    np.testing.assert_array_equal(np.asarray(open_recording(own / "d.npz").stimuli.open("pic2")), pictures()[2])


def test_a_folder_may_be_a_link_and_one_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    save_pictures(tmp_path / "store/all", [f"{name}.png" for name in IDS])
    (tmp_path / "own").mkdir()
    (tmp_path / "own/images").symlink_to("../store/all")
    for more in ({}, {"folder": "images"}):
        assert read(tmp_path / "own", **more).stimuli.open("pic1").size == (6, 5)
    (tmp_path / "store/all").rename(tmp_path / "store/gone")
    with pytest.raises(InputError, match="a link that leads to none"):
        read(tmp_path / "own")
    (tmp_path / "own/images").unlink()
    (tmp_path / "own/images").mkdir()
    for name in IDS:
        (tmp_path / f"own/images/{name}.png").symlink_to(f"../../store/all/{name}.png")
    with pytest.raises(InputError, match="run `datalad get` on it"):
        read(tmp_path / "own")


def test_a_filter_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "blosc.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((TRIALS, VOXELS))
        plist.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (2, 2, 4, 7680))
        space = h5py.h5s.create_simple((TRIALS, VOXELS))
        h5py.h5d.create(file.id, b"responses", h5py.h5t.NATIVE_FLOAT, space, plist)
    with pytest.raises(InputError, match="compressed by blosc, a filter that is not installed; write the data again"):
        open_recording(tmp_path / "blosc.h5")


# pack


def given(folder: Path) -> dict[str, Path]:
    np.save(folder / "r.npy", values())
    (folder / "ids.txt").write_text("\n".join(NAMES))
    return {"responses": folder / "r.npy", "stimulus": folder / "ids.txt"}


def test_pack_says_what_it_wrote_and_what_it_left_out(tmp_path: Path) -> None:
    save_pictures(tmp_path / "images", [f"{name}.png" for name in IDS])
    (tmp_path / "images/notes.txt").write_text("x")
    (tmp_path / "v1.txt").write_bytes(b"\xef\xbb\xbf" + b"True\r\n" * 2 + b"False\r\n" * 4)
    (tmp_path / "c.csv").write_bytes(b"\xef\xbb\xbfpic0,a dot\r\nother,a line\r\n")
    said: list[str] = []
    out = pack(
        tmp_path / "o.h5",
        **given(tmp_path),
        images=tmp_path / "images",
        regions={"V1": tmp_path / "v1.txt"},
        captions=tmp_path / "c.csv",
        say=said.append,
    )
    wrote = "wrote 24 trials of 6 voxels, 24 ids, 8 images, 2 captions, region V1 (2 voxels)"
    left = f"left out of {tmp_path / 'images'}, for no trial showed them: 1 ('notes.txt')"
    assert said == [f"{out}: {wrote}; {left}"]
    recording = open_recording(out)
    assert recording.stimuli.captions == {"pic0": ("a dot",)} and recording.region("V1").mask.sum() == 2
    assert recording.notes == ("captions: 1 of 8 stimuli have one; ids that are no stimulus: 'other' (1)",)


@pytest.mark.parametrize(
    ("flag", "text", "says"),
    [
        ("V1", "1\n0\n2\n0\n0\n0\n", r"x\.csv, line 3: expected 0 or 1, found '2'"),
        ("V1", "1\n0\n", r"x\.csv: expected \(6,\) booleans"),
        ("session", "session\n" + "1\n" * 24, r"x\.csv, line 1, column 1: .*a head line\?"),
        ("session", "ses-01\n" * 24, r"x\.csv, line 1, column 1: expected a number, found 'ses-01'; correct it"),
        ("ncsnr", "1\n1\nn/a\n1\n1\n1\n", r"x\.csv, line 3, column 1: expected a number, found 'n/a'"),
        ("stimulus", "id\n" + "\n".join(NAMES), r"x\.csv, line 1: expected an id, found 'id' \(a head line\?\)"),
        ("stimulus", "V1\n" + "\n".join(NAMES), r"x\.csv: expected 24 ids, one a trial, found 25 \(a head line\?\)"),
        ("captions", "pic0,a,b\n", r"x\.csv, line 1: expected stimulus id and caption, found 3 columns"),
    ],
)
def test_pack_names_the_file_and_the_line_that_is_wrong(tmp_path: Path, flag: str, text: str, says: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    ask: dict[str, Any] = {**given(tmp_path), "images": None}
    if flag == "V1":
        ask["regions"] = {"V1": path}
    elif flag in ("session", "ncsnr"):
        ask["columns"] = {flag: path}
    else:
        ask[flag] = path
    with pytest.raises(InputError, match=says):
        pack(tmp_path / "o.h5", **ask)
    assert not (tmp_path / "o.h5").exists()


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize(("ending", "mark"), [("csv", ","), ("tsv", "\t"), ("txt", " ")])
def test_the_numbers_of_trials_do_not_become_a_voxel(tmp_path: Path, first: int, ending: str, mark: str) -> None:
    path = tmp_path / f"betas.{ending}"
    rows = [[trial + first, *row] for trial, row in enumerate(values().tolist())]
    path.write_text("\n".join(mark.join(map(str, row)) for row in rows))
    ids = given(tmp_path)["stimulus"]
    with pytest.raises(InputError) as caught:
        pack(tmp_path / "o.h5", responses=path, stimulus=ids, images=None)
    says = f"{path}, column 1: expected measured numbers, found the numbers of the lines (an index column?); take the"
    assert says in str(caught.value)
    path.write_text("\n".join(mark.join(map(str, row[1:])) for row in rows))
    pack(tmp_path / "o.h5", responses=path, stimulus=ids, images=None)
    assert open_recording(tmp_path / "o.h5").responses.values.shape == values().shape


def test_an_absent_table_and_a_foreign_file_are_told(tmp_path: Path) -> None:
    (tmp_path / "b.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(600))
    with pytest.raises(InputError, match=r"b\.mat: .* found a MATLAB 5 file; store its arrays as \.npy"):
        pack(tmp_path / "o.h5", responses=tmp_path / "b.mat", stimulus=None, images=None)
    with pytest.raises(InputError, match=r"none\.csv: .* no such file"):
        pack(tmp_path / "o.h5", **given(tmp_path), images=None, captions=tmp_path / "none.csv")


# fields that are named


def test_an_array_that_is_named_as_another_field_is_that_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    session = np.arange(24) % 8 // 4 + 1
    more = {"images": pictures(), "image_ids": IDS, "session": session}
    np.savez(path, betas=values(), stimulus=NAMES, **more)
    with pytest.raises(InputError, match="the field 'responses', found a file with betas"):
        open_recording(path)
    recording = open_recording(path, fields={"responses": "betas", "group": "session"})
    assert recording.responses.space.betas == "native" and np.array_equal(recording.responses.values, values())
    assert recording.responses.session.tolist() == session.tolist() and recording.splits[0].name == "leave-out-1"
    np.savez(path, subject=values(), stimulus=NAMES, **more)
    assert open_recording(path, fields={"responses": "subject"}).responses.space.subject == "d"
    np.savez(path, responses=values(), betas=values(), stimulus=NAMES, **more)
    with pytest.raises(InputError, match=r"d\.npz, betas: .* float32 \(24, 6\); name it with --fields responses=betas"):
        open_recording(path)


def test_the_subject_is_that_of_the_field_which_is_named_for_it(tmp_path: Path) -> None:
    path, fields = tmp_path / "d.npz", {"subject": "who", "responses": "betas"}
    np.savez(path, betas=values(), stimulus=NAMES, images=pictures(), image_ids=IDS, who="anna")
    assert Arrays().subjects(path) == ("d",) and Arrays().subjects(path, fields=fields) == ("anna",)
    assert open_recording(path, subject="anna", fields=fields).responses.space.subject == "anna"


def test_trials_keep_their_group(tmp_path: Path) -> None:
    group = [f"run{number // 8}" for number in range(TRIALS)]
    responses = read(tmp_path, images=pictures(), image_ids=IDS, group=group).responses
    assert responses.group is not None and responses.group.tolist() == group
    some = responses.trials(np.arange(6, 10)).voxels(np.arange(2)).group
    assert some is not None and some.tolist() == ["run0", "run0", "run1", "run1"]
    assert read(tmp_path, images=pictures(), image_ids=IDS).responses.group is None
    with pytest.raises(InputError, match=r"responses: 24 trials but group has shape \(3,\)"):
        replace(responses, group=np.array(["a", "b", "c"]))


def test_a_noise_ceiling_is_asked_of_the_usable_voxels_alone(tmp_path: Path) -> None:
    still, ncsnr = values(), np.linspace(0.1, 0.6, VOXELS)
    still[:, 3], ncsnr[3] = 0, np.nan
    recording = read(tmp_path, responses=still, images=pictures(), image_ids=IDS, ncsnr=ncsnr)
    assert recording.ncsnr is not None and recording.ncsnr.tolist() == np.delete(ncsnr, 3).astype(np.float32).tolist()
    ncsnr[2] = np.nan
    with pytest.raises(InputError, match="ncsnr: expected .* with NaN or infinity"):
        read(tmp_path, responses=still, images=pictures(), image_ids=IDS, ncsnr=ncsnr)


def test_a_folder_of_pictures_of_another_name_is_told_and_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    save_pictures(tmp_path / "pictures", [f"{name}.png" for name in IDS])
    path = tmp_path / "d.npz"
    np.savez(path, responses=values(), stimulus=NAMES)
    with pytest.raises(InputError, match=r"of pic0, found none; name their folder, --fields folder=pictures"):
        open_recording(path).stimuli.open("pic0")
    recording = open_recording(path, fields={"folder": "pictures"})
    assert np.array_equal(np.asarray(recording.stimuli.open("pic1")), pictures()[1])
    (tmp_path / "d.npz.fields.json").write_text(json.dumps({"folder": "pictures"}))
    assert np.array_equal(np.asarray(open_recording(path).stimuli.open("pic2")), pictures()[2])
    for name in ("pixels", "../pictures", str(tmp_path / "pictures")):
        with pytest.raises(InputError, match="for folder, found a file with .*or put a folder .* beside the file"):
            open_recording(path, fields={"folder": name})


@pytest.mark.parametrize(("one", "other"), [("", ".png"), (".jpg", "")])
def test_ids_that_differ_by_a_file_ending_alone_are_told_so(tmp_path: Path, one: str, other: str) -> None:
    shown, ids = [f"{name}{one}" for name in NAMES], [f"{name}{other}" for name in IDS]
    ending = one or other
    with pytest.raises(InputError, match=rf"differ from these by '\{ending}' alone; write both with '\{ending}'"):
        read(tmp_path, stimulus=shown, images=pictures(), image_ids=ids)
    ids = sorted(set(shown))
    halves = {"split/a/train": [f"{name}{other}"[: None if other else 4] for name in IDS[:6]], "split/a/test": ids[6:]}
    with pytest.raises(InputError, match=rf"they differ by '\{ending}' alone; write them as in stimulus"):
        read(tmp_path, stimulus=shown, images=pictures(), image_ids=ids, **halves)


@pytest.mark.parametrize("name", ["session", "repeat"])
def test_sessions_that_are_text_are_to_be_numbered(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=rf"{name}: .* found text such as 'run-01'; number them: 1 for 'run-01',"):
        read(tmp_path, images=pictures(), image_ids=IDS, **{name: ["run-01", "run-02"] * 12})


# groups


def test_pictures_called_slides_are_no_windows_of_one_clip(tmp_path: Path) -> None:
    slides = [f"deck_slide{number}" for number in range(8)]
    shown = [slides[number % 8] for number in range(TRIALS)]
    recording = read(tmp_path, stimulus=shown, images=pictures(), image_ids=slides)
    assert len(recording.folds("leave-out")) == 8
    assert all(len(fold.train) == 7 and len(fold.test) == 1 for fold in recording.splits)
    many = [f"deck_slide{number}" for number in range(60)]
    once = {"responses": np.random.default_rng(2).normal(size=(60, VOXELS)), "stimulus": many}
    split = {"split/mine/train": many[:50], "split/mine/test": many[50:]}
    large = read(tmp_path, **once, images=pictures(60), image_ids=many, **split)
    guard(large.split("mine"), large.split("mine").train, sound=False)
    tenth = read(tmp_path, **once, images=pictures(60), image_ids=many).split("tenth-by-hash")
    assert (len(tenth.train), len(tenth.test)) == (54, 6)
    fit = {"alphas": (1.0, 10.0), "folds": 5, "seed": 0, "chunk": 100}
    x, y = large.responses.values, large.responses.values[:, :2]
    assert fit_ridge(x, y, groups=many, **fit, sound=False).cv_prediction.shape == (60, 2)
    with pytest.raises(InputError, match="1 training stimuli cannot make 5 folds"):
        fit_ridge(x, y, groups=many, **fit)


def test_sounds_called_slides_are_windows_of_one_clip_still(tmp_path: Path) -> None:
    slides = [f"talk{number // 4}_slide{number % 4}" for number in range(8)]
    (tmp_path / "sounds").mkdir()
    for name in slides:
        soundfile.write(tmp_path / f"sounds/{name}.wav", np.random.default_rng(0).normal(size=8000) * 0.1, 16000)
    recording = read(tmp_path, stimulus=[slides[number % 8] for number in range(TRIALS)])
    assert all(len(fold.train) == 4 for fold in recording.folds("leave-out"))


# all that is wrong, in one go

FAULTS: dict[str, dict[str, Any]] = {
    "affine": {"affine": np.zeros((4, 4))},
    "unit": {"unit": ["z", "psc"]},
    "subject": {"subject": ["a", "b"]},
    "session": {"session": np.full(TRIALS, 1.5)},
    "repeat": {"repeat": ["a"] * TRIALS},
    "group": {"group": np.arange(TRIALS - 1)},
    "split/a": {"split/a/train": ["zz"], "split/a/test": IDS[:2]},
    "split/b": {"split/b/train": IDS[:2]},
    "split 'c'": {"split/c/train": IDS[:2], "split/c/test": IDS[:2]},
    "roi/V1": {"roi/V1": np.arange(VOXELS)},
    "ncsnr": {"ncsnr": np.full(VOXELS, np.nan)},
    "images": {"images": pictures() * 2.0},
    "label_ids": {"labels/kind": ["x"] * 8, "label_ids": ["pic0"] * 8},
    "packed_sha256": {"packed_sha256": "{"},
}  # fmt: skip
"""Where a fault is -> the fields that have it."""


def problems(path: Path, **arrays: Any) -> tuple[str, ...]:
    fields = {"responses": values(), "stimulus": NAMES, "images": pictures(), "image_ids": IDS, **arrays}
    with h5py.File(path, "w") as file:
        for name, value in fields.items():
            array = np.asarray(value)
            file[name] = array.astype(h5py.string_dtype()) if array.dtype.kind == "U" else array
    return Arrays().inspect(path).problems


def test_inspect_says_every_fault_of_a_file_whatever_else_is_wrong(tmp_path: Path) -> None:
    alone = {}
    for name, fields in FAULTS.items():
        (alone[name],) = problems(tmp_path / "d.h5", **fields)
        assert f"{name}: " in alone[name]
    for absent in ("session", "ncsnr"):  # without sessions nobody knows of which voxels a noise ceiling is asked
        fields = {key: value for name, one in FAULTS.items() if name != absent for key, value in one.items()}
        want = [said for name, said in alone.items() if name != absent]
        assert sorted(problems(tmp_path / "d.h5", **fields)) == sorted(want)
    turned = problems(tmp_path / "d.h5", responses=values().T, group=np.arange(TRIALS - 1), affine=np.zeros((4, 4)))
    assert len(turned) == 3 and any("(6, 24) and 24 trials in stimulus (transposed?)" in one for one in turned)


def test_a_voxel_that_stands_still_in_one_session_needs_no_noise_ceiling_beside_another_fault(tmp_path: Path) -> None:
    still, ncsnr, session = values(), np.ones(VOXELS), np.repeat([1, 2], 12)
    still[12:, 3], ncsnr[3] = 0, np.nan
    affine = np.zeros((4, 4))
    (said,) = problems(tmp_path / "d.h5", responses=still, ncsnr=ncsnr, session=session, affine=affine)
    assert "affine" in said
    (first, other) = problems(tmp_path / "d.h5", responses=still * np.nan, affine=affine)
    assert "affine" in first and "one value throughout in all 24 trials" in other
