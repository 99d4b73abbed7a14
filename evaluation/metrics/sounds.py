"""Metrics of sounds: spectrograms, pitch, brightness, loudness over time, modulations; absent for pictures.

Correlations of log-mels reward blur in time and frequency as those of pixels do. Errors of pitch hold only for the
frames that are voiced in both sounds, so that a sample without pitch escapes them: read them beside `voicing`, and
beside `pitch_accuracy`, which counts a frame without pitch as a miss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from brain.data.correlation import pairwise
from evaluation.metrics import Views
from evaluation.metrics._parts.comparison import Comparison, spaced
from evaluation.metrics._parts.identification import (
    FIRST,
    Top1,
    top1_of,
    top1_other_recons_of,
    two_way_by,
    two_way_other_recons_by,
)
from evaluation.metrics._parts.mels import Wide, grey_mels
from evaluation.metrics._parts.structure import RADIUS, compared, ssim_grey
from evaluation.metrics._parts.verdicts import MIND_VIS, NWay, label_of
from evaluation.score import Int, Marks

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

    of  "mel" (Liu et al. 2024, "PCC"), "envelope", "modulation" or "centroid", see `samples.sounds.described`
    """

    of: str
    bounds: tuple[float, float] = (-1.0, 1.0)
    pooled: bool = False

    def absent(self, references: Views) -> str:
        """Why it cannot be computed, "" when it can: it needs sounds, long enough for what it compares."""
        if reason := soundless(references):
            return reason
        return "" if self.of in references.sounds else f"these sounds are too short for {self.of}"

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The correlations (sample, reference)."""
        rows = [views.sounds[self.of].reshape(len(views), -1) for views in (samples, references)]
        return Marks(table=pairwise(rows[0], rows[1]).astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class MelSsim(Comparison):
    """Structural similarity (Wang et al. 2004) of log-mel spectrograms as grey pictures, the window as in `Ssim`.

    Grey is 0 at the recipe's floor of 1e-5 and 1 at e^2.5, the same for every sound.
    """

    name: str = "mel_ssim"
    title: str = "Mel SSIM"
    description: str = "structural similarity of log-mel spectrograms; rewards blur"
    citation: str = "Wang et al. 2004, IEEE TIP 13, 600"
    profiles: Mapping[str, int] = field(default_factory=lambda: {"clean-sound": 60})
    plotted: bool = True
    headline: int = 7
    bounds: tuple[float, float] = (-1.0, 1.0)
    pooled: bool = False

    def absent(self, references: Views) -> str:
        """Why it cannot be computed, "" when it can: it needs spectrograms of the window's size."""
        if reason := soundless(references):
            return reason
        frames, mels = references.sounds["mel"].shape[1:]
        if min(frames, mels) < WINDOW:
            return f"SSIM's window is {WINDOW} frames and bands, and these spectrograms are {frames} x {mels}"
        return ""

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The similarities (sample, reference) inside the blocks."""
        grey = [grey_mels(views.sounds["mel"]) for views in (samples, references)]
        return Marks(table=compared(ssim_grey, grey[0], grey[1], own=own, blocks=blocks))


@dataclass(frozen=True, kw_only=True)
class CentroidError(Comparison):
    """Mean distance of the spectral centroids over all frames, in Hz; 0 for identical sounds."""

    name: str = "centroid_error"
    title: str = "Centroid error"
    description: str = "distance of spectral centroids in Hz, less is better"
    unit: str = "Hz"
    profiles: Mapping[str, int] = field(default_factory=lambda: {"clean-sound": 250})
    best: float = 0.0
    bounds: tuple[float, float] = (0.0, 8000.0)
    lower: bool = True
    pooled: bool = False

    def absent(self, references: Views) -> str:
        """Why it cannot be computed, "" when it can: it needs sounds."""
        return soundless(references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The mean distances in Hz (sample, reference)."""
        shown = references.sounds["centroid"]
        return Marks(table=np.stack([np.abs(shown - one).mean(axis=1) for one in samples.sounds["centroid"]]))


