"""Judging: every row of a samples folder under every metric of a profile, by the judge and other feature networks.

findings = judge_samples(samples, open_eyes(bench, profile.present), profile=profile, chances=chances)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from brain.errors import InputError
from evaluation.metrics import Metric, Views
from evaluation.metrics._parts.brain import brain_metrics
from evaluation.profiles import Profile
from evaluation.samples.rows import CATEGORY_ORACLE, REFERENCE, REPEAT, RowCard, ordered_rows
from evaluation.samples.types import Sample, Samples
from evaluation.score import Chances, Int, Marks, Score, Tally, blocks_of, corrected, score
from evaluation.similarity import Wide, told_apart, top1_marks, two_way_marks
from evaluation.statistics.brain import BrainEncoder
from evaluation.statistics.dimension import effective_dimension
from evaluation.statistics.feature_networks import BRAIN, JUDGE, FeatureNetworks, Look
from evaluation.statistics.findings import Findings, trust, words
from evaluation.statistics.folds import MEASURES, Design
from evaluation.statistics.metric_cards import cards_of
from evaluation.statistics.sets import set_scores
from evaluation.statistics.showing import shown_as

# Pixel metrics compare each sample with the references of its block of about this many, not with all of them.
BLOCK = 32
ONE_TEST_SET = Design()


def judge_samples(
    samples: Samples,
    networks: FeatureNetworks,
    *,
    profile: Profile,
    chances: Chances,
    brain: BrainEncoder | None = None,
    design: Design = ONE_TEST_SET,
) -> Findings:
    """Every row under every metric of the profile; all samples withheld is an InputError.

    design  how the test stimuli were left out, which says what chance, p and intervals are
    """
    from brain.console.progress import progress

    ids = tuple(sorted(samples.references))
    groups = blocks_of([samples.references[name].block for name in ids])
    chunks = _chunks(groups, chances.seed)
    showing = shown_as(samples, profile=profile)
    with progress(total=_counted(samples), desc="judging", unit=showing.unit) as bar:
        look = Look(showing=showing, networks=networks, brain=brain, bar=bar)
        shown = look.at([samples.references[name] for name in ids])
        if brain is not None:
            shown = replace(shown, patterns=brain.seen(ids))
        metrics = _metrics(profile, shown, networks)
        table = _Table(
            metrics=metrics, networks=networks, chances=chances, chunks=chunks, groups=groups, ids=ids, design=design
        )
        scores: list[Score] = []
        features, first = {REFERENCE: shown.features[JUDGE]}, {REFERENCE: ids}
        spaces = {REFERENCE: dict(shown.features)}
        for row in samples.rows():
            if row == REPEAT:
                scores += _repeats(samples, look, table, shown)
                continue
            tallies = table.tallies()
            # one sample index at a time: five seeds of a thousand pictures would not lie in memory together
            for group in _by_index(samples.of(row)):
                seen = look.at(group)
                table.add(tallies, group, seen, shown=shown)
                if row not in features:
                    features[row], spaces[row] = seen.features[JUDGE], dict(seen.features)
                    first[row] = tuple(one.stimulus for one in group)
            scores += table.scores(row, tallies, withheld=sum(one.withheld for one in samples.of(row)))
    if not metrics:
        raise InputError(
            f"{samples.folder}: expected a profile for {showing.unit}s, "
            f"found {profile.name!r} with none of its metrics "
            "for them; take --profile clean"
        )
    if not scores:
        raise InputError(
            f"{samples.folder}: all {len(samples.samples)} samples are withheld; there is nothing to score"
        )
    scores += category_oracle(shown, table)
    if brain is not None:
        scores += _measured_twice(brain, table)
    ended = _with_ends(scores, brain, chances=chances, in_folds=design.in_folds, cards=samples.cards)
    ordered = _in_order(corrected(ended), samples.cards)
    return Findings(
        scores=ordered,
        absent=_absent(profile, shown, networks),
        trust=trust(shown),
        dimensions={row: effective_dimension(values) for row, values in features.items() if len(values) > 1},
        features=features,
        ids=first,
        sets=set_scores(
            spaces, {network: networks.name(network) for network in profile.sets}, ids=first, chances=chances
        ),
        shown=showing.facts(),
        words=words(shown, profile),
        apart=told_apart(shown.features[JUDGE]),
        cards=cards_of(ordered, profile.present),
    )


@dataclass(frozen=True, kw_only=True)
class _Table:
    """What every row is scored with; `groups` (reference,) int says who may change places with whom."""

    metrics: Mapping[str, Metric]
    networks: FeatureNetworks
    chances: Chances
    chunks: Int
    groups: Int
    ids: tuple[str, ...]
    design: Design

    def tallies(self) -> dict[str, Tally]:
        return {name: Tally(len(self.ids)) for name in self.metrics}

    def add(self, tallies: Mapping[str, Tally], group: Sequence[Sample], seen: Views, *, shown: Views) -> None:
        """Marks of one sample index of a row."""
        place = {stimulus: number for number, stimulus in enumerate(self.ids)}
        own = np.array([place[sample.stimulus] for sample in group], np.int64)
        for name, metric in self.metrics.items():
            tallies[name].add(metric.marks(seen, shown, own=own, blocks=self.chunks), own)

    def scores(self, row: str, tallies: Mapping[str, Tally], *, withheld: int) -> list[Score]:
        wider = self.design.wider(row, {name: tallies[name].units for name in MEASURES if name in tallies})
        found = [self.score(row, name, one, wider=wider, withheld=withheld) for name, one in tallies.items()]
        return [one for one in found if one is not None]

    def score(
        self, row: str, name: str, tally: Tally, *, wider: Mapping[str, float] | None = None, withheld: int = 0
    ) -> Score | None:
        factors = wider if wider is not None else self.design.wider(row, {name: tally.units})
        metric, folds = self.metrics[name], self.design.in_folds
        return score(
            tally, self.chances, row=row, metric=metric.named(len(self.ids)), judge=self.networks.name(metric.network),
            ids=self.ids, chance=self.design.chance(row, name) if folds else metric.chance(len(self.ids)),
            bounds=metric.bounds, blocks=self.groups, withheld=withheld, lower=metric.lower,
            permuted=not folds, wider=factors.get(name, factors[""]),
        )  # fmt: skip

    def of(self, rows: Int, metrics: Mapping[str, Metric]) -> _Table:
        """The same over these references only, under these metrics."""
        return replace(
            self, metrics=metrics, chunks=self.chunks[rows], groups=self.groups[rows],
            ids=tuple(self.ids[row] for row in rows),
        )  # fmt: skip


def _metrics(profile: Profile, shown: Views, networks: FeatureNetworks) -> dict[str, Metric]:
    """The metrics that can be computed on these references, the profile's first."""
    at_hand = [one for one in profile.present if one.network not in networks.absent]
    static = {one.name: one for one in at_hand if not one.absent(shown)}
    return static | {one.name: one for one in brain_metrics(shown)}


