"""Curves: what decoding loses with fewer regions, ranks, repeats or training sessions; RUN/curves.

`afterimage evaluate RUN --curves`. Every point is a set of mappings fitted anew on training trials alone (or the run's
own, fed fewer repeats), the conditions they decode from every test stimulus, and pictures of a few stimuli drawn with
the run's own settings and seeds. `evaluation/statistics/curves.py` scores both. What is there is not made again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brain.console.progress import progress
from brain.errors import InputError
from brain.files.waveforms import RATE
from brain.types import Recording, Responses, Split
from decode.methods import CATALOGUE as METHODS
from decode.run.folder import RunFolder
from decode.run.patterns import columns_of, first_repeats, folds_of
from decode.run.seeds import sample_seed
from decode.run.settings import MapSpec, Settings, maps_of
from decode.run.showing import Sounds, show_like
from decode.stages.draw.opened import true_of
from decode.stages.fit.fit import check_curves
from decode.stages.own_data import own_data
from encoders.conditions import Conditions
from encoders.mappings import FittedMap, load_map
from encoders.mappings._parts.linear import MappingSettings, fit_ranks
from encoders.patterns import standardised, training_patterns
from encoders.storage import write_json
from evaluation.samples.read import read_samples
from evaluation.samples.writer import SampleWriter
from evaluation.statistics.curves import FOLDER, WHOLE

RANKS = (1, 5, 10, 30, 50, 100)
SESSIONS = (1, 2, 3, 5, 10, 20, 30)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of a curve: its label, the row its pictures make, and how its mappings differ from the run's.

    regions   map -> the regions it is decoded from; rank, sessions, repeats: 0 is all of them
    """

    label: str
    row: str
    regions: Mapping[str, tuple[str, ...]]
    rank: int = 0
    sessions: int = 0
    repeats: int = 0


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A curve: its points from little to much."""

    name: str
    title: str
    points: tuple[Point, ...]


def draw_curves(run: RunFolder, settings: Settings, data: Path, *, stimuli: int) -> None:
    """Makes what is missing of the curves of a run, pictures for `stimuli` of its test stimuli.

    A run of several folds is an InputError: a curve is of one split. A run of networks is a UsageError: every point
    fits ridges anew.
    """
    check_curves(settings)
    recording = own_data(run, data, settings)
    folds = folds_of(recording, settings.data.split, run)
    if len(folds) > 1:
        raise InputError(
            f"{run.path}: expected a run of one split for curves, found {len(folds)} folds; "
            "leave --curves out, or fit one"
        )
    fold, home = folds[0], run.path / FOLDER
    curves = planned(recording, fold, settings)
    points = {point.row: point for curve in curves for point in curve.points if point.row != WHOLE}
    chosen = sorted(fold.test, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:stimuli]
    decoded = _decoded(run, recording, fold, points=tuple(points.values()), settings=settings)
    _draw(run, settings, decoded, chosen=sorted(chosen))
    write_json(
        home / "curves.json",
        {
            "stimuli": sorted(chosen),
            "curves": [
                {
                    "name": curve.name,
                    "title": curve.title,
                    "points": [{"label": point.label, "row": point.row} for point in curve.points],
                }
                for curve in curves
            ],
        },
    )


def planned(recording: Recording, fold: Split, settings: Settings) -> tuple[Curve, ...]:
    """The curves that these data allow."""
    maps = {name: spec.regions for name, spec in maps_of(settings.maps).items()}
    everything = Point(label="all", row=WHOLE, regions=maps)
    curves = []
    names = tuple(dict.fromkeys(name for regions in maps.values() for name in regions))
    if len(names) > 1:
        alone = [
            Point(label=name, row=f"alone_{number}", regions=dict.fromkeys(maps, (name,)))
            for number, name in enumerate(names)
        ]
        without = [
            Point(label=f"without {name}", row=f"left_out_{number}", regions=_without(maps, names, name))
            for number, name in enumerate(names)
        ]
        curves.append(
            Curve(name="regions", title="one region alone, one left out", points=(*alone, *without, everything))
        )
    ranks = [Point(label=str(rank), row=f"rank_{rank}", regions=maps, rank=rank) for rank in RANKS]
    curves.append(Curve(name="rank", title="rank of the maps", points=(*ranks, everything)))
    shown = Counter(recording.responses.stimulus[recording.responses.of(fold.test)].tolist())
    most = max(shown.values())
    if most > 1:
        repeats = [Point(label=str(n), row=f"repeats_{n}", regions=maps, repeats=n) for n in range(1, most)]
        last = Point(label=str(most), row=WHOLE, regions=maps)
        curves.append(Curve(name="repeats", title="repeats of a test stimulus averaged", points=(*repeats, last)))
    sessions = len(np.unique(recording.responses.session))
    if sessions > 1:
        fewer = [Point(label=str(n), row=f"sessions_{n}", regions=maps, sessions=n) for n in SESSIONS if n < sessions]
        last = Point(label=str(sessions), row=WHOLE, regions=maps)
        curves.append(Curve(name="sessions", title="training sessions", points=(*fewer, last)))
    return tuple(curves)


def _without(maps: Mapping[str, tuple[str, ...]], names: Sequence[str], name: str) -> dict[str, tuple[str, ...]]:
    """Every map without one region; a map that had no other takes all the others."""
    others = tuple(one for one in names if one != name)
    return {left: tuple(one for one in regions if one != name) or others for left, regions in maps.items()}


def _decoded(
    run: RunFolder, recording: Recording, fold: Split, *, points: Sequence[Point], settings: Settings
) -> dict[str, dict[str, Conditions]]:
    """Row -> map -> decoded conditions of every test stimulus, from RUN/curves/conditions where they lie already."""
    trials = recording.responses.trials(recording.responses.of(fold.test))
    found: dict[str, dict[str, Conditions]] = {point.row: {} for point in points}
    specs = maps_of(settings.maps)
    jobs = [(spec, point) for spec in specs.values() for point in points]
    with progress(total=len(jobs), desc="curves: mappings", unit="point") as bar:
        for name, spec in specs.items():
            for group in _fitted_together(points, name):
                paths = {
                    point.row: run.path / FOLDER / "conditions" / f"{name}.{point.row}.safetensors" for point in group
                }
                missing = [point for point in group if not paths[point.row].is_file()]
                for point, mapping in _maps(run, recording, fold, spec=spec, points=missing, settings=settings):
                    mapping.decode(first_repeats(trials, point.repeats)).save(paths[point.row])
                for point in group:
                    found[point.row][name] = Conditions.load(paths[point.row])
                    bar.update()
    return found


def _fitted_together(points: Sequence[Point], name: str) -> list[list[Point]]:
    """Points that differ by rank or repeats alone share a fit."""
    groups: dict[tuple[tuple[str, ...], int], list[Point]] = {}
    for point in points:
        groups.setdefault((point.regions[name], point.sessions), []).append(point)
    return list(groups.values())


def _maps(
    run: RunFolder, recording: Recording, fold: Split, *, spec: MapSpec, points: Sequence[Point], settings: Settings
) -> list[tuple[Point, FittedMap]]:
    """The mapping of each of these points, which share regions and sessions."""
    if not points:
        return []
    own = load_map(run.map(spec.name, fold.name))
    regions, sessions = points[0].regions[spec.name], points[0].sessions
    if regions == own.regions and not sessions and not any(point.rank for point in points):
        return [(point, own) for point in points]
    knobs = settings.mapping(spec.mapping)
    responses = recording.responses.voxels(columns_of(recording, regions))
    training, scaler = standardised(responses, fold.train)
    patterns, ids = training_patterns(_first_sessions(training, sessions), knobs.trials)
    ridge = knobs.ridge(folds=settings.maps.folds, seed=settings.machine.seed)
    ranks = tuple(dict.fromkeys(point.rank for point in points))
    maps = fit_ranks(
        patterns,
        ids,
        ranks=ranks,
        conditions=Conditions.load(run.conditions(spec.space, "true")),
        voxels=training.space,
        unit=responses.space.unit,
        regions=regions,
        scaler=scaler,
        rescaling=own.rescaling.kind,
        split=fold.sha256,
        settings=MappingSettings(ridge=ridge),
    )
    by_rank = dict(zip(ranks, maps, strict=True))
    return [(point, by_rank[point.rank]) for point in points]


def _first_sessions(training: Responses, count: int) -> Responses:
    """The trials of the first sessions, 0 keeps all; z-scores stay those of each session's own training trials."""
    kept = np.unique(training.session)[:count] if count else np.unique(training.session)
    return training.trials(np.isin(training.session, kept))


