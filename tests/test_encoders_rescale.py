"""What a guess must satisfy: the spread and norm of the truth, from training predictions alone, pattern by pattern."""

from __future__ import annotations

import numpy as np
import pytest

from brain.errors import InputError, UsageError
from encoders.rescale import Rescaling
from tests.rounding import largest, rounding

RNG = np.random.default_rng(0)
TRUTH = (RNG.standard_normal((200, 12)) * RNG.uniform(0.5, 3, 12) + RNG.normal(size=12)).astype(np.float32)
SHRUNK = (0.4 * TRUTH + 0.1 * RNG.standard_normal(TRUTH.shape)).astype(np.float32)
IDS = [f"image{one}" for one in range(200)]


def fit(kind: str = "spread", *, prediction: np.ndarray = SHRUNK, limit: float = 10.0) -> Rescaling:
    return Rescaling.fit(prediction, TRUTH, groups=IDS, kind=kind, limit=limit)


def test_spread_gives_the_truth_its_mean_and_deviation_back() -> None:
    restored = fit().apply(SHRUNK)
    # restored in float64, kept as float32
    bound = rounding(sums=1, scale=largest(restored))
    for moment in (np.mean, np.std):
        found, true = (moment(values, axis=0, dtype=np.float64) for values in (restored, TRUTH))
        np.testing.assert_allclose(found, true, atol=bound, rtol=0)
    assert SHRUNK.std(0).max() < 0.5 * TRUTH.std(0).max(), "nothing was shrunk, so nothing was shown"


def test_norm_comes_last_and_holds_for_every_pattern() -> None:
    restored = fit("spread+norm").apply(SHRUNK[:9])
    only = fit("spread").apply(SHRUNK[:9])
    length, shorter, true = (np.linalg.norm(one.astype(np.float64), axis=1) for one in (restored, only, TRUTH))
    kept = rounding(sums=1, scale=1.0)  # relative: each value is computed in float64 and kept as float32
    np.testing.assert_allclose(length, true.mean(), rtol=kept)
    cosine = (restored.astype(np.float64) * only).sum(1) / length / shorter
    # half a rounding each turns them by that much, and a cosine falls by half the square; three sums and what divides
    bound = kept**2 / 2 + rounding(sums=3 * TRUTH.shape[1] + 4, scale=1.0, dtype=np.float64)
    np.testing.assert_allclose(cosine, 1, atol=bound, rtol=0)


def test_none_changes_nothing() -> None:
    np.testing.assert_array_equal(fit("none").apply(SHRUNK), SHRUNK)


@pytest.mark.parametrize("kind", ["none", "spread", "spread+norm"])
def test_a_pattern_alone_has_the_bits_it_has_in_a_batch(kind: str) -> None:
    one = fit(kind)
    together = one.apply(SHRUNK)
    for rows in (slice(0, 1), slice(4, 11), slice(0, 200, 13)):
        np.testing.assert_array_equal(one.apply(SHRUNK[rows]), together[rows])


def test_a_hopeless_target_is_not_blown_up_beyond_the_limit() -> None:
    prediction = SHRUNK.copy()
    prediction[:, 3] *= 1e-4
    assert fit(prediction=prediction, limit=6.0).gain.max() == 6.0
    assert fit(prediction=prediction, limit=float("inf")).gain[3] > 1e3


def test_targets_and_predictions_that_never_move_become_the_true_mean() -> None:
    prediction, truth = SHRUNK.copy(), TRUTH.copy()
    prediction[:, 0], truth[:, 1] = 5, -2
    one = Rescaling.fit(prediction, truth, groups=IDS, kind="spread", limit=10.0)
    restored = one.apply(prediction + 1)
    np.testing.assert_allclose(restored[:, 0], truth[:, 0].mean(dtype=np.float64), rtol=rounding(sums=1, scale=1.0))
    np.testing.assert_array_equal(restored[:, 1], -2)


def test_repeats_are_averaged_before_the_spread_is_measured() -> None:
    noisy = np.repeat(SHRUNK, 3, axis=0)
    wobble = np.random.default_rng(1).standard_normal((200, 3, 12))
    wobble -= wobble.mean(1, keepdims=True)
    noisy = (noisy + wobble.reshape(600, 12)).astype(np.float32)
    repeated = Rescaling.fit(
        noisy, np.repeat(TRUTH, 3, axis=0), groups=[one for one in IDS for _ in range(3)], kind="spread", limit=10.0
    )
    # what wobbles is kept as float32, and the gain is measured in spreads
    kept = rounding(sums=1, scale=largest(noisy) / float(SHRUNK.std(0).min()))
    np.testing.assert_allclose(repeated.gain, fit().gain, rtol=kept)


def test_arrays_and_back() -> None:
    one = fit("spread+norm")
    back = Rescaling.from_arrays(one.arrays(), kind="spread+norm")
    np.testing.assert_array_equal(back.apply(SHRUNK), one.apply(SHRUNK))
    assert back.facts() == one.facts() and 0.3 < one.ratio < 0.6
    with pytest.raises(InputError, match="restore.gain"):
        Rescaling.from_arrays({"restore.centre": one.centre, "restore.mean": one.mean}, kind="spread")


def test_wrong_settings_and_shapes() -> None:
    with pytest.raises(UsageError, match="spread"):
        fit("whiten")
    with pytest.raises(UsageError, match="above 0"):
        fit(limit=0)
    with pytest.raises(InputError):
        Rescaling.fit(SHRUNK[:-1], TRUTH, groups=IDS, kind="spread", limit=2.0)
    with pytest.raises(InputError):
        fit().apply(SHRUNK[:, :-1])
