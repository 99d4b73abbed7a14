"""The report of synthesized pictures: report.json and a page, the answer first, then all numbers and pictures."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from brain.types import Float
from brain.writing.opener import write_text
from encoders.storage import write_json
from evaluation.report.synthesis import CONTROLS, NAMES, Scored, Synthesis, judge_synthesis, open_sample
from evaluation.report.types import finite
from evaluation.report.worlds import badge, layout_of

ROLES = {"clip": "guiding", "eye": "guiding", "second": "second opinion"}


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


WIDTH, HEIGHT, LEFT, TOP = 420.0, 240.0, 46.0, 16.0
COLOURS = ("#b5432a", "#2f5d73", "#d99a2b", "#5a8f5c", "#7b5ea7", "#7a7f8a", "#b07a5b", "#3d8f8f", "#a03d6a")


def render(found: Synthesis) -> str:
    """The page: the answer, every method's numbers, activation against cost and diversity, trajectories, pictures."""
    from evaluation.report.pages.environment import environment

    colour = {row.row: COLOURS[number % len(COLOURS)] for number, row in enumerate(found.rows)}
    scorers = list(found.natural)
    return environment().get_template("synthesis.html.jinja").render(
        title=found.title,
        badge=badge(found.simulated),
        said=found.said(),
        facts=header_facts(found),
        answer=answer(found),
        scorer=NAMES[found.scorer],
        scorers=[(name, NAMES[name]) for name in scorers],
        rows=[_line(row, scorers, colour[row.row]) for row in found.rows],
        natural=_natural(found.natural[found.scorer]),
        encoders=[(ROLES.get(name, name), one) for name, one in found.facts.get("encoders", {}).items()],
        cost=_scatter(found, colour, {row.row: math.log10(max(row.flops, 1)) for row in found.rows}),
        variety=_scatter(found, colour, {row.row: row.diversity for row in found.rows}),
        trajectories=_trajectories(found, colour),
        profile=_profiles(found),
        gallery=[(row.row.replace("_", " "), _uris(found, row.row)) for row in found.rows],
        box={"width": WIDTH, "height": HEIGHT, "left": LEFT, "top": TOP},
    )


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
    above = best.percentile[found.scorer]
    method = best.row.replace("_", " ")
    first = f"{found.title}: the median picture of {method} drives it more than {above:.1f} % of natural pictures do."
    n = len(best.values[found.scorer])
    parts = [
        f"Judged by {NAMES[found.scorer]} on {n} pictures, median {best.median[found.scorer]:.2f} "
        f"({best.low[found.scorer]:.2f} to {best.high[found.scorer]:.2f}); natural pictures reach "
        f"{np.quantile(found.natural[found.scorer], 0.99):.2f} at their 99th percentile and "
        f"{found.natural[found.scorer].max():.2f} at best."
    ]
    if best.category is not None:
        parts.append(f"The judge puts {100 * best.category:.0f} % of them into the region's own category.")
    controls = [row for row in found.rows if row.row in CONTROLS]
    if controls:
        parts.append(
            "Controls: "
            + ", ".join(f"{row.row.replace('_', ' ')} {row.median[found.scorer]:.2f}" for row in controls)
            + "."
        )
    return first, " ".join(parts)


def _line(row: Scored, scorers: Sequence[str], colour: str) -> dict[str, Any]:
    return {
        "row": row.row.replace("_", " "),
        "colour": colour,
        "cells": [
            {
                "median": f"{row.median[name]:.2f}",
                "span": f"{row.low[name]:.2f} to {row.high[name]:.2f}",
                "percentile": f"above {row.percentile[name]:.1f} %",
            }
            for name in scorers
        ],
        "category": "–" if row.category is None else f"{100 * row.category:.0f} %",
        "diversity": f"{row.diversity:.2f}",
        "seconds": "–" if math.isnan(row.seconds) else f"{row.seconds:.2f}",
        "gflops": "–" if math.isnan(row.flops) else f"{row.flops / 1e9:.2f}",
    }


def _scatter(found: Synthesis, colour: Mapping[str, str], across: Mapping[str, float]) -> dict[str, Any]:
    """Dots of all methods: their median by the best scorer over something."""
    up = {row.row: row.median[found.scorer] for row in found.rows}
    mark = float(np.quantile(found.natural[found.scorer], 0.99))
    low_x, high_x = min(across.values()), max(across.values())
    low_y, high_y = min(*up.values(), mark, 0.0), max(*up.values(), mark)

    def place(value: float, low: float, high: float, length: float) -> float:
        return round(length * (value - low) / (high - low or 1), 1)

    dots = [
        {
            "x": LEFT + 10 + place(across[name], low_x, high_x, WIDTH - LEFT - 110),
            "y": TOP + HEIGHT - place(up[name], low_y, high_y, HEIGHT),
            "name": name.replace("_", " "),
            "colour": colour[name],
        }
        for name in up
    ]
    return {
        "dots": dots,
        "mark": TOP + HEIGHT - place(mark, low_y, high_y, HEIGHT),
        "x": (f"{low_x:.1f}", f"{high_x:.1f}"),
        "y": (f"{low_y:.1f}", f"{high_y:.1f}"),
    }


def _trajectories(found: Synthesis, colour: Mapping[str, str]) -> list[dict[str, Any]]:
    """The mean trajectory of the objective, by the guiding encoder, of every method that has one."""
    lines = []
    for row in found.rows:
        trajectories = list(found.facts["ways"].get(row.row, {}).get("courses", {}).values())
        if trajectories and len(trajectories[0]) > 2:
            length = min(len(trajectory) for trajectory in trajectories)
            lines.append((row.row, np.mean([trajectory[:length] for trajectory in trajectories], axis=0)))
    if not lines:
        return []
    low = min(float(line.min()) for _, line in lines)
    high = max(float(line.max()) for _, line in lines)
    return [
        {
            "name": name.replace("_", " "),
            "colour": colour[name],
            "points": " ".join(
                f"{LEFT + (WIDTH - LEFT - 10) * number / (len(line) - 1):.1f},"
                f"{TOP + HEIGHT * (1 - (value - low) / (high - low or 1)):.1f}"
                for number, value in enumerate(line)
            ),
            "ends": (f"{low:.1f}", f"{high:.1f}"),
        }
        for name, line in lines
    ]


def _profiles(found: Synthesis) -> dict[str, Any]:
    """Off-target profile: a table region x method of mean responses, in standard deviations of natural pictures."""
    regions = list(found.rows[0].profile)
    most = max(1e-6, *(abs(value) for row in found.rows for value in row.profile.values()))
    return {
        "ways": [row.row.replace("_", " ") for row in found.rows],
        "lines": [
            {
                "region": region,
                "wanted": found.facts["signs"].get(region, 0),
                "cells": [
                    {
                        "text": f"{row.profile[region]:.1f}".replace("-", "−"),
                        "share": round(abs(row.profile[region]) / most, 2),
                        "up": row.profile[region] > 0,
                    }
                    for row in found.rows
                ],
            }
            for region in regions
        ],
    }


def _uris(found: Synthesis, row: str) -> list[str]:
    return [_uri(open_sample(found.home, one)) for one in found.samples if one.row == row]


def _uri(image: Image.Image) -> str:
    out = io.BytesIO()
    small = image.copy()
    small.thumbnail((192, 192), Image.Resampling.LANCZOS)
    small.save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
