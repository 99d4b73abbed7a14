"""Encoding accuracy: high where features drive a voxel, at zero where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from brain.data.correlation import columnwise
from brain.errors import InputError
from encoders.ridge import RidgeSettings, fit_ridge
from encoders.voxelwise.accuracy import voxel_prediction
from tests.rounding import rounding

SETTINGS = RidgeSettings(alphas=(1.0, 10.0, 100.0, 1000.0, 10000.0), folds=4)


def test_driven_voxels_are_predicted_and_others_not() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((260, 3, 4, 4)).astype(np.float32)
    driven = features.reshape(260, -1) @ rng.standard_normal((48, 20)) / 7 + 0.5 * rng.standard_normal((260, 20))
    responses = np.hstack([driven, rng.standard_normal((260, 20)), np.ones((260, 1))]).astype(np.float32)
    accuracy = voxel_prediction(
        features[:200],
        responses[:200],
        x_test=features[200:],
        y_test=responses[200:],
        groups=[str(one) for one in range(200)],
        settings=SETTINGS,
    )
    for side in (accuracy.test, accuracy.cv):
        assert side.shape == (41,) and side[:20].min() > 0.6
        assert abs(side[20:40].mean()) < 0.15 and side[40] == 0
    assert abs(accuracy.test[:20].mean() - accuracy.cv[:20].mean()) < 0.1
    with pytest.raises(InputError):
        voxel_prediction(
            features, responses, x_test=features[:3], y_test=responses[:2], groups=["a"] * 260, settings=SETTINGS
        )


def test_more_features_than_stimuli_are_turned_and_predict_the_same() -> None:
    rng = np.random.default_rng(1)
    features = rng.standard_normal((70, 500)).astype(np.float32)
    responses = (features[:, :9] @ rng.standard_normal((9, 12)) + rng.standard_normal((70, 12))).astype(np.float32)
    groups = [str(one) for one in range(50)]
    plain = fit_ridge(
        features[:50], responses[:50], groups=groups, alphas=SETTINGS.alphas, folds=4, seed=0, chunk=64, sound=True
    )
    found = voxel_prediction(
        features[:50], responses[:50], x_test=features[50:], y_test=responses[50:], groups=groups, settings=SETTINGS
    )
    still = voxel_prediction(
        np.ones_like(features[:50]), responses[:50], x_test=features[50:], y_test=responses[50:], groups=groups,
        settings=SETTINGS,
    )  # fmt: skip
    assert not still.cv.any(), "features that never move predict nothing"
    bound = rounding(sums=500 * 50, scale=1.0)
    assert np.allclose(found.test, columnwise(plain.predict(features[50:]), responses[50:]), rtol=0, atol=bound)
