"""Which voxels can be used: finite everywhere, and moving in every session. The others are left out and reported."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.types import Bool


class Validity:
    """Collects, session by session, which of `voxels` voxels are to be left out, and says why.

    `look(values, session)` takes the (trial, voxel) values of one session; `usable` is (voxel,) bool so far.
    """

    def __init__(self, voxels: int) -> None:
        self.usable: Bool = np.ones(voxels, np.bool_)
        self._not_finite: dict[str, int] = {}
        self._constant: dict[str, int] = {}

    def look(self, values: NDArray[Any], session: int) -> None:
        """Judge the voxels by one session. One lone trial cannot show that a voxel does not move."""
        finite = np.isfinite(values).all(axis=0)
        with np.errstate(invalid="ignore"):
            still = finite & (values.max(axis=0) == values.min(axis=0)) & (len(values) > 1)
        self._count(self._not_finite, session, int((~finite).sum()))
        self._count(self._constant, session, int(still.sum()))
        self.usable &= finite & ~still

    @staticmethod
    def _count(table: dict[str, int], session: int, count: int) -> None:
        if count:
            table[str(session)] = count

    def sentences(self) -> tuple[str, ...]:
        """One sentence for each reason that left voxels out, with the sessions; none where every voxel is usable."""
        total, left = len(self.usable), int((~self.usable).sum())
        reasons = (("hold NaN or infinity", self._not_finite), ("are constant", self._constant))
        return tuple(
            f"up to {max(table.values())} of {total} voxels {reason} in session {', '.join(table)}; "
            f"{left} voxels are left out in all"
            for reason, table in reasons
            if table
        )
