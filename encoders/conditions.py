"""Conditions: what a generator draws from, one array a stimulus, in a space that says exactly what it is.

SpaceCard   which model, revision, layer and normalisation the numbers come from, and their shape
Conditions  values (stimulus, *shape) float32 of these stimuli, in that space
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from brain.digest import sha256_of
from brain.errors import InputError, expected
from brain.machine.memory import contiguous
from brain.types import Float, Int
from encoders.storage import read_tensors, write_tensors


@dataclass(frozen=True, kw_only=True)
class SpaceCard:
    """The space contract: numbers of another space are refused even where the shape fits.

    name           the space's name in the catalogue, such as "clip-image"
    model          hub id or stack name the tower belongs to
    revision       the checkpoint's revision, or a digest of its files
    layer          which output, such as "image_embeds"
    normalisation  what was done to the numbers after the tower ("none", "x scaling_factor 0.18215", ...)
    shape          shape of one stimulus' condition
    """

    name: str
    model: str
    revision: str
    layer: str
    normalisation: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        if not self.name or not self.shape or min(self.shape) < 1:
            raise InputError(f"condition space {self.name!r}: expected a name and sizes above 0, found {self.shape}")

    @cached_property
    def digest(self) -> str:
        """The sha256 of every fact of this card."""
        return sha256_of(json.dumps(self.facts(), sort_keys=True).encode())

    def facts(self) -> dict[str, Any]:
        """The card as JSON says it."""
        return {**asdict(self), "shape": list(self.shape)}

    @classmethod
    def from_facts(cls, facts: object) -> SpaceCard:
        """The card that `facts()` came from; missing, foreign or wrongly typed facts are an `InputError`."""
        names = {field.name for field in fields(cls)}
        if not isinstance(facts, dict) or set(facts) != names:
            raise InputError(expected("space card", f"the facts {', '.join(sorted(names))}", f"{facts!r}", "fit again"))
        texts = {name: facts[name] for name in names - {"shape"}}
        shape = facts["shape"]
        if not all(isinstance(text, str) for text in texts.values()) or not _sizes(shape):
            raise InputError(expected("space card", "text facts and a list of sizes", f"{facts!r}", "fit again"))
        return cls(**texts, shape=tuple(shape))

    def must_match(self, other: SpaceCard) -> None:
        """Refuse (`InputError`) numbers of another space: `self` is what is needed, `other` is what was found."""
        needed, came = self.facts(), other.facts()
        wrong = [fact for fact in needed if needed[fact] != came[fact]]
        if wrong:
            raise InputError(
                expected(
                    f"condition space {self.name!r}",
                    ", ".join(f"{fact} {needed[fact]!r}" for fact in wrong),
                    ", ".join(repr(came[fact]) for fact in wrong),
                    "use conditions of the very space the generator and the mapping were made for",
                )
            )


def _sizes(shape: object) -> bool:
    return isinstance(shape, list) and all(isinstance(size, int) for size in shape)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Conditions of some stimuli.

    space   SpaceCard of the numbers
    values  (stimulus, *space.shape) float32 in C order, finite
    ids     (stimulus,) unique stimulus ids
    """

    space: SpaceCard
    values: Float
    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", contiguous(self.values, np.float32))
        object.__setattr__(self, "ids", tuple(str(one) for one in self.ids))
        needed = (len(self.ids), *self.space.shape)
        if self.values.shape != needed:
            raise InputError(
                f"conditions in {self.space.name!r}: expected shape {needed}, found {self.values.shape}; encode again"
            )
        if len(set(self.ids)) != len(self.ids):
            raise InputError(
                f"conditions in {self.space.name!r}: a stimulus id is a duplicate; give every stimulus once"
            )
        if not np.isfinite(self.values).all():
            raise InputError(f"conditions in {self.space.name!r}: NaN or infinite values; encode again in float32")

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: Sequence[str]) -> Int:
        """(stimulus,) int64: where each id stands; ids may repeat; an id without a condition is an `InputError`."""
        place = self._place
        missing = [one for one in ids if one not in place]
        if missing:
            raise InputError(
                f"conditions in {self.space.name!r}: {len(missing)} of {len(ids)} stimuli have none "
                f"(first: {missing[0]}); encode these stimuli first"
            )
        return np.array([place[one] for one in ids], np.int64)

    def take(self, ids: Sequence[str]) -> Conditions:
        """The conditions of these stimuli, in this order."""
        return Conditions(space=self.space, values=self.values[self.rows(ids)], ids=tuple(ids))

    def save(self, path: Path) -> None:
        """Write one .safetensors file with the card and the ids in its metadata, whole or not at all."""
        card = {"space": self.space.facts(), "ids": list(self.ids)}
        write_tensors(path, {"values": self.values}, kind="conditions", card=card)

    @classmethod
    def load(cls, path: Path) -> Conditions:
        """Read what `save` wrote; truncated, foreign or another kind of file: `InputError`."""
        tensors, card = read_tensors(path, kind="conditions")
        ids = card.get("ids")
        if set(tensors) != {"values"} or not isinstance(ids, list) or "space" not in card:
            raise InputError(expected(path, "values, ids and a space", f"{sorted([*tensors, *card])}", "encode again"))
        return cls(space=SpaceCard.from_facts(card["space"]), values=tensors["values"], ids=tuple(ids))

    @cached_property
    def _place(self) -> dict[str, int]:
        return {one: row for row, one in enumerate(self.ids)}
