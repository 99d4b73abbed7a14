"""Pearson's correlation: every row with every row, rows with one row, columns with columns.

Each keeps the numbers it is computed in: where the largest of many is chosen, another type would choose another among
equals. What is constant, or holds a NaN, correlates with nothing: 0 (`varies`), however its mean is rounded.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError
from brain.types import Float

SLICE = 2**24
"""Numbers of a side that are taken to float64 at a time."""


def varies(rows: NDArray[Any], *, axis: int) -> NDArray[np.bool_]:
    """Whether values along `axis` differ, of (row, value) along 1: (row,) bool; False where one of them is NaN."""
    return np.asarray(np.ptp(rows, axis=axis) > 0)


def pairwise(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float64]:
    """Pearson correlation of every row of `left` (l, value) with every row of `right` (r, value): (l, r) float64."""
    means = [rows.mean(axis=1, dtype=np.float64, keepdims=True) for rows in (left, right)]
    product = np.zeros((len(left), len(right)))
    squares = [np.zeros(len(left)), np.zeros(len(right))]
    # In slices: a thousand pictures have a gigabyte of AlexNet features, and float64 would double it twice over.
    step = max(1, SLICE // max(len(left), len(right), 1))
    for start in range(0, left.shape[1], step):
        first, second = (rows[:, start : start + step] - mean for rows, mean in zip((left, right), means, strict=True))
        product += first @ second.T
        squares[0] += np.einsum("ij,ij->i", first, first)
        squares[1] += np.einsum("ij,ij->i", second, second)
    sizes = [np.sqrt(total) for total in squares]
    scale = np.outer(*sizes)
    varied = varies(left, axis=1)[:, None] & varies(right, axis=1)[None, :] & (scale > 0)
    return np.divide(product, scale, out=np.zeros_like(product), where=varied)


def with_row(rows: Float, row: Float) -> Float:
    """Pearson correlation of each of `rows` (row, value) with one `row` (value,): (row,) float32, in their own type."""
    varied = varies(rows, axis=1) & varies(row, axis=0)
    rows, row = rows - rows.mean(1, keepdims=True), row - row.mean()
    scale = np.linalg.norm(rows, axis=1) * np.linalg.norm(row)
    product = rows @ row
    return np.asarray(np.divide(product, scale, out=np.zeros_like(product), where=varied & (scale > 0)), np.float32)


def columnwise(a: Float, b: Float) -> Float:
    """Pearson correlation of each column of two (row, column) arrays, (column,) float32, summed in float64."""
    if a.shape != b.shape or a.ndim != 2:
        raise InputError(f"correlation: expected two arrays of one shape (row, column), found {a.shape} and {b.shape}")
    varied = varies(a, axis=0) & varies(b, axis=0)
    a, b = a - a.mean(0, dtype=np.float64), b - b.mean(0, dtype=np.float64)
    scale, product = np.sqrt(np.square(a).sum(0) * np.square(b).sum(0)), (a * b).sum(0)
    return np.asarray(np.divide(product, scale, out=np.zeros_like(product), where=varied & (scale > 0)), np.float32)


def directions(rows: Float) -> Float:
    """Rows (row, value) less their mean, of norm 1, float32: products of two are correlations; a constant one is 0."""
    centred = rows - rows.mean(1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    varied = varies(rows, axis=1)[:, None] & (norm > 0)
    return np.asarray(np.divide(centred, norm, out=np.zeros_like(centred), where=varied), np.float32)
