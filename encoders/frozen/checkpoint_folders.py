"""Folders of pretrained weights in the Hugging Face layout, looked through before a library opens them.

    checked(folder)                       weights whole and finite, JSON readable, no code of its own
    kind.from_pretrained(folder, ...)     then, with use_safetensors=True and trust_remote_code=False

Stacks, judges, spaces and towers all ask this, for the libraries differ in what they say of damage, draw absent weights
at random, and offer on the terminal to run code that a folder names in `auto_map`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brain.errors import InputError, expected
from brain.files import tensors
from brain.files.json_files import read_json
from brain.files.paths import AGAIN, listed, present

READ = ("*.json", "*.txt", "*.model", "*.safetensors")
"""What the libraries read of such a folder."""
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5")
SAFE = "fetch a revision with .safetensors, or save it again with save_pretrained; pickles are never opened"


def checked(folder: Path, *, numbers: bool = True, then: str = AGAIN) -> Path:
    """`folder`, if its files can be read, its weights are whole and it names no code of its own; else an InputError.

    numbers  whether every weight is read as well, and refused where it is NaN or infinite
    """
    for path in listed(folder, *READ):
        if not path.is_dir():
            present(path, what="a file of a checkpoint", then=then)
    for path in listed(folder, "*config.json", "*index.json"):
        refuse_code(read_json(path, then=then), path)
    for path in listed(folder, "*.safetensors"):
        (tensors.finite_header if numbers else tensors.header)(path, then=then)
    for path in listed(folder, "*.safetensors.index.json"):
        _all_shards(path, then=then)
    return folder


def refuse_code(facts: Any, path: Path) -> None:
    """Refuse (InputError) a configuration that names classes of its own in `auto_map`, at any depth."""
    if any("auto_map" in one for one in _objects(facts)):
        then = "take a checkpoint whose classes are in transformers or diffusers; no other code is loaded"
        raise InputError(expected(path, "a configuration without code of its own", "auto_map", then))


def pickles(folder: Path) -> list[str]:
    """The names of files in a folder that hold weights as something else than safetensors."""
    return [path.name for path in listed(folder) if path.suffix in PICKLED]


def _objects(facts: Any) -> Iterator[dict[str, Any]]:
    """Every object of a JSON value, itself among them; not by recursion, for its depth is the file's choice."""
    waiting = [facts]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _all_shards(path: Path, *, then: str) -> None:
    """Refuse an index of weights in several files of which one is absent."""
    places = read_json(path, then=then).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise InputError(expected(path, "weight_map, tensor to file", "an index without", then))
    for name in sorted(set(places.values())):
        if Path(name).name != name:
            raise InputError(expected(path, "files beside it", repr(name), then))
        present(path.parent / name, what="a part of the weights", then=then)
