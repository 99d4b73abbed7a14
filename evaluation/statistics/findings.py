"""What judging found, and what the judge has words for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evaluation.metrics import Views
from evaluation.metrics._parts.verdicts import NWay, Verdict, in_words, strange_words
from evaluation.profiles import Profile
from evaluation.score import Score
from evaluation.statistics.feature_networks import JUDGE
from evaluation.statistics.metric_cards import MetricCard
from evaluation.statistics.sets import SetScore


@dataclass(frozen=True, kw_only=True)
class Words:
    """Of the references labelled in one group, how many have a label that the judge knows, and the other labels."""

    known: int
    labelled: int
    strange: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """What stands in the card."""
        return {"known": self.known, "labelled": self.labelled, "unknown": list(self.strange)}


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What judging found.

    scores      in the ladder's order under each metric
    absent      one sentence for each reason why metrics could not be computed
    trust       group -> how often the judge names the references themselves right
    dimensions  row -> effective dimension of its samples in the judge's features; "reference" too
    features    row -> (stimulus, feature) of its first samples in the judge's features; "reference" too
    ids         row -> the stimuli of these features
    sets        distances of a row's samples as a set from the references as a set
    shown       how the files came before the judge, where that was not as they are
    words       group of labels -> what the judge has words for, of the references' true ones
    apart       how often the judge finds a reference among the others by itself, 0..1; NaN where it is alone
    cards       printed name of a metric -> what is printed of it
    """

    scores: tuple[Score, ...]
    absent: tuple[str, ...]
    trust: Mapping[str, float]
    dimensions: Mapping[str, float]
    features: Mapping[str, Any]
    ids: Mapping[str, tuple[str, ...]]
    sets: tuple[SetScore, ...] = ()
    shown: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, Words] = field(default_factory=dict)
    apart: float = float("nan")
    cards: Mapping[str, MetricCard] = field(default_factory=dict)


def trust(shown: Views) -> dict[str, float]:
    """group -> how often the judge's verdict on the references themselves is the true label, where it has the word."""
    return {
        group: round(float((shown.verdicts[group] == truth)[known].mean()), 4)
        for group, truth in shown.labels.items()
        if group in shown.verdicts and (known := in_words(group, shown)).any()
    }


def words(shown: Views, profile: Profile) -> dict[str, Words]:
    """group -> what the judge has words for, in every group of true labels that a metric of the profile asks it for."""
    named = [one for one in profile.present if isinstance(one, Verdict | NWay) and one.network == JUDGE]
    asked = [one.group for one in named if not one.pseudo]
    return {
        group: Words(
            known=int(in_words(group, shown).sum()),
            labelled=int((shown.labels[group] != "").sum()),
            strange=strange_words(group, shown),
        )
        for group in dict.fromkeys(asked)
        if group in shown.verdicts and group in shown.labels and np.any(shown.labels[group] != "")
    }
