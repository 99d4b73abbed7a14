"""Two runs beside each other: a test stimulus that both have, as each decoded it.

compare_view(one, other, "nsd00013")
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from app.demo.links import link_of_two
from app.demo.runs import Run
from app.demo.view_types import CompareView
from app.demo.views import badge, headline, tiles_of
from brain.catalogue import unknown
from brain.errors import AfterimageError, UsageError
from evaluation.report.comparison import obstacle, unlike
from evaluation.report.files import FILES
from evaluation.report.judged import Judged, read_judged
from evaluation.report.pages.ladder import number, plotted
from evaluation.score import Score
from evaluation.statistics.folds import DECODED

ROWS = 4
"""Rows beside the decoded one that are shown of each run."""
NONE = "–"
Numbers = tuple[str, str, tuple[str, ...], tuple[tuple[str, str], ...]]
"""Title, meaning, the stimulus' score in each run, and the mean in each with what it stands on."""


def common(one: Run, other: Run) -> list[str]:
    """The test stimuli that both runs have, by id; none of runs of which one has pictures and the other sounds.

    Of simulated brains an id alone does not say what was shown: the stored references have to be the same bytes.
    """
    if one.modality != other.modality:
        return []
    theirs = {name: sample.sha256 for name, sample in other.samples.references.items()}
    return [name for name in one.stimuli if theirs.get(name) == one.samples.references[name].sha256]


def compare_view(one: Run, other: Run, stimulus: str) -> CompareView:
    """A stimulus in both runs; one that they do not share is a UsageError."""
    shared = common(one, other)
    if stimulus not in shared:
        raise UsageError(unknown("test stimulus of both runs", stimulus, tuple(shared)))
    reference = one.samples.references[stimulus]
    seen = tiles_of(one.samples, [reference], kind="seen")
    sides = []
    for run in (one, other):
        rows = [row for row in run.samples.rows() if row != "decoded" and row in one.samples.rows()]
        decoded = run.of("decoded", stimulus)
        others = [sample for row in rows[:ROWS] for sample in run.of(row, stimulus)[:1]]
        tiles = tiles_of(run.samples, [*decoded, *others], kind="control")
        drawn = tuple(replace(tile, kind="decoded") for tile in tiles[: len(decoded)])
        sides.append((run.name, badge(run), headline(run), (*drawn, *tiles[len(decoded) :])))
    scores, apart = _scores(one, other, shared, stimulus)
    return CompareView(
        stimulus=stimulus, place=shared.index(stimulus) + 1, count=len(shared), captions=reference.captions, seen=seen,
        sides=tuple(sides), scores=scores, apart=apart,
        command=shlex.join(["afterimage", "compare", one.called, other.called]),
        link=link_of_two(one, other, stimulus),
    )  # fmt: skip


def _scores(
    one: Run, other: Run, shared: Sequence[str], stimulus: str
) -> tuple[tuple[Numbers, ...], tuple[str, ...]]:
    """The metrics that both reports have, and why numbers of the second run are missing, by the rules of comparison."""
    try:
        first, second = (_judged(run) for run in (one, other))
    except AfterimageError as error:
        return (), (str(error),)
    if why := obstacle(first, second, tuple(shared)):
        return (), (f"The scores are not comparable: {why}.",)
    found, apart = list[Numbers](), dict[str, list[str]]()
    for metric in plotted(first.ladder):
        scores = [score for score in (_score(run, metric) for run in (first, second)) if score is not None]
        if len(scores) < 2:
            continue
        why = unlike(scores[1], scores[0], first=first, run=second, common=tuple(shared))
        card = first.ladder.metric_card(metric)
        singles, means = [_of(score, stimulus) for score in scores], [_mean(score) for score in scores]
        if why:
            apart.setdefault(why, []).append(card.title)
            singles[1], means[1] = NONE, (NONE, "")
        found.append((card.title, card.description, tuple(singles), tuple(means)))
    return tuple(found), tuple(f"{', '.join(titles)}: {why}." for why, titles in apart.items())


def _judged(run: Run) -> Judged:
    """The run with its report as it lies there now."""
    place = run.folder.report / FILES[0]
    return _read(run.folder.path, run.name, place.stat().st_mtime_ns if place.is_file() else 0)


@lru_cache(maxsize=8)
def _read(folder: Path, name: str, written: int) -> Judged:
    # half a second for 100 stimuli, which is too long for every step: read again only once the report is another one
    return read_judged(folder, name=name)


def _score(run: Judged, metric: str) -> Score | None:
    """The score of the decoded row, of metrics named after their pool ("top1_of_8") whatever the pool."""
    found = run.ladder.score(DECODED, metric.partition("_of_")[0])
    return found if found is not None and found.n else None


def _mean(score: Score) -> tuple[str, str]:
    """The mean, and over how many stimuli it is and what chance would score."""
    chance = f", chance {number(score.chance)}" if math.isfinite(score.chance) else ""
    return number(score.value), f"n {score.n}{chance}"


def _of(score: Score, stimulus: str) -> str:
    value = np.nan if stimulus not in score.ids else score.values[score.ids.index(stimulus)]
    return number(float(value))
