"""Metrics of sounds: spectrograms, pitch, brightness, loudness over time, modulations; absent for pictures.

Correlations of log-mels reward blur in time and frequency as those of pixels do. Errors of pitch hold only for the
frames that are voiced in both sounds, so that a sample without pitch escapes them: read them beside `voicing`, and
beside `pitch_accuracy`, which counts a frame without pitch as a miss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Float, Int, Marks, Views
from evaluation.metrics.comparison import Comparison
from evaluation.metrics.identification import Top1, Top1OtherRecons, TwoWay, TwoWayOtherRecons
from evaluation.metrics.pixels import RADIUS, compared, correlation, ssim_grey
from evaluation.metrics.verdicts import NWay, Verdict

Wide = NDArray[np.float64]

# Natural logarithms of mel magnitudes: the recipe's floor is black, and no sound of full scale reaches white.
QUIETEST, LOUDEST = float(np.log(1e-5)), 2.5
FEWEST_VOICED = 10
"""Frames, that is a tenth of a second, below which nothing is said of pitch."""
SEMITONES = 12
HALF_SEMITONE = 0.5
# The least spread of pitch that can be followed: a tenth of a semitone.
FLAT = 0.1 / SEMITONES
WINDOW = 2 * RADIUS + 1


def soundless(references: Views) -> str:
    """The sentence for references that are no sounds, "" where they are."""
    return "" if references.sounds else "it compares sounds, and these are pictures"


@dataclass(frozen=True, kw_only=True)
class Correlation(Comparison):
    """Pearson correlation of one description of a sample and its reference, all its frames and bands in one row.

    of  "mel" (Liu et al. 2024, "PCC"), "envelope", "modulation" or "centroid", see `evaluation.sounds.described`
    """

    of: str
    bounds: tuple[float, float] = (-1.0, 1.0)

    def absent(self, references: Views) -> str:
        if reason := soundless(references):
            return reason
        return "" if self.of in references.sounds else f"these sounds are too short for {self.of}"

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        rows = [views.sounds[self.of].reshape(len(views), -1) for views in (samples, references)]
        return Marks(table=correlation(rows[0], rows[1]).astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class MelSsim(Comparison):
    """Structural similarity (Wang et al. 2004) of log-mel spectrograms as grey pictures, the window as in `Ssim`.

    Grey is 0 at the recipe's floor of 1e-5 and 1 at e^2.5, the same for every sound.
    """

    name: str = "mel_ssim"
    bounds: tuple[float, float] = (-1.0, 1.0)

    def absent(self, references: Views) -> str:
        if reason := soundless(references):
            return reason
        frames, mels = references.sounds["mel"].shape[1:]
        if min(frames, mels) < WINDOW:
            return f"SSIM's window is {WINDOW} frames and bands, and these spectrograms are {frames} x {mels}"
        return ""

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        grey = [grey_mels(views.sounds["mel"]) for views in (samples, references)]
        return Marks(table=compared(ssim_grey, grey[0], grey[1], own=own, blocks=blocks))


def grey_mels(mels: Float) -> Wide:
    """Log-mels of any shape as 0..1: the floor is 0, e^2.5 is 1."""
    grey: Wide = np.clip((mels.astype(np.float64) - QUIETEST) / (LOUDEST - QUIETEST), 0, 1)
    return grey


@dataclass(frozen=True, kw_only=True)
class CentroidError(Comparison):
    """Mean distance of the spectral centroids over all frames, in Hz; 0 for identical sounds."""

    name: str = "centroid_error"
    best: float = 0.0
    bounds: tuple[float, float] = (0.0, 8000.0)
    lower: bool = True

    def absent(self, references: Views) -> str:
        return soundless(references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        shown = references.sounds["centroid"]
        return Marks(table=np.stack([np.abs(shown - one).mean(axis=1) for one in samples.sounds["centroid"]]))


@dataclass(frozen=True, kw_only=True)
class Pitch(Comparison):
    """What metrics of pitch share: the tracks, and when they are absent."""

    def absent(self, references: Views) -> str:
        if reason := soundless(references):
            return reason
        voiced = np.isfinite(references.sounds["f0"]).sum(axis=1)
        return "" if voiced.max() >= FEWEST_VOICED else "no reference has a pitch"

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        first, second = (np.log2(views.sounds["f0"].astype(np.float64)) for views in (samples, references))
        return Marks(table=self.table(first, second).astype(np.float32))

    def table(self, samples: Wide, references: Wide) -> Wide:
        """(sample, reference) from log2 of the tracks (stimulus, frame), NaN where unvoiced."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class PitchError(Pitch):
    """Mean distance of the fundamental frequencies in semitones, over the frames voiced in both (Park et al. 2025
    print its Euclidean form); NaN below a tenth of a second of such frames."""

    name: str = "f0_error"
    best: float = 0.0
    bounds: tuple[float, float] = (0.0, 120.0)
    lower: bool = True

    def table(self, samples: Wide, references: Wide) -> Wide:
        out = np.full((len(samples), len(references)), np.nan)
        for row, track in enumerate(samples):
            apart = np.abs(references - track) * SEMITONES
            both = np.isfinite(apart).sum(axis=1)
            np.divide(np.nansum(apart, axis=1), both, out=out[row], where=both >= FEWEST_VOICED)
        return out


