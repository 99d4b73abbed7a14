"""Settings that several mappings read: the penalties of a ridge, the length of a training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from brain.console.bounds import within
from brain.errors import UsageError, expected
from encoders.ridge import RidgeSettings

Trials = Literal["averaged", "single"]


@dataclass(frozen=True, kw_only=True)
class PenaltyKnobs:
    """How the penalties of a ridge are chosen."""

    alphas: tuple[float, ...] = ()
    """Ridge penalties, one for each target; none: on the data's scale."""
    shared_penalty: bool = False
    """One penalty for all targets: steadier where stimuli are few."""
    chunk: int = 1024
    """Targets that are solved at once; it decides the last bits."""

    def __post_init__(self) -> None:
        within("--chunk", self.chunk, 1)
        for alpha in self.alphas:
            if not 0 < alpha < math.inf:
                raise UsageError(expected("--alphas", "finite numbers above 0", f"{alpha:g}", "correct it"))

    def ridge(self, *, folds: int, seed: int) -> RidgeSettings:
        """The ridge that was asked for."""
        return RidgeSettings(
            alphas=self.alphas,
            folds=folds,
            seed=seed,
            chunk=self.chunk,
            per_target=not self.shared_penalty,
        )


@dataclass(frozen=True, kw_only=True)
class RidgeKnobs(PenaltyKnobs):
    """What a ridge mapping reads: null and curves fit it anew."""

    trials: Trials = "averaged"
    """Patterns to fit: one a stimulus, or single trials."""


@dataclass(frozen=True, kw_only=True)
class NetworkKnobs:
    """How long a network trains."""

    network_steps: int = 0
    """Steps of every training; 0 takes each network's own plan."""

    def __post_init__(self) -> None:
        within("--network-steps", self.network_steps, 0)
