"""BData: what is written is read back, the published layouts open, and every fault is one sentence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile

from brain.data.clips import check_groups, groups_of, middle_windows
from brain.data.design import choose
from brain.errors import AfterimageError, InputError, UsageError
from brain.files.waveforms import RATE
from brain.readers import open_recording, reader_of
from brain.readers._parts.auditory import GROUPS, plain_name
from brain.readers.bdata import BData
from brain.simulated.layouts.sound import Clip, Voxels, write_bdata, write_stimuli
from brain.simulated.layouts.tiny_listener import TinyListener, tiny_listener
from brain.splits.cluster import cluster_splits
from brain.splits.leave_out import leave_out
from brain.splits.tenth_by_hash import tenth_by_hash
from brain.types import Recording, Split
from tests.rounding import largest, rounding

TRAIN, TEST = "bdata/S1_train.h5", "bdata/S1_test.h5"


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> TinyListener:
    return tiny_listener(tmp_path_factory.mktemp("listener"), clips=8, tests=3, noise=0.0)


@pytest.fixture
def broken(listener: TinyListener, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    root = tmp_path / "naïve dir"
    shutil.copytree(listener.root, root)
    return root


def read(path: Path, **fields: str) -> Recording:
    return open_recording(path, reader="bdata", fields=fields)


def refused(path: Path, **fields: str) -> str:
    with pytest.raises(AfterimageError) as caught:
        read(path, **fields)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edit(path: Path, change: Callable[[h5py.File], Any]) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


def put(file: h5py.File, name: str, value: Any) -> None:
    del file[name]
    file[name] = value


def place(file: h5py.File, key: str) -> int:
    return [text.decode() for text in file["metadata/key"][:]].index(key)


def column(file: h5py.File, key: str) -> int:
    return int(np.flatnonzero(file["metadata/value"][place(file, key)] == 1)[0])


def test_what_is_written_is_read_back(listener: TinyListener) -> None:
    recording = open_recording(listener.root)
    responses = recording.responses
    kept = np.flatnonzero(np.any(list(listener.voxels.regions.values()), axis=0))
    np.testing.assert_array_equal(responses.space.ijk, listener.voxels.ijk[kept])
    # least squares over the voxels, kept to six decimals, which whole millimetres have
    bound = rounding(sums=40, scale=largest(listener.voxels.affine), dtype=np.float64)
    np.testing.assert_allclose(responses.space.affine, listener.voxels.affine, atol=bound, rtol=0)
    for name, mask in listener.voxels.regions.items():
        np.testing.assert_array_equal(recording.region(name).mask, mask[kept])
    truth = np.stack([listener.signal(name)[kept] for name in responses.stimulus.tolist()])
    np.testing.assert_allclose(responses.values, truth, rtol=rounding(sums=1, scale=1.0))  # kept as float32
    assert responses.space.subject == "S1" and recording.masked == ()
    (note,) = recording.notes  # a listener without noise answers alike
    assert note.startswith("42 trials are equal bit for bit to an earlier one of the same stimulus")
    assert sorted(set(responses.session.tolist())) == [1, 2]


def test_bytes_on_disk_are_kamitanis_layout_and_tell_nothing_of_who_wrote_them(listener: TinyListener) -> None:
    with h5py.File(listener.root / TRAIN) as file:
        assert sorted(file) == ["dataset", "metadata", "vmap"] and sorted(file["metadata"]) == [
            "description", "key", "value",
        ]  # fmt: skip
        keys = [key.decode() for key in file["metadata/key"][:]]
        row = file["metadata/value"][keys.index("ROI_A1")]
        assert np.isnan(row[40:]).all() and set(row[:40].tolist()) == {0.0, 1.0}
        number = file["dataset"][0, column(file, "stimulus_name")]
        assert file[f"vmap/stimulus_name/{float(number)}"][()] == b"clip00_slide0"


def test_test_stimuli_are_the_middle_windows_of_clips_that_train_nothing(listener: TinyListener) -> None:
    recording = open_recording(listener.root)
    default, every = recording.splits
    tests = [clip.clip for clip in listener.clips if clip.split == "test"]
    assert default.name == "test-clips" and default.test == tuple(f"{clip}_slide1" for clip in tests)
    assert every.name == "test-windows" and len(every.test) == 9 and every.train == default.train
    assert not {name.split("_")[0] for name in default.train} & set(tests) and len(default.train) == 15
    alone = open_recording(listener.root, sessions=[2]).responses
    assert np.unique(alone.session).tolist() == [2]
    counts = recording.responses.repeat[recording.responses.stimulus == default.test[0]]
    assert counts.tolist() == [0, 1, 2, 3]


def test_windows_are_cut_out_of_the_clips_file_and_described_by_its_row(listener: TinyListener) -> None:
    stimuli = open_recording(listener.root).stimuli
    whole, rate = soundfile.read(listener.root / "stimuli/clip03.wav", dtype="float32")
    wave, at = stimuli.open("clip03_slide2")
    assert (rate, at, wave.dtype) == (RATE, RATE, np.float32)
    np.testing.assert_array_equal(wave, whole[2 * 20480 : 2 * 20480 + 40960])
    assert stimuli.captions["clip03_slide2"] == ("chords number 3", "low chords")
    assert stimuli.labels["clip03_slide2"] == {"category": "music", "kind": "low"}


def test_groups_are_unions(listener: TinyListener) -> None:
    recording = open_recording(listener.root)
    for group, members in GROUPS.items():
        parts = [recording.region(name).mask for name in members if name in listener.voxels.regions]
        np.testing.assert_array_equal(recording.region(group).mask, np.any(parts, axis=0))
    early = read(listener.root, voxels="early").responses
    np.testing.assert_array_equal(early.values, recording.responses.values[:, recording.region("early").mask])
    assert read(listener.root, voxels="all").responses.values.shape[1] == 40


def park(folder: Path, *, sessions: tuple[int, int] = (1, 1)) -> Path:
    """Files as Park et al. name them: sample_name, hemispheres apart, a task of its own beside."""
    ijk = np.stack(np.unravel_index(np.arange(6), (3, 2, 1)), axis=1)
    masks = {f"hcp180_r_{side}h.{side.upper()}_A1_ROI": np.arange(6) == number for number, side in enumerate("lr")}
    voxels = Voxels(ijk=ijk, affine=np.diag([2.0, 2, 2, 1]), regions=masks)
    for half, clips, session in (
        ("Train", "abcde", sessions[0]),
        ("Test", "vw", sessions[1]),
        ("AttentionTest", "vw", 1),
    ):
        names = [f"{clip}_slide{number}" for clip in clips for number in range(3)] * 2
        values = np.random.default_rng(0).normal(size=(len(names), 6))
        path = folder / f"S1_VGGishish{half}_volume_native.h5"
        ones = np.full(len(names), session)
        write_bdata(path, values, stimulus=names, voxels=voxels, columns={"Session": ones, "Run": np.ones(len(names))})

        def rename(file: h5py.File) -> None:
            keys = [key.decode().replace("stimulus_name", "sample_name") for key in file["metadata/key"][:]]
            put(file, "metadata/key", [key.replace("ROI_hcp", "hcp") for key in keys])
            file.move("vmap/stimulus_name", "vmap/sample_name")

        edit(path, rename)
    return folder


def test_the_published_files_open_by_folder_or_by_either_file(tmp_path: Path) -> None:
    folder = park(tmp_path)
    recording = read(folder)
    by_file = read(folder / "S1_VGGishishTest_volume_native.h5")
    assert by_file.responses.values.tobytes() == recording.responses.values.tobytes()
    assert BData().subjects(folder) == ("S1",) and recording.responses.values.shape == (42, 2)
    assert recording.splits[0].test == ("v_slide1", "w_slide1")
    assert recording.region("A1").mask.sum() == 2 and recording.region("auditory").mask.sum() == 2
    assert recording.stimuli.modality == "sound"
    with pytest.raises(InputError, match="expected the picture or sound of a_slide0, found none"):
        recording.stimuli.open("a_slide0")


def test_tests_in_sessions_of_their_own_are_standardised_by_all_training_trials(tmp_path: Path) -> None:
    recording = read(park(tmp_path))
    assert "counts its sessions anew" in recording.notes[0]
    assert set(recording.responses.session.tolist()) == {1, 2}
    found = choose(recording, recording.folds())
    assert found.standardise == "all" and "session 2 has no training stimulus to standardise it by" in found.why
    with pytest.raises(UsageError, match="take --standardise all"):
        choose(recording, recording.folds(), asked="session")


def test_image_sets_tell_training_from_test_by_datatype_and_name_imagenet_images(tmp_path: Path) -> None:
    voxels = Voxels(ijk=np.eye(3, dtype=int), affine=np.eye(4), regions={"V1": np.array([True, True, False])})
    kinds = np.array([1, 1, 1, 1, 2, 2, 3])
    numbers = np.array([1518878.005958, 1518878.005959, 7, 8, 9, 9, 9])
    path = tmp_path / "Subject1.h5"
    values = np.random.default_rng(0).normal(size=(7, 3))
    write_bdata(path, values, stimulus=["x"] * 7, voxels=voxels, columns={"DataType": kinds, "stimulus_id": numbers})

    def older(file: h5py.File) -> None:
        whole = file["dataset"][:].astype(np.float64)
        whole[:, column(file, "stimulus_id")] = numbers
        put(file, "metadata/key", [key.replace(b"stimulus_name", b"Block") for key in file["metadata/key"][:]])
        del file["vmap"]
        put(file, "dataset", whole)
        file.move("dataset", "dataSet")
        file.move("metadata", "metaData")

    edit(path, older)
    recording = read(path)
    assert recording.splits[0].name == "test-images" and recording.splits[0].test == ("9",)
    assert recording.splits[0].train == ("7", "8", "n01518878_5958", "n01518878_5959")
    assert recording.responses.values.shape == (6, 2) and "imagery" in " ".join(recording.notes)
    assert recording.stimuli.modality == "image" and recording.responses.space.subject == "Subject1"


def test_voxels_without_places_are_numbered_and_coordinates_on_a_grid_give_them(broken: Path) -> None:
    def without(*names: str) -> Callable[[h5py.File], None]:
        def change(file: h5py.File) -> None:
            keys = [key.decode() for key in file["metadata/key"][:]]
            put(file, "metadata/key", [f"other_{key}" if key in names else key for key in keys])

        return change

    truth = read(broken).responses.space
    for name in (TRAIN, TEST):
        edit(broken / name, without("voxel_i", "voxel_j", "voxel_k"))
    grid = read(broken).responses.space
    places = grid.ijk @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    expected = truth.ijk @ truth.affine[:3, :3].T + truth.affine[:3, 3]
    # three products and an offset
    bound = rounding(sums=3 + 1, scale=largest(truth.affine), dtype=np.float64)
    np.testing.assert_allclose(places, expected, atol=bound, rtol=0)
    for name in (TRAIN, TEST):
        edit(broken / name, without("voxel_x"))
    lone = read(broken)
    assert "does not say where its voxels are" in lone.notes[0] and len(lone.responses.space) == 35


def test_plain_names() -> None:
    keys = {"hcp180_r_lh.L_A1_ROI": "A1", "ROI_V1": "V1", "ROI_STSdp": "STSdp", "R_TA2_ROI": "TA2", "lh.FFA": "FFA"}
    assert {key: plain_name(key) for key in keys} == keys


def test_each_fault_is_one_sentence(broken: Path) -> None:
    assert "no region is called 'A11'" in refused(broken, voxels="A11")
    assert "did you mean voxels" in refused(broken, voxel="A1")
    assert "no column is called 'name'" in refused(broken, stimulus="name")
    assert "such as window_s=4.5" in refused(broken, window_s="long")
    assert "no such folder" in refused(broken, stimuli="nowhere")
    (broken / "stimuli/clip03.wav").unlink()
    assert "none for 1 of 8 clips (first: clip03)" in refused(broken)
    partial = read(broken, partial="yes")
    assert partial.notes[:1] == ("7 of 8 clips have a sound file; the trials of the others are left out",)
    assert "clip03_slide0" not in partial.stimuli.ids
    shutil.copy(broken / "stimuli/clip02.wav", broken / "stimuli/clip02.flac")
    assert "expected one sound called 'clip02', found two" in refused(broken)


def test_a_damaged_table_of_stimuli_is_named(broken: Path) -> None:
    table = broken / "stimuli.tsv"
    rows = table.read_text().splitlines()
    table.write_text("\n".join([*rows, rows[1]]))
    assert "expected each clip once, found 'clip00' twice" in refused(broken)
    table.write_text("\n".join(rows).replace("clip\t", "name\t"))
    assert "expected the column 'clip'" in refused(broken)
    table.write_text("\n".join(rows).replace("\ttest\t", "\tdev\t"))
    assert "expected train or test, found 'dev'" in refused(broken)


def test_damaged_files_are_named(broken: Path) -> None:
    def halve(file: h5py.File) -> None:
        put(file, "metadata/value", file["metadata/value"][:, :-1])

    def unlabel(file: h5py.File) -> None:
        del file["vmap/stimulus_name/1.0"]

    def nameless(file: h5py.File) -> None:
        put(file, "metadata/key", [key.replace(b"VoxelData", b"Volume") for key in file["metadata/key"][:]])

    for change, said in (
        (unlabel, "expected a text for every number, found none for 1"),
        (nameless, "expected columns that VoxelData marks"),
        (halve, "expected a value for every key and column"),
    ):
        whole = (broken / TRAIN).read_bytes()
        edit(broken / TRAIN, change)
        assert said in refused(broken)
        (broken / TRAIN).write_bytes(whole)
    (broken / TRAIN).write_bytes(whole[: len(whole) // 2])
    assert "a file cut short" in refused(broken / TRAIN)
    link = broken / "bdata/S2_train.h5"
    with h5py.File(link, "w") as file:
        file["dataset"] = h5py.ExternalLink(str(broken / TEST), "dataset")
        file["metadata/key"], file["metadata/value"] = [b"VoxelData"], np.ones((1, 41))
    assert "an external link" in refused(link)


def test_nan_voxels_are_left_out_and_rest_is_no_stimulus(broken: Path) -> None:
    def spoil(file: h5py.File) -> None:
        file["dataset"][3, 5] = np.nan
        file["dataset"][0, column(file, "stimulus_name")] = np.nan

    edit(broken / TRAIN, spoil)
    recording = read(broken)
    assert recording.responses.values.shape[1] == 34 and "NaN" in recording.masked[0]
    assert recording.region("A1").mask.sum() == 9 and "1 rows without a stimulus" in recording.notes[0]


def test_a_clip_of_training_and_test_and_other_voxels_are_refused(broken: Path) -> None:
    def same(file: h5py.File) -> None:
        number = int(file["dataset"][0, column(file, "stimulus_name")])
        del file[f"vmap/stimulus_name/{float(number)}"]
        file[f"vmap/stimulus_name/{float(number)}"] = np.bytes_(b"clip00_slide1")

    def moved(file: h5py.File) -> None:
        value = file["metadata/value"][:]
        value[place(file, "voxel_i"), 0] += 1
        put(file, "metadata/value", value)

    whole = (broken / TEST).read_bytes()
    edit(broken / TEST, same)
    assert "'clip00' in both" in refused(broken)
    (broken / TEST).write_bytes(whole)
    edit(broken / TEST, moved)
    assert "expected the 40 voxels of S1_train.h5" in refused(broken)


def test_misused_sounds(broken: Path) -> None:
    stimuli = read(broken).stimuli
    path = broken / "stimuli/clip01.wav"
    wave, _ = soundfile.read(path)
    time = np.arange(round(5.12 * 44100)) / 44100
    tone = np.sin(2 * np.pi * 440 * time)
    soundfile.write(path, np.stack([0.4 * tone, 0.2 * tone], axis=1), 44100, subtype="PCM_16")
    heard, rate = stimuli.open("clip01_slide1")
    expected = 0.3 * np.sin(2 * np.pi * 440 * (np.arange(40960) / RATE + 1.28))
    assert rate == RATE and heard.shape == (40960,)
    np.testing.assert_allclose(heard[400:-400], expected[400:-400], atol=2e-3)
    for samples, said in (
        (np.zeros(0), "found 0 samples"),
        (np.zeros(1), "found 1 samples"),
        (np.full(81920, np.nan), "finite samples"),
    ):
        soundfile.write(path, samples, RATE, subtype="FLOAT")
        with pytest.raises(InputError, match=said) as caught:
            stimuli.open("clip01_slide1")
        assert "clip01.wav" in str(caught.value) and "\n" not in str(caught.value)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="clip01.wav"):
        stimuli.open("clip01_slide0")


def test_an_hour_of_sound_is_not_taken_for_a_window(broken: Path) -> None:
    path = broken / "stimuli/clip01.wav"
    length = 3600 * RATE * 2
    with open(path, "wb") as file:  # sparse: the samples are a hole of zeros
        head = b"RIFF" + (36 + length).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
        form = b"".join(n.to_bytes(s, "little") for n, s in ((1, 2), (1, 2), (RATE, 4), (2 * RATE, 4), (2, 2), (16, 2)))
        file.write(head + form + b"data" + length.to_bytes(4, "little"))
        file.truncate(44 + length)
    with pytest.raises(AfterimageError, match="clip01.wav: expected a clip of .* found 57600000 samples"):
        read(broken).stimuli.open("clip01_slide1")
    wave, _ = read(broken, window_s="2.56", hop_s="1.28").stimuli.open("clip01_slide1")
    assert wave.shape == (40960,) and not wave.any()


def test_splits_by_rule_keep_clips_whole() -> None:
    ids = [f"clip{clip:02d}_slide{number}" for clip in range(30) for number in (0, 1, 2, 10)]
    (one, two), _ = leave_out({"one": ids[:2], "two": ids[4:]})
    for split in (tenth_by_hash(ids), one, two):
        check_groups(split)
    assert len(tenth_by_hash(ids).test) == 12
    (first, *_), _ = leave_out({"one": ids[:2], "two": ids[2:6], "rest": ids[8:]})
    assert first.train == tuple(sorted([*ids[4:6], *ids[8:]]))
    features = np.random.default_rng(0).normal(size=(len(ids), 3))
    for split in cluster_splits(ids, features, k=3, seed=0):
        check_groups(split)
    assert middle_windows(ids[:8]) == ("clip00_slide2", "clip01_slide2")
    assert groups_of(["a_slide0", "a_slide12", "nsd00013"]).tolist() == ["a", "a", "nsd00013"]
    with pytest.raises(InputError, match="1 clips have windows in training and test alike"):
        check_groups(Split(name="bad", train=("a_slide0", "b"), test=("a_slide1",)))


def test_pictures_split_as_they_did() -> None:
    ids = [f"nsd{number:05d}" for number in range(60)]
    assert tenth_by_hash(ids).sha256 == "8b345614438f43a7a1edea0d333dabc87f8879725fbf1db279eea64dc8646cc5"


def test_writers_refuse_what_cannot_be_read_back(tmp_path: Path) -> None:
    voxels = Voxels(ijk=np.eye(3, dtype=int), affine=np.eye(4), regions={})
    with pytest.raises(InputError, match="values \\(2, 4\\)"):
        write_bdata(tmp_path / "a.h5", np.zeros((2, 4)), stimulus=["a", "b"], voxels=voxels, columns={})
    with pytest.raises(InputError, match="follow ijk"):
        Voxels(ijk=np.eye(3, dtype=int), affine=np.eye(4), regions={"A1": np.ones(2, bool)})
    for clips, said in (
        ([Clip(clip="a", split="train"), Clip(clip="a", split="test")], "each of its own name"),
        ([Clip(clip="a", split="dev")], "train or test"),
        ([Clip(clip="a", split="train", captions=("two\nlines",))], "no tabs or line breaks"),
    ):
        with pytest.raises(InputError, match=said):
            write_stimuli(tmp_path, clips, wave=lambda clip: np.ones(40960, np.float32))
    assert not list(tmp_path.iterdir())


def test_several_subjects_ask_for_one(broken: Path) -> None:
    for side in ("train", "test"):
        shutil.copy(broken / f"bdata/S1_{side}.h5", broken / f"bdata/S2_{side}.h5")
    with pytest.raises(UsageError, match="choose one of S1, S2"):
        read(broken)
    assert open_recording(broken, subject="S2", reader="bdata").responses.space.subject == "S2"
    lines = BData().inspect(broken).lines
    assert any(line.startswith("S2: S2_train.h5, S2_test.h5") for line in lines)


def test_a_single_bdata_file_is_no_file_of_the_own_data_format(tmp_path: Path) -> None:
    root = tiny_listener(tmp_path / "listener").root
    assert reader_of(root / "bdata" / "S1_train.h5").name == "bdata"
