"""BData as it is published and as it is damaged: which files belong together, ids that stay different, own fields."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from brain.errors import AfterimageError, InputError, UsageError
from brain.readers import open_recording, reader_of
from brain.readers._bdata.file import families
from brain.readers.bdata import BData
from brain.types import Recording

VOXELS = 6
TRAINING = "sub-01_perceptionNaturalImageTraining_original_VC.h5"
TEST = "sub-01_perceptionNaturalImageTest_original_VC.h5"
OTHERS = ("sub-01_imagery_original_VC.h5", "sub-01_perceptionLetterImage_original_VC.h5")


def write(
    path: Path,
    labels: Any,
    *,
    key: str = "image_index",
    texts: Mapping[Any, Any] | None = None,
    dtype: Any = np.float64,
    regions: Mapping[str, Any] | None = None,
    columns: Mapping[str, Any] | None = None,
) -> Path:
    """A BData file of six voxels whose rows showed `labels`; `columns` and `texts` (of the vmap) beside."""
    table: dict[str, Any] = {"Session": np.ones(len(labels)), **(columns or {}), key: np.asarray(labels)}
    values = np.random.default_rng(0).normal(size=(len(labels), VOXELS))
    width = VOXELS + len(table)
    rows: dict[str, Any] = {"VoxelData": np.where(np.arange(width) < VOXELS, 1.0, np.nan)}
    for name, mask in (regions or {"ROI_V1": np.arange(VOXELS) < 4}).items():
        rows[name] = np.concatenate([np.asarray(mask, float), np.full(len(table), np.nan)])
    for number, name in enumerate(table, start=VOXELS):
        rows[name] = np.where(np.arange(width) == number, 1.0, np.nan)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["dataset"] = np.concatenate([values, np.stack(list(table.values()), axis=1)], axis=1).astype(dtype)
        file["metadata/key"] = np.array(list(rows), "S")
        file["metadata/value"] = np.stack(list(rows.values()))
        for number, text in (texts or {}).items():
            file[f"vmap/{key}/{number}"] = text
    return path


def shen(folder: Path, *, test_from: int = 13) -> Path:
    """One subject as Shen et al. (2019) publish theirs: numbers without texts, other tasks beside the pair."""
    write(folder / TRAINING, np.tile(np.arange(1, 13), 2))
    write(folder / TEST, np.tile(np.arange(test_from, test_from + 4), 3))
    for name in OTHERS:
        write(folder / name, np.tile(np.arange(1, 6), 2))
    return folder


def read(path: Path, subject: str = "", **fields: str) -> Recording:
    return open_recording(path, subject=subject, reader="bdata", fields=fields)


def refused(path: Path, subject: str = "", **fields: str) -> str:
    with pytest.raises(AfterimageError) as caught:
        read(path, subject, **fields)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_training_and_test_belong_together_and_other_tasks_are_not_the_subject(tmp_path: Path) -> None:
    folder = shen(tmp_path)
    recording = read(folder, "sub-01")
    assert len(recording.responses.values) == 24 + 12 and recording.source == str(folder)
    assert (len(recording.split().train), len(recording.split().test)) == (12, 4)
    note = next(note for note in recording.notes if note.startswith("not read"))
    assert all(name in note for name in OTHERS)
    by_file = read(folder / TEST)
    assert by_file.responses.values.tobytes() == recording.responses.values.tobytes()
    assert BData().subjects(folder) == ("sub-01",)
    imagery = read(folder, "sub-01_imagery_original_VC")
    assert imagery.responses.space.subject == "sub-01_imagery_original_VC" and len(imagery.responses.values) == 10
    assert read(folder / OTHERS[0]).responses.space.subject == "sub-01_imagery_original_VC"
    for name in (TRAINING, TEST):
        (folder / name).unlink()
    assert "no subject is called 'sub-01'; choose one of sub-01_imagery" in refused(folder, "sub-01")


@pytest.mark.parametrize(
    ("training", "test", "subject"),
    [
        ("sub-01_ImageNetTraining_fmriprep_native.h5", "sub-01_ImageNetTest_fmriprep_native.h5", "sub-01"),
        ("S1_train.h5", "S1_testing.h5", "S1"),
        ("trainset_S1_TRAIN.h5", "trainset_S1_TEST.h5", "trainset"),
        ("train_S1.hdf5", "test_S1.hdf5", "S1"),
    ],
)
def test_names_pair_by_their_side_alone(tmp_path: Path, training: str, test: str, subject: str) -> None:
    write(tmp_path / training, [1, 2, 3, 4])
    write(tmp_path / test, [5, 6])
    sided = {name: family.sided for name, family in families(tmp_path).items()}
    assert sided == {subject: ((tmp_path / training, "train"), (tmp_path / test, "test"))}


def test_several_pairs_of_one_subject_have_names_of_their_own(tmp_path: Path) -> None:
    for space in ("volume", "surface"):
        write(tmp_path / f"S1_Train_{space}.h5", [1, 2, 3])
        write(tmp_path / f"S1_Test_{space}.h5", [4, 5])
    assert BData().subjects(tmp_path) == ("S1__surface", "S1__volume")
    assert "the data hold several subjects" in refused(tmp_path)


def test_files_that_cannot_be_told_apart_are_listed(tmp_path: Path) -> None:
    shen(tmp_path)
    write(tmp_path / "bdata" / TEST, [1, 2])
    write(tmp_path / "bdata" / TRAINING, [1, 2])
    said = refused(tmp_path, "sub-01")
    assert "expected one training and one test file of a name" in said and said.count(TEST) == 2
    write(tmp_path / "two" / "S1_train.h5", [1, 2])
    write(tmp_path / "two" / "S1_training.h5", [1, 2])
    write(tmp_path / "two" / "S1_test.h5", [3, 4])
    said = refused(tmp_path / "two")
    assert all(name in said for name in ("S1_train.h5", "S1_training.h5", "S1_test.h5"))
    assert reader_of(tmp_path / "two").name == "bdata"
    write(tmp_path / "lone" / "S1.h5", [1, 2])
    write(tmp_path / "lone" / "S1.hdf5", [1, 2])
    assert "expected one set of files called 'S1'" in refused(tmp_path / "lone")


def test_a_side_that_is_absent_is_said_and_one_that_was_not_fetched_is_refused(tmp_path: Path) -> None:
    folder = shen(tmp_path)
    (folder / TEST).unlink()
    assert any("has no test file beside it" in note for note in read(folder / TRAINING).notes)
    with h5py.File(folder / TEST, "w") as file:
        file["features"] = np.zeros(3)
    assert f"{TEST}: expected BData (dataset and metadata), found a file with features" in refused(folder, "sub-01")
    (folder / TEST).write_bytes(b"\x89HDF\r\n\x1a\n")
    assert f"{TEST}: expected" in refused(folder, "sub-01")
    (folder / TEST).unlink()
    (folder / TEST).symlink_to("../.git/annex/objects/gone")
    said = refused(folder, "sub-01")
    assert f"{TEST}: expected an HDF5 file, found a link to a file that has not been fetched" in said


def test_numbers_of_two_files_are_the_same_images_unless_one_says_that_they_count_anew(tmp_path: Path) -> None:
    folder = shen(tmp_path, test_from=1)
    said = refused(folder, "sub-01")
    assert "found '1' in both and 3 more" in said and "--fields anew=yes" in said
    recording = read(folder, "sub-01", anew="yes")
    assert recording.split().test == ("test1", "test2", "test3", "test4") and len(recording.split().train) == 12
    assert "expected yes or no, found 'true'" in refused(folder, "sub-01", anew="true")
    assert "expected yes or no" in refused(folder, "sub-01", partial="1")
    lines = "\n".join(BData().inspect(folder).lines)
    assert "found '1' in both" in lines and "\nsub-01_imagery" in lines
    texts = {float(number): f"a{number}" for number in range(1, 5)}
    write(tmp_path / "named" / "S1.h5", [1, 2, 3, 4], texts=texts)
    assert "names its stimuli by texts" in refused(tmp_path / "named", anew="yes")


def test_images_of_one_synset_stay_different(tmp_path: Path) -> None:
    numbers = [446980.012345, 446980.012346, 446980.0, 1518878.005958, 3.1, 3.25, 7, 2**40]
    ids = read(write(tmp_path / "S1.h5", numbers, key="stimulus_id")).stimuli.ids
    assert set(ids) == {
        "n00446980_12345", "n00446980_12346", "446980", "n01518878_5958", "3.1", "3.25", "7", str(2**40),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "dtype", "said"),
    [
        ([446980.012345, 446980.112345, 3], np.float32, "446980.125 in float32, which cannot be told"),
        ([2**24 + 2, 3, 4], np.float32, "16777218 in float32"),
        ([2.0**53, 3, 4], np.float64, "9007199254740992 in float64"),
        ([3.1234567890123, 3.1234567890124, 4], np.float64, "which all read '3.12345678901'"),
        ([1518878.00595801, 1518878.00595802, 4], np.float64, "which all read 'n01518878_5958'"),
    ],
)
def test_numbers_that_could_be_two_stimuli_are_refused(
    tmp_path: Path, numbers: list[float], dtype: Any, said: str
) -> None:
    assert said in refused(write(tmp_path / "S1.h5", numbers, key="stimulus_id", dtype=dtype))


def test_whole_numbers_keep_all_their_digits_and_narrow_ones_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "S1.h5", [1, 2, 3])
    big = [2023041512345678901, 2023041512345678902, 3]
    with h5py.File(path, "r+") as file:
        whole = (file["dataset"][:] * 100).astype(np.int64)
        whole[:, -2:] = np.stack([[1, 1, 1], big], axis=1)
        del file["dataset"]
        file["dataset"] = whole
    assert set(read(path).stimuli.ids) == {str(one) for one in big}
    narrow = read(write(tmp_path / "S2.h5", [581929, 581930, 4], dtype=np.float32))
    assert set(narrow.stimuli.ids) == {"581929", "581930", "4"}
    assert any("581930 in float32: decimals" in note for note in narrow.notes)


def test_texts_that_are_not_one_to_one_are_said_or_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "S1.h5", [1, 2, 3, 1], texts={"1.0": "cat", "2.0": "cat", "3.0": "dog"})
    recording = read(path)
    assert recording.responses.stimulus.tolist() == ["cat", "cat", "dog", "cat"]
    assert any("1 texts of vmap/image_index stand for several numbers (first: 'cat')" in one for one in recording.notes)
    write(path, [1, 2], texts={"1.0": "cat", "1": "dog", "2.0": "cow"})
    assert "expected one text for a number, found" in refused(path)
    write(tmp_path / "both" / "S2_train.h5", [1, 2], texts={"1.0": "cat", "2.0": "dog"})
    write(tmp_path / "both" / "S2_test.h5", [3, 4])
    assert "expected image_index with texts in vmap, as S2_train.h5 has it" in refused(tmp_path / "both")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("vmap/image_index/1.0", h5py.Empty("S3"), "expected an array, found an entry without values"),
        ("vmap/image_index/1.0", np.array([b"a", b"b"]), "expected one text, found shape (2,)"),
        ("vmap/image_index/1.0", np.zeros((0,), "S3"), "expected one text, found shape (0,)"),
        ("vmap/image_index/1.0", 5, "expected one text, found int64"),
        ("vmap/image_index/1.0", np.bytes_("café".encode("latin-1")), "expected text in UTF-8"),
        ("metadata/key", h5py.Empty("S3"), "expected an array"),
        ("metadata/key", np.bytes_(b"VoxelData"), "expected a value for every key and column"),
        ("metadata/key", np.array(["caf\xe9".encode("latin-1")] * 4), "expected text in UTF-8"),
        ("metadata/key", np.array([b"VoxelData", b"ROI_V1", b"Session", b"Session"]), "found 'Session' twice"),
        ("metadata/value", 1.0, "expected a value for every key and column"),
        ("metadata/value", h5py.Empty("f8"), "expected an array"),
        ("metadata/value", np.full((4, 8), b"x"), "expected a matrix of numbers"),
        ("dataset", 1.0, "expected a value for every key and column"),
        ("dataset", np.ones(8), "expected a value for every key and column"),
        ("dataset", h5py.Empty("f8"), "expected an array"),
        ("dataset", np.full((4, 8), b"x"), "expected a matrix of numbers"),
        ("dataset", np.zeros((0, 8)), "expected numbers (row, column), found float64 (0, 8)"),
        ("dataset", np.ones((4, 8), np.bool_), "expected numbers (row, column), found bool (4, 8)"),
    ],
)
def test_fields_of_another_form_are_named(tmp_path: Path, name: str, value: Any, said: str) -> None:
    path = write(tmp_path / "S1.h5", [1, 2, 1, 2], texts={"1.0": "cat", "2.0": "dog"})
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = value
    message = refused(path)
    assert said in message and str(path) in message


def test_a_side_without_rows_is_no_side(tmp_path: Path) -> None:
    folder = shen(tmp_path)
    with h5py.File(folder / TEST, "r+") as file:
        values = file["dataset"][:0]
        del file["dataset"]
        file["dataset"] = values
    assert f"{TEST}, dataset: expected numbers (row, column), found float64 (0, " in refused(folder)


def test_one_text_in_an_array_is_that_text(tmp_path: Path) -> None:
    texts = {"1.0": np.array([b"cat"]), "2.0": np.array(["dög"], h5py.string_dtype())}
    assert read(write(tmp_path / "S1.h5", [1, 2, 1, 2], texts=texts)).stimuli.ids == ("cat", "dög")


def test_regions_of_labels_are_said_and_files_of_other_regions_refused(tmp_path: Path) -> None:
    labels = {"ROI_V1": np.arange(VOXELS) < 4, "ROI_atlas": np.arange(VOXELS)}
    notes = read(write(tmp_path / "S1.h5", [1, 2, 3], regions=labels)).notes
    assert "not regions, for they hold other numbers than 1 and 0: ROI_atlas" in notes
    write(tmp_path / "S2_train.h5", [1, 2])
    write(tmp_path / "S2_test.h5", [3, 4], regions={"ROI_V1": np.arange(VOXELS) > 1})
    assert "give two files of one subject and space" in refused(tmp_path, "S2")


def test_companions_of_a_mac_are_neither_files_nor_pictures(tmp_path: Path) -> None:
    shen(tmp_path)
    (tmp_path / "images").mkdir()
    for number in range(1, 17):
        Image.new("RGB", (2, 2), (number, 0, 0)).save(tmp_path / f"images/{number}.png")
    for path in [*tmp_path.glob("*.h5"), *tmp_path.glob("images/*.png")]:
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07" + bytes(78))
    recording = read(tmp_path, "sub-01")
    assert np.asarray(recording.stimuli.open("13")).tolist()[0][0] == [13, 0, 0]
    assert BData().subjects(tmp_path) == ("sub-01",)
    only = tmp_path / "only" / "images"
    only.mkdir(parents=True)
    write(only.parent / "S1.h5", [1, 2, 3])
    (only / "._1.png").write_bytes(bytes(82))
    with pytest.raises(InputError, match="expected the picture or sound of 1, found none"):
        read(only.parent).stimuli.open("1")


def test_rows_of_images_that_are_not_at_hand_are_refused_or_left_out(tmp_path: Path) -> None:
    shen(tmp_path)
    (tmp_path / "images").mkdir()
    for number in [*range(1, 11), 13, 15, 16]:
        Image.new("RGB", (2, 2), (number, 0, 0)).save(tmp_path / f"images/{number}.png")
    said = refused(tmp_path, "sub-01")
    assert "none for 3: '11', '12', '14'" in said and said.endswith("without their trials by --fields partial=yes")
    recording = read(tmp_path, "sub-01", partial="yes")
    assert len(recording.responses.values) == 20 + 9 and recording.split().test == ("13", "15", "16")
    assert any(note.startswith("13 of 16 stimuli have a picture or sound; the tr") for note in recording.notes)


def test_linked_files_find_what_lies_beside_the_link(tmp_path: Path) -> None:
    store = shen(tmp_path / "store" / "bdata")
    (tmp_path / "project" / "bdata").mkdir(parents=True)
    for path in store.glob("*.h5"):
        (tmp_path / "project" / "bdata" / path.name).symlink_to(path)
    Image.new("RGB", (2, 2)).save(tmp_path / "one.png")
    pictures = tmp_path / "project" / "images"
    pictures.mkdir()
    for number in range(1, 17):
        (pictures / f"{number}.png").symlink_to(tmp_path / "one.png")
    assert read(tmp_path / "project" / "bdata", "sub-01").stimuli.open("16").size == (2, 2)
    folder = tmp_path / "linked"
    folder.mkdir()
    (folder / "bdata").symlink_to(store)
    (folder / "images").symlink_to(pictures)
    assert read(folder / "bdata", "sub-01").stimuli.open("16").size == (2, 2)
    (folder / "images").unlink()
    (folder / "images").symlink_to(tmp_path / "nowhere")
    assert "images: expected a folder of stimuli, found a link to a file" in refused(folder, "sub-01")


def test_an_unknown_subject_hears_all_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no subject is called 'S9'; choose one of sub-01, sub-01_imagery"):
        read(shen(tmp_path), "S9")
