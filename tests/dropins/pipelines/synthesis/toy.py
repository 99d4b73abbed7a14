"""A synthesis method that nobody knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ToySynthesis:
    """The entry."""

    name: str = "toy-synthesis"
    title: str = "Toy synthesis"
    description: str = "a method that is only listed"
    citation: str = ""
    reads: tuple[str, ...] = ()
    control: bool = False
    counts: str = ""

    def make(self, context: Any, seeds: Sequence[int]) -> Iterator[Any]:
        raise NotImplementedError


ENTRIES = (ToySynthesis(),)
