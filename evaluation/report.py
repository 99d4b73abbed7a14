"""The report: judges a folder of samples and writes report.json, per_stimulus.csv and one self-contained report.html.

evaluate(folder, references=None, judge="miniature", seed=0, bootstrap=2000, permutations=1000) -> Report
"""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from brain.errors import InputError, StorageError, UsageError
from evaluation.judges import Bench, find_judge
from evaluation.metrics import CATALOGUE, Int, Marks, Metric, Views
from evaluation.metrics.identification import Wide, top1_marks, two_way_marks
from evaluation.regions import read_json
from evaluation.samples import ROWS, Sample, Samples, find_index, read_samples
from evaluation.score import Chances, Score, Tally, score

# Pixel metrics see both pictures at one size: the references' own, but no side above this.
LARGEST_CANVAS = 256
# Pixel metrics compare each sample with the references of its block of about this many, not with all of them.
BLOCK = 32
CATEGORY_ORACLE = "category_oracle"
LADDER = (*ROWS[:5], CATEGORY_ORACLE, *ROWS[5:])
METRIC_ORDER = ("two_way", "two_way_other_recons", "top1", "category", "category_pseudo", "pixcorr", "ssim")
BOUNDS = {"pixcorr": (-1.0, 1.0), "ssim": (-1.0, 1.0)}


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a judge found: scores in the ladder's order, and where the files are.

    absent   one sentence a metric that could not be computed; card: what all was computed with
    folder   holds report.json, per_stimulus.csv and report.html
    """

    folder: Path
    judge: str
    scores: tuple[Score, ...]
    absent: tuple[str, ...]
    card: Mapping[str, Any]

    @property
    def page(self) -> Path:
        """The HTML file."""
        return self.folder / "report.html"

    def score(self, row: str, metric: str) -> Score | None:
        """The score of that row under that metric ("top1" finds "top1_of_100"), None where there is none."""
        for found in self.scores:
            if found.row == row and metric in (found.metric, found.metric.partition("_of_")[0]):
                return found
        return None

    def metrics(self) -> tuple[str, ...]:
        """The metrics' printed names, the ladder's first."""
        return tuple(dict.fromkeys(found.metric for found in self.scores))

    def rows(self) -> tuple[str, ...]:
        """The rows present, in the ladder's order."""
        return ordered_rows(found.row for found in self.scores)

    def table(self) -> str:
        """The ladder as text: one line a row, one column a metric, the interval in brackets."""
        names = [name for name in self.metrics() if not name.startswith("label_")]
        lines = [["row", *names]]
        for row in self.rows():
            found = [self.score(row, name) for name in names]
            cells = ["-" if s is None else f"{s.value:.3f} [{s.low:.3f}, {s.high:.3f}]" for s in found]
            lines.append([row, *cells])
        chance = [next(s.chance for s in self.scores if s.metric == name) for name in names]
        lines.append(["chance", *(f"{value:.3f}" for value in chance)])
        widths = [max(len(line[column]) for line in lines) for column in range(len(names) + 1)]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def evaluate(
    folder: Path,
    *,
    references: Path | None,
    judge: str,
    seed: int,
    bootstrap: int,
    permutations: int,
    out: Path | None = None,
) -> Report:
    """Judges a run, a samples folder, or a folder of images beside `references`, and writes the report.

    judge         a name of the catalogue or the folder of an image classifier
    bootstrap     resamples of the intervals; permutations: of the p-values (0 leaves p out)
    out           where the report goes; None is RUN/report, or FOLDER/report for a foreign folder
    The same folder and seed give the same numbers. Raises InputError, UsageError, StorageError or CheckpointAbsent.
    """
    if bootstrap < 100 or permutations < 0:
        raise UsageError(
            f"wanted at least 100 resamples and 0 permutations, came {bootstrap} and {permutations}; give more"
        )
    judging = find_judge(judge)
    samples = read_samples(folder, references=references)
    home = run_folder(folder)
    study = read_json(home / "card.json")
    bench = judging.open()
    chances = Chances(seed=seed, bootstrap=bootstrap, permutations=permutations)
    scores, absent, trusted = judge_samples(samples, bench, chances=chances, seed=seed)
    report = Report(
        folder=out if out is not None else home / "report",
        judge=bench.card["name"],
        scores=scores,
        absent=absent,
        card={"evaluation": _card(samples, bench, chances, trusted=trusted), "run": study},
    )
    write_report(report, samples)
    return report


def run_folder(folder: Path) -> Path:
    """The run a samples folder belongs to, else the folder itself."""
    index = find_index(folder)
    if index is not None and index.parent.name == "samples":
        return index.parent.parent
    return folder


