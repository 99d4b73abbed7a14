"""How the files of a folder come before judges and metrics: pictures on one canvas, sounds of one length.

showing = shown_as(samples, profile=profile)
one = showing.open(sample)                     # what a judge is given: an RGB picture, or (sample,) at 16 kHz
views = showing.views([showing.kept(one), ...])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from brain.errors import InputError, expected
from brain.files.waveforms import HOP_SECONDS, RATE, windowed
from evaluation.metrics import Views
from evaluation.profiles import Profile
from evaluation.samples.rows import REFERENCE
from evaluation.samples.sounds import SILENT, SOUND, Float, described
from evaluation.samples.types import Sample, Samples

# Pixel metrics see both pictures at one size: the references' own, but no side above this.
LARGEST_CANVAS = 256
# References may end a little apart; at half the length of another nothing is left to compare.
SHORTEST_SHARE = 0.5


class Showing(Protocol):
    """How samples are opened; `unit` is the word a progress bar counts in, `facts` what the report's card says."""

    @property
    def unit(self) -> str: ...

    def open(self, sample: Sample) -> Any:
        """What a judge is given."""
        ...

    def kept(self, one: Any) -> NDArray[Any]:
        """What metrics compare: a picture (height, width, 3) or a sound (sample,)."""
        ...

    def views(self, kept: Sequence[NDArray[Any]]) -> Views:
        """A stack of what was kept, (height, width, 3) or (sample,), without anybody's opinion."""
        ...

    def facts(self) -> dict[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Pictures as they are for judges, and on a canvas (height, width) for metrics of pixels.

    through  a side to which both pictures are brought first, 0 for none
    """

    samples: Samples
    canvas: tuple[int, int]
    through: int = 0
    unit: str = "picture"

    def open(self, sample: Sample) -> Image.Image:
        """The picture as it was stored."""
        return self.samples.open(sample)

    def kept(self, one: Image.Image) -> NDArray[np.uint8]:
        """The picture on the canvas (height, width, 3) uint8."""
        size = (self.canvas[1], self.canvas[0])
        for side in ((self.through, self.through), size) if self.through else (size,):
            one = one if one.size == side else one.resize(side, Image.Resampling.BILINEAR)
        return np.asarray(one)

    def views(self, kept: Sequence[NDArray[Any]]) -> Views:
        """The pictures stacked, pixels (stimulus, height, width, 3)."""
        return Views(pixels=np.stack(kept))

    def facts(self) -> dict[str, Any]:
        """No facts: pictures are not cut."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Sounds:
    """Sounds, all cut to `length` samples at 16 kHz.

    heard  what stands in the card: the length, and how many files had to be cut or are silent
    """

    samples: Samples
    length: int
    heard: dict[str, Any]
    unit: str = "sound"

    def open(self, sample: Sample) -> Float:
        """The sound (sample,) at 16 kHz, cut to `length`."""
        return windowed(
            self.samples.hear(sample), RATE, start_s=0.0, seconds=self.length / RATE, name=self.samples.path(sample)
        )

    def kept(self, one: Float) -> Float:
        """The sound (sample,) itself."""
        return one

    def views(self, kept: Sequence[NDArray[Any]]) -> Views:
        """Descriptions of the sounds (sample,), and no pixels."""
        return Views(pixels=np.zeros((len(kept), 0, 0, 3), np.uint8), sounds=described(np.stack(kept)))

    def facts(self) -> dict[str, Any]:
        """How the sounds were cut."""
        return {"sounds": self.heard}


def shown_as(samples: Samples, *, profile: Profile) -> Showing:
    """Pictures at the profile's size, else at the first reference's; sounds at the shortest reference's length.

    References of very different lengths, a silent reference, or a sample shorter than them, are an InputError.
    """
    if samples.modality == SOUND:
        return _sounds(samples)
    if profile.side:
        return Pictures(samples=samples, canvas=(profile.side, profile.side), through=profile.through)
    picture = samples.open(samples.references[min(samples.references)])
    shrink = min(1.0, LARGEST_CANVAS / max(picture.size))
    canvas = (max(1, round(picture.height * shrink)), max(1, round(picture.width * shrink)))
    return Pictures(samples=samples, canvas=canvas)


def _sounds(samples: Samples) -> Sounds:
    from brain.console.progress import progress

    every = [*samples.references.values(), *samples.others.values(), *samples.samples]
    heard = [one for one in every if not one.withheld]
    lengths, silent = [], 0
    for one in progress(heard, desc="measuring sounds", unit="sound"):
        wave = samples.hear(one)
        lengths.append(len(wave))
        if float(np.abs(wave).max()) < SILENT:
            if one.row == REFERENCE:
                raise InputError(expected(samples.path(one), "a sound that was heard", "silence", "restore the file"))
            silent += 1
    shown = lengths[: len(samples.references)]
    shortest, longest = min(shown), max(shown)
    few = next((one for one, length in zip(heard, lengths, strict=True) if _ends_early(length, shortest)), None)
    if shortest < SHORTEST_SHARE * longest:
        name = samples.path(heard[shown.index(shortest)])
        came = f"{shortest / RATE:g} s where another has {longest / RATE:g} s"
        raise InputError(expected(name, "references of about one length", came, "cut all to one window"))
    if few is not None:
        came = f"{lengths[heard.index(few)] / RATE:g} s"
        then = "draw sounds as long as what was heard, or cut the references"
        raise InputError(expected(samples.path(few), f"{shortest / RATE:g} s as the references last", came, then))
    cut = sum(_ends_early(shortest, length) for length in lengths)
    facts = {
        "heard as": f"mono at {RATE} Hz, {shortest / RATE:g} s",
        "longer ones that were cut at their end": cut,
        "silent samples": silent,
    }
    return Sounds(samples=samples, length=shortest, heard=facts)


def _ends_early(length: int, other: int) -> bool:
    """Whether a frame of a spectrogram or more is missing."""
    return length <= other - HOP_SECONDS * RATE
