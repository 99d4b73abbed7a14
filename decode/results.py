"""What the calls of `decode.api` return: an opened recording, a run, a report, synthesized pictures.

    run = Run("runs/first")                run.shown(), run.drawn("shuffled"), run.accuracy
    report = judge(run)                    report.answer, report.value("decoded", "two_way"), report.table()
"""

from __future__ import annotations

import hashlib
import html
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brain.catalogue import unknown
from brain.console.terminal import plain
from brain.errors import InputError, UsageError, counted, expected
from brain.files.json_files import is_number, read_json
from brain.files.pictures import decode_image, read_bytes
from brain.files.waveforms import RATE
from brain.types import Recording
from brain.writing.places import only_files
from decode.run.folder import RunFolder
from decode.run.settings import DataSettings
from evaluation.samples.images import IMAGE
from evaluation.samples.index import find_index, read_rows
from evaluation.samples.read import read_samples
from evaluation.samples.sounds import SOUND
from evaluation.samples.types import Sample, Samples, inside

ROW = "decoded"
FIRST = 4
"""Metrics of a report that a notebook shows."""
AGAIN = "judge again"


def folder_of(place: Any, *, what: str) -> Path:
    """A path of a text or path, `~` taken for the home folder; anything else is a UsageError that says `what` it is."""
    text = os.fspath(place) if isinstance(place, str | os.PathLike) else ""
    if isinstance(text, str) and text and "\0" not in text:
        return Path(text).expanduser()
    raise UsageError(expected(what, "a path", f"{place!r:.60}", "write it as text"))


@dataclass(frozen=True, kw_only=True, repr=False)
class OpenedRecording(Recording):
    """A `brain.types.Recording` that remembers where it lies and how it was asked for, so that `fit` reads the same.

    path      where the data lie, absolute; asked: the settings that it was opened with
    original  what was opened: a recording that was changed since is not what `fit` would read
    """

    path: Path
    asked: DataSettings
    original: tuple[Any, ...] = field(default=(), compare=False)

    @property
    def parts(self) -> tuple[Any, ...]:
        """What a mapping is fitted on."""
        return self.responses, self.stimuli, self.regions, self.splits

    @property
    def is_as_opened(self) -> bool:
        """Whether nothing was put in the place of what was read."""
        return all(one is other for one, other in zip(self.parts, self.original, strict=True))

    def __repr__(self) -> str:
        trials, voxels = self.responses.values.shape
        stimuli = f"{counted(len(self.stimuli.ids), 'stimulus', 'stimuli')} ({self.stimuli.modality})"
        lines = [
            f"recording of subject {self.responses.space.subject}, {self.reader}, {self.path.name}",
            f"{counted(trials, 'trial')} x {counted(voxels, 'voxel')}, {stimuli}",
        ]
        for word, some in (("regions", self.regions), ("splits", self.splits)):
            names = [one.name for one in some[:FIRST]]
            lines.append(f"{word} {', '.join(names)}{', ...' if len(some) > FIRST else ''}")
        return "\n  ".join([*lines, *([f"simulated: {self.simulated}"] if self.simulated else [])])


