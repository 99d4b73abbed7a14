"""A generator that nobody knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.settings import Sampling


@dataclass(frozen=True)
class ToyGenerator:
    """The entry."""

    name: str = "toy-generator"
    title: str = "Toy generator"
    description: str = "a generator that is only listed"
    citation: str = ""
    needs: tuple[str, ...] = ("toy-colours",)
    takes: tuple[str, ...] = ()
    settings: Sampling = Sampling()

    def open(self, stack: Any, *, device: str, dtype: str) -> Any:
        raise NotImplementedError

    def tiny(self, folder: Path) -> Path:
        return folder


ENTRIES = (ToyGenerator(),)
