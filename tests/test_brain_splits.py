"""Splits: disjoint in their unit by construction, a digest that stays, and families that are known by their names."""

from __future__ import annotations

import pytest

from brain.errors import InputError, UsageError
from brain.splits import family_of
from brain.splits.cluster import count_in
from brain.splits.leave_out import leave_out
from brain.splits.nsd import SHARED_1000
from brain.splits.tenth_by_hash import tenth_by_hash
from brain.types import Split, over_trials

TRIALS = {"1": "cat", "2": "dog", "3": "cat", "4": "cow"}


def test_the_digest_of_a_split_over_stimuli_stays_what_it_was() -> None:
    split = Split(name="mine", train=("cat", "dog"), test=("cow",))
    assert split.unit == "stimulus" and split.shared == 0 and split.statement == ""
    assert split.sha256 == "e4b314b01213dce8eaaa825da86fc125df8271d409100ef810cf2f8ce7611a2a"


def test_a_split_over_trials_counts_the_stimuli_on_both_sides() -> None:
    split = over_trials("mine", TRIALS, train=["1", "2"], test=["3", "4"])
    assert split.unit == "trial" and split.shared == 1 and split.test == ("3", "4")
    assert "with 1 stimulus in training and test alike" in split.statement
    assert split.sha256 != Split(name="mine", train=("1", "2"), test=("3", "4")).sha256
    assert over_trials("apart", TRIALS, train=["1", "3"], test=["2"]).shared == 0


def test_a_trial_on_both_sides_and_an_unknown_one_are_refused() -> None:
    with pytest.raises(InputError, match=r"1 trials stand in training and test alike \(first: 2\)"):
        over_trials("mine", TRIALS, train=["1", "2"], test=["2"])
    with pytest.raises(InputError, match="split 'mine': expected trials of these data, found trial '5'; take it out"):
        over_trials("mine", TRIALS, train=["1"], test=["5"])


def test_stimuli_on_both_sides_are_of_splits_over_trials_alone() -> None:
    with pytest.raises(InputError, match="split 'mine': expected no stimulus on both sides, found 2 that do"):
        Split(name="mine", train=("cat",), test=("dog",), shared=2)
    with pytest.raises(UsageError, match="no unit of a split is called 'trials'; did you mean trial"):
        Split(name="mine", train=("cat",), test=("dog",), unit="trials")


@pytest.mark.parametrize(
    ("split", "family"),
    [
        ("leave-out-run1", "leave-out"),
        ("leave-out", "leave-out"),
        ("cluster-5", "cluster"),
        ("cluster-5-2", "cluster"),
        (SHARED_1000, SHARED_1000),
        ("test-clips", "test-clips"),
        ("god", "god"),
        ("tenth-by-hash", "tenth-by-hash"),
    ],
)
def test_a_split_is_of_its_family_by_its_name(split: str, family: str) -> None:
    found = family_of(split)
    assert found is not None and found.name == family


def test_splits_are_made_under_names_of_their_families() -> None:
    splits, _ = leave_out({"a": ["cat"], "b": ["dog"]})
    made = [*splits, tenth_by_hash(TRIALS.values())]
    assert [family_of(split.name) is not None for split in made] == [True] * 3
    assert family_of("mine") is None
    assert [count_in(name) for name in ("cluster-5", "cluster-12-2", "cluster", "mine")] == [5, 12, 0, 0]