@dataclass(frozen=True, kw_only=True)
class Pitch(Comparison):
    """What metrics of pitch share: the tracks, and when they are absent."""

    pooled: bool = False

    def absent(self, references: Views) -> str:
        """Why it cannot be computed, "" when it can: it needs a reference with a pitch."""
        if reason := soundless(references):
            return reason
        voiced = np.isfinite(references.sounds["f0"]).sum(axis=1)
        return "" if voiced.max() >= FEWEST_VOICED else "no reference has a pitch"

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The table of the log2 tracks (sample, reference)."""
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
    title: str = "F0 error"
    description: str = "distance of pitch in semitones, where both are voiced, less is better"
    unit: str = "semitones"
    profiles: Mapping[str, int] = field(default_factory=lambda: {"clean-sound": 270})
    best: float = 0.0
    bounds: tuple[float, float] = (0.0, 120.0)
    lower: bool = True

    def table(self, samples: Wide, references: Wide) -> Wide:
        """Mean distances in semitones (sample, reference) of tracks (stimulus, frame)."""
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
    title: str = "F0 correlation"
    description: str = "does pitch rise and fall together, where both are voiced"
    profiles: Mapping[str, int] = field(default_factory=lambda: {"clean-sound": 260})
    bounds: tuple[float, float] = (-1.0, 1.0)

    def table(self, samples: Wide, references: Wide) -> Wide:
        """Correlations (sample, reference) of tracks (stimulus, frame)."""
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
        known: Wide = np.divide(shared, size, out=np.zeros_like(shared), where=follows & moves)
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
    title: str = "Pitch accuracy"
    description: str = "the sample is within half a semitone where the reference is voiced"
    citation: str = "Salamon et al. 2014, IEEE Signal Processing Magazine 31, 118"
    profiles: Mapping[str, int] = field(default_factory=lambda: {"clean-sound": 280})
    plotted: bool = True

    def table(self, samples: Wide, references: Wide) -> Wide:
        """Shares of voiced frames that are right (sample, reference), of tracks (stimulus, frame)."""
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
    title: str = "Voicing"
    description: str = "both are voiced, or neither is"
    profiles: Mapping[str, int] = field(default_factory=lambda: {"clean-sound": 290})

    def table(self, samples: Wide, references: Wide) -> Wide:
        """Shares of frames of the same voicing (sample, reference), of tracks (stimulus, frame)."""
        heard, shown = (np.isfinite(tracks).astype(np.float64) for tracks in (samples, references))
        alike: Wide = (heard @ shown.T + (1 - heard) @ (1 - shown).T) / samples.shape[1]
        return alike


CLAP, AST = "clap_htsat", "ast_audioset"
TEN = 10
"""Pools of ten are what decoders of sound print (RAG-Audio): their test sets have fifty clips or so."""
LABELS = {
    "pitch": {"clean-sound": 330}, "pace": {"clean-sound": 340}, "brightness": {"clean-sound": 350},
    "space": {"clean-sound": 360},
}  # fmt: skip
TWO_WAY = {CLAP: {"clean-sound": 130}, AST: {"clean-sound": 160}}
OTHER_RECONS = {CLAP: {"clean-sound": 140}, AST: {"clean-sound": 170}}
IN_TEN = {CLAP: {"clean-sound": 150}, AST: {"clean-sound": 180}}
"""Places in profiles."""
ENTRIES = (
    Correlation(
        name="mel_pcc", title="Mel correlation", description="correlation of log-mel spectrograms; rewards blur",
        of="mel", profiles={"clean-sound": 50}, plotted=True, headline=6,
        citation="Liu et al. 2024 (C2F-LDM), arXiv 2405.18726",
    ),
    MelSsim(),
    Correlation(
        name="centroid_correlation", title="Centroid correlation", description="does brightness rise and fall together",
        of="centroid", profiles={"clean-sound": 240},
    ),
    CentroidError(),
    Correlation(
        name="envelope_correlation", title="Envelope", description="correlation of loudness over time", of="envelope",
        profiles={"clean-sound": 300}, plotted=True,
    ),
    Correlation(
        name="modulation_correlation", title="Modulation", description="correlation of modulation spectra",
        of="modulation", profiles={"clean-sound": 310},
    ),
    PitchCorrelation(),
    PitchError(),
    PitchAccuracy(),
    Voicing(),
    top1_of(TEN, {"clean-sound": 90}),
    top1_other_recons_of(TEN, {"clean-sound": 100}),
    *(two_way_by(network, profiles=profiles) for network, profiles in TWO_WAY.items()),
    *(two_way_other_recons_by(network, profiles=profiles) for network, profiles in OTHER_RECONS.items()),
    *(
        Top1(
            name=f"top1_{network}_pool{TEN}", title=f"Top-1, {spaced(network)}", description=f"{FIRST}, by {network}",
            network=network,
            size=TEN, profiles=profiles,
        )
        for network, profiles in IN_TEN.items()
    ),
    NWay(
        name="audioset_50way_top1_pseudo", title="AudioSet, 50-way", group="audioset", ways=50, pseudo=True,
        network=AST,
        description="the class an AudioSet network gives the reference comes first", profiles={"clean-sound": 190},
        citation=MIND_VIS,
    ),
    *(label_of(group, profiles) for group, profiles in LABELS.items()),
)  # fmt: skip
