"""Evaluated runs beside one another: their numbers, what they differ in, and the differences paired by stimulus.

    comparison = compared([Path("runs/first"), Path("runs/second")])
    comparison.lines[0].cells[1].difference.apart

Every run is compared with the first one. A difference is taken over the test stimuli that both were judged on, the
very same under the same id, where profile, judge and design are the same; and of what hangs on the pool, as two-way and
top-1 do, where both had the same references to choose from. Elsewhere stands a sentence that says why not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brain.errors import InputError, UsageError, expected
from brain.writing.origin import plain
from evaluation.metrics import CATALOGUE as METRICS
from evaluation.report.evaluate import run_folder
from evaluation.report.judged import SHA, Judged, read_judged, shown_judge, text_at, version_of
from evaluation.report.pages.ladder import ATTRIBUTES
from evaluation.report.pages.strip import spread_score
from evaluation.report.pages.tables import flatten
from evaluation.report.worlds import content_of
from evaluation.score import Score
from evaluation.statistics.folds import DECODED
from evaluation.statistics.metric_cards import MetricCard
from evaluation.statistics.paired import FEWEST, LEVEL, Difference, paired

CATEGORY = "category"
JUDGING = ("seed", "bootstrap", "permutations", "withheld", "best of")
"""Of a report's card, beside judge and profile."""
MADE = (("settings",), ("decode", "sampling"), ("decode", "settings"), ("decode", "stack"))
"""Where a run's card has settings."""
RESPONSES = "responses (sha256)"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A run under one metric: its score, and how far it is from the first run; `why` says what there is not."""

    score: Score | None
    difference: Difference | None = None
    why: str = ""

    @property
    def better(self) -> bool | None:
        """Whether a difference apart from 0 is to the better; None where there is no such difference."""
        if self.score is None or self.difference is None or not self.difference.apart:
            return None
        return (self.difference.mean < 0) is self.score.lower


@dataclass(frozen=True, kw_only=True)
class Line:
    """One metric over the runs, in their order."""

    card: MetricCard
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a page says.

    lines        metrics: headline ones first, then those that get a panel, then labels
    differences  name -> what it is in each run, of what is not the same in all
    common       the stimuli that the runs of `beside` were all judged on, in the order of `score` where there is one
    """

    runs: tuple[Judged, ...]
    lines: tuple[Line, ...]
    differences: Mapping[str, tuple[str, ...]]
    beside: tuple[Judged, ...]
    common: tuple[str, ...]
    score: Score | None

    @property
    def first(self) -> Judged:
        """The run that the others are compared with."""
        return self.runs[0]

    @property
    def headlines(self) -> tuple[Line, ...]:
        """The lines of headline metrics."""
        return tuple(line for line in self.lines if line.card.headline)

    @property
    def folded(self) -> bool:
        """Whether test stimuli were left out in folds: those of a fold share their mappings, and the paired intervals,
        which take stimuli as independent, are too narrow for a verdict."""
        return self.first.folds > 1

    def verdicts(self, place: int) -> dict[str, bool]:
        """Headline metric -> whether the run at `place` is the better one, where it lies apart from the first one by
        Holm's correction over the headline metrics that they are compared in; none in folds."""
        cells = {line.card.name: line.cells[place] for line in self.headlines}
        found = {name: probability(cell.difference) for name, cell in cells.items() if cell.difference is not None}
        corrected = dict(zip(found, holm(list(found.values())), strict=True))
        apart = {} if self.folded else {name: cells[name].better for name, p in corrected.items() if p < 1 - LEVEL}
        return {name: better for name, better in apart.items() if better is not None}


def probability(difference: Difference) -> float:
    """The two-sided p of the paired t test; 1 of fewer than `FEWEST` stimuli, of which nothing lies apart."""
    from scipy.stats import t

    freedom = difference.n - 1
    if difference.n < FEWEST or difference.mean == 0:
        return 1.0
    if difference.half == 0:
        return 0.0
    quantile = t.ppf((1 + LEVEL) / 2, freedom)
    return float(2 * t.sf(abs(difference.mean) / difference.half * quantile, freedom))


def holm(probabilities: Sequence[float]) -> list[float]:
    """The p of tests of one family, corrected for their number by Holm (1979), in their order."""
    order = sorted(range(len(probabilities)), key=lambda place: probabilities[place])
    found, largest = [0.0] * len(order), 0.0
    for before, place in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - before) * probabilities[place]))
        found[place] = largest
    return found


