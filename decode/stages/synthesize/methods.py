"""Methods of a synthesis as a command names them: those of the catalogue, and the control on random voxels.

    afterimage synthesize RUN --region FFA-1 --method guided unguided random-region        # what it does by itself
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from brain.catalogue import unknown
from brain.errors import UsageError
from pipelines.synthesis import CATALOGUE

RANDOM = "random-region"
"""The control: the method "guided" on as many voxels as the objective has, drawn from all others."""
MAIN = "guided"
"""The method that is meant where none is named."""
RANKED = "retrieval"
"""The method whose pictures are the first of one ranking, so that none can be made without those before it."""


@dataclass(frozen=True, kw_only=True)
class MethodCard:
    """What synthesis.json says of a method beside its pictures; `control` and `counts` are a `SynthesisMethod`'s."""

    name: str
    title: str
    description: str
    control: bool
    counts: str

    def facts(self) -> dict[str, Any]:
        """As synthesis.json has it, under the row's name."""
        return {
            "title": self.title, "description": self.description, "control": self.control, "counts": self.counts,
        }  # fmt: skip


def method_card(name: str) -> MethodCard:
    """The card of a method; an unknown name is a UsageError."""
    entry = entry_of(name)
    # a file that a stranger wrote before there were these fields says nothing of them
    control, counts = bool(getattr(entry, "control", False)), str(getattr(entry, "counts", ""))
    if name == RANDOM:
        return MethodCard(
            name=name, title="Random region", control=True, counts=counts,
            description="the guided method on as many other voxels, the control",
        )  # fmt: skip
    return MethodCard(
        name=name, title=entry.title, description=entry.description, control=control, counts=counts
    )


def entry_of(name: str) -> Any:
    """The entry of the catalogue that makes the pictures of this method."""
    return CATALOGUE[MAIN if name == RANDOM else name]


def known_methods() -> tuple[str, ...]:
    """The names of all methods, the control on random voxels last."""
    return (*CATALOGUE.names(), RANDOM)


def usual_methods() -> tuple[str, ...]:
    """What is made where no method is named: guided pictures, and those of every control."""
    return (MAIN, *(name for name in known_methods() if method_card(name).control))


def synthesis_methods(names: Sequence[str]) -> tuple[str, ...]:
    """The synthesis methods by these names, "all" being every one; an unknown name is a UsageError."""
    known = known_methods()
    for name in names:
        if name not in (*known, "all"):
            raise UsageError(unknown("synthesis method", name, known))
    return known if "all" in names else tuple(dict.fromkeys(names))


def row_of(method: str) -> str:
    """The row that a method's pictures make."""
    return method.replace("-", "_")
