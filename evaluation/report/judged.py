"""A run that was evaluated, read again: the scores of its report, its samples, and what the report's card says.

    run = read_judged(Path("runs/first"))
    run.ladder.score("decoded", "two_way"), run.split, run.judge
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain.errors import InputError, expected
from brain.writing.locks import must_be_idle
from brain.writing.origin import plain
from evaluation.facts import read_json, silenced_in
from evaluation.report.audit import COUNTS, must_be_of_these
from evaluation.report.evaluate import run_folder
from evaluation.report.files import FILES, read_ladder
from evaluation.report.types import Ladder
from evaluation.samples.index import find_index
from evaluation.samples.read import read_samples
from evaluation.samples.types import Samples
from evaluation.score import Score
from evaluation.statistics.folds import DECODED

SHA = 8
"""Letters of a sha256 that are printed."""
LABEL = 40
"""Letters of a run's name in a sentence; its line in the table of runs has all of them."""
VERSION = ("name", "sha256", "input", "layer")
"""What of a judge's card makes it the judge that it is."""
FITTED = ("settings", "data", "splits", "spaces", "fitted")
"""What of a run's card makes it the run that a folder drawn beside it names by its digest."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One run beside others.

    home    the run, or the folder that was evaluated; name what it is called here, none as another
    known   what the report's card says of the judging; card: what it says of the run, {} of anybody's folder
    folds   how many folds the test stimuli were left out in, 1 for one test set
    digest  sha256 of the responses that were decoded, "" where nobody says it
    """

    home: Path
    name: str
    ladder: Ladder
    samples: Samples
    known: Mapping[str, Any]
    card: Mapping[str, Any]
    folds: int
    digest: str = ""

    @property
    def label(self) -> str:
        """The name, its middle left out where it is long."""
        half = LABEL // 2
        return self.name if len(self.name) <= LABEL else f"{self.name[:half]}…{self.name[1 - half :]}"

    @property
    def subject(self) -> str:
        """Whose brain it was."""
        return text_at(self.card, "data", "subject") or text_at(self.card, "subject")

    @property
    def recipe(self) -> str:
        """The recipe of the run's settings."""
        return text_at(self.card, "settings", "recipe") or text_at(self.card, "recipe")

    @property
    def method(self) -> str:
        """The method that drew row decoded."""
        drawn_by = sorted({one.method for one in self.samples.of(DECODED)})
        return text_at(self.card, "decode", "sampling", "method") or ", ".join(drawn_by)

    @property
    def split(self) -> str:
        """The name of the split with the first letters of its sha256, fold by fold."""
        listed = self.card.get("splits")
        splits = listed if isinstance(listed, list) and listed else [self.card.get("split")]
        named = [f"{text_at(one, 'name')} {text_at(one, 'sha256')[:SHA]}".strip() for one in splits]
        return ", ".join(one for one in named if one)

    @property
    def beside(self) -> Mapping[str, Any]:
        """What the card says of samples drawn beside a run, {} of a run itself."""
        found = self.card.get("beside")
        return found if isinstance(found, Mapping) else {}

    @property
    def drawn(self) -> Mapping[str, Any]:
        """Part -> name -> value of the settings that samples beside a run were drawn with, not the run's."""
        found: dict[str, dict[str, Any]] = {}
        listed = self.beside.get("drawn")
        for key, value in listed.items() if isinstance(listed, Mapping) else ():
            part, _, name = key.partition(": ")
            found.setdefault(part, {})[name] = value
        return found

    @property
    def origin(self) -> str:
        """The digest of the run whose decoders drew the samples: this one, or the one beside which they were drawn;
        "" where nobody says it."""
        if self.beside or not self.card:
            return text_at(self.beside, "run")
        known = {name: self.card.get(name) for name in FITTED}
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()

    @property
    def silenced(self) -> tuple[str, ...]:
        """The regions whose voxels stood at their training mean, () where none did."""
        return silenced_in(self.card)

    @property
    def simulated(self) -> str:
        """What simulated the brain, "" for a recorded one and where nobody says it."""
        return self.samples.simulated or text_at(self.known, "simulated")

    @property
    def profile(self) -> str:
        """The profile that it was judged under."""
        return text_at(self.known, "profile")

    @property
    def judge(self) -> str:
        """The judge with the first letters of its sha256."""
        return shown_judge(self.known["judge"])

    def judge_of(self, score: Score) -> Mapping[str, Any]:
        """The card of who looked for a score, {} where nobody did."""
        if score.judge == self.known["judge"]["name"]:
            return dict(self.known["judge"])
        others = self.known.get("other judges")
        found = others.get(score.judge) if isinstance(others, Mapping) else None
        return found if isinstance(found, Mapping) else {}


