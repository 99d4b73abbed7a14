"""Stimuli that are sounds, made ready for a tower: mono, at its rate, at its length."""

from __future__ import annotations

import numpy as np

from brain.errors import InputError, expected
from brain.files.waveforms import LONGEST_SECONDS, checked, resampled
from brain.types import Float, Stimuli

PADS = ("zero", "repeat")


def heard(stimuli: Stimuli, stimulus: str, *, space: str, rate: int) -> Float:
    """The stimulus as (sample,) float32 mono at `rate`; no sound, or one above 30 s, is an `InputError`."""
    name = f"condition space {space!r}, stimulus {stimulus}"
    came = stimuli.open(stimulus) if stimuli.modality == "sound" else None
    if not isinstance(came, tuple):
        raise InputError(
            f"condition space {space!r}: expected sounds, found {stimuli.modality} ({stimulus}); choose another space"
        )
    wave, own = came
    mono = checked(wave, own, name=name)
    if len(mono) > LONGEST_SECONDS * own:
        length = f"{len(mono) / own:.1f} s"
        raise InputError(expected(name, f"at most {LONGEST_SECONDS:g} s", length, "cut it into windows"))
    return resampled(mono, own, to=rate)


def filled(wave: Float, samples: int, *, pad: str, slack: int, name: str) -> Float:
    """A sound `wave` (sample,) at this length: a shorter one is followed by zeros ("zero") or by itself ("repeat").

    A sound that is longer by `slack` samples or more is an `InputError` about `name`: what to leave out is not ours.
    """
    if len(wave) >= samples + slack:
        then = "cut it into windows of that length"
        raise InputError(expected(name, f"at most {samples} samples", f"{len(wave)}", then))
    if pad == "repeat":
        return np.resize(wave, samples)
    return np.pad(wave[:samples], (0, max(samples - len(wave), 0)))
