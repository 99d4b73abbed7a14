"""Data of one's own: one file, no code. The real one (Miyawaki et al. 2008) is read where ../shared has it."""

from __future__ import annotations

import json
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from brain.data.pack import pack, write_arrays
from brain.data.standardise import SessionScaler
from brain.errors import InputError, StorageError, UsageError
from brain.files.tables import read_ids
from brain.readers import open_recording, parse_fields, reader_of
from brain.readers._own.fields import DIGEST
from brain.writing.locks import claim
from tests.rounding import rounding

TRIALS, VOXELS = 24, 6
NAMES = [f"pic{number % 8}" for number in range(TRIALS)]


def values(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(TRIALS, VOXELS)).astype(np.float32)


def pictures(count: int = 8) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 5, 4, 3), dtype=np.uint8)


def everything() -> dict[str, Any]:
    """Every small field of the format."""
    return {
        "session": np.repeat([1, 2], 12),
        "repeat": np.arange(TRIALS) // 8,
        "ncsnr": np.linspace(0.1, 1, VOXELS),
        "ijk": np.stack([np.arange(VOXELS), np.full(VOXELS, 2), np.full(VOXELS, 3)], axis=1),
        "shape": np.array([9, 8, 7]),
        "affine": np.diag([2.0, 2, 2, 1]),
        "subject": "anna",
        "unit": "psc",
        "betas": "glm1",
    }


def write_npz(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path, **{name: np.asarray(array) for name, array in arrays.items()})
    return path


