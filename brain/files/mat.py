"""MATLAB 5 files that others wrote: the one place where scipy.io reads. MATLAB 7.3 is HDF5."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.files.paths import AGAIN, check_magic, damage, present

LIMIT = 2**30
"""Bytes that the file may have, and that its numeric arrays may take."""


def read_mat(path: Path, names: Sequence[str], *, what: str, then: str = AGAIN) -> dict[str, NDArray[Any]]:
    """The numeric arrays of these names, in any shape, as far as the file has them.

    A damaged or foreign file is an InputError.
    """
    from scipy.io import loadmat, whosmat

    present(path, what=what, then=then, limit=LIMIT)
    check_magic(path, b"MATLAB 5.0", what=what, then=then)
    with damage(path, what=f"{what} (a MATLAB 5 file)", then=then):
        claims = sum(8 * int(np.prod(shape, dtype=np.float64)) for name, shape, _ in whosmat(path) if name in names)
    if claims > LIMIT:
        raise InputError(expected(path, f"arrays of at most {LIMIT} bytes", f"{claims} claimed", then))
    with damage(path, what=f"{what} (a MATLAB 5 file)", then=then):
        found = loadmat(path, variable_names=list(names))
    arrays = {name: np.asarray(found[name]) for name in names if name in found}
    strange = [name for name, values in arrays.items() if values.dtype.kind not in "iufb"]
    if strange:
        raise InputError(expected(f"{path}, {strange[0]}", "numbers", f"{arrays[strange[0]].dtype}", then))
    return arrays
