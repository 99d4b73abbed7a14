"""HDF5 that MATLAB saved (v7.3): axes in MATLAB's order, chars as text, logicals as masks, and a note that says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from brain.data.inspection import look
from brain.errors import InputError
from brain.files import hdf5
from brain.files.hdf5 import open_hdf5, plain
from brain.readers import open_recording
from brain.readers._bdata.file import open_bdata
from brain.readers.nsd import BrickImages

NOTE = "saved by MATLAB: axes are read in MATLAB's order"
TRIALS, VOXELS = 12, 5
SHAPE = (4, 6, 9, 3)
KINDS = {"f8": "double", "f4": "single", "u1": "uint8", "i4": "int32", "b1": "logical", "u2": "char"}


def as_matlab(file: h5py.File, name: str, values: Any) -> None:
    """One variable as `save -v7.3` writes it: axes reversed, logicals of 8 bits, a char matrix of UTF-16."""
    values = np.asarray(values)
    if values.dtype.kind == "U":
        width = max(map(len, values.ravel().tolist()))
        rows = [list(one.ljust(width).encode("utf-16-le")) for one in np.atleast_1d(values).tolist()]
        values = np.array(rows, np.uint8).view("<u2")
    values = np.atleast_2d(values) if values.ndim != 1 else values[:, None]  # vectors are columns
    kind = KINDS[values.dtype.str[1:]]
    stored = values.astype(np.uint8) if kind == "logical" else values
    if not values.size:
        stored = np.array(values.shape, np.uint64)
    made = file.create_dataset(name, data=stored.T, **({"chunks": True, "compression": "gzip"} if values.size else {}))
    made.attrs["MATLAB_class"] = np.bytes_(kind.encode())
    if kind in ("logical", "char"):
        made.attrs["MATLAB_int_decode"] = np.int32(1 if kind == "logical" else 2)
    if not values.size:
        made.attrs["MATLAB_empty"] = np.uint8(1)


def saved(path: Path, *, block: bool = True, **variables: Any) -> Path:
    with h5py.File(path, "w", userblock_size=512 if block else 0) as file:
        for name, values in variables.items():
            as_matlab(file, name.replace("__", "/"), values)
    if block:
        with path.open("r+b") as raw:
            raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .")
    return path


def variables(**changes: Any) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    return {
        "responses": generator.normal(size=(TRIALS, VOXELS)),
        "stimulus": np.array([("one", "three", "eleven", "ü")[trial % 4] for trial in range(TRIALS)]),
        "images": generator.integers(0, 256, SHAPE, np.uint8),
        "image_ids": np.array(["one", "three", "eleven", "ü"]),
        "roi__V1": np.arange(VOXELS) < 2,
        "session": np.repeat([1.0, 2.0], TRIALS // 2),
        "subject": np.array("S7"),
        "affine": np.array([[2.0, 1, 0, -10], [0, 3, 1, -20], [1, 0, 2, -30], [0, 0, 0, 1]]),
        **changes,
    }


@pytest.mark.parametrize(("name", "block"), [("data.h5", False), ("data.mat", True)])
def test_what_matlab_calls_images_of_height_and_width_comes_as_that(name: str, block: bool, tmp_path: Path) -> None:
    given = variables()
    recording = open_recording(saved(tmp_path / name, block=block, **given))
    responses, stimuli = recording.responses, recording.stimuli
    np.testing.assert_array_equal(responses.values, given["responses"].astype(np.float32))
    assert responses.stimulus.tolist() == given["stimulus"].tolist() and responses.space.subject == "S7"
    assert responses.session.tolist() == [1] * 6 + [2] * 6
    for number, stimulus in enumerate(given["image_ids"].tolist()):
        np.testing.assert_array_equal(np.asarray(stimuli.open(stimulus)), given["images"][number])
    assert recording.region("V1").mask.tolist() == [True, True, False, False, False]
    np.testing.assert_array_equal(responses.space.affine, given["affine"])
    assert NOTE in recording.notes and recording.notes.count(NOTE) == 1


def test_inspect_says_that_matlab_saved_it(tmp_path: Path) -> None:
    found = look(saved(tmp_path / "data.mat", **variables()))
    assert NOTE in found.notes and "(9 x 6 pixels)" in "\n".join(found.lines) and found.problems == ()


def test_the_same_arrays_of_another_program_keep_their_order(tmp_path: Path) -> None:
    given = variables()
    with h5py.File(tmp_path / "data.h5", "w") as file:
        for name in ("responses", "images"):
            file[name] = given[name]
        for name in ("stimulus", "image_ids"):
            file[name] = given[name].astype(object)
    recording = open_recording(tmp_path / "data.h5")
    np.testing.assert_array_equal(np.asarray(recording.stimuli.open("one")), given["images"][0])
    assert NOTE not in recording.notes


def test_numbers_and_slices_ask_for_what_matlab_has_there(tmp_path: Path) -> None:
    values = np.arange(120.0).reshape(4, 5, 6)
    path = saved(tmp_path / "x.mat", values=values)
    with open_hdf5(path, ["values"], streamed=["values"]) as data:
        found = data["values"]
        assert (found.shape, found.ndim, len(found), found.nbytes, found.size) == ((4, 5, 6), 3, 4, 960, 120)
        asked: tuple[Any, ...] = (
            (), 2, slice(1, 3), (slice(None), 3), (1, 2, 3), (slice(1, 3), 0, slice(None, None, 2)),
        )  # fmt: skip
        for key in asked:
            np.testing.assert_array_equal(found[key], values[key])
    with open_hdf5(path, ["values"], as_stored=True) as data:
        np.testing.assert_array_equal(data["values"][()], values.T)


@pytest.mark.parametrize("values", [np.zeros((0, 3)), np.zeros((0, 0), np.bool_), np.zeros((2, 0), np.float32)])
def test_what_is_empty_in_matlab_is_empty_here(values: np.ndarray, tmp_path: Path) -> None:
    with open_hdf5(saved(tmp_path / "x.mat", values=values), ["values"]) as data:
        found = plain(data["values"], "x")
    assert found.shape == values.shape and found.dtype == values.dtype


def cell(file: h5py.File) -> None:
    file.create_dataset("stimulus", (1, TRIALS), h5py.ref_dtype).attrs["MATLAB_class"] = np.bytes_(b"cell")


def string(file: h5py.File) -> None:
    file.create_dataset("stimulus", data=np.zeros((1, 6), np.uint32)).attrs["MATLAB_class"] = np.bytes_(b"string")


@pytest.mark.parametrize("write", [cell, string])
def test_cells_and_strings_of_matlab_are_named(write: Callable[[h5py.File], None], tmp_path: Path) -> None:
    path = saved(tmp_path / "x.mat", **{name: one for name, one in variables().items() if name != "stimulus"})
    with h5py.File(path, "r+") as file:
        write(file)
    says = f"expected numbers, logicals or chars, found MATLAB's {write.__name__}; store a plain array, ids as char"
    with pytest.raises(InputError, match=says):
        open_recording(path)


def test_text_behind_a_block_is_walked_where_it_lies(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w", userblock_size=1024) as file:
        file.create_dataset("text", data=["one", "two"], dtype=h5py.string_dtype())
    with open_hdf5(tmp_path / "x.h5", ["text"]) as data:
        assert plain(data["text"], "x").tolist() == ["one", "two"]


def test_bdata_that_matlab_saved_is_a_matrix_of_rows(tmp_path: Path) -> None:
    values = np.arange(24.0).reshape(6, 4)
    value = np.array([[1, 1, 1, 0], [np.nan, np.nan, np.nan, 1], [1, 0, 0, np.nan]])
    keys = np.array(["VoxelData", "Session", "ROI_V1"])
    whole = {"dataset": values, "metadata__key": keys, "metadata__value": value}
    found = open_bdata(saved(tmp_path / "S1.h5", block=False, **whole))
    assert found.rows == 6 and found.brain.tolist() == [0, 1, 2]
    assert found.column("Session").tolist() == [3, 7, 11, 15, 19, 23]
    np.testing.assert_array_equal(found.responses(np.arange(3)), values[:, :3].astype(np.float32))
    assert found.masks["ROI_V1"].tolist() == [True, False, False]


def test_a_format_with_an_order_of_its_own_keeps_it(tmp_path: Path) -> None:
    brick = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), np.uint8)
    with h5py.File(tmp_path / "nsd_stimuli.hdf5", "w") as file:
        file.create_dataset("imgBrick", data=brick, chunks=(1, 5, 5, 3)).attrs["MATLAB_class"] = np.bytes_(b"uint8")
    np.testing.assert_array_equal(np.asarray(BrickImages(tmp_path / "nsd_stimuli.hdf5")("nsd00001")), brick[1])


def test_a_class_of_variable_length_is_not_looked_for_in_a_heap(tmp_path: Path) -> None:
    """A damaged heap has no end, and MATLAB writes the class in the attribute itself."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.ones((3, 4))
        file["x"].attrs["MATLAB_class"] = "double"
    whole = bytearray(path.read_bytes())
    at = whole.index(b"GCOL") + 16
    whole[at : at + 16] = bytes(16)
    path.write_bytes(whole)
    said = "x: expected MATLAB_class of fixed length, as MATLAB writes it, found"
    with pytest.raises(InputError, match=said), open_hdf5(path, ["x"]):
        pass


def test_rows_of_matlab_that_are_streamed_are_measured_in_matlabs_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5, "STREAM_LIMIT", 400)
    long, wide = np.ones((100, 5)), np.ones((5, 100))
    with h5py.File(tmp_path / "x.mat", "w") as file:
        for name, values in (("long", long), ("wide", wide)):
            file.create_dataset(name, data=values.T).attrs["MATLAB_class"] = np.bytes_(b"double")
    with hdf5.open_hdf5(tmp_path / "x.mat", ["long"], streamed=["long"]) as data:
        assert data["long"][99].tolist() == [1] * 5
    with hdf5.open_hdf5(tmp_path / "x.mat", ["wide"], streamed=["wide"], as_stored=True) as data:
        assert data["wide"].shape == (100, 5)
    for name, as_stored in (("wide", False), ("long", True)):
        opened = hdf5.open_hdf5(tmp_path / "x.mat", [name], streamed=[name], as_stored=as_stored)
        with pytest.raises(InputError, match=rf"x\.mat, {name}: expected rows below 400 bytes, found 800"), opened:
            pass
