"""The report of synthesized pictures: report.json and a page, the answer and pictures first, then all numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from brain.types import Float
from brain.writing.opener import write_text
from encoders.storage import write_json
from evaluation.report.pages.frame import render as framed
from evaluation.report.pages.synthesis_charts import BOX, against_cost, against_diversity, along_steps, colours_of
from evaluation.report.pages.thumbnails import Thumbnail, thumbnails
from evaluation.report.synthesis import (
    NAMES,
    RANDOM_REGION,
    RANKED,
    TRAJECTORIES,
    Scored,
    Synthesis,
    judge_synthesis,
    open_sample,
    percentage,
)
from evaluation.report.types import finite
from evaluation.report.worlds import badge, layout_of
from evaluation.samples.types import Sample

ROLES = {"clip": "guiding", "eye": "guiding", "second": "second opinion"}
FIRST = 6
"""Pictures of a row below the headline."""
MOST = 60
"""Pictures of a row in the page."""
DEEPEST = 40
"""Percentage of colour in the cell of the strongest response; text on it keeps a contrast of 4.5 and more."""
Place = tuple[str, str, str, int]
"""Folder, row, picture and step, 0 of a finished one."""
NOTHING_COMPARED = (
    "No control was asked for, so that these pictures were compared with nothing: the generator may draw as much by "
    "itself. `--method guided unguided random-region` adds the controls."
)
SPANS = {
    "interval": "95 % bootstrap intervals",
    "range": "the range, lowest to highest, of fewer than six pictures (an interval of so few is too narrow)",
}
"""What stands beside a median, in words."""
RANGES = "A range of fewer than six pictures is compared with nothing."


def report_synthesis(home: Path, *, seed: int) -> Path:
    """Writes report.json and report.html into the folder and returns the page's path."""
    found = judge_synthesis(home, seed=seed)
    facts = {
        "simulated": found.simulated,
        "said": list(found.said()),
        "judge": dict(found.judge),
        "wanted": found.title,
        "scorer": found.scorer,
        "answer": answer(found)[0],
        "detail": answer(found)[1],
        "natural": {name: _natural(values) for name, values in found.natural.items()},
        "rows": [row.facts() for row in found.rows],
        "encoders": found.facts.get("encoders", {}),
    }
    write_json(home / "report.json", finite(facts))
    page = home / "report.html"
    write_text(page, render(found))
    return page


def _natural(values: Float) -> dict[str, float]:
    return {
        "n": len(values), "median": float(np.median(values)), "percentile 99": float(np.quantile(values, 0.99)),
        "best": float(values.max()),
    }  # fmt: skip


def render(found: Synthesis) -> str:
    """The page: answer, pictures, every method's numbers, pictures along the trajectories, charts, other regions."""
    colour, scorers, strips = colours_of(found), list(found.natural), found.strips()
    shown = _thumbnails(found)
    kept = {row.row: [shown["samples", *one.key] for one in _of(found, row.row)] for row in found.rows}
    return framed(
        "synthesis.html.jinja",
        title=f"Pictures for {found.title}, subject {found.facts.get('subject', 'unknown')}",
        badge=badge(found.simulated),
        said=found.said(),
        facts=header_facts(found),
        answer=answer(found),
        alone="" if found.controls else NOTHING_COMPARED,
        first=[_first(found, row, kept[row.row][:FIRST], colour) for row in _beside(found)],
        scorer=NAMES[found.scorer],
        scorers=[(name, NAMES[name]) for name in scorers],
        rows=[_line(row, scorers, colour[row.row]) for row in found.rows],
        spans=_spans(found),
        natural={name: _signed(value) for name, value in _natural(found.natural[found.scorer]).items()},
        naturals=len(found.natural[found.scorer]),
        encoders=[(ROLES.get(name, name), one) for name, one in found.facts.get("encoders", {}).items()],
        strips=[_strip(found, row, shown, kept[row.row]) for row in found.rows if row.row in strips],
        without=[_words(row) for row in found.rows if row.row not in strips],
        scatters=[plot for plot in (against_cost(found), against_diversity(found)) if plot],
        courses=along_steps(found),
        profile=_profiles(found),
        gallery=[(_words(row), len([one for one in found.samples if one.row == row.row]), kept[row.row])
                 for row in found.rows],
        most=MOST,
        box=BOX,
    )  # fmt: skip


