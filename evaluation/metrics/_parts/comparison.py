"""What most metrics answer alike: a name that no pool changes, shares between 0 and 1, chance measured on mismatches.

A family states what differs in its own class; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evaluation.metrics import Views


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The plain answers of a `Metric`; a family adds `absent` and `marks` and overrides what it answers otherwise.

    A value counts as one of its pool until a family says that a sample and its own reference alone decide it.
    """

    name: str
    title: str = ""
    description: str = ""
    citation: str = ""
    unit: str = ""
    network: str = ""
    best: float = 1.0
    bounds: tuple[float, float] = (0.0, 1.0)
    lower: bool = False
    pooled: bool = True
    profiles: Mapping[str, int] = field(default_factory=dict)
    plotted: bool = False
    headline: int = 0

    def named(self, pool: int) -> str:
        """Its name, whatever the pool."""
        return self.name

    def titled(self, pool: int) -> str:
        """Its title, or else its name with spaces, whatever the pool."""
        return self.title or spaced(self.name)

    def chance(self, pool: int) -> float | None:
        """None: measured on mismatched pairs."""
        return None


def spaced(name: str) -> str:
    """The plain title of a metric: its name with spaces."""
    return name.replace("_", " ")


def pictureless(references: Views) -> str:
    """The sentence for references that have no pixels, "" where they have."""
    return "" if references.pixels.size else "it compares pictures, and these are sounds"


def unseen(network: str, references: Views) -> str:
    """The sentence for a feature network that has no features of the references, "" where it has."""
    return (
        ""
        if network in references.features
        else f"{'the judge' if network == 'judge' else network} did not look at the references"
    )
