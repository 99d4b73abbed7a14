"""Retrieval of embeddings: the two directions apart, pools of 300 as published, ties, and the null of one test set."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from brain.errors import InputError
from encoders.conditions import Conditions, SpaceCard
from evaluation.score import Chances
from evaluation.similarity import cosines
from evaluation.statistics.embedding_retrieval import Retrieved, mean_retrieval, retrieval_tables, retrieve
from evaluation.statistics.folds import Design, null_from
from tests.rounding import rounding


def conditions(values: np.ndarray, *, space: str = "clip-image") -> Conditions:
    ids = tuple(f"s{row:03d}" for row in range(len(values)))
    shape = (values.shape[1],)
    card = SpaceCard(name=space, model="m", revision="r", layer="l", normalisation="none", shape=shape)
    return Conditions(space=card, values=np.asarray(values, np.float32), ids=ids)


def test_the_two_directions_are_not_swapped() -> None:
    """Every brain finds its own image, and image 0 is nearer to brain 1 than to its own."""
    decoded = np.array([[0.5, 0.4, 0.4], [0.68, 0.73, 0.0], [0.0, 0.0, 1.0]])
    found = mean_retrieval(decoded, np.eye(3))
    assert found == {"brain_to_stimulus_all": 1.0, "stimulus_to_brain_all": pytest.approx(2 / 3)}


def test_pools_of_300_are_what_drawn_pools_come_to() -> None:
    """MindEye's own arithmetic: unit vectors, a drawn pool of 300, the largest of each row and column."""
    draw = torch.Generator().manual_seed(0)
    truth = torch.randn(330, 6, generator=draw)
    decoded = truth + 0.8 * torch.randn(330, 6, generator=draw)
    forward, backward = [], []
    for _ in range(300):
        pool = torch.randperm(330, generator=draw)[:300]
        one, other = (torch.nn.functional.normalize(rows[pool], dim=-1) for rows in (decoded, truth))
        similar = one @ other.T
        forward.append(float((similar.argmax(1) == torch.arange(300)).float().mean()))
        backward.append(float((similar.argmax(0) == torch.arange(300)).float().mean()))
    found = mean_retrieval(decoded.numpy(), truth.numpy())
    for name, drawn in (("brain_to_stimulus_300", forward), ("stimulus_to_brain_300", backward)):
        assert 0.02 < found[name] < 0.9
        assert found[name] == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(len(drawn)))
        assert found[name] > found[name.replace("300", "all")]


def test_a_decoder_that_always_says_the_same_is_at_chance_in_both_directions() -> None:
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((20, 7)).astype(np.float32)
    always = np.repeat(rng.standard_normal((1, 7)), 20, axis=0).astype(np.float32)
    assert mean_retrieval(always, truth) == {
        "brain_to_stimulus_all": pytest.approx(1 / 20), "stimulus_to_brain_all": pytest.approx(1 / 20),
    }  # fmt: skip
    assert mean_retrieval(np.zeros((20, 7)), truth)["stimulus_to_brain_all"] == pytest.approx(1 / 20)


def test_cosines_are_torch_s() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.standard_normal((5, 40)) + 1, rng.standard_normal((4, 40))
    theirs = torch.nn.functional.cosine_similarity(torch.tensor(left)[:, None], torch.tensor(right)[None], dim=-1)
    # seven decimals are kept
    np.testing.assert_allclose(cosines(left, right), theirs.numpy(), atol=rounding(sums=40, scale=1), rtol=0)


def test_scores_have_their_interval_chance_and_p() -> None:
    rng = np.random.default_rng(2)
    truth = rng.standard_normal((30, 3))
    chances = Chances(seed=0, bootstrap=200, permutations=199)
    found = retrieve("named", conditions(truth), conditions(truth), chances, design=Design(), blocks={})
    assert [(one.direction, one.pool, one.n, one.space) for one in found] == [
        ("brain_to_stimulus", 30, 30, "named"), ("stimulus_to_brain", 30, 30, "named"),
    ]  # fmt: skip
    for one in found:
        assert one.value == 1 and one.low < 0.95 and one.p == pytest.approx(1 / 200) and one.chance == 1 / 30
        assert one.null == "assignments of the test stimuli permuted"
    noise = retrieve(
        "x", conditions(rng.standard_normal((30, 3))), conditions(truth), chances, design=Design(), blocks={}
    )
    assert all(one.p is not None and one.p > 0.05 for one in noise)
    # what nobody may change places with anybody has no p
    apart = {f"s{row:03d}": str(row) for row in range(30)}
    alone = retrieve("x", conditions(truth), conditions(truth), chances, design=Design(), blocks=apart)
    assert [one.p for one in alone] == [None, None]
    with pytest.raises(InputError, match="clip-text"):
        retrieve("x", conditions(truth), conditions(truth, space="clip-text"), chances, design=Design(), blocks={})


