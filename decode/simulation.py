"""Simulate: a data set with a known answer, whole or not there at all; the same one again is found and left alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from brain.errors import StorageError
from decode.run_folder import writing


def simulate_once(out: Path, *, modality: str, subjects: int, sessions: int, snr: float, seed: int, trials: int) -> str:
    """Writes the data set into `out`, by way of a folder beside it. Returns one sentence on it.

    `trials` of 0 are the modality's own number. Other files or another simulation in `out` are a StorageError.
    """
    from brain.simulated import TRIALS

    trials = trials or TRIALS[modality]
    asked = {
        "modality": modality, "seed": seed, "snr": snr, "subjects": subjects, "sessions": sessions, "trials": trials,
    }  # fmt: skip
    if (out / "simulation.json").is_file():
        facts = json.loads((out / "simulation.json").read_text(encoding="utf-8"))
        facts.setdefault("modality", "image")
        other = [name for name, value in asked.items() if facts.get(name) != value]
        if other:
            raise StorageError(
                f"{out}: holds a simulation with {other[0]} {facts.get(other[0])!r}, not {asked[other[0]]!r}; "
                "choose another folder"
            )
        return f"{out}: simulated already"
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StorageError(f"{out}: holds other files; choose another folder")
    from brain.simulated.simulate import simulate

    part = out.with_name(f".{out.name}.part")
    with writing(out):
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        simulate(part, modality=modality, subjects=subjects, sessions=sessions, snr=snr, seed=seed, trials=trials)
        if out.is_dir():
            out.rmdir()
        part.rename(out)
    return f"{out}: simulated {subjects} subject{'s' if subjects > 1 else ''}, {sessions} sessions of {trials} trials"
