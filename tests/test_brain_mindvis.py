"""MinD-Vis's npz files: trials, pictures and regions as they were written, and every fault a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from brain.errors import InputError, UsageError
from brain.readers import open_recording, reader_of
from brain.readers.mindvis import hcp_folders, read_hcp
from encoders.pretrain import main as pretrain
from tests.rounding import largest, rounding

VOXELS, TRAIN, TESTS, REPEATS = 20, 12, 4, 3
KEPT = rounding(sums=1, scale=1.0)
"""Files in float64 are read as float32, relative."""


def write_god(folder: Path, *, order: str = "repeat", **changes: Any) -> Path:
    """A folder of one subject; `changes` replace arrays of sbj_3.npz, None leaves one out."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    mean = rng.standard_normal((TESTS, VOXELS))
    spread = rng.standard_normal((TESTS, REPEATS, VOXELS))
    single = mean[:, None] + spread - spread.mean(1, keepdims=True)
    arrays: dict[str, Any] = {
        "arr_0": rng.standard_normal((TRAIN, VOXELS)),
        "arr_1": {
            "repeat": single.reshape(-1, VOXELS),
            "tile": single.transpose(1, 0, 2).reshape(-1, VOXELS),
            "lost": rng.permutation(single.reshape(-1, VOXELS)),
        }[order],
        "arr_2": mean,
        "arr_3": rng.permutation(TRAIN),
        "VC": np.arange(VOXELS) < 15,
        "V1": np.arange(VOXELS) < 6,
        **changes,
    }
    np.savez(folder / "sbj_3.npz", **{name: one for name, one in arrays.items() if one is not None})
    pictures = np.arange((TRAIN + TESTS) * 12).reshape(-1, 2, 2, 3) / 255.0
    np.savez(folder / "images_256.npz", train_images=pictures[:TRAIN], test_images=pictures[TRAIN:])
    return folder


def test_pictures_that_were_replaced_are_read_anew(tmp_path: Path) -> None:
    """In one process, such as the demo's: an archive is kept open in memory only as long as it is the same."""
    stimuli = open_recording(write_god(tmp_path)).stimuli
    before = np.asarray(stimuli.open("train0003"))
    archive = tmp_path / "images_256.npz"
    stored = dict(np.load(archive))
    np.savez(archive, train_images=stored["train_images"][::-1], test_images=stored["test_images"])
    assert np.array_equal(np.asarray(stimuli.open(f"train{TRAIN - 1 - 3:04d}")), before)
    archive.unlink()
    with pytest.raises(InputError, match="images_256.npz: expected MinD-Vis' pictures, found no such file"):
        stimuli.open("train0003")


def test_trials_pictures_and_regions_are_where_they_were(tmp_path: Path) -> None:
    path = write_god(tmp_path / "Kamitani" / "npz")
    stored = np.load(path / "sbj_3.npz")
    recording = open_recording(tmp_path)
    responses = recording.responses
    assert reader_of(tmp_path).subjects(tmp_path) == ("sbj_3",)
    np.testing.assert_allclose(responses.values[:TRAIN], stored["arr_0"][:, :15], rtol=KEPT)
    assert responses.stimulus[:TRAIN].tolist() == [f"train{number:04d}" for number in stored["arr_3"]]
    assert {region.name: int(region.mask.sum()) for region in recording.regions} == {"VC": 15, "V1": 6}
    picture = np.load(path / "images_256.npz")["test_images"][2]
    shown = np.asarray(recording.stimuli.open("test0002"))
    assert np.array_equal(shown, np.rint(picture * 255))
    assert recording.split().test == tuple(f"test{number:04d}" for number in range(TESTS))


