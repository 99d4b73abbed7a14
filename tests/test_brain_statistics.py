"""Standardising, averaging, ceilings, leaks and splits: closed forms, and no road from a held-out trial into a fit."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from brain.data.averages import average_repeats, count_repeats
from brain.data.leaks import content_sha256, guard, look_at_all
from brain.data.reliability import ceiling_correlation, estimate_ncsnr, noise_ceiling
from brain.data.standardise import SessionScaler
from brain.data.validity import Validity, measured
from brain.errors import InputError, UsageError
from brain.splits.leave_out import leave_out
from brain.splits.tenth_by_hash import tenth_by_hash
from brain.types import Recording, Region, Responses, Split, Stimuli
from brain.voxels import VoxelSpace
from tests.rounding import largest, rounding

KEPT = rounding(sums=1, scale=1.0)
"""What is computed in float64 and kept as float32, relative."""


def space(voxels: int) -> VoxelSpace:
    ijk = np.stack([np.arange(voxels), np.zeros(voxels, int), np.zeros(voxels, int)], axis=1)
    return VoxelSpace(
        subject="s", name="native", betas="b", unit="psc", shape=(voxels, 1, 1), affine=np.eye(4), ijk=ijk
    )


def responses_of(values: np.ndarray, stimulus: np.ndarray, session: np.ndarray | None = None) -> Responses:
    names = np.array([f"s{number:05d}" for number in stimulus.tolist()])
    sessions = np.ones(len(values), int) if session is None else session
    return Responses(
        values=values, stimulus=names, session=sessions, repeat=count_repeats(names), space=space(values.shape[1])
    )


@pytest.fixture
def responses() -> Responses:
    generator = np.random.default_rng(0)
    session = np.repeat([1, 2, 5], 20)
    values = generator.normal(size=(60, 7)) * 3 + session[:, None] * 10
    values[session == 2, 4] = 1.1
    return responses_of(values, generator.integers(0, 25, 60), session)


def test_training_trials_of_a_session_have_mean_zero_and_spread_one(responses: Responses) -> None:
    train = np.random.default_rng(1).random(60) < 0.7
    scaled = SessionScaler.fit(responses, train).apply(responses)
    assert scaled.space.unit == "z" and scaled.values.dtype == np.float32
    for session in (1, 2, 5):
        rows = train & (responses.session == session)
        moving = [0, 1, 2, 3, 5, 6] if session == 2 else list(range(7))
        here = responses.values[rows][:, moving]
        # the mean that is taken off is kept as float32, and z-scores are counted in spreads
        off = rounding(sums=1, scale=largest(here.mean(axis=0)) / float(here.std(axis=0).min()))
        found = scaled.values[rows].astype(np.float64)
        # a difference and a quotient of each z-score; of the spread what is kept too
        np.testing.assert_allclose(found.mean(axis=0), 0, atol=off + rounding(sums=2, scale=largest(found)), rtol=0)
        np.testing.assert_allclose(found[:, moving].std(axis=0), 1, atol=rounding(sums=3, scale=1.0), rtol=0)


def test_a_voxel_that_does_not_move_in_training_stays_zero(responses: Responses) -> None:
    values = responses.values.copy()
    train = np.arange(60) % 4 != 0
    values[(responses.session == 2) & ~train, 4] = 50
    changed = Responses(
        values=values,
        stimulus=responses.stimulus,
        session=responses.session,
        repeat=responses.repeat,
        space=responses.space,
    )
    scaled = SessionScaler.fit(changed, train).apply(changed).values
    assert (scaled[responses.session == 2, 4] == 0).all() and np.isfinite(scaled).all()


def test_held_out_rows_of_a_million_change_no_fitted_number(responses: Responses) -> None:
    train = np.arange(60) % 3 != 0
    poisoned = responses.values.copy()
    poisoned[~train] = 1e6
    other = responses_of(poisoned, np.zeros(60, int), responses.session)
    one, two = SessionScaler.fit(responses, train).arrays(), SessionScaler.fit(other, train).arrays()
    assert {name: values.tobytes() for name, values in one.items()} == {n: v.tobytes() for n, v in two.items()}


def test_a_scaler_survives_storing_and_selecting(responses: Responses) -> None:
    scaler = SessionScaler.fit(responses, np.ones(60, bool))
    again = SessionScaler.from_arrays({**scaler.arrays(), "weights": np.zeros(3)})
    np.testing.assert_array_equal(again.apply(responses).values, scaler.apply(responses).values)
    columns = np.array([5, 0])
    np.testing.assert_array_equal(
        scaler.voxels(columns).apply(responses.voxels(columns)).values, scaler.apply(responses).values[:, columns]
    )
    with pytest.raises(InputError, match=r"scaler\.std"):
        SessionScaler.from_arrays({"scaler.sessions": scaler.sessions, "scaler.mean": scaler.mean})


def test_one_trial_is_scaled_as_it_is_among_others(responses: Responses) -> None:
    scaler = SessionScaler.fit(responses, np.ones(60, bool))
    alone = scaler.apply(responses.trials(np.array([33]))).values[0]
    np.testing.assert_array_equal(alone, scaler.apply(responses).values[33])


def test_what_cannot_be_standardised_is_refused(responses: Responses) -> None:
    scaler = SessionScaler.fit(responses, np.ones(60, bool))
    with pytest.raises(InputError, match="session 2: 1 training trials"):
        SessionScaler.fit(responses, (responses.session != 2) | (np.arange(60) == 25))
    with pytest.raises(InputError, match="session 9 was not fitted"):
        scaler.apply(responses_of(responses.values, np.zeros(60, int), np.full(60, 9)))
    with pytest.raises(InputError, match="fitted on 7 voxels, found 3"):
        scaler.apply(responses.voxels(np.arange(3)))
    with pytest.raises(InputError, match="bool"):
        SessionScaler.fit(responses, np.arange(60))
    spoilt = responses.values.copy()
    spoilt[3, 1] = np.nan
    with pytest.raises(InputError, match="1 voxels hold NaN"):
        SessionScaler.fit(responses_of(spoilt, np.zeros(60, int), responses.session), np.ones(60, bool))


def test_repeats_are_averaged_by_stimulus_and_counted_never_padded(responses: Responses) -> None:
    averaged = average_repeats(responses)
    assert averaged.ids == tuple(sorted(set(responses.stimulus.tolist())))
    assert averaged.repeats.sum() == 60 and averaged.repeats.min() < averaged.repeats.max()
    for index in (0, 7, len(averaged.ids) - 1):
        rows = responses.stimulus == averaged.ids[index]
        by_hand = responses.values[rows].mean(axis=0, dtype=np.float64)
        np.testing.assert_allclose(averaged.values[index], by_hand, rtol=KEPT)
        assert averaged.repeats[index] == rows.sum()
    with pytest.raises(InputError, match="no trials"):
        average_repeats(responses.trials(np.zeros(60, bool)))


def test_repeats_are_numbered_in_the_order_of_showing() -> None:
    assert count_repeats(np.array(["b", "a", "b", "b", "a"])).tolist() == [0, 0, 1, 2, 1]


def test_the_ceiling_of_mixed_repeats_is_the_manuals() -> None:
    ncsnr = np.array([0, 0.5, 1, 4])
    repeats = np.array([1] * 5 + [2] * 3 + [3] * 2)
    once, twice, thrice = 5, 3, 2
    mixed = (thrice / 3 + twice / 2 + once) / 10
    np.testing.assert_allclose(noise_ceiling(ncsnr, repeats), ncsnr**2 / (ncsnr**2 + mixed), rtol=KEPT)
    np.testing.assert_allclose(noise_ceiling(ncsnr, np.full(9, 3))[2], 0.75, rtol=KEPT)
    # a root, which is squared
    back = ceiling_correlation(ncsnr, repeats) ** 2
    np.testing.assert_allclose(back, noise_ceiling(ncsnr, repeats), rtol=rounding(sums=1 + 2, scale=1.0))
    for wrong in ([], [0, 1]):
        with pytest.raises(InputError, match="repeats"):
            noise_ceiling(ncsnr, np.array(wrong))
    with pytest.raises(InputError, match="finite"):
        noise_ceiling(np.array([np.nan]), repeats)


def test_a_perfect_model_reaches_the_ceiling_and_ncsnr_is_recovered_from_mixed_repeats() -> None:
    generator = np.random.default_rng(2)
    truth = np.array([0, 0.3, 0.8, 1.5, 3])
    counts = generator.integers(1, 4, 8000)
    stimulus = np.repeat(np.arange(8000), counts)
    signal = generator.standard_normal((8000, 5)) * truth
    values = signal[stimulus] + generator.standard_normal((len(stimulus), 5))
    responses = responses_of(values, stimulus)
    estimate = estimate_ncsnr(responses)
    # three standard errors of the signal variance of the poorest voxel, and of the ratio of the best
    np.testing.assert_allclose(estimate[1:], truth[1:], atol=0.1)
    assert estimate[0] < 0.25
    averaged = average_repeats(responses)
    reached = [np.corrcoef(averaged.values[:, v], signal[:, v])[0, 1] for v in range(1, 5)]
    np.testing.assert_allclose(reached, ceiling_correlation(truth, averaged.repeats)[1:], atol=0.03)


def test_the_ncsnr_of_equal_counts_is_the_closed_form_of_the_analysis_of_variance() -> None:
    values = np.array([[1, 3], [2, 3], [5, 7], [8, 7]], np.float32)
    estimate = estimate_ncsnr(responses_of(values, np.array([0, 0, 1, 1])))
    # noise (0.5 + 4.5) / 2, between 2 * (2.5**2 + 2.5**2); a voxel without noise has no ratio
    np.testing.assert_allclose(estimate, [np.sqrt((25 - 2.5) / 2 / 2.5), 0], rtol=KEPT)
    with pytest.raises(InputError, match="a repeat"):
        estimate_ncsnr(responses_of(values, np.arange(4)))


def stimuli_of(pixels: dict[str, np.ndarray]) -> Stimuli:
    return Stimuli(ids=tuple(pixels), modality="image", opener=lambda name: Image.fromarray(pixels[name]))


def test_a_test_stimulus_in_training_is_refused_by_name() -> None:
    split = Split(name="mine", train=("a", "b"), test=("c", "d"))
    guard(split, ["a", "b", "z"])
    with pytest.raises(InputError, match=r"'mine': 1 of its test stimuli .* c\)"):
        guard(split, ["a", "c"])


def test_a_test_picture_under_another_name_is_refused_by_its_pixels() -> None:
    generator = np.random.default_rng(0)
    pixels = {name: generator.integers(0, 256, (4, 4, 3), dtype=np.uint8) for name in "abcd"}
    split = Split(name="mine", train=("a", "b"), test=("c", "d"))
    guard(split, split.train, look_at_all(stimuli_of(pixels), tuple("abcd")))
    pixels["b"] = pixels["d"].copy()
    with pytest.raises(InputError, match="stimulus b is the same as test stimulus d"):
        guard(split, split.train, look_at_all(stimuli_of(pixels), tuple("abcd")))
    pixels["b"] = pixels["b"].copy()
    pixels["b"][0, 0, 0] ^= 1
    guard(split, split.train, look_at_all(stimuli_of(pixels), tuple("abcd")))


def test_sounds_are_told_apart_by_samples_and_rate() -> None:
    wave = np.linspace(-1, 1, 50, dtype=np.float32)
    assert content_sha256((wave, 16000)) == content_sha256((wave.copy(), 16000))
    assert content_sha256((wave, 16000)) != content_sha256((wave, 48000))


def test_splits_by_group_are_over_stimuli() -> None:
    splits, left_out = leave_out({"run1": ["a", "b"], "run2": ["b", "c"], "run3": ["d"]})
    assert left_out == {}
    assert [split.name for split in splits] == ["leave-out-run1", "leave-out-run2", "leave-out-run3"]
    assert splits[1].test == ("b", "c") and splits[1].train == ("a", "d")
    splits, left_out = leave_out({"run1": ["a", "b"], "run2": ["b"]})
    assert [split.name for split in splits] == ["leave-out-run2"] and list(left_out) == ["leave-out-run1"]
    assert left_out["leave-out-run1"].startswith("the group shows every stimulus")


def test_a_tenth_by_hash_is_a_tenth_and_the_same_for_ever() -> None:
    split = tenth_by_hash(f"s{number}" for number in range(100))
    assert len(split.test) == 10 and len(split.train) == 90
    assert split.test == ("s23", "s25", "s39", "s50", "s56", "s64", "s7", "s91", "s95", "s97")


def test_a_split_without_two_sides_or_with_one_stimulus_on_both_cannot_be_built() -> None:
    with pytest.raises(InputError, match="stand in training and test alike"):
        Split(name="x", train=("a", "b"), test=("b",))
    with pytest.raises(InputError, match="both are needed"):
        Split(name="x", train=("a",), test=())


def test_a_family_of_splits_is_gone_through_together(responses: Responses) -> None:
    family, _ = leave_out({name: [name] for name in ("a", "b", "c")})
    whole = Split(name="all", train=("a",), test=("b", "c"))
    region = Region(name="all", atlas="all", mask=np.ones(7, bool))

    def recording(*splits: Split) -> Recording:
        return Recording(responses=responses, stimuli=stimuli_of({}), regions=(region,), splits=splits)

    assert recording(*family).folds() == family and recording(whole, *family).folds("leave-out") == family
    assert recording(whole, *family).folds() == (whole,)
    assert recording(whole, *family).folds("leave-out-b") == (family[1],)
    with pytest.raises(UsageError, match="no split is called"):
        recording(whole).folds("leave-out")
    with pytest.raises(InputError, match="no split"):
        recording().split()


def test_voxels_are_left_out_for_nan_or_stillness_with_the_session_said() -> None:
    generator = np.random.default_rng(0)
    validity = Validity(5)
    first, second = generator.normal(size=(2, 4, 5))
    first[2, 0] = np.inf
    second[:, 3] = 7
    validity.look(first, 1)
    validity.look(second, 4)
    validity.look(generator.normal(size=(1, 5)), 6)
    assert validity.usable.tolist() == [False, True, True, False, True]
    assert validity.sentences() == (
        "up to 1 of 5 voxels hold NaN or infinity in session 1; 2 voxels are left out in all",
        "up to 1 of 5 voxels are constant in session 4; 2 voxels are left out in all",
    )
    assert Validity(3).sentences() == ()


def test_a_trial_of_one_value_or_of_nan_in_most_voxels_was_not_measured() -> None:
    values = np.random.default_rng(0).normal(size=(8, 20))
    values[1] = 0
    values[3, 2:] = np.nan
    values[5, :3] = np.nan
    values[:, 19] = np.nan
    values[6, 1:] = 4.5
    assert measured(values).tolist() == [True, False, True, False, True, True, True, True]
    values[6, 0] = 4.5
    assert measured(values).tolist() == [True, False, True, False, True, True, False, True]
    assert measured(np.full((2, 4), np.nan)).tolist() == [False, False]
    assert measured(np.zeros((3, 2))).all()  # so few voxels may agree by chance


def test_a_dropped_trial_costs_no_voxel() -> None:
    values = np.random.default_rng(0).normal(size=(6, 5))
    values[2], values[4, 1] = np.nan, np.inf
    validity = Validity(5)
    validity.look(values, 1)
    validity.look(np.full((2, 5), np.nan), 2)
    assert validity.usable.tolist() == [True, False, True, True, True]
    assert validity.sentences() == (
        "up to 1 of 5 voxels hold NaN or infinity in session 1; 1 voxel is left out in all",
    )
