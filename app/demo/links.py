"""Links to a state of the demo, and what a saved picture says of itself.

    link_of(run, "nsd00013", asked)         "?tab=decode&run=first&stimulus=nsd00013&seed=0..."
    read_link(params)                       what such an address asks for, with strangers' values left out
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from app.demo.knobs import Asked, command_of, reads
from app.demo.runs import Run
from brain.machine.installation import DISTRIBUTION
from brain.writing.origin import plain

TABS = {"image": "decode", "sound": "listen"}
"""The tab in which runs of a modality are seen."""
COMPARE = "compare"
LONGEST = 4000
"""Letters of a value in an address."""
SEVERAL = ","
"""What stands between the names of silenced regions in an address."""


@dataclass(frozen=True, kw_only=True)
class State:
    """What an address asks to see, "" and nothing for what it does not say.

    numbers   name of a knob -> its value; silenced: regions
    """

    tab: str = ""
    run: str = ""
    other: str = ""
    stimulus: str = ""
    numbers: Mapping[str, float]
    silenced: tuple[str, ...] = ()


def link_of(run: Run, stimulus: str, asked: Asked | None = None) -> str:
    """The address, from the demo's own page on, at which this stimulus of this run is seen with these knobs."""
    words: dict[str, object] = {"tab": TABS[run.modality], "run": run.name, "stimulus": stimulus}
    if asked is not None:
        words |= _knobs(run, asked)
        if asked.silenced:
            words["silence"] = SEVERAL.join(asked.silenced)
    return f"?{urlencode(words)}"


def link_of_two(one: Run, other: Run, stimulus: str) -> str:
    """The address at which a stimulus is seen in two runs."""
    return f"?{urlencode({'tab': COMPARE, 'run': one.name, 'other': other.name, 'stimulus': stimulus})}"


def read_link(params: Mapping[str, str]) -> State:
    """What the words of an address ask for; what is no finite number, or longer than any of ours, is left out."""
    words = {name: str(value) for name, value in params.items() if len(str(value)) <= LONGEST}
    numbers = {}
    for name in ("strength", "guidance", "steps", "samples", "seed"):
        try:
            value = float(words.get(name, "nan"))
        except ValueError:
            continue
        if math.isfinite(value):
            numbers[name] = value
    silenced = tuple(one for one in words.get("silence", "").split(SEVERAL) if one)
    found = {name: words.get(name, "") for name in ("tab", "run", "other", "stimulus")}
    return State(numbers=numbers, silenced=silenced, **found)


def made_with(run: Run, stimulus: str, asked: Asked) -> dict[str, Any]:
    """What a picture that was drawn in the demo was made with: text and numbers, no path of this machine."""
    return {
        "software": f"afterimage {version(DISTRIBUTION)}", "run": Path(run.name).name, "recipe": run.settings.recipe,
        "method": run.settings.sampling.method, "subject": str(run.data_facts().get("subject", "")),
        "simulated": "unknown" if run.simulated is None else plain(run.simulated), "stimulus": stimulus,
        **_knobs(run, asked), "silenced": list(asked.silenced),
        "command": command_of(run, stimulus, asked, place=Path(run.name).name or "RUN"),
    }  # fmt: skip


def _knobs(run: Run, asked: Asked) -> dict[str, Any]:
    known = {"strength": float(asked.strength), "guidance": float(asked.guidance), "steps": int(asked.steps)}
    read = {name: value for name, value in known.items() if name in reads(run)}
    return {**read, "samples": int(asked.samples), "seed": int(asked.seed)}
