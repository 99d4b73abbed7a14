"""Judging: every row of a samples folder under every metric of a profile, through the judge's eye and others'.

findings = judge_samples(samples, open_eyes(bench, profile.metrics), profile=profile, chances=chances)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from brain.errors import CheckpointAbsent, InputError
from evaluation.brain import BrainEncoder
from evaluation.folds import MEASURES, Design
from evaluation.images import IMAGE
from evaluation.judges import CATALOGUE as JUDGES
from evaluation.judges import Bench
from evaluation.metrics import CATALOGUE, Int, Marks, Metric, Views
from evaluation.metrics.brain import brain_metrics
from evaluation.metrics.dimension import effective_dimension
from evaluation.metrics.distribution import SetScore, set_scores
from evaluation.metrics.identification import Wide, told_apart, top1_marks, two_way_marks
from evaluation.metrics.verdicts import NWay, Verdict, in_words, strange_words
from evaluation.profiles import Profile
from evaluation.samples import REFERENCE, ROWS, Sample, Samples
from evaluation.score import Chances, Score, Tally, blocks_of, corrected, score
from evaluation.showing import Showing, shown_as
from evaluation.sounds import SOUND

# Pixel metrics compare each sample with the references of its block of about this many, not with all of them.
BLOCK = 32
CATEGORY_ORACLE = "category_oracle"
REPEAT = "repeat"
LADDER = (*ROWS[: ROWS.index(REPEAT) + 1], CATEGORY_ORACLE, *ROWS[ROWS.index(REPEAT) + 1 :])
ONE_TEST_SET = Design()
JUDGE = "judge"
BRAIN = "brain"
MISPLACED = {SOUND: "its judge looks at pictures, and these are sounds", IMAGE: "its judge hears sounds, not pictures"}


@dataclass(frozen=True, kw_only=True)
class Eyes:
    """Who looks: the report's judge, other judges that metrics ask for, and why some of these are not at hand."""

    judge: Bench
    others: Mapping[str, Bench] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)

    def name(self, eye: str) -> str:
        """What stands in a score's column "judge"."""
        return str(self.judge.card["name"]) if eye == JUDGE else eye


def open_eyes(judge: Bench, metrics: Sequence[str], *, modality: str = IMAGE) -> Eyes:
    """The judge, and every other judge that these metrics look through, where its weights are at hand.

    modality  "image" or "sound": what will be judged; who looks at the other is absent.
    """
    wanted = dict.fromkeys(CATALOGUE[name].eye for name in metrics)
    others: dict[str, Bench] = {}
    absent: dict[str, str] = {}
    for eye in wanted:
        if eye in ("", JUDGE, BRAIN):
            continue
        if JUDGES[eye].modality != modality:
            absent[eye] = MISPLACED[modality]
            continue
        try:
            others[eye] = JUDGES[eye].open()
        except CheckpointAbsent as error:
            absent[eye] = str(error)
    return Eyes(judge=judge, others=others, absent=absent)


