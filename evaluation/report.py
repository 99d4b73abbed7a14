"""The report: judges a folder of samples and writes report.json, per_stimulus.csv and one self-contained report.html.

    report = evaluate(folder, how=Judging(judge="miniature", profile="clean"), references=None)

`measure` is the same without a file written; `evaluation.audit` compares what it finds with what is on disk.
"""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brain.bounds import seed_within, within
from brain.errors import InputError, expected
from brain.origin import plain
from brain.tables import as_cell, of_cell, read_records
from brain.writing import claim, free_targets, inside, only_files, write_text
from encoders.conditions import Conditions
from evaluation.brain import FILE as BRAIN_FILE
from evaluation.brain import BrainEncoder
from evaluation.conditions import ConditionScore, agreed, score_conditions
from evaluation.curves import FOLDER as CURVES
from evaluation.curves import Point, read_curves, score_curves
from evaluation.export import EXPORTED
from evaluation.folds import Design, as_facts, read_design
from evaluation.judges import Bench, find_judge, judge_of
from evaluation.judging import Eyes, Findings, judge_samples, open_eyes, ordered_rows
from evaluation.metrics.dimension import effective_dimension
from evaluation.profiles import Profile, find_profile
from evaluation.regions import read_json
from evaluation.samples import Samples, find_index, read_samples, unread_lines
from evaluation.score import Chances, Score
from evaluation.statements import (
    blocked_lines,
    design_lines,
    drift_lines,
    null_line,
    row_lines,
    sessions_of,
    warning_lines,
)
from evaluation.worlds import (
    SHOWN,
    blind_lines,
    copied_lines,
    identical_lines,
    matched_lines,
    recorded_lines,
    simulated_lines,
    word_lines,
    world_lines,
)

FILES = ("report.json", "per_stimulus.csv", "report.html")
"""What a report consists of, in the order in which it is written."""
PRINTED = 6  # columns of the table in a terminal; report.json has them all


@dataclass(frozen=True, kw_only=True)
class Judging:
    """How to judge.

    judge         a name of the catalogue, or the folder of a classifier; "" is the bundled one for pictures or sounds
    profile       which metrics, and how pictures reach them: see `evaluation.profiles`
    seed          of resamples and permutations
    bootstrap     resamples of the intervals, 100 or more; permutations: of the p-values, 0 leaves p out
    train         a folder of the pictures that were trained on, to look for leaks; None where a run says it itself
    """

    judge: str = ""
    profile: str = "clean"
    seed: int = 0
    bootstrap: int = 2000
    permutations: int = 1000
    train: Path | None = None

    def __post_init__(self) -> None:
        within("--bootstrap", self.bootstrap, 100)
        within("--permutations", self.permutations, 0)
        seed_within(self.seed)
        find_profile(self.profile)


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Scores in the ladder's order, of pictures ("image") or of sounds ("sound")."""

    scores: tuple[Score, ...]
    modality: str

    def score(self, row: str, metric: str) -> Score | None:
        """The score of that row under that metric ("top1" finds that of the whole pool), None where there is none."""
        for found in self.scores:
            if found.row == row and found.metric in (metric, f"{metric}_of_{found.pool}"):
                return found
        return None

    def metrics(self) -> tuple[str, ...]:
        """The metrics' printed names, the ladder's first."""
        return tuple(dict.fromkeys(found.metric for found in self.scores))

    def rows(self) -> tuple[str, ...]:
        """The rows present, in the ladder's order."""
        return ordered_rows(found.row for found in self.scores)


