"""The child that reads what a visitor uploaded: `python -m app.demo.uploads.child check`, or `study RECIPE`.

It runs in the visitor's folder, with the file in `in/` and the run in `run/`, and dies with its parent. A check prints
one JSON object, a study the lines of `afterimage study`; what is wrong is one sentence on stderr, as of any command.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.demo.uploads.limits import CHECK, STUDY, bound, cut_off

NAMES = ("data.h5", "data.npz")
"""What an upload may be called in its folder."""
ACCEPTED = "an HDF5 or npz file of responses and pictures, as docs/howto/own_data.md describes"
MAKE = "make one with `afterimage pack`"
LISTED, LONGEST = 40, 160
"""Regions and splits that are listed at most, and characters of a name."""


def main(words: Sequence[str]) -> int:
    """Checks or studies, within limits; returns the exit code of a command."""
    cut_off()
    bound(CHECK if words[0] == "check" else STUDY)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    from brain.console.commands import command

    return command("afterimage", (lambda: _check()) if words[0] == "check" else (lambda: _study(words[1])))


def _die_with_parent() -> None:
    """Ends the whole group once the parent's end of stdin is closed, however the parent ended."""
    while os.read(0, 4096):  # not by sys.stdin, whose lock would be held when the interpreter ends
        pass
    os.killpg(0, signal.SIGKILL)


def uploaded(folder: Path) -> Path:
    """The file that was uploaded into `folder`."""
    return next(folder / name for name in NAMES if (folder / name).is_file())


def _check() -> None:
    from app.demo.uploads.recipes import READER, candidates
    from brain.data.inspection import look
    from brain.readers import open_recording

    path = uploaded(Path("in"))
    _must_hold_arrays(path)
    found = look(path, reader=READER)
    facts: dict[str, Any] = {"problems": list(found.problems), "notes": list(found.notes), "recipes": []}
    if not found.problems:
        (subject, known), = found.facts["subjects"].items()
        facts |= {
            "subject": _short(subject), "trials": known["trials"], "stimuli": known["stimuli"],
            "voxels": known["voxels"], "sessions": len(known["sessions"]), "modality": known["modality"],
            "simulated": _short(known["simulated"]),
            "regions": [[_short(name), count] for name, count in known["regions"].items()][:LISTED],
            "splits": [[_short(one["name"]), one["folds"], max(one["train"]), max(one["test"])]
                       for one in known["splits"]][:LISTED],
        }  # fmt: skip
        recording = open_recording(path, reader=READER)
        facts["recipes"] = [one.facts() for one in candidates(recording)]
    print(json.dumps(facts, allow_nan=False))


def _must_hold_arrays(path: Path) -> None:
    """Refuses (InputError) an archive of other things than arrays."""
    from brain.errors import InputError, expected
    from brain.files import npz

    if path.suffix == ".npz" and not npz.names_in(path):
        raise InputError(expected("your file", ACCEPTED, "a zip archive of other files", MAKE))


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _study(name: str) -> None:
    from app.commands.study import run
    from app.demo.uploads.recipes import READER, fitted_to
    from brain.console import progress
    from brain.readers import open_recording
    from decode.recipes import CATALOGUE

    progress.FIRST, progress.EVERY = 0.5, 1.0  # a person watches a bar, who reads no log
    path = uploaded(Path("in"))
    known = {region.name for region in open_recording(path, reader=READER).regions}
    _, words, _ = fitted_to(CATALOGUE[name].settings(), known)
    run([str(path), "--recipe", name, "--reader", READER, *words, "--out", "run"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
