"""How well the features of a picture predict each voxel: ridge from features to voxels, scored by correlation.

This is ENCODING accuracy, of a voxel; it stands in the report against the voxel's noise ceiling (a correlation can
reach sqrt(NC)). It is not decoding accuracy, which a judge measures on drawn pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brain.data.correlation import columnwise
from brain.errors import InputError
from brain.types import Float
from encoders.ridge import RidgeSettings, fit_ridge, grouped_folds, kernel, turn_kernel


@dataclass(frozen=True, kw_only=True)
class VoxelAccuracy:
    """Correlation of predicted and measured responses over stimuli, -1..1; 0 where one of the two never moves.

    test  (voxel,) float32 on the test stimuli
    cv    (voxel,) float32 on held-out training stimuli, of deviations from the mean of each fold's training stimuli
    """

    test: Float
    cv: Float


def voxel_prediction(
    x: Float,
    y: Float,
    *,
    x_test: Float,
    y_test: Float,
    groups: Sequence[str],
    settings: RidgeSettings,
    sound: bool = True,
) -> VoxelAccuracy:
    """Fit features -> voxels on the training stimuli and correlate on both sides.

    x, x_test  (stimulus, *shape) features, such as Conditions.values in pixels, vae-latent or clip-image
    y, y_test  (stimulus, voxel) responses averaged over repeats, in one unit
    groups     (stimulus,) ids of the training stimuli; of `sound` a clip's windows share a fold
    """
    flat, flat_test = _spanned(x.reshape(len(x), -1), x_test.reshape(len(x_test), -1))
    if len(x_test) != len(y_test) or y.shape[1:] != y_test.shape[1:]:
        raise InputError(
            f"voxel accuracy: test features {x_test.shape} and responses {y_test.shape} do not fit training {y.shape}"
        )
    fit = fit_ridge(
        flat,
        y,
        groups=groups,
        alphas=settings.alphas,
        folds=settings.folds,
        seed=settings.seed,
        chunk=settings.chunk,
        per_target=settings.per_target,
        sound=sound,
    )
    test = columnwise(fit.predict(flat_test), y_test)
    # a fold's training mean moves against what it leaves out: correlated as they are, predictions of noise are negative
    fold = grouped_folds(groups, folds=settings.folds, seed=settings.seed, sound=sound)
    mean = np.stack([y[fold != one].mean(0, dtype=np.float64) for one in range(settings.folds)]).astype(np.float32)
    return VoxelAccuracy(test=test, cv=columnwise(fit.cv_prediction - mean[fold], y - mean[fold]))


def _spanned(x: Float, x_test: Float) -> tuple[Float, Float]:
    """Both (stimulus, feature) in as few features as the first span: a ridge predicts the same from fewer weights, of
    which a text of 77 tokens would ask for gigabytes."""
    if len(x) > x.shape[1]:
        return x, x_test
    both, rows = kernel(np.concatenate([x, x_test])), np.arange(len(x) + len(x_test))
    turned = turn_kernel(both, rows[: len(x)], rows[len(x) :])
    if not len(turned.spectrum):  # features that never move span nothing
        return x, x_test
    return turned.scores.astype(np.float32), turned.held.astype(np.float32)
