"""Ridge regression of many targets on many voxels, penalties chosen by folds grouped by stimulus.

The mathematics. With x (sample, voxel) and y (sample, target) both less their means, the ridge map of penalty a is

    w(a) = argmin |y - x w|^2 + a |w|^2 = (x'x + a)^-1 x'y

and with the singular value decomposition x = U S V' it is  w(a) = V (S^2 + a)^-1 (x V)' y : one factorisation serves
every target and every penalty. S^2 and the turned samples x V come from an eigendecomposition in float64 of the smaller
of two matrices:

    samples <= voxels   the kernel  x x' = U S^2 U'  with  x V = U S,  V = x' U S^-1     (kernel form)
    samples >  voxels   the covariance  x'x = V S^2 V'                                    (covariance form)

In each fold the held-out samples are turned too, h = (x_out - mean) V, and predicted for every penalty by
mean(y) + h (S^2 + a)^-1 (x V)'y ; the penalty with the least squared error summed over all held-out samples wins,
target by target or for all together, and its held-out predictions are kept. Means are those of each fold's own training
rows. Products that cancel are accumulated in float64; only the well-scaled product over penalties runs in float32.

Penalties that nobody asked for lie on the scale of S^2, which grows with samples, voxels and units (`penalties_for`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from brain.console.progress import progress
from brain.data.clips import groups_of
from brain.errors import InputError, UsageError
from brain.machine.memory import contiguous
from brain.types import Float, Int

Double = NDArray[np.float64]

BLOCK = 2048  # voxels or samples turned to float64 at a time while a Gram matrix is summed
TILE = 64  # targets a prediction takes at a time; fixed, so that every prediction is the same product
EDGE = 0.05  # share of targets at the grid's edge from which a fit says so
GAIN = 1e-3  # share of a target's variance by which its error still falls at the edge where the grid is too narrow
DECADES = (-3, 4)
"""How far penalties reach about the mean squared singular value, where nobody says which."""


@dataclass(frozen=True, kw_only=True)
class RidgeSettings:
    """How to fit.

    alphas      penalties to try, added to squared singular values; none: those of `penalties_for` the data
    folds       how many folds of stimuli, `seed` who goes where
    chunk       targets at a time: memory, and the last bits of what is fitted
    per_target  one penalty a target; False takes the one of least squared error over all, steadier of few stimuli
    """

    alphas: tuple[float, ...] = ()
    folds: int = 5
    seed: int = 0
    chunk: int = 1024
    per_target: bool = True

    def __post_init__(self) -> None:
        if not all(np.isfinite(alpha) and alpha > 0 for alpha in self.alphas):
            raise UsageError(f"ridge: alphas must be finite numbers above 0, found {self.alphas}; correct them")
        if self.folds < 2 or self.chunk < 1:
            raise UsageError(f"ridge: folds must be 2 or more and chunk 1 or more, found {self.folds} and {self.chunk}")


@dataclass(frozen=True, kw_only=True)
class RidgeFit:
    """A fitted ridge map.

    weights        (voxel, target) float32
    x_mean         (voxel,) float64, y_mean (target,) float64: the training means
    alpha          (target,) float64, the penalty each target chose; `alphas` the grid, ascending
    cv_prediction  (sample, target) float32, each sample predicted by the fold that did not see its stimulus
    cv_r2          (target,) float32, 1 - squared error / variance of these predictions; 0 for a constant target
    constant       (target,) bool: targets that never move; predicted by their value
    at_edge        share of the others whose error still falls where the grid ends
    """

    weights: Float
    x_mean: Double
    y_mean: Double
    alpha: Double
    alphas: tuple[float, ...]
    cv_prediction: Float
    cv_r2: Float
    constant: NDArray[np.bool_]
    at_edge: float = 0.0

    def predict(self, x: Float) -> Float:
        """(sample, voxel) -> (sample, target) float32, as `predict_rows`."""
        return predict_rows(x, self.weights, x_mean=self.x_mean, y_mean=self.y_mean)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the card: penalties at the grid's edge, targets that never move."""
        notes = []
        if self.at_edge > EDGE:
            notes.append(
                f"{self.at_edge:.0%} of the targets chose a penalty at the edge of the grid "
                f"{self.alphas[0]:g} to {self.alphas[-1]:g}, where their error still falls; widen it"
            )
        if self.constant.any():
            notes.append(f"{int(self.constant.sum())} of {len(self.constant)} targets never move in the training data")
        return tuple(notes)


