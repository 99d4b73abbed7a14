"""The ladder as a page shows it: panels of one metric each, one table, headline numbers, and numbers as text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from evaluation.report.types import Ladder
from evaluation.samples.images import IMAGE
from evaluation.samples.sounds import SOUND
from evaluation.score import Score

# What a page says of its samples: one, several, their column, and what was done with the stimulus.
WORDS = {
    IMAGE: {"one": "picture", "several": "pictures", "stimulus": "Seen", "done": "seen", "made": "drawn"},
    SOUND: {"one": "sound", "several": "sounds", "stimulus": "Heard", "done": "heard", "made": "generated"},
}
ATTRIBUTES = "label_"
BRAIN = "brain_"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A row in a panel of the ladder plot, in SVG units."""

    row: str
    title: str
    y: float
    x: float
    low: float
    high: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One metric of the ladder plot: marks from the top down, ticks and chance on an axis in SVG units."""

    title: str
    meaning: str
    height: float
    chance: float | None
    chance_text: str
    ticks: tuple[tuple[float, str], ...]
    marks: tuple[Mark, ...]


LEFT, WIDTH, TOP, STEP, RIGHT = 150.0, 210.0, 14.0, 26.0, 52.0
GEOMETRY = {"left": LEFT, "width": WIDTH, "right": RIGHT, "top": TOP}


HEADLINE = 4
"""Numbers that a page begins with."""


def main_row(report: Ladder) -> str:
    """The row that a page is about: decoded, or in somebody's folder without it the first one."""
    rows = report.rows()
    return "decoded" if "decoded" in rows else rows[0]


def headline(report: Ladder) -> list[Score]:
    """The first numbers of the page: four at most, by the places on the cards of their metrics."""
    carded = [card for name in report.metrics() if (card := report.metric_card(name)).headline]
    found = [report.score(main_row(report), card.name) for card in sorted(carded, key=lambda card: card.headline)]
    return [score for score in found if score is not None][:HEADLINE]


def percent(share: float) -> str:
    """0.934 -> "93.4 %", without a decimal that says nothing."""
    return f"{100 * share:.1f} %".replace(".0 %", " %")


def probability(p: float) -> str:
    """ "p = 0.014", and "p < 0.001" below what three digits show."""
    return "p < 0.001" if p < 0.0005 else f"p = {p:.3f}"


def number(value: float | None) -> str:
    """Three digits with a true minus sign, an en dash for what does not exist."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}".replace("-", "−")


def plotted(report: Ladder) -> list[str]:
    """The metrics that get a panel; of several pools the first alone."""
    found: dict[str, str] = {}
    for name in report.metrics():
        found.setdefault(name.partition("_of_")[0], name)
    return [name for name in found.values() if report.metric_card(name).plotted]


def tile(report: Ladder, found: Score) -> dict[str, str]:
    """A headline number with its interval, and where it stands between chance and ceiling."""
    share = f"{100 * found.effect:.0f} %" if found.effect is not None else ""
    effect = f"{share} of what this generator draws from the true condition" if share else ""
    return {
        "title": report.metric_card(found.metric).title,
        "value": number(found.value),
        "interval": f"{number(found.low)} to {number(found.high)}",
        "chance": number(found.chance),
        "ceiling": number(found.ceiling),
        "effect": effect,
    }


def panel(report: Ladder, metric: str) -> Panel:
    """The ladder of one metric as coordinates."""
    found = [score for score in report.scores if score.metric == metric]
    chance = found[0].chance if math.isfinite(found[0].chance) else None
    low = min(0.0, *(math.floor(10 * min(s.low, s.low if chance is None else s.chance)) / 10 for s in found))

    def place(value: float) -> float:
        return round(LEFT + WIDTH * (value - low) / (1 - low), 1)

    marks = [
        Mark(
            row=s.row, title=report.row_card(s.row).title, y=TOP + STEP * (i + 0.5), x=place(s.value), low=place(s.low),
            high=place(s.high), text=number(s.value),
        )
        for i, s in enumerate(found)
    ]  # fmt: skip
    card = report.metric_card(metric)
    ticks = tuple((place(t), f"{t:g}".replace("-", "−")) for t in (*((low,) if low < 0 else ()), 0.0, 0.5, 1.0))
    return Panel(
        title=card.title, meaning=card.description, height=TOP + STEP * len(found),
        chance=None if chance is None else place(chance),
        chance_text=number(chance), ticks=ticks, marks=tuple(marks),
    )  # fmt: skip


def ladder_table(report: Ladder) -> dict[str, Any]:
    """The ladder with every number: one line a row, one column a metric."""
    names = [name for name in report.metrics() if not name.startswith((ATTRIBUTES, BRAIN))]
    lines = []
    for row in report.rows():
        cells = []
        for name in names:
            s = report.score(row, name)
            cells.append(
                None
                if s is None
                else {
                    "value": number(s.value),
                    "interval": f"{number(s.low)} to {number(s.high)}",
                    "p": "" if s.p is None else probability(s.p),
                    "q": "" if s.q is None else probability(s.q).replace("p", "q", 1),
                    "effect": "" if s.effect is None else f"effect {s.effect:.2f}".replace("-", "−"),
                }
            )
        scores = [s for s in report.scores if s.row == row]
        counts = {"n": scores[0].n, "samples": scores[0].samples, "withheld": scores[0].withheld}
        card = report.row_card(row)
        lines.append({"row": row, "title": card.title, "meaning": card.description, "cells": cells, **counts})
    chance = [number(next(s.chance for s in report.scores if s.metric == name)) for name in names]
    cards = [report.metric_card(name) for name in names]
    titles = [(card.title, card.description) for card in cards]
    return {"metrics": titles, "lines": lines, "chance": chance, "said": "Chance"}


def ranged(value: float | None, low: float | None, high: float | None) -> str:
    """A value with its interval, an en dash for what does not exist."""
    return "–" if value is None else f"{number(value)} ({number(low)} to {number(high)})"
