"""Names of strangers are one line wherever they enter, and truth values are no numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from brain.errors import InputError
from brain.files.json_files import is_number
from brain.readers import open_recording
from brain.types import Region, Split, Stimuli
from brain.voxels import VoxelSpace
from evaluation.samples.read import read_samples

FORGED = "x\n=cmd"
ONE_LINE = r"expected a name of one line, found 'x\\n=cmd'; rename it"


def fields(**more: Any) -> dict[str, np.ndarray]:
    values = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32)
    names = [f"s{number % 8}" for number in range(24)]
    pictures = np.random.default_rng(1).integers(0, 255, (8, 5, 6, 3), dtype=np.uint8)
    whole = {"responses": values, "stimulus": names, "images": pictures, "image_ids": names[:8], **more}
    return {name: np.asarray(value) for name, value in whole.items()}


@pytest.mark.parametrize("name", ["subject", "unit", "betas"])
def test_a_text_of_two_lines_is_refused(tmp_path: Path, name: str) -> None:
    np.savez(tmp_path / "d.npz", **fields(**{name: FORGED}))
    with pytest.raises(InputError, match=rf"d\.npz, {name}: {ONE_LINE}"):
        open_recording(tmp_path / "d.npz")


@pytest.mark.parametrize("key", [FORGED, f"roi/{FORGED}", f"labels/{FORGED}"])
def test_an_array_whose_name_has_two_lines_is_refused(tmp_path: Path, key: str) -> None:
    more = {"label_ids": [f"s{number}" for number in range(8)]} if key.startswith("labels") else {}
    values: Any = ["a"] * 8 if more else np.arange(6) < 2
    np.savez(tmp_path / "d.npz", **fields(**more, **{key: values}))
    with h5py.File(tmp_path / "d.h5", "w") as file:
        for name, array in fields(**more, **{key: values}).items():
            file[name] = array.astype(h5py.string_dtype()) if array.dtype.kind == "U" else array
    for kind in ("npz", "h5"):
        with pytest.raises(InputError, match=r"expected a name of one line, found '.*x\\n=cmd'"):
            open_recording(tmp_path / f"d.{kind}")


def test_a_group_or_a_label_of_two_lines_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **fields(group=[FORGED if number % 8 < 2 else "b" for number in range(24)]))
    with pytest.raises(InputError, match="expected a name of one line, found 'leave-out-x"):
        open_recording(tmp_path / "d.npz")
    ids = [f"s{number}" for number in range(8)]
    np.savez(tmp_path / "e.npz", **fields(label_ids=ids, **{"labels/kind": [FORGED] * 8}))
    with pytest.raises(InputError, match=f"a label of stimulus s0: {ONE_LINE}"):
        open_recording(tmp_path / "e.npz")


@pytest.mark.parametrize("end", ["\n", "\r", "\x85", "\u2028", "\x0b"])
def test_no_type_takes_a_name_with_an_end_of_a_line(end: str) -> None:
    name = f"x{end}y"
    with pytest.raises(InputError, match="a region: expected a name of one line"):
        Region(name=name, atlas="a", mask=np.ones(2, np.bool_))
    with pytest.raises(InputError, match="a split: expected a name of one line"):
        Split(name=name, train=("a",), test=("b",))
    with pytest.raises(InputError, match="a stimulus' id: expected a name of one line"):
        Stimuli(ids=(name,), modality="image", opener=lambda name: name)
    with pytest.raises(InputError, match="subject: expected a name of one line"):
        VoxelSpace(
            subject=name, name="n", betas="b", unit="z", shape=(1, 1, 1), affine=np.eye(4), ijk=np.zeros((1, 3), int)
        )


def test_a_sample_whose_name_has_two_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "a\nb.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"shown: expected a name of one line, found 'a\\nb\.png'"):
        read_samples(tmp_path, references=tmp_path / "shown")
    (tmp_path / "index.jsonl").write_text('{"row": "decoded", "stimulus": "a\\nb", "file": "a.png"}\n')
    with pytest.raises(InputError, match=r"index\.jsonl line 1: expected a name of one line, found 'a\\nb'"):
        read_samples(tmp_path, references=None)


@pytest.mark.parametrize("control", ["\x1b[2J", "\x07", "\x7f", "\x9b", "\t"])
@pytest.mark.parametrize("name", ["subject", "unit", "betas", "roi", "group", "split", "labels", "label", "stimulus"])
def test_a_name_that_a_terminal_obeys_is_refused(tmp_path: Path, name: str, control: str) -> None:
    forged, ids = f"x{control}y", [f"s{number}" for number in range(8)]
    more: dict[str, Any] = {
        "roi": {f"roi/{forged}": np.arange(6) < 2},
        "group": {"group": [forged if number % 8 < 2 else "b" for number in range(24)]},
        "split": {f"split/{forged}/train": ids[:4], f"split/{forged}/test": ids[4:]},
        "labels": {"label_ids": ids, f"labels/{forged}": ["a"] * 8},
        "label": {"label_ids": ids, "labels/kind": ["a"] * 7 + [forged]},
        "stimulus": {"stimulus": [forged, *ids[1:]] * 3, "image_ids": [forged, *ids[1:]]},
    }.get(name, {name: forged})
    np.savez(tmp_path / "d.npz", **fields(**more))
    said = "a plain name" if name == "stimulus" else "a name that can be read, found '.*x.*y'; rename it"
    with pytest.raises(InputError, match=rf"expected {said}"):
        open_recording(tmp_path / "d.npz")


def test_another_array_may_be_called_anything_that_is_one_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **fields(**{"x\x1b[31mred": np.ones(3)}))
    assert open_recording(tmp_path / "d.npz").responses.space.unit == "native"


def test_truth_values_and_text_are_no_numbers() -> None:
    assert [is_number(one) for one in (1, 0.5, True, False, "1", None, float("nan"))] == [True, True, *[False] * 5]
