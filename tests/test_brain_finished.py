"""What every reader's recording goes through: equal trials, empty captions and labels, a noise ceiling that is none."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from brain.errors import InputError, UsageError
from brain.readers import open_recording
from brain.readers._parts.finished import finished
from brain.simulated.layouts.tiny import tiny_nsd
from brain.types import Recording, Split
from decode.recipes import CATALOGUE as RECIPES
from decode.run.settings import spaces_of
from decode.stages.fit.checks import check_captions

TRIALS, VOXELS = 24, 12
IDS = [f"pic{number}" for number in range(8)]
NAMES = [IDS[number % 8] for number in range(TRIALS)]


def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(TRIALS, VOXELS)).astype(np.float32)


def read(home: Path, **arrays: Any) -> Recording:
    images = np.random.default_rng(1).integers(0, 255, (8, 5, 6, 3), dtype=np.uint8)
    fields = {"responses": values(), "stimulus": NAMES, "images": images, "image_ids": IDS, **arrays}
    np.savez(home / "data.npz", **{key: np.asarray(value) for key, value in fields.items()})
    return open_recording(home / "data.npz")


def test_trials_that_were_joined_twice_are_counted(tmp_path: Path) -> None:
    twice = read(tmp_path, responses=np.tile(values(), (2, 1)), stimulus=NAMES * 2)
    (note,) = twice.notes
    assert note.startswith("24 trials are equal bit for bit to an earlier one of the same stimulus: files joined twice")
    once = values()
    once[16] = once[0]
    assert read(tmp_path, responses=once).notes[0].startswith("1 trial is equal bit for bit to an earlier one of the s")
    assert read(tmp_path).notes == ()
    assert read(tmp_path, responses=np.tile(values()[:, :9], (2, 1)), stimulus=NAMES * 2).notes == ()


def test_trials_that_are_equal_to_one_of_another_stimulus_are_told(tmp_path: Path) -> None:
    filled = values()
    filled[3:8] = filled[3]
    (note,) = read(tmp_path, responses=filled).notes
    assert note.startswith("4 trials are equal bit for bit to an earlier one of another stimulus")


def test_repeats_of_one_number_are_told(tmp_path: Path) -> None:
    (note,) = read(tmp_path, repeat=np.zeros(TRIALS, int)).notes
    assert note.startswith("16 trials are numbered as another repeat of the same stimulus is")
    assert read(tmp_path, repeat=np.repeat([0, 1, 2], 8)).notes == ()


def test_a_part_for_validation_is_noted_and_truth_values_are_labels(tmp_path: Path) -> None:
    halves = {"train": IDS[:5], "test": IDS[5:7], "val": IDS[7:]}
    recording = read(
        tmp_path, **{f"split/mine/{half}": ids for half, ids in halves.items()}, label_ids=IDS,
        **{"labels/animate": np.arange(8) < 3},
    )  # fmt: skip
    assert recording.split("mine").test == ("pic5", "pic6")
    assert "split mine: val is not used, its stimuli neither train nor test" in recording.notes
    assert [recording.stimuli.labels[name]["animate"] for name in IDS] == ["yes"] * 3 + ["no"] * 5
    with pytest.raises(InputError, match="split/mine/training; rename it"):
        read(tmp_path, **{"split/mine/training": IDS[:5], "split/mine/test": IDS[5:]})


def test_empty_captions_are_none_and_a_space_of_captions_refuses_them(tmp_path: Path) -> None:
    words = ["a cat", "", "  ", "nan", "NaN", "a dog", "n/a", "a hen"]
    recording = read(tmp_path, captions=words, caption_ids=IDS)
    assert sorted(recording.stimuli.captions) == ["pic0", "pic5", "pic7"]
    (note,) = recording.notes
    assert note == "captions: 5 of 8 are empty, or an empty cell's 'nan' or 'n/a', and count as none"
    captioned = next(one for one in RECIPES if "clip-text" in spaces_of(one.maps))
    with pytest.raises(InputError, match=r"found none of 5 \(pic1, pic2, pic3, pic4, pic6\)"):
        check_captions(recording, captioned.settings(), IDS)


def test_empty_labels_are_none_and_blanks_of_char_arrays_are_left_out(tmp_path: Path) -> None:
    kinds = ["face   ", "animal ", "       ", "nan    ", "face   ", "house", "house  ", "animal"]
    recording = read(tmp_path, **{"labels/category": kinds, "label_ids": IDS})
    found = {name: own["category"] for name, own in recording.stimuli.labels.items()}
    assert found == {
        "pic0": "face", "pic1": "animal", "pic4": "face", "pic5": "house", "pic6": "house", "pic7": "animal"
    }  # fmt: skip
    assert recording.notes == (
        "labels: 1 of 7 are empty, or an empty cell's 'nan' or 'n/a', and count as none",
        "labels: blanks at the ends of 6 of 8 labels are left out",
    )


def test_empty_captions_beside_nsd_are_none_too(tmp_path: Path) -> None:
    root = tiny_nsd(tmp_path).root
    before = open_recording(root, subject="subj01")
    assert not any("equal bit" in note or "captions" in note for note in before.notes)
    empty = before.responses.stimulus[0]
    (file,) = root.rglob("captions.json")
    table = json.loads(file.read_text())
    table[str(int(empty.removeprefix("nsd")))] = [""]
    file.write_text(json.dumps(table))
    after = open_recording(root, subject="subj01")
    assert set(before.stimuli.captions) - set(after.stimuli.captions) == {empty}
    assert any(note.startswith("captions: 1 of") for note in after.notes)


@pytest.mark.parametrize("strange", [-1.0, np.inf])
def test_a_noise_ceiling_snr_that_is_none_is_refused_with_the_file(tmp_path: Path, strange: float) -> None:
    ncsnr = np.ones(VOXELS)
    ncsnr[4] = strange
    with pytest.raises(InputError, match=r"data\.npz, ncsnr"):
        read(tmp_path, ncsnr=ncsnr)


def test_a_noise_ceiling_in_percent_is_noted(tmp_path: Path) -> None:
    (note,) = read(tmp_path, ncsnr=np.linspace(0, 90, VOXELS)).notes
    assert note.startswith("ncsnr: a median of 45, ") and "sqrt(nc / (100 - nc))" in note
    assert read(tmp_path, ncsnr=np.linspace(0, 3, VOXELS)).notes == ()


# splits that nobody asked for


SESSION = np.repeat([1, 2, 3], 8)


def test_groups_that_show_every_stimulus_are_left_out_and_the_stored_split_is_read(tmp_path: Path) -> None:
    own = {"split/own/train": IDS[:5], "split/own/test": IDS[5:]}
    group = ["a" if number < 8 else "b" if number % 8 < 4 else "c" for number in range(TRIALS)]
    recording = read(tmp_path, group=SESSION, session=SESSION, **own)
    assert [split.name for split in recording.splits] == ["own"] and recording.folds() == recording.folds("own")
    (note,) = recording.notes
    assert note.startswith("3 splits are left out, leave-out-1, leave-out-2, leave-out-3: the group shows every stimul")
    for name in ("leave-out-2", "leave-out"):
        with pytest.raises(InputError, match=r"data\.npz: split leave-out-\d is left out: the group shows every stim"):
            recording.folds(name)
    with pytest.raises(UsageError, match="no split is called 'owm'; did you mean own"):
        recording.folds("owm")
    recording = read(tmp_path, group=group)
    assert [split.name for split in recording.folds("leave-out")] == ["leave-out-b", "leave-out-c"]
    assert recording.notes[0].startswith("split leave-out-a is left out: the group shows every stimulus")


def test_sessions_leave_a_split_out_that_they_empty_and_the_others_are_read(tmp_path: Path) -> None:
    shown = [IDS[number % 4 + 4 * (number >= 12)] for number in range(TRIALS)]
    halves = {"split/a/train": IDS[:2], "split/a/test": IDS[2:4], "split/b/train": IDS[:4], "split/b/test": IDS[4:]}
    session = np.repeat([1, 2], 12)
    whole = read(tmp_path, stimulus=shown, session=session, group=session, **halves)
    assert [split.name for split in whole.splits] == ["a", "b", "leave-out-1", "leave-out-2"]
    first = open_recording(tmp_path / "data.npz", sessions=[1])
    assert [split.name for split in first.splits] == ["a"] and first.splits[0] == whole.splits[0]
    why = r"split b is left out: 4/0 of 4/4 stimuli \(train/test\) are in the trials that are read"
    assert any(re.fullmatch(why, note) for note in first.notes)
    with pytest.raises(InputError, match=why):
        first.folds("b")


def test_data_of_which_no_split_remains_say_so(tmp_path: Path) -> None:
    read(tmp_path, group=SESSION, session=SESSION)
    recording = open_recording(tmp_path / "data.npz", sessions=[1])
    assert recording.splits == () and recording.notes[-1].startswith("no split is left, so that nothing can be tested")
    with pytest.raises(InputError, match=r"no split can be made of them \(leave-out-1: the group shows every stimulus"):
        recording.folds()


def test_two_splits_of_one_name_are_refused_whoever_reads_them(tmp_path: Path) -> None:
    group = ["xy"[number % 8 // 4] for number in range(TRIALS)]
    for name in ("leave-out-x", "leave-out-z"):
        own = {f"split/{name}/train": IDS[:5], f"split/{name}/test": IDS[5:]}
        with pytest.raises(InputError, match=rf"split/{name}: expected a name of its own, .* field `group` do; rename"):
            read(tmp_path, group=group, **own)
        assert [split.name for split in read(tmp_path, **own).splits] == [name]
    recording = read(tmp_path, group=group)
    for more in ({"splits": recording.splits + recording.splits[:1]}, {"left_out": {"leave-out-y": "why"}}):
        with pytest.raises(InputError, match=r"data\.npz, split leave-out-[xy]: expected one split of that name, foun"):
            finished(replace(recording, **more))


@pytest.mark.parametrize("half", ["train", "test"])
def test_a_split_that_loses_either_half_is_left_out_whoever_reads_it(tmp_path: Path, half: str) -> None:
    recording = read(tmp_path)
    halves = {"train": ("pic1",), "test": ("pic2",), half: ("gone", "lost")}
    splits = (Split(name="s", train=halves["train"], test=halves["test"]), *recording.splits)
    found = finished(replace(recording, splits=splits))
    assert found.splits == recording.splits and list(found.left_out) == ["s"]
    kept = "0/1 of 2/1" if half == "train" else "1/0 of 1/2"
    assert found.notes == (f"split s is left out: {kept} stimuli (train/test) are in the trials that are read",)
