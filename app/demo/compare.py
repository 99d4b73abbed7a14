"""Two runs beside each other: a test stimulus that both have, as each decoded it.

compare_view(one, other, "nsd00013")
"""

from __future__ import annotations

import shlex
from dataclasses import replace

import numpy as np

from app.demo.links import link_of_two
from app.demo.runs import Run
from app.demo.view_types import CompareView
from app.demo.views import badge, headline, tiles_of
from brain.catalogue import unknown
from brain.errors import UsageError
from evaluation.report.pages.ladder import number, plotted
from evaluation.score import Score

ROWS = 4
"""Rows beside the decoded one that are shown of each run."""


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
    return CompareView(
        stimulus=stimulus, place=shared.index(stimulus) + 1, count=len(shared), captions=reference.captions, seen=seen,
        sides=tuple(sides), scores=_scores(one, other, stimulus),
        command=shlex.join(["afterimage", "compare", one.called, other.called]),
        link=link_of_two(one, other, stimulus),
    )  # fmt: skip


def _scores(one: Run, other: Run, stimulus: str) -> tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...]:
    """(title, meaning, the stimulus' score in each run, the mean in each) of the metrics that both reports have."""
    found = []
    for metric in plotted(one.ladder):
        scores = [run.ladder.score("decoded", metric) for run in (one, other)]
        if all(score is not None for score in scores):
            card = one.ladder.metric_card(metric)
            own = tuple(_of(score, stimulus) for score in scores)
            means = tuple(number(score.value) for score in scores if score is not None)
            found.append((card.title, card.description, own, means))
    return tuple(found)


def _of(score: Score | None, stimulus: str) -> str:
    value = np.nan if score is None or stimulus not in score.ids else score.values[score.ids.index(stimulus)]
    return number(float(value))
