"""Judges: networks (or none) that never saw the brain and never condition anything; they look at pictures or sounds.

A judge answers with features, which identification compares, and with verdicts, its choice in each group of labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from brain.catalogue import Catalogue
from brain.machine.memory import contiguous
from evaluation.samples.images import IMAGE
from evaluation.samples.sounds import SOUND

DRAWN = {IMAGE: "drawn scenes of afterimage's simulator", SOUND: "synthesized sounds of afterimage's simulator"}
"""What the worlds begin with of judges that saw nothing but a simulator's pictures, or heard nothing but its sounds."""
UNSAID = "not said by the judge's folder"
NO_NETWORK = "any: no network, nothing was learnt"


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What a judge says of n pictures or sounds.

    features  (picture, feature) float32 in C order
    verdicts  group -> (picture,) str, its choice among the group's labels
    scores    group -> (picture, class) float32, its logits; classes group -> (class,) str, their labels
    """

    features: NDArray[np.float32]
    verdicts: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    scores: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", contiguous(self.features))
        object.__setattr__(self, "scores", {group: contiguous(one) for group, one in self.scores.items()})


class Bench(Protocol):
    """A judge that has been opened and can look."""

    @property
    def card(self) -> Mapping[str, str]:
        """What stands in the report's card: the judge's kind, source, input size, `world` (what it was trained on)."""
        ...

    def look(self, shown: Iterable[Any], /) -> Opinion:
        """The judge's opinion of RGB pictures of any size, or of sounds (sample,) float32 at 16 kHz, in their order."""
        ...


class Judge(Protocol):
    """An entry of the catalogue; opening may load weights (absent ones are a CheckpointAbsent).

    title, description, citation  what is printed of it: one line each, "" of a judge in a folder of one's own
    modality                      "image" or "sound": what it looks at
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def citation(self) -> str: ...
    @property
    def modality(self) -> str: ...

    def open(self) -> Bench: ...


CATALOGUE: Catalogue[Judge] = Catalogue("evaluation.judges", "judge")


def drawn_only(card: Mapping[str, str]) -> bool:
    """Whether the judge of this card knows a simulator's pictures or sounds and nothing else."""
    return card.get("world", "").startswith(tuple(DRAWN.values()))
