"""Sounds as the judge hears them: any .wav that is handed over, as mono at 16 kHz, or refused in one sentence.

wave = hear_file(path)              # (sample,) float32, resampled where it has to be
described(waves)                    # what metrics compare: log-mel, pitch, centroid, envelope, modulation
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.files.waveforms import PEAK, RATE, checked, read_wave, resampled

Float = NDArray[np.float32]

SOUND = "sound"
SUFFIXES = (".wav",)
SILENT = 1 / 2**15
"""Half a step of 16 bits: what no player plays."""


def hear_file(path: Path) -> Float:
    """The sound file at `path` as (sample,) float32 mono at 16 kHz; no sound, or one over 30 s, is an InputError."""
    wave, rate = read_wave(path)
    return resampled(wave, rate)


def samples_in(path: Path) -> int:
    """How many samples at 16 kHz the sound at `path` has."""
    return len(hear_file(path))


def wav_bytes(wave: Float, *, name: str) -> bytes:
    """A mono sound (sample,) at 16 kHz as 16-bit PCM, turned down where its peak is above .99.

    The same samples give the same bytes. Silence, NaN and what is no mono sound are an InputError about `name`.
    """
    import soundfile

    if np.ndim(wave) != 1:
        raise InputError(expected(name, "a mono sound (sample,)", f"shape {np.shape(wave)}", "average the channels"))
    mono = checked(wave, RATE, name=name)
    peak = float(np.abs(mono).max())
    if peak < SILENT:
        raise InputError(expected(name, "a sound", "silence", "withhold this sample, or see what made it"))
    out = io.BytesIO()
    soundfile.write(out, mono * min(1.0, PEAK / peak), RATE, format="WAV", subtype="PCM_16")
    return out.getvalue()


def described(waves: Float) -> dict[str, Float]:
    """What metrics compare in sounds (stimulus, sample) at 16 kHz, float32 each.

    mel         (stimulus, frame, mel) natural logarithm of magnitudes, 100 frames a second
    f0          (stimulus, frame) Hz, NaN where nothing is voiced
    centroid    (stimulus, frame) Hz, 0 where a frame is silent
    envelope    (stimulus, frame)
    modulation  (stimulus, feature); not there for sounds below a second, which have no slow modulations
    """
    from encoders.sounds.acoustics import FRAMES, centroid, envelope, f0, modulation
    from encoders.sounds.mel import DEFAULT, log_mel

    mels = np.stack([log_mel(wave, DEFAULT) for wave in waves])
    found = {
        "mel": mels,
        "f0": f0(waves, RATE),
        "centroid": np.nan_to_num(centroid(mels, DEFAULT)),
        "envelope": envelope(waves, RATE),
    }
    return found | ({"modulation": modulation(mels)} if mels.shape[1] >= FRAMES else {})
