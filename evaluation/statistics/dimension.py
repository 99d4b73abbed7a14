"""Effective dimension: in how many directions predictions really vary, however many numbers they have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError


def effective_dimension(values: NDArray[np.floating]) -> float:
    """The participation ratio (sum of l)^2 / sum of l^2 of the covariance eigenvalues l of (stimulus, feature) values.

    1 for predictions on one line, d for d equal directions, 0 where nothing varies; never more than stimuli - 1, so
    compare it between sets of equal size. Fewer than two stimuli or values that are not finite are an InputError.
    Gao et al. 2017, "A theory of multineuronal dimensionality", section 2.
    """
    if values.ndim != 2 or len(values) < 2 or not np.isfinite(values).all():
        raise InputError(
            "effective dimension: expected finite (stimulus, feature) values of two stimuli or more, found "
            f"{values.shape} with {np.isfinite(values).mean():.0%} finite; leave out what is not"
        )
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    # Trace and Frobenius norm need no eigenvalues, and are the same for the smaller of the two Gram matrices.
    gram = centred @ centred.T if len(values) < values.shape[1] else centred.T @ centred
    total, squares = float(np.trace(gram)), float((gram**2).sum())
    largest = float(np.abs(values).max())
    return total**2 / squares if total > 1e-14 * values.size * largest**2 else 0.0
