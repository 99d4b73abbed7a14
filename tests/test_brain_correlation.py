"""Correlation: numpy's own numbers by every form, 0 for what is constant, and one answer however it is sliced."""

from __future__ import annotations

import numpy as np
import pytest

import brain.data.correlation
from brain.data.correlation import columnwise, directions, pairwise, varies, with_row
from brain.errors import InputError
from brain.types import Float
from tests.rounding import rounding

N = 30


@pytest.fixture
def rows() -> Float:
    """(5, value) about 3, the second constant."""
    drawn = (3 + np.random.default_rng(0).standard_normal((5, N))).astype(np.float32)
    drawn[1] = 2  # whose mean is exact
    return drawn


@pytest.fixture
def others(rows: Float) -> Float:
    return (rows[[0, 2, 4]] + np.random.default_rng(1).standard_normal((3, N))).astype(np.float32)


def numpys(left: Float, right: Float) -> np.ndarray:
    """Of the rows that vary."""
    return np.corrcoef(left, right)[: len(left), len(left) :]


def test_pairwise_is_numpys_and_a_constant_row_is_0(rows: Float, others: Float) -> None:
    found = pairwise(rows, others)
    varied = [0, 2, 3, 4]
    np.testing.assert_allclose(found[varied], numpys(rows[varied].astype(float), others.astype(float)))
    assert found.dtype == np.float64 and not found[1].any() and not pairwise(others, rows)[:, 1].any()


def test_pairwise_is_the_same_in_slices(rows: Float, others: Float, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pairwise(rows, others)
    monkeypatch.setattr(brain.data.correlation, "SLICE", 35)
    np.testing.assert_allclose(pairwise(rows, others), whole)


def test_rows_with_one_are_numpys_in_their_own_numbers(rows: Float, others: Float) -> None:
    found, true = with_row(rows, others[0]), numpys(rows[[0, 2]], others[:1]).ravel()
    # two rows less their means, a product and two norms of them
    np.testing.assert_allclose(found[[0, 2]], true, atol=rounding(sums=5 * N, scale=1.0), rtol=0)
    assert found.dtype == np.float32 and found[1] == 0 and not with_row(rows, rows[1]).any()


def test_products_of_directions_are_correlations(rows: Float, others: Float) -> None:
    found = directions(rows) @ directions(others).T
    np.testing.assert_allclose(found, pairwise(rows, others), atol=rounding(sums=5 * N, scale=1.0), rtol=0)
    assert directions(rows).dtype == np.float32


def test_columns_are_numpys() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((N, 4)).astype(np.float32)
    b = (a + 100 + rng.standard_normal((N, 4))).astype(np.float32)
    true = [np.corrcoef(a[:, one], b[:, one])[0, 1] for one in range(4)]
    # both in float64, ours kept as float32
    np.testing.assert_allclose(columnwise(a, b), true, atol=rounding(sums=1, scale=1.0), rtol=0)
    b[:, 1] = 0.1
    assert columnwise(a, b)[1] == 0
    with pytest.raises(InputError):
        columnwise(a, b[:-1])


def every_form(rows: Float, others: Float) -> list[np.ndarray]:
    """(5, 3) by each of the four."""
    return [
        pairwise(rows, others),
        np.stack([with_row(rows, one) for one in others], 1),
        directions(rows) @ directions(others).T,
        np.stack([columnwise(rows.T, np.repeat(one[:, None], 5, 1)) for one in others], 1),
    ]


@pytest.mark.parametrize("scale", [1.0, 1e-12])
def test_every_form_gives_one_answer_to_odd_rows_and_small_units(rows: Float, others: Float, scale: float) -> None:
    true = pairwise(rows[[0, 2]], others)
    rows, others = rows * np.float32(scale), others * np.float32(scale)
    rows[1], rows[3, 3] = 0.1, np.nan  # a constant whose mean is rounded
    rows[4] = np.where(np.arange(N) % 2, np.float32(0.3), np.nextafter(np.float32(0.3), np.float32(1)))  # by rounding
    for found in every_form(rows, others):
        np.testing.assert_allclose(found[[0, 2]], true, atol=rounding(sums=7 * N, scale=1.0), rtol=0)
        assert not found[[1, 4]].any() and np.isnan(found[3]).all()
    assert not with_row(others, rows[1]).any() and np.isnan(with_row(others, rows[3])).all()
    assert not pairwise(others, rows)[:, 1].any() and np.isnan(pairwise(others, rows)[:, 3]).all()


def test_whole_numbers_and_nothing_at_all() -> None:
    far = np.array([[-100, 100, 50], [7, 7, 7]], np.int8)
    assert pairwise(far, far)[0, 0] == pytest.approx(1) and not pairwise(far, far)[1].any()
    assert pairwise(far > 0, far)[0, 0] > 0
    assert not varies(np.zeros((3, 0)), axis=1).any()
