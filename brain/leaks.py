"""A guard against tests on training material: by name, and by content where the stimuli are at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from brain.errors import InputError
from brain.types import Split, Stimuli


def guard(split: Split, train_ids: Iterable[str], stimuli: Stimuli | None = None) -> None:
    """Refuse (InputError) to fit on `train_ids` when one of them is a test stimulus of `split`.

    With `stimuli`, a training stimulus whose pixels (or waveform) equal a test stimulus' bit for bit is refused too.
    """
    train = sorted(set(train_ids))
    both = sorted(set(train) & set(split.test))
    if both:
        raise InputError(
            f"split {split.name!r}: {len(both)} of its test stimuli are in the training set (first: {both[0]}); "
            "take them out before the fit"
        )
    if stimuli is None:
        return
    tested = {content_sha256(stimuli.open(name)): name for name in split.test}
    for name in train:
        twin = tested.get(content_sha256(stimuli.open(name)))
        if twin is not None:
            raise InputError(
                f"split {split.name!r}: training stimulus {name} is the same as test stimulus {twin} bit for bit; "
                "take one of the two out before the fit"
            )


def content_sha256(stimulus: Any) -> str:
    """The hex digest of an opened stimulus: size and RGB pixels of a PIL image, or rate and samples of a sound."""
    if isinstance(stimulus, tuple):
        waveform, rate = stimulus
        samples = np.ascontiguousarray(waveform, np.float32)
        return hashlib.sha256(f"sound {rate} {samples.shape}".encode() + samples.tobytes()).hexdigest()
    pixels = np.ascontiguousarray(np.asarray(stimulus.convert("RGB"), np.uint8))
    return hashlib.sha256(f"image {pixels.shape}".encode() + pixels.tobytes()).hexdigest()
