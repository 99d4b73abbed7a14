"""What a run says of itself in files that may be absent: a JSON object, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brain.files import json_files
from brain.files.paths import optional
from brain.writing.origin import plain


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file, {} where there is no file; anything else is an InputError."""
    if optional(path, what="a JSON object", then="write it again or remove it") is None:
        return {}
    return json_files.read_json(path, then="write it again or remove it")


JUDGED = ("judge", "profile", "bootstrap", "permutations")
"""How a run is judged: what is drawn beside it is judged alike, unless something else is asked for."""


def judged_like(folder: Path) -> dict[str, Any]:
    """How the run is judged that this folder was drawn beside, by the folder's card; {} where it does not say so."""
    beside = read_json(folder / "card.json").get("beside") if (folder / "card.json").is_file() else None
    found = beside.get("judging") if isinstance(beside, Mapping) else None
    kinds = dict(zip(JUDGED, (str, str, int, int), strict=True))
    known = found if isinstance(found, Mapping) else {}
    return {name: known[name] for name, kind in kinds.items() if type(known.get(name)) is kind}


def silenced_in(card: Mapping[str, Any]) -> tuple[str, ...]:
    """The regions whose voxels stood at their training mean while samples were drawn beside a run, by their card."""
    beside = card.get("beside")
    found = beside.get("silenced") if isinstance(beside, Mapping) else None
    return tuple(plain(str(one)) for one in found) if isinstance(found, list) else ()
