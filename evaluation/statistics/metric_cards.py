"""The cards of metrics as a report prints them: the title of each printed name, what it means, whether less is better.

    cards = cards_of(scores, CATALOGUE)          printed name -> card, "top1_of_100" -> "Top-1 of 100"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain.errors import InputError, expected
from evaluation.metrics import Metric
from evaluation.metrics._parts.comparison import spaced
from evaluation.samples.rows import printable
from evaluation.score import Score

LONGEST = {"name": 200, "title": 200, "description": 400, "unit": 40}
"""Letters that the report of a stranger may have of each."""
AGAIN = "evaluate the run again"


@dataclass(frozen=True, kw_only=True)
class MetricCard:
    """What is printed of a metric under one of its names.

    name         "top1_of_100", as scores have it; title "Top-1 of 100"; description what it means
    unit         "" for shares and correlations; lower: whether less is better
    plotted      whether it gets a panel; headline: its place among the first numbers, 0 for none
    """

    name: str
    title: str
    description: str = ""
    unit: str = ""
    lower: bool = False
    plotted: bool = False
    headline: int = 0

    def facts(self) -> dict[str, Any]:
        """The card as report.json has it, under its name."""
        return {
            "title": self.title, "description": self.description, "unit": self.unit, "lower_is_better": self.lower,
            "plotted": self.plotted, "headline": self.headline,
        }  # fmt: skip


def cards_of(scores: Iterable[Score], metrics: Iterable[Metric]) -> dict[str, MetricCard]:
    """Printed name -> card, of those of `metrics` that these scores are of."""
    known = tuple(metrics)
    found: dict[str, MetricCard] = {}
    for score in scores:
        metric = next((one for one in known if one.named(score.pool) == score.metric), None)
        if metric is not None and score.metric not in found:
            found[score.metric] = card_of(metric, pool=score.pool)
    return found


def card_of(metric: Metric, *, pool: int) -> MetricCard:
    """What is printed of a metric for a pool of that many references."""
    return MetricCard(
        name=metric.named(pool), title=metric.titled(pool), description=metric.description, unit=metric.unit,
        lower=metric.lower, plotted=metric.plotted, headline=metric.headline,
    )  # fmt: skip


def plain_card(name: str) -> MetricCard:
    """The card of a metric that nobody knows: its name with spaces."""
    return MetricCard(name=name, title=spaced(name))


def read_card(name: str, facts: Any, where: Path) -> MetricCard:
    """The card out of a report that was written; anything else is an InputError about `where`."""
    fields = {"title", "description", "unit", "lower_is_better", "plotted", "headline"}
    if not isinstance(facts, Mapping) or set(facts) != fields:
        came = ascii(str(facts)[:60])
        raise InputError(expected(where, f"a metric's {', '.join(sorted(fields))}", came, AGAIN))
    texts = {
        field: printable(name if field == "name" else facts[field], field, where, longest=longest)
        for field, longest in LONGEST.items()
    }
    kinds = (("lower_is_better", bool), ("plotted", bool), ("headline", int))
    if any(type(facts[field]) is not kind for field, kind in kinds):
        raise InputError(expected(where, f"flags and a number on the card of {name}", ascii(str(facts)[:60]), AGAIN))
    return MetricCard(**texts, lower=facts["lower_is_better"], plotted=facts["plotted"], headline=facts["headline"])
