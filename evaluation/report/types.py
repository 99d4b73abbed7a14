"""What a report holds: the ladder of scores, and all that a judge found, as JSON and as a table of text.

    report.score("decoded", "two_way").value
    report.facts()                              what report.json says
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.profiles import Profile
from evaluation.report.costs import Cost
from evaluation.report.opponents import opponent_lines
from evaluation.report.statements import blocked_lines, design_lines, drift_lines, row_lines, warning_lines
from evaluation.report.worlds import (
    SHOWN,
    blind_lines,
    copied_lines,
    matched_lines,
    recorded_lines,
    silenced_lines,
    simulated_lines,
    word_lines,
    world_lines,
)
from evaluation.samples.rows import OWN, RowCard, card_of, ordered_rows
from evaluation.samples.types import Samples
from evaluation.score import Score
from evaluation.statistics.conditions import ConditionScore
from evaluation.statistics.curves import Point
from evaluation.statistics.doubt import Doubt
from evaluation.statistics.embedding_retrieval import Retrieved
from evaluation.statistics.findings import Findings
from evaluation.statistics.folds import Design, as_facts
from evaluation.statistics.metric_cards import MetricCard, plain_card

PRINTED = 6  # columns of the table in a terminal; report.json has them all


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Scores in the ladder's order, of pictures ("image") or of sounds ("sound"), and what is printed of them.

    row_cards     row -> its card, of rows that the samples' folder names
    metric_cards  printed name of a metric -> its card, of metrics of the catalogue
    """

    scores: tuple[Score, ...]
    modality: str
    row_cards: Mapping[str, RowCard] = field(default_factory=dict)
    metric_cards: Mapping[str, MetricCard] = field(default_factory=dict)

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
        return ordered_rows((found.row for found in self.scores), self.row_cards)

    def row_card(self, row: str) -> RowCard:
        """What is printed of a row."""
        return card_of(row, self.row_cards, modality=self.modality)

    def metric_card(self, name: str) -> MetricCard:
        """What is printed of a metric by the name that its scores have; of one that nobody knows, its name."""
        return self.metric_cards.get(name) or plain_card(name)


@dataclass(frozen=True, kw_only=True)
class Report(Ladder):
    """What a judge found, and where the files are.

    absent      one sentence a metric that could not be computed; card: what all was computed with
    folder      holds report.json, per_stimulus.csv and report.html; `home` the run or folder that was judged
    profile     which metrics were asked for
    dimensions  row -> effective dimension of its samples, "reference" and conditions too
    points      of the curves, where the run has some; titles: curve -> what it is over
    conditions  identification before the generator, and what it loses, space by space
    retrieval   of embeddings, before the generator, map by map in both directions
    leaks       what is known of training stimuli among the tested ones, {} where nobody looked
    findings    the judging behind it all, of `samples`
    design      how the test stimuli were left out, and the null of folds
    doubts      what posteriors say of the stimuli, one a method, () where the run has none
    cost        what judging has taken, None where it was not measured
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
    retrieval: tuple[Retrieved, ...]
    leaks: Mapping[str, Any]
    findings: Findings
    samples: Samples
    design: Design
    doubts: tuple[Doubt, ...] = ()
    cost: Cost | None = None

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
            *silenced_lines(self.card["run"]),
            *simulated_lines(self.simulated, reader=_reader(self.card["run"])),
            *world_lines(
                known["judge"], self.samples.drawn_by or self._own_simulator(), modality=self.modality,
                trust=self.findings.trust,
            ),
            *word_lines(self.findings.words),
            *blind_lines(self.findings.apart, self.judge),
            *copied_lines(self.leaks),
            *opponent_lines(self.scores, card=self.row_card, metric=self.metric_card),
            *warning_lines(self.design, blocks=self._blocks(), permutations=known["permutations"]),
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

    def _carded(self) -> list[str]:
        """The rows of the ladder that have a card, and are not called by their name alone."""
        return [row for row in self.rows() if row in self.row_cards or row in OWN]

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
            "profile": {"name": self.profile.name, "does": self.profile.description, "wrong": self.profile.wrong},
            "rows": [found.facts() for found in self.scores],
            "dimensions": dict(self.dimensions),
            "curves": [point.facts() for point in self.points],
            "design": as_facts(self.design),
            "conditions": [found.facts() for found in self.conditions],
            "embedding_retrieval": [found.facts() for found in self.retrieval],
            "sets": [found.facts() for found in self.findings.sets],
            "leaks": dict(self.leaks),
            "absent": list(self.absent),
            "row_cards": {row: self.row_card(row).facts() for row in self._carded()},
            "metric_cards": {name: card.facts() for name, card in self.metric_cards.items()},
        }
        if self.doubts:
            whole["posteriors"] = [one.facts() for one in self.doubts]
        return dict(finite(whole))


def _data(run: Mapping[str, Any]) -> Mapping[str, Any]:
    data = run.get("data", {})
    return data if isinstance(data, Mapping) else {}


def _reader(run: Mapping[str, Any]) -> str:
    return str(_data(run).get("reader", ""))


def finite(facts: Any) -> Any:
    """Plain facts with every number that is not finite as None, as JSON has it."""
    if isinstance(facts, float):
        return facts if np.isfinite(facts) else None
    if isinstance(facts, Mapping):
        return {key: finite(value) for key, value in facts.items()}
    return [finite(value) for value in facts] if isinstance(facts, list | tuple) else facts
