"""shared: an adapter into a trunk that the data's other subjects train, for a subject with few trials of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brain.errors import UsageError
from brain.readers import reader_of
from brain.types import Recording, Split
from encoders.mappings import Task
from encoders.mappings._parts.knobs import NetworkKnobs, PenaltyKnobs
from encoders.mappings._parts.network import NetworkMap
from encoders.mappings._parts.stopping import check_stimuli


@dataclass(frozen=True, kw_only=True)
class SharedKnobs(NetworkKnobs, PenaltyKnobs):
    """What an adapter into a shared trunk reads: its penalties are those of the ridge that the adapter starts from."""

    def __post_init__(self) -> None:
        NetworkKnobs.__post_init__(self)
        PenaltyKnobs.__post_init__(self)


class Shared:
    """The catalogue's entry."""

    name = "shared"
    title = "Adapter into a pretrained shared trunk"
    description = "a linear adapter, started by a ridge, into a residual network that all source subjects trained"
    citation = "Scotti et al. (2024), ICML (MindEye2)"
    settings = SharedKnobs()
    network = True
    family = NetworkMap.family
    selection = (
        "Networks were stopped by held-out stimuli inside {inside}, never on test stimuli. "
        "The source subjects of the shared trunk trained on none of these test stimuli."
    )

    def check(self, settings: SharedKnobs) -> None:
        """Nothing beyond the settings' own bounds."""

    def ready(self, recording: Recording, folds: Sequence[Split]) -> None:
        """Refuses data of one subject alone (UsageError) and folds of too few training stimuli (InputError)."""
        source_subjects(recording)
        check_stimuli(recording, folds)

    def fit(self, task: Task, settings: SharedKnobs) -> NetworkMap:
        """The adapter on a copy of the trunk, each trained or gone on with; TASK.folder/others holds the trunk's."""
        from encoders.mappings._parts.residual_map import JoinSettings, fit_residual, join
        from encoders.mappings._parts.sources import source_trials
        from encoders.mappings._parts.training import accelerating, fit_settings, network_map, plan_of, task_trials

        steps, seed, folder = settings.network_steps, task.seed, task.folder
        trials = task_trials(task)
        sources = [source_trials(task, subject) for subject in source_subjects(task.recording)]
        own = JoinSettings(ridge=settings.ridge(folds=task.folds, seed=seed))
        joining = replace(own, plan=plan_of(own.plan, steps=steps, seed=seed))
        with accelerating(task.device) as accelerator:
            trunk = fit_residual(
                sources, folder=folder / "others", settings=fit_settings(steps=steps, seed=seed), rescaling="none",
                accelerator=accelerator,
            )  # fmt: skip
            network = join(
                trunk, trials, folder=folder, settings=joining, rescaling=task.rescaling, accelerator=accelerator
            )
        counts = ", ".join(f"{one.voxels.subject} ({len(one.train)} trials)" for one in sources)
        notes = [f"the trunk was trained on {counts}"]
        return network_map(task, trials, network, what="an adapter into a shared trunk", notes=notes)

    def load(self, path: Path) -> NetworkMap:
        """A network from its two files; damaged or foreign ones are an InputError."""
        return NetworkMap.load(path)


def source_subjects(recording: Recording) -> tuple[str, ...]:
    """All other subjects of the same data; none of them is a UsageError."""
    data, mine = Path(recording.source), recording.responses.space.subject
    others = tuple(name for name in reader_of(data, recording.reader).subjects(data) if name != mine)
    if not others:
        raise UsageError(
            f"--mapping shared: {data} holds {mine} alone, and the trunk is trained on other subjects; "
            "make data of several with `afterimage simulate OUT --subjects 4`, or take --mapping residual"
        )
    return others


ENTRIES = (Shared(),)
