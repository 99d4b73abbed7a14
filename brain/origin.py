"""Whether data come from a simulated brain: what must be said wherever a number or a picture of them is shown.

    simulated_by(recording.source)      "" for a brain, else what drew the data: "afterimage simulate, seed 0"
"""

from __future__ import annotations

import json
from pathlib import Path

MARKER = "simulation.json"
"""The file that a simulator writes last into the folder of its data."""


def simulated_by(source: Path | str) -> str:
    """What simulated the data in this folder, or in the folder of this file; "" where no simulator has signed.

    A marker that cannot be read still says that the data are simulated.
    """
    place = Path(source)
    marker = (place if place.is_dir() else place.parent) / MARKER
    if not marker.is_file():
        return ""
    try:
        facts = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "afterimage simulate"
    seed = facts.get("seed") if isinstance(facts, dict) else None
    return "afterimage simulate" if seed is None else f"afterimage simulate, seed {seed}"