def _draw(
    run: RunFolder, settings: Settings, decoded: Mapping[str, Mapping[str, Conditions]], *, chosen: Sequence[str]
) -> None:
    """Draws the missing pictures of every point."""
    with SampleWriter(run.path / FOLDER / "samples", simulated=run.simulated()) as writer:
        missing = [(row, name) for row in decoded for name in chosen if writer.done(row, name) is None]
        if not missing:
            return
        shown = show_like(read_samples(run.path, references=None))
        method, own = METHODS[settings.sampling.method], settings.method(settings.sampling.method)
        networks = method.open(run, settings, true=true_of(run, settings))
        seconds = shown.samples / RATE if isinstance(shown, Sounds) else 0.0
        decoder = method.decoder(networks, settings, own, seconds=seconds)
        with progress(total=len(missing), desc="curves: drawing", unit="sample") as bar:
            for row in dict.fromkeys(row for row, _ in missing):
                names = [name for other, name in missing if other == row]
                seeds = [sample_seed(settings.machine.seed, name, 0) for name in names]
                conditions = {space: decoded[row][name] for space, name in decoder.maps.items()}
                for drawn in decoder.draw(conditions, names, seeds):
                    writer.write(
                        decoder.made(drawn), row=row, stimulus=drawn.id, index=0, seed=drawn.seed,
                        method=decoder.method, withheld=drawn.withheld,
                    )  # fmt: skip
                    bar.update()
