"""Unlabelled trials of a simulated folder: the same cortex, other noise and scenes that nobody is tested on."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from app.cli import main
from brain.errors import InputError, StorageError, UsageError
from brain.simulated.cortex.visual_cortex import build_cortex
from brain.simulated.noise import draw_noise
from brain.simulated.scenes.scene import draw_scene, render
from brain.simulated.simulate import PIXELS, noiseless
from brain.simulated.unlabelled import (
    FIRST_SESSION,
    SESSION_TRIALS,
    UNSEEN_SEED,
    _shared_out,
    simulate_unlabelled,
    unlabelled_facts,
)
from brain.types import Recording, Responses, Stimuli
from brain.voxels import VoxelSpace
from encoders.masked.trials import read_unlabelled


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one subject without its labelled trials, and six unlabelled ones of each kind."""
    root = tmp_path_factory.mktemp("simulated")
    (root / "simulation.json").write_text(json.dumps({"seed": 0, "snr": 4.0, "subjects": 1}))
    simulate_unlabelled(root, trials=6, rest=6, seed=3)
    return root


def test_scenes_drive_the_cortex_and_rest_does_not(data: Path) -> None:
    cortex = build_cortex(0, 1)
    scenes = [np.asarray(render(draw_scene(seed=UNSEEN_SEED, index=25 * 2**20 + place), PIXELS)) for place in range(6)]
    signal = noiseless(cortex, np.stack(scenes))
    best = draw_noise(cortex, seed=0, subject=1, snr=4.0).ncsnr > 0.5
    with h5py.File(data / "unlabelled" / "subj01.h5") as file:
        values, session = file["values"][:][:, best], file["session"][:]
    assert session.tolist() == [FIRST_SESSION] * 6 + [FIRST_SESSION + 1] * 6
    seen, rest = (values[rows] - values[rows].mean(0) for rows in (session == FIRST_SESSION, session > FIRST_SESSION))
    known = signal[:, best] - signal[:, best].mean(0)
    assert np.corrcoef(seen.ravel(), known.ravel())[0, 1] > 0.5
    assert abs(np.corrcoef(rest.ravel(), known.ravel())[0, 1]) < 0.1
    assert rest.std() > 0.1


def labelled(every: int = -7) -> Recording:
    """A recording of one trial of the same brain: other voxels in another order."""
    anatomy = build_cortex(0, 1).anatomy
    ijk = anatomy.ijk[::every]
    responses = Responses(
        values=np.zeros((1, len(ijk)), np.float32),
        stimulus=np.array(["nsd00000"]),
        session=np.array([1]),
        repeat=np.array([0]),
        space=VoxelSpace(
            subject="subj01", name="func1pt8mm", betas="b", unit="psc", shape=anatomy.shape, affine=anatomy.affine,
            ijk=ijk,
        ),
    )  # fmt: skip
    stimuli = Stimuli(ids=("nsd00000",), modality="image", opener=lambda _: None)
    return Recording(responses=responses, stimuli=stimuli, regions=(), splits=())


def test_they_are_read_for_pretraining(data: Path) -> None:
    found = read_unlabelled(data, labelled())
    assert found is not None
    with h5py.File(data / "unlabelled" / "subj01.h5") as file:
        assert np.array_equal(found.values, file["values"][:][:, ::-7])


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("values", lambda a: a.astype("S9"), "values: expected numbers (trial, voxel), found |S9"),
        ("values", lambda a: a[0], "values: expected numbers (trial, voxel), found float32"),
        ("values", lambda a: a[:0], "values: expected numbers (trial, voxel), found float32 (0, "),
        ("session", lambda a: a + 0.5, "session: expected the session of each of 12 trials, found float64"),
        ("session", lambda a: a[1:], "session: expected the session of each of 12 trials, found int64 (11,)"),
        ("ijk", lambda a: a.astype("S3"), "ijk: expected the place of each of"),
        ("ijk", lambda a: a.T, "ijk: expected the place of each of"),
        ("ijk", lambda a: np.concatenate([a[:1], a[:-1]]), "ijk: expected a place of its own for each voxel"),
    ],
)
def test_arrays_of_another_form_are_refused(
    data: Path, tmp_path: Path, name: str, change: Callable[[np.ndarray], np.ndarray], said: str
) -> None:
    shutil.copytree(data / "unlabelled", tmp_path / "unlabelled")
    with h5py.File(tmp_path / "unlabelled" / "subj01.h5", "r+") as file:
        values = file[name][:]
        del file[name]
        file[name] = change(values)
    with pytest.raises(InputError, match=f"subj01.h5, {re.escape(said)}"):
        read_unlabelled(tmp_path, labelled())