def _words(row: Scored) -> str:
    return row.row.replace("_", " ")


def _of(found: Synthesis, row: str) -> list[Sample]:
    """The pictures of a row that the page shows, in the order of their seeds."""
    return [one for one in found.samples if one.row == row][:MOST]


def _thumbnails(found: Synthesis) -> dict[Place, Thumbnail]:
    """Every picture of the page, by its folder and its key there."""
    places = {("samples", *one.key): one for row in found.rows for one in _of(found, row.row)}
    strips = [one for some in found.strips().values() for strip in some for one in strip.samples]
    places |= {(TRAJECTORIES, *one.key): one for one in strips}
    return thumbnails(places, lambda place: open_sample(found.home, places[place], folder=place[0]))


def _beside(found: Synthesis) -> tuple[Scored, ...]:
    """What stands below the headline: the best method, natural pictures where they were chosen, the controls."""
    best = found.best()
    natural = tuple(row for row in found.rows if row.row == RANKED and row.row != best.row)
    return (best, *natural, *(row for row in found.controls if row.row != best.row))


def _first(
    found: Synthesis, row: Scored, pictures: Sequence[Thumbnail], colour: Mapping[str, str]
) -> dict[str, Any]:
    scorer = found.scorer
    return {
        "name": _words(row), "colour": colour[row.row], "about": row.about, "control": row.control,
        "value": f"median {_signed(row.median[scorer])}, above {_below(found, row)}",
        "pictures": pictures,
    }  # fmt: skip


def _strip(
    found: Synthesis, row: Scored, shown: Mapping[Place, Thumbnail], kept: Sequence[Thumbnail]
) -> dict[str, Any]:
    """The first pictures of a row on their way, and each as it was finished."""
    courses = found.method(row.row).get("courses", {})
    numbers = {one.stimulus: number for number, one in enumerate(_of(found, row.row))}
    return {
        "name": _words(row),
        "pictures": [
            {
                "number": numbers[strip.picture] + 1, "steps": strip.steps,
                "seen": [(step, shown[TRAJECTORIES, *one.key], _signed(value))
                         for step, one, value in zip(strip.shown, strip.samples, strip.values, strict=True)],
                "done": kept[numbers[strip.picture]], "worth": _signed(courses[strip.picture][-1]),
            }
            for strip in found.strips()[row.row] if strip.picture in numbers and strip.picture in courses
        ],
    }  # fmt: skip


def _spans(found: Synthesis) -> str:
    """What stands beside the medians of this page: intervals, ranges or both."""
    there = {row.span for row in found.rows}
    return ", or ".join(words for name, words in SPANS.items() if name in there)


def _span(row: Scored, scorer: str) -> str:
    """ "0.10 to 0.30", and a range by its name."""
    ends = f"{_signed(row.low[scorer])} to {_signed(row.high[scorer])}"
    return ends if row.span == "interval" else f"range {ends}"


