"""Arrays and cards on disk: safetensors and JSON, written whole or not at all, read with every doubt reported.

A file carries one JSON card in its metadata (under one key, so that the same content is the same bytes) and says
there what kind of file it is; another kind, a truncated file or a foreign one is an `InputError` of one sentence. The
card also holds a sha256 of itself and of all tensors, so that one bit that has turned is found; files that were written
before it did are read without.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import brain.files.json_files
from brain.errors import InputError, StorageError, expected
from brain.files.tensors import read_arrays
from brain.writing.opener import write_text, writing

KEY = "afterimage"
SEALED, DIGEST = "sealed", "tensors_sha256"
"""Both stand in the card of a file with a digest: where a turned bit hides one of the names, the other still tells."""

Arrays = dict[str, NDArray[Any]]


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]], *, kind: str, card: Mapping[str, Any]) -> None:
    """Write named arrays of any shape and their JSON card as one safetensors file: temporary name, fsync, rename.

    `kind` is what the file is ("conditions"); a reader must ask for the same. No room or no rights: `StorageError`.
    """
    from safetensors.numpy import save_file

    whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    metadata = {KEY: _sealed({"kind": kind, **card}, whole)}
    _replace(path, lambda part: save_file(whole, part, metadata=metadata))


def write_json(path: Path, card: Mapping[str, Any]) -> None:
    """Write a JSON card for people and programs: temporary name, fsync, rename; `StorageError` as above."""
    text = json.dumps(card, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_text(path, text)


def plain(settings: Any) -> Any:
    """A settings value, or part of one, as JSON has it: dataclasses become objects, tuples lists."""
    if is_dataclass(settings):
        return {one.name: plain(getattr(settings, one.name)) for one in fields(settings)}
    return [plain(one) for one in settings] if isinstance(settings, tuple) else settings


def read_tensors(path: Path, *, kind: str) -> tuple[Arrays, dict[str, Any]]:
    """The arrays, of any shape, and the card of a file that `write_tensors` wrote as this kind, else an InputError."""
    if not path.exists() and not path.is_symlink():
        raise InputError(expected(path, f"a {kind} file", "nothing there", "run the stage that writes it"))
    tensors, metadata = read_arrays(path, what=f"a whole {kind} file", then=_AGAIN)
    return tensors, _card(path, metadata, tensors, kind=kind)


def read_json(path: Path, *, kind: str) -> dict[str, Any]:
    """The JSON object in a file, else an `InputError`."""
    return brain.files.json_files.read_json(path, what=f"the card of a {kind}", then=_AGAIN)


_AGAIN = "write it again with the stage that makes it"


def _card(path: Path, metadata: Mapping[str, str], tensors: Arrays, *, kind: str) -> dict[str, Any]:
    card = brain.files.json_files.as_object(metadata.get(KEY, "{}"), path, what=f"a {kind} file", then=_AGAIN)
    found = card.pop("kind", None)
    if found is None:
        raise InputError(expected(path, f"a {kind} file", "a safetensors file of another program", _AGAIN))
    sealed, digest = card.pop(SEALED, None), card.pop(DIGEST, None)
    if (sealed is not None or digest is not None) and digest != _digest(metadata[KEY], tensors, digest):
        raise InputError(expected(path, f"a whole {kind} file", "one whose bytes have changed (its sha256)", _AGAIN))
    if found != kind:
        raise InputError(expected(path, f"a {kind} file", f"a {found} file", "give the file that was asked for"))
    return dict(card)


def _sealed(card: Mapping[str, Any], tensors: Arrays) -> str:
    """The card as it is stored, with the sha256 of itself and of the tensors."""
    if {SEALED, DIGEST} & card.keys():
        raise ValueError(f"a card cannot have {SEALED} or {DIGEST} of its own")
    text = json.dumps({**card, SEALED: True, DIGEST: _BLANK}, sort_keys=True)
    return text.replace(_BLANK, _digest(text, tensors, _BLANK))


_BLANK = "0" * 64


def _digest(text: str, tensors: Arrays, own: object) -> str:
    """Of the stored card, its `own` digest blanked, and of every tensor's name, type, shape and bytes, by name."""
    digest = hashlib.sha256(text.replace(str(own), _BLANK).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype.str}\0{tensor.shape}\0".encode())
        digest.update(tensor.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place in one step (`brain.writing.opener`)."""
    from safetensors import SafetensorError

    with writing(path) as part:
        try:
            write(part)
        except SafetensorError as fault:
            then = "make room, or choose another place that you may write to"
            raise StorageError(expected(path, "room and rights to write", str(fault), then)) from fault
