"""What most metrics answer alike: a name that no pool changes, shares between 0 and 1, chance measured on mismatches.

A family states what differs in its own class; nothing is computed here.
"""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.metrics import Views


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The plain answers of a `Metric`; a family adds `absent` and `marks` and overrides what it answers otherwise."""

    name: str
    eye: str = ""
    best: float = 1.0
    bounds: tuple[float, float] = (0.0, 1.0)
    lower: bool = False

    def named(self, pool: int) -> str:
        return self.name

    def chance(self, pool: int) -> float | None:
        return None


def pictureless(references: Views) -> str:
    """The sentence for references that have no pixels, "" where they have."""
    return "" if references.pixels.size else "it compares pictures, and these are sounds"


def unseen(eye: str, references: Views) -> str:
    """The sentence for an eye that has no features of the references, "" where it has."""
    return (
        "" if eye in references.features else f"{'the judge' if eye == 'judge' else eye} did not look at the references"
    )
