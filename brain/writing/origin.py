"""Whether data come from a simulated brain: what must be said wherever a number or a picture of them is shown.

    simulated_by(recording.source)      "" for a brain, else what drew the data: "afterimage simulate, seed 0"
    sign(folder, {"seed": 0})           what a simulator does to every folder that it writes
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brain.errors import InputError
from brain.files.json_files import read_json
from brain.writing.opener import write_text

MARKER = "simulation.json"
"""The file that a simulator writes last into the folder of its data, and into every part that opens alone."""
SIMULATOR = "afterimage simulate"
PARTS = ("nsddata", "nsddata_betas", "nsddata_stimuli", "bids", "bdata", "stimuli", "unlabelled")
"""What simulators call the parts of their folder: below these, and nowhere else, a marker above them is valid too."""
LONGEST = 120
"""Characters that a marker may put into a page."""


def simulated_by(source: Path | str) -> str:
    """What simulated the data in this folder, or in the folder of this file; "" where no simulator has signed.

    A marker above counts below the parts that simulators write alone: recorded data beside simulated ones stay
    recorded. A marker that cannot be read (damaged, a link that was not fetched, a folder of that name) still says that
    the data are simulated.
    """
    place = Path(source)
    for one in dict.fromkeys((place.absolute(), place.resolve())):
        folder = one if one.is_dir() else one.parent
        if (marker := _marker(folder)) is not None:
            return _said(marker)
    return ""


def sign(folder: Path, facts: Mapping[str, Any]) -> Path:
    """Put the marker with these facts (a `seed`, or `by`: who simulated) into the folder, whole or not at all."""
    write_text(folder / MARKER, json.dumps(dict(facts), indent=1))
    return folder / MARKER


def sign_parts(root: Path, facts: Mapping[str, Any]) -> None:
    """Put the marker into every part of a simulator's folder, each of which may be opened or copied alone."""
    for part in PARTS:
        # unlabelled trials have a marker of their own, which says how many there are
        if (root / part).is_dir() and not os.path.lexists(root / part / MARKER):
            sign(root / part, {**facts, "part": part})


def _marker(folder: Path) -> Path | None:
    """The marker that is valid for this folder: its own, else that of the simulator's folder which it is a part of."""
    own = folder / MARKER
    if os.path.lexists(own):
        return own
    above = [one.parent / MARKER for one in (folder, *folder.parents) if one.name in PARTS]
    return next((marker for marker in above if os.path.lexists(marker)), None)


def _said(marker: Path) -> str:
    try:
        facts = read_json(marker)
    except InputError:  # an unreadable marker is one all the same
        return SIMULATOR
    if isinstance(facts.get("by"), str) and (said := plain(facts["by"])):
        return said
    seed = facts.get("seed")
    return f"{SIMULATOR}, seed {seed}" if type(seed) is int else SIMULATOR


def plain(text: str) -> str:
    """One short line of printable characters, for a text out of data."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:LONGEST]