def text_at(facts: Any, *path: str) -> str:
    """The text at a path of nested facts, printable; "" where there is none, for cards come from strangers too."""
    for name in path:
        facts = facts.get(name) if isinstance(facts, Mapping) else None
    return plain(facts) if isinstance(facts, str) else ""


def shown_judge(card: Mapping[str, Any]) -> str:
    """A judge by its name and the first letters of its sha256."""
    return f"{text_at(card, 'name')} {text_at(card, 'sha256')[:SHA]}".strip() or "no judge"


def version_of(card: Mapping[str, Any]) -> tuple[str, ...]:
    """What two judges of one version have alike."""
    return tuple(str(card.get(name, "")) for name in VERSION)


def read_judged(folder: Path, *, name: str = "") -> Judged:
    """The run in `folder` with its report; none, a damaged, a stale or an older report is an InputError.

    A run or report that another process is writing is a StorageError.
    """
    if not folder.is_dir():
        raise InputError(expected(folder, "a run, or a folder that was evaluated", "no folder", "name another"))
    home = run_folder(folder)
    for place in (home, home / "report"):
        must_be_idle(place)
    where = home / "report" / FILES[0]
    facts = read_json(where)
    if not facts:
        raise InputError(expected(where, "a report to compare", "none", f"run `afterimage evaluate {folder}` first"))
    known, card, folds = _parts(facts, where)
    if find_index(folder) is None and not (folder / "references").is_dir():
        then = "put what was shown into it and evaluate it again"
        raise InputError(expected(folder / "references", "what was shown, beside the samples", "no folder", then))
    samples = read_samples(folder, references=None)
    must_be_of_these(home, known, samples)
    ladder = read_ladder(home / "report", modality=samples.modality)
    if not any(one.row == DECODED and one.n for one in ladder.scores):
        came = "none" if ladder.scores else f"no {FILES[1]} or no score in it"
        raise InputError(expected(where, f"scores of row {DECODED}", came, f"run `afterimage evaluate {folder}` again"))
    return Judged(
        home=home, name=name or plain(home.resolve().name), ladder=ladder, samples=samples, known=known, card=card,
        folds=folds, digest=text_at(read_json(home / "content.json"), "responses"),
    )  # fmt: skip


def _parts(facts: Mapping[str, Any], where: Path) -> tuple[Mapping[str, Any], Mapping[str, Any], int]:
    """The judging, the run and the number of folds of a report.json; one of other parts is an InputError."""
    try:
        known, card, folds = facts["card"]["evaluation"], facts["card"]["run"], facts["design"]["folds"]
        kinds = (known["judge"]["name"], str), (known["profile"], str), (folds, int), (card, dict)
        counts = [known.get(one, 0) for one in COUNTS]
        odd = [value for value, kind in (*kinds, *((one, int) for one in counts)) if type(value) is not kind]
        if odd:
            raise TypeError(f"{odd[0]!r:.40}")
    except (KeyError, TypeError, AttributeError) as fault:
        came = f"one without {fault}" if isinstance(fault, KeyError) else f"one of other parts ({fault})"
        raise InputError(expected(where, "a report of this version", came, "evaluate the run again")) from fault
    return known, card, folds
