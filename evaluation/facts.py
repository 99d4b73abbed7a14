"""What a run says of itself in files that may be absent: a JSON object, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from brain.files import json_files
from brain.files.paths import optional


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file, {} where there is no file; anything else is an InputError."""
    if optional(path, what="a JSON object", then="write it again or remove it") is None:
        return {}
    return json_files.read_json(path, then="write it again or remove it")
