"""Finished runs as the demo opens them: what lies in the folder at once, what needs its data when they are there.

run = open_run(Path("runs/first"))
known = prepare(run)            # opens the data and shows the pool to the judge; seconds to minutes
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from brain.data.averages import average_repeats
from brain.data.standardise import SessionScaler
from brain.errors import AfterimageError, InputError, UsageError, expected
from brain.types import Float
from brain.writing.origin import simulated_by
from decode.run.folder import RunFolder
from decode.run.ladder import Ladder as Rungs
from decode.run.patterns import first_repeats
from decode.run.settings import Settings
from decode.stages.draw.opened import Opened
from decode.stages.fit.regions import shown_regions
from encoders.conditions import Conditions
from evaluation.find_judge import judge_of
from evaluation.judges import Bench
from evaluation.profiles import find_profile
from evaluation.report.files import read_ladder
from evaluation.report.types import Ladder
from evaluation.samples.index import find_index
from evaluation.samples.read import read_samples
from evaluation.samples.types import Sample, Samples
from evaluation.similarity import alike, ranks
from evaluation.statistics.showing import Showing, shown_as

NEAREST = 5
"""How many stimuli that a decode is most similar to are shown."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run.

    name       what it is called among the others
    settings   what it was made with; `data` where its data should be
    samples    its pictures or sounds; `ladder` the scores of its report, none where it was never evaluated
    simulated  what drew the data, "" for a brain, None where nobody can say
    card       what the run's card says; trouble: why its report cannot be read, "" where it can
    place      how commands and sentences name the run's folder, "" for its path; where set, no path is shown
    """

    name: str
    folder: RunFolder
    settings: Settings
    data: Path
    samples: Samples = field(repr=False)
    ladder: Ladder = field(repr=False)
    simulated: str | None
    card: Mapping[str, Any] = field(default_factory=dict, repr=False)
    trouble: str = ""
    place: str = ""

    @property
    def called(self) -> str:
        """The run's folder as commands name it."""
        return self.place or str(self.folder.path)

    @property
    def modality(self) -> str:
        """ "image" or "sound"."""
        return self.samples.modality

    @cached_property
    def stimuli(self) -> tuple[str, ...]:
        """Its test stimuli, in the order of their ids."""
        return tuple(sorted(self.samples.references))

    @cached_property
    def kept(self) -> dict[tuple[str, str, int], Sample]:
        """Row, stimulus and index -> the stored sample."""
        return {sample.key: sample for sample in self.samples.samples}

    def of(self, row: str, stimulus: str) -> list[Sample]:
        """The samples of a row of one stimulus, by index."""
        found, index = list[Sample](), 0
        while (sample := self.kept.get((row, stimulus, index))) is not None:
            found.append(sample)
            index += 1
        return found

    def data_facts(self) -> Mapping[str, Any]:
        """What its card says of the data: subject, regions and the like."""
        found = self.card.get("data")
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Where the true stimulus stands among those of the pool, by how similar the judge finds them to a decode.

    rank, pool  1 is the most similar; of how many
    tied        how many others are exactly as similar as the true one
    share       how many of the others are less similar, a tie counting one half: two-way identification
    nearest     (stimulus, similarity) the most similar ones, the most similar first
    """

    rank: int
    pool: int
    tied: int
    share: float
    nearest: tuple[tuple[str, float], ...]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The judge's features of every test stimulus and of every stored decode.

    ids         (reference,) the test stimuli, sorted
    references  (reference, feature) float32
    decoded     (stimulus, index) -> (feature,) float32
    """

    bench: Bench
    showing: Showing
    ids: tuple[str, ...]
    references: Float = field(repr=False)
    decoded: Mapping[tuple[str, int], Float] = field(repr=False)

    def ranking(self, features: Float, stimulus: str) -> Ranking | None:
        """Where `stimulus` stands for a decode whose features (feature,) these are; None alone, and for NaN."""
        if len(self.ids) < 2 or not np.isfinite(features).all():
            return None
        similar = alike(features[None], self.references)
        own = self.ids.index(stimulus)
        below, tied, better = (one[0, own] for one in ranks(similar))
        order = np.argsort(-similar[0], kind="stable")[:NEAREST]
        others = len(self.ids) - 1
        return Ranking(
            rank=int(better) + 1, pool=len(self.ids), tied=int(tied), share=float(below + 0.5 * tied) / others,
            nearest=tuple((self.ids[row], float(similar[0, row])) for row in order),
        )  # fmt: skip

    def look(self, samples: Samples, drawn: Iterable[Sample]) -> list[Float]:
        """The judge's features of these samples, one (feature,) a sample; none of no samples."""
        showing: Showing = replace(self.showing, samples=samples)  # type: ignore[type-var]
        some = [showing.open(one) for one in drawn]
        return list(self.bench.look(some).features) if some else []


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """What the brain gave to one stimulus.

    values   (voxel,) z-scores by training trials, averaged over `repeats` test trials
    regions  (name, mean z over its voxels, voxels)
    """

    values: Float = field(repr=False)
    repeats: int
    regions: tuple[tuple[str, float, int], ...]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What had to be opened or computed first.

    opened   the run with its data; None where they are not there
    pool     what the judge makes of the test stimuli; None where no judge is at hand
    repeats  how many repeats of a test stimulus the run averages, 0 for all
    rungs    decoded conditions beside true ones, to name the nearest training stimulus; None without them
    missing  one sentence on each thing that cannot be shown
    absent   whether the data were not in their place, where they may come back to
    """

    opened: Opened | None
    scalers: Mapping[str, SessionScaler] = field(default_factory=dict, repr=False)
    pool: Pool | None = None
    repeats: int = 0
    rungs: Rungs | None = None
    missing: tuple[str, ...] = ()
    absent: bool = False

    def pattern(self, stimulus: str) -> Pattern | None:
        """What the brain gave to a test stimulus."""
        if self.opened is None:
            return None
        responses = self.opened.recording.responses
        fold = next(fold for fold in self.opened.folds if stimulus in fold.test)
        shown = first_repeats(responses.trials(responses.of([stimulus])), self.repeats)
        averaged = average_repeats(self.scalers[fold.name].apply(shown))
        values = averaged.values[0]
        regions = tuple(
            (region.name, float(values[region.mask].mean()), int(region.mask.sum()))
            for region in shown_regions(self.opened.recording)
        )
        return Pattern(values=values, repeats=int(averaged.repeats[0]), regions=regions)

    def nearest(self, stimulus: str) -> str:
        """The training stimulus whose condition correlates best with the decoded one; "" where nobody can say."""
        if self.rungs is None or any(stimulus not in one.ids for one in self.rungs.decoded.values()):
            return ""
        return self.rungs.nearest(stimulus)


def find_runs(folder: Path) -> list[Path]:
    """The finished runs right below `folder`, by name."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if (path / "settings.json").is_file() and find_index(path))