def fit_ridge(
    x: Float,
    y: Float,
    *,
    groups: Sequence[str] | NDArray[np.str_],
    alphas: Sequence[float] = (),
    folds: int,
    seed: int,
    chunk: int,
    per_target: bool = True,
    sound: bool = True,
) -> RidgeFit:
    """Fit y on x with one penalty a target (or one for all), chosen by cross-validation with folds grouped by stimulus.

    x       (sample, voxel) float32, finite; a voxel that never moves gets weight 0
    y       (sample, target) float32, finite
    groups  (sample,) the stimulus of each sample; its samples share a fold, and so do the windows of a `sound`
    alphas  penalties to try, none for those of the data's scale; `folds`, `seed`, `chunk`, `per_target` as in
            `RidgeSettings`
    Errors: shapes that do not fit, NaN, fewer stimuli than folds -> `InputError`. Source: the module's docstring;
    the same numbers as himalaya's and scikit-learn's RidgeCV with the same folds.
    """
    grid = tuple(sorted({float(alpha) for alpha in alphas}))
    RidgeSettings(alphas=grid, folds=folds, seed=seed, chunk=chunk)  # refuses what cannot be used
    x, y = _checked(x, y, samples=len(groups))
    fold = grouped_folds(groups, folds=folds, seed=seed, sound=sound)
    constant = np.ptp(y, axis=0) == 0
    gram = kernel(x) if len(x) <= x.shape[1] else None
    grid = grid or penalties_for(x)
    penalties = np.array(grid)
    held = [
        _hold_out(x, y, gram, train=np.flatnonzero(fold != one), test=np.flatnonzero(fold == one), chunk=chunk)
        for one in progress(range(folds), desc="ridge folds", unit="fold", leave=False)
    ]
    loss = np.sum([one.loss(y, penalties, chunk=chunk) for one in held], axis=0)
    if not per_target:
        loss = np.repeat(loss.sum(1, keepdims=True), y.shape[1], axis=1)
    # ties, a constant target's above all, go to the largest penalty
    alpha = penalties[::-1][np.argmin(loss[::-1], axis=0)]
    alpha[constant] = penalties[-1]
    cv_prediction = np.empty_like(y)
    for one in held:
        cv_prediction[one.rows] = one.predict(alpha, chunk=chunk)
    cv_prediction[:, constant] = y[:1, constant]
    return RidgeFit(
        weights=_weights(x, y, gram, alpha=np.where(constant, np.inf, alpha), chunk=chunk),
        x_mean=x.mean(0, dtype=np.float64),
        y_mean=np.where(constant, y[0], y.mean(0, dtype=np.float64)),
        alpha=alpha,
        alphas=grid,
        cv_prediction=cv_prediction,
        cv_r2=_r2(y, cv_prediction),
        constant=constant,
        at_edge=_at_edge(loss, y, constant),
    )


def penalties_for(x: Float | Double) -> tuple[float, ...]:
    """The penalties that a fit on x (sample, voxel) tries where none are asked for, ascending.

    Half decades, `DECADES` about the mean of the min(samples - 1, voxels) squared singular values of x less its mean, a
    mean rounded to half decades itself, so that the last bits of x move no penalty.
    """
    parts = (x[:, voxels] for voxels in _slices(x.shape[1], BLOCK))
    total = sum(float(np.square(one - one.mean(0, dtype=np.float64)).sum()) for one in parts)
    mean = total / max(1, min(len(x) - 1, x.shape[1]))
    middle, (low, high) = round(2 * np.log10(mean)) if mean > 0 else 0, DECADES
    return tuple(float(10.0 ** (power / 2)) for power in range(middle + 2 * low, middle + 2 * high + 1))


