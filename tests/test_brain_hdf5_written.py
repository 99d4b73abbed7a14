"""HDF5 whose writer stopped: values that nobody wrote are never read as zeros, and zeros that somebody wrote are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from brain.errors import InputError
from brain.files.hdf5 import open_hdf5
from brain.readers import open_recording

SHAPE = (20, 4)


def read(path: Path, *, streamed: bool) -> np.ndarray:
    with open_hdf5(path, ["x"], streamed=["x"] if streamed else []) as data:
        return np.asarray(data["x"][:])


def half(file: h5py.File) -> None:
    file.create_dataset("x", SHAPE, "f4", chunks=(6, 3))[:7] = 1


def half_zipped(file: h5py.File) -> None:
    file.create_dataset("x", SHAPE, "f4", chunks=(6, 3), compression="gzip")[:7] = 1


def grown(file: h5py.File) -> None:
    file.create_dataset("x", data=np.ones((6, 4), "f4"), maxshape=(None, 4), chunks=(6, 4))
    file["x"].resize(SHAPE)


def all_but_one(file: h5py.File) -> None:
    file.create_dataset("x", SHAPE, "f4", chunks=(5, 4))[:15] = 1


def nothing(file: h5py.File) -> None:
    file.create_dataset("x", SHAPE, "f4")


def no_chunk(file: h5py.File) -> None:
    file.create_dataset("x", SHAPE, "f4", chunks=(6, 3))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("write", "found"),
    [
        (half, "4 of 8 chunks"),
        (half_zipped, "4 of 8 chunks"),
        (grown, "1 of 4 chunks"),
        (all_but_one, "3 of 4 chunks"),
        (nothing, "none"),
        (no_chunk, "0 of 8 chunks"),
    ],
)
def test_values_that_nobody_wrote_are_refused(
    tmp_path: Path, write: Callable[[h5py.File], None], found: str, streamed: bool
) -> None:
    path = tmp_path / "d.h5"
    with h5py.File(path, "w") as file:
        write(file)
    with pytest.raises(InputError, match=rf"d\.h5, x: expected .*, found {found} that were ever written \(the writer"):
        read(path, streamed=streamed)


@pytest.mark.parametrize(
    "how", [{}, {"chunks": (6, 3)}, {"chunks": (6, 3), "compression": "gzip"}, {"maxshape": (None, 4)}]
)
@pytest.mark.parametrize("kind", [np.zeros(SHAPE, "f4"), np.zeros((0, 4), "f4"), np.zeros(SHAPE, "u1")])
def test_zeros_that_were_written_and_arrays_of_nothing_are_read(
    tmp_path: Path, how: dict[str, Any], kind: np.ndarray
) -> None:
    if not kind.size:
        how = {name: value for name, value in how.items() if name == "maxshape"}
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.create_dataset("x", data=kind, **how)
    assert np.array_equal(read(tmp_path / "d.h5", streamed=False), kind)


def test_responses_that_came_half_are_no_recording(tmp_path: Path) -> None:
    names = np.array([f"s{number % 8}" for number in range(24)])
    with h5py.File(tmp_path / "d.h5", "w") as file:
        rows = file.create_dataset("responses", (24, 6), "f4", chunks=(4, 6))
        rows[:10] = np.random.default_rng(0).normal(size=(10, 6))
        file["stimulus"] = names.astype(h5py.string_dtype())
        file["images"] = np.random.default_rng(1).integers(0, 255, (8, 5, 6, 3), dtype=np.uint8)
        file["image_ids"] = names[:8].astype(h5py.string_dtype())
    with pytest.raises(InputError, match=r"responses: expected all of its values, found 3 of 6 chunks .*to its end"):
        open_recording(tmp_path / "d.h5")
