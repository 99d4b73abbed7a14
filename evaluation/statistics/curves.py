"""Curves: how a decoder fares with less of something: fewer regions, ranks, repeats, training sessions.

RUN/curves is written by `afterimage evaluate RUN --curves` (`decode/stages/judge/curves.py`):

    curves/curves.json            {"stimuli": [...], "curves": [{"name", "title", "points": [{"label", "row"}, ...]}]}
    curves/conditions/SPACE.ROW.safetensors    what was decoded of every test stimulus at that point
    curves/samples/               pictures drawn from these conditions for `stimuli`, one row a point

Each point is scored twice, so that what the generator loses or adds is a number: two-way identification of the decoded
conditions among the true ones (every test stimulus), and the judge's metrics on the pictures or sounds (a few stimuli).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from brain.errors import InputError, expected
from encoders.conditions import Conditions
from evaluation.facts import read_json
from evaluation.profiles import Profile
from evaluation.samples.index import read_rows
from evaluation.samples.types import Samples
from evaluation.score import Chances
from evaluation.statistics.brain import BrainEncoder
from evaluation.statistics.conditions import name_of, true_path, units
from evaluation.statistics.feature_networks import FeatureNetworks
from evaluation.statistics.judging import judge_samples

FOLDER = "curves"
WHOLE = "decoded"
PICTURES = Profile(
    name="curves", title="Curves", description="", wrong="",
    named=("two_way", "two_way_within_category", "category", "pixcorr", "mel_pcc"),
)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of a curve under one measure: the mean over n stimuli and its 95 % interval.

    measure  "conditions clip-text" (two-way among the true conditions) or a metric's name (of the pictures)
    """

    curve: str
    label: str
    measure: str
    value: float
    low: float
    high: float
    chance: float
    n: int

    def facts(self) -> dict[str, Any]:
        """The point as report.json says it."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A curve's name and title, and its points: (label, row) each."""

    name: str
    title: str
    points: tuple[tuple[str, str], ...]


def read_curves(home: Path) -> tuple[tuple[Curve, ...], tuple[str, ...]]:
    """The curves of a run and the stimuli their pictures were drawn for; nothing where there are none."""
    path = home / FOLDER / "curves.json"
    facts = read_json(path)
    try:
        curves = tuple(
            Curve(
                name=one["name"], title=one["title"],
                points=tuple((point["label"], point["row"]) for point in one["points"]),
            )
            for one in facts.get("curves", [])
        )  # fmt: skip
        return curves, tuple(facts.get("stimuli", ()))
    except (KeyError, TypeError) as fault:
        raise InputError(
            expected(path, "curves with their points", f"without {fault}", "evaluate --curves again")
        ) from fault


def score_curves(
    home: Path, samples: Samples, networks: FeatureNetworks, *, chances: Chances, brain: BrainEncoder | None
) -> tuple[Point, ...]:
    """Every point of every curve; none where the run has no curves."""
    curves, stimuli = read_curves(home)
    if not curves:
        return ()
    pictures = _pictures(home, samples, networks, stimuli=stimuli, chances=chances, brain=brain)
    found: list[Point] = []
    for curve in curves:
        for label, row in curve.points:
            found += [
                replace(point, curve=curve.name, label=label)
                for point in (*_conditions(home, row, chances), *pictures.get(row, ()))
            ]
    return tuple(found)


def _pictures(
    home: Path,
    samples: Samples,
    networks: FeatureNetworks,
    *,
    stimuli: Sequence[str],
    chances: Chances,
    brain: BrainEncoder | None,
) -> dict[str, list[Point]]:
    """Row -> its points under the metrics of pictures, over `stimuli` alone, in the pool of all references."""
    drawn = read_rows(home / FOLDER / "samples")
    # an earlier call may have drawn more stimuli than are asked for now
    few = replace(
        samples,
        folder=home / FOLDER / "samples",
        samples=tuple(one for one in drawn if one.stimulus in set(stimuli)),
        others={},
    )
    whole = replace(
        samples,
        samples=tuple(
            one for one in samples.of(WHOLE) if one.stimulus in set(stimuli) and one.index == 0 and not one.withheld
        ),
        others={},
    )
    quiet = Chances(seed=chances.seed, bootstrap=chances.bootstrap, permutations=0)
    points: dict[str, list[Point]] = {}
    for part in (few, whole):
        if not part.samples:
            continue
        judged = judge_samples(part, replace(networks, others={}), profile=PICTURES, chances=quiet, brain=brain)
        for score in judged.scores:
            if score.row in {one.row for one in part.samples}:
                points.setdefault(score.row, []).append(
                    Point(
                        curve="", label="", measure=score.metric, value=score.value, low=score.low, high=score.high,
                        chance=score.chance, n=score.n,
                    )
                )  # fmt: skip
    return points


def _conditions(home: Path, row: str, chances: Chances) -> Iterable[Point]:
    """Two-way identification of the row's decoded conditions among the true ones, map by map."""
    at = home / "conditions" if row == WHOLE else home / FOLDER / "conditions"
    for whole in sorted((home / "conditions").glob("*.decoded.safetensors")):
        name = name_of(whole)
        path = at / f"{name}.{row}.safetensors"
        if path.is_file():
            decoded = Conditions.load(path)
            yield two_way_of(name, decoded, Conditions.load(true_path(whole, decoded)), chances)


def two_way_of(name: str, decoded: Conditions, true: Conditions, chances: Chances) -> Point:
    """How often a decoded condition is more like its own true condition than like another test stimulus' one."""
    values = units(decoded, true)
    low, high = chances.interval(values)
    return Point(
        curve="", label="", measure=f"conditions {name}", value=float(values.mean()), low=low, high=high,
        chance=0.5, n=len(values),
    )  # fmt: skip


def by_measure(points: Sequence[Point], curve: str) -> Mapping[str, list[Point]]:
    """measure -> the points of one curve, in order."""
    found: dict[str, list[Point]] = {}
    for point in points:
        if point.curve == curve:
            found.setdefault(point.measure, []).append(point)
    return found