def open_found(paths: Sequence[Path], *, say: Callable[[str], None] = print) -> dict[str, Run]:
    """Name -> run of those that can be opened; of the others, which nobody has named, one sentence each."""
    good: list[Path] = []
    for path in paths:
        try:
            open_run(path)
        except AfterimageError as error:
            say(f"left out: {error}")
        else:
            good.append(path)
    return open_runs(good)


def open_runs(paths: Sequence[Path]) -> dict[str, Run]:
    """Name -> run; a place that is no finished run is an InputError, the same run twice a UsageError."""
    found: dict[str, Run] = {}
    for path in paths:
        known = [run for run in found.values() if run.folder.path.resolve() == path.resolve()]
        if known:
            raise UsageError(f"{path}: expected each run once, found it twice; leave one out")
        names = [other.name for other in paths]
        run = open_run(path, name=path.resolve().name if names.count(path.name) == 1 else str(path))
        found[run.name] = run
    return found


def open_run(path: Path, *, name: str = "") -> Run:
    """A finished run, from what lies in its folder; one without samples is an InputError."""
    folder = RunFolder(path)
    settings, data = folder.stored()
    if find_index(path) is None:
        raise InputError(expected(path, "a finished run", "one without samples", "finish it with `afterimage study`"))
    samples = read_samples(path, references=None)
    facts = folder.card_facts()
    simulated = facts.get("simulated", simulated_by(data) if data.exists() else None)
    ladder, trouble = Ladder(scores=(), modality=samples.modality), ""
    try:
        ladder = read_ladder(folder.report, modality=samples.modality)
    except InputError as error:
        trouble = str(error)
    return Run(
        name=name or path.resolve().name, folder=folder, settings=settings, data=data, samples=samples, ladder=ladder,
        simulated=simulated if simulated is None else str(simulated), card=facts, trouble=trouble,
    )  # fmt: skip


def prepare(run: Run) -> Prepared:
    """Opens the data where they are and shows the pool to the judge where there is one; says what is missing."""
    missing: list[str] = []
    absent = not run.data.exists()
    opened, scalers, rungs, pool = None, dict[str, SessionScaler](), None, None
    try:
        if absent:
            raise InputError(
                f"{run.place or run.data}: expected the data of this run, found nothing there; response patterns "
                "cannot be shown and nothing can be drawn again until they are back in this place"
            )
        opened = Opened(run=run.folder, settings=run.settings, data=run.data)
        responses = opened.recording.responses
        scalers = {fold.name: SessionScaler.fit(responses, responses.of(fold.train)) for fold in opened.folds}
        rungs = _rungs(opened, run)
    except AfterimageError as error:
        opened = None
        missing.append(str(error))
    try:
        pool = _pool(run)
    except AfterimageError as error:
        missing.append(f"ranks cannot be shown: {error}")
    repeats = run.settings.sampling.test_repeats
    return Prepared(
        opened=opened, scalers=scalers, pool=pool, repeats=repeats, rungs=rungs, missing=tuple(missing), absent=absent
    )  # fmt: skip


def _rungs(opened: Opened, run: Run) -> Rungs | None:
    paths = {space: run.folder.conditions(space, "decoded") for space in opened.true}
    if not all(path.is_file() for path in paths.values()):
        return None
    decoded = {space: Conditions.load(path) for space, path in paths.items()}
    return Rungs(folds=opened.folds, true=opened.true, decoded=decoded, seed=run.settings.machine.seed)


def _pool(run: Run) -> Pool:
    evaluate = run.settings.evaluation
    bench = judge_of(evaluate.judge, run.modality).open()
    showing = shown_as(run.samples, profile=find_profile(evaluate.profile, run.modality))
    references = [run.samples.references[name] for name in run.stimuli]
    drawn = [sample for sample in run.samples.of("decoded") if not sample.withheld]
    features = bench.look(showing.open(one) for one in (*references, *drawn)).features
    count = len(references)
    return Pool(
        bench=bench, showing=showing, ids=run.stimuli, references=features[:count],
        decoded={(one.stimulus, one.index): row for one, row in zip(drawn, features[count:], strict=True)},
    )  # fmt: skip
