"""Trials that nobody labelled, for every subject of a simulated NSD folder: rest, and scenes that nobody is tested on.

    simulate_unlabelled(Path("data/simulated"), trials=1500, rest=1500, seed=0)

Writes DATA/unlabelled/<subject>.h5 with values (trial, voxel) in percent signal change, session (trial,) and ijk
(voxel, 3), as `encoders.trials` reads them. The same cortex and the same noise as the labelled trials', in sessions of
their own, numbered from 1001: another session is other noise. Scenes come from seeds above 2**34, which neither a
study nor any of our networks draws from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from brain.errors import InputError, StorageError, UsageError, wanted
from brain.simulated.cortex import Cortex, build_cortex
from brain.simulated.scenes import draw_scene, render
from brain.simulated.simulate import PIXELS, Noise, draw_noise, noiseless
from brain.types import Float

UNSEEN_SEED = 2**34
"""Scenes of unlabelled trials are drawn from here on."""
FIRST_SESSION = 1001
"""Labelled sessions are numbered 1 to 40."""
SESSION_TRIALS = 750
FOLDER = "unlabelled"


def simulate_unlabelled(data: Path, *, trials: int, rest: int, seed: int) -> tuple[Path, ...]:
    """Write the unlabelled trials of every subject of a simulated NSD folder; returns the files.

    trials  how many scenes each subject sees once, every subject its own ones; rest how many trials of no stimulus
    seed    0..2**31-1, of scenes and sessions; the cortex is the folder's own
    A folder that `afterimage simulate` did not write is an InputError; one that has unlabelled trials, StorageError.
    """
    if trials < 0 or rest < 0 or trials + rest < 2:
        raise UsageError(f"unlabelled: wanted two trials or more, came {trials} with scenes and {rest} of rest")
    if not 0 <= seed < 2**31:
        raise UsageError(f"unlabelled: seed must be 0 to 2147483647, came {seed}")
    facts = _facts(data)
    folder = data / FOLDER
    if folder.exists() and any(folder.iterdir()):
        raise StorageError(f"{folder} holds unlabelled trials already; take them away first")
    folder.mkdir(exist_ok=True)
    written = []
    for subject in range(1, int(facts["subjects"]) + 1):
        cortex = build_cortex(int(facts["seed"]), subject)
        noise = draw_noise(cortex, seed=int(facts["seed"]), subject=subject, snr=float(facts["snr"]))
        parts = list(_sessions(cortex, noise, trials=trials, rest=rest, seed=seed))
        path = folder / f"subj{subject:02d}.h5"
        _write(path, parts, cortex.anatomy.ijk)
        written.append(path)
    return tuple(written)


def _facts(data: Path) -> dict[str, Any]:
    path = data / "simulation.json"
    if not path.is_file():
        raise InputError(wanted(path, "a folder of `afterimage simulate`", "none", "simulate one first"))
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    missing = [name for name in ("seed", "snr", "subjects") if name not in facts]
    if missing or facts.get("modality", "image") != "image":
        came = f"one without {missing[0]}" if missing else f"modality {facts['modality']!r}"
        raise InputError(wanted(path, "a simulated NSD", came, "simulate pictures with `afterimage simulate`"))
    return facts


def _sessions(
    cortex: Cortex, noise: Noise, *, trials: int, rest: int, seed: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Session numbers and their trials: scenes first, then rest, which is noise and drifts alone."""
    session = FIRST_SESSION
    first = (seed * 8 + noise.subject) * 2**20
    for start in range(0, trials, SESSION_TRIALS):
        count = min(SESSION_TRIALS, trials - start)
        scenes = (draw_scene(seed=UNSEEN_SEED, index=first + start + place) for place in range(count))
        drawn = [np.asarray(render(one, PIXELS)) for one in tqdm(scenes, total=count, desc="unseen", disable=None)]
        yield session, noise.session(noiseless(cortex, np.stack(drawn)), session + seed)
        session += 1
    for start in range(0, rest, SESSION_TRIALS):
        nothing: Float = np.zeros((min(SESSION_TRIALS, rest - start), len(cortex)), np.float32)
        yield session, noise.session(nothing, session + seed)
        session += 1


def _write(path: Path, parts: list[tuple[int, NDArray[np.float32]]], ijk: NDArray[np.int64]) -> None:
    """Write under a temporary name and rename: a file under its own name is whole."""
    partial = path.with_name(f".{path.name}.part")
    try:
        with h5py.File(partial, "w") as file:
            file["values"] = np.concatenate([values for _, values in parts])
            file["session"] = np.concatenate([np.full(len(values), number, np.int64) for number, values in parts])
            file["ijk"] = ijk
        os.replace(partial, path)
    except OSError as fault:
        raise StorageError(wanted(path, "room and rights to write", str(fault), "free some space")) from fault
    finally:
        partial.unlink(missing_ok=True)
