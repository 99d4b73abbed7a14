"""Judges: networks (or none) that never saw the brain and never condition anything; they look at pictures or sounds.

A judge answers with features, which identification compares, and with verdicts, its choice in each group of labels.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from brain.catalogue import Catalogue
from brain.errors import UsageError, expected
from brain.memory import contiguous
from evaluation.images import IMAGE
from evaluation.sounds import SOUND

BUNDLED = {IMAGE: "miniature", SOUND: "miniature-sound"}
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

    modality  "image" or "sound": what it looks at
    """

    @property
    def name(self) -> str: ...
    @property
    def modality(self) -> str: ...

    def open(self) -> Bench: ...


CATALOGUE: Catalogue[Judge] = Catalogue("evaluation.judges", "judge")


def find_judge(name: str) -> Judge:
    """The judge of that name, or the classifier or CLAP in that folder; an unknown name is a UsageError."""
    if os.path.lexists(Path(name) / "config.json"):
        return _of_folder(Path(name))
    return CATALOGUE[name]


def judge_of(name: str, modality: str) -> Judge:
    """The judge of that name for pictures or sounds, "" being the bundled one; one for the other is a UsageError."""
    judge = find_judge(name or BUNDLED[modality])
    if judge.modality != modality:
        looks = {IMAGE: "pictures", SOUND: "sounds"}
        then = f"take --judge {BUNDLED[modality]}"
        raise UsageError(expected(f"judge {judge.name!r}", f"{looks[judge.modality]} to judge", looks[modality], then))
    return judge


def drawn_only(card: Mapping[str, str]) -> bool:
    """Whether the judge of this card knows a simulator's pictures or sounds and nothing else."""
    return card.get("world", "").startswith(tuple(DRAWN.values()))


def _of_folder(folder: Path) -> Judge:
    from evaluation.judges.classifier import ClassifierJudge, read_object
    from evaluation.judges.hearing import AudioClassifierJudge, ClapJudge
    from evaluation.judges.sound import PREPROCESSOR, MelClassifierJudge

    name = folder.resolve().name
    config = read_object(folder / "config.json")
    if os.path.lexists(folder / PREPROCESSOR):
        return MelClassifierJudge(name=name, folder=folder)
    if config.get("model_type") == "clap":
        return ClapJudge(name=name, folder=folder)
    if any(str(kind).endswith("ForAudioClassification") for kind in config.get("architectures") or ()):
        return AudioClassifierJudge(name=name, folder=folder)
    return ClassifierJudge(name=name, folder=folder)
