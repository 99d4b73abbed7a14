"""Metrics on pixels: correlation of two pictures, and SSIM in its two-dimensional and its column-wise legacy form.

Both reward blur. Published SSIMs come from two formulas: scikit-image below 0.20 took the columns of a grey picture for
channels when told `multichannel=True`, and scored each column alone. That form, which has a name of its own here, is
higher on blur of sparse edges (.9206 for .8853 on one set of pairs) and lower under noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Float, Int, Marks, Views
from evaluation.metrics.comparison import Comparison, pictureless

Wide = NDArray[np.float64]

SIGMA = 1.5
RADIUS = 5
STABILISE = (0.01**2, 0.03**2)
LUMINANCE = (0.2125, 0.7154, 0.0721)
SLICE = 2**24


@dataclass(frozen=True, kw_only=True)
class PixCorr(Comparison):
    """Pearson correlation of all pixels and channels of a sample and its reference, as in Brain-Diffuser's script."""

    name: str = "pixcorr"
    bounds: tuple[float, float] = (-1.0, 1.0)

    def absent(self, references: Views) -> str:
        return pictureless(references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        def pairs(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Wide:
            return correlation(left.reshape(len(left), -1), right.reshape(len(right), -1))

        return Marks(table=inside_blocks(pairs, samples=samples, references=references, own=own, blocks=blocks))


@dataclass(frozen=True, kw_only=True)
class Ssim(Comparison):
    """Structural similarity (Wang et al. 2004) on luminance in two dimensions: Gaussian window of sigma 1.5 cut at 11
    pixels, population covariance, data range 1, mean over the windows that lie inside. Equal to scikit-image's."""

    name: str = "ssim"
    bounds: tuple[float, float] = (-1.0, 1.0)

    def absent(self, references: Views) -> str:
        if reason := pictureless(references):
            return reason
        height, width = references.pixels.shape[1:3]
        if min(height, width) < 2 * RADIUS + 1:
            return f"SSIM's window is 11 pixels and these pictures are {height} x {width}"
        return ""

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        return Marks(table=inside_blocks(ssim, samples=samples, references=references, own=own, blocks=blocks))


@dataclass(frozen=True, kw_only=True)
class SsimColumns(Comparison):
    """SSIM as scikit-image 0.17 to 0.19 gave it for `multichannel=True` on a grey picture (Brain-Diffuser's pin): every
    column is a channel with a one-dimensional SSIM of its own, the rest as in `Ssim`; the mean over columns."""

    name: str = "ssim_columns"
    bounds: tuple[float, float] = (-1.0, 1.0)

    def absent(self, references: Views) -> str:
        if reason := pictureless(references):
            return reason
        height = references.pixels.shape[1]
        if height < 2 * RADIUS + 1:
            return f"SSIM's window down a column is 11 pixels and these pictures are {height} high"
        return ""

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        return Marks(table=inside_blocks(ssim_columns, samples=samples, references=references, own=own, blocks=blocks))


def correlation(left: NDArray[np.generic], right: NDArray[np.generic]) -> Wide:
    """Pearson correlation of every row of `left` (l, value) with every row of `right` (r, value): (l, r) float64.

    A row without variance correlates with nothing: 0.
    """
    means = [rows.mean(axis=1, dtype=np.float64, keepdims=True) for rows in (left, right)]
    product = np.zeros((len(left), len(right)))
    squares = [np.zeros(len(left)), np.zeros(len(right))]
    # In slices: a thousand pictures have a gigabyte of AlexNet features, and float64 would double it twice over.
    step = max(1, SLICE // max(len(left), len(right), 1))
    for start in range(0, left.shape[1], step):
        first, second = (rows[:, start : start + step] - mean for rows, mean in zip((left, right), means, strict=True))
        product += first @ second.T
        squares[0] += np.einsum("ij,ij->i", first, first)
        squares[1] += np.einsum("ij,ij->i", second, second)
    sizes = [np.sqrt(total) for total in squares]
    varied = (sizes[0][:, None] > 1e-9) & (sizes[1][None, :] > 1e-9)
    scaled: Wide = np.divide(product, np.outer(*sizes), out=np.zeros_like(product), where=varied)
    return scaled


def ssim(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Wide:
    """SSIM of every picture of `left` (l, height, width, 3) with every one of `right` (r, ...): (l, r) float64."""
    return ssim_grey(_grey(left), _grey(right))


def ssim_grey(left: Wide, right: Wide) -> Wide:
    """SSIM of every one of `left` (l, height, width), 0..1, with every one of `right` (r, ...): (l, r) float64."""
    down, across = _window(left.shape[1]), _window(left.shape[2])
    return _structural(left, right, lambda stack: down @ stack @ across.T)


def ssim_columns(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Wide:
    """Column-wise SSIM of every picture of `left` (l, height, width, 3) with every one of `right`: (l, r) float64."""
    down = _window(left.shape[1])
    return _structural(_grey(left), _grey(right), lambda stack: down @ stack)


def _structural(first: Wide, second: Wide, blur: Callable[[Wide], Wide]) -> Wide:
    mean_1, mean_2 = blur(first), blur(second)
    spread_1, spread_2 = blur(first**2) - mean_1**2, blur(second**2) - mean_2**2
    out = np.empty((len(first), len(second)))
    for row, (picture, mean, spread) in enumerate(zip(first, mean_1, spread_1, strict=True)):
        product = mean * mean_2
        shared = blur(picture * second) - product
        likeness = (2 * product + STABILISE[0]) * (2 * shared + STABILISE[1])
        likeness /= (mean**2 + mean_2**2 + STABILISE[0]) * (spread + spread_2 + STABILISE[1])
        out[row] = likeness.mean(axis=(1, 2))
    return out


def _grey(pixels: NDArray[np.uint8]) -> Wide:
    grey: Wide = (pixels @ np.array(LUMINANCE)) / 255
    return grey


def _window(side: int) -> Wide:
    """(side - 10, side): the Gaussian at every place where it lies wholly inside."""
    taps = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
    band = np.zeros((side - 2 * RADIUS, side))
    for place in range(len(band)):
        band[place, place : place + len(taps)] = taps / taps.sum()
    return band


def inside_blocks(
    pairs: Callable[[NDArray[np.uint8], NDArray[np.uint8]], Wide],
    *,
    samples: Views,
    references: Views,
    own: Int,
    blocks: Int,
) -> Float:
    """A table of pixels that is filled where a sample meets references of its own reference's block, else NaN."""
    return compared(pairs, samples.pixels, references.pixels, own=own, blocks=blocks)


def compared(
    pairs: Callable[[NDArray[Any], NDArray[Any]], Wide],
    left: NDArray[Any],
    right: NDArray[Any],
    *,
    own: Int,
    blocks: Int,
) -> Float:
    """(sample, reference) of `pairs`, which compares every one of its first with every one of its second, by block."""
    table = np.full((len(left), len(right)), np.nan, np.float32)
    for block in np.unique(blocks[own]):
        rows, columns = np.flatnonzero(blocks[own] == block), np.flatnonzero(blocks == block)
        table[np.ix_(rows, columns)] = pairs(left[rows], right[columns])
    return table


ENTRIES = (PixCorr(), Ssim(), SsimColumns())
