"""The noise of a voxelwise encoding model: what it misses of a response, and what a measurement adds to that.

    noise = fit_noise(residuals, deviations, showings)
    noise.solver(1).apply(rows)                     # rows times S^-1, S the covariance of a pattern of one showing

A response averaged over n showings differs from what a model expects by the model's own misfit, the same however often
the stimulus is shown, and by measurement noise, whose covariance falls with n:  S(n) = M + E / n.

Directions of fewer stimuli than voxels are the sample's own, their variances inflated, and the noise's shares along
them far too small: there every direction has the mean share of the voxels.

With T the covariance of out-of-fold residuals of averaged training patterns, E that of single trials about the mean of
their stimulus, and h the mean of 1/n over training, T = M + h E; but a difference of estimates is not positive. So
shares are estimated. In units where every voxel's residual has variance 1, T ~ F'F + rest with F (rank, voxel) its
principal directions, E in their coordinates is A = P lam P', and rho = min(h lam, 1) is the share of measurement noise
in the direction P'F; of a voxel's own variance it is r = min(h E_vv / T_vv, 1). With s the shrinkage towards the
diagonal, estimated in closed form (`shrinkage_of`),

    S(n) = (1 - s) (P'F)' diag(g(rho)) (P'F)  +  diag(s + (1 - s) rest) diag(g(r)),    g(x) = 1 - x + x / (h n)

which is positive whatever n is, and T, shrunk, at n = 1/h. Its inverse is Woodbury's, of the factor's rank.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brain.errors import InputError
from brain.types import Float, Int
from encoders.ridge import Double

LEAST = 0.01
"""Shrinkage that is kept however many stimuli there are, for the rest of a low rank has no directions of its own."""
RANK = 256
"""Directions of correlated noise that are kept; what they leave out counts as each voxel's own."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The noise of voxels, at any number of showings.

    spread     (voxel,) float32, standard deviation of a training pattern's residual
    factor     (rank, voxel) float32, directions of correlated noise, in units of `spread`
    shared     (rank,) float32, share of measurement noise in each direction; own (voxel,) in each voxel's variance
    showings   the harmonic mean of the training stimuli's numbers of showings, 1 / h
    shrinkage  towards the diagonal, 0 to 1
    """

    spread: Float
    factor: Float
    shared: Float
    own: Float
    showings: float
    shrinkage: float

    def __post_init__(self) -> None:
        rank, voxels = self.factor.shape
        shapes = (self.spread.shape, self.shared.shape, self.own.shape)
        if shapes != ((voxels,), (rank,), (voxels,)) or not self.showings > 0 or not 0 < self.shrinkage <= 1:
            raise InputError(f"noise: factor {self.factor.shape} and others {shapes} do not fit; fit it again")

    def covariance(self, showings: float) -> Double:
        """(voxel, voxel) float64 at so many showings: the formula written out, for few voxels."""
        factor, diagonal = self._parts(showings)
        whole = factor.T @ factor + np.diag(diagonal)
        spread = self.spread.astype(np.float64)
        return np.asarray(whole * spread * spread[:, None], np.float64)

    def solver(self, showings: float) -> Solver:
        """What applies the inverse of `covariance(showings)`, without ever making it."""
        factor, diagonal = self._parts(showings)
        scaled = factor / diagonal
        core = np.eye(len(factor)) + scaled @ factor.T
        spread = self.spread.astype(np.float64)
        log_det = float(np.log(diagonal).sum() + np.linalg.slogdet(core)[1] + 2 * np.log(spread).sum())
        return Solver(
            spread=spread, diagonal=diagonal, scaled=scaled, core=np.asarray(np.linalg.inv(core), np.float64),
            log_det=log_det,
        )  # fmt: skip

    def _parts(self, showings: float) -> tuple[Double, Double]:
        """Factor (rank, voxel) and diagonal (voxel,) in units of `spread`, of patterns of so many showings."""
        if not showings > 0:
            raise InputError(f"noise: expected one showing or more, found {showings}; leave patterns without any out")
        less = self.showings / showings
        factor = self.factor.astype(np.float64)
        rest = np.clip(1 - np.square(factor).sum(0), 0, None)
        shared, own = (1 - part.astype(np.float64) * (1 - less) for part in (self.shared, self.own))
        kept = 1 - self.shrinkage
        return np.sqrt(kept * shared)[:, None] * factor, (self.shrinkage + kept * rest) * own


@dataclass(frozen=True, kw_only=True)
class Solver:
    """The inverse of a covariance of low rank plus diagonal; `log_det` is the covariance's own."""

    spread: Double
    diagonal: Double
    scaled: Double
    core: Double
    log_det: float

    def apply(self, rows: Double) -> Double:
        """Rows (row, voxel) times the inverse, (row, voxel) float64."""
        white = rows / self.spread
        solved = white / self.diagonal - ((white @ self.scaled.T) @ self.core) @ self.scaled
        return np.asarray(solved / self.spread, np.float64)


