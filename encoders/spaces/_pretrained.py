"""Components of a stack, from its folder: present or `CheckpointAbsent`, whole or `InputError`, frozen, float32."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brain.errors import AfterimageError, CheckpointAbsent, InputError, expected
from encoders.frozen.checkpoint_folders import checked
from encoders.frozen.torchvision_guard import settle_torchvision


def component(folder: Path, name: str, *, model: str) -> Path:
    """The folder of a component, looked through; absent -> `CheckpointAbsent`, damaged -> `InputError`."""
    place = folder / name
    if not place.is_dir():
        raise CheckpointAbsent(
            expected(folder, f"the component {name} of {model or 'the stack'}", "none", "see `afterimage stacks check`")
        )
    return checked(place)


def frozen(kind: type[Any], place: Path, *, device: str, **more: Any) -> Any:
    """A network of class `kind` from its folder, safetensors only, nothing fetched, in float32 and evaluation mode.

    more  what this class asks for besides: trust_remote_code=False of those of transformers that choose a class
    """
    checked(place)
    with reading(place), _without_bars():
        network = kind.from_pretrained(place, local_files_only=True, use_safetensors=True, **more)
    # .float() and not .to(dtype=...): diffusers answers the latter with a line about modules it would keep in float32
    return network.float().to(device).eval().requires_grad_(False)


@contextmanager
def reading(place: Path) -> Iterator[None]:
    """Turn what the libraries raise on damaged or foreign files into an `InputError`."""
    settle_torchvision()
    try:
        yield
    except (AfterimageError, MemoryError):
        raise
    except Exception as fault:  # the libraries promise no family: SafetensorError, AttributeError of odd configurations
        first = (str(fault).strip() or type(fault).__name__).splitlines()[0]
        raise InputError(
            expected(place, "a whole component", f"one that does not load ({first})", "fetch it again")
        ) from fault


@contextmanager
def _without_bars() -> Iterator[None]:
    """No bar per file of weights: encoding shows one of its own."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def revision_of(places: Sequence[Path], revision: str) -> str:
    """The revision itself, or, where none is given, a digest of the JSON, text and safetensors files in there."""
    if revision:
        return revision
    digest = hashlib.sha256()
    for number, place in enumerate(places):  # by number: where a stack lies is no part of what it is
        for path in sorted(place.iterdir()):
            if path.suffix in (".json", ".txt", ".safetensors"):
                digest.update(f"{number}/{path.name}\0".encode())
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{digest.hexdigest()[:16]}"
