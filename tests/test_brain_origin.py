"""Whose brain it is: every folder that a simulator wrote says so, opened alone, copied or packed; others do not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from brain.data.pack import pack
from brain.readers import open_recording
from brain.simulated.layouts.tiny import tiny_nsd
from brain.simulated.layouts.tiny_listener import tiny_listener
from brain.writing.origin import sign, sign_parts, simulated_by

SEVEN = "afterimage simulate, seed 7"


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_listener(tmp_path_factory.mktemp("data") / "listener", seed=7).root


@pytest.fixture(scope="module")
def nsd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_nsd(tmp_path_factory.mktemp("data") / "nsd", seed=7).root


def write_own(folder: Path) -> Path:
    """Data of a laboratory's own, of a recorded brain."""
    numbers = np.random.default_rng(0).normal(size=(12, 5))
    np.savez(folder / "own.npz", responses=numbers, stimulus=np.arange(12) % 4, images=np.arange(36).reshape(4, 3, 3))
    return folder / "own.npz"


@pytest.mark.parametrize("part", ["", "bids", "bdata", "bdata/S1_train.h5"])
def test_a_part_opened_alone_knows_that_it_is_simulated(listener: Path, part: str) -> None:
    assert simulated_by(listener / part) == SEVEN


@pytest.mark.parametrize("part", ["bids", "bdata"])
def test_a_recording_says_that_it_is_simulated(listener: Path, part: str) -> None:
    fields = {"bids": "series", "bdata": "bdata"}
    assert open_recording(listener / part, reader=fields[part]).simulated == SEVEN


def test_a_simulated_nsd_says_so_and_its_parts_too(nsd: Path) -> None:
    assert open_recording(nsd).simulated == SEVEN
    assert {simulated_by(nsd / part) for part in ("nsddata", "nsddata_betas", "nsddata_stimuli")} == {SEVEN}
    assert simulated_by(nsd / "nsddata_betas/ppdata/subj01/func1pt8mm") == SEVEN


@pytest.mark.parametrize("part", ["bids", "bdata", "stimuli"])
def test_a_part_that_was_copied_away_takes_its_marker_along(listener: Path, tmp_path: Path, part: str) -> None:
    shutil.copytree(listener / part, tmp_path / "mine")
    assert simulated_by(tmp_path / "mine") == SEVEN


def test_parts_that_an_older_simulator_wrote_are_known_by_the_folder_above(listener: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(listener, old)
    for part in ("bids", "bdata", "stimuli"):
        (old / part / "simulation.json").unlink()
    assert simulated_by(old / "bids") == simulated_by(old / "bdata/S1_train.h5") == SEVEN


def test_a_link_to_simulated_data_is_simulated(listener: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").symlink_to(listener / "bids")
    (tmp_path / "train.h5").symlink_to(listener / "bdata/S1_train.h5")
    assert simulated_by(tmp_path / "mine") == simulated_by(tmp_path / "train.h5") == SEVEN


def test_recorded_data_are_not_simulated_not_even_in_a_folder_below_simulated_ones(
    listener: Path, tmp_path: Path
) -> None:
    assert open_recording(write_own(tmp_path)).simulated == ""
    shutil.copytree(listener, tmp_path / "listener")
    (tmp_path / "listener/mine").mkdir()
    assert open_recording(write_own(tmp_path / "listener/mine")).simulated == ""


def test_packing_simulated_responses_keeps_what_they_are(listener: Path, tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=(12, 5))
    for home in (listener / "bdata", tmp_path):
        np.save(home / "responses.npy", numbers)
        (home / "ids.txt").write_text("\n".join(f"s{n % 4}" for n in range(12)))
        out = tmp_path / f"{home.name}.h5"
        pack(out, responses=home / "responses.npy", stimulus=home / "ids.txt", images=None)
        assert open_recording(out).simulated == (SEVEN if home != tmp_path else "")


def test_the_field_of_a_file_is_one_short_line(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["responses"], file["stimulus"] = np.random.default_rng(0).normal(size=(12, 5)), np.arange(12) % 4
        file["simulated"] = "a simulator\x1b[2J of ours" + "!" * 1000
    said = open_recording(tmp_path / "own.h5").simulated
    assert said.startswith("a simulator[2J of ours!") and len(said) == 120


@pytest.mark.parametrize("marker", ["", "[1, 2]", "{", '{"seed": "0"}', "[" * 100_000])
def test_a_marker_that_cannot_be_read_still_marks(tmp_path: Path, marker: str) -> None:
    (tmp_path / "simulation.json").write_text(marker)
    assert simulated_by(tmp_path) == "afterimage simulate"


def lay_dead_link(marker: Path) -> None:
    marker.symlink_to(".git/annex/objects/not-fetched")


@pytest.mark.parametrize("lay", [lay_dead_link, Path.mkdir, lambda marker: marker.symlink_to(marker.name)])
def test_a_marker_that_was_not_fetched_or_is_a_folder_still_marks(tmp_path: Path, lay: Callable[[Path], None]) -> None:
    for part in ("bids/sub-01/func", "mine"):
        (tmp_path / part).mkdir(parents=True)
    lay(tmp_path / "simulation.json")
    np.save(tmp_path / "responses.npy", np.zeros((2, 2)))
    for place in (".", "responses.npy", "bids", "bids/sub-01/func"):
        assert simulated_by(tmp_path / place) == "afterimage simulate", place
    assert simulated_by(tmp_path / "mine") == ""


def test_signing_the_parts_leaves_a_marker_that_was_not_fetched_alone(tmp_path: Path) -> None:
    (tmp_path / "bids").mkdir()
    lay_dead_link(tmp_path / "bids/simulation.json")
    sign_parts(tmp_path, {"seed": 0})
    assert (tmp_path / "bids/simulation.json").is_symlink()


def test_a_marker_may_say_who_simulated(tmp_path: Path) -> None:
    assert json.loads(sign(tmp_path, {"by": SEVEN}).read_text()) == {"by": SEVEN}
    assert simulated_by(tmp_path) == SEVEN and [path.name for path in tmp_path.iterdir()] == ["simulation.json"]
