"""A mapping that nobody knows: least squares, shrunk by a knob."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brain.console.bounds import within
from brain.types import Recording, Split
from encoders.mappings import Task
from encoders.mappings._parts.linear import LinearMap
from encoders.patterns import standardised, training_patterns
from encoders.rescale import Rescaling


@dataclass(frozen=True, kw_only=True)
class ShrunkKnobs:
    """What it reads."""

    shrinkage: float = 0.5
    """How much of each weight is left, from 0 to 1."""

    def __post_init__(self) -> None:
        within("--shrinkage", self.shrinkage, 0, 1)


class Shrunk:
    """The entry."""

    name = "toy-shrunk"
    title = "Shrunk least squares"
    description = "least squares whose weights are shrunk"
    citation = ""
    settings = ShrunkKnobs()
    network = False
    family = LinearMap.family
    selection = "Nothing was chosen inside {inside}."

    def check(self, settings: ShrunkKnobs) -> None:
        pass

    def ready(self, recording: Recording, folds: Sequence[Split]) -> None:
        pass

    def fit(self, task: Task, settings: ShrunkKnobs) -> LinearMap:
        responses = task.recording.responses.voxels(task.columns(task.recording))
        training, scaler = standardised(responses, task.fold.train)
        patterns, ids = training_patterns(training, "averaged")
        truth = task.conditions.values[task.conditions.rows(ids)].reshape(len(ids), -1)
        x_mean, y_mean = patterns.mean(0, dtype=np.float64), truth.mean(0, dtype=np.float64)
        weights = np.linalg.lstsq(patterns - x_mean, truth - y_mean, rcond=None)[0] * settings.shrinkage
        guess = (patterns - x_mean) @ weights + y_mean
        return LinearMap(
            voxels=training.space, unit=responses.space.unit, regions=task.regions, space=task.conditions.space,
            scaler=scaler, rescaling=Rescaling.fit(guess, truth, groups=ids, kind=task.rescaling, limit=5.0),
            cv_r2=np.zeros(truth.shape[1], np.float32), split=task.fold.sha256, samples=len(ids), notes=(),
            weights=weights.astype(np.float32), x_mean=x_mean, y_mean=y_mean,
        )  # fmt: skip

    def load(self, path: Path) -> LinearMap:
        return LinearMap.load(path)


ENTRIES = (Shrunk(),)
