"""Names below groups in `--fields` and .fields.json: what is there is read, in HDF5 as in npz, and a typo is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from brain.errors import InputError
from brain.files import hdf5
from brain.readers import open_recording
from brain.readers.arrays import Arrays
from brain.types import Recording

TRIALS, VOXELS = 24, 6
IDS = [f"pic{number}" for number in range(8)]
NAMES = [IDS[number % 8] for number in range(TRIALS)]


def everything() -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {
        "responses": random.normal(size=(TRIALS, VOXELS)).astype(np.float32),
        "stimulus": NAMES,
        "images": random.integers(0, 255, (8, 5, 6, 3), dtype=np.uint8),
        "image_ids": IDS,
        "session": np.repeat([1, 2, 3], 8),
        "repeat": np.repeat([5, 6, 7], 8),
        "group": ["ab"[number % 8 // 4] for number in range(TRIALS)],
        "ncsnr": np.linspace(0.1, 0.9, VOXELS),
        "ijk": np.stack([np.arange(VOXELS), np.ones(VOXELS, int), np.zeros(VOXELS, int)], 1),
        "shape": [9, 8, 7],
        "affine": np.diag([2.0, 2.0, 2.0, 1.0]),
        "subject": "anna",
        "unit": "psc",
        "betas": "glm",
        "simulated": "a test",
        "captions": ["a cat"],
        "caption_ids": ["pic2"],
        "label_ids": IDS,
        "labels/kind": ["x"] * 4 + ["y"] * 4,
        "roi/V1": np.arange(VOXELS) < 2,
        "split/mine/train": IDS[:5],
        "split/mine/test": IDS[5:],
    }


def write(path: Path, arrays: Mapping[str, Any]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **{name: np.asarray(value) for name, value in arrays.items()})
        return path
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            array = np.asarray(value)
            file[name] = array.astype(h5py.string_dtype()) if array.dtype.kind == "U" else array
    return path


def facts(recording: Recording) -> dict[str, Any]:
    responses, space = recording.responses, recording.responses.space
    return {
        "values": responses.values.tolist(),
        "stimulus": responses.stimulus.tolist(),
        "session": responses.session.tolist(),
        "repeat": responses.repeat.tolist(),
        "space": space.sha256,
        "texts": (space.subject, space.unit, space.betas, recording.simulated),
        "pictures": [np.asarray(recording.stimuli.open(name)).tolist() for name in IDS],
        "captions": recording.stimuli.captions,
        "labels": recording.stimuli.labels,
        "regions": [(region.name, region.mask.tolist()) for region in recording.regions],
        "splits": recording.splits,
        "ncsnr": None if recording.ncsnr is None else recording.ncsnr.tolist(),
        "notes": recording.notes,
    }


@pytest.mark.parametrize("ending", ["npz", "h5"])
@pytest.mark.parametrize("whole", [[name] for name in sorted({key.split("/")[0] for key in everything()})] + [[]])
def test_every_field_may_lie_below_groups(tmp_path: Path, ending: str, whole: list[str]) -> None:
    want = facts(open_recording(write(tmp_path / "d.npz", everything())))
    moved = whole or sorted({key.split("/")[0] for key in everything()})
    arrays = {
        (f"study/deep/{key}" if key.split("/")[0] in moved else key): value for key, value in everything().items()
    }
    fields = {name: f"study/deep/{name}" for name in moved}
    (tmp_path / "below").mkdir()
    path = write(tmp_path / f"below/d.{ending}", arrays)
    assert facts(open_recording(path, fields=fields)) == want
    (path.parent / f"{path.name}.fields.json").write_text(json.dumps(fields))
    assert facts(open_recording(path)) == want


@pytest.mark.parametrize("ending", ["npz", "h5"])
@pytest.mark.parametrize("theirs", ["design/sesion", "design/deep/session", "desing/session", "design/", "session/x"])
def test_a_name_that_is_not_there_is_told_with_the_nearest(tmp_path: Path, ending: str, theirs: str) -> None:
    whole = everything()
    whole["design/session"] = whole.pop("session")
    path = write(tmp_path / f"d.{ending}", whole)
    with pytest.raises(InputError, match=rf"expected the field '{theirs}' for session, found a file with .*design"):
        open_recording(path, fields={"session": theirs})
    (tmp_path / f"d.{ending}.fields.json").write_text(json.dumps({"session": theirs}))
    with pytest.raises(InputError, match=rf"expected the field '{theirs}' for session"):
        Arrays().inspect(path)


@pytest.mark.parametrize("ending", ["npz", "h5"])
def test_what_is_taken_out_of_a_group_is_told_from_what_stays_in_it(tmp_path: Path, ending: str) -> None:
    whole = everything()
    whole["labels/session"], whole["labels/run"] = whole.pop("session"), [1] * 8
    path = write(tmp_path / f"d.{ending}", whole)
    recording = open_recording(path, fields={"session": "labels/session"})
    assert np.unique(recording.responses.session).tolist() == [1, 2, 3]
    assert recording.stimuli.labels["pic7"] == {"kind": "y", "run": "1"}
    whole["design/run"], whole["design/session"] = [1] * TRIALS, whole.pop("labels/session")
    lines = Arrays().inspect(write(path, whole), fields={"session": "design/session"}).lines
    assert any(line.endswith("not used: design/run") for line in lines)


def test_a_step_that_leads_elsewhere_is_refused_before_it_is_followed(tmp_path: Path) -> None:
    path = write(tmp_path / "d.h5", everything())
    with h5py.File(path, "a") as file:
        file["design/session"] = h5py.SoftLink("/session")
        file["other"] = h5py.ExternalLink("x.h5", "/")
        file["loop/a"] = np.ones(TRIALS)
        file["loop/again"] = file["loop"]
    for theirs, said in (("design/session", "a soft link"), ("other/session", "an external link"),
                         ("loop/again/session", "a group that holds itself")):
        with pytest.raises(InputError, match=said):
            open_recording(path, fields={"session": theirs})


def test_a_group_holds_so_many_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        for number in range(6):
            file[f"few/inner/{number}"] = number
        for number in range(9):
            file[f"many/{number}"] = number
            file.create_group(f"groups/{'x/' * number}")
        file.create_group("deep" + "/x" * 80)
        for number in range(20):  # two ways to each next group: a million to the last
            file[f"forks/{number}/a"] = file[f"forks/{number}/b"] = file.create_group(f"forks/{number + 1}")
    monkeypatch.setattr(hdf5, "OBJECTS", 8)
    monkeypatch.setattr(hdf5, "DEPTH", 4)
    with hdf5.open_hdf5(tmp_path / "d.h5", [], optional=["few"]) as data:
        assert sorted(data) == [f"few/inner/{number}" for number in range(6)]
    for name in ("many", "groups", "deep", "forks/0"):
        opened = hdf5.open_hdf5(tmp_path / "d.h5", [], optional=[name])
        with pytest.raises(InputError, match="a plain group, found more than 8 objects, or 4 groups in each"), opened:
            pass
        if name != "forks/0":
            with pytest.raises(InputError, match="found more than 8 objects"):
                hdf5.names_in(tmp_path / "d.h5", [f"{name}/x"])
