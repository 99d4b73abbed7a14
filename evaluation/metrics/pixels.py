"""Metrics on pixels: correlation of two pictures, and SSIM in its two-dimensional and its column-wise legacy form.

Both reward blur. Published SSIMs come from two formulas: scikit-image below 0.20 took the columns of a grey picture for
channels when told `multichannel=True`, and scored each column alone. That form, which has a name of its own here, is
higher on blur of sparse edges (.9206 for .8853 on one set of pairs) and lower under noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from brain.data.correlation import pairwise
from evaluation.metrics import Views
from evaluation.metrics._parts.comparison import Comparison, pictureless
from evaluation.metrics._parts.structure import RADIUS, inside_blocks, ssim, ssim_columns
from evaluation.score import Int, Marks
from evaluation.similarity import Wide


@dataclass(frozen=True, kw_only=True)
class PixCorr(Comparison):
    """Pearson correlation of all pixels and channels of a sample and its reference, as in Brain-Diffuser's script."""

    name: str = "pixcorr"
    title: str = "PixCorr"
    description: str = "correlation of all pixels; rewards blur"
    citation: str = "Ozcelik & VanRullen 2023, Scientific Reports 13, 15666"
    profiles: Mapping[str, int] = field(default_factory=lambda: {"clean": 50})
    plotted: bool = True
    headline: int = 4
    bounds: tuple[float, float] = (-1.0, 1.0)
    pooled: bool = False

    def absent(self, references: Views) -> str:
        """Why it cannot be computed, "" when it can: it needs pictures."""
        return pictureless(references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The correlations of pixels (sample, reference) inside the blocks."""

        def pairs(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Wide:
            return pairwise(left.reshape(len(left), -1), right.reshape(len(right), -1))

        return Marks(table=inside_blocks(pairs, samples=samples, references=references, own=own, blocks=blocks))


@dataclass(frozen=True, kw_only=True)
class Ssim(Comparison):
    """Structural similarity (Wang et al. 2004) on luminance in two dimensions: Gaussian window of sigma 1.5 cut at 11
    pixels, population covariance, data range 1, mean over the windows that lie inside. Equal to scikit-image's."""

    name: str = "ssim"
    title: str = "SSIM"
    description: str = "structural similarity in two dimensions; rewards blur"
    citation: str = "Wang et al. 2004, IEEE TIP 13, 600"
    profiles: Mapping[str, int] = field(default_factory=lambda: {"clean": 60})
    plotted: bool = True
    headline: int = 5
    bounds: tuple[float, float] = (-1.0, 1.0)
    pooled: bool = False

    def absent(self, references: Views) -> str:
        """Why it cannot be computed, "" when it can: it needs pictures of the window's size."""
        if reason := pictureless(references):
            return reason
        height, width = references.pixels.shape[1:3]
        if min(height, width) < 2 * RADIUS + 1:
            return f"SSIM's window is 11 pixels and these pictures are {height} x {width}"
        return ""

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The similarities (sample, reference) inside the blocks."""
        return Marks(table=inside_blocks(ssim, samples=samples, references=references, own=own, blocks=blocks))


@dataclass(frozen=True, kw_only=True)
class SsimColumns(Comparison):
    """SSIM as scikit-image 0.17 to 0.19 gave it for `multichannel=True` on a grey picture (Brain-Diffuser's pin): every
    column is a channel with a one-dimensional SSIM of its own, the rest as in `Ssim`; the mean over columns."""

    name: str = "ssim_columns"
    title: str = "SSIM, column-wise"
    description: str = "the legacy form that takes columns for channels; reads higher on blur"
    citation: str = "Ozcelik & VanRullen 2023, Scientific Reports 13, 15666"
    bounds: tuple[float, float] = (-1.0, 1.0)
    pooled: bool = False

    def absent(self, references: Views) -> str:
        """Why it cannot be computed, "" when it can: it needs pictures of the window's height."""
        if reason := pictureless(references):
            return reason
        height = references.pixels.shape[1]
        if height < 2 * RADIUS + 1:
            return f"SSIM's window down a column is 11 pixels and these pictures are {height} high"
        return ""

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The similarities (sample, reference) inside the blocks."""
        return Marks(table=inside_blocks(ssim_columns, samples=samples, references=references, own=own, blocks=blocks))


ENTRIES = (PixCorr(), Ssim(), SsimColumns())
