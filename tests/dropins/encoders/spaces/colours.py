"""A condition space that nobody knows: the mean colour of each quarter of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brain.types import Stimuli
from encoders.conditions import Conditions, SpaceCard


@dataclass(frozen=True, kw_only=True)
class ColourSpace:
    """Pictures -> (quarter, colour) from 0 to 1."""

    card: SpaceCard
    rescaling: str = "none"

    def encode(self, stimuli: Stimuli, ids: Sequence[str], *, batch: int) -> Conditions:
        small = [np.asarray(stimuli.open(one).convert("RGB").resize((2, 2)), np.float32) for one in ids]
        return Conditions(space=self.card, values=np.stack(small).reshape(len(ids), 4, 3) / 255, ids=tuple(ids))


class Colours:
    """The entry."""

    name = "toy-colours"
    title = "Quarter colours"
    description = "the mean colour of each quarter of a picture"
    citation = ""
    modality = "image"
    component = ""
    requires = ""
    captioned = False
    telling = 5
    noised = False

    def open(self, folder: Path, *, model: str, revision: str, device: str) -> ColourSpace:
        card = SpaceCard(name=self.name, model=model, revision="1", layer="mean", normalisation="0..1", shape=(4, 3))
        return ColourSpace(card=card)

    def model_of(self, stimuli: Stimuli, ids: Sequence[str]) -> str:
        return "quarters"

    def tiny(self, folder: Path) -> str:
        return "quarters"


ENTRIES = (Colours(),)
