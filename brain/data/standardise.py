"""Standardisation of voxels, from training trials alone: the held-out trials have no road into the statistics.

    session  z-scores per voxel and session: drift between sessions goes, and so does what differs between the stimuli
             of one session and those of another
    all      z-scores per voxel over all training trials together: neither goes
    none     the responses as they are

Which of them fits a design, `brain.data.design` says; `Responses.standardise` says which is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError
from brain.machine.memory import contiguous
from brain.types import Bool, Float, Int, Responses


@dataclass(frozen=True, kw_only=True)
class SessionScaler:
    """Mean and spread of every voxel in every session, or over all of them, over training trials.

    sessions  (session,) int64, as the responses count them; none where all count as one
    mean      (session, voxel) float32, in the responses' unit; (1, voxel) where all count as one
    std       the same shape, ddof 0; 0 marks a voxel that stays 0
    """

    sessions: Int
    mean: Float
    std: Float

    def __post_init__(self) -> None:
        object.__setattr__(self, "sessions", np.asarray(self.sessions, np.int64))
        object.__setattr__(self, "mean", contiguous(self.mean, np.float32))
        object.__setattr__(self, "std", contiguous(self.std, np.float32))
        groups = (max(1, len(self.sessions)),)
        if self.mean.shape != self.std.shape or self.mean.shape[:1] != groups or self.sessions.ndim != 1:
            raise InputError(
                f"scaler: {self.sessions.shape} sessions, mean {self.mean.shape} and std {self.std.shape} do not fit; "
                "fit it again"
            )

    @classmethod
    def fit(cls, responses: Responses, train_rows: NDArray[Any]) -> SessionScaler:
        """The scaler that `responses.standardise` names. `train_rows`: (trial,) bool.

        A session, or all of them where they count as one, needs two training trials or more.
        """
        train = np.asarray(train_rows)
        if train.dtype != np.bool_ or train.shape != responses.session.shape:
            raise InputError(f"scaler: train_rows must be (trial,) bool, found {train.dtype} {train.shape}")
        if responses.standardise == "none":
            voxels = len(responses.space)
            mean, std = np.zeros((1, voxels), np.float32), np.ones((1, voxels), np.float32)
            return cls(sessions=np.zeros(0, np.int64), mean=mean, std=std)
        if responses.standardise == "all":
            mean, std = _moments(responses, train, "all sessions")
            return cls(sessions=np.zeros(0, np.int64), mean=mean[None], std=std[None])
        sessions = np.unique(responses.session)
        rows = {int(session): train & (responses.session == session) for session in sessions}
        moments = [_moments(responses, mine, f"session {session}") for session, mine in rows.items()]
        return cls(
            sessions=sessions,
            mean=np.stack([mean for mean, _ in moments]),
            std=np.stack([std for _, std in moments]),
        )

    @property
    def leaves(self) -> bool:
        """Whether it leaves the responses as they are."""
        return not len(self.sessions) and not self.mean.any() and bool((self.std == 1).all())

    def knows(self, responses: Responses) -> Bool:
        """(trial,) bool: the trials that it can standardise, those of sessions that were fitted."""
        if not len(self.sessions):
            return np.ones(len(responses.session), np.bool_)
        return np.isin(responses.session, self.sessions)

    def apply(self, responses: Responses) -> Responses:
        """The same trials standardised, unit "z" unless it leaves them as they are.

        A session or a voxel count that was not fitted is an InputError.
        """
        voxels = self.mean.shape[1]
        if responses.values.shape[1] != voxels:
            raise InputError(f"scaler: fitted on {voxels} voxels, found {responses.values.shape[1]}; select them first")
        strange = sorted(set(responses.session[~self.knows(responses)].tolist()))
        if strange:
            raise InputError(
                f"scaler: session {strange[0]} was not fitted (fitted: {self.sessions.tolist()}); "
                "its training trials are needed to standardise it, or --standardise all"
            )
        if self.leaves:
            return responses
        if not len(self.sessions):
            values = self.scale(responses.values, 0)
            return replace(responses, values=values, space=replace(responses.space, unit="z"))
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

    def restored(self, scores: NDArray[np.float64]) -> Float:
        """(session, voxel) float32 in the responses' unit: what has these z-scores, (voxel,), in every session.

        (1, voxel) where all count as one. A voxel that stays 0 is at its mean.
        """
        return np.asarray(self.mean + scores * self.std, np.float32)

    def voxels(self, columns: NDArray[Any]) -> SessionScaler:
        """The scaler of only these voxels, in this order. `columns`: (voxel,) int index or bool mask."""
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


def training_stimuli(responses: Responses, train: Iterable[str]) -> dict[int, int]:
    """Session -> how many different stimuli of `train` it showed. Fewer than two leave nothing after z-scores."""
    rows = responses.of(train)
    sessions, which = np.unique(responses.session, return_inverse=True)
    pairs = set(zip(which[rows].tolist(), responses.stimulus[rows].tolist(), strict=True))
    counts = np.bincount(np.array([session for session, _ in pairs], np.int64), minlength=len(sessions))
    return {int(one): int(count) for one, count in zip(sessions, counts, strict=True)}


def _moments(responses: Responses, rows: Bool, name: str) -> tuple[Float, Float]:
    if rows.sum() < 2:
        raise InputError(
            f"{name}: {int(rows.sum())} training trials, two or more are needed to standardise it; "
            "leave the session out, choose another split, or take --standardise all"
        )
    values = responses.values[rows].astype(np.float64)
    bad = ~np.isfinite(values).all(axis=0)
    if bad.any():
        raise InputError(f"{name}: {int(bad.sum())} voxels hold NaN or infinity; mask them out first")
    # a constant voxel has a rounding error for a spread unless it is said to be constant
    std = np.where(values.max(axis=0) > values.min(axis=0), values.std(axis=0), 0)
    return values.mean(axis=0).astype(np.float32), std.astype(np.float32)
