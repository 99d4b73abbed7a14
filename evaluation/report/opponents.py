"""Opponents: rows that show an existing stimulus and draw nothing, and what was drawn otherwise, where they are
ahead of what was drawn.

    opponent_lines(scores, card=report.row_card, metric=report.metric_card)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evaluation.metrics import CATALOGUE as METRICS
from evaluation.metrics._parts.verdicts import NWay, Verdict
from evaluation.samples.rows import OWN, RowCard
from evaluation.score import Score
from evaluation.statistics.folds import DECODED
from evaluation.statistics.metric_cards import MetricCard
from evaluation.statistics.paired import paired

MOST, DIGITS = 8, 3
"""Metrics that the sentence names, and digits of a value."""


def opponent_lines(
    scores: Sequence[Score], *, card: Callable[[str], RowCard], metric: Callable[[str], MetricCard]
) -> tuple[str, ...]:
    """A sentence with every opponent that draws nothing, and one with what was drawn otherwise: the metrics in
    which each is ahead of row decoded by more than the 95 % interval of the difference, paired by stimulus, and both
    values.

    Compared are the metrics that may stand among the first numbers of a page, and those of true labels.
    """
    looked_up = [one for one in scores if card(one.row).looked_up]
    others = [one for one in scores if _drawn_otherwise(card(one.row))]
    shown, drawn = (_ahead(scores, rows, card=card, metric=metric) for rows in (looked_up, others))
    return (
        *([f"The {shown}: the generator adds nothing to a look-up there."] if shown else []),
        *([f"Drawn in another way, the {drawn}."] if drawn else []),
    )


def _drawn_otherwise(card: RowCard) -> bool:
    """Rows of methods' own: neither the ladder's nor a control, and not a look-up."""
    return card.name not in OWN and not card.looked_up and not card.control


def _ahead(
    scores: Sequence[Score], rows: Sequence[Score], *, card: Callable[[str], RowCard],
    metric: Callable[[str], MetricCard],
) -> str:  # fmt: skip
    decoded = {one.metric: one for one in scores if one.row == DECODED}
    ahead: dict[str, list[str]] = {}
    left = 0
    for one in rows:
        own = decoded.get(one.metric)
        if own is None or not _compared(one.metric, metric) or not _better(one, own):
            continue
        difference = paired(one, own)
        if difference is None or not difference.apart:
            continue
        if sum(map(len, ahead.values())) == MOST:
            left += 1
        else:
            said = metric(one.metric).title
            said = said if said.isupper() else said[:1].lower() + said[1:]
            ahead.setdefault(one.row, []).append(f"{said} ({one.value:.{DIGITS}f} and {own.value:.{DIGITS}f})")
    if not ahead:
        return ""
    first, *others = [f"{_named(card(row))} {{}}in {_listed(found)}" for row, found in ahead.items()]
    more = f", and in {left} more" if left else ""
    parts = [first.format("is ahead of what was drawn "), *(one.format("") for one in others)]
    return f"{'; the '.join(parts)}{more}"


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
