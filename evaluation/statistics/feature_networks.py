"""Feature networks of a report: the judge, and other judges that metrics use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from brain.errors import CheckpointAbsent
from evaluation.judges import CATALOGUE as JUDGES
from evaluation.judges import Bench
from evaluation.metrics import Metric, Views
from evaluation.samples.images import IMAGE
from evaluation.samples.sounds import SOUND
from evaluation.samples.types import Sample
from evaluation.statistics.brain import BrainEncoder
from evaluation.statistics.showing import Showing

JUDGE = "judge"
BRAIN = "brain"
MISPLACED = {SOUND: "its judge looks at pictures, and these are sounds", IMAGE: "its judge hears sounds, not pictures"}


@dataclass(frozen=True, kw_only=True)
class FeatureNetworks:
    """The report's judge, other judges that metrics use, and why some of these are absent."""

    judge: Bench
    others: Mapping[str, Bench] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)

    def name(self, network: str) -> str:
        """What stands in a score's column "judge"."""
        return str(self.judge.card["name"]) if network == JUDGE else network


def open_networks(judge: Bench, metrics: Sequence[Metric], *, modality: str = IMAGE) -> FeatureNetworks:
    """The judge, and every other judge that these metrics use, where its weights are at hand.

    modality  "image" or "sound": what will be judged; who looks at the other is absent.
    """
    wanted = dict.fromkeys(metric.network for metric in metrics)
    others: dict[str, Bench] = {}
    absent: dict[str, str] = {}
    for network in wanted:
        if network in ("", JUDGE, BRAIN):
            continue
        if network not in JUDGES.names():
            absent[network] = f"no judge is called {network}"
            continue
        if JUDGES[network].modality != modality:
            absent[network] = MISPLACED[modality]
            continue
        try:
            others[network] = JUDGES[network].open()
        except CheckpointAbsent as error:
            absent[network] = str(error)
    return FeatureNetworks(judge=judge, others=others, absent=absent)


@dataclass(frozen=True, kw_only=True)
class Look:
    """Opens samples and shows them to every feature network."""

    showing: Showing
    networks: FeatureNetworks
    brain: BrainEncoder | None
    bar: Any

    def at(self, group: Sequence[Sample]) -> Views:
        """What metrics see of these samples, features and predicted patterns among it."""
        kept: list[np.ndarray] = []

        def stream() -> Iterator[Any]:
            for sample in group:
                one = self.showing.open(sample)
                kept.append(self.showing.kept(one))
                self.bar.update()
                yield one

        opinion = self.networks.judge.look(stream())
        features, scores, classes = {JUDGE: opinion.features}, dict(opinion.scores), dict(opinion.classes)
        for network, bench in self.networks.others.items():
            other = bench.look(self.showing.open(sample) for sample in group)
            features[network] = other.features
            scores |= other.scores
            classes |= other.classes
        labels = {
            name: np.array([sample.labels.get(name, "") for sample in group], np.str_)
            for name in sorted({name for sample in group for name in sample.labels})
        }
        return replace(
            self.showing.views(kept), features=features, verdicts=opinion.verdicts, scores=scores, classes=classes,
            labels=labels, patterns={} if self.brain is None else self.brain.predicted(opinion.features),
        )  # fmt: skip