def test_what_cannot_be_written_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds unlabelled trials already"):
        simulate_unlabelled(data, trials=2, rest=0, seed=0)
    with pytest.raises(InputError, match="simulation.json"):
        simulate_unlabelled(tmp_path, trials=2, rest=0, seed=0)
    for trials, rest in ((1, 0), (1, 6), (6, 1), (-2, 6)):
        with pytest.raises(UsageError, match="two trials or more"):
            simulate_unlabelled(data, trials=trials, rest=rest, seed=0)
    (tmp_path / "simulation.json").write_text(json.dumps({"seed": 0, "snr": 1, "subjects": 1, "modality": "sound"}))
    with pytest.raises(InputError, match="a simulated NSD"):
        simulate_unlabelled(tmp_path, trials=2, rest=0, seed=0)


def test_every_session_can_be_standardised() -> None:
    for trials in (2, SESSION_TRIALS, SESSION_TRIALS + 1, 2 * SESSION_TRIALS):
        shares = list(_shared_out(trials))
        assert [place for share in shares for place in share] == list(range(trials))
        assert 2 <= min(map(len, shares)) <= max(map(len, shares)) <= SESSION_TRIALS
    assert list(_shared_out(0)) == []


def files_of(folder: Path) -> dict[str, int]:
    """Every file below a folder and when it was written."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_simulate_writes_adds_finds_and_refuses_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "brain"
    words = ["simulate", str(out), "--sessions", "1", "--trials", "30"]
    assert main(words) == 0
    labelled = files_of(out)
    assert unlabelled_facts(out) is None
    (out / ".unlabelled.part").mkdir()  # left by a kill
    assert main([*words, "--unlabelled", "3", "--rest", "2"]) == 0
    assert "added 3 unlabelled trials and 2 of rest" in capsys.readouterr().out
    whole = files_of(out)
    assert set(whole) - set(labelled) == {"unlabelled/subj01.h5", "unlabelled/simulation.json"}
    assert labelled.items() <= whole.items()
    for asked in (["--unlabelled", "3", "--rest", "2"], []):
        assert main([*words, *asked]) == 0
        assert capsys.readouterr().out.strip().endswith("simulated already")
    assert files_of(out) == whole
    assert main([*words, "--unlabelled", "4", "--rest", "2"]) == StorageError.exit_code
    assert "holds 3 unlabelled trials and 2 of rest, seed 0, not 4 and 2" in capsys.readouterr().err
    (out / "unlabelled" / "simulation.json").unlink()
    assert main([*words, "--unlabelled", "3", "--rest", "2"]) == InputError.exit_code
    assert "simulate it again" in capsys.readouterr().err


def test_a_new_simulation_has_them_or_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "brain"
    words = ["simulate", str(out), "--sessions", "1", "--trials", "30", "--unlabelled"]
    assert main([*words, "1"]) == UsageError.exit_code
    assert main([*words, "4", "--modality", "sound"]) == UsageError.exit_code
    assert not list(tmp_path.iterdir())
    assert main([*words, "4"]) == 0
    assert unlabelled_facts(out) == {"trials": 4, "rest": 0, "seed": 0}
    assert [path.name for path in tmp_path.iterdir()] == ["brain"]