def test_a_full_file_is_read_field_by_field(tmp_path: Path) -> None:
    path = write_arrays(
        tmp_path / "data.h5",
        responses=values(),
        stimulus=NAMES,
        images=pictures(),
        image_ids=[f"pic{number}" for number in range(8)],
        fields=everything(),
        regions={"V1": np.arange(VOXELS) < 2, "V2": np.arange(VOXELS) == 2},
        splits={"mine": (["pic0", "pic1", "pic2"], ["pic3", "pic4"])},
        captions={"pic0": ["a red square", "ein Ränd"], "pic1": ["a dot"]},
    )
    recording = open_recording(path)
    responses = recording.responses
    np.testing.assert_array_equal(responses.values, values())
    assert responses.stimulus.tolist() == NAMES and responses.session.tolist() == [1] * 12 + [2] * 12
    assert responses.repeat.tolist() == (np.arange(TRIALS) // 8).tolist()
    space = responses.space
    assert (space.subject, space.unit, space.betas, space.shape) == ("anna", "psc", "glm1", (9, 8, 7))
    assert space.affine[0, 0] == 2 and space.ijk[4].tolist() == [4, 2, 3]
    assert [region.name for region in recording.regions] == ["V1", "V2", "all"]
    assert recording.split("mine").test == ("pic3", "pic4") and recording.split() is recording.split("mine")
    assert recording.stimuli.captions["pic0"] == ("a red square", "ein Ränd")
    # kept as float32
    np.testing.assert_allclose(recording.ncsnr, everything()["ncsnr"], rtol=rounding(sums=1, scale=1.0))
    np.testing.assert_array_equal(np.asarray(recording.stimuli.open("pic5")), pictures()[5])
    assert not list(tmp_path.glob(".*.part"))


def test_the_same_arrays_as_npz_give_the_same_recording(tmp_path: Path) -> None:
    arrays = {
        "responses": values(), "stimulus": NAMES, "images": pictures(), "image_ids": sorted(set(NAMES)), **everything(),
        "roi/V1": np.arange(VOXELS) < 2, "split/mine/train": ["pic0"], "split/mine/test": ["pic1"],
        "labels/category": ["x", "y"], "label_ids": ["pic0", "pic1"],
    }  # fmt: skip
    npz = write_npz(tmp_path / "data.npz", arrays)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        for name, array in arrays.items():
            text = np.asarray(array).dtype.kind == "U"
            file[name] = np.asarray(array).astype(object) if text else array
    one, other = open_recording(npz), open_recording(tmp_path / "data.h5")
    assert one.responses.space.sha256 == other.responses.space.sha256
    np.testing.assert_array_equal(one.responses.values, other.responses.values)
    assert one.splits == other.splits and one.stimuli.labels == other.stimuli.labels == {
        "pic0": {"category": "x"},
        "pic1": {"category": "y"},
    }
    for name in one.stimuli.ids:
        assert one.stimuli.open(name).tobytes() == other.stimuli.open(name).tobytes()


def test_responses_and_images_one_a_trial_are_enough(tmp_path: Path) -> None:
    shown = pictures()[np.arange(TRIALS) % 8]
    recording = open_recording(write_npz(tmp_path / "bare.npz", {"responses": values(), "images": shown}))
    responses = recording.responses
    assert len(recording.stimuli.ids) == 8 and responses.repeat.tolist() == (np.arange(TRIALS) // 8).tolist()
    for trial in (0, 9, 23):
        name = str(responses.stimulus[trial])
        np.testing.assert_array_equal(np.asarray(recording.stimuli.open(name)), shown[trial])
    assert [split.test for split in recording.folds()] == [(name,) for name in recording.stimuli.ids]
    assert recording.folds() == recording.folds("leave-out")


def test_whole_number_ids_are_rows_of_the_images(tmp_path: Path) -> None:
    arrays = {"responses": values(), "stimulus": np.arange(TRIALS) % 5 + 2, "images": pictures()}
    recording = open_recording(write_npz(tmp_path / "rows.npz", arrays))
    assert recording.stimuli.ids == ("2", "3", "4", "5", "6")
    np.testing.assert_array_equal(np.asarray(recording.stimuli.open("6")), pictures()[6])


@pytest.mark.parametrize(
    ("images", "white"),
    [
        (np.eye(4, dtype=bool), 255),
        (np.eye(4, dtype=np.uint8), 255),
        (np.eye(4, dtype=np.float32) * 0.5, 128),
        (np.eye(4) * 200.4, 200),
        (np.eye(4, dtype=np.int64) * 7, 7),
    ],
)
def test_binary_unit_and_byte_images_are_served_as_rgb(tmp_path: Path, images: np.ndarray, white: int) -> None:
    path = write_npz(tmp_path / "x.npz", {"responses": values(), "stimulus": [0] * 24, "images": images[None]})
    image = open_recording(path).stimuli.open("0")
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), np.repeat(np.eye(4, dtype=int)[..., None], 3, axis=-1) * white)


def test_fields_can_be_named_by_flag_or_by_a_file_beside(tmp_path: Path) -> None:
    arrays = {"data": values(), "figure": np.arange(TRIALS) % 8, "images": pictures(), "run": np.repeat([1, 2, 3], 8)}
    path = write_npz(tmp_path / "theirs.npz", arrays)
    with pytest.raises(InputError, match="the field 'responses', found a file with data, figure, images, run"):
        open_recording(path)
    fields = parse_fields("responses=data, stimulus=figure")
    assert len(open_recording(path, fields=fields).stimuli.ids) == 8
    (tmp_path / "theirs.npz.fields.json").write_text(json.dumps(fields))
    assert open_recording(path).responses.stimulus[9] == "1"
    with pytest.raises(InputError, match="group by what was shown"):
        open_recording(path, fields={"group": "run"}).folds()
    with pytest.raises(UsageError, match="did you mean stimulus"):
        open_recording(path, fields={"stimuli": "figure"})
    with pytest.raises(InputError, match="'figures' for stimulus"):
        open_recording(path, fields={"stimulus": "figures"})
    with pytest.raises(UsageError, match="OURS=THEIRS.* found 'stimulus'; write them as stimulus=figure,group=run"):
        parse_fields("stimulus")


