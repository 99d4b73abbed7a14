"""Judging synthesized pictures: does the region really want to see them? Never by the encoder that guided alone.

    HOME/synthesis.json          what was wanted, by which ways, each way's courses, seconds and FLOPs a picture
    HOME/responses.safetensors   SCORER.ROW -> (picture, region): mean responses to the pictures; row "natural" too
    HOME/samples/                the pictures, a row a way; signed where the brain is simulated

Scorers: `guide` is the encoder that guided, `second` another network's, `truth` the simulated cortex where the data are
simulated. A way is judged by the last of these there is.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from brain.errors import InputError, expected
from brain.origin import simulated_by
from brain.types import Float
from brain.writing import write_text
from encoders.storage import read_tensors, write_json
from evaluation.images import IMAGE
from evaluation.judges import find_judge
from evaluation.metrics.pixels import correlation
from evaluation.regions import read_json
from evaluation.report import finite
from evaluation.samples import Sample, inside, read_rows
from evaluation.worlds import badge, layout_of, simulated_lines, world_lines

FOLDER = "synthesis"
RESPONSES = "responses.safetensors"
KIND = "responses to synthesized pictures"
SCORERS = ("truth", "second", "guide")
NAMES = {
    "truth": "the simulated cortex itself",
    "second": "a second encoder on another network",
    "guide": "the encoder that guided",
}
ROLES = {"clip": "guiding", "eye": "guiding", "second": "second opinion"}
PREFERRED = {
    "faces": ("OFA", "FFA", "mTL-faces", "aTL-faces"),
    "bodies": ("EBA", "FBA", "mTL-bodies"),
    "places": ("OPA", "PPA", "RSC"),
    "words": ("OWFA", "VWFA", "mfs-words", "mTL-words"),
    "food": ("food",),
}
CONTROLS = ("unguided", "random_region")


def preferred(region: str) -> str:
    """The category a region is named for ("faces" for FFA-1), "" where it is named for none."""
    return next((label for label, names in PREFERRED.items() if region.startswith(names)), "")


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One way under every scorer.

    values      scorer -> (picture,) the objective's value
    median      scorer -> the median; low, high its 95 % bootstrap interval over pictures
    percentile  scorer -> percentage of natural pictures below the median
    category    share of pictures the judge puts into the wanted region's category, None where either has none
    diversity   mean of 1 - Pearson between pictures in the judge's features
    profile     region -> mean response in standard deviations of natural pictures, by the best scorer
    """

    row: str
    values: Mapping[str, Float]
    median: Mapping[str, float]
    low: Mapping[str, float]
    high: Mapping[str, float]
    percentile: Mapping[str, float]
    category: float | None
    diversity: float
    profile: Mapping[str, float]
    seconds: float
    flops: float

    def facts(self) -> dict[str, Any]:
        """The row of report.json."""
        return {
            "row": self.row, "median": dict(self.median), "low": dict(self.low), "high": dict(self.high),
            "percentile": dict(self.percentile), "category": self.category, "diversity": self.diversity,
            "profile": dict(self.profile), "seconds": self.seconds, "flops": self.flops,
            "n": len(next(iter(self.values.values()))),
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """A synthesis folder, judged."""

    home: Path
    facts: Mapping[str, Any]
    scorer: str
    rows: tuple[Scored, ...]
    natural: Mapping[str, Float]
    samples: tuple[Sample, ...]
    judge: Mapping[str, str]

    @property
    def simulated(self) -> str:
        """What simulated the brain, "" for a recorded one."""
        return simulated_by(self.home / "samples")

    def said(self) -> tuple[str, ...]:
        """Whose brain it is, and what the judge does not know, before any number."""
        world = world_lines(self.judge, self.simulated, modality=IMAGE, shown="pictures")
        return (*simulated_lines(self.simulated), *world)

    @property
    def title(self) -> str:
        """What was wanted, in words: "FFA-1 against PPA"."""
        signs = self.facts["signs"]
        up = [_weighed(name, sign) for name, sign in signs.items() if sign > 0]
        down = [_weighed(name, -sign) for name, sign in signs.items() if sign < 0]
        return " and ".join(up) + (f" against {' and '.join(down)}" if down else "")

    def best(self) -> Scored:
        """The way with the highest median by the best scorer, controls left out."""
        ways = [row for row in self.rows if row.row not in CONTROLS]
        return max(ways or self.rows, key=lambda row: row.median[self.scorer])


def _weighed(name: str, weight: float) -> str:
    return name if weight == 1 else f"{weight:g} x {name}"


def judge_synthesis(home: Path, *, seed: int, judge: str = "miniature", resamples: int = 2000) -> Synthesis:
    """Every way in the folder under every scorer; a folder without pictures or responses is an InputError."""
    facts = read_json(home / "synthesis.json")
    samples = read_rows(home / "samples")
    tensors, card = read_tensors(home / RESPONSES, kind=KIND)
    if not facts or not samples:
        raise InputError(expected(home, "synthesized pictures", "none", "run `afterimage synthesize` first"))
    regions, signs = card["regions"], facts["signs"]
    weights = np.array([signs.get(region, 0.0) for region in regions], np.float32)
    scorers = [name for name in SCORERS if f"{name}.natural" in tensors]
    bench = find_judge(judge).open()
    rng = np.random.default_rng(seed)
    label = preferred(max(signs, key=lambda region: signs[region]))
    natural = {name: tensors[f"{name}.natural"] @ weights for name in scorers}
    rows = []
    for row in dict.fromkeys(one.row for one in samples):
        here = [one for one in samples if one.row == row]
        opinion = bench.look(_open(home, one) for one in here)
        values = {name: tensors[f"{name}.{row}"] @ weights for name in scorers}
        spans = {name: _median_interval(values[name], rng, resamples) for name in scorers}
        way = facts["ways"].get(row, {})
        verdicts = opinion.verdicts.get("category") if label in opinion.classes.get("category", ()) else None
        rows.append(
            Scored(
                row=row,
                values=values,
                median={name: float(np.median(values[name])) for name in scorers},
                low={name: spans[name][0] for name in scorers},
                high={name: spans[name][1] for name in scorers},
                percentile={name: float(100 * (natural[name] < np.median(values[name])).mean()) for name in scorers},
                category=None if verdicts is None else float((verdicts == label).mean()),
                diversity=_diversity(opinion.features),
                profile=_profile(tensors[f"{scorers[0]}.{row}"], tensors[f"{scorers[0]}.natural"], regions),
                seconds=float(way.get("seconds", math.nan)),
                flops=float(way.get("flops", math.nan)),
            )
        )
    return Synthesis(
        home=home, facts=facts, scorer=scorers[0], rows=tuple(rows), natural=natural, samples=samples,
        judge=bench.card,
    )  # fmt: skip


def _open(home: Path, sample: Sample) -> Image.Image:
    from brain.pictures import open_image

    return open_image(inside(home / "samples", sample.file))


def _median_interval(values: Float, rng: np.random.Generator, resamples: int) -> tuple[float, float]:
    drawn = np.median(values[rng.integers(len(values), size=(resamples, len(values)))], axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _diversity(features: Float) -> float:
    if len(features) < 2:
        return 0.0
    alike = correlation(features, features)
    return float(1 - alike[~np.eye(len(alike), dtype=bool)].mean())


def _profile(responses: Float, natural: Float, regions: Sequence[str]) -> dict[str, float]:
    spread = natural.std(0)
    z = (responses.mean(0) - natural.mean(0)) / np.where(spread > 0, spread, 1)
    return {region: float(value) for region, value in zip(regions, z, strict=True)}


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
    """The page: the answer, every way's numbers, activation against cost and diversity, courses, all pictures."""
    from evaluation.templates import environment

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
        courses=_courses(found, colour),
        profile=_profiles(found),
        gallery=[
            (row.row.replace("_", " "), [_uri(_open(found.home, one)) for one in found.samples if one.row == row.row])
            for row in found.rows
        ],
        box={"width": WIDTH, "height": HEIGHT, "left": LEFT, "top": TOP},
    )


def header_facts(found: Synthesis) -> list[str]:
    """What the numbers are about, for the line above the answer."""
    subject, natural = str(found.facts.get("subject", "")), len(found.natural[found.scorer])
    ways = "1 way" if len(found.rows) == 1 else f"{len(found.rows)} ways"
    return [
        *([f"subject {subject}{layout_of(found.simulated, '')}"] if subject else []),
        f"{len(found.samples)} pictures of {ways}", f"{natural} natural pictures",
        f"judge {found.judge['name']}",
    ]  # fmt: skip


def answer(found: Synthesis) -> tuple[str, str]:
    """One plain sentence, and what stands behind it."""
    best = found.best()
    above = best.percentile[found.scorer]
    way = best.row.replace("_", " ")
    first = f"{found.title}: the median picture of {way} drives it more than {above:.1f} % of natural pictures do."
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
    """Dots of all ways: their median by the best scorer over something."""
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


def _courses(found: Synthesis, colour: Mapping[str, str]) -> list[dict[str, Any]]:
    """The mean course of the objective, as the guiding encoder sees it, of every way that has one."""
    lines = []
    for row in found.rows:
        courses = list(found.facts["ways"].get(row.row, {}).get("courses", {}).values())
        if courses and len(courses[0]) > 2:
            length = min(len(course) for course in courses)
            lines.append((row.row, np.mean([course[:length] for course in courses], axis=0)))
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
    """Off-target profile: a table region x way of mean responses, in standard deviations of natural pictures."""
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


def _uri(image: Image.Image) -> str:
    out = io.BytesIO()
    small = image.copy()
    small.thumbnail((192, 192), Image.Resampling.LANCZOS)
    small.save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
