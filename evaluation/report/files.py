"""The files of a report: written whole or not at all, and read again as a ladder of scores."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from brain.errors import InputError, expected
from brain.files.tables import as_cell, of_cell, read_records
from brain.writing.locks import PART, sweep
from brain.writing.opener import write_text
from brain.writing.places import free_targets, unlinked
from evaluation.facts import read_json
from evaluation.metrics import CATALOGUE as METRICS
from evaluation.report.types import Ladder, Report
from evaluation.samples.rows import cards_from
from evaluation.score import Score
from evaluation.statistics.doubt import Doubt
from evaluation.statistics.metric_cards import MetricCard, cards_of, read_card
from evaluation.statistics.posteriors import KIND

FILES = ("report.json", "per_stimulus.csv", "report.html")
"""What a report consists of, in the order in which it is written."""
PAGE = 2
"""Which page a report has; a run whose page is an earlier one is judged again."""
GALLERY = "gallery"
"""The folder beside a page in which the leaves of its gallery lie, where not all stimuli have room in the page."""
GENERATOR, MARKED = b'<meta name="generator" content="afterimage">', 2000
"""By what a page of ours is known, and within how many of its first bytes."""
EXPORTED = ("rdms.hdf5", "human.key.csv")
"""The files of an export beside the report's own, the test's folder left aside."""


def write_report(report: Report) -> None:
    """Writes the three files and the leaves of the gallery, each whole or not at all; no room is a StorageError.

    Leaves of an earlier report that this one does not have are removed.
    """
    from evaluation.report.pages.page import render

    pages = render(report)
    texts = {
        FILES[0]: json.dumps(report_facts(report), indent=1, allow_nan=False, ensure_ascii=False) + "\n",
        FILES[1]: per_stimulus(report.scores, report.doubts),
    }
    for name, text in texts.items():
        write_text(report.folder / name, text)
    stale, home = set(leaves(report.folder)), report.folder / GALLERY
    if home.is_dir():
        sweep(home)
    for name, text in pages.leaves:
        write_text(home / name, text)
        stale.discard(home / name)
    write_text(report.folder / FILES[2], pages.page)
    for path in stale:
        path.unlink()


def leaves(folder: Path) -> list[Path]:
    """The pages of a gallery that lie in a report's folder, by number."""
    named = [path for path in (folder / GALLERY).glob("*.html") if path.stem.isdecimal()]
    return sorted(named, key=lambda path: int(path.stem))


def _made_by_us(page: Path) -> bool:
    with page.open("rb") as file:
        return GENERATOR in file.read(MARKED)


def free_leaves(folder: Path) -> None:
    """Refuses (InputError), before anything is judged, a folder whose gallery holds what no report of ours has left."""
    home = unlinked(folder / GALLERY)
    if not os.path.lexists(home):
        return
    free_targets(home, [path.name for path in leaves(folder)])
    for path in home.iterdir():
        if path.is_file() and PART.fullmatch(path.name):
            continue  # what a killed process has left, swept before leaves are written
        ours = path.is_file() and path.stem.isdecimal() and path.suffix == ".html"
        if not ours or not _made_by_us(path):
            found = f"{path.name}, which is none"
            raise InputError(expected(home, "pages of a report's gallery alone", found, "name another --out"))


def report_facts(report: Report) -> dict[str, Any]:
    """report.json: the finding in two sentences, and all the facts."""
    from evaluation.report.pages.page import answer

    return {"answer": list(answer(report)), **report.facts()}


def per_stimulus(scores: Sequence[Score], doubts: Sequence[Doubt] = ()) -> str:
    """CSV, one line a row, metric and stimulus: row, metric, judge, stimulus, value ("" where nothing was scored).

    Below the scores stand the words of posteriors, of judge "posterior": entropies in nats, shares of captions and
    labels. Texts that a spreadsheet would compute are written by `as_cell`.
    """
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(["row", "metric", "judge", "stimulus", "value"])
    for found in scores:
        for stimulus, value in zip(found.ids, found.values.tolist(), strict=True):
            texts = [as_cell(one) for one in (found.row, found.metric, found.judge, stimulus)]
            table.writerow([*texts, repr(value) if np.isfinite(value) else ""])
    for doubt in doubts:
        for metric, stimulus, value in doubt.lines():
            table.writerow([*(as_cell(one) for one in (doubt.row, metric, KIND, stimulus)), repr(value)])
    return out.getvalue()


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
    where = folder / "report.json"
    return Ladder(
        scores=scores, modality=modality, row_cards=cards_from(facts.get("row_cards", {}), where),
        metric_cards={**cards_of(scores, METRICS), **_metric_cards(facts.get("metric_cards", {}), where)},
    )  # fmt: skip


def _metric_cards(facts: Any, where: Path) -> dict[str, MetricCard]:
    """Printed name -> card, as a report was written."""
    if not isinstance(facts, dict):
        raise InputError(expected(where, "cards of metrics", type(facts).__name__, "evaluate the run again"))
    return {name: read_card(name, one, where) for name, one in facts.items()}


def _score(row: Mapping[str, Any], values: Mapping[str, float]) -> Score:
    """A score out of its row in report.json and the values of its stimuli."""
    known: dict[str, Any] = {
        name: np.nan if row[name] is None else float(row[name]) for name in ("low", "high", "chance", "null")
    }
    same = ("row", "metric", "judge", "ceiling", "p", "q", "pool", "samples", "withheld", "seed_sd")
    return Score(
        ids=tuple(values), values=np.array(list(values.values()), np.float64), lower=row["lower_is_better"],
        above_null=row["ceiling_above_null"], **known, **{name: row[name] for name in same},
    )  # fmt: skip
