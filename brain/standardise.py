"""z-scores per voxel and session, from training trials alone: the held-out trials have no road into the statistics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.memory import contiguous
from brain.types import Bool, Float, Int, Responses


@dataclass(frozen=True, kw_only=True)
class SessionScaler:
    """Mean and spread of every voxel in every session, over training trials.

    sessions  (session,) int64, as the responses count them
    mean      (session, voxel) float32, in the responses' unit
    std       (session, voxel) float32, ddof 0, in the responses' unit; 0 marks a voxel that stays 0
    """

    sessions: Int
    mean: Float
    std: Float

    def __post_init__(self) -> None:
        object.__setattr__(self, "sessions", np.asarray(self.sessions, np.int64))
        object.__setattr__(self, "mean", contiguous(self.mean, np.float32))
        object.__setattr__(self, "std", contiguous(self.std, np.float32))
        if self.mean.shape != self.std.shape or self.mean.shape[:1] != self.sessions.shape:
            raise InputError(
                f"scaler: {self.sessions.shape} sessions, mean {self.mean.shape} and std {self.std.shape} do not fit; "
                "fit it again"
            )

    @classmethod
    def fit(cls, responses: Responses, train_rows: NDArray[Any]) -> SessionScaler:
        """The scaler of these responses. `train_rows`: (trial,) bool. A session needs two training trials or more."""
        train = np.asarray(train_rows)
        if train.dtype != np.bool_ or train.shape != responses.session.shape:
            raise InputError(f"scaler: train_rows must be (trial,) bool, found {train.dtype} {train.shape}")
        sessions = np.unique(responses.session)
        moments = [_moments(responses, train & (responses.session == session), int(session)) for session in sessions]
        return cls(
            sessions=sessions,
            mean=np.stack([mean for mean, _ in moments]),
            std=np.stack([std for _, std in moments]),
        )

    def apply(self, responses: Responses) -> Responses:
        """The same trials as z-scores, unit "z"; a session or a voxel count that was not fitted is an InputError."""
        voxels = self.mean.shape[1]
        if responses.values.shape[1] != voxels:
            raise InputError(f"scaler: fitted on {voxels} voxels, found {responses.values.shape[1]}; select them first")
        strange = sorted(set(responses.session.tolist()) - set(self.sessions.tolist()))
        if strange:
            raise InputError(
                f"scaler: session {strange[0]} was not fitted (fitted: {self.sessions.tolist()}); "
                "its training trials are needed to standardise it"
            )
        values = np.empty_like(responses.values)
        for index, session in enumerate(self.sessions):
            rows = responses.session == session
            values[rows] = self.scale(responses.values[rows], index)
        return replace(responses, values=values, space=replace(responses.space, unit="z"))

    def scale(self, values: Float, index: int) -> Float:
        """`values` (trial, voxel) of the session at `index` as z-scores."""
        std = self.std[index]
        moves = std > 0
        # a voxel that never moved in training stays at 0, whatever it does later
        return np.where(moves, (values - self.mean[index]) / np.where(moves, std, 1), 0).astype(np.float32)

    def voxels(self, columns: NDArray[Any]) -> SessionScaler:
        """The scaler of only these voxels, in this order."""
        return replace(self, mean=self.mean[:, columns], std=self.std[:, columns])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Itself as plain arrays, to be stored."""
        return {"scaler.sessions": self.sessions, "scaler.mean": self.mean, "scaler.std": self.std}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> SessionScaler:
        """Back from `arrays()`; other entries are left alone."""
        missing = [name for name in ("sessions", "mean", "std") if f"scaler.{name}" not in arrays]
        if missing:
            raise InputError(f"scaler: scaler.{missing[0]} is not among the stored arrays; fit again")
        return cls(sessions=arrays["scaler.sessions"], mean=arrays["scaler.mean"], std=arrays["scaler.std"])


def thin_sessions(responses: Responses, train: Iterable[str]) -> dict[int, int]:
    """Session -> its trials of the stimuli `train`, of sessions that have fewer than two and cannot be z-scored."""
    rows = responses.of(train)
    sessions, counts = np.unique(responses.session, return_inverse=True)
    found = np.bincount(counts[rows], minlength=len(sessions))
    return {int(one): int(count) for one, count in zip(sessions, found, strict=True) if count < 2}


def thin_sentence(thin: Mapping[int, int], *, where: object, sessions: int) -> str:
    """Says which of how many `sessions` have too few training trials, and what helps."""
    first, count = next(iter(thin.items()))
    found = f"{count} in session {first}" + (f", fewer than 2 in {len(thin)} of {sessions}" if len(thin) > 1 else "")
    then = "leave `session` out if all was one session, name other --sessions, or choose another --split"
    return expected(f"{where}, session", "two training trials or more in each, for z-scores", found, then)


def _moments(responses: Responses, rows: Bool, session: int) -> tuple[Float, Float]:
    if rows.sum() < 2:
        raise InputError(
            f"session {session}: {int(rows.sum())} training trials, two or more are needed to standardise it; "
            "leave the session out or choose another split"
        )
    values = responses.values[rows].astype(np.float64)
    bad = ~np.isfinite(values).all(axis=0)
    if bad.any():
        raise InputError(f"session {session}: {int(bad.sum())} voxels hold NaN or infinity; mask them out first")
    # a constant voxel has a rounding error for a spread unless it is said to be constant
    std = np.where(values.max(axis=0) > values.min(axis=0), values.std(axis=0), 0)
    return values.mean(axis=0).astype(np.float32), std.astype(np.float32)