@dataclass(frozen=True, kw_only=True)
class PitchCorrelation(Pitch):
    """Pearson correlation of log F0 over the frames voiced in both; NaN below a tenth of a second of such frames, or
    where the reference keeps to one pitch, which nobody can follow. A sample that keeps to one pitch follows nothing:
    0."""

    name: str = "f0_correlation"
    bounds: tuple[float, float] = (-1.0, 1.0)

    def table(self, samples: Wide, references: Wide) -> Wide:
        (x, heard), (y, shown) = _centred(samples), _centred(references)
        both = heard @ shown.T
        count = np.maximum(both, 1)
        mean_x, mean_y = (x @ shown.T) / count, (heard @ y.T) / count
        spread_x = np.maximum((x**2 @ shown.T) / count - mean_x**2, 0)
        spread_y = np.maximum((heard @ (y**2).T) / count - mean_y**2, 0)
        shared = (x @ y.T) / count - mean_x * mean_y
        # one pitch in all frames leaves a spread of rounding alone
        follows, moves = spread_x > (FLAT / 1000) ** 2, spread_y > FLAT**2
        size = np.sqrt(spread_x * spread_y)
        known = np.divide(shared, size, out=np.zeros_like(shared), where=follows & moves)
        known[(both < FEWEST_VOICED) | ~moves] = np.nan
        return np.clip(known, -1, 1)


def _centred(tracks: Wide) -> tuple[Wide, Wide]:
    """The tracks with 0 where unvoiced, about their common mean, and where they are voiced as 1 and 0."""
    voiced = np.isfinite(tracks)
    middle = float(tracks[voiced].mean()) if voiced.any() else 0.0
    return np.where(voiced, tracks - middle, 0), voiced.astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class PitchAccuracy(Pitch):
    """Share of the reference's voiced frames in which the sample is voiced too and within half a semitone of it (raw
    pitch accuracy, Salamon et al. 2014, unvoiced frames being misses); NaN for a reference without pitch."""

    name: str = "pitch_accuracy"

    def table(self, samples: Wide, references: Wide) -> Wide:
        voiced = np.isfinite(references).sum(axis=1)
        out = np.full((len(samples), len(references)), np.nan)
        for row, track in enumerate(samples):
            near = (np.abs(references - track) * SEMITONES <= HALF_SEMITONE).sum(axis=1)
            np.divide(near, voiced, out=out[row], where=voiced >= FEWEST_VOICED)
        return out


@dataclass(frozen=True, kw_only=True)
class Voicing(Pitch):
    """Share of the frames that are voiced in both sounds or in neither."""

    name: str = "voicing"

    def table(self, samples: Wide, references: Wide) -> Wide:
        heard, shown = (np.isfinite(tracks).astype(np.float64) for tracks in (samples, references))
        alike: Wide = (heard @ shown.T + (1 - heard) @ (1 - shown).T) / samples.shape[1]
        return alike


CLAP, AST = "clap_htsat", "ast_audioset"
TEN = 10
"""Pools of ten are what decoders of sound print (RAG-Audio): their test sets have fifty clips or so."""

ENTRIES = (
    Correlation(name="mel_pcc", of="mel"),
    MelSsim(),
    Correlation(name="centroid_correlation", of="centroid"),
    CentroidError(),
    Correlation(name="envelope_correlation", of="envelope"),
    Correlation(name="modulation_correlation", of="modulation"),
    PitchCorrelation(),
    PitchError(),
    PitchAccuracy(),
    Voicing(),
    Top1(name=f"top1_pool{TEN}", eye="judge", size=TEN),
    Top1OtherRecons(name=f"top1_other_recons_pool{TEN}", eye="judge", size=TEN),
    *(TwoWay(name=f"two_way_{eye}", eye=eye) for eye in (CLAP, AST)),
    *(TwoWayOtherRecons(name=f"two_way_other_recons_{eye}", eye=eye) for eye in (CLAP, AST)),
    *(Top1(name=f"top1_{eye}_pool{TEN}", eye=eye, size=TEN) for eye in (CLAP, AST)),
    NWay(name="audioset_50way_top1_pseudo", group="audioset", ways=50, pseudo=True, eye=AST),
    *(Verdict(name=f"label_{group}", group=group) for group in ("pitch", "pace", "brightness", "space")),
)
