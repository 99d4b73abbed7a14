"""Simulate: a data set with a known answer, whole or not there at all; the same one again is found and left alone."""

from __future__ import annotations

from pathlib import Path

from brain.errors import StorageError, UsageError
from brain.files.json_files import read_json
from brain.writing.opener import writing_folder


def simulate_once(
    out: Path,
    *,
    modality: str,
    subjects: int,
    sessions: int,
    snr: float,
    seed: int,
    trials: int,
    unlabelled: int = 0,
    rest: int = 0,
) -> str:
    """Writes the data set into `out`, through a folder beside it. Returns one sentence on it.

    `trials` of 0 are the modality's own number. `unlabelled` scenes that nobody is tested on and `rest` trials without
    a stimulus, of every subject, are added to a simulation that has none. Other files, another simulation or other
    unlabelled trials in `out` are a StorageError; unlabelled trials of sounds, of which there are none, a UsageError.
    """
    from brain.simulated.sessions import TRIALS

    trials = trials or TRIALS[modality]
    asked = {
        "modality": modality, "seed": seed, "snr": snr, "subjects": subjects, "sessions": sessions, "trials": trials,
    }  # fmt: skip
    more = _more(modality, unlabelled=unlabelled, rest=rest)
    if (out / "simulation.json").is_file():
        facts = read_json(out / "simulation.json", what="the record of a simulation", then="choose another folder")
        facts.setdefault("modality", "image")
        other = [name for name, value in asked.items() if facts.get(name) != value]
        if other:
            raise StorageError(
                f"{out}: holds a simulation with {other[0]} {facts.get(other[0])!r}, not {asked[other[0]]!r}; "
                "choose another folder"
            )
        return f"{out}: simulated already{_add(out, more, seed=seed)}"
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StorageError(f"{out}: holds other files; choose another folder")
    from brain.simulated.simulate import simulate

    with writing_folder(out) as part:
        simulate(part, modality=modality, subjects=subjects, sessions=sessions, snr=snr, seed=seed, trials=trials)
        added = _add(part, more, seed=seed)
    several = "s" if subjects > 1 else ""
    return f"{out}: simulated {subjects} subject{several}, {sessions} sessions of {trials} trials{added}"


def _more(modality: str, *, unlabelled: int, rest: int) -> dict[str, int]:
    """The unlabelled trials asked for, checked before anything long begins; {} where there are none."""
    if not (unlabelled or rest):
        return {}
    if modality != "image":
        raise UsageError(
            f"--unlabelled and --rest: expected trials of pictures, found --modality {modality}; leave them out"
        )
    from brain.simulated.unlabelled import must_be_counts

    must_be_counts(trials=unlabelled, rest=rest)
    return {"trials": unlabelled, "rest": rest}


def _add(data: Path, more: dict[str, int], *, seed: int) -> str:
    """Adds the unlabelled trials asked for, or finds them; returns what was added as the end of a sentence."""
    if not more:
        return ""
    from brain.simulated.unlabelled import FOLDER, simulate_unlabelled, unlabelled_facts

    asked = {**more, "seed": seed}
    facts = unlabelled_facts(data)
    if facts == asked:
        return ""
    if facts is not None:
        held = f"{facts.get('trials')} unlabelled trials and {facts.get('rest')} of rest, seed {facts.get('seed')}"
        raise StorageError(
            f"{data / FOLDER}: holds {held}, not {more['trials']} and {more['rest']}, seed {seed}; "
            "choose another folder, or take these trials away"
        )
    simulate_unlabelled(data, trials=more["trials"], rest=more["rest"], seed=seed)
    return f"; added {more['trials']} unlabelled trials and {more['rest']} of rest to each subject"