def _signed(value: float, decimals: int = 2) -> str:
    """A number with a true minus sign, and without one before a zero."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")


def header_facts(found: Synthesis) -> list[str]:
    """What the numbers are about, for the line above the answer."""
    subject, natural = str(found.facts.get("subject", "")), len(found.natural[found.scorer])
    methods = "1 method" if len(found.rows) == 1 else f"{len(found.rows)} methods"
    return [
        *([f"subject {subject}{layout_of(found.simulated, '')}"] if subject else []),
        f"{len(found.samples)} pictures of {methods}", f"{natural} natural pictures",
        f"judge {found.judge['name']}",
    ]  # fmt: skip


def answer(found: Synthesis) -> tuple[str, str]:
    """One plain sentence, and what stands behind it."""
    best = found.best()
    first = f"{found.title}: the median picture of {_words(best)} drives it more than {_below(found, best)} do."
    pictures = "1 picture" if best.n == 1 else f"{best.n} pictures"
    parts = [
        f"Judged by {NAMES[found.scorer]} on {pictures}, median {_signed(best.median[found.scorer])} "
        f"({_span(best, found.scorer)}); natural pictures reach "
        f"{_signed(float(np.quantile(found.natural[found.scorer], 0.99)))} at their 99th percentile and "
        f"{_signed(float(found.natural[found.scorer].max()))} at best."
    ]
    if best.category is not None:
        parts.append(f"The judge puts {100 * best.category:.0f} % of them into the region's own category.")
    parts += [_chosen(found)] if len(found.candidates) > 1 else []
    parts += [_compared(found)] if found.controls else []
    parts += [_drawn_once(row) for row in found.rows if row.row == RANDOM_REGION]
    return first, " ".join(parts)


def _below(found: Synthesis, row: Scored) -> str:
    """How many natural pictures lie below a method's median."""
    natural = found.natural[found.scorer]
    below = row.percentile[found.scorer]
    return f"{'all' if below == 100 else f'{percentage(below)} of'} {len(natural)} natural pictures"


def _chosen(found: Synthesis) -> str:
    """How the best of several methods came into the headline."""
    best = found.best()
    return (
        f"Of {len(found.candidates)} methods {_words(best)} has the highest median by this scorer: it was chosen by "
        f"this very number, so that number and {best.span} flatter it."
    )


def _drawn_once(row: Scored) -> str:
    """What a random region cannot say."""
    return f"The voxels of {_words(row)} are one random draw by the seed: its {row.span} says nothing of other draws."


def _compared(found: Synthesis) -> str:
    """What the controls reach, and whether the best method's interval lies above theirs; ranges are not compared."""
    best, scorer = found.best(), found.scorer
    reached = ", ".join(
        f"{_words(row)} {_signed(row.median[scorer])} ({_span(row, scorer)})"
        for row in found.controls
    )
    others = [row for row in found.controls if row.row != best.row]
    known = [row for row in others if "range" not in (row.span, best.span)]
    below = [_words(row) for row in known if row.high[scorer] >= best.low[scorer]]
    then = f"; the interval of {' and of '.join(below)} reaches into that of {_words(best)}" if below else ""
    return f"Controls: {reached}{then}.{'' if known == others else f' {RANGES}'}"


def _line(row: Scored, scorers: Sequence[str], colour: str) -> dict[str, Any]:
    return {
        "row": _words(row), "about": row.about, "control": row.control,
        "colour": colour, "n": row.n,
        "cells": [
            {
                "median": _signed(row.median[name]),
                "span": _span(row, name),
                "percentile": f"above {percentage(row.percentile[name])}",
            }
            for name in scorers
        ],
        "category": "–" if row.category is None else f"{100 * row.category:.0f} %",
        "diversity": f"{row.diversity:.2f}",
        "seconds": "–" if math.isnan(row.seconds) else f"{row.seconds:.2f}",
        "gflops": "–" if math.isnan(row.flops) else f"{row.flops / 1e9:.2f}",
    }


def _profiles(found: Synthesis) -> dict[str, Any]:
    """Off-target profile: a table region x method of mean responses, in standard deviations of natural pictures."""
    regions = list(found.rows[0].profile)
    most = max(1e-6, *(abs(value) for row in found.rows for value in row.profile.values()))
    return {
        "methods": [_words(row) for row in found.rows],
        "lines": [
            {
                "region": region,
                "wanted": found.facts["signs"].get(region, 0),
                "cells": [
                    {
                        "text": _signed(row.profile[region], 1),
                        "share": round(DEEPEST * abs(row.profile[region]) / most),
                        "up": row.profile[region] > 0,
                    }
                    for row in found.rows
                ],
            }
            for region in regions
        ],
    }
