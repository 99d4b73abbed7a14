"""Pearson's correlation: every row with every row, rows with one row, columns with columns.

Each keeps the numbers it is computed in: where the largest of many is chosen, another type would choose another among
equals. What is constant, but for rounding, correlates with nothing: 0 (`varies`). NaN and inf correlate as NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError
from brain.types import Float

SLICE = 2**24
"""Numbers of a side that are taken to float64 at a time."""
ULPS = 8
"""Steps of its number type, at its largest value, by which a constant row may differ in itself."""


def varies(rows: NDArray[Any], *, axis: int) -> NDArray[np.bool_]:
    """Whether values along `axis` differ by more than rounding, of (row, value) along 1: (row,) bool; False of NaN."""
    if not rows.shape[axis]:
        return np.zeros(np.delete(rows.shape, axis), bool)
    low, high = rows.min(axis), rows.max(axis)
    eps = np.finfo(rows.dtype).eps if np.issubdtype(rows.dtype, np.inexact) else 0
    return np.asarray(high > low + ULPS * eps * np.maximum(np.abs(low), np.abs(high)))


def _divided(product: NDArray[Any], scale: NDArray[Any], varied: NDArray[np.bool_]) -> NDArray[Any]:
    """product / scale where something varied, NaN where the scale is NaN, else 0; all of one shape."""
    known = (varied & (scale > 0)) | np.isnan(scale)
    return np.asarray(np.divide(product, scale, out=np.zeros_like(product), where=known))


def pairwise(left: NDArray[Any], right: NDArray[Any], *, centred: bool = True) -> NDArray[np.float64]:
    """Pearson correlation of every row of `left` (l, value) with every row of `right` (r, value): (l, r) float64.

    centred  False leaves the means in: the cosine, in which a constant row has a direction, and a row of zeros none
    """
    if centred:
        means = [rows.mean(axis=1, dtype=np.float64, keepdims=True) for rows in (left, right)]
    else:
        means = [np.zeros((len(rows), 1)) for rows in (left, right)]
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
    varied = varies(left, axis=1)[:, None] & varies(right, axis=1)[None, :] if centred else np.ones_like(scale, bool)
    return np.asarray(_divided(product, scale, varied), np.float64)


def with_row(rows: Float, row: Float) -> Float:
    """Pearson correlation of each of `rows` (row, value) with one `row` (value,): (row,) float32, in their own type."""
    varied = varies(rows, axis=1) & varies(row, axis=0)
    rows, row = rows - rows.mean(1, keepdims=True), row - row.mean()
    scale = np.linalg.norm(rows, axis=1) * np.linalg.norm(row)
    return np.asarray(_divided(rows @ row, scale, varied), np.float32)


def columnwise(a: Float, b: Float) -> Float:
    """Pearson correlation of each column of two (row, column) arrays, (column,) float32, summed in float64."""
    if a.shape != b.shape or a.ndim != 2:
        raise InputError(f"correlation: expected two arrays of one shape (row, column), found {a.shape} and {b.shape}")
    varied = varies(a, axis=0) & varies(b, axis=0)
    a, b = a - a.mean(0, dtype=np.float64), b - b.mean(0, dtype=np.float64)
    scale, product = np.sqrt(np.square(a).sum(0) * np.square(b).sum(0)), (a * b).sum(0)
    return np.asarray(_divided(product, scale, varied), np.float32)


def directions(rows: Float) -> Float:
    """Rows (row, value) less their mean, of norm 1, float32: products of two are correlations; a constant one is 0."""
    centred = rows - rows.mean(1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    norms = np.broadcast_to(norm, centred.shape)
    return np.asarray(_divided(centred, norms, varies(rows, axis=1)[:, None]), np.float32)