@dataclass(frozen=True, kw_only=True)
class Report(Ladder):
    """What a judge found, and where the files are.

    absent      one sentence a metric that could not be computed; card: what all was computed with
    folder      holds report.json, per_stimulus.csv and report.html; `home` the run or folder that was judged
    profile     which metrics were asked for
    dimensions  row -> effective dimension of its samples, "reference" and conditions too
    points      of the curves, where the run has some; titles: curve -> what it is over
    conditions  identification before the generator, and what it loses, space by space
    leaks       what is known of training stimuli among the tested ones, {} where nobody looked
    findings    the judging behind it all, of `samples`
    design      how the test stimuli were left out, and the null of folds
    """

    folder: Path
    home: Path
    judge: str
    profile: Profile
    absent: tuple[str, ...]
    card: Mapping[str, Any]
    dimensions: Mapping[str, float]
    points: tuple[Point, ...]
    titles: Mapping[str, str]
    conditions: tuple[ConditionScore, ...]
    leaks: Mapping[str, Any]
    findings: Findings
    samples: Samples
    design: Design

    @property
    def page(self) -> Path:
        """The HTML file."""
        return self.folder / "report.html"

    @property
    def simulated(self) -> str:
        """What simulated the brain behind the samples, "" for a recorded one and where nobody says it."""
        return str(self.card["evaluation"]["simulated"])

    def said(self) -> tuple[str, ...]:
        """What must be known before any number is read: whose brain it is, and what the judge knows of all this."""
        known = self.card["evaluation"]
        return (
            *known.get("files", ()),
            *simulated_lines(self.simulated, reader=_reader(self.card["run"])),
            *world_lines(
                known["judge"], self.samples.drawn_by or self._own_simulator(), modality=self.modality,
                trust=self.findings.trust,
            ),
            *word_lines(self.findings.words),
            *blind_lines(self.findings.apart, self.judge),
            *copied_lines(self.leaks),
            *warning_lines(
                self.scores, self.design, blocks=self._blocks(), permutations=known["permutations"],
                one=SHOWN[self.modality].removesuffix("s"),
            ),
            *blocked_lines(self.card["run"]),
            *drift_lines(self.card["run"], self.design, blocks=self._blocks()),
            *recorded_lines(_data(self.card["run"])),
            *self._unmatched(),
        )  # fmt: skip

    def stated(self) -> tuple[str, ...]:
        """The design, the null, the standardisation and what would change the numbers, a sentence each."""
        return design_lines(
            self.card["run"], self.design, blocks=self._blocks(),
            permutations=self.card["evaluation"]["permutations"], several=SHOWN[self.modality],
        )  # fmt: skip

    def noted(self) -> tuple[str, ...]:
        """What rows are not, a sentence each, for the foot of the ladder."""
        return row_lines(self.scores, self.design, one=SHOWN[self.modality].removesuffix("s"))

    def _blocks(self) -> list[str]:
        return [one.block for one in self.samples.references.values()]

    def _unmatched(self) -> tuple[str, ...]:
        known = self.card["evaluation"]
        files = [Path(name).name for name in self.samples.unmatched]
        return matched_lines(
            known["references without a sample"], files, references=known["references"], shown=SHOWN[self.modality]
        )

    def _own_simulator(self) -> str:
        """What simulated the run, where the references are its own: older samples folders have no marker."""
        return self.simulated if self.samples.reference_folder == self.samples.folder else ""

    def table(self) -> str:
        """The ladder as text: a line a row, a column for each of the first metrics, the interval in brackets."""
        names = [name for name in self.metrics() if not name.startswith(("label_", "brain_"))][:PRINTED]
        lines = [["row", *names]]
        for row in self.rows():
            found = [self.score(row, name) for name in names]
            cells = ["-" if s is None else f"{s.value:.3f} [{s.low:.3f}, {s.high:.3f}]" for s in found]
            lines.append([row, *cells])
        chance = [next(s.chance for s in self.scores if s.metric == name) for name in names]
        said = "chance of decoded" if self.design.in_folds else "chance"
        lines.append([said, *(f"{value:.3f}" if np.isfinite(value) else "-" for value in chance)])
        widths = [max(len(line[column]) for line in lines) for column in range(len(names) + 1)]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)

    def lacking(self) -> str:
        """How many metrics were not computed, in one sentence; empty where none lacks."""
        several = "s" if len(self.absent) > 1 else ""
        return f"{len(self.absent)} metric{several} not computed, see the report" if self.absent else ""

    def facts(self) -> dict[str, Any]:
        """report.json, numbers that do not exist as None."""
        whole = {
            "simulated": self.simulated,
            "said": list(self.said()),
            "stated": list(self.stated()),
            "noted": list(self.noted()),
            "card": self.card,
            "profile": {"name": self.profile.name, "does": self.profile.does, "wrong": self.profile.wrong},
            "rows": [found.facts() for found in self.scores],
            "dimensions": dict(self.dimensions),
            "curves": [point.facts() for point in self.points],
            "design": as_facts(self.design),
            "conditions": [found.facts() for found in self.conditions],
            "sets": [found.facts() for found in self.findings.sets],
            "leaks": dict(self.leaks),
            "absent": list(self.absent),
        }
        return dict(finite(whole))


def evaluate(
    folder: Path, *, how: Judging, references: Path | None = None, out: Path | None = None, exported: bool = False
) -> Report:
    """Judges a run, a samples folder, or a folder of images or sounds beside `references`, and writes the report.

    out is where the report goes; None is RUN/report, or FOLDER/report for a foreign folder. The same folder and seed
    give the same numbers. Whether the report can be written, and what is to be `exported` beside it, is known before
    anything is judged. Raises InputError, UsageError, StorageError or CheckpointAbsent.
    """
    if how.judge:
        find_judge(how.judge)  # a misspelt name is said before anything is read
    samples = read_samples(folder, references=references)
    home = out if out is not None else run_folder(folder) / "report"
    with claim(home):
        free_targets(home, (*FILES, *EXPORTED) if exported else FILES)
        report = measure(folder, samples, how=how, out=out)
        write_report(report)
    return report


