"""Sounds in a page: log-mel spectrograms as small pictures, and mp3 that any browser plays, at one level a stimulus.

    sounds = Sounds.of(samples)
    spectrogram(wave), player(wave, level=common_level(waves, peak=PEAK_MP3))
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from brain.files.waveforms import RATE
from encoders.sounds.mel import DEFAULT, log_mel
from evaluation.metrics._parts.mels import LOUDEST
from evaluation.report.pages.frame import data_uri
from evaluation.samples.sounds import SILENT, Float
from evaluation.samples.types import Samples

WIDE, HIGH = 240, 80
"""Pixels of a spectrogram in a page."""
COMPRESSION = 0.8
"""Of mp3 at a variable rate, 0 the best and 1 the smallest: some 28 kbit/s at 16 kHz."""
LOUD, PEAK, PEAK_MP3 = 0.1, 0.99, 0.75
"""The RMS that players share where no sound would clip at it, the highest peak, and that of mp3, which overshoots."""
LEVELS = 48
# Shown are some 80 dB below the loudest: e^-7, in natural logarithms of magnitudes.
DARKEST = -7.0
COLOURS = "magma"


@dataclass(frozen=True, kw_only=True)
class Sounds:
    """How the sounds of a folder are shown.

    seconds  how long the references are; high: the Hz at the top of a spectrogram
    """

    seconds: float
    high: float

    @classmethod
    def of(cls, samples: Samples) -> Sounds:
        """By the first reference, for all are of one length."""
        wave = samples.hear(samples.references[min(samples.references)])
        return cls(seconds=len(wave) / RATE, high=DEFAULT.high)

    def legend(self) -> str:
        """What the pictures and the players are, and where their axes end."""
        return (
            f"Pictures are log-mel spectrograms: time runs to the right over {self.seconds:.2f} s, frequency upwards "
            f"from 0 to {self.high / 1000:g} kHz on the mel scale, brighter is louder, by one scale for all. Players "
            "have mp3, all of a stimulus at one RMS level, the highest at which none clips; the wav files as they were "
            "judged lie in the folder of samples."
        )

def spectrogram(wave: Float) -> str:
    """The log-mel of a sound (sample,) at 16 kHz as a data URI of WebP, low frequencies at the bottom."""
    return data_uri(_saved(mel_picture(log_mel(wave, DEFAULT), (WIDE, HIGH)).convert("RGB"), quality=80), "image/webp")


def player(wave: Float, *, level: float) -> str:
    """A sound (sample,) at 16 kHz as mp3 of that RMS, a data URI; "" for silence, which no player plays."""
    if float(np.abs(wave).max(initial=0)) < SILENT:
        return ""
    return data_uri(mp3_bytes(wave * (level / rms(wave))), "audio/mpeg")


def mp3_bytes(wave: Float) -> bytes:
    """A sound (sample,) at 16 kHz as mp3; the same sound gives the same bytes."""
    import soundfile

    out = io.BytesIO()
    how = {"format": "MP3", "subtype": "MPEG_LAYER_III", "compression_level": COMPRESSION, "bitrate_mode": "VARIABLE"}
    soundfile.write(out, np.asarray(wave, np.float32), RATE, **how)
    return out.getvalue()


def common_level(waves: Sequence[Float], *, peak: float = PEAK) -> float:
    """The RMS at which all of these sounds (sample,) can be played and none exceeds `peak`; silence does not count."""
    heard = [wave for wave in waves if float(np.abs(wave).max(initial=0)) >= SILENT]
    return min([LOUD, *(peak * rms(wave) / float(np.abs(wave).max()) for wave in heard)])


def rms(wave: Float) -> float:
    """Root mean square of a sound (sample,)."""
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))


def mel_png(mel: Float, size: tuple[int, int]) -> bytes:
    """A log-mel spectrogram (frame, mel) as PNG of `size` (width, height), low frequencies at the bottom."""
    out = io.BytesIO()
    mel_picture(mel, size).save(out, "PNG", optimize=True)
    return out.getvalue()


def mel_picture(mel: Float, size: tuple[int, int]) -> Image.Image:
    """A log-mel spectrogram (frame, mel) as a picture of `size` (width, height), brighter is louder."""
    import matplotlib

    shade = np.clip((mel - DARKEST) / (LOUDEST - DARKEST), 0, 1)
    grey = Image.fromarray(np.round(255 * shade.T[::-1]).astype(np.uint8)).resize(size, Image.Resampling.BOX)
    level = np.asarray(grey).astype(np.int64) * LEVELS // 256
    picture = Image.fromarray(level.astype(np.uint8))
    colours = matplotlib.colormaps[COLOURS](np.linspace(0, 1, LEVELS))[:, :3]
    picture.putpalette(np.round(255 * colours).astype(np.uint8).tobytes())
    return picture


def _saved(picture: Image.Image, *, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=quality)
    return out.getvalue()
