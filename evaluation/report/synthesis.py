"""Judging synthesized pictures: does the region really want to see them? Never by the encoder that guided alone.

    HOME/synthesis.json          the objective, by which methods, each one's trajectories, seconds and FLOPs a picture
    HOME/responses.safetensors   SCORER.ROW -> (picture, region): mean responses to the pictures; row "natural" too
    HOME/samples/                the pictures, a row a way; signed where the brain is simulated

Scorers: `guide` is the encoder that guided, `second` another network's, `truth` the simulated cortex where the data are
simulated. A way is judged by the last of these there is.
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


def preferred(region: str) -> str:
    """The category a region is named for ("faces" for FFA-1), "" where it is named for none."""
    return next((label for label, names in PREFERRED.items() if region.startswith(names)), "")


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One method under every scorer.

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
        """The objective in words: "FFA-1 against PPA"."""
        signs = self.facts["signs"]
        up = [_weighed(name, sign) for name, sign in signs.items() if sign > 0]
        down = [_weighed(name, -sign) for name, sign in signs.items() if sign < 0]
        return " and ".join(up) + (f" against {' and '.join(down)}" if down else "")

    def best(self) -> Scored:
        """The method with the highest median by the best scorer, controls left out."""
        ways = [row for row in self.rows if row.row not in CONTROLS]
        return max(ways or self.rows, key=lambda row: row.median[self.scorer])


def _weighed(name: str, weight: float) -> str:
    return name if weight == 1 else f"{weight:g} x {name}"


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


def open_sample(home: Path, sample: Sample) -> Image.Image:
    """The picture of a sample of the synthesis in folder `home`."""
    from brain.files.pictures import open_image

    return open_image(inside(home / "samples", sample.file))


def _median_interval(values: Float, rng: np.random.Generator, resamples: int) -> tuple[float, float]:
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
