"""Waveforms in and out: what a sound must satisfy before anything listens to it, and how one is written.

Inside, a sound is (sample,) float32, mono, at `RATE`; it comes in as it lies on disk and leaves as 16-bit PCM:

    wave, rate = read_wave(path)                          # mono, whole, finite, not longer than 30 s
    window = windowed(resampled(wave, rate), RATE, start_s=1.28, seconds=2.56, name=path)
    write_wave(out, window, RATE)
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import AfterimageError, InputError, UsageError, expected
from brain.files.paths import kind_of, present
from brain.types import Float
from brain.writing.opener import write_bytes

RATE = 16000
"""Samples a second of every sound inside: that of the AudioLDM family."""
LONGEST_SECONDS = 30.0
"""A stimulus longer than this has to be cut into windows first."""
SHORTEST_SECONDS = 0.1
"""Below this no spectrogram has ten frames."""
HOP_SECONDS = 0.01
"""How much a window may miss at its end, to be padded with silence: one frame of a spectrogram."""
LOWEST_RATE, HIGHEST_RATE = 1_000, 400_000
PEAK = 0.99
"""The highest sample that is written."""
UNSIZED = 0x7FFFF000
"""From this length on a wav header was written before the sound had ended: by SoX or ffmpeg into a pipe."""
MOST = 100_000_000
"""A sound of more samples, channels counted, is refused before it is decoded."""


def read_wave(path: Path, *, start_s: float = 0.0, seconds: float | None = None) -> tuple[Float, int]:
    """A sound file, or `seconds` of it from `start_s` on, as ((sample,) float32 mono in -1..1, rate in Hz).

    Absent, empty, cut short, NaN, no sound at all, below 0.1 s, or longer than `LONGEST_SECONDS`: `InputError`.
    """
    import soundfile

    present(path, what="a sound file", then="give the path of a wav, flac or ogg file")
    _whole(path)
    try:
        with soundfile.SoundFile(path) as sound:
            rate = _rate(sound.samplerate, name=path)
            start, count = _stretch(sound.frames, rate, start_s=start_s, seconds=seconds, name=path)
            if count * sound.channels > MOST:
                found = f"{sound.channels} channels of {count}"
                raise InputError(expected(path, f"at most {MOST} samples in all channels", found, "keep one channel"))
            sound.seek(start)
            wave = sound.read(count, dtype="float32", always_2d=True)
    except (AfterimageError, MemoryError):
        raise
    except Exception as fault:  # soundfile passes on what libsndfile, cffi and numpy stumble over
        raise _no_sound(path) from fault
    if len(wave) < count:
        came = f"one that ends after {len(wave)} of {count} samples"
        raise InputError(expected(path, "a whole sound", came, "fetch the file again"))
    mono = checked(wave, rate, name=path)
    if seconds is not None:
        mono = windowed(mono, rate, start_s=0.0, seconds=seconds, name=path)
    return mono, rate


def length_of(path: Path) -> tuple[int, int]:
    """How many samples a sound file holds by its header, and its rate in Hz; no sound is an InputError."""
    import soundfile

    present(path, what="a sound file", then="put it back")
    _whole(path)
    try:
        facts = soundfile.info(path)
    except Exception as fault:
        raise _no_sound(path) from fault
    return int(facts.frames), _rate(facts.samplerate, name=path)


def _no_sound(path: Path) -> InputError:
    with open(path, "rb") as file:
        found = kind_of(file.read(512))
    found = f"{found} that does not read as one" if found != "an empty file" else found
    return InputError(expected(path, "a sound (wav, flac, ogg)", found, "export the sound again"))


def checked(wave: NDArray[Any], rate: int, *, name: object) -> Float:
    """`wave`, (sample,) or (sample, channel) of floats, as (sample,) float32: channels averaged.

    NaN or infinity, below 0.1 s, integers, another number of axes or an impossible rate: `InputError` about `name`.
    """
    rate = _rate(rate, name=name)
    wave = np.asarray(wave)
    if wave.ndim not in (1, 2) or wave.dtype.kind != "f":
        came = f"{wave.dtype} {wave.shape}"
        raise InputError(expected(name, "floats (sample,) or (sample, channel)", came, "convert to floats in -1..1"))
    if len(wave) < SHORTEST_SECONDS * rate:
        came = f"{len(wave)} sample{'s' * (len(wave) != 1)} at {rate} Hz"
        raise InputError(expected(name, f"a sound of {SHORTEST_SECONDS:g} s or more", came, "give a longer one"))
    if wave.ndim == 2 and not 0 < wave.shape[1] < len(wave):
        raise InputError(expected(name, "the samples on the first axis", f"{wave.shape}", "transpose the array"))
    mono = wave if wave.ndim == 1 else wave.mean(axis=1, dtype=np.float64)
    if not np.isfinite(mono).all():
        raise InputError(expected(name, "finite samples", "NaN or infinity", "export the sound again"))
    return np.asarray(mono, np.float32)


def resampled(wave: Float, rate: int, *, to: int = RATE) -> Float:
    """(sample,) float32 at `rate` -> (ceil(sample * to / rate),) float32 at `to`, by a polyphase filter."""
    from scipy.signal import resample_poly

    rate, to = _rate(rate, name="resampling from"), _rate(to, name="resampling to")
    if rate == to:
        return np.asarray(wave, np.float32)
    common = math.gcd(rate, to)
    return np.asarray(resample_poly(wave.astype(np.float64), to // common, rate // common), np.float32)


def windowed(wave: Float, rate: int, *, start_s: float, seconds: float, name: object) -> Float:
    """A stretch of a mono sound `wave` (sample,): (sample,) float32; what misses less than 10 ms is padded with zeros.

    It has round(seconds * rate) samples. A stretch that begins before the sound or ends later than that behind it is an
    `InputError` about `name`.
    """
    start, count = _stretch(len(wave), rate, start_s=start_s, seconds=seconds, name=name)
    part = np.asarray(wave[start : start + count], np.float32)
    return np.pad(part, (0, round(seconds * rate) - len(part)))


def levelled(wave: Float) -> Float:
    """(sample,) or (n, sample) float32: mean removed, peak at .5, each sound by itself; silence stays silence.

    The convention of AudioLDM's training sounds (Liu et al. 2023, `normalize_wav`).
    """
    centred = wave.astype(np.float64) - wave.mean(axis=-1, keepdims=True, dtype=np.float64)
    return np.asarray(0.5 * centred / (np.abs(centred).max(axis=-1, keepdims=True) + 1e-8), np.float32)


def write_wave(path: Path, wave: Float, rate: int) -> None:
    """Write a mono sound (sample,) as 16-bit PCM wav: whole or not at all, turned down where its peak is above .99.

    Silence, NaN and what is no mono sound are an `InputError`; no room or no rights: `StorageError`.
    """
    import soundfile

    if np.ndim(wave) != 1:
        raise InputError(expected(path, "a mono sound (sample,)", f"shape {np.shape(wave)}", "average the channels"))
    mono = checked(wave, rate, name=path)
    peak = float(np.abs(mono).max())
    if peak < 1 / 2**15:
        raise InputError(expected(path, "a sound to write", "silence", "see what made it"))
    sound = io.BytesIO()
    soundfile.write(sound, mono * min(1.0, PEAK / peak), rate, format="WAV", subtype="PCM_16")
    write_bytes(path, sound.getvalue())


def _rate(rate: int, *, name: object) -> int:
    if int(rate) != rate or not LOWEST_RATE <= rate <= HIGHEST_RATE:
        want = f"a whole rate of {LOWEST_RATE} to {HIGHEST_RATE} Hz"
        raise InputError(expected(name, want, f"{rate}", "export the sound again"))
    return int(rate)


def _stretch(samples: int, rate: int, *, start_s: float, seconds: float | None, name: object) -> tuple[int, int]:
    """First sample and number of samples that are there of a stretch."""
    if not (start_s >= 0 and math.isfinite(start_s)) or (seconds is not None and not 0 < seconds <= LONGEST_SECONDS):
        then = f"begin at 0 or later and take at most {LONGEST_SECONDS:g} s"
        raise UsageError(expected(name, "a stretch of the sound", f"{seconds} s from {start_s} s on", then))
    start = round(start_s * rate)
    count = samples - start if seconds is None else round(seconds * rate)
    length = samples / rate
    if seconds is None and count > LONGEST_SECONDS * rate:
        then = "cut it into windows, or name a start and a length"
        raise InputError(expected(name, f"a stimulus of at most {LONGEST_SECONDS:g} s", f"one of {length:.1f} s", then))
    missing = start + count - samples
    if count < 1 or start >= samples > 0 or (missing > 0 and missing >= HOP_SECONDS * rate):
        want = "the whole sound" if seconds is None else f"{seconds:g} s"
        came = f"a sound of {length:.3f} s"
        raise InputError(expected(name, f"{want} from {start_s:g} s on", came, "name a stretch inside the sound"))
    return start, count - max(missing, 0)


def _whole(path: Path) -> None:
    """Refuse a wav file that is shorter than its header says: the library would read what is left of it."""
    with open(path, "rb") as file:
        head = file.read(12)
    said = int.from_bytes(head[4:8], "little")
    if head[:4] == b"RIFF" and head[8:] == b"WAVE" and said < UNSIZED and path.stat().st_size < said + 8:
        came = f"{path.stat().st_size} of {said + 8} bytes"
        raise InputError(expected(path, "a whole wav file", came, "fetch the file again"))
