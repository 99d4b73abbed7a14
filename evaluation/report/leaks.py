"""Leaks in anybody's results: a folder of training pictures against the references that were tested."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from brain.data.leaks import near_duplicates, twin_facts
from brain.errors import InputError
from brain.files.pictures import SUFFIXES, open_image
from evaluation.samples.sounds import SOUND
from evaluation.samples.types import Samples


def look_for_leaks(train: Path, samples: Samples) -> dict[str, Any]:
    """What of `train`, searched with its sub-folders, is also a reference: exactly, or slightly altered.

    No folder, or no picture in it, is an InputError; so are sounds, which are only compared where a run is fitted.
    """
    if samples.modality == SOUND:
        raise InputError(
            f"{train}: expected pictures to look through for leaks, found sounds to judge; "
            "leave --train out, a run says "
            "what its fit has found"
        )
    paths = sorted(path for path in train.rglob("*") if path.suffix.lower() in SUFFIXES) if train.is_dir() else []
    if not paths:
        raise InputError(
            f"{train}: expected a folder of the pictures that were trained on, found none; correct --train"
        )

    def trained() -> Iterator[tuple[str, Image.Image]]:
        return ((path.relative_to(train).as_posix(), open_image(path)) for path in paths)

    def tested() -> Iterator[tuple[str, Image.Image]]:
        return ((name, samples.open(shown)) for name, shown in sorted(samples.references.items()))

    return twin_facts(near_duplicates(trained(), tested()), train=len(paths), test=len(samples.references))
