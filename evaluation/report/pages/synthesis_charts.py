"""Charts of a synthesis: the response against cost and diversity, and the objective along the steps, as SVG numbers.

Names stand in a column at the right, each with a line to its dot, so that none covers another or leaves the picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.report.pages.charts import Axis, apart, axis_of
from evaluation.report.synthesis import Scored, Synthesis

WIDTH, HEIGHT = 560.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 140.0, 34.0, 52.0
LINE = 17.0
"""Between the base lines of two names."""
NOTHING = 44.0
"""Room left of a logarithmic axis for what costs nothing, where there is such a method."""
UNITS = {"truth": "in the cortex's own units", "second": "z-score", "guide": "z-score"}
"""Scorer -> the unit of its responses."""
LETTERS = 16
"""Of a name in the column."""
BOX = {
    "width": WIDTH, "height": HEIGHT, "left": LEFT, "top": TOP, "right": WIDTH - RIGHT, "bottom": HEIGHT - BOTTOM,
    "names": WIDTH - RIGHT + 18,
}  # fmt: skip


def colours_of(found: Synthesis) -> dict[str, str]:
    """Row -> the CSS colour that it has in every chart."""
    return {row.row: f"var(--c{number % 9})" for number, row in enumerate(found.rows)}


def against_cost(found: Synthesis) -> dict[str, Any] | None:
    """Every method's median response over its floating-point operations; None where none was counted."""
    across = {row.row: row.flops / 1e9 for row in found.rows if not math.isnan(row.flops)}
    return _scatter(found, across, words="GFLOP a picture", log=True) if across else None


def against_diversity(found: Synthesis) -> dict[str, Any]:
    """Every method's median response over how different its pictures are."""
    across = {row.row: row.diversity for row in found.rows}
    return _scatter(found, across, words="diversity (1 − mean correlation of features)", log=False)


def along_steps(found: Synthesis) -> list[dict[str, Any]]:
    """The objective over the steps, a chart for each kind of step there is."""
    lines: dict[str, dict[str, list[list[float]]]] = {}
    for row in found.rows:
        courses = list(found.method(row.row).get("courses", {}).values())
        if courses and len(courses[0]) > 2:
            lines.setdefault(row.counts, {})[row.row] = courses
    return [_lines(found, counts, of) for counts, of in lines.items()]


def _scatter(found: Synthesis, across: Mapping[str, float], *, words: str, log: bool) -> dict[str, Any]:
    scorer, rows = found.scorer, [row for row in found.rows if row.row in across]
    natural = found.natural[scorer]
    marks = {"natural 99th pct.": float(np.quantile(natural, 0.99)), "natural median": float(np.median(natural))}
    up = axis_of([*marks.values(), *(one for row in rows for one in (row.low[scorer], row.high[scorer]))])
    free = [value for value in across.values() if value > 0 or not log]
    axis = axis_of(free or [1.0], log=log)
    left = LEFT + (NOTHING if len(free) < len(across) else 12)

    def place(value: float) -> float:
        return left + axis.at(value) * (WIDTH - RIGHT - 12 - left) if value > 0 or not log else LEFT + 12

    ends = {**marks, **{row.row: row.median[scorer] for row in rows}}
    names = _names({name: _up(up, value) for name, value in ends.items()})
    return {
        "label": f"Median response of each method against {words}",
        "x": words, "y": f"median response, {UNITS[scorer]}",
        "across": [*([(LEFT + 12, "none")] if left > LEFT + 12 else []),
                   *((round(left + tick.at * (WIDTH - RIGHT - 12 - left), 1), tick.words) for tick in axis.ticks)],
        "up": _ups(up),
        "marks": [{"y": _up(up, value), "at": names[name], "name": name} for name, value in marks.items()],
        "dots": [
            {
                "x": round(place(across[row.row]), 1), "y": _up(up, row.median[scorer]), "at": names[row.row],
                "low": _up(up, row.low[scorer]), "high": _up(up, row.high[scorer]), "name": _name(row.row),
                "colour": colours_of(found)[row.row], "control": row.control, "title": _title(row, scorer),
            }
            for row in rows
        ],
    }  # fmt: skip


def _lines(found: Synthesis, counts: str, of: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, Any]:
    """The mean trajectory of each method, and faintly those of its pictures."""
    means = {row: np.mean([one[: min(map(len, some))] for one in some], axis=0) for row, some in of.items()}
    axis = axis_of([1, max(len(one) for some in of.values() for one in some)], whole=True)
    up = axis_of([value for some in of.values() for one in some for value in one])
    names = _names({row: _up(up, float(mean[-1])) for row, mean in means.items()})

    def points(values: Sequence[float]) -> str:
        return " ".join(f"{_across(axis, at):.1f},{_up(up, float(value))}" for at, value in enumerate(values, start=1))

    return {
        "label": f"The objective of each method, {counts} by {counts}",
        "x": counts, "y": "objective by the guiding encoders, SD of natural pictures",
        "across": [(round(_across(axis, axis.low) + tick.at * (WIDTH - RIGHT - 12 - LEFT), 1), tick.words)
                   for tick in axis.ticks],
        "up": _ups(up),
        "lines": [
            {
                "points": points(mean), "each": [points(one) for one in of[row]], "colour": colours_of(found)[row],
                "x": round(_across(axis, len(mean)), 1), "y": _up(up, float(mean[-1])), "at": names[row],
                "name": _name(row),
            }
            for row, mean in means.items()
        ],
    }  # fmt: skip


def _across(axis: Axis, value: float) -> float:
    return LEFT + axis.at(value) * (WIDTH - RIGHT - 12 - LEFT)


def _up(axis: Axis, value: float) -> float:
    return round(HEIGHT - BOTTOM - axis.at(value) * (HEIGHT - BOTTOM - TOP), 1)


def _ups(axis: Axis) -> list[tuple[float, str]]:
    return [(round(HEIGHT - BOTTOM - tick.at * (HEIGHT - BOTTOM - TOP), 1), tick.words) for tick in axis.ticks]


def _names(places: Mapping[str, float]) -> dict[str, float]:
    """Where the names stand so that none covers another."""
    found = apart(list(places.values()), gap=LINE, low=TOP, high=HEIGHT - BOTTOM)
    return dict(zip(places, (round(one, 1) for one in found), strict=True))


def _name(row: str) -> str:
    words = row.replace("_", " ")
    return words if len(words) <= LETTERS else f"{words[: LETTERS - 1]}…"


def _title(row: Scored, scorer: str) -> str:
    ends = f"{row.low[scorer]:.2f} to {row.high[scorer]:.2f}"
    words = f"{row.row.replace('_', ' ')}: {row.median[scorer]:.2f} ({row.span} {ends}, n {row.n})"
    return words.replace("-", "−")
