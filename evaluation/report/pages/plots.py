"""Curves of a run as coordinates."""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.metrics import CATALOGUE as METRICS
from evaluation.report.pages.ladder import BRAIN, TOP, number
from evaluation.report.types import Report
from evaluation.statistics.curves import by_measure

LINE_WIDTH, LINE_HEIGHT, MARGIN = 380.0, 150.0, 34.0


@dataclass(frozen=True, kw_only=True)
class Line:
    """One measure of a curve, in SVG units: dots with their intervals, and the points of the line through them."""

    title: str
    colour: str
    dots: tuple[tuple[float, float, float, float, str], ...]
    path: str


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A curve as coordinates: x labels, lines of all measures, the chance line of those that share it."""

    title: str
    labels: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]
    chance: float


COLOURS = {
    "two_way": "var(--c0)", "category": "var(--c1)", "two_way_within_category": "var(--c2)", "pixcorr": "var(--c5)",
}  # fmt: skip
OTHERS = ("var(--c3)", "var(--c4)", "var(--c6)", "var(--c7)", "var(--c8)")


def plots(report: Report) -> list[Plot]:
    """Every curve of the run as coordinates; brain correlations are left to report.json."""
    found = []
    for name in dict.fromkeys(point.curve for point in report.points):
        measures = {
            measure: points
            for measure, points in by_measure(report.points, name).items()
            if not measure.startswith(BRAIN)
        }
        labels = tuple(dict.fromkeys(point.label for points in measures.values() for point in points))
        place = {label: _across(number, len(labels)) for number, label in enumerate(labels)}
        extra = iter(OTHERS)
        lines = tuple(
            Line(
                title=_measure_title(report, measure, points[0].n),
                colour=COLOURS.get(measure) or next(extra, "var(--rest)"),
                dots=tuple(
                    (place[one.label], height_of(one.value), height_of(one.low), height_of(one.high), number(one.value))
                    for one in points
                ),
                path=""
                if name == "regions"
                else " ".join(f"{place[one.label]},{height_of(one.value)}" for one in points),
            )
            for measure, points in measures.items()
        )
        title = report.titles.get(name, name)
        found.append(
            Plot(title=title, labels=tuple((place[one], one) for one in labels), lines=lines, chance=height_of(0.5))
        )
    return found


def _measure_title(report: Report, measure: str, n: int) -> str:
    kind, _, space = measure.partition(" ")
    title = f"{_curve_title(report, measure)} of pictures"
    title = f"two-way of {space} conditions" if kind == "conditions" else title
    return f"{title}, n = {n}"


def _curve_title(report: Report, measure: str) -> str:
    """A curve may be of a metric that the profile has not asked for."""
    if measure in report.metric_cards or measure not in METRICS.names():
        return report.metric_card(measure).title
    return METRICS[measure].title


def _across(number_: int, count: int) -> float:
    return round(MARGIN + (LINE_WIDTH - 2 * MARGIN) * (number_ / max(1, count - 1)), 1)


def height_of(value: float) -> float:
    """Where a share of 0..1 stands in a plot, in SVG units from the top."""
    return round(TOP + LINE_HEIGHT * (1 - min(1.0, max(0.0, value))), 1)
