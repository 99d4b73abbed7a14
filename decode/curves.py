"""Curves: what decoding loses with fewer regions, ranks, repeats or training sessions; RUN/curves.

`afterimage evaluate RUN --curves`. Every point is a set of mappings fitted anew on training trials alone (or the run's
own, fed fewer repeats), the conditions they decode from every test stimulus, and pictures of a few stimuli drawn with
the run's own settings and seeds. `evaluation/curves.py` scores both. What is there is not made again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brain.errors import InputError
from brain.progress import progress
from brain.types import Recording, Responses, Split
from brain.waveforms import RATE
from decode.checks import columns_of, own_data
from decode.fit import check_curves, ridge_settings, standardised, training_patterns
from decode.hand import open_hand
from decode.patterns import first_repeats, folds_of
from decode.run_folder import RunFolder
from decode.seeds import sample_seed
from decode.settings import Settings, needed_maps
from decode.showing import Sounds, show_like
from encoders.conditions import Conditions
from encoders.mapping import Mapping as BrainMap
from encoders.mapping import MappingSettings, fit_ranks
from encoders.storage import write_json
from evaluation.curves import FOLDER, WHOLE
from evaluation.samples import SampleWriter, read_samples

RANKS = (1, 5, 10, 30, 50, 100)
SESSIONS = (1, 2, 3, 5, 10, 20, 30)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of a curve: its label, the row its pictures make, and how its mappings differ from the run's.

    regions   space -> the regions it is decoded from; rank, sessions, repeats: 0 is all of them
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
    recording = own_data(run, data, settings.fit)
    folds = folds_of(recording, settings.fit.split, run)
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
    maps = needed_maps(settings.fit)
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
    return {space: tuple(one for one in regions if one != name) or others for space, regions in maps.items()}


def _decoded(
    run: RunFolder, recording: Recording, fold: Split, *, points: Sequence[Point], settings: Settings
) -> dict[str, dict[str, Conditions]]:
    """Row -> space -> decoded conditions of every test stimulus, from RUN/curves/conditions where they lie already."""
    trials = recording.responses.trials(recording.responses.of(fold.test))
    found: dict[str, dict[str, Conditions]] = {point.row: {} for point in points}
    jobs = [(space, point) for space in needed_maps(settings.fit) for point in points]
    with progress(total=len(jobs), desc="curves: mappings", unit="point") as bar:
        for space in needed_maps(settings.fit):
            for group in _fitted_together(points, space):
                paths = {
                    point.row: run.path / FOLDER / "conditions" / f"{space}.{point.row}.safetensors" for point in group
                }
                missing = [point for point in group if not paths[point.row].is_file()]
                for point, mapping in _maps(run, recording, fold, space=space, points=missing, settings=settings):
                    mapping.decode(first_repeats(trials, point.repeats)).save(paths[point.row])
                for point in group:
                    found[point.row][space] = Conditions.load(paths[point.row])
                    bar.update()
    return found


def _fitted_together(points: Sequence[Point], space: str) -> list[list[Point]]:
    """Points that differ by rank or repeats alone share a fit."""
    groups: dict[tuple[tuple[str, ...], int], list[Point]] = {}
    for point in points:
        groups.setdefault((point.regions[space], point.sessions), []).append(point)
    return list(groups.values())


def _maps(
    run: RunFolder, recording: Recording, fold: Split, *, space: str, points: Sequence[Point], settings: Settings
) -> list[tuple[Point, BrainMap]]:
    """The mapping of each of these points, which share regions and sessions."""
    if not points:
        return []
    own = BrainMap.load(run.map(space, fold.name))
    regions, sessions = points[0].regions[space], points[0].sessions
    if regions == own.regions and not sessions and not any(point.rank for point in points):
        return [(point, own) for point in points]
    responses = recording.responses.voxels(columns_of(recording, regions))
    training, scaler = standardised(responses, fold.train)
    patterns, ids = training_patterns(_first_sessions(training, sessions), settings.fit.trials)
    ranks = tuple(dict.fromkeys(point.rank for point in points))
    maps = fit_ranks(
        patterns,
        ids,
        ranks=ranks,
        conditions=Conditions.load(run.conditions(space, "true")),
        voxels=training.space,
        unit=responses.space.unit,
        regions=regions,
        scaler=scaler,
        restoration=own.restoration.kind,
        split=fold.sha256,
        settings=MappingSettings(ridge=ridge_settings(settings.fit, seed=settings.machine.seed)),
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
        true = {space: Conditions.load(run.conditions(space, "true")) for space in needed_maps(settings.fit)}
        shown = show_like(read_samples(run.path, references=None))
        hand = open_hand(settings, true, run=run, seconds=shown.samples / RATE if isinstance(shown, Sounds) else 0.0)
        with progress(total=len(missing), desc="curves: drawing", unit="sample") as bar:
            for row in dict.fromkeys(row for row, _ in missing):
                names = [name for other, name in missing if other == row]
                seeds = [sample_seed(settings.machine.seed, name, 0) for name in names]
                for drawn in hand.draw(decoded[row], names, seeds):
                    writer.write(
                        hand.made(drawn), row=row, stimulus=drawn.id, index=0, seed=drawn.seed, method=hand.method,
                        withheld=drawn.withheld,
                    )  # fmt: skip
                    bar.update()