@dataclass(frozen=True, kw_only=True)
class Words:
    """Of the references labelled in one group, how many have a label that the judge knows, and the other labels."""

    known: int
    labelled: int
    strange: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """What stands in the card."""
        return {"known": self.known, "labelled": self.labelled, "unknown": list(self.strange)}


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What judging found.

    scores      in the ladder's order under each metric
    absent      one sentence for each reason why metrics could not be computed
    trust       group -> how often the judge names the references themselves right
    dimensions  row -> effective dimension of its samples in the judge's features; "reference" too
    features    row -> (stimulus, feature) of its first samples in the judge's features; "reference" too
    ids         row -> the stimuli of these features
    sets        distances of a row's samples as a set from the references as a set
    shown       how the files came before the judge, where that was not as they are
    words       group of labels -> what the judge has words for, of the references' true ones
    apart       how often the judge finds a reference among the others by itself, 0..1; NaN where it is alone
    """

    scores: tuple[Score, ...]
    absent: tuple[str, ...]
    trust: Mapping[str, float]
    dimensions: Mapping[str, float]
    features: Mapping[str, Any]
    ids: Mapping[str, tuple[str, ...]]
    sets: tuple[SetScore, ...] = ()
    shown: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, Words] = field(default_factory=dict)
    apart: float = float("nan")


def judge_samples(
    samples: Samples,
    eyes: Eyes,
    *,
    profile: Profile,
    chances: Chances,
    brain: BrainEncoder | None = None,
    design: Design = ONE_TEST_SET,
) -> Findings:
    """Every row under every metric of the profile; all samples withheld is an InputError.

    design  how the test stimuli were left out, which says what chance, p and intervals are
    """
    from brain.progress import progress

    ids = tuple(sorted(samples.references))
    groups = blocks_of([samples.references[name].block for name in ids])
    chunks = _chunks(groups, chances.seed)
    showing = shown_as(samples, profile=profile)
    with progress(total=_counted(samples), desc="judging", unit=showing.unit) as bar:
        look = _Look(showing=showing, eyes=eyes, brain=brain, bar=bar)
        shown = look.at([samples.references[name] for name in ids])
        if brain is not None:
            shown = replace(shown, patterns=brain.seen(ids))
        metrics = _metrics(profile, shown, eyes)
        table = _Table(
            metrics=metrics, eyes=eyes, chances=chances, chunks=chunks, groups=groups, ids=ids, design=design
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
    return Findings(
        scores=_in_order(corrected(_with_ends(scores, brain, chances=chances, in_folds=design.in_folds))),
        absent=_absent(profile, shown, eyes),
        trust=trust(shown),
        dimensions={row: effective_dimension(values) for row, values in features.items() if len(values) > 1},
        features=features,
        ids=first,
        sets=set_scores(spaces, {eye: eyes.name(eye) for eye in profile.sets}, ids=first, chances=chances),
        shown=showing.facts(),
        words=words(shown, profile),
        apart=told_apart(shown.features[JUDGE]),
    )


@dataclass(frozen=True, kw_only=True)
class _Table:
    """What every row is scored with; `groups` (reference,) int says who may change places with whom."""

    metrics: Mapping[str, Metric]
    eyes: Eyes
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
        wider = self.design.wider({name: tallies[name].units for name in MEASURES if name in tallies})
        found = [self.score(row, name, one, wider=wider, withheld=withheld) for name, one in tallies.items()]
        return [one for one in found if one is not None]

    def score(
        self, row: str, name: str, tally: Tally, *, wider: Mapping[str, float] | None = None, withheld: int = 0
    ) -> Score | None:
        factors = wider if wider is not None else self.design.wider({name: tally.units})
        metric = self.metrics[name]
        return score(
            tally, self.chances, row=row, metric=metric.named(len(self.ids)), judge=self.eyes.name(metric.eye),
            ids=self.ids, chance=self.design.chance(name) if self.design.in_folds else metric.chance(len(self.ids)),
            bounds=metric.bounds, blocks=self.groups, withheld=withheld, lower=metric.lower,
            permuted=not self.design.in_folds, wider=factors.get(name, factors[""]),
        )  # fmt: skip

    def of(self, rows: Int, metrics: Mapping[str, Metric]) -> _Table:
        """The same over these references only, under these metrics."""
        return replace(
            self, metrics=metrics, chunks=self.chunks[rows], groups=self.groups[rows],
            ids=tuple(self.ids[row] for row in rows),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Look:
    """Opens samples and shows them to every eye."""

    showing: Showing
    eyes: Eyes
    brain: BrainEncoder | None
    bar: Any

    def at(self, group: Sequence[Sample]) -> Views:
        kept: list[np.ndarray] = []

        def stream() -> Iterator[Any]:
            for sample in group:
                one = self.showing.open(sample)
                kept.append(self.showing.kept(one))
                self.bar.update()
                yield one

        opinion = self.eyes.judge.look(stream())
        features, scores, classes = {JUDGE: opinion.features}, dict(opinion.scores), dict(opinion.classes)
        for eye, bench in self.eyes.others.items():
            other = bench.look(self.showing.open(sample) for sample in group)
            features[eye] = other.features
            scores |= other.scores
            classes |= other.classes
        labels = {
            name: np.array([sample.labels.get(name, "") for sample in group], np.str_)
            for name in sorted({name for sample in group for name in sample.labels})
        }
        return replace(
            self.showing.views(kept), features=features, verdicts=opinion.verdicts, scores=scores, classes=classes,
            labels=labels, patterns={} if self.brain is None else self.brain.predicted(opinion.features),
        )  # fmt: skip


def _metrics(profile: Profile, shown: Views, eyes: Eyes) -> dict[str, Metric]:
    """The metrics that can be computed on these references, the profile's first."""
    named = {name: CATALOGUE[name] for name in profile.metrics}
    static = {name: one for name, one in named.items() if one.eye not in eyes.absent and not one.absent(shown)}
    return static | {one.name: one for one in brain_metrics(shown)}


