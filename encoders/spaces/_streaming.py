"""Stimuli through a tower, a few at a time: never all in memory, and the same bits however many go together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from brain.console.progress import progress
from brain.errors import InputError, UsageError
from brain.types import Float, Stimuli
from encoders.conditions import Conditions, SpaceCard


def encode_stream(
    card: SpaceCard,
    ids: Sequence[str],
    *,
    batch: int,
    prepare: Callable[[str], Any],
    forward: Callable[[list[Any]], Float],
) -> Conditions:
    """Conditions of `ids`: each id prepared alone, then `batch` of them forward as one -> (batch, *card.shape)."""
    if batch < 1:
        raise UsageError(f"condition space {card.name!r}: the batch must be 1 or more, found {batch}")
    values = np.empty((len(ids), *card.shape), np.float32)
    with progress(total=len(ids), desc=card.name, unit="stimulus", leave=False) as bar:
        for start in range(0, len(ids), batch):
            part = ids[start : start + batch]
            values[start : start + len(part)] = forward([prepare(one) for one in part])
            bar.update(len(part))
    return Conditions(space=card, values=values, ids=tuple(ids))


def picture(stimuli: Stimuli, stimulus: str, *, space: str) -> Image.Image:
    """The stimulus as an RGB picture; a stimulus that is none is an `InputError`."""
    came = stimuli.open(stimulus) if stimuli.modality == "image" else None
    if not isinstance(came, Image.Image):
        raise InputError(
            f"condition space {space!r}: expected pictures, found {stimuli.modality} ({stimulus}); choose another space"
        )
    return came.convert("RGB")


def fitted(image: Image.Image, height: int, width: int, *, resample: Image.Resampling) -> Image.Image:
    """The picture's largest central part of the needed aspect, resized to (height, width) in pixels."""
    scale = min(image.width / width, image.height / height)
    left, top = (image.width - width * scale) / 2, (image.height - height * scale) / 2
    return image.resize((width, height), resample, box=(left, top, image.width - left, image.height - top))
