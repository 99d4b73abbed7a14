"""Mappings: what reads the voxels, from training trials to a frozen map into a condition space; one file a mapping.

A file ends in `ENTRIES = (...)`; an entry carries its card and its settings, and fits a `Task`:

    entry = CATALOGUE["ridge"]
    mapped = entry.fit(task, entry.settings)            # a FittedMap
    mapped.save(folder / "early.safetensors")           # and early.json beside it
    load_map(folder / "early.safetensors").decode(responses)

An entry returns maps of a family that exists (`_parts/linear.py`: weights and means, found any way) or of one that its
file brings (a `BaseMap` of `_parts/base.py`). Reading cards and settings imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from brain.catalogue import Catalogue
from brain.data.standardise import SessionScaler
from brain.errors import InputError, expected
from brain.types import Float, Int, Recording, Responses, Split, Stimuli
from brain.voxels import VoxelSpace
from encoders.conditions import Conditions, SpaceCard
from encoders.rescale import Rescaling
from encoders.storage import read_json

KIND, FORMAT = "mapping", 2
"""What the card of a map says that it is, and in which version of the card."""
FIRST = {"mapping": "linear", "network-map": "network"}
"""Kinds of map in format 1, whose cards named no family -> the family."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a mapping is fitted on. Nothing of a test stimulus may settle a number of it.

    recording    Recording of the subject, standardised as its responses say
    fold         Split whose training stimuli are learned from
    conditions   true Conditions of these stimuli (others are ignored)
    rescaling    what the space says a prediction must satisfy (`Space.rescaling`)
    regions      names of the regions whose union is read; ("*",) is every voxel
    columns      recording -> (voxel,) int64, that union's columns, in this recording or a source subject's
    seed         of folds, weights, batches and draws; `folds` of training stimuli that choose penalties
    device       where a network trains, and the `folder` of its checkpoints and logs
    source       subject -> Recording of the same data, opened and standardised as this one
    encode       (stimuli, ids, subject) -> true Conditions in the same space of another subject's stimuli
    """

    recording: Recording
    fold: Split
    conditions: Conditions
    rescaling: str
    regions: tuple[str, ...]
    columns: Callable[[Recording], Int] = field(repr=False)
    seed: int
    folds: int
    device: str
    folder: Path
    source: Callable[[str], Recording] = field(repr=False)
    encode: Callable[[Stimuli, Sequence[str], str], Conditions] = field(repr=False)


class FittedMap(Protocol):
    """A frozen map from voxels to conditions, as `_parts/base.py` holds it; every family of maps is one.

    `cv_r2` (target,) is its accuracy on held-out training stimuli.
    """

    @property
    def family(self) -> str: ...
    @property
    def voxels(self) -> VoxelSpace: ...
    @property
    def unit(self) -> str: ...
    @property
    def regions(self) -> tuple[str, ...]: ...
    @property
    def space(self) -> SpaceCard: ...
    @property
    def scaler(self) -> SessionScaler: ...
    @property
    def rescaling(self) -> Rescaling: ...
    @property
    def cv_r2(self) -> Float: ...
    @property
    def split(self) -> str: ...
    @property
    def samples(self) -> int: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def predict(self, values: Float, *, ids: Sequence[str]) -> Conditions:
        """Patterns (stimulus, voxel) as z-scores, in the map's own column order -> Conditions of `ids`."""

    def decode(self, responses: Responses) -> Conditions:
        """Single trials -> Conditions, one a stimulus; other voxels or units are an InputError."""

    def own(self, responses: Responses) -> Responses:
        """The same trials with only the map's voxels, in its order, as z-scores."""

    def save(self, path: Path) -> None:
        """Write `path` (.safetensors) and, last, its card (.json)."""

    def card(self) -> dict[str, Any]:
        """What a person wants to know, as JSON says it."""


class Entry(Protocol):
    """A mapping in the catalogue.

    title, description, citation   its card, in the field's words
    settings    an instance of its own frozen settings: the defaults, and only what it reads
    network     whether it trains a network: it reads z-scores and is not fitted anew for curves and nulls
    family      of the maps it returns, which `load` reads
    selection   a sentence on how its free numbers were chosen, with {folds} and {inside} to be filled in
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def citation(self) -> str: ...
    @property
    def settings(self) -> Any: ...
    @property
    def network(self) -> bool: ...
    @property
    def family(self) -> str: ...
    @property
    def selection(self) -> str: ...

    def check(self, settings: Any) -> None:
        """Refuses (UsageError) settings that cannot end well, by names alone."""

    def ready(self, recording: Recording, folds: Sequence[Split]) -> None:
        """Refuses (UsageError, InputError) data that it cannot be fitted on, before a stimulus is encoded.

        folds  those that are known by then: none where clusters of the conditions will make them
        """

    def fit(self, task: Task, settings: Any) -> FittedMap:
        """The map, fitted on the training trials of the task's fold alone; copies of test trials: InputError."""

    def load(self, path: Path) -> FittedMap:
        """A map of its family back from its two files; damaged or foreign ones are an InputError."""


CATALOGUE: Catalogue[Entry] = Catalogue("encoders.mappings", "mapping")


def load_map(path: Path) -> FittedMap:
    """The map at `path`, read by an entry of the family that its card names.

    Truncated, foreign, of a family that no entry knows, of another card or voxel digest: `InputError`.
    """
    where = path.with_suffix(".json")
    family = family_of(read_json(where, kind=KIND), where)
    entries = {entry.family: entry for entry in CATALOGUE}
    if family not in entries:
        known = ", ".join(sorted(entries))
        then = "put the file of the mapping that made it into encoders/mappings, or fit again"
        raise InputError(expected(where, f"a mapping of a family that is known ({known})", repr(family), then))
    return entries[family].load(path)


def family_of(card: Mapping[str, Any], where: Path) -> str:
    """The family of maps that a card names, of format 1 too; the card `where` is no map's: `InputError`."""
    kind, form, family = card.get("kind"), card.get("format"), card.get("family")
    if form == 1 and kind in FIRST:
        return FIRST[kind]
    if kind != KIND or form != FORMAT or not isinstance(family, str):
        found = f"kind {kind!r}, format {form!r}, family {family!r}"
        raise InputError(expected(where, f"a {KIND} of format {FORMAT} or 1", found, "fit again"))
    return family