def _absent(profile: Profile, shown: Views, eyes: Eyes) -> tuple[str, ...]:
    missing: dict[str, list[str]] = {}
    for metric in (CATALOGUE[name] for name in profile.metrics):
        reason = eyes.absent.get(metric.eye) or metric.absent(shown)
        if reason:
            missing.setdefault(reason, []).append(metric.name)
    return tuple(f"{', '.join(names)}: {reason}" for reason, names in missing.items())


def _repeats(samples: Samples, look: _Look, table: _Table, shown: Views) -> list[Score]:
    """The row "repeat": pictures decoded from one repeat, each compared with those decoded from the other repeats."""
    rows = np.array([row for row, name in enumerate(table.ids) if name in samples.others], np.int64)
    drawn = [one for one in samples.of(REPEAT) if one.stimulus in samples.others]
    if not len(rows) or not drawn:
        return []
    ids = [table.ids[row] for row in rows]
    others = look.at([samples.others[name] for name in ids])
    others = replace(others, labels={name: values[rows] for name, values in shown.labels.items()}, patterns={})
    metrics = {name: one for name, one in table.metrics.items() if one.eye != BRAIN and not one.absent(others)}
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
    scores: Sequence[Score], brain: BrainEncoder | None, *, chances: Chances, in_folds: bool
) -> list[Score]:
    """The scores with what effects are measured between: the shuffled row (else chance), and the oracle row.

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
        firm = top is not None and _exceeds(top, shuffled, null, chances)
        return replace(one, null=null, ceiling=ceiling, firm=firm)

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


def ordered_rows(rows: Iterable[str]) -> tuple[str, ...]:
    """The rows, each once, the known ones in the ladder's order and the others after them by name."""
    present = set(rows)
    return (*(row for row in LADDER if row in present), *sorted(present - set(LADDER)))


def _in_order(scores: Sequence[Score]) -> tuple[Score, ...]:
    rows = ordered_rows(found.row for found in scores)
    printed = list(dict.fromkeys(found.metric for found in scores))
    return tuple(sorted(scores, key=lambda found: (printed.index(found.metric), rows.index(found.row))))


def trust(shown: Views) -> dict[str, float]:
    """group -> how often the judge's verdict on the references themselves is the true label, where it has the word."""
    return {
        group: round(float((shown.verdicts[group] == truth)[known].mean()), 4)
        for group, truth in shown.labels.items()
        if group in shown.verdicts and (known := in_words(group, shown)).any()
    }


def words(shown: Views, profile: Profile) -> dict[str, Words]:
    """group -> what the judge has words for, in every group of true labels that a metric of the profile asks it for."""
    metrics = [CATALOGUE[name] for name in profile.metrics]
    asked = [one.group for one in metrics if isinstance(one, Verdict | NWay) and one.eye == JUDGE and not one.pseudo]
    return {
        group: Words(
            known=int(in_words(group, shown).sum()),
            labelled=int((shown.labels[group] != "").sum()),
            strange=strange_words(group, shown),
        )
        for group in dict.fromkeys(asked)
        if group in shown.verdicts and group in shown.labels and np.any(shown.labels[group] != "")
    }
