"""Arrays and cards on disk: safetensors and JSON, written whole or not at all, read with every doubt spoken.

A file carries one JSON card in its metadata (under one key, so that the same content is the same bytes) and says
there what kind of file it is; another kind, a truncated file or a foreign one is an `InputError` of one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, StorageError, expected
from brain.writing import write_text, writing

KEY = "afterimage"

Arrays = dict[str, NDArray[Any]]


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]], *, kind: str, card: Mapping[str, Any]) -> None:
    """Write named arrays and their JSON card as one safetensors file: temporary name, fsync, rename.

    `kind` is what the file is ("conditions"); a reader must ask for the same. No room or no rights: `StorageError`.
    """
    from safetensors.numpy import save_file

    whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    metadata = {KEY: json.dumps({"kind": kind, **card}, sort_keys=True)}
    _replace(path, lambda part: save_file(whole, part, metadata=metadata))


def write_json(path: Path, card: Mapping[str, Any]) -> None:
    """Write a JSON card for people and programs: temporary name, fsync, rename; `StorageError` as above."""
    text = json.dumps(card, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_text(path, text)


def read_tensors(path: Path, *, kind: str) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the card of a file that `write_tensors` wrote as this kind, else an `InputError`."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InputError(expected(path, f"a {kind} file", "nothing there", "run the stage that writes it"))
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, TypeError) as fault:
        raise InputError(
            expected(path, f"a whole {kind} file", f"one that cannot be read ({fault})", _AGAIN)
        ) from fault
    return tensors, _card(path, metadata, kind=kind)


def read_json(path: Path, *, kind: str) -> dict[str, Any]:
    """The JSON object in a file, else an `InputError`."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as fault:
        raise InputError(expected(path, f"the card of a {kind}", "nothing there", _AGAIN)) from fault
    except (OSError, ValueError) as fault:
        raise InputError(expected(path, f"the card of a {kind}", f"no JSON ({fault})", _AGAIN)) from fault
    if not isinstance(card, dict):
        raise InputError(expected(path, f"the card of a {kind}", type(card).__name__, _AGAIN))
    return card


_AGAIN = "write it again with the stage that makes it"


def _card(path: Path, metadata: Mapping[str, str], *, kind: str) -> dict[str, Any]:
    try:
        card = json.loads(metadata[KEY])
        found = card.pop("kind")
    except (KeyError, ValueError, AttributeError, TypeError) as fault:
        raise InputError(expected(path, f"a {kind} file", "a safetensors file of another program", _AGAIN)) from fault
    if found != kind:
        raise InputError(expected(path, f"a {kind} file", f"a {found} file", "give the file that was asked for"))
    return dict(card)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place in one step (`brain.writing`)."""
    from safetensors import SafetensorError

    with writing(path) as part:
        try:
            write(part)
        except SafetensorError as fault:
            then = "make room, or choose another place that you may write to"
            raise StorageError(expected(path, "room and rights to write", str(fault), then)) from fault
