"""A judge that nobody knows: its features are a picture's colours at 4 x 4 pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.judges import Opinion


@dataclass(frozen=True, kw_only=True)
class Averages:
    """The entry, and what it opens."""

    name: str = "toy-averages"
    title: str = "Averages"
    description: str = "the colours of a picture at 4 x 4 pixels"
    citation: str = ""
    modality: str = "image"

    @property
    def card(self) -> Mapping[str, str]:
        return {"name": self.name, "kind": "4 x 4 colours", "world": "any: no network, nothing was learnt"}

    def open(self) -> Averages:
        return self

    def look(self, shown: Iterable[Any]) -> Opinion:
        small = [np.asarray(one.convert("RGB").resize((4, 4)), np.float32).ravel() / 255 for one in shown]
        return Opinion(features=np.array(small, np.float32).reshape(len(small), 48))


ENTRIES = (Averages(),)