def measure(folder: Path, samples: Samples, *, how: Judging, out: Path | None = None) -> Report:
    """The report of these samples, computed and not written."""
    profile = find_profile(how.profile, samples.modality)
    bench = judge_of(how.judge, samples.modality).open()
    home = run_folder(folder)
    brain, unbrained = _brain(home, bench)
    chances = Chances(seed=how.seed, bootstrap=how.bootstrap, permutations=how.permutations)
    eyes = open_eyes(bench, profile.metrics, modality=samples.modality)
    design = agreed(read_design(home), home)
    found = judge_samples(samples, eyes, profile=profile, chances=chances, brain=brain, design=design)
    absent = (*found.absent, *unbrained)
    run = read_json(home / "card.json")
    known = {
        "simulated": samples.simulated or plain(str(run.get("simulated", ""))),
        **_card(samples, eyes, chances, trusted=found.trust, profile=profile, design=design, run=run),
        "labels that the judge has words for": {group: one.facts() for group, one in found.words.items()},
        **found.shown,
    }
    if said := (*identical_lines(samples), *unread_lines(samples)):
        known["files"] = list(said)
    return Report(
        folder=out if out is not None else home / "report",
        home=home,
        judge=bench.card["name"],
        profile=profile,
        scores=found.scores,
        modality=samples.modality,
        absent=absent,
        card={"evaluation": known, "run": run},
        dimensions={**found.dimensions, **_condition_dimensions(home)},
        points=score_curves(home, samples, eyes, chances=chances, brain=brain),
        titles={curve.name: curve.title for curve in read_curves(home)[0]},
        conditions=score_conditions(
            home, chances, design=design, blocks={name: one.block for name, one in samples.references.items()}
        ),
        design=design,
        leaks=_leaks(home, samples, how.train),
        findings=found,
        samples=samples,
    )


def _brain(home: Path, bench: Bench) -> tuple[BrainEncoder | None, tuple[str, ...]]:
    """The run's voxelwise encoder, or none and why."""
    path = home / BRAIN_FILE
    if not path.is_file():
        return None, ("brain correlation: these samples came without a voxelwise encoder",)
    brain = BrainEncoder.load(path)
    if brain.judge != bench.card.get("sha256"):
        return None, (
            f"brain correlation: the run's voxelwise encoder sees through another judge than {bench.card['name']}",
        )
    return brain, ()


def _condition_dimensions(home: Path) -> dict[str, float]:
    """Effective dimension of decoded and of the same stimuli's true conditions, space by space."""
    found = {}
    for path in sorted((home / "conditions").glob("*.decoded.safetensors")):
        decoded = Conditions.load(path)
        true = Conditions.load(path.with_name(path.name.replace(".decoded.", ".true."))).take(decoded.ids)
        if len(decoded) > 1:
            for word, values in (("decoded", decoded.values), ("true", true.values)):
                found[f"{decoded.space.name} {word}"] = effective_dimension(values.reshape(len(values), -1))
    return found


def _data(run: Mapping[str, Any]) -> Mapping[str, Any]:
    data = run.get("data", {})
    return data if isinstance(data, Mapping) else {}


def _reader(run: Mapping[str, Any]) -> str:
    return str(_data(run).get("reader", ""))


def _leaks(home: Path, samples: Samples, train: Path | None) -> dict[str, Any]:
    """What the run wrote about leaks, or a look at the training pictures in `train`."""
    if train is None:
        return read_json(home / "report" / "leaks.json")
    from evaluation.leaks import look_for_leaks

    return look_for_leaks(train, samples)


def run_folder(folder: Path) -> Path:
    """The run a samples folder belongs to, else the folder itself; a link in what is ours of it is an InputError.

    Pictures and sounds of a folder without an index are data, and may be links.
    """
    index = find_index(folder)
    home = index.parent.parent if index is not None and index.parent.name == "samples" else folder
    if index is not None or os.path.lexists(home / "settings.json"):
        only_files(home)
        return home
    for name in (BRAIN_FILE, "card.json", "report", "conditions", CURVES):
        only_files(inside(home, home / name))
    return home


