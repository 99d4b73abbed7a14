"""How good a decoder could be: noise ceilings from the noise ceiling SNR, with mixed numbers of repeats.

    ncsnr = signal standard deviation / noise standard deviation of one trial
    NC    = ncsnr² / (ncsnr² + mean over stimuli of 1/n)      (Allen et al. 2022, the manual's mixed case)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError
from brain.types import Float, Responses

CHUNK = 2048
"""Voxels that `estimate_ncsnr` holds in float64 at a time."""


def noise_ceiling(ncsnr: NDArray[Any], repeats: NDArray[Any]) -> Float:
    """(voxel,) float32 in 0..1: the share of the averaged patterns' variance that a perfect model could explain.

    `ncsnr` (voxel,) >= 0; `repeats` (stimulus,) int >= 1, how many trials each averaged pattern holds.
    """
    counts = np.asarray(repeats, np.float64)
    signal = np.square(np.asarray(ncsnr, np.float64))
    if counts.ndim != 1 or not counts.size or (counts < 1).any():
        raise InputError(f"noise ceiling: repeats must be (stimulus,) of 1 or more, found {counts.shape}")
    if not (np.isfinite(signal).all() and (np.asarray(ncsnr) >= 0).all()):
        raise InputError("noise ceiling: ncsnr must be finite and not negative; mask the other voxels out")
    return np.asarray(signal / (signal + np.mean(1 / counts)), np.float32)


def ceiling_correlation(ncsnr: NDArray[Any], repeats: NDArray[Any]) -> Float:
    """(voxel,) float32 in 0..1: the highest Pearson correlation a perfect model could reach, sqrt of the ceiling."""
    return np.sqrt(noise_ceiling(ncsnr, repeats))


def estimate_ncsnr(responses: Responses) -> Float:
    """(voxel,) float32 >= 0: noise ceiling SNR from the repeats in these responses (z-scored per session beforehand).

    One-way analysis of variance with unequal counts: the noise variance is pooled within stimuli, the signal variance
    is what the variance between stimuli has beyond it, 0 where it has less. Needs two stimuli, one of them repeated.
    """
    _, group, counts = np.unique(responses.stimulus, return_inverse=True, return_counts=True)
    trials, stimuli = len(group), len(counts)
    if stimuli < 2 or trials == stimuli:
        raise InputError(
            f"ncsnr: {trials} trials of {stimuli} stimuli; two stimuli or more and a repeat are needed to tell "
            "signal from noise"
        )
    order, starts = np.argsort(group, kind="stable"), np.cumsum(counts) - counts
    per_stimulus = (trials - np.square(counts).sum() / trials) / (stimuli - 1)
    ncsnr = np.empty(responses.values.shape[1], np.float32)
    for start in range(0, len(ncsnr), CHUNK):
        values = responses.values[:, start : start + CHUNK].astype(np.float64)
        means = np.add.reduceat(values[order], starts, axis=0) / counts[:, None]
        noise = np.square(values - means[group]).sum(axis=0) / (trials - stimuli)
        between = (counts[:, None] * np.square(means - values.mean(axis=0))).sum(axis=0) / (stimuli - 1)
        signal = np.clip((between - noise) / per_stimulus, 0, None)
        noisy = noise > 0
        ncsnr[start : start + CHUNK] = np.where(noisy, np.sqrt(signal / np.where(noisy, noise, 1)), 0)
    return ncsnr