@pytest.mark.parametrize("order", ["repeat", "tile"])
def test_the_order_of_single_test_trials_is_told_by_their_averages(tmp_path: Path, order: str) -> None:
    path = write_god(tmp_path, order=order)
    responses = open_recording(path).responses
    stored = np.load(path / "sbj_3.npz")
    assert len(responses.values) == TRAIN + TESTS * REPEATS
    for number in range(TESTS):
        rows = responses.stimulus == f"test{number:04d}"
        single = responses.values[rows].astype(np.float64)
        np.testing.assert_allclose(single.mean(0), stored["arr_2"][number, :15], atol=KEPT * largest(single), rtol=0)
        assert sorted(responses.repeat[rows]) == list(range(REPEATS))


def test_where_no_order_fits_the_averages_are_read(tmp_path: Path) -> None:
    recording = open_recording(write_god(tmp_path, order="lost"))
    assert len(recording.responses.values) == TRAIN + TESTS
    assert any("cannot be told" in note for note in recording.notes)


def test_a_dropped_trial_is_left_out_and_a_split_that_loses_by_it_says_so(tmp_path: Path) -> None:
    folder = write_god(tmp_path)
    whole = open_recording(folder)
    file = next(folder.rglob("sbj_*.npz"))
    with np.load(file) as archive:
        arrays = dict(archive)
    arrays["arr_0"] = arrays["arr_0"].astype(float)
    arrays["arr_0"][2] = np.nan
    np.savez(file, **arrays)
    recording = open_recording(folder)
    gone = whole.responses.stimulus[2]
    assert len(recording.responses.space) == len(whole.responses.space)
    assert len(recording.responses.values) == len(whole.responses.values) - 1
    assert "or one value in all (session 1), and is left out" in recording.masked[0]
    assert gone not in recording.split().train and gone in whole.split().train
    assert recording.notes[-1].startswith("split god: 11/4 of 12/4 ")