def test_groups_are_left_out_in_turn_with_all_their_stimuli(tmp_path: Path) -> None:
    group = [name in ("pic0", "pic1") for name in NAMES]
    path = write_arrays(
        tmp_path / "g.h5", responses=values(), stimulus=NAMES, fields={"group": np.where(group, "few", "many")}
    )
    folds = open_recording(path).folds()
    assert [fold.name for fold in folds] == ["leave-out-few", "leave-out-many"]
    assert folds[0].test == ("pic0", "pic1") == folds[1].train


def test_sessions_can_be_chosen_and_unusable_voxels_are_left_out(tmp_path: Path) -> None:
    spoilt = values()
    spoilt[14, 1] = np.nan
    spoilt[:12, 4] = 3
    regions = {"V1": np.arange(VOXELS) < 2, "lost": np.arange(VOXELS) == 4}
    path = write_arrays(
        tmp_path / "s.h5", responses=spoilt, stimulus=NAMES, fields={"session": np.repeat([1, 2], 12)}, regions=regions
    )
    recording = open_recording(path)
    assert recording.responses.space.ijk[:, 0].tolist() == [0, 2, 3, 5] and len(recording.masked) == 2
    assert [region.name for region in recording.regions] == ["V1", "all"]
    assert recording.region("V1").mask.tolist() == [True, False, False, False]
    second = open_recording(path, sessions=[2])
    assert len(second.responses.values) == 12 and second.responses.space.ijk[:, 0].tolist() == [0, 2, 3, 4, 5]
    with pytest.raises(InputError, match=r"session 3, found a file with sessions \[1, 2\]"):
        open_recording(path, sessions=[3])


def test_many_stimuli_get_a_tenth_and_very_many_are_not_left_out_one_by_one(tmp_path: Path) -> None:
    for count, families in ((60, {"tenth-by-hash", "leave-out"}), (300, {"tenth-by-hash"})):
        numbers = np.random.default_rng(0).normal(size=(count, 3))
        path = write_arrays(tmp_path / f"{count}.h5", responses=numbers, stimulus=[f"s{n}" for n in range(count)])
        recording = open_recording(path)
        assert {split.name[:9] if split.name[0] == "l" else split.name for split in recording.splits} == families
        assert len(recording.split().test) == count // 10 and len(recording.folds()) == 1