def _card(
    samples: Samples,
    eyes: Eyes,
    chances: Chances,
    *,
    trusted: Mapping[str, float],
    profile: Profile,
    design: Design,
    run: Mapping[str, Any],
) -> dict[str, Any]:
    drawn = {sample.stimulus for sample in samples.samples}
    return {
        "judge": dict(eyes.judge.card),
        "other judges": {eye: dict(bench.card) for eye, bench in eyes.others.items()},
        "profile": profile.name,
        "judge right about the references": dict(trusted),
        "seed": chances.seed,
        "bootstrap": chances.bootstrap,
        "permutations": chances.permutations,
        "null": null_line(
            design, blocks=[one.block for one in samples.references.values()], permutations=chances.permutations,
            several=SHOWN[samples.modality], sessions=sessions_of(run),
        ),
        "best of": _picked(samples),
        "references": len(samples.references),
        "samples": len(samples.samples),
        "withheld": sum(sample.withheld for sample in samples.samples),
        "references without a sample": sorted(set(samples.references) - drawn),
        "samples without a reference": list(samples.unmatched),
        "methods": {row: sorted({sample.method for sample in samples.of(row)}) for row in samples.rows()},
        "versions": {
            "python": platform.python_version(),
            **{
                name: importlib.metadata.version(name) for name in ("numpy", "scipy", "pillow", "torch", "transformers")
            },
        },
    }


def _picked(samples: Samples) -> str:
    """Which rows keep the best of several draws, and of how many; a row that keeps all is not named."""
    most: dict[str, int] = {}
    for sample in samples.samples:
        most[sample.row] = max(most.get(sample.row, 1), sample.candidates)
    picked = [f"best of {most[row]} in row {row}" for row in ordered_rows(most) if most[row] > 1]
    return f"{', '.join(picked)}: samples were PICKED" if picked else "every sample is kept, none is picked"


def write_report(report: Report) -> None:
    """Writes the three files, each whole or not at all; no room or no rights is a StorageError."""
    from evaluation.page import render

    texts = {
        FILES[0]: json.dumps(report.facts(), indent=1, allow_nan=False, ensure_ascii=False) + "\n",
        FILES[1]: per_stimulus(report.scores),
        FILES[2]: render(report),
    }
    for name, text in texts.items():
        write_text(report.folder / name, text)


def per_stimulus(scores: Sequence[Score]) -> str:
    """CSV, one line a row, metric and stimulus: row, metric, judge, stimulus, value ("" where nothing was scored).

    Texts that a spreadsheet would compute are written by `as_cell`.
    """
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(["row", "metric", "judge", "stimulus", "value"])
    for found in scores:
        for stimulus, value in zip(found.ids, found.values.tolist(), strict=True):
            texts = [as_cell(one) for one in (found.row, found.metric, found.judge, stimulus)]
            table.writerow([*texts, repr(value) if np.isfinite(value) else ""])
    return out.getvalue()


def finite(facts: Any) -> Any:
    """Plain facts with every number that is not finite as None, as JSON has it."""
    if isinstance(facts, float):
        return facts if np.isfinite(facts) else None
    if isinstance(facts, Mapping):
        return {key: finite(value) for key, value in facts.items()}
    return [finite(value) for value in facts] if isinstance(facts, list | tuple) else facts


def read_ladder(folder: Path, *, modality: str) -> Ladder:
    """The scores of a report as they were written into `folder`, report.json and per_stimulus.csv; none: no scores.

    Files that do not belong together, or are none of ours, are an InputError.
    """
    facts = read_json(folder / "report.json")
    path = folder / "per_stimulus.csv"
    if not facts or not path.is_file():
        return Ladder(scores=(), modality=modality)
    values: dict[tuple[str, str], dict[str, float]] = {}
    try:
        for line in read_records(path, mark=",", quoted=True, then="evaluate the run again"):
            found = values.setdefault((of_cell(line["row"]), of_cell(line["metric"])), {})
            found[of_cell(line["stimulus"])] = float(line["value"] or "nan")
        scores = tuple(_score(row, values[row["row"], row["metric"]]) for row in facts["rows"])
    except (KeyError, TypeError, ValueError, UnicodeDecodeError) as error:
        want = "report.json and the per_stimulus.csv of it"
        raise InputError(expected(folder, want, f"others ({error})", "evaluate the run again")) from error
    return Ladder(scores=scores, modality=modality)


def _score(row: Mapping[str, Any], values: Mapping[str, float]) -> Score:
    """A score out of its row in report.json and the values of its stimuli."""
    known = {name: np.nan if row[name] is None else float(row[name]) for name in ("low", "high", "chance", "null")}
    same = ("row", "metric", "judge", "ceiling", "p", "q", "pool", "samples", "withheld", "seed_sd")
    return Score(
        ids=tuple(values), values=np.array(list(values.values()), np.float64), lower=row["lower_is_better"],
        firm=row["ceiling_above_null"], **known, **{name: row[name] for name in same},
    )  # fmt: skip
