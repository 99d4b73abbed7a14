"""Trials that nobody labelled, for every subject of a simulated NSD folder: rest, and scenes that nobody is tested on.

    simulate_unlabelled(Path("data/simulated"), trials=1500, rest=1500, seed=0)
    afterimage simulate data/simulated --unlabelled 1500 --rest 1500          # the same on the command line

Writes DATA/unlabelled/<subject>.h5 with values (trial, voxel) in percent signal change, session (trial,) and ijk
(voxel, 3), as `encoders.masked.trials` reads them, and what was asked for into simulation.json beside them. The cortex
and the noise are the labelled trials', in sessions of their own, numbered from 1001: another session is other noise.
Scenes come from seeds above 2**34, which neither a study nor any of our networks draws from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.console.progress import progress
from brain.errors import InputError, StorageError, UsageError, expected
from brain.files.json_files import is_number, read_json
from brain.simulated.cortex.visual_cortex import Cortex, build_cortex
from brain.simulated.noise import Noise, draw_noise
from brain.simulated.scenes.scene import draw_scene, render
from brain.simulated.simulate import PIXELS, noiseless
from brain.types import Float
from brain.writing.opener import write_text, writing_folder, writing_hdf5

UNSEEN_SEED = 2**34
"""Scenes of unlabelled trials are drawn from here on."""
FIRST_SESSION = 1001
"""Labelled sessions are numbered 1 to 40."""
SESSION_TRIALS = 750
"""In a session at most, as in NSD."""
FOLDER, FACTS = "unlabelled", "simulation.json"


def simulate_unlabelled(data: Path, *, trials: int, rest: int, seed: int) -> tuple[Path, ...]:
    """Write the unlabelled trials of every subject of a simulated NSD folder; returns the files.

    trials  how many scenes each subject sees once, every subject its own ones; rest how many trials of no stimulus
    seed    0..2**31-1, of scenes and sessions; the cortex is the folder's own
    A folder that `afterimage simulate` did not write is an InputError; one that has unlabelled trials, StorageError.
    The folder of all subjects' files is there whole or not at all.
    """
    must_be_counts(trials=trials, rest=rest)
    if not 0 <= seed < 2**31:
        raise UsageError(f"unlabelled: seed must be 0 to 2147483647, found {seed}")
    facts = _facts(data)
    folder = data / FOLDER
    if folder.exists() and any(folder.iterdir()):
        raise StorageError(f"{folder} holds unlabelled trials already; take them away first")
    subjects = range(1, int(facts["subjects"]) + 1)
    with writing_folder(folder) as part:
        for subject in progress(subjects, desc="unlabelled trials", unit="subject"):
            cortex = build_cortex(int(facts["seed"]), subject)
            noise = draw_noise(cortex, seed=int(facts["seed"]), subject=subject, snr=float(facts["snr"]))
            parts = list(_sessions(cortex, noise, trials=trials, rest=rest, seed=seed))
            _write(part / f"subj{subject:02d}.h5", parts, cortex.anatomy.ijk)
        write_text(part / FACTS, json.dumps({"trials": trials, "rest": rest, "seed": seed}))
    return tuple(folder / f"subj{subject:02d}.h5" for subject in subjects)


def must_be_counts(*, trials: int, rest: int) -> None:
    """Refuse (UsageError) numbers of trials that no session can be made of: it is standardised by two or more."""
    if min(trials, rest) < 0 or max(trials, rest) < 2 or 1 in (trials, rest):
        raise UsageError(
            f"unlabelled: expected two trials or more of a kind, found {trials} with scenes and {rest} of rest; "
            "ask for more, or for 0 of one kind"
        )


def unlabelled_facts(data: Path) -> dict[str, Any] | None:
    """What `simulate_unlabelled` was asked for in this folder: trials, rest, seed; None where there are no such trials.

    Files of unlabelled trials without that record, or a damaged one, are an InputError.
    """
    folder = data / FOLDER
    if not (folder.is_dir() and any(folder.iterdir())):
        return None
    then = f"take {folder} away and simulate it again"
    return read_json(folder / FACTS, what="how many trials were simulated", then=then)


def _facts(data: Path) -> dict[str, Any]:
    path = data / "simulation.json"
    if not path.is_file():
        raise InputError(expected(path, "a folder of `afterimage simulate`", "none", "simulate one first"))
    facts = read_json(path, what="the record of a simulation", then="simulate the data again")
    missing = [name for name in ("seed", "snr", "subjects") if not is_number(facts.get(name))]
    if missing or facts.get("modality", "image") != "image":
        came = f"no number for {missing[0]}" if missing else f"modality {facts['modality']!r}"
        raise InputError(expected(path, "a simulated NSD", came, "simulate pictures with `afterimage simulate`"))
    return facts


def _sessions(
    cortex: Cortex, noise: Noise, *, trials: int, rest: int, seed: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Session numbers and their trials: scenes first, then rest, which is noise and drifts alone."""
    session = FIRST_SESSION
    first = (seed * 8 + noise.subject) * 2**20
    for places in _shared_out(trials):
        scenes = (draw_scene(seed=UNSEEN_SEED, index=first + place) for place in places)
        drawn = [
            np.asarray(render(one, PIXELS)) for one in progress(scenes, total=len(places), desc="unseen", unit="scene")
        ]
        yield session, noise.session(noiseless(cortex, np.stack(drawn)), session + seed)
        session += 1
    for places in _shared_out(rest):
        nothing: Float = np.zeros((len(places), len(cortex)), np.float32)
        yield session, noise.session(nothing, session + seed)
        session += 1


def _shared_out(trials: int) -> Iterator[range]:
    """The trials of each session: as few sessions as will hold them, none longer by more than one than another."""
    sessions = -(-trials // SESSION_TRIALS)
    for number in range(sessions):
        yield range(trials * number // sessions, trials * (number + 1) // sessions)


def _write(path: Path, parts: list[tuple[int, NDArray[np.float32]]], ijk: NDArray[np.int64]) -> None:
    with writing_hdf5(path) as file:
        file.create_dataset("values", data=np.concatenate([values for _, values in parts]), fletcher32=True)
        session = np.concatenate([np.full(len(values), number, np.int64) for number, values in parts])
        file.create_dataset("session", data=session, fletcher32=True)
        file.create_dataset("ijk", data=ijk, fletcher32=True)
