"""Sounds in the page: log-mel spectrograms as small pictures, and players for as many stimuli as fit into one file.

sounds = SoundStrips.of(samples, columns=6, home=run, page=run / "report")
sounds.picture(sample, playable=sounds.plays(place))

What has no player is linked to its wav, where page and sample lie in one run.
"""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from PIL import Image

from encoders.sounds.mel import DEFAULT, log_mel
from evaluation.metrics._parts.mels import LOUDEST
from evaluation.samples.sounds import SILENT, Float, wav_bytes
from evaluation.samples.types import Sample, Samples

PAGE, FEWEST = 12 * 2**20, 2 * 2**20
"""Bytes of all pictures and sounds in one page, which a mail takes, and of its sounds however many pictures it has."""
WIDE, HIGH, PICTURE = 112, 56, 6000
"""Pixels of a spectrogram, and the bytes it may need; above `MANY` of them both sides are halved."""
MANY = 1200
LEVELS = 48
# Shown are some 80 dB below the loudest: e^-7, in natural logarithms of magnitudes.
DARKEST = -7.0
BYTES, BASE64 = 2, 4 / 3
COLOURS = "magma"


@dataclass(frozen=True, kw_only=True)
class SoundPicture:
    """A sound in the gallery: its spectrogram and, where it can be played, its wav, both as data URIs.

    link  the path of the wav from the page on, percent-encoded, where it cannot be played in it; "" where there is none
    """

    uri: str
    why: str = ""
    small: bool = False
    wav: str = ""
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class SoundStrips:
    """How the sounds of a folder are shown: every stimulus as spectrograms, every `step`-th with players.

    home     the run that was judged; page the folder that the page lies in
    seconds  how long the references are; high: the Hz at the top
    """

    samples: Samples
    home: Path
    page: Path
    step: int
    seconds: float
    high: float
    size: tuple[int, int] = (WIDE, HIGH)

    @classmethod
    def of(cls, samples: Samples, *, columns: int, home: Path, page: Path) -> SoundStrips:
        """`columns` is how many sounds a stimulus shows: with players at all of them the page would grow too large."""
        wave = samples.hear(samples.references[min(samples.references)])
        pictures = len(samples.references) * columns
        half = 2 if pictures > MANY else 1
        room = max(FEWEST, PAGE - pictures * PICTURE // half**2)
        each = columns * BASE64 * BYTES * len(wave)
        # of stimuli in the order of their ids, as far apart as needed: nothing is picked
        step = -(-len(samples.references) // max(1, int(room / each)))
        size = WIDE // half, HIGH // half
        return cls(
            samples=samples, home=home.resolve(), page=page.resolve(), step=step, seconds=len(wave) / DEFAULT.rate,
            high=DEFAULT.high, size=size,
        )  # fmt: skip

    def plays(self, place: int) -> bool:
        """Whether the stimulus at that place has players."""
        return place % self.step == 0

    def legend(self) -> dict[str, str]:
        """What the pictures are and which can be played, as `text`; the ends of their axes, `high` and `seconds`."""
        every = "Every stimulus" if self.step == 1 else f"Of all stimuli, every {_ordinal(self.step)}"
        linked = self.step > 1 and bool(self.link(self.samples.references[min(self.samples.references)]))
        others = "; the others are linked to their wav files, which are found while this page stays in its run"
        text = (
            f"Pictures are log-mel spectrograms: time runs to the right over {self.seconds:.2f} s, frequency upwards "
            f"from 0 to {self.high / 1000:g} kHz on the mel scale, brighter is louder, by one scale for all. "
            f"{every} has players{others if linked else ''}; every sound is a wav file in the folder that was judged."
        )
        return {"text": text, "high": f"{self.high / 1000:g} kHz", "seconds": f"{self.seconds:.2f} s"}

    def picture(self, sample: Sample | None, *, playable: bool) -> SoundPicture:
        """A sample as it is shown; a withheld one, or none, says so."""
        if sample is None or sample.withheld:
            return SoundPicture(uri="", why="withheld" if sample is not None else "none")
        wave = self.samples.hear(sample)
        heard = playable and float(np.abs(wave).max()) >= SILENT
        wav = _data_uri(wav_bytes(wave, name=sample.name), "audio/wav") if heard else ""
        link = "" if playable else self.link(sample)
        return SoundPicture(uri=_data_uri(spectrogram_png(wave, self.size), "image/png"), wav=wav, link=link)

    def link(self, sample: Sample) -> str:
        """The sample's wav as a path from the page on; "" where page and wav do not both lie in the run."""
        path = self.samples.path(sample).resolve()
        if not (path.is_relative_to(self.home) and self.page.is_relative_to(self.home)):
            return ""
        return quote(Path(os.path.relpath(path, self.page)).as_posix())


def spectrogram_png(wave: Float, size: tuple[int, int] = (WIDE, HIGH)) -> bytes:
    """The log-mel of a sound (sample,) at 16 kHz as PNG of `size` (width, height), low frequencies at the bottom."""
    return mel_png(log_mel(wave, DEFAULT), size)


def mel_png(mel: Float, size: tuple[int, int] = (WIDE, HIGH)) -> bytes:
    """A log-mel spectrogram (frame, mel) as PNG of `size` (width, height), low frequencies at the bottom."""
    import matplotlib

    shade = np.clip((mel - DARKEST) / (LOUDEST - DARKEST), 0, 1)
    grey = Image.fromarray(np.round(255 * shade.T[::-1]).astype(np.uint8)).resize(size, Image.Resampling.BOX)
    level = np.asarray(grey).astype(np.int64) * LEVELS // 256
    picture = Image.fromarray(level.astype(np.uint8))
    colours = matplotlib.colormaps[COLOURS](np.linspace(0, 1, LEVELS))[:, :3]
    picture.putpalette(np.round(255 * colours).astype(np.uint8).tobytes())
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
