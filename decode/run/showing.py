"""Stimuli as every row is compared with them: pictures cut to one size, sounds cut to one length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageOps

from brain.errors import InputError
from brain.files.waveforms import RATE, checked, resampled, windowed
from brain.types import Float, Stimuli
from evaluation.samples.types import Samples

Show = Callable[[Stimuli, str], Any]
"""(stimuli, id) -> an RGB picture, or a sound (sample,) float32 at 16 kHz."""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Pictures at `size` (width, height)."""

    size: tuple[int, int]

    def __call__(self, stimuli: Stimuli, name: str) -> Image.Image:
        return shown(stimuli, name, self.size)


@dataclass(frozen=True, kw_only=True)
class Sounds:
    """Sounds of `samples` samples at 16 kHz, from their beginning; a shorter one is an InputError."""

    samples: int

    def __call__(self, stimuli: Stimuli, name: str) -> Float:
        return windowed(heard(stimuli, name), RATE, start_s=0.0, seconds=self.samples / RATE, name=f"stimulus {name}")


def shown(stimuli: Stimuli, name: str, size: tuple[int, int]) -> Image.Image:
    """The stimulus as an RGB picture, its centre cut to `size`'s aspect, resized (Lanczos)."""
    picture = stimuli.open(name).convert("RGB")
    return picture if picture.size == size else ImageOps.fit(picture, size, method=Image.Resampling.LANCZOS)


def heard(stimuli: Stimuli, name: str) -> Float:
    """The stimulus as a sound (sample,) float32, mono at 16 kHz; a picture is an InputError."""
    if stimuli.modality != "sound":
        raise InputError(f"stimulus {name}: expected a sound, found a picture; choose a recipe for pictures")
    wave, rate = stimuli.open(name)
    return resampled(checked(wave, rate, name=f"stimulus {name}"), rate)


def seconds_heard(stimuli: Stimuli, name: str) -> float:
    """How long the stimulus is, which stands for all; 0 for a picture."""
    return len(heard(stimuli, name)) / RATE if stimuli.modality == "sound" else 0.0


def show_like(samples: Samples) -> Show:
    """Stimuli as the references of these samples are shown, which are all of one size or one length."""
    first = next(iter(samples.references.values()))
    if samples.modality == "sound":
        return Sounds(samples=len(samples.hear(first)))
    return Pictures(size=samples.open(first).size)
