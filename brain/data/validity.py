"""Which trials and voxels can be used; the others are left out and reported.

A trial that is NaN in most voxels, or holds one value in all of them (zeros), was dropped by the laboratory: that is
the trial's fault, not the voxels'. Of the others a voxel has to be finite in every one, and has to move in every
session.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, counted, expected
from brain.types import Bool, Responses

SOME = 10
"""From so many voxels on a trial that holds one value in all of them was not measured; fewer may agree by chance."""


def measured(values: NDArray[Any]) -> Bool:
    """(trial,) bool: the trials of (trial, voxel) `values` that were measured.

    They are finite in at least half of the voxels that are finite in most trials, and do not hold one value throughout.
    """
    finite = np.isfinite(values)
    usual = finite.mean(axis=0) > 0.5
    usual = usual if usual.any() else finite.any(axis=0)
    if not usual.any():
        return np.zeros(len(values), np.bool_)
    found: Bool = finite[:, usual].mean(axis=1) >= 0.5
    columns = np.flatnonzero(usual)
    if len(columns) >= SOME:
        some = values[:, columns[:SOME]]
        for row in np.flatnonzero((some == some[:, :1]).all(axis=1)).tolist():
            found[row] = bool((values[row, columns] != some[row, 0]).any())
    return found


def must_be_measured(values: NDArray[Any], where: object) -> Bool:
    """`measured` of `values` (trial, voxel), where that is any trial at all; else an InputError about `where`."""
    kept = measured(values)
    if not kept.any():
        found = f"NaN, infinity or one value throughout in all {len(kept)} trials"
        raise InputError(expected(f"{where}, responses", "numbers", found, "check how the data were made"))
    return kept


def without_dropped(responses: Responses, where: object) -> tuple[Responses, Bool, tuple[str, ...]]:
    """The trials that were measured at all, (trial,) bool which these are, and a sentence on the others, if any.

    Where no trial is left: an InputError about `where`.
    """
    kept = must_be_measured(responses.values, where)
    if kept.all():
        return responses, kept, ()
    sessions = ", ".join(str(session) for session in np.unique(responses.session[~kept]).tolist())
    count = int((~kept).sum())
    holds = "holds" if count == 1 else "hold"
    lost = len(set(responses.stimulus.tolist()) - set(responses.stimulus[kept].tolist()))
    said = f"{count} of {len(kept)} trials {holds} NaN or infinity in most voxels, or one value in all "
    said += f"(session {sessions}), and " + ("is left out" if count == 1 else "are left out")
    return responses.trials(kept), kept, (said + (f"; stimuli that had no other trial: {lost}" if lost else ""),)


class Validity:
    """Collects, session by session, which of `voxels` voxels are to be left out, and says why.

    `look(values, session)` takes the (trial, voxel) values of one session; `usable` is (voxel,) bool so far.
    """

    def __init__(self, voxels: int) -> None:
        self.usable: Bool = np.ones(voxels, np.bool_)
        self._not_finite: dict[str, int] = {}
        self._constant: dict[str, int] = {}

    def look(self, values: NDArray[Any], session: int) -> None:
        """Judge the voxels by one session, `values` (trial, voxel).

        One lone trial cannot show that a voxel is constant. Trials that were not `measured` are no evidence about a
        voxel and are passed over.
        """
        kept = measured(values)
        if not kept.any():
            return
        values = values if kept.all() else values[kept]
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
            f"{counted(left, 'voxel')} {'is' if left == 1 else 'are'} left out in all"
            for reason, table in reasons
            if table
        )
