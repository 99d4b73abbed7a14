"""What every map from voxels to conditions is held to, whatever reads the voxels: its voxels, its card, its two files.

A family of maps is a `BaseMap` with numbers of its own. On disk it is NAME.safetensors and, written last, its card
NAME.json, which names the family, the sha256 of the tensors and the digest of the voxels: a map without its card is
unfinished, and one with the card of another is refused.
"""

from __future__ import annotations

import hashlib
import platform
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from brain.data.averages import average_repeats
from brain.data.standardise import SessionScaler
from brain.errors import InputError, expected
from brain.types import Float, Responses
from brain.voxels import VoxelSpace
from encoders.conditions import Conditions, SpaceCard
from encoders.mappings import FORMAT, KIND, family_of
from encoders.rescale import Rescaling
from encoders.storage import Arrays, read_json, read_tensors, write_json, write_tensors
from encoders.voxel_contract import check_unit, own_trials, stored_voxels, voxel_arrays, voxel_facts


@dataclass(frozen=True, kw_only=True)
class BaseMap(ABC):
    """Voxels -> conditions: a family adds its numbers, `predict`, `tensors` and `facts`.

    voxels       VoxelSpace of the columns, unit "z"; `unit` is the unit of the data before standardisation
    regions      names of the regions whose union the voxels are
    space        SpaceCard of the conditions; a target is one number of a flattened condition
    scaler       SessionScaler of these voxels, from training trials
    rescaling    Rescaling of the predictions to the spread of training conditions
    cv_r2        (target,) float32 accuracy on held-out training stimuli, before rescaling
    split        sha256 of the split whose training stimuli were used; `samples` how many patterns
    notes        sentences for the report
    """

    family: ClassVar[str]
    voxels: VoxelSpace
    unit: str
    regions: tuple[str, ...]
    space: SpaceCard
    scaler: SessionScaler
    rescaling: Rescaling
    cv_r2: Float
    split: str
    samples: int
    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        check_unit(self.voxels, self.scaler)
        voxels, targets = len(self.voxels), int(np.prod(self.space.shape))
        sizes = (self.scaler.mean.shape[1], len(self.rescaling.gain), len(self.cv_r2))
        if sizes != (voxels, targets, targets):
            raise InputError(
                expected(
                    "mapping", f"a scaler, rescaling and accuracy of {voxels} voxels and {targets} targets",
                    f"sizes {sizes}", "fit again",
                )
            )  # fmt: skip

    @abstractmethod
    def predict(self, values: Float, *, ids: Sequence[str]) -> Conditions:
        """Patterns (stimulus, voxel) as z-scores, in the map's own column order -> restored Conditions of `ids`.

        A pattern alone has the bits that it has among others. `check_patterns` refuses what is none.
        """

    @abstractmethod
    def tensors(self) -> Arrays:
        """The family's own numbers, to be stored."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What the family's own numbers mean, as JSON says it."""

    def decode(self, responses: Responses) -> Conditions:
        """Single trials -> Conditions, one per stimulus, repeats averaged, ids sorted.

        Columns are reordered to the map's voxels or refused (`InputError`); data in the unit of the raw training
        data are standardised with the stored scaler, z-scores are taken as they are, any other unit is refused.
        """
        averaged = average_repeats(self.own(responses))
        return self.predict(averaged.values, ids=averaged.ids)

    def own(self, responses: Responses) -> Responses:
        """The same trials with only the map's voxels, in its order, as z-scores."""
        return own_trials(responses, voxels=self.voxels, unit=self.unit, scaler=self.scaler)

    def card(self) -> dict[str, Any]:
        """What a person wants to know, as JSON says it."""
        common = {
            "kind": KIND,
            "format": FORMAT,
            "family": self.family,
            "voxels": voxel_facts(self.voxels),
            "unit": self.unit,
            "regions": list(self.regions),
            "space": self.space.facts(),
            "split_sha256": self.split,
            "samples": self.samples,
            "cv_r2": _summary(self.cv_r2),
            "restoration": self.rescaling.facts(),
            "notes": list(self.notes),
            "versions": {"python": platform.python_version(), "numpy": np.__version__},
        }
        return {**common, **self.facts()}

    def save(self, path: Path) -> None:
        """Write `path` (.safetensors) and, last, its card (.json): a map without its card is unfinished."""
        _must_be_safetensors(path)
        tensors = {**self.tensors(), **voxel_arrays(self.voxels), **self.scaler.arrays(), "cv_r2": self.cv_r2}
        write_tensors(path, tensors, kind=KIND, card={"format": FORMAT, "family": self.family})
        seal = {"file": path.name, "sha256": _sha256_file(path)}
        write_json(path.with_suffix(".json"), {**self.card(), "tensors": seal})


Built = TypeVar("Built", bound=BaseMap)
Build = Callable[[dict[str, Any], Arrays, dict[str, Any]], Built]
"""The fields that all maps have (but rescaling), all tensors and the card -> the map."""


def check_patterns(values: Float, ids: Sequence[str]) -> None:
    """Refuses (`InputError`) patterns (stimulus, voxel) that are not one an id, or not finite."""
    if len(values) != len(ids):
        raise InputError(f"mapping: {len(values)} patterns but {len(ids)} ids; give one id a pattern")
    if not np.isfinite(values).all():
        raise InputError("mapping: the patterns hold NaN or infinite values; mask these voxels and fit again")


def read_map(path: Path, build: Build[Built], *, family: str) -> Built:
    """Read what `save` wrote, of this format or the first one, and `build` it.

    Truncated, foreign, of another family, with another map's card, or of another voxel digest: `InputError`.
    """
    _must_be_safetensors(path)
    beside = path.with_suffix(".json")
    card = read_json(beside, kind=KIND)
    if (found := family_of(card, beside)) != family:
        raise InputError(expected(beside, f"a map of the family {family}", f"one of {found}", "fit again"))
    tensors, _ = read_tensors(path, kind=card["kind"])
    try:
        digest, voxels = card["tensors"]["sha256"], card["voxels"]["sha256"]
        mapped = build(_common(tensors, card), tensors, card)
    except (KeyError, TypeError, ValueError) as fault:
        raise InputError(expected(beside, f"the card of {path.name}", f"one without {fault}", "fit again")) from fault
    if digest != _sha256_file(path):
        raise InputError(expected(beside, f"the card of {path.name}", "the card of other tensors", "fit again"))
    if mapped.voxels.sha256 != voxels:
        raise InputError(expected(beside, "the digest of the stored voxels", "another", "fit again"))
    return mapped


def _common(tensors: Arrays, card: dict[str, Any]) -> dict[str, Any]:
    return {
        "voxels": stored_voxels(tensors, card["voxels"]),
        "unit": card["unit"],
        "regions": tuple(card["regions"]),
        "space": SpaceCard.from_facts(card["space"]),
        "scaler": SessionScaler.from_arrays(tensors),
        "cv_r2": tensors["cv_r2"],
        "split": card["split_sha256"],
        "samples": card["samples"],
        "notes": tuple(card["notes"]),
    }


def _summary(cv_r2: Float) -> dict[str, float]:
    low, middle, high = np.quantile(cv_r2, [0.05, 0.5, 0.95])
    return {"mean": float(cv_r2.mean()), "q05": float(low), "median": float(middle), "q95": float(high)}


def _sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _must_be_safetensors(path: Path) -> None:
    if path.suffix != ".safetensors":
        raise InputError(f"mapping {path}: expected a name ending in .safetensors, found {path.suffix!r}; rename it")