def ridge_bytes(samples: int, voxels: int, targets: int, *, folds: int) -> int:
    """Bytes that `fit_ridge` holds at once at the least: numbers of its own, without what it was given.

    Weights, held-out predictions, every fold's turned targets (float32), and the matrix of inner products with its
    eigenvectors (float64), which is as large as the smaller of samples and voxels.
    """
    side = min(samples, voxels)
    turned = folds * min(samples - -(-samples // folds) - 1, voxels) * targets
    return 4 * (voxels * targets + samples * targets + max(turned, 0)) + 2 * 8 * side**2


def low_rank(fit: RidgeFit, x: Float, *, rank: int) -> RidgeFit:
    """The fit squeezed through `rank` dimensions: what a decoder could do that read only so many numbers off a brain.

    x is what was fitted on, (sample, voxel). The predictions of the training samples, less their mean, are kept along
    their first `rank` principal directions of target space, and so are the weights (reduced-rank regression, Izenman
    1975; the bottleneck of BrainBits, Mayo et al. 2024). A rank at or above the full one changes nothing.
    """
    if rank < 1:
        raise UsageError(f"ridge: a rank is 1 or more, found {rank}")
    from scipy.linalg import eigh

    made = ((x - x.mean(0, dtype=np.float64)) @ fit.weights).astype(np.float64)
    short = made.shape[0] < made.shape[1]
    gram = made @ made.T if short else made.T @ made
    if rank >= len(gram):
        return fit
    _, vectors = eigh(gram, subset_by_index=[len(gram) - rank, len(gram) - 1])
    if short:
        vectors = np.linalg.qr(made.T @ vectors)[0]

    def squeezed(rows: Double) -> Double:
        return np.asarray((rows @ vectors) @ vectors.T, np.float64)

    mean = fit.y_mean
    return replace(
        fit,
        weights=squeezed(fit.weights.astype(np.float64)).astype(np.float32),
        cv_prediction=(squeezed(fit.cv_prediction - mean) + mean).astype(np.float32),
    )


def grouped_folds(
    groups: Sequence[str] | NDArray[np.str_], *, folds: int, seed: int, sound: bool = True
) -> Int:
    """(sample,) int64: each sample's fold. All samples of a stimulus share one; folds differ by one stimulus at most.

    Windows of one clip overlap and share a fold too (of `sound`): the clip is what is folded. Depends on the set of
    stimuli and the seed only, never on the order of rows. Too few stimuli: `InputError`.
    """
    unique, member = np.unique(groups_of(np.asarray(groups, np.str_).tolist(), sound=sound), return_inverse=True)
    if len(unique) < folds:
        raise InputError(f"ridge: {len(unique)} training stimuli cannot make {folds} folds; give more, or fewer folds")
    shuffled = np.random.default_rng(seed).permutation(len(unique))
    fold = np.empty(len(unique), np.int64)
    fold[shuffled] = np.arange(len(unique)) % folds
    return fold[member]


def predict_rows(x: Float, weights: Float, *, x_mean: Double, y_mean: Double) -> Float:
    """y_mean + (x - x_mean) weights, (sample, target) float32, row by row.

    A matrix product may round a row differently in another batch; here every row is its own product of one fixed
    shape, summed in float64, so that a pattern decoded alone has the bits it has among others.
    """
    x = np.asarray(x, np.float32)
    if x.ndim != 2 or x.shape[1] != len(weights):
        raise InputError(
            f"ridge: expected patterns (sample, {len(weights)} voxels), found {x.shape}; select its voxels"
        )
    out = np.empty((len(x), weights.shape[1]), np.float32)
    for targets in _slices(weights.shape[1], TILE):
        tile = np.ascontiguousarray(weights[:, targets].T, np.float64)
        for row, pattern in enumerate(x):
            out[row, targets] = y_mean[targets] + tile @ (pattern.astype(np.float64) - x_mean)
    return out


@dataclass(frozen=True, kw_only=True)
class _HeldOut:
    """A fold, turned: rows (test,), spectrum (k,), turned (test, k), seen (k, target), y_mean (target,)."""

    rows: Int
    spectrum: Float
    turned: Float
    seen: Float
    y_mean: Float

    def loss(self, y: Float, penalties: Double, *, chunk: int) -> Double:
        """(penalty, target) float64: squared error summed over this fold's held-out rows."""
        total = np.empty((len(penalties), y.shape[1]))
        for targets in _slices(y.shape[1], chunk):
            truth = y[self.rows, targets] - self.y_mean[targets]
            for one, penalty in enumerate(penalties.astype(np.float32)):
                prediction = (self.turned / (self.spectrum + penalty)) @ self.seen[:, targets]
                total[one, targets] = np.square(truth - prediction).sum(0, dtype=np.float64)
        return total

    def predict(self, alpha: Double, *, chunk: int) -> Float:
        """(test, target) float32 with each target's own penalty."""
        out = np.empty((len(self.rows), len(alpha)), np.float32)
        for targets in _slices(len(alpha), chunk):
            shrink = self.spectrum[:, None] + alpha[targets].astype(np.float32)
            out[:, targets] = self.y_mean[targets] + self.turned @ (self.seen[:, targets] / shrink)
        return out


@dataclass(frozen=True, kw_only=True)
class _Turned:
    """Samples in the basis V: spectrum S^2 (k,), scores x V (train, k), held (test, k), maybe axes V (voxel, k)."""

    spectrum: Double
    scores: Double
    held: Double
    axes: Double | None


def _hold_out(x: Float, y: Float, gram: Double | None, *, train: Int, test: Int, chunk: int) -> _HeldOut:
    turned = turn_kernel(gram, train, test) if gram is not None else _turn_covariance(x, train, test)
    return _HeldOut(
        rows=test,
        spectrum=turned.spectrum.astype(np.float32),
        turned=turned.held.astype(np.float32),
        seen=np.hstack([_see(turned, y[train, targets]).astype(np.float32) for targets in _slices(y.shape[1], chunk)]),
        y_mean=y[train].mean(0, dtype=np.float64).astype(np.float32),
    )


def _see(turned: _Turned, y: Float) -> Double:
    """(x V)' y, (k, target) float64, y less its mean."""
    seen: Double = turned.scores.T @ (y - y.mean(0, dtype=np.float64))
    return seen


def _weights(x: Float, y: Float, gram: Double | None, *, alpha: Double, chunk: int) -> Float:
    """V (S^2 + a)^-1 (x V)' y over all rows, (voxel, target) float32; a penalty of infinity gives weight 0."""
    every, none = np.arange(len(x)), np.arange(0)
    turned = turn_kernel(gram, every, none) if gram is not None else _turn_covariance(x, every, none)
    weights = np.empty((x.shape[1], y.shape[1]), np.float32)
    mean = x.mean(0, dtype=np.float64)
    for targets in _slices(y.shape[1], chunk):
        along = _see(turned, y[:, targets]) / (turned.spectrum[:, None] + alpha[targets])
        if turned.axes is not None:
            weights[:, targets] = turned.axes @ along
            continue
        dual = turned.scores @ (along / turned.spectrum[:, None])
        for voxels in _slices(x.shape[1], BLOCK):
            weights[voxels, targets] = (x[:, voxels] - mean[voxels]).T @ dual
    weights[np.ptp(x, axis=0) == 0] = 0  # centring leaves such a voxel with rounding instead of nothing
    return weights


def kernel(x: Float) -> Double:
    """x x' (sample, sample) float64, x less its mean, a block of voxels at a time."""
    gram = np.zeros((len(x), len(x)))
    for voxels in _slices(x.shape[1], BLOCK):
        block = x[:, voxels] - x[:, voxels].mean(0, dtype=np.float64)
        gram += block @ block.T
    return gram


def turn_kernel(gram: Double, train: Int, test: Int) -> _Turned:
    """`train` (row,) and `test` rows of `gram` (row, row) in the training rows' basis, centred on these."""
    among, across = gram[np.ix_(train, train)], gram[np.ix_(test, train)]
    column, grand = among.mean(0), among.mean()
    across = across - column - (across.mean(1, keepdims=True) - grand)
    spectrum, left = _eigen(among - column - (column[:, None] - grand), rank=len(train) - 1)
    stretch = np.sqrt(spectrum)
    return _Turned(spectrum=spectrum, scores=left * stretch, held=(across @ left) / stretch, axes=None)


def _turn_covariance(x: Float, train: Int, test: Int) -> _Turned:
    mean = x[train].mean(0, dtype=np.float64)
    covariance = np.zeros((x.shape[1], x.shape[1]))
    for rows in _slices(len(train), BLOCK):
        block = x[train[rows]] - mean
        covariance += block.T @ block
    spectrum, axes = _eigen(covariance, rank=x.shape[1])
    return _Turned(spectrum=spectrum, scores=(x[train] - mean) @ axes, held=(x[test] - mean) @ axes, axes=axes)


def _eigen(matrix: Double, *, rank: int) -> tuple[Double, Double]:
    """Eigenvalues (k,) and vectors (n, k) of a symmetric matrix, without its null space, `rank` at most."""
    values, vectors = np.linalg.eigh(matrix)
    floor = max(values[-1], 0.0) * len(matrix) * np.finfo(np.float64).eps
    keep = np.flatnonzero(values > floor)[-rank:]
    return values[keep], vectors[:, keep]


def _r2(y: Float, prediction: Float) -> Float:
    error = np.square(y - prediction).sum(0, dtype=np.float64)
    spread = np.square(y - y.mean(0, dtype=np.float64)).sum(0)
    moving = np.ptp(y, axis=0) > 0
    return np.where(moving, 1 - error / np.where(moving, spread, 1), 0).astype(np.float32)


def _at_edge(loss: Double, y: Float, constant: NDArray[np.bool_]) -> float:
    """Share of the non-constant targets whose loss (penalty, target) is least at an end and falls there by `GAIN`."""
    if len(loss) < 2 or constant.all():
        return 0.0
    best, spread = np.argmin(loss, axis=0), y.var(0, dtype=np.float64) * len(y)
    low = (best == 0) & (loss[1] - loss[0] > GAIN * spread)
    high = (best == len(loss) - 1) & (loss[-2] - loss[-1] > GAIN * spread)
    return float(np.mean((low | high)[~constant]))


def _checked(x: Float, y: Float, *, samples: int) -> tuple[Float, Float]:
    x, y = contiguous(x, np.float32), contiguous(y, np.float32)
    if x.ndim != 2 or y.ndim != 2 or not len(x) == len(y) == samples:
        raise InputError(
            f"ridge: expected x (sample, voxel), y (sample, target) and a group a sample, "
            f"found {x.shape}, {y.shape} and {samples} groups; give all three of one set of samples"
        )
    for what, values in (("voxels", x), ("targets", y)):
        if not np.isfinite(values).all():
            raise InputError(f"ridge: the {what} hold NaN or infinite values; mask them before the fit")
    return x, y


def _slices(length: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, length)) for start in range(0, length, step))
