"""A tower that nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class ToyTower:
    """The entry."""

    name = "toy-tower"
    title = "Toy tower"
    description = "a tower that is only listed"
    citation = ""

    def open(self, folder: Path, *, model: str, device: str) -> Any:
        raise NotImplementedError

    def tiny(self, folder: Path) -> Path:
        return folder


ENTRIES = (ToyTower(),)