def test_in_folds_chance_and_p_are_of_the_refits_where_these_know_the_measure() -> None:
    rng = np.random.default_rng(3)
    shares = {name: [0.9, *rng.uniform(0.3, 0.6, 40).tolist()] for name in ("two_way", "top1")}
    moved = {f"moved_{name}": rng.uniform(0.3, 0.6, 40).tolist() for name in ("two_way", "top1", "error")}
    facts = {**shares, **moved, "groups": [30], "targets": 3, "of": 3}
    known = {"values": [1.0, *[0.1] * 39, 1.0], "moved": [0.1, 0.2, 0.1]}
    truth = rng.standard_normal((30, 3))
    chances = Chances(seed=0, bootstrap=200, permutations=199)

    def found(facts: dict[str, object]) -> list[Retrieved]:
        design = Design(folds=3, nulls={"x": null_from(facts)})
        return retrieve("x", conditions(truth), conditions(truth), chances, design=design, blocks={})

    forward, backward = found({**facts, "embedding_retrieval": {"brain_to_stimulus_all": known}})
    assert forward.p == pytest.approx(2 / 41) and forward.chance == pytest.approx(0.4 / 3)
    assert forward.null == "40 refits, patterns permuted before the folds"
    # runs of a version that did not ask its refits: no p, and as much too narrow as two-way is
    assert [one.p for one in found(facts)] == [None, None]
    null = null_from(facts)
    assert null.narrow == 1 and null_from({**facts, "moved_error": [0.02] * 40}).narrow > 3
    half = np.where(np.arange(30) % 2, np.arange(30), (np.arange(30) + 2) % 30)
    plain, wide = (
        retrieve(
            "x", conditions(truth[half]), conditions(truth), chances, blocks={},
            design=Design(folds=3, nulls={"x": null_from({**facts, "moved_error": [error] * 40})}),
        )[0]
        for error in (1.0, 0.02)
    )  # fmt: skip
    assert plain.value == wide.value == 0.5 and wide.high - wide.low > 1.5 * (plain.high - plain.low)
    # refits of some targets for all, which come to another value
    other = {"values": [0.8, *[0.1] * 40], "moved": [0.1, 0.2]}
    assert found({**facts, "embedding_retrieval": {"brain_to_stimulus_all": other}})[0].p is None
    with pytest.raises(ValueError, match="two_way"):
        null_from({**facts, "embedding_retrieval": {"two_way": known}})
    assert backward.p is None and np.isnan(backward.chance)
    with pytest.raises(ValueError, match="other numbers"):
        found({**facts, "embedding_retrieval": {"brain_to_stimulus_all": {"values": [0.5] * 3, "moved": [0.1, 0.2]}}})


def test_of_300_stimuli_there_is_no_pool_of_300_beside_all() -> None:
    truth = np.random.default_rng(4).standard_normal((300, 2))
    assert set(retrieval_tables(truth, truth)) == {"brain_to_stimulus_all", "stimulus_to_brain_all"}
    assert len(retrieval_tables(np.ones((301, 2)), np.ones((301, 2)))) == 4


def test_intervals_of_few_hits_hold_chance() -> None:
    """Noise, 40 seeds, both directions: a bootstrap of pools misses chance in a quarter of them."""
    missed = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        decoded, truth = (conditions(rng.standard_normal((310, 8))) for _ in range(2))
        chances = Chances(seed=seed, bootstrap=200, permutations=0)
        for one in retrieve("x", decoded, truth, chances, design=Design(), blocks={}):
            missed += not one.low <= 1 / one.pool <= one.high
    assert missed <= 8  # of 160; a right tool has more with probability .05


def test_chance_of_blocks_is_what_their_permutations_give() -> None:
    """Ten sessions of three of a kind; patterns know the session alone."""
    rng = np.random.default_rng(5)
    kinds = np.repeat(rng.standard_normal((10, 20)), 3, axis=0)
    truth, decoded = (conditions(kinds + 0.1 * rng.standard_normal((30, 20))) for _ in range(2))
    chances = Chances(seed=0, bootstrap=200, permutations=999)
    blocks = {name: f"session {row // 3}" for row, name in enumerate(truth.ids)}
    for one in retrieve("x", decoded, truth, chances, design=Design(), blocks=blocks):
        assert one.chance == pytest.approx(1 / 3) and one.low < 1 / 3 < one.high and one.p is not None and one.p > 0.01
    free = retrieve("x", decoded, truth, chances, design=Design(), blocks={})
    assert all(one.chance == pytest.approx(1 / 30) and one.p is not None and one.p < 0.01 for one in free)
