"""JSON that others wrote: the one place where a JSON file is read.

    facts = read_json(path, what="the sidecar of a series", then="correct it")
    is_number(facts["RepetitionTime"])            true and false are none
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeGuard

from brain.errors import InputError, expected
from brain.files.paths import read_text

LIMIT = 2**26
"""Bytes that a JSON file may have."""


def read_json(path: Path, *, what: str = "a JSON object", then: str = "fetch it again") -> dict[str, Any]:
    """The object of a JSON file; absent, too large, not UTF-8, no JSON, or none: an InputError about `path`."""
    return as_object(read_text(path, what=what, then=then, limit=LIMIT), path, what=what, then=then)


def as_object(
    text: str | bytes, where: object, *, what: str = "a JSON object", then: str = "write it again"
) -> dict[str, Any]:
    """The JSON object in a text, such as a line of an index; anything else is an InputError about `where`."""
    found = parsed(text, where, what=what, then=then)
    if not isinstance(found, dict):
        raise InputError(expected(where, what, f"JSON of another kind ({type(found).__name__})", then))
    return found


def parsed(text: str | bytes, where: object, *, what: str = "JSON", then: str = "write it again") -> Any:
    """What a JSON text says, each name once; anything else, or bytes that are no UTF-8: an InputError about `where`."""
    try:
        return json.loads(text, object_pairs_hook=unique)
    except RecursionError as error:
        raise InputError(expected(where, what, "JSON nested without end", then)) from error
    except ValueError as error:
        said = " ".join(str(error).split())[:160]
        raise InputError(expected(where, what, f"another text ({said})", then)) from error


def is_number(value: Any) -> TypeGuard[float]:
    """Is it a finite number as JSON has them? true and false are none, though Python counts with them as 1 and 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these names and values; a name that comes twice is a ValueError: the last would win in silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands in it more than once")
    return found
