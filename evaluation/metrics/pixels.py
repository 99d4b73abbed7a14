"""Metrics on pixels: correlation of two pictures, and SSIM in its two-dimensional form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Float, Int, Marks, Views

Wide = NDArray[np.float64]

SIGMA = 1.5
RADIUS = 5
STABILISE = (0.01**2, 0.03**2)
LUMINANCE = (0.2125, 0.7154, 0.0721)


@dataclass(frozen=True, kw_only=True)
class PixCorr:
    """Pearson correlation of all pixels and channels of a sample and its reference, as in Brain-Diffuser's script."""

    name: str = "pixcorr"
    needs: str = "pixels"
    judged: bool = False
    best: float = 1.0

    def named(self, pool: int) -> str:
        return self.name

    def chance(self, pool: int) -> float | None:
        return None

    def absent(self, references: Views) -> str:
        return ""

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        def pairs(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Wide:
            return correlation(left.reshape(len(left), -1), right.reshape(len(right), -1))

        return Marks(table=_inside_blocks(pairs, samples=samples, references=references, own=own, blocks=blocks))


@dataclass(frozen=True, kw_only=True)
class Ssim:
    """Structural similarity (Wang et al. 2004) on luminance in two dimensions: Gaussian window of sigma 1.5 cut at 11
    pixels, population covariance, data range 1, mean over the windows that lie inside. Equal to scikit-image's."""

    name: str = "ssim"
    needs: str = "pixels"
    judged: bool = False
    best: float = 1.0

    def named(self, pool: int) -> str:
        return self.name

    def chance(self, pool: int) -> float | None:
        return None

    def absent(self, references: Views) -> str:
        height, width = references.pixels.shape[1:3]
        if min(height, width) < 2 * RADIUS + 1:
            return f"SSIM's window is 11 pixels and these pictures are {height} x {width}"
        return ""

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        return Marks(table=_inside_blocks(ssim, samples=samples, references=references, own=own, blocks=blocks))


def correlation(left: NDArray[np.generic], right: NDArray[np.generic]) -> Wide:
    """Pearson correlation of every row of `left` (l, value) with every row of `right` (r, value): (l, r) float64.

    A row without variance correlates with nothing: 0.
    """
    return _unit(left) @ _unit(right).T


def _unit(rows: NDArray[np.generic]) -> Wide:
    centred = rows.astype(np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    size = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: Wide = np.divide(centred, size, out=np.zeros_like(centred), where=size > 1e-9)
    return unit


def ssim(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Wide:
    """SSIM of every picture of `left` (l, height, width, 3) with every one of `right` (r, ...): (l, r) float64."""
    first, second = _grey(left), _grey(right)
    down, across = _window(first.shape[1]), _window(first.shape[2])

    def blur(stack: Wide) -> Wide:
        return down @ stack @ across.T

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


def _inside_blocks(
    pairs: Callable[[NDArray[np.uint8], NDArray[np.uint8]], Wide],
    *,
    samples: Views,
    references: Views,
    own: Int,
    blocks: Int,
) -> Float:
    table = np.full((len(samples), len(references)), np.nan, np.float32)
    for block in np.unique(blocks[own]):
        left, right = np.flatnonzero(blocks[own] == block), np.flatnonzero(blocks == block)
        table[np.ix_(left, right)] = pairs(samples.pixels[left], references.pixels[right])
    return table


ENTRIES = (PixCorr(), Ssim())
