"""Judges: networks (or none) that never saw the brain and never condition anything; they look at pictures.

A judge answers with features, which identification compares, and with verdicts, its choice in each group of labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from brain.catalogue import Catalogue


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What a judge says of n pictures.

    features  (picture, feature) float32
    verdicts  group -> (picture,) str, its choice among the group's labels
    scores    group -> (picture, class) float32, its logits; classes group -> (class,) str, their labels
    """

    features: NDArray[np.float32]
    verdicts: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    scores: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Bench(Protocol):
    """A judge that has been opened and can look."""

    @property
    def card(self) -> Mapping[str, str]:
        """What stands in the report's card: the judge's kind, source, input size."""
        ...

    def look(self, pictures: Iterable[Image.Image]) -> Opinion:
        """The judge's opinion of RGB pictures of any size, in their order."""
        ...


class Judge(Protocol):
    """An entry of the catalogue; opening may load weights (absent ones are a CheckpointAbsent)."""

    @property
    def name(self) -> str: ...

    def open(self) -> Bench: ...


CATALOGUE: Catalogue[Judge] = Catalogue("evaluation.judges", "judge")


def find_judge(name: str) -> Judge:
    """The judge of that name, or the image classifier in that folder; an unknown name is a UsageError."""
    if (Path(name) / "config.json").is_file():
        from evaluation.judges.classifier import ClassifierJudge

        return ClassifierJudge(name=Path(name).resolve().name, folder=Path(name))
    return CATALOGUE[name]
