"""Structural similarity of grey pictures, and tables that are filled inside blocks of references."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Views
from evaluation.score import Float, Int
from evaluation.similarity import Wide

SIGMA = 1.5
RADIUS = 5
STABILISE = (0.01**2, 0.03**2)
LUMINANCE = (0.2125, 0.7154, 0.0721)


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
    """A table (sample, reference) of pixels, filled where a sample meets its own reference's block, else NaN.

    `own` (sample,) and `blocks` (reference,) as in `Metric.marks`.
    """
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