def compared(folders: Sequence[Path]) -> Comparison:
    """The comparison of these runs, computed and not written."""
    homes = [run_folder(folder).resolve() for folder in folders]
    if twice := next((folder for folder, home in zip(folders, homes, strict=True) if homes.count(home) > 1), None):
        raise UsageError(expected("command line", "each run once", f"{twice} twice", "name another run beside it"))
    names = zip(folders, called(homes), strict=True)
    runs = tuple(read_judged(folder, name=name) for folder, name in names)
    first = runs[0]
    for run in runs[1:]:
        if run.samples.modality != first.samples.modality:
            came = f"{run.samples.modality}s in {run.home}"
            want = f"{first.samples.modality}s, as in {first.home}"
            raise InputError(expected("runs to compare", want, came, "compare pictures and sounds apart"))
    shared = {run.name: same_stimuli(first, run) for run in runs[1:]}
    beside = tuple(run for run in runs if run is first or shared[run.name])
    lines = tuple(_line(name, runs, shared) for name in metrics_of(runs))
    common = set(first.samples.references).intersection(*(shared[run.name] for run in beside[1:]))
    score, shown = ordered(first, common if len(beside) > 1 else set())
    return Comparison(
        runs=runs, lines=lines, differences=differences(runs), beside=beside, common=shown, score=score
    )


def called(homes: Sequence[Path]) -> list[str]:
    """The names of folders, with the folder above where two are called alike, and with a number where that is too."""
    names = [plain(home.name) or "unnamed" for home in homes]
    longer = [f"{plain(home.parent.name)}/{name}" for home, name in zip(homes, names, strict=True)]
    names = [long if names.count(name) > 1 else name for name, long in zip(names, longer, strict=True)]
    several = Counter(name for name in names if names.count(name) > 1)
    return [f"{name} ({place})" if name in several else name for place, name in enumerate(names, start=1)]


def metrics_of(runs: Sequence[Judged]) -> list[str]:
    """The metrics of row decoded in any of the runs: headline ones first, then those with a panel, then labels."""
    names: dict[str, MetricCard] = {}
    for run in runs:
        for score in run.ladder.scores:
            if score.row == DECODED and score.n:
                names.setdefault(score.metric, run.ladder.metric_card(score.metric))
    headline = sorted((name for name in names if names[name].headline), key=lambda name: names[name].headline)
    panels = [name for name in names if names[name].plotted]
    labels = [name for name in names if name == CATEGORY or name.startswith(ATTRIBUTES)]
    return list(dict.fromkeys([*headline, *panels, *labels]))


def same_stimuli(first: Judged, other: Judged) -> tuple[str, ...]:
    """The ids under which both runs have shown the very same, byte for byte or else pixel for pixel, by name."""
    shown, theirs = first.samples.references, other.samples.references
    return tuple(
        name for name in sorted(shown.keys() & theirs.keys())
        if (shown[name].sha256 and shown[name].sha256 == theirs[name].sha256)
        or content_of(first.samples, shown[name]) == content_of(other.samples, theirs[name])
    )  # fmt: skip


def _line(name: str, runs: Sequence[Judged], shared: Mapping[str, tuple[str, ...]]) -> Line:
    first = runs[0]
    own = _score(first, name)
    cells = [Cell(score=own, why=_missing(first) if own is None else "")]
    for run in runs[1:]:
        cells.append(_cell(_score(run, name), own, first=first, run=run, common=shared[run.name]))
    card = next(run.ladder.metric_card(name) for run in runs if _score(run, name) is not None)
    return Line(card=card, cells=tuple(cells))


def _score(run: Judged, name: str) -> Score | None:
    found = [one for one in run.ladder.scores if one.row == DECODED and one.metric == name and one.n]
    return found[0] if found else None


def _cell(
    score: Score | None, own: Score | None, *, first: Judged, run: Judged, common: tuple[str, ...]
) -> Cell:  # fmt: skip
    if score is None:
        return Cell(score=None, why=_missing(run))
    why = obstacle(first, run, common) or (_missing(first) if own is None else "")
    if own is None or why:
        return Cell(score=score, why=why)
    if why := unlike(score, own, first=first, run=run, common=common):
        return Cell(score=score, why=why)
    difference = paired(score, own, among=common)
    few = f"fewer than two stimuli have a value in both {run.label} and {first.label}"
    return Cell(score=score, difference=difference, why="" if difference else few)


def _missing(run: Judged) -> str:
    return f"the report of {run.label} has no such number"


def obstacle(first: Judged, run: Judged, common: tuple[str, ...]) -> str:
    """Why nothing of a run is compared with the first one, "" where something may be."""
    if run.profile != first.profile:
        return f"{run.label} was judged under profile {run.profile}, {first.label} under {first.profile}"
    if (run.folds > 1) is not (first.folds > 1):
        folded, plain = (run, first) if run.folds > 1 else (first, run)
        return f"{folded.label} left its test stimuli out in {folded.folds} folds, {plain.label} has one test set"
    if common:
        return ""
    alike = len(first.samples.references.keys() & run.samples.references.keys())
    other = f"; {alike} ids are alike, and what was shown under them is not" if alike else ""
    splits = f" (other split: {run.split} and {first.split})" if run.split != first.split else ""
    return f"no test stimulus of {run.label} is one of {first.label}{splits}{other}"


