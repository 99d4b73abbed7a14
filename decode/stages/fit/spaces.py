"""The condition spaces of a run: opened on its stack, and the true conditions of its stimuli in RUN/conditions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brain.console.progress import progress, silent
from brain.errors import UsageError
from brain.types import Stimuli
from decode.methods import own_of
from decode.run.folder import RunFolder
from decode.run.settings import Settings, spaces_of
from encoders.conditions import Conditions
from encoders.spaces import CATALOGUE, SelfMade, Space

BATCH = 16
"""Stimuli that go through a tower at once. Fixed: another number would move a condition's last bits."""
PART = 2 * BATCH
"""Stimuli whose conditions are kept together while the rest is made: what a stop costs at most."""


def open_spaces(settings: Settings, *, stimuli: Stimuli, ids: Sequence[str]) -> dict[str, Space]:
    """Every space the maps need, its tower in memory. A tower without a stack to take it from is a UsageError."""
    models = {space: model for method, own in own_of(settings) for space, model in method.models(own).items()}
    return {
        name: _open(name, settings, model=models.get(name, ""), stimuli=stimuli, ids=ids)
        for name in spaces_of(settings.maps)
    }


def true_conditions(
    run: RunFolder, spaces: dict[str, Space], *, stimuli: Stimuli, ids: Sequence[str]
) -> dict[str, Conditions]:
    """Space -> the conditions of `ids`, from the run where they lie already; of another tower: InputError."""
    true = {}
    for name, space in spaces.items():
        true[name] = encoded(run.conditions(name, "true"), space, stimuli=stimuli, ids=ids).take(ids)
    return true


def encoded(path: Path, space: Space, *, stimuli: Stimuli, ids: Sequence[str]) -> Conditions:
    """The conditions at `path`, made there of `ids` first where there are none; of another tower: InputError.

    Until they are whole, parts of PART stimuli lie beside them, and what was stopped goes on after the last part. A
    part is whole batches, so that the bits are those of one go.
    """
    parts = [ids[first : first + PART] for first in range(0, len(ids), PART)]
    if not path.is_file():
        values, done = np.empty((len(ids), *space.card.shape), np.float32), 0
        with progress(total=len(ids), desc=f"encoding for {space.card.name}", unit="stimulus", leave=False) as bar:
            for number, some in enumerate(parts):
                values[done : done + len(some)] = _part(_beside(path, number), space, stimuli=stimuli, ids=some).values
                done += len(some)
                bar.update(len(some))
        Conditions(space=space.card, values=values, ids=tuple(ids)).save(path)
    stored = Conditions.load(path)
    space.card.must_match(stored.space)
    for number in range(len(parts)):
        _beside(path, number).unlink(missing_ok=True)
    return stored


def _beside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}.part{number}{path.suffix}")


def _part(path: Path, space: Space, *, stimuli: Stimuli, ids: Sequence[str]) -> Conditions:
    """The conditions of these few, as they lie in `path` or made anew; what lies there of others is written over."""
    if path.is_file():
        known = Conditions.load(path)
        if known.ids == tuple(ids) and known.space == space.card:
            return known
    with silent():
        found = space.encode(stimuli, ids, batch=BATCH)
    found.save(path)
    return found


def _open(name: str, settings: Settings, *, model: str, stimuli: Stimuli, ids: Sequence[str]) -> Space:
    entry, device, named = CATALOGUE[name], settings.machine.device, settings.maps.stack
    if not entry.component:
        if not model and isinstance(entry, SelfMade):
            model = entry.model_of(stimuli, ids)
        return entry.open(Path(), model=model, revision="", device=device)
    if not named:
        raise UsageError(
            f"--stack: space {name!r} needs the {entry.component} of a stack, none was named; see `afterimage stacks`"
        )
    from pipelines.stacks.find import resolve

    stack = resolve(named)
    return entry.open(stack.path, model=stack.model, revision=stack.revision, device=device)
