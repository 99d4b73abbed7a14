"""Judging synthesized pictures: does the region really want to see them? Never by the encoder that guided alone.

    HOME/synthesis.json          the objective, by which methods, each one's card, trajectories, cost of a picture
    HOME/responses.safetensors   SCORER.ROW -> (picture, region): mean responses to the pictures; row "natural" too
    HOME/samples/                the pictures, a row a method; signed where the brain is simulated
    HOME/trajectories/           what the first of them looked like on their way, to be looked at and not judged

Scorers: `guide` is the encoder that guided, `second` another network's, `truth` the simulated cortex where the data are
simulated. A method is judged by the last of these there is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from brain.data.correlation import pairwise
from brain.errors import InputError, expected
from brain.types import Float
from brain.writing.origin import simulated_by
from encoders.storage import read_tensors
from evaluation.facts import read_json
from evaluation.find_judge import find_judge
from evaluation.report.worlds import simulated_lines, world_lines
from evaluation.samples.images import IMAGE
from evaluation.samples.index import read_rows
from evaluation.samples.types import Sample, inside

FOLDER = "synthesis"
RESPONSES = "responses.safetensors"
TRAJECTORIES = "trajectories"
RANKED = "retrieval"
"""The row of natural pictures, the best first."""
KIND = "responses to synthesized pictures"
SCORERS = ("truth", "second", "guide")
NAMES = {
    "truth": "the simulated cortex itself",
    "second": "a second encoder on another network",
    "guide": "the encoder that guided",
}
PREFERRED = {
    "faces": ("OFA", "FFA", "mTL-faces", "aTL-faces"),
    "bodies": ("EBA", "FBA", "mTL-bodies"),
    "places": ("OPA", "PPA", "RSC"),
    "words": ("OWFA", "VWFA", "mfs-words", "mTL-words"),
    "food": ("food",),
}
CONTROLS = ("unguided", "random_region")
"""Controls of folders whose synthesis.json does not say yet which of its rows are."""
RANDOM_REGION = "random_region"
"""The control whose voxels were drawn, once."""
FEW = 6
"""Pictures from which on a median has an interval: the range of n values holds it with a chance of 1 - 2 ** (1 - n),
0.94 of five, and no bootstrap interval is wider than the range."""


def preferred(region: str) -> str:
    """The category a region is named for ("faces" for FFA-1), "" where it is named for none."""
    return next((label for label, names in PREFERRED.items() if region.startswith(names)), "")


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One method under every scorer.

    control     whether its pictures know nothing of the objective
    about       what the method is, in one line, "" where synthesis.json does not say
    counts      what one value of its trajectories stands for, such as "denoising step"
    values      scorer -> (picture,) the objective's value
    median      scorer -> the median; low, high its 95 % bootstrap interval over pictures, or where they are fewer than
                FEW the lowest and the highest
    percentile  scorer -> percentage of natural pictures below the median
    category    share of pictures the judge puts into the wanted region's category, None where either has none
    diversity   mean of 1 - Pearson between pictures in the judge's features
    profile     region -> mean response in standard deviations of natural pictures, by the best scorer
    """

    row: str
    control: bool
    about: str
    counts: str
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

    @property
    def n(self) -> int:
        """How many pictures it has."""
        return len(next(iter(self.values.values())))

    @property
    def span(self) -> str:
        """What low and high are: "interval", or "range" where there are too few pictures for one."""
        return "range" if self.n < FEW else "interval"

    def facts(self) -> dict[str, Any]:
        """The row of report.json."""
        return {
            "row": self.row, "control": self.control,
            "median": dict(self.median), "low": dict(self.low), "high": dict(self.high),
            "percentile": dict(self.percentile), "category": self.category, "diversity": self.diversity,
            "profile": dict(self.profile), "seconds": self.seconds, "flops": self.flops,
            "n": self.n, "span": self.span,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Strip:
    """What one picture looked like while it was made.

    picture  its name ("p000"); steps: how many its loop had
    shown    (step,) those that are shown, from 1; values: the objective of what is seen there, by the guiding encoders
    """

    picture: str
    steps: int
    shown: tuple[int, ...]
    values: tuple[float, ...]
    samples: tuple[Sample, ...]


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
    def controls(self) -> tuple[Scored, ...]:
        """The rows that others are compared with."""
        return tuple(row for row in self.rows if row.control)

    def strips(self) -> dict[str, tuple[Strip, ...]]:
        """Row -> the trajectories of its first pictures, as far as they were stored and are there."""
        there = {one.key: one for one in read_rows(self.home / TRAJECTORIES)}
        found = {row.row: _strips(row.row, self.method(row.row).get("strips", {}), there) for row in self.rows}
        return {row: strips for row, strips in found.items() if strips}

    def method(self, row: str) -> Mapping[str, Any]:
        """What synthesis.json says of a row, nothing where it does not know it."""
        found: Mapping[str, Any] = self.facts["ways"].get(row, {})
        return found

    @property
    def title(self) -> str:
        """The objective in words: "FFA-1 against PPA"."""
        signs = self.facts["signs"]
        up = [_weighed(name, sign) for name, sign in signs.items() if sign > 0]
        down = [_weighed(name, -sign) for name, sign in signs.items() if sign < 0]
        return " and ".join(up) + (f" against {' and '.join(down)}" if down else "")

    @property
    def candidates(self) -> tuple[Scored, ...]:
        """The rows that the best one is chosen from: the methods, or where there are none the controls."""
        return tuple(row for row in self.rows if not row.control) or self.rows

    def best(self) -> Scored:
        """The method with the highest median by the best scorer, controls left out."""
        return max(self.candidates, key=lambda row: row.median[self.scorer])


def _weighed(name: str, weight: float) -> str:
    return name if weight == 1 else f"{weight:g} x {name}"


def percentage(share: float) -> str:
    """A percentage from 0 to 100 with one decimal, rounded down, so that 100.0 % is all of them."""
    return f"{math.floor(round(10 * share, 6)) / 10:.1f} %"


def judge_synthesis(home: Path, *, seed: int, judge: str = "miniature", resamples: int = 2000) -> Synthesis:
    """Every method in the folder under every scorer; a folder without pictures or responses is an InputError."""
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
        opinion = bench.look(open_sample(home, one) for one in here)
        values = {name: tensors[f"{name}.{row}"] @ weights for name in scorers}
        spans = {name: _span_of_median(values[name], rng, resamples) for name in scorers}
        known = facts["ways"].get(row, {})
        verdicts = opinion.verdicts.get("category") if label in opinion.classes.get("category", ()) else None
        rows.append(
            Scored(
                row=row,
                control=bool(known.get("control", row in CONTROLS)),
                about=str(known.get("description", "")),
                counts=str(known.get("counts", "step")),
                values=values,
                median={name: float(np.median(values[name])) for name in scorers},
                low={name: spans[name][0] for name in scorers},
                high={name: spans[name][1] for name in scorers},
                percentile={name: float(100 * (natural[name] < np.median(values[name])).mean()) for name in scorers},
                category=None if verdicts is None else float((verdicts == label).mean()),
                diversity=_diversity(opinion.features),
                profile=_profile(tensors[f"{scorers[0]}.{row}"], tensors[f"{scorers[0]}.natural"], regions),
                seconds=float(known.get("seconds", math.nan)),
                flops=float(known.get("flops", math.nan)),
            )
        )
    rows.sort(key=lambda row: row.control)
    return Synthesis(
        home=home, facts=facts, scorer=scorers[0], rows=tuple(rows), natural=natural, samples=samples,
        judge=bench.card,
    )  # fmt: skip


def open_sample(home: Path, sample: Sample, *, folder: str = "samples") -> Image.Image:
    """The picture of a sample of the synthesis in folder `home`."""
    from brain.files.pictures import open_image

    return open_image(inside(home / folder, sample.file))


def _strips(row: str, stored: Mapping[str, Any], there: Mapping[tuple[str, str, int], Sample]) -> tuple[Strip, ...]:
    """The trajectories of a row whose pictures are all `there`, by (row, picture, step)."""
    return tuple(
        Strip(
            picture=picture, steps=int(one["steps"]), shown=tuple(one["shown"]), values=tuple(one["values"]),
            samples=tuple(there[row, picture, step] for step in one["shown"]),
        )
        for picture, one in sorted(stored.items())
        if all((row, picture, step) in there for step in one["shown"])
    )  # fmt: skip


def _span_of_median(values: Float, rng: np.random.Generator, resamples: int) -> tuple[float, float]:
    """The 95 % bootstrap interval of the median of (picture,) values; of fewer than FEW their range."""
    if len(values) < FEW:
        return float(values.min()), float(values.max())
    drawn = np.median(values[rng.integers(len(values), size=(resamples, len(values)))], axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _diversity(features: Float) -> float:
    if len(features) < 2:
        return 0.0
    alike = pairwise(features, features)
    return float(1 - alike[~np.eye(len(alike), dtype=bool)].mean())


def _profile(responses: Float, natural: Float, regions: Sequence[str]) -> dict[str, float]:
    spread = natural.std(0)
    z = (responses.mean(0) - natural.mean(0)) / np.where(spread > 0, spread, 1)
    return {region: float(value) for region, value in zip(regions, z, strict=True)}
