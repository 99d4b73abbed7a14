"""Opponents: rows that show an existing stimulus and draw nothing, where they are ahead of what was drawn.

    opponent_lines(scores, card=report.row_card, metric=report.metric_card)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evaluation.metrics import CATALOGUE as METRICS
from evaluation.metrics._parts.verdicts import NWay, Verdict
from evaluation.samples.rows import RowCard
from evaluation.score import Score
from evaluation.statistics.folds import DECODED
from evaluation.statistics.metric_cards import MetricCard

MOST, DIGITS = 8, 3
"""Metrics that the sentence names, and digits of a value."""


def opponent_lines(
    scores: Sequence[Score], *, card: Callable[[str], RowCard], metric: Callable[[str], MetricCard]
) -> tuple[str, ...]:
    """One sentence with every opponent, the metrics in which it is ahead of row decoded, and both values.

    Compared are the metrics that may stand among the first numbers of a page, and those of true labels.
    """
    decoded = {one.metric: one for one in scores if one.row == DECODED}
    ahead: dict[str, list[str]] = {}
    left = 0
    for one in scores:
        own = decoded.get(one.metric)
        if own is None or not card(one.row).looked_up or not _compared(one.metric, metric) or not _better(one, own):
            continue
        if sum(map(len, ahead.values())) == MOST:
            left += 1
        else:
            said = metric(one.metric).title
            said = said if said.isupper() else said[:1].lower() + said[1:]
            ahead.setdefault(one.row, []).append(f"{said} ({one.value:.{DIGITS}f} and {own.value:.{DIGITS}f})")
    if not ahead:
        return ()
    first, *others = [f"{_named(card(row))} {{}}in {_listed(found)}" for row, found in ahead.items()]
    more = f", and in {left} more" if left else ""
    parts = [first.format("is ahead of what was drawn "), *(one.format("") for one in others)]
    return (f"The {'; the '.join(parts)}{more}: the generator adds nothing to a look-up there.",)


def _compared(name: str, metric: Callable[[str], MetricCard]) -> bool:
    if metric(name).headline:
        return True
    found = METRICS[name] if name in METRICS.names() else None
    return isinstance(found, Verdict | NWay) and not found.pseudo


def _better(one: Score, other: Score) -> bool:
    first, second = round(one.value, DIGITS), round(other.value, DIGITS)  # what is printed alike is no lead
    return first < second if one.lower else first > second


def _named(card: RowCard) -> str:
    return card.title[:1].lower() + card.title[1:]


def _listed(parts: Sequence[str]) -> str:
    return " and ".join((", ".join(parts[:-1]), parts[-1])) if len(parts) > 1 else parts[0]