def fit_noise(residuals: Double, deviations: Double, showings: Int, *, rank: int = RANK) -> Noise:
    """The noise of out-of-fold residuals, and of repeats.

    residuals   (stimulus, voxel) of averaged training patterns, each predicted without its own stimulus
    deviations  (trial, voxel) of single trials from their stimulus' mean; stimuli that were shown once have none
    showings    (stimulus,) how many trials each pattern is the mean of
    Without repeats all noise counts as misfit: nothing is known of what more showings would take away.
    """
    spread = np.sqrt(np.square(residuals).mean(0))
    if not len(residuals) > 1 or not (spread > 0).all():
        raise InputError(f"noise: {len(residuals)} residuals of voxels that all move are needed; choose other voxels")
    often = 1 / float(np.mean(1 / showings))
    white = residuals / spread
    gram = white @ white.T / len(white)
    values, vectors = np.linalg.eigh(gram if len(white) <= white.shape[1] else white.T @ white / len(white))
    order = np.argsort(-values)[: min(rank, len(white) - 1, white.shape[1])]
    order = order[values[order] > values.max() * len(values) * np.finfo(np.float64).eps]
    if len(white) <= white.shape[1]:
        factor = vectors[:, order].T @ white / np.sqrt(len(white))
    else:
        factor = np.sqrt(values[order])[:, None] * vectors[:, order].T
    freedom = float((showings - 1).sum())
    if freedom < 1:
        shared, own = np.zeros(len(factor)), np.zeros(len(spread))
    else:
        noise = deviations / spread
        own = np.clip(np.square(noise).sum(0) / freedom / often, 0, 1)
        along = noise @ (factor / values[order][:, None]).T  # factor factor' is diagonal: its principal variances
        shares, turn = np.linalg.eigh(along.T @ along / freedom)
        shared, factor = np.clip(shares / often, 0, 1), turn.T @ factor
        if len(white) <= white.shape[1]:
            shared = np.full_like(shared, own.mean())
    return Noise(
        spread=spread.astype(np.float32), factor=factor.astype(np.float32), shared=shared.astype(np.float32),
        own=own.astype(np.float32), showings=often, shrinkage=shrinkage_of(white),
    )  # fmt: skip


def shrinkage_of(white: Double) -> float:
    """How far correlations of residuals (stimulus, voxel), of variance 1 each, are shrunk towards none, `LEAST` to 1.

    The share that loses least in expectation, sum var(s_ij) / sum s_ij^2 over all pairs of voxels (Ledoit & Wolf 2004;
    with a diagonal as target Schäfer & Strimmer 2005, Stat Appl Genet Mol Biol 4:32).
    """
    count, squared = len(white), np.square(white)
    pairs = float(np.square(squared.sum(1)).sum() - np.square(squared).sum())
    means = float(np.square(white @ white.T / count).sum() - np.square(squared.mean(0)).sum())
    if means <= 0 or count < 3:
        return 1.0
    variance = (pairs - count * means) * count / (count - 1) ** 3
    return float(np.clip(variance / (means * (count / (count - 1)) ** 2), LEAST, 1))
