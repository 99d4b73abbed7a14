"""residual: a residual network with a contrastive loss, trained on single trials; its regression answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brain.types import Recording, Split
from encoders.mappings import Task
from encoders.mappings._parts.knobs import NetworkKnobs
from encoders.mappings._parts.network import REGRESSION, NetworkMap
from encoders.mappings._parts.stopping import check_stimuli


@dataclass(frozen=True, kw_only=True)
class ResidualKnobs(NetworkKnobs):
    """What a residual network reads."""


class Residual:
    """The catalogue's entry."""

    name = "residual"
    title = "Residual network"
    description = "a linear layer and residual blocks, trained on single trials with a regression and SoftCLIP loss"
    citation = "Scotti et al. (2023), NeurIPS (MindEye)"
    settings = ResidualKnobs()
    network = True
    family = NetworkMap.family
    selection = "Networks were stopped by held-out stimuli inside {inside}, never on test stimuli."

    def check(self, settings: ResidualKnobs) -> None:
        """Nothing beyond the settings' own bounds."""

    def ready(self, recording: Recording, folds: Sequence[Split]) -> None:
        """Refuses (InputError) folds of too few training stimuli to stop a network by."""
        check_stimuli(recording, folds)

    def fit(self, task: Task, settings: ResidualKnobs) -> NetworkMap:
        """The network, trained on the training trials of the task's fold or gone on with."""
        from encoders.mappings._parts.training import alone

        return alone(task, steps=settings.network_steps, answer=REGRESSION)

    def load(self, path: Path) -> NetworkMap:
        """A network from its two files; damaged or foreign ones are an InputError."""
        return NetworkMap.load(path)


ENTRIES = (Residual(),)
