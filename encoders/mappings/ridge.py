"""ridge: ridge regression of every target on all voxels, penalties chosen by folds inside the training stimuli."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from brain.catalogue import unknown
from brain.errors import UsageError
from brain.types import Recording, Split
from encoders.mappings import Task
from encoders.mappings._parts.knobs import RidgeKnobs, Trials
from encoders.mappings._parts.linear import LinearMap, MappingSettings, fit_mapping
from encoders.patterns import guard_test_copies, standardised, training_patterns


class Ridge:
    """The catalogue's entry."""

    name = "ridge"
    title = "Ridge regression"
    description = "every number of a condition by a ridge of its own penalty from all voxels, chosen by folds"
    citation = "Hoerl & Kennard (1970), Technometrics 12:55; Takagi & Nishimoto (2023), CVPR"
    settings = RidgeKnobs()
    network = False
    family = LinearMap.family
    selection = "Penalties were chosen by {folds} folds inside {inside}, never on test stimuli."

    def check(self, settings: RidgeKnobs) -> None:
        """Refuses (UsageError) an unknown use of training trials."""
        if settings.trials not in get_args(Trials):
            raise UsageError(f"--trials: {unknown('use of training trials', settings.trials, get_args(Trials))}")

    def ready(self, recording: Recording, folds: Sequence[Split]) -> None:
        """Any recording with a split will do."""

    def fit(self, task: Task, settings: RidgeKnobs) -> LinearMap:
        """The ridge map, fitted on the training trials of the task's fold alone; copies of test trials: InputError."""
        responses = task.recording.responses.voxels(task.columns(task.recording))
        guard_test_copies(responses, task.fold)
        training, scaler = standardised(responses, task.fold.train)
        patterns, ids = training_patterns(training, settings.trials)
        return fit_mapping(
            patterns,
            ids,
            conditions=task.conditions,
            voxels=training.space,
            unit=responses.space.unit,
            regions=task.regions,
            scaler=scaler,
            rescaling=task.rescaling,
            split=task.fold.sha256,
            settings=MappingSettings(ridge=settings.ridge(folds=task.folds, seed=task.seed)),
        )

    def load(self, path: Path) -> LinearMap:
        """A linear map from its two files; damaged or foreign ones are an InputError."""
        return LinearMap.load(path)


ENTRIES = (Ridge(),)
