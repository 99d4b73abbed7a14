"""prior: the residual network, whose diffusion prior answers with an embedding that looks like a real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brain.types import Recording, Split
from encoders.mappings import Task
from encoders.mappings._parts.knobs import NetworkKnobs
from encoders.mappings._parts.network import PRIOR, NetworkMap
from encoders.mappings._parts.stopping import check_stimuli


@dataclass(frozen=True, kw_only=True)
class PriorKnobs(NetworkKnobs):
    """What a residual network with a diffusion prior reads."""


class Prior:
    """The catalogue's entry."""

    name = "prior"
    title = "Residual network with a diffusion prior"
    description = "the residual network, and a diffusion prior that draws one likely embedding from its regression"
    citation = "Ramesh et al. (2022), arXiv:2204.06125; Scotti et al. (2023), NeurIPS (MindEye)"
    settings = PriorKnobs()
    network = True
    family = NetworkMap.family
    selection = "Networks were stopped by held-out stimuli inside {inside}, never on test stimuli."

    def check(self, settings: PriorKnobs) -> None:
        """Nothing beyond the settings' own bounds."""

    def ready(self, recording: Recording, folds: Sequence[Split]) -> None:
        """Refuses (InputError) folds of too few training stimuli to stop a network by."""
        check_stimuli(recording, folds)

    def fit(self, task: Task, settings: PriorKnobs) -> NetworkMap:
        """The network, trained on the training trials of the task's fold or gone on with; draws are not restored."""
        from encoders.mappings._parts.training import alone

        return alone(task, steps=settings.network_steps, answer=PRIOR)

    def load(self, path: Path) -> NetworkMap:
        """A network from its two files; damaged or foreign ones are an InputError."""
        return NetworkMap.load(path)


ENTRIES = (Prior(),)