def unlike(score: Score, own: Score, *, first: Judged, run: Judged, common: tuple[str, ...]) -> str:
    """Why this metric of two runs is not compared, "" where it is."""
    theirs, ours = run.judge_of(score), first.judge_of(own)
    if score.judge != own.judge or version_of(theirs) != version_of(ours):
        seen, known = shown_judge(theirs), shown_judge(ours)
        return f"{run.label} was judged by {seen}, {first.label} by {known}, another judge or another version of it"
    pools = set(score.ids), set(own.ids)
    if is_pooled(score) and not pools[0] == pools[1] == set(common):
        splits = " by another split" if run.split != first.split else ""
        return (
            f"what hangs on the pool, as two-way and top-1 do, is compared in one pool, and {run.label} has another "
            f"one{splits}: "
            f"{len(pools[0])} stimuli, of which {len(common)} are among the {len(pools[1])} of {first.label}"
        )
    return ""


def is_pooled(score: Score) -> bool:
    """Whether a score hangs on the pool that it was found in; one of a metric that nobody knows counts as such."""
    metric = next((one for one in METRICS if one.named(score.pool) == score.metric), None)
    return metric is None or metric.pooled


def ordered(first: Judged, common: set[str]) -> tuple[Score | None, tuple[str, ...]]:
    """The common stimuli from best to worst by the score of the first run that tells most apart, and that score;
    without a score, or of stimuli that have none, in the order of their ids."""
    score = spread_score(first.ladder)
    if score is None:
        return None, tuple(sorted(common))
    known = {name: value for name, value in zip(score.ids, score.values.tolist(), strict=True) if np.isfinite(value)}
    sign = 1 if score.lower else -1
    return score, tuple(sorted(common, key=lambda name: (sign * known.get(name, -sign * np.inf), name)))


def differences(runs: Sequence[Judged]) -> dict[str, tuple[str, ...]]:
    """Name -> its value in each run, "" where a run does not say it, of all that is not the same in all of them."""
    known = {run.origin: run.digest[:SHA] for run in runs if run.origin and run.digest}
    facts = [_facts_of(run, responses=_responses(run, known)) for run in runs]
    names = dict.fromkeys(name for one in facts for name in one)
    found = {name: tuple(one.get(name, "") for one in facts) for name in names}
    if any(run.beside and not run.origin for run in runs):
        del found[RESPONSES]
    return {name: values for name, values in found.items() if len(set(values)) > 1}


def _responses(run: Judged, known: Mapping[str, str]) -> str:
    """The responses that were decoded; a folder beside a run has no digest of them, and those of that run.

    known  run's digest -> its responses' first letters, of the runs that are compared
    """
    if not run.beside or run.digest:
        return run.digest[:SHA]
    return known.get(run.origin, f"those of run {run.origin[:SHA]}")


def _facts_of(run: Judged, *, responses: str) -> dict[str, str]:
    """What a run stands on, name by name: data, split, judging and every setting of its card."""
    facts = {
        "subject": run.subject,
        "simulated": run.simulated,
        "voxels (sha256)": text_at(run.card, "data", "space", "sha256")[:SHA],
        RESPONSES: responses,
        "split": run.split,
        "test stimuli": str(len(run.samples.references)),
        "judge": run.judge,
        "profile": run.profile,
        **{f"judging / {name}": str(run.known[name]) for name in JUDGING if name in run.known},
    }
    for path in MADE:
        part: Any = run.card
        for name in path:
            part = part.get(name) if isinstance(part, Mapping) else None
        if isinstance(part, Mapping):
            facts |= _named(path, part)
    return facts | _facts_beside(run, facts)


def _facts_beside(run: Judged, facts: Mapping[str, str]) -> dict[str, str]:
    """What a folder beside a run was drawn with, each where the card of a run has the same: in its settings where they
    have that name, or else where it says how row decoded was drawn."""
    if not run.beside:
        return {}
    places = {"sampling": MADE[1], f"methods/{run.drawn.get('sampling', {}).get('method')}": MADE[2]}
    found: dict[str, str] = {}
    for part, named in run.drawn.items():
        inherited, place = _named(("settings", part), named), _named(places.get(part, ("settings", part)), named)
        for (name, value), other in zip(inherited.items(), place, strict=True):
            found[name if name in facts else other] = value
    if "seed" in run.beside:
        found["settings / machine / seed"] = str(run.beside["seed"])
    if run.silenced:
        found["silenced"] = "; ".join(run.silenced)
        found["silenced voxels"] = str(run.beside.get("silenced_voxels", ""))
    return found


def _named(path: Sequence[str], part: Mapping[str, Any]) -> dict[str, str]:
    """The settings at a path of a card by their whole names."""
    return {f"{' / '.join(path)} / {name}": value for name, value in flatten(part)}