def test_pictures_beside_the_file_are_opened_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, pixels in enumerate(pictures()):
        Image.fromarray(pixels).save(folder / f"pic{number}.png")
    Image.new("RGBA", (3, 3), (10, 20, 30, 0)).save(folder / "pic7.png")
    path = write_npz(tmp_path / "data.npz", {"responses": values(), "stimulus": NAMES})
    stimuli = open_recording(path).stimuli
    np.testing.assert_array_equal(np.asarray(stimuli.open("pic2")), pictures()[2])
    assert stimuli.open("pic7").mode == "RGB"
    (folder / "pic4.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"pic4\.png: expected an image"):
        stimuli.open("pic4")
    (folder / "pic4.png").unlink()
    with pytest.raises(InputError, match="none for 1: 'pic4'"):
        open_recording(path)


def test_sounds_beside_the_file_are_mono_float_with_their_rate(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(8):
        with wave.open(str(folder / f"pic{number}.wav"), "wb") as sound:
            sound.setnchannels(2)
            sound.setsampwidth(2)
            sound.setframerate(8000)
            sound.writeframes(np.tile(np.array([16384, 0], "<i2"), 1000 + number).tobytes())
    path = write_npz(tmp_path / "data.npz", {"responses": values(), "stimulus": NAMES})
    stimuli = open_recording(path).stimuli
    samples, rate = stimuli.open("pic3")
    assert stimuli.modality == "sound" and rate == 8000 and samples.shape == (1003,) and samples.dtype == np.float32
    np.testing.assert_allclose(samples, 0.25)
    (folder / "pic3.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"a sound \(wav, flac, ogg\)"):
        stimuli.open("pic3")


def test_a_folder_outside_the_files_own_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for folder in ("..", "/", "absent"):
        arrays = {"responses": values(), "stimulus": NAMES, "folder": folder}
        with pytest.raises(InputError, match="a folder within"):
            open_recording(write_npz(tmp_path / "in/data.npz", arrays))


def test_data_without_pictures_can_be_read_and_say_so_when_asked_for_one(tmp_path: Path) -> None:
    recording = open_recording(write_npz(tmp_path / "data.npz", {"responses": values(), "stimulus": NAMES}))
    with pytest.raises(InputError, match="the picture or sound of pic0, found none"):
        recording.stimuli.open("pic0")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"responses": values()[0]}, r"\(trial, voxel\) numbers"),
        ({"responses": values().astype(str)}, r"\(trial, voxel\) numbers"),
        ({"stimulus": NAMES[:-1]}, "24 of them, found shape"),
        ({"stimulus": np.arange(TRIALS) + 0.5}, "text or whole numbers"),
        ({"stimulus": ["a/b"] * TRIALS}, "a plain name"),
        ({"stimulus": [".."] * TRIALS}, "a plain name"),
        ({"session": np.ones(5)}, "session"),
        ({"ncsnr": np.full(VOXELS, np.nan)}, "finite"),
        ({"ijk": np.zeros((VOXELS, 3), int)}, "each voxel's own place"),
        ({"ijk": np.eye(VOXELS, 3, dtype=int) - 1}, "each voxel's own place"),
        ({"affine": np.eye(3)}, r"\(4, 4\)"),
        ({"roi/V1": np.ones(VOXELS - 1, bool)}, r"\(6,\) booleans"),
        ({"roi/V1": np.arange(VOXELS)}, r"\(6,\) booleans"),
        ({"split/a/train": ["pic0"], "split/a/test": ["other"]}, "1 of 2 that were not: 'other'"),
        ({"split/a/train": ["pic0"], "split/a/test": ["pic0"]}, "training and test alike"),
        ({"split/a/rest": ["pic0"]}, "split/<name>/train"),
        ({"images": pictures(7), "image_ids": [f"pic{n}" for n in range(7)]}, "none for stimulus 'pic7'"),
        ({"images": pictures(8)}, "one a trial, or image_ids"),
        ({"images": pictures(24)}, "two different ones, in trials 0 and 8"),
        ({"images": pictures().transpose(0, 3, 1, 2), "image_ids": sorted(set(NAMES))}, "put the colours last"),
        ({"images": pictures() * np.nan, "image_ids": sorted(set(NAMES))}, "finite numbers, found NaN"),
        ({"images": pictures() * 2.5, "image_ids": sorted(set(NAMES))}, r"numbers in 0\.\.255"),
        ({"captions": ["one"], "caption_ids": ["a", "b"]}, "caption_ids"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_a_sentence(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = write_npz(tmp_path / "data.npz", {"responses": values(), "stimulus": NAMES, **change})
    with pytest.raises(InputError, match=says) as caught:
        recording = open_recording(path)
        recording.stimuli.open(recording.stimuli.ids[0])
    assert "data.npz" in str(caught.value) or "split" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_asking_for_another_subject_or_betas_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "data.h5", responses=values(), stimulus=NAMES, fields={"subject": "anna"})
    assert open_recording(path, subject="anna").responses.space.subject == "anna"
    for asked in ({"subject": "bert"}, {"betas": "b2"}):
        with pytest.raises(UsageError, match="was asked for"):
            open_recording(path, **asked)


def test_inspect_says_what_is_understood_and_what_is_not(tmp_path: Path) -> None:
    arrays = {"responses": values(), "stimulus": NAMES, "roi/V1": np.arange(VOXELS) < 2, "diary": np.arange(3)}
    path = write_npz(tmp_path / "data.npz", arrays)
    found = reader_of(path).inspect(path)
    assert "V1 2, all 6" in "\n".join(found.lines) and found.facts["ignored"] == ["diary"]
    assert found.facts["trials"] == 24 and found.facts["stimuli"] == 8
    json.dumps(found.facts)


def test_files_of_a_laboratory_are_packed_by_one_call(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number, pixels in enumerate(pictures()):
        Image.fromarray(pixels).save(tmp_path / f"images/pic{number}.png")
    np.save(tmp_path / "responses.npy", values())
    np.savetxt(tmp_path / "session.txt", np.repeat([1, 2], 12), fmt="%d")
    np.savetxt(tmp_path / "ijk.csv", everything()["ijk"], fmt="%d", delimiter=",")
    np.save(tmp_path / "v1.npy", np.arange(VOXELS) < 3)
    (tmp_path / "ids.txt").write_text("\n".join(NAMES) + "\n")
    (tmp_path / "captions.csv").write_text('pic0,"a dot, red"\npic0,a point\n')
    out = pack(
        tmp_path / "data.h5",
        responses=tmp_path / "responses.npy",
        stimulus=tmp_path / "ids.txt",
        images=tmp_path / "images",
        columns={"session": tmp_path / "session.txt", "ijk": tmp_path / "ijk.csv"},
        regions={"V1": tmp_path / "v1.npy"},
        captions=tmp_path / "captions.csv",
        subject="anna",
    )
    recording = open_recording(out)
    np.testing.assert_array_equal(recording.responses.values, values())
    np.testing.assert_array_equal(np.asarray(recording.stimuli.open("pic6")), pictures()[6])
    assert recording.stimuli.captions["pic0"] == ("a dot, red", "a point")
    assert recording.region("V1").mask.sum() == 3 and recording.responses.session[20] == 2
    (tmp_path / "data.h5").unlink()
    Image.new("RGB", (30, 10)).save(tmp_path / "images/pic0.png")
    ask = {"responses": tmp_path / "responses.npy", "stimulus": tmp_path / "ids.txt", "images": tmp_path / "images"}
    with pytest.raises(InputError, match="images of one size"):
        pack(tmp_path / "data.h5", **ask)
    assert open_recording(pack(tmp_path / "data.h5", **ask, size=4)).stimuli.open("pic0").size == (4, 4)


def test_ids_with_leading_zeros_stay_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("007\n010\n")
    assert read_ids(path).tolist() == ["007", "010"]
    path.write_text("3.1\n3.10\n1e3\n2023041512345678901\n")
    assert read_ids(path).tolist() == ["3.1", "3.10", "1e3", "2023041512345678901"]
    path.write_text("1 x\n2 x\n")
    assert read_ids(path).tolist() == ["1 x", "2 x"]


def test_packing_what_cannot_be_read_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.h5, stimulus"):
        write_arrays(tmp_path / "data.h5", responses=values(), stimulus=NAMES[:3])
    with pytest.raises(UsageError, match="'sesion' is no field"):
        write_arrays(tmp_path / "data.h5", responses=values(), stimulus=NAMES, fields={"sesion": [1]})
    with pytest.raises(StorageError, match="a folder to write into, found none"):
        write_arrays(tmp_path / "absent/data.h5", responses=values(), stimulus=NAMES)
    assert not list(tmp_path.iterdir())


def test_miyawakis_real_data_are_read_as_they_are(checkout: Path) -> None:
    path = checkout.parent / "shared/data/miyawaki/miyawaki_v1_figures.npz"
    if not path.is_file():
        pytest.skip("the real data of Miyawaki et al. 2008 are not at ../shared/data/miyawaki")
    recording = open_recording(path)
    assert recording.responses.values.shape == (80, 797) and len(recording.folds()) == 10
    named = open_recording(path, fields={"stimulus": "figure"})
    assert named.stimuli.ids == tuple("0123456789") and len(named.folds("leave-out")) == 10
    image = np.asarray(named.stimuli.open("4"))
    assert image.shape == (10, 10, 3) and set(np.unique(image)) == {0, 255}
    assert (np.bincount(named.responses.repeat) == 10).all()


def test_ridge_tells_miyawakis_figures_apart_and_shuffled_brains_do_not(checkout: Path) -> None:
    """Pixels by ridge from nine figures; is the tenth nearer to its own picture than to each other one?"""
    path = checkout.parent / "shared/data/miyawaki/miyawaki_v1_figures.npz"
    if not path.is_file():
        pytest.skip("the real data of Miyawaki et al. 2008 are not at ../shared/data/miyawaki")
    recording = open_recording(path, fields={"stimulus": "figure"})
    responses = recording.responses
    pixels = {name: np.asarray(recording.stimuli.open(name))[..., 0].ravel() / 255 for name in recording.stimuli.ids}
    shuffled = np.random.default_rng(0).permutation(len(responses.values))
    scores: dict[str, list[float]] = {"brain": [], "shuffled": []}
    for split in recording.folds():
        train = responses.of(split.train)
        scaler = SessionScaler.fit(responses, train)
        z = scaler.apply(responses).values
        for row, x in (("brain", z), ("shuffled", z[shuffled])):
            y = np.stack([pixels[name] for name in responses.stimulus[train].tolist()])
            gram = x[train] @ x[train].T + 10 * np.eye(int(train.sum()))
            guess = (x[~train] @ x[train].T @ np.linalg.solve(gram, y - y.mean(axis=0)) + y.mean(axis=0)).mean(axis=0)
            fit = {name: np.corrcoef(guess, truth)[0, 1] for name, truth in pixels.items()}
            own = fit.pop(split.test[0])
            scores[row].append(float(np.mean([own > other for other in fit.values()])))
    assert np.mean(scores["brain"]) >= 0.7
    assert np.mean(scores["shuffled"]) < 0.65


def test_pack_overwrites_nothing_and_writes_hdf5_under_its_own_name_alone(tmp_path: Path) -> None:
    out = write_arrays(tmp_path / "data.h5", responses=values(), stimulus=NAMES)
    before = out.read_bytes()
    with pytest.raises(StorageError, match=r"data\.h5: expected a new file, found one that is there; move it away"):
        write_arrays(out, responses=values(1), stimulus=NAMES)
    assert out.read_bytes() == before
    for name in ("data.npz", "data", "data.h5.gz", "data.mat"):
        with pytest.raises(UsageError, match=r"expected a name that ends in \.h5 or \.hdf5, found"):
            write_arrays(tmp_path / name, responses=values(), stimulus=NAMES)
    (tmp_path / "precious").write_text("mine")
    for target in ("precious", "nowhere"):
        (tmp_path / "link.h5").unlink(missing_ok=True)
        (tmp_path / "link.h5").symlink_to(tmp_path / target)
        with pytest.raises(StorageError, match="expected a new file"):
            write_arrays(tmp_path / "link.h5", responses=values(), stimulus=NAMES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.h5", "link.h5", "precious"]
    with claim(tmp_path / "other.h5"), pytest.raises(StorageError, match="is working here"):
        write_arrays(tmp_path / "other.h5", responses=values(), stimulus=NAMES)


def packed(path: Path) -> Path:
    return write_arrays(
        path, responses=values(), stimulus=NAMES, images=pictures(), image_ids=[f"pic{n}" for n in range(8)],
        fields=everything(), regions={"V1": np.arange(VOXELS) < 2}, splits={"mine": (["pic0", "pic1"], ["pic3"])},
        captions={"pic0": ["a red square"]},
    )  # fmt: skip


SMALL = (
    "session", "repeat", "ncsnr", "ijk", "shape", "affine", "subject", "unit", "betas", "stimulus", "image_ids",
    "captions", "caption_ids", "roi/V1", "split/mine/train", "split/mine/test",
)  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_a_small_field_that_is_not_what_was_packed_is_refused(name: str, tmp_path: Path) -> None:
    """One value other, by a way that h5py's own checksums follow: only the digest can tell."""
    path = packed(tmp_path / "data.h5")
    with h5py.File(path, "r+") as file:
        field = file[name]
        old = field.asstr()[()] if field.dtype.kind == "O" else field[()]
        new = np.array(old, object if field.dtype.kind == "O" else None).ravel()
        new[0] = f"{new[0]}x" if field.dtype.kind == "O" else 1 - new[0]
        field[...] = new.reshape(np.shape(old))
    with pytest.raises(InputError, match=rf"data\.h5, {name}: expected what was packed \(sha256\), found other values"):
        open_recording(path)
    with h5py.File(path, "r+") as file:
        del file[DIGEST]
    if name == "subject":
        assert open_recording(path).responses.space.subject == "annax"


def test_a_field_that_is_gone_is_missed_and_one_that_is_added_is_not(tmp_path: Path) -> None:
    path = packed(tmp_path / "data.h5")
    with h5py.File(path, "r+") as file:
        file["diary"] = [1.0]
    assert len(open_recording(path).responses.values) == TRIALS
    with h5py.File(path, "r+") as file:
        del file["ncsnr"]
    with pytest.raises(InputError, match="ncsnr.*take the field packed_sha256 out"):
        open_recording(path)


def test_every_number_of_a_packed_file_is_under_a_checksum(tmp_path: Path) -> None:
    with h5py.File(packed(tmp_path / "data.h5")) as file:
        large = [name for name in ("responses", "images", "session", "ncsnr", "ijk", "roi/V1") if file[name].fletcher32]
    assert large == ["responses", "images", "session", "ncsnr", "ijk", "roi/V1"]


def test_flipped_bits_are_refused_or_change_nothing(tmp_path: Path) -> None:
    path = packed(tmp_path / "data.h5")
    whole, good = path.read_bytes(), open_recording(path)
    rng = np.random.default_rng(5)
    for place in rng.integers(len(whole), size=40).tolist():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << int(rng.integers(8))]) + whole[place + 1 :])
        try:
            found = open_recording(path)
            seen = [np.asarray(found.stimuli.open(name)) for name in found.stimuli.ids]
        except InputError:
            continue
        np.testing.assert_array_equal(found.responses.values, good.responses.values, f"byte {place}")
        np.testing.assert_array_equal(seen, [np.asarray(good.stimuli.open(name)) for name in good.stimuli.ids])
        assert found.responses.session.tolist() == good.responses.session.tolist(), place
        assert [one.name for one in found.regions] == [one.name for one in good.regions], place


PACKED_FULL = """
import sys
import numpy as np
from app.cli import main
np.save(sys.argv[1] + "/r.npy", np.random.default_rng(0).normal(size=(200, 90)))
np.save(sys.argv[1] + "/i.npy", np.arange(200))
import resource
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
words = ["pack", sys.argv[1] + "/out.h5", "--responses", sys.argv[1] + "/r.npy", "--stimulus", sys.argv[1] + "/i.npy"]
sys.exit(main(words))
"""


@pytest.mark.parametrize("limit", [2_000, 50_000])
def test_pack_on_a_full_disk_is_one_sentence_and_no_crash(limit: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PACKED_FULL, str(tmp_path), str(limit)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 4, result.stderr
    assert "Traceback" not in result.stderr
    assert "out.h5: expected room and rights to write" in result.stderr.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["i.npy", "r.npy"]


def test_a_pack_that_was_killed_leaves_nothing_after_the_next(tmp_path: Path) -> None:
    for number in (2**22 + 1, 2**22 + 2):
        (tmp_path / f".data.h5.{number}.part").write_bytes(b"half")
    (tmp_path / ".data.h5.lock").write_text("process 4194305")
    packed(tmp_path / "data.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["data.h5"]