def judge_samples(
    samples: Samples, bench: Bench, *, chances: Chances, seed: int
) -> tuple[tuple[Score, ...], tuple[str, ...], dict[str, float]]:
    """Every row under every metric, a sentence for each metric that cannot be computed, and the judge's `trust`."""
    from tqdm import tqdm

    ids = tuple(sorted(samples.references))
    place = {stimulus: row for row, stimulus in enumerate(ids)}
    blocks = _blocks(len(ids), seed)
    wanted = sum(not sample.withheld for sample in samples.samples) + len(ids)
    with tqdm(total=wanted, desc="judging", unit="picture", disable=None) as bar:
        shown = _views([samples.references[stimulus] for stimulus in ids], samples, bench, canvas=None, bar=bar)
        metrics = {metric.name: metric for metric in CATALOGUE if not metric.absent(shown)}
        scores: list[Score] = []
        for row in samples.rows():
            tallies = {name: Tally(len(ids)) for name in metrics}
            for group in _by_index(samples.of(row)):
                seen = _views(group, samples, bench, canvas=shown.pixels.shape[1:3], bar=bar)
                own = np.array([place[sample.stimulus] for sample in group], np.int64)
                for name, metric in metrics.items():
                    tallies[name].add(metric.marks(seen, shown, own=own, blocks=blocks), own)
            withheld = sum(sample.withheld for sample in samples.of(row))
            for name, tally in tallies.items():
                scores += _scored(
                    tally, metrics[name], chances, row=row, bench=bench, ids=ids, blocks=blocks, withheld=withheld
                )
    if not scores:
        raise InputError(
            f"{samples.folder}: all {len(samples.samples)} samples are withheld; there is nothing to score"
        )
    scores += category_oracle(shown, chances, ids=ids, judge=bench.card["name"])
    missing: dict[str, list[str]] = {}
    for metric in CATALOGUE:
        if reason := metric.absent(shown):
            missing.setdefault(reason, []).append(metric.name)
    said = tuple(f"{', '.join(names)}: {reason}" for reason, names in missing.items())
    return _in_order(_with_ends(scores)), said, trust(shown)


def _scored(
    tally: Tally,
    metric: Metric,
    chances: Chances,
    *,
    row: str,
    bench: Bench,
    ids: Sequence[str],
    blocks: Int,
    withheld: int,
) -> list[Score]:
    found = score(
        tally, chances, row=row, metric=metric.named(len(ids)), judge=bench.card["name"] if metric.judged else "",
        ids=ids, chance=metric.chance(len(ids)), bounds=BOUNDS.get(metric.name, (0.0, 1.0)), blocks=blocks,
        withheld=withheld,
    )  # fmt: skip
    return [] if found is None else [found]


def category_oracle(shown: Views, chances: Chances, *, ids: Sequence[str], judge: str) -> list[Score]:
    """What a decoder scores that knows the true category and nothing else: 1 - 1/(2K) two-way for K equal ones.

    Nothing where the references carry no categories, or only one.
    """
    labels = shown.labels.get("category", np.full(len(shown), ""))
    if np.any(labels == "") or len(np.unique(labels)) < 2:
        return []
    alike: Wide = (labels[:, None] == labels[None, :]).astype(np.float64)
    own, whole = np.arange(len(ids)), np.zeros(len(ids), np.int64)
    known: tuple[tuple[str, Marks], ...] = (("two_way", two_way_marks(alike, own)), ("top1", top1_marks(alike)))
    scores: list[Score] = []
    for name, marks in known:
        metric, tally = CATALOGUE[name], Tally(len(ids))
        tally.add(marks, own)
        found = score(
            tally, chances, row=CATEGORY_ORACLE, metric=metric.named(len(ids)), judge=judge, ids=ids,
            chance=metric.chance(len(ids)), bounds=(0.0, 1.0), blocks=whole, withheld=0,
        )  # fmt: skip
        scores += [] if found is None else [found]
    return scores


def _by_index(row: Iterable[Sample]) -> list[list[Sample]]:
    groups: dict[int, list[Sample]] = {}
    for sample in row:
        if not sample.withheld:
            groups.setdefault(sample.index, []).append(sample)
    return [groups[index] for index in sorted(groups)]


def _views(
    group: Sequence[Sample], samples: Samples, bench: Bench, *, canvas: tuple[int, int] | None, bar: Any
) -> Views:
    pictures: list[np.ndarray] = []

    def stream() -> Iterator[Image.Image]:
        nonlocal canvas
        for sample in group:
            picture = samples.open(sample)
            canvas = canvas or _canvas(picture)
            pictures.append(np.asarray(_fitted(picture, canvas)))
            bar.update()
            yield picture

    opinion = bench.look(stream())
    labels = {
        name: np.array([sample.labels.get(name, "") for sample in group], np.str_)
        for name in sorted({name for sample in group for name in sample.labels})
    }
    return Views(pixels=np.stack(pictures), features=opinion.features, verdicts=opinion.verdicts, labels=labels)