def _absent(profile: Profile, shown: Views, networks: FeatureNetworks) -> tuple[str, ...]:
    missing: dict[str, list[str]] = {}
    for metric in profile.present:
        reason = networks.absent.get(metric.network) or metric.absent(shown)
        if reason:
            missing.setdefault(reason, []).append(metric.name)
    if profile.gone:
        missing[f"no metric is called so, and profile {profile.name} names it"] = list(profile.gone)
    return tuple(f"{', '.join(names)}: {reason}" for reason, names in missing.items())


def _repeats(samples: Samples, look: Look, table: _Table, shown: Views) -> list[Score]:
    """The row "repeat": pictures decoded from one repeat, each compared with those decoded from the other repeats."""
    rows = np.array([row for row, name in enumerate(table.ids) if name in samples.others], np.int64)
    drawn = [one for one in samples.of(REPEAT) if one.stimulus in samples.others]
    if not len(rows) or not drawn:
        return []
    ids = [table.ids[row] for row in rows]
    others = look.at([samples.others[name] for name in ids])
    others = replace(others, labels={name: values[rows] for name, values in shown.labels.items()}, patterns={})
    metrics = {name: one for name, one in table.metrics.items() if one.network != BRAIN and not one.absent(others)}
    inner = table.of(rows, metrics)
    tallies = inner.tallies()
    for group in _by_index(drawn):
        inner.add(tallies, group, look.at(group), shown=others)
    return inner.scores(REPEAT, tallies, withheld=sum(one.withheld for one in drawn))


def _measured_twice(brain: BrainEncoder, table: _Table) -> list[Score]:
    """The row "repeat" under brain metrics: the measured pattern of the first repeat against that of the others."""
    ids, first, rest = brain.repeated()
    place = {name: row for row, name in enumerate(table.ids)}
    if len(ids) < 2:
        return []
    rows = np.array([place[name] for name in ids if name in place], np.int64)
    keep = np.array([number for number, name in enumerate(ids) if name in place], np.int64)
    nothing = np.zeros((len(keep), 1, 1, 3), np.uint8)
    tried = Views(pixels=nothing, patterns={name: values[keep] for name, values in first.items()})
    other = Views(pixels=nothing, patterns={name: values[keep] for name, values in rest.items()})
    inner = table.of(rows, {one.name: one for one in brain_metrics(other)})
    own, found = np.arange(len(rows)), []
    for name, metric in inner.metrics.items():
        tally = Tally(len(rows))
        tally.add(metric.marks(tried, other, own=own, blocks=inner.chunks), own)
        found.append(inner.score(REPEAT, name, tally))
    return [one for one in found if one is not None]


