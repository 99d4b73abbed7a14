"""What a simulated scanner adds to noiseless responses.

The size of the noise follows a drawn ncsnr map (most voxels poor, a few good, as in NSD); voxels share a part of it,
and there are drifts within and offsets between sessions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brain.simulated.cortex.visual_cortex import Cortex

NCSNR_MEDIAN, NCSNR_SPREAD, NCSNR_RANGE = 0.2, 0.65, (0.02, 2.0)
SHARED_NOISE = 0.15  # share of the noise variance that voxels have in common
PARTS = {"ncsnr": 2, "session": 3}


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What a subject's voxels add to their signal, drawn from (seed, subject, session) alone.

    ncsnr (voxel,) float64: signal standard deviation (1 by construction) over noise standard deviation at snr 1
    """

    seed: int
    subject: int
    snr: float
    ncsnr: NDArray[np.float64]
    place: NDArray[np.float64]

    def _rng(self, session: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, self.subject, PARTS["session"], session]))

    def session(self, signal: NDArray[np.float32], session: int) -> NDArray[np.float32]:
        """Noiseless responses (trial, voxel) -> what a scanner saw in that session, percent signal change."""
        rng = self._rng(session)
        trials, voxels = signal.shape
        size = 1 / self.ncsnr
        own = rng.standard_normal((trials, voxels)) * np.sqrt(1 - SHARED_NOISE)
        waves = np.cos(self.place @ rng.normal(0, 0.08, (3, 6)) + rng.uniform(0, 2 * np.pi, 6))  # smooth over cortex
        waves /= np.sqrt(np.square(waves).sum(1, keepdims=True))
        common = rng.standard_normal((trials, 6)) @ waves.T * np.sqrt(SHARED_NOISE)
        gain = 1 + 0.06 * rng.standard_normal(voxels)
        offset = 0.4 * rng.standard_normal(voxels)
        clock = np.linspace(-1, 1, trials)[:, None]
        drift = 0.15 * rng.standard_normal(voxels) * clock + 0.1 * rng.standard_normal(voxels) * np.cos(3 * clock)
        return np.asarray(self.snr * gain * signal + size * (own + common) + offset + drift, np.float32)


def draw_noise(cortex: Cortex, *, seed: int, subject: int, snr: float) -> Noise:
    """A subject's noise; early voxels are a little better than the rest, as in NSD."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, subject, PARTS["ncsnr"]]))
    anatomy = cortex.anatomy
    ncsnr = NCSNR_MEDIAN * np.exp(NCSNR_SPREAD * rng.standard_normal(len(anatomy.ijk)))
    ncsnr[cortex.early.numpy()] *= 1.15
    place = anatomy.ijk @ anatomy.affine[:3, :3].T + anatomy.affine[:3, 3]
    return Noise(seed=seed, subject=subject, snr=snr, ncsnr=np.clip(ncsnr, *NCSNR_RANGE), place=place)
