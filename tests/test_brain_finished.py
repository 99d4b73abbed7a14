"""What every reader's recording goes through: equal trials, empty captions and labels, a noise ceiling that is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from brain.errors import InputError
from brain.readers import open_recording
from brain.simulated.tiny import tiny_nsd
from brain.types import Recording
from decode.checks import check_captions
from decode.recipes import CATALOGUE as RECIPES
from decode.settings import needed_maps

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


def test_empty_captions_are_none_and_a_space_of_captions_refuses_them(tmp_path: Path) -> None:
    words = ["a cat", "", "  ", "nan", "NaN", "a dog", "n/a", "a hen"]
    recording = read(tmp_path, captions=words, caption_ids=IDS)
    assert sorted(recording.stimuli.captions) == ["pic0", "pic5", "pic7"]
    (note,) = recording.notes
    assert note == "captions: 5 of 8 are empty, or an empty cell's 'nan' or 'n/a', and count as none"
    captioned = next(one for one in RECIPES if "clip-text" in needed_maps(one.settings().fit))
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
