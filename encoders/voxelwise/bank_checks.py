"""What a bank that can be searched looks like, whoever wrote its file.

    must_be_sound(bank, path)
"""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from brain.errors import InputError, expected
from brain.names import unseen

if TYPE_CHECKING:
    from encoders.voxelwise.banks import Bank

LONGEST = 400
"""Letters of an id or a label."""


def must_be_sound(bank: Bank, path: Path) -> None:
    """Refuses (InputError) what no build of ours writes: a bank may be anybody's."""
    texts = [*bank.ids, *(name for known in bank.names.values() for name in known)]
    shapes = [
        (one.axes.ndim, one.mean.ndim, one.coordinates.ndim) == (2, 1, 2)
        and one.axes.shape[1] == len(one.mean) == int(np.prod(one.card.shape))
        and one.coordinates.shape[1] == len(one.axes)
        and one.coordinates.dtype.kind == "f"
        for one in bank.spaces.values()
    ]  # fmt: skip
    long = any(unseen(one) or len(one) > LONGEST for one in texts)
    faults = {
        "an id of its own for every item": not all(bank.ids) or len(set(bank.ids)) < len(bank.ids),
        f"ids and labels of one line, {LONGEST} letters or fewer": long,
        "axes, mean and coordinates that fit their space": not all(shapes),
        "finite numbers": not all(
            np.isfinite(part).all() for one in bank.spaces.values() for part in (one.axes, one.mean, one.coordinates)
        ),
        "a name of every label": any(
            len(codes) and not 0 <= codes.min() <= codes.max() < len(bank.names[group])
            for group, codes in bank.labels.items()
        ),
        "the seed that drew it": "drawn" in bank.source and type(bank.source.get("seed")) is not int,
        "files named from the bank's own place": any(PurePath(one).is_absolute() for one in bank.files),
    }  # fmt: skip
    fault = next((wanted for wanted, found in faults.items() if found), "")
    if fault:
        raise InputError(expected(path, fault, "others", "build it again"))