@dataclass(frozen=True)
class Run:
    """A run folder, new or made long ago: `Run("runs/first")`."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", folder_of(self.path, what="Run"))

    @property
    def accuracy(self) -> dict[str, float]:
        """Map and split -> cross-validated R2 of the training stimuli, mean over the map's targets.

        No run there, one that is not fitted, or a card that somebody has changed is an InputError.
        """
        run = RunFolder(self.path)
        run.stored()
        found = run.card_facts().get("accuracy")
        if not isinstance(found, dict) or not all(is_number(one) for one in found.values()):
            raise InputError(expected(run.card, "the accuracy of fitted maps", f"{found!r:.40}", "fit the run"))
        return {str(name): float(value) for name, value in found.items()}

    def samples(self) -> Samples:
        """Everything that was drawn, as it lies in RUN/samples; nothing there, or a link, is an InputError."""
        only_files(self.path)
        if find_index(self.path) is None:
            raise InputError(expected(self.path, "a run with samples", "none", "draw them first: draw(run)"))
        return read_samples(self.path, references=None)

    def shown(self) -> dict[str, Any]:
        """Test stimulus -> what was shown: an RGB picture, or (waveform (sample,) float32, rate in Hz)."""
        samples = self.samples()
        return {name: _opened(samples, one) for name, one in sorted(samples.references.items())}

    def drawn(self, row: str = ROW) -> dict[str, list[Any]]:
        """Test stimulus -> the samples of a row, pictures or (waveform, rate in Hz); a row not there: UsageError."""
        samples, found = self.samples(), dict[str, list[Any]]()
        if row not in samples.rows():
            raise UsageError(unknown("row", str(row), samples.rows()))
        for one in samples.of(row):
            if not one.withheld:
                found.setdefault(one.stimulus, []).append(_opened(samples, one))
        return found


@dataclass(frozen=True)
class Judged:
    """A report as it was when it was made; its HTML page, report.json and per_stimulus.csv lie in one folder.

    page   the HTML file; facts: report.json
    """

    page: Path
    facts: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, page: Path | str) -> Judged:
        """The report beside this page; none, or one of another form, is an InputError."""
        place = folder_of(page, what="Judged.read")
        path = place.with_name("report.json")
        only_files(place.parent)
        facts = read_json(path, what="a report", then=AGAIN)
        texts = [facts.get("answer"), facts.get("said")]
        rows = facts.get("rows")
        if (
            not all(isinstance(one, list) and all(isinstance(line, str) for line in one) for one in texts)
            or not isinstance(rows, list)
            or not all(isinstance(one, dict) and _is_score(one) for one in rows)
        ):
            raise InputError(expected(path, "a report of this version", "one of another form", AGAIN))
        return cls(page=place, facts=facts)

    @property
    def answer(self) -> str:
        """The finding: two-way identification, its interval, p and what it has to be held against."""
        return plain(" ".join(self.facts["answer"]))

    @property
    def said(self) -> tuple[str, ...]:
        """What has to be known before any number is read, a sentence each: whose brain it is comes first."""
        return tuple(plain(one) for one in self.facts["said"])

    def value(self, row: str, metric: str) -> float:
        """The mean of a metric over the stimuli of a row, NaN where it does not exist; unknown names: UsageError.

        A number alone says little: `table` has its interval, chance, p and n.
        """
        rows = [one for one in self.facts["rows"] if one["row"] == row]
        if not rows:
            known = tuple(dict.fromkeys(one["row"] for one in self.facts["rows"]))
            raise UsageError(unknown("row", str(row), known))
        for one in rows:
            if one["metric"] == metric:
                return math.nan if one["value"] is None else float(one["value"])
        raise UsageError(unknown("metric", str(metric), tuple(one["metric"] for one in rows)))

    def table(self) -> Any:
        """A pandas DataFrame: a line for each row and metric, with its 95 % interval, chance, p, q, n and pool.

        q is p corrected for the metrics and regions of a row (Benjamini & Hochberg 1995).
        """
        import pandas

        return pandas.DataFrame(self.facts["rows"])

    def embedding_retrieval(self) -> Any:
        """A pandas DataFrame: top-1 retrieval of embeddings of every map, in both directions, before the generator."""
        import pandas

        return pandas.DataFrame(self.facts.get("embedding_retrieval", []))

    def __str__(self) -> str:
        return "\n".join((self.answer, *self.said, str(self.page)))

    def _repr_html_(self) -> str:
        """What a notebook shows: the finding, what has to be known, and the first metrics of every row."""
        names = list(dict.fromkeys(one["metric"] for one in self.facts["rows"]))[:FIRST]
        found = {(one["row"], one["metric"]): one for one in self.facts["rows"]}
        lines = [["row", *(_headed(name, found) for name in names)]]
        for row in dict.fromkeys(row for row, _ in found):
            lines.append([row, *(_cell(found.get((row, name))) for name in names)])
        lines.append(["chance of the first row", *(_number(_first(name, found).get("chance")) for name in names)])
        cells = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in line)}</tr>" for line in lines)
        said = "".join(f"<li>{html.escape(one)}</li>" for one in self.said)
        return f"<p><b>{html.escape(self.answer)}</b></p><ul>{said}</ul><table>{cells}</table>"


@dataclass(frozen=True)
class Synthesized:
    """Pictures that drive a region: `page` is the HTML file that judges them, report.json lies beside it."""

    page: Path

    @property
    def answer(self) -> str:
        """The finding, and what controls reach."""
        path = self.page.with_name("report.json")
        facts = read_json(path, what="a report", then="synthesize again")
        if not isinstance(facts.get("answer"), str):
            raise InputError(expected(path, "a report of synthesized pictures", "another", "synthesize again"))
        return plain(f"{facts['answer']} {facts.get('detail', '')}".strip())

    def pictures(self) -> dict[str, list[Any]]:
        """Method -> its RGB pictures, in the order of their numbers; others than the index names: InputError."""
        folder, found = self.page.parent / "samples", dict[str, list[Any]]()
        only_files(self.page.parent)
        for one in sorted(read_rows(folder), key=lambda one: (one.row, len(one.stimulus), one.stimulus)):
            if not one.withheld:
                found.setdefault(one.row, []).append(_picture(folder, one))
        if not found:
            raise InputError(expected(folder, "synthesized pictures", "none", "synthesize again"))
        return found


def _picture(folder: Path, sample: Sample) -> Any:
    path = inside(folder, sample.file)
    data = read_bytes(path, what=IMAGE)
    if sample.sha256 and hashlib.sha256(data).hexdigest() != sample.sha256:
        raise InputError(expected(path, "the bytes that the index names (sha256)", "others", "synthesize again"))
    return decode_image(data, path)


def _opened(samples: Samples, sample: Sample) -> Any:
    return (samples.hear(sample), RATE) if samples.modality == SOUND else samples.open(sample)


def _is_score(one: Mapping[str, Any]) -> bool:
    names = all(isinstance(one.get(key), str) for key in ("row", "metric"))
    values = (one.get(key) for key in ("value", "low", "high", "chance", "p"))
    return names and all(value is None or is_number(value) for value in values)


def _first(metric: str, found: Mapping[tuple[str, str], Any]) -> Mapping[str, Any]:
    one: Mapping[str, Any] = next(one for (_, name), one in found.items() if name == metric)
    return one


def _headed(metric: str, found: Mapping[tuple[str, str], Any]) -> str:
    return f"{metric}{' (less is better)' if _first(metric, found).get('lower_is_better') else ''}"


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.3f}"


def _cell(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return "–"
    p = f", p = {one['p']:.3f}" if one.get("p") is not None else ""
    return f"{_number(one['value'])} [{_number(one['low'])}, {_number(one['high'])}]{p}"
