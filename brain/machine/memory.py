"""Memory: arrays and tensors laid out one way, so that the same numbers give the same sums however they were made.

    contiguous(values)           in C order; the array itself where it is so already: for what numpy sums
    fresh(tensor, rows=4)        a copy of 4 rows, missing ones filled up with the last: for what a network reads

numpy adds up a row-major array and a column-major one in another order, and a network's kernels are picked by strides
and by the number of rows; each kernel adds up in an order of its own. Files and libraries decide both: MATLAB stores
columns first, `values[:, columns]` comes back column-major, a slice leaves gaps, an autoencoder hands over
channels_last strides, which alone moved a decoder's output by 2e-6, enough to flip a pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from brain.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

MEMORY_FORMAT = "contiguous"
"""How every tensor lies that a network reads, by torch's name for it; it belongs to the last bits of what comes out."""


def contiguous(values: Any, dtype: DTypeLike | None = None) -> NDArray[Any]:
    """`values` of any shape in C order, of this type (None: their own, in this machine's byte order), each aligned.

    A copy only where they are not so already.
    """
    values = np.asarray(values, dtype)
    native = values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))
    return np.require(native, None, ["C", "A"])


def fresh(values: Tensor, *, rows: int = 0) -> Tensor:
    """A copy of `values` (row, ...) in contiguous memory of its own; gradients pass.

    `rows` is how many rows the copy has, the missing ones copies of the last; 0 is as many as came. Strides are those
    of a tensor just made, also in dimensions of size 1, and the first byte is the allocator's own: `.contiguous()`
    keeps the offset of a slice and `.clone()` its strides. Nothing to fill up with is an InputError.
    """
    count = len(values)
    if rows and not count:
        raise InputError(f"expected one row or more to fill {rows} up with, found none; give one sample or more")
    out = values.new_empty((max(rows, count), *values.shape[1:]))
    out[:count] = values
    out[count:] = values[-1:]
    return out