def test_without_pictures_the_responses_are_read_and_a_picture_is_refused(tmp_path: Path) -> None:
    path = write_god(tmp_path)
    (path / "images_256.npz").unlink()
    recording = open_recording(path)
    assert len(recording.responses.values) == TRAIN + TESTS * REPEATS
    with pytest.raises(InputError, match="expected the picture or sound of train0000"):
        recording.stimuli.open("train0000")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arr_3": None}, "arr_3"),
        ({"arr_3": np.arange(3)}, "a picture for each"),
        ({"arr_1": np.zeros((4, 7))}, "the same voxels"),
        ({"VC": None, "V1": None}, "a mask of 20 voxels"),
        ({"arr_0": np.array([{"a": 1}], dtype=object)}, "a plain array"),
    ],
)
def test_a_damaged_file_says_what_is_wrong(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = write_god(tmp_path, **changes)
    with pytest.raises(InputError, match=said):
        open_recording(path)


def test_pictures_that_reach_a_hair_beyond_white_are_counted_and_others_are_not_looked_at(tmp_path: Path) -> None:
    whole = write_god(tmp_path / "whole")
    assert not any("images_256" in note for note in open_recording(whole, subject="sbj_3").notes)
    path = write_god(tmp_path / "hair")
    stored = dict(np.load(path / "images_256.npz"))
    train = stored["train_images"]
    train[0, 0, 0] = [1.004, -0.003, 0.5]
    np.savez(path / "images_256.npz", train_images=train, test_images=stored["test_images"])
    notes = [note for note in open_recording(path, subject="sbj_3").notes if "images_256" in note]
    assert notes == [
        "images_256.npz, train_images: images: 2 numbers lie outside 0..1 by a hair (they reach -0.003..1.004) "
        "and are cut off there"
    ]


def test_a_picture_that_the_archive_lacks_is_refused(tmp_path: Path) -> None:
    recording = open_recording(write_god(tmp_path, arr_3=np.arange(TRAIN) + 5))
    with pytest.raises(InputError, match="a picture for train0016"):
        recording.stimuli.open("train0016")


def test_another_session_and_other_betas_are_refused(tmp_path: Path) -> None:
    path = write_god(tmp_path)
    with pytest.raises(InputError, match="session 2"):
        open_recording(path, sessions=[2])
    with pytest.raises(UsageError, match="betas"):
        open_recording(path, betas="fithrf")


def test_rest_of_hcp_becomes_trials_of_averaged_frames(tmp_path: Path) -> None:
    frames = {name: np.random.default_rng(n).standard_normal((27, n + 2)) for n, name in enumerate(("V1", "V2", "V3"))}
    np.savez(tmp_path / "HCP_visual_voxel.npz", **frames, V4=np.zeros((27, 1)))
    rest = read_hcp(tmp_path)
    assert rest.values.shape == (2, 2 + 3 + 4 + 1)
    window = frames["V2"][10:20]
    # each frame is rounded, and then their mean
    bound = rounding(sums=2, scale=largest(np.abs(window).mean(0)))
    np.testing.assert_allclose(rest.values[1, 2:5], window.mean(0), atol=bound, rtol=0)
    np.savez(tmp_path / "HCP_visual_voxel.npz", **frames, V4=np.zeros((26, 1)))
    with pytest.raises(InputError, match="as many in each region"):
        read_hcp(tmp_path)


def test_hcp_subjects_are_found_by_file_folder_or_the_folder_above(tmp_path: Path) -> None:
    homes = tuple(tmp_path / name for name in ("100610", "102311"))
    for home in homes:
        home.mkdir()
        (home / "HCP_visual_voxel.npz").write_bytes(b"")
    assert hcp_folders(tmp_path) == homes
    assert hcp_folders(homes[1]) == hcp_folders(homes[1] / "HCP_visual_voxel.npz") == homes[1:]
    assert hcp_folders(tmp_path / "none") == ()


def test_mindvis_users_pretrain_on_what_they_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One session of labelled trials, of which no session can be held out, and rest of other subjects."""
    data, rest = write_god(tmp_path / "Kamitani" / "npz"), tmp_path / "HCP" / "npz" / "100610"
    rest.mkdir(parents=True)
    frames = {name: np.random.default_rng(n).standard_normal((30, 4 + n)) for n, name in enumerate(("V1", "V2", "V3"))}
    np.savez(rest / "HCP_visual_voxel.npz", **frames, V4=np.random.default_rng(3).standard_normal((30, 4)))
    words = ["--steps", "3", "--batch", "4", "--patch", "4", "--width", "8", "--depth", "1", "--heads", "2"]
    words += ["--decoder-width", "8", "--also", str(rest.parent)]
    assert pretrain([str(data), "--out", str(tmp_path / "out"), *words]) == 0
    assert "note: sbj_3: all trials are of one session, so 1 of 12 training stimuli" in capsys.readouterr().err
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert [(one["subject"], one["trials"], one["held_out"]) for one in card["data"]] == [
        ("sbj_3", 11, 1),
        ("100610, unlabelled", 3, 0),
    ]
    assert len(card["notes"]) == 1


def test_masks_of_zeros_and_ones_are_masks_and_what_is_none_is_said(tmp_path: Path) -> None:
    plain = {region.name: region.mask for region in open_recording(write_god(tmp_path / "plain")).regions}
    for number, kind in enumerate((np.uint8, np.int64, np.float64)):
        masks = {"VC": (np.arange(VOXELS) < 15).astype(kind), "V1": (np.arange(VOXELS) < 6).astype(kind)[None]}
        if kind is np.float64:
            masks["V1"] = masks["V1"][0]
        regions = open_recording(write_god(tmp_path / f"{number}", **masks)).regions
        stored = {region.name: region.mask for region in regions}
        assert stored.keys() == plain.keys() and all(np.array_equal(stored[name], plain[name]) for name in plain)
    other = {"maker": np.array("a lab"), "snr": np.linspace(0, 2, VOXELS), "V9": np.zeros(VOXELS, bool)}
    path = write_god(tmp_path / "other", **other, arr_4=np.arange(3))
    said = next(note for note in open_recording(path).notes if note.startswith("arrays that are no region"))
    assert all(name in said for name in ("maker", "snr", "V9 (no voxel)")) and "arr_4" not in said
    assert said in "\n".join(reader_of(path).inspect(path).lines)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.arange(VOXELS) % 4, "VC: expected .20,. booleans, found int64 with 2"),
        (np.full(VOXELS, np.nan), "VC: expected .20,. booleans, found float64 with nan"),
        (np.ones(VOXELS - 1, np.uint8), r"VC: expected .20,. booleans, one a voxel, found uint8 \(19,\)"),
        (np.ones(VOXELS + 1, bool), r"VC: expected .20,. booleans, one a voxel, found bool \(21,\)"),
        (np.array("all"), "VC: expected .20,. booleans"),
        (np.array(1.0), "VC: expected .20,. booleans"),
        (np.ones(VOXELS, complex), "VC: expected .20,. booleans, found complex128"),
    ],
)
def test_a_mask_that_is_none_is_refused(tmp_path: Path, mask: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_recording(write_god(tmp_path, VC=mask))


def test_regions_whose_voxels_all_fail_are_said(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(TRAIN, VOXELS))
    values[:, :6] = np.nan
    recording = open_recording(write_god(tmp_path, arr_0=values))
    assert "regions left out, for none of their voxels is usable: V1" in recording.notes


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (np.arange(1, TRAIN + 1), "arr_3: expected pictures counted from 0, found every number of 1 to 12"),
        (np.arange(TRAIN).reshape(2, -1), "a picture for each"),
        (np.array(0), "a picture for each"),
    ],
)
def test_pictures_are_counted_from_0_and_one_a_trial(tmp_path: Path, index: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_recording(write_god(tmp_path, arr_3=index))


def test_links_that_were_not_fetched_and_companions_of_a_mac_are_no_data(tmp_path: Path) -> None:
    path = write_god(tmp_path)
    for file in list(path.glob("*.npz")):
        file.with_name(f"._{file.name}").write_bytes(bytes(82))
    assert reader_of(path).subjects(path) == ("sbj_3",)
    assert open_recording(path).stimuli.open("test0001").size == (2, 2)
    (path / "images_256.npz").unlink()
    (path / "images_256.npz").symlink_to(".git/annex/objects/gone")
    with pytest.raises(InputError, match="images_256.npz: expected an archive of pictures, found a link to a file"):
        open_recording(path)
    rest = tmp_path / "hcp" / "100610"
    rest.mkdir(parents=True)
    (rest / "HCP_visual_voxel.npz").symlink_to("gone")
    (rest / "._HCP_visual_voxel.npz").write_bytes(bytes(82))
    assert hcp_folders(rest) == hcp_folders(rest.parent) == (rest,)
    with pytest.raises(InputError, match="found a link to a file that has not been fetched"):
        read_hcp(rest)


def test_rest_with_holes_and_masks_of_other_bytes_are_refused(tmp_path: Path) -> None:
    frames = {name: np.random.default_rng(0).standard_normal((30, 3)) for name in ("V1", "V2", "V3", "V4")}
    frames["V3"][4, 1] = np.nan
    np.savez(tmp_path / "HCP_visual_voxel.npz", **frames)
    with pytest.raises(InputError, match="V3: expected finite numbers, found NaN or infinity"):
        read_hcp(tmp_path)
    odd = np.full(VOXELS, 127, np.uint8).view(bool)
    with pytest.raises(InputError, match="VC: expected .20,. booleans, found uint8 with 127"):
        open_recording(write_god(tmp_path / "odd", VC=odd))
    holes = np.where(np.arange(VOXELS) < 3, np.nan, 1.0)
    with pytest.raises(InputError, match="V1: expected .20,. booleans, found float64 with nan"):
        open_recording(write_god(tmp_path / "holes", V1=holes))