def _canvas(picture: Image.Image) -> tuple[int, int]:
    """(height, width) of the first reference, no side above `LARGEST_CANVAS`."""
    shrink = min(1.0, LARGEST_CANVAS / max(picture.size))
    return max(1, round(picture.height * shrink)), max(1, round(picture.width * shrink))


def _fitted(picture: Image.Image, canvas: tuple[int, int]) -> Image.Image:
    size = (canvas[1], canvas[0])
    return picture if picture.size == size else picture.resize(size, Image.Resampling.BILINEAR)


def _blocks(n: int, seed: int) -> Int:
    order = np.random.default_rng([seed, 0, n]).permutation(n)
    blocks = np.zeros(n, np.int64)
    for number, members in enumerate(np.array_split(order, -(-n // BLOCK))):
        blocks[members] = number
    return blocks


def _with_ends(scores: Sequence[Score]) -> list[Score]:
    """The scores with what effects are measured between: the shuffled row (else chance) and the oracle row."""
    ends = {(found.row, found.metric): found.value for found in scores}
    return [
        replace(
            found,
            null=ends.get(("shuffled", found.metric), found.chance),
            ceiling=ends.get(("oracle", found.metric)),
        )
        for found in scores
    ]


def ordered_rows(rows: Iterable[str]) -> tuple[str, ...]:
    """The rows, each once, the known ones in the ladder's order and the others after them by name."""
    present = set(rows)
    return (*(row for row in LADDER if row in present), *sorted(present - set(LADDER)))


def _in_order(scores: Sequence[Score]) -> tuple[Score, ...]:
    rows = ordered_rows(found.row for found in scores)

    def rank(found: Score) -> tuple[int, str, int]:
        base = found.metric.partition("_of_")[0]
        known = METRIC_ORDER.index(base) if base in METRIC_ORDER else len(METRIC_ORDER)
        return known, found.metric, rows.index(found.row)

    return tuple(sorted(scores, key=rank))


def trust(shown: Views) -> dict[str, float]:
    """group -> how often the judge's verdict on the references themselves is the true label."""
    return {
        group: round(float((shown.verdicts[group] == truth)[truth != ""].mean()), 4)
        for group, truth in shown.labels.items()
        if group in shown.verdicts and np.any(truth != "")
    }


def _card(samples: Samples, bench: Bench, chances: Chances, *, trusted: Mapping[str, float]) -> dict[str, Any]:
    drawn = {sample.stimulus for sample in samples.samples}
    return {
        "judge": dict(bench.card),
        "judge right about the references": dict(trusted),
        "seed": chances.seed,
        "bootstrap": chances.bootstrap,
        "permutations": chances.permutations,
        "unit": "stimulus",
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


def write_report(report: Report, samples: Samples) -> None:
    """Writes the three files, each whole or not at all; no room or no rights is a StorageError."""
    from evaluation.page import render

    rows = [found.facts() for found in report.scores]
    facts = {"card": report.card, "rows": rows, "absent": list(report.absent)}
    texts = {
        "report.json": json.dumps(_finite(facts), indent=1, allow_nan=False, ensure_ascii=False) + "\n",
        "per_stimulus.csv": per_stimulus(report.scores),
        "report.html": render(report, samples),
    }
    try:
        report.folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            part = report.folder / f"{name}.part"
            with part.open("w", encoding="utf-8", newline="") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            part.replace(report.folder / name)
    except OSError as error:
        raise StorageError(
            f"{report.folder}: cannot write the report here ({error.strerror}); make room or give another folder"
        ) from error


def per_stimulus(scores: Sequence[Score]) -> str:
    """CSV, one line a row, metric and stimulus: row, metric, judge, stimulus, value ("" where nothing was scored)."""
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(["row", "metric", "judge", "stimulus", "value"])
    for found in scores:
        for stimulus, value in zip(found.ids, found.values.tolist(), strict=True):
            table.writerow([found.row, found.metric, found.judge, stimulus, repr(value) if np.isfinite(value) else ""])
    return out.getvalue()


def _finite(facts: Any) -> Any:
    if isinstance(facts, float):
        return facts if np.isfinite(facts) else None
    if isinstance(facts, Mapping):
        return {key: _finite(value) for key, value in facts.items()}
    return [_finite(value) for value in facts] if isinstance(facts, list | tuple) else facts
