"""Unlabelled trials of a simulated folder: the same cortex, other noise and scenes that nobody is tested on."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from brain.errors import InputError, StorageError, UsageError
from brain.simulated.cortex import build_cortex
from brain.simulated.scenes import draw_scene, render
from brain.simulated.simulate import PIXELS, draw_noise, noiseless
from brain.simulated.unlabelled import FIRST_SESSION, UNSEEN_SEED, simulate_unlabelled
from brain.types import Recording, Responses, Stimuli, VoxelSpace
from encoders.trials import read_unlabelled


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one subject without its labelled trials, and six unlabelled ones of each kind."""
    root = tmp_path_factory.mktemp("simulated")
    (root / "simulation.json").write_text(json.dumps({"seed": 3, "snr": 4.0, "subjects": 1}))
    simulate_unlabelled(root, trials=6, rest=6, seed=0)
    return root


def test_scenes_drive_the_cortex_and_rest_does_not(data: Path) -> None:
    cortex = build_cortex(3, 1)
    scenes = [np.asarray(render(draw_scene(seed=UNSEEN_SEED, index=2**20 + place), PIXELS)) for place in range(6)]
    signal = noiseless(cortex, np.stack(scenes))
    best = draw_noise(cortex, seed=3, subject=1, snr=4.0).ncsnr > 0.5
    with h5py.File(data / "unlabelled" / "subj01.h5") as file:
        values, session = file["values"][:][:, best], file["session"][:]
    assert session.tolist() == [FIRST_SESSION] * 6 + [FIRST_SESSION + 1] * 6
    seen, rest = (values[rows] - values[rows].mean(0) for rows in (session == FIRST_SESSION, session > FIRST_SESSION))
    known = signal[:, best] - signal[:, best].mean(0)
    assert np.corrcoef(seen.ravel(), known.ravel())[0, 1] > 0.5
    assert abs(np.corrcoef(rest.ravel(), known.ravel())[0, 1]) < 0.1
    assert rest.std() > 0.1


def test_they_are_read_for_pretraining(data: Path) -> None:
    cortex = build_cortex(3, 1)
    ijk = cortex.anatomy.ijk[::-7]  # other voxels in another order
    space = VoxelSpace(
        subject="subj01",
        name="func1pt8mm",
        betas="b",
        unit="psc",
        shape=cortex.anatomy.shape,
        affine=cortex.anatomy.affine,
        ijk=ijk,
    )
    responses = Responses(
        values=np.zeros((1, len(ijk)), np.float32),
        stimulus=np.array(["nsd00000"]),
        session=np.array([1]),
        repeat=np.array([0]),
        space=space,
    )
    stimuli = Stimuli(ids=("nsd00000",), modality="image", opener=lambda _: None)
    found = read_unlabelled(data, Recording(responses=responses, stimuli=stimuli, regions=(), splits=()))
    assert found is not None
    with h5py.File(data / "unlabelled" / "subj01.h5") as file:
        assert np.array_equal(found.values, file["values"][:][:, ::-7])


def test_what_cannot_be_written_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds unlabelled trials already"):
        simulate_unlabelled(data, trials=2, rest=0, seed=0)
    with pytest.raises(InputError, match="simulation.json"):
        simulate_unlabelled(tmp_path, trials=2, rest=0, seed=0)
    with pytest.raises(UsageError, match="two trials or more"):
        simulate_unlabelled(data, trials=1, rest=0, seed=0)
    (tmp_path / "simulation.json").write_text(json.dumps({"seed": 0, "snr": 1, "subjects": 1, "modality": "sound"}))
    with pytest.raises(InputError, match="a simulated NSD"):
        simulate_unlabelled(tmp_path, trials=2, rest=0, seed=0)
