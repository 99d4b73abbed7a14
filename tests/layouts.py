"""The same numbers, laid out in memory as files and libraries hand them over. No test by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def laid_out(values: NDArray[Any], folder: Path) -> dict[str, NDArray[Any]]:
    """Name of a layout -> `values` in it: the same shape, type and numbers.

    channels last   of four dimensions only: as pictures lie in a file, and as convolutions leave them
    odd offset      beginning at a byte that divides by the numbers' own size and by nothing larger
    transposed      the last index moving slowest, as MATLAB stores it
    sliced          every second number of a larger array
    memory-mapped   in a file, behind a header of an odd length of numbers
    """
    found = {
        "odd offset": _at(values, bytearray(values.nbytes + 256)),
        "transposed": np.asfortranarray(values),
        "sliced": _every_second(values),
        "memory-mapped": _mapped(values, folder),
    }
    if values.ndim == 4:
        found["channels last"] = np.ascontiguousarray(values.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for name, one in found.items():
        assert one.shape == values.shape and one.dtype == values.dtype and np.array_equal(one, values), name
    return found


def tensors_of(values: NDArray[Any], folder: Path) -> dict[str, torch.Tensor]:
    """The same as tensors, none of which owns its memory."""
    return {name: torch.from_numpy(one) for name, one in laid_out(values, folder).items()}


def _every_second(values: NDArray[Any]) -> NDArray[Any]:
    for axis in {0, values.ndim - 1}:
        values = np.repeat(values, 2, axis=axis)
    return values[tuple(slice(None, None, 2 if axis in (0, values.ndim - 1) else 1) for axis in range(values.ndim))]


def _at(values: NDArray[Any], space: bytearray) -> NDArray[Any]:
    whole = np.frombuffer(space, np.uint8)
    first = -whole.ctypes.data % 128 + values.itemsize
    out = whole[first : first + values.nbytes].view(values.dtype).reshape(values.shape)
    out[...] = values
    assert out.ctypes.data % 64 == values.itemsize % 64
    return out


def _mapped(values: NDArray[Any], folder: Path) -> NDArray[Any]:
    header = 3 * values.itemsize
    path = folder / f"{len(list(folder.iterdir()))}.bin"  # one of its own: what is mapped must not be written again
    path.write_bytes(b"\0" * header + np.ascontiguousarray(values).tobytes())
    # "c": writable in memory, never on disk
    return np.memmap(path, dtype=values.dtype, mode="c", offset=header, shape=values.shape).view(np.ndarray)
