"""Which stimuli a page shows: evenly spaced in the order of a score, by a rule that stands beside them.

    order, said = spread(report)
    every_nth(order, 6)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.report.pages.ladder import headline
from evaluation.report.types import Ladder, Report
from evaluation.score import Score

STRIP = 6
"""Stimuli right below the headline."""


def every_nth(names: Sequence[str], count: int) -> list[str]:
    """At most `count` of the names, evenly spaced: of each of `count` stretches of the same length the middle one."""
    if len(names) <= count:
        return list(names)
    return [names[int((at + 0.5) * len(names) / count)] for at in range(count)]


def spread_score(report: Ladder) -> Score | None:
    """Of the first numbers of a page the one that tells most stimuli apart; None where no stimulus has any."""
    found = [score for score in headline(report) if np.isfinite(score.values).any()]
    return max(found, key=_told_apart, default=None)


def _told_apart(score: Score) -> int:
    return len(np.unique(score.values[np.isfinite(score.values)]))


def spread(report: Report) -> tuple[list[str], str]:
    """Every stimulus, the best first by `spread_score`, and that order in words; by id where there is no score."""
    names = sorted(report.samples.references)
    score = spread_score(report)
    if score is None:
        return names, "their ids"
    worth = dict(zip(score.ids, (-score.values if score.lower else score.values).tolist(), strict=True))
    unscored = float("-inf")
    keyed = {name: worth[name] if np.isfinite(worth.get(name, np.nan)) else unscored for name in names}
    title = report.metric_card(score.metric).title
    words = f"{title} from the best to the worst"
    return sorted(names, key=lambda name: (-keyed[name], name)), words