def category_oracle(shown: Views, table: _Table) -> list[Score]:
    """What a decoder scores that knows the true category and nothing else: 1 - 1/(2K) two-way for K equal ones.

    Nothing where the references carry no categories, or only one.
    """
    labels = shown.labels.get("category", np.full(len(shown), ""))
    if np.any(labels == "") or len(np.unique(labels)) < 2:
        return []
    alike: Wide = (labels[:, None] == labels[None, :]).astype(np.float64)
    own = np.arange(len(labels))
    known: dict[str, Marks] = {"two_way": two_way_marks(alike, own), "top1": top1_marks(alike)}
    scores = []
    for name, marks in known.items():
        if name in table.metrics:
            tally = Tally(len(labels))
            tally.add(marks, own)
            scores.append(table.score(CATEGORY_ORACLE, name, tally))
    return [one for one in scores if one is not None]


def _by_index(row: Iterable[Sample]) -> list[list[Sample]]:
    groups: dict[int, list[Sample]] = {}
    for sample in row:
        if not sample.withheld:
            groups.setdefault(sample.index, []).append(sample)
    return [groups[index] for index in sorted(groups)]


def _counted(samples: Samples) -> int:
    drawn = sum(not sample.withheld for sample in samples.samples)
    return drawn + len(samples.references) + len(samples.others)


def _chunks(groups: Int, seed: int) -> Int:
    """(reference,) int: who is compared with whom by costly metrics; at most `BLOCK` of one group, drawn by `seed`."""
    chunks, number = np.zeros(len(groups), np.int64), 0
    rng = np.random.default_rng([seed, 0, len(groups)])
    for group in np.unique(groups):
        members = rng.permutation(np.flatnonzero(groups == group))
        for part in np.array_split(members, -(-len(members) // BLOCK)):
            chunks[part] = number
            number += 1
    return chunks


def _with_ends(
    scores: Sequence[Score], brain: BrainEncoder | None, *, chances: Chances, in_folds: bool,
    cards: Mapping[str, RowCard],
) -> list[Score]:  # fmt: skip
    """The scores with what effects are measured between: the shuffled row (else chance), and the oracle row.

    A row whose card says that it draws nothing has no share of what a generator can.

    The ceiling of a brain metric is the noise ceiling that the row "repeat", responses against themselves, implies. In
    folds the shuffled row is no null: chance is.
    """
    found = {(one.row, one.metric): one for one in scores}

    def ended(one: Score) -> Score:
        of_brain = one.judge == BRAIN and brain is not None
        shuffled = None if in_folds else found.get(("shuffled", one.metric))
        top = found.get((REPEAT if of_brain else "oracle", one.metric))
        null = one.chance if shuffled is None else shuffled.value
        ceiling = None if top is None else brain.ceiling(top.value) if of_brain and brain is not None else top.value
        draws = one.row not in cards or not cards[one.row].looked_up
        above_null = draws and top is not None and _exceeds(top, shuffled, null, chances)
        return replace(one, null=null, ceiling=ceiling, above_null=above_null)

    return [ended(one) for one in scores]


def _exceeds(top: Score, shuffled: Score | None, null: float, chances: Chances) -> bool:
    """Whether the ceiling's row lies above the null's: the interval of the difference, of stimuli that have both."""
    if not np.isfinite(null):
        return False
    below = np.full(len(top.values), null)
    if shuffled is not None:
        place = dict(zip(shuffled.ids, shuffled.values.tolist(), strict=True))
        below = np.array([place.get(name, np.nan) for name in top.ids])
    above = (below - top.values) if top.lower else (top.values - below)
    above = above[np.isfinite(above)]
    return len(above) > 1 and chances.interval(above)[0] > 0


def _in_order(scores: Sequence[Score], cards: Mapping[str, RowCard]) -> tuple[Score, ...]:
    rows = ordered_rows((found.row for found in scores), cards)
    printed = list(dict.fromkeys(found.metric for found in scores))
    return tuple(sorted(scores, key=lambda found: (printed.index(found.metric), rows.index(found.row))))
