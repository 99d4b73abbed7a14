"""Audit: every number of a report computed again from the files it stands on; any difference fails.

afterimage audit RUN          (also: python -m evaluation FOLDER --audit)
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from brain.errors import InputError, expected
from brain.files.paths import read_text
from brain.writing.locks import must_be_idle
from evaluation.facts import read_json
from evaluation.report.evaluate import Judging, measure, run_folder
from evaluation.report.files import per_stimulus, report_facts
from evaluation.samples.read import read_samples
from evaluation.samples.types import Samples

TOLERANCE = 1e-6
"""Two machines may sum in another order; nothing that anybody would print differs by less."""
SHOWN = 3
ADDED = ("row_cards", "metric_cards", "embedding_retrieval", "answer")
"""What reports that were written before do not say."""
COUNTS = ("seed", "bootstrap", "permutations", "samples", "references")
"""Whole numbers of a report's card."""
KEYS = ("row", "metric", "curve", "label", "measure", "space", "direction", "method", "group")
"""By what an entry of a list is called."""


def audit(folder: Path, *, judge: str = "", references: Path | None = None, train: Path | None = None) -> str:
    """One sentence that all is right; a difference, an altered sample or no report at all is an InputError.

    A run or report that another process is writing is a StorageError that names it.
    judge   needed again where the report's judge was a folder; train where a folder was looked through for leaks
    """
    home = run_folder(folder)
    for place in (home, home / "report"):
        must_be_idle(place)
    path = home / "report" / "report.json"
    written = read_json(path)
    if not written:
        raise InputError(f"{path}: expected a report to audit, found none; run `afterimage evaluate {folder}` first")
    found = list(differences(home, folder, written, judge=judge, references=references, train=train))
    if found:
        more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise InputError(
            f"{path}: {len(found)} numbers are not what the files give: {'; '.join(found[:SHOWN])}{more}; "
            "do not trust this report, evaluate again"
        )
    older = [name for name in ADDED if name not in written]
    aside = f"; written without {', '.join(older)}, of which nothing is said" if older else ""
    counts = f"{len(written['rows'])} scores, {len(written['curves'])} points of curves and every stimulus' value"
    return f"{path}: {counts} are what the files give{aside}"


def differences(
    home: Path,
    folder: Path,
    written: Mapping[str, Any],
    *,
    judge: str,
    references: Path | None,
    train: Path | None,
) -> Iterator[str]:
    """One phrase a number that differs; nothing is written."""
    try:
        card = written["card"]["evaluation"]
        if odd := [name for name in COUNTS if type(card.get(name, 0)) is not int]:
            raise TypeError(f"{odd[0]} {card[odd[0]]!r:.40}")
        how = Judging(
            judge=judge or card["judge"]["name"], profile=card["profile"], seed=card["seed"],
            bootstrap=card["bootstrap"], permutations=card["permutations"], train=train,
        )  # fmt: skip
    except (KeyError, TypeError) as fault:
        found = f"one without {fault}" if isinstance(fault, KeyError) else f"one of other parts ({fault})"
        raise InputError(expected(home, "a report of this version", found, "evaluate again")) from fault
    samples = read_samples(folder, references=references)
    must_be_of_these(home, card, samples)
    report = measure(folder, _in_written_order(samples, written), how=how)
    again = json.loads(json.dumps(report_facts(report)))
    del again["card"]["run"]
    for name in ADDED:
        if name not in written:
            del again[name]
    _without_looked_up(again, written)
    kept = {**written, "card": {name: value for name, value in written["card"].items() if name != "run"}}
    yield from _apart(kept, again, "")
    table = home / "report" / "per_stimulus.csv"
    text = read_text(table, what="a report's table", then="evaluate again") if table.is_file() else ""
    lines, wanted = text.splitlines(), per_stimulus(report.scores, report.doubts).splitlines()
    if len(lines) != len(wanted):
        yield f"per_stimulus.csv has {len(lines)} lines and not {len(wanted)}"
        return
    for number, (line, other) in enumerate(zip(lines, wanted, strict=True), 1):
        if line != other and not _alike(line, other):
            yield f"per_stimulus.csv line {number} says {line!r} and not {other!r}"


def _without_looked_up(again: dict[str, Any], written: Mapping[str, Any]) -> None:
    """Takes `looked_up` off the cards of rows, where a report was written before any card had it."""
    cards = written.get("row_cards")
    known = cards.values() if isinstance(cards, Mapping) else ()
    if not any(isinstance(one, Mapping) and "looked_up" in one for one in known):
        for one in again.get("row_cards", {}).values():
            one.pop("looked_up", None)


def _in_written_order(samples: Samples, written: Mapping[str, Any]) -> Samples:
    """The samples, their rows in the order of a report that was written before rows had cards."""
    if "row_cards" in written or samples.cards:
        return samples
    listed = written.get("rows")
    rows = dict.fromkeys(str(one.get("row")) for one in listed if isinstance(one, Mapping)) if listed else {}
    cards = {row: replace(samples.card(row), order=place) for place, row in enumerate(rows)}
    return replace(samples, cards=cards)


def must_be_of_these(home: Path, card: Mapping[str, Any], samples: Samples) -> None:
    """Refuses (InputError) a report older than some of these samples, which is stale and not wrong."""
    for what, now in (("samples", len(samples.samples)), ("references", len(samples.references))):
        written = card.get(what, now)
        if now > written:
            raise InputError(
                expected(
                    home / "report", f"a report of the {now} {what} that are there",
                    f"one of {written}, which is stale", f"evaluate again: afterimage evaluate {home}",
                )
            )  # fmt: skip


def _apart(written: Any, again: Any, where: str) -> Iterator[str]:
    if isinstance(written, dict) and isinstance(again, dict):
        for key in sorted({*written, *again}):
            if key == "versions":
                continue
            if key not in written or key not in again:
                yield f"{where} {key} is {'new' if key in again else 'gone'}".strip()
            else:
                yield from _apart(written[key], again[key], f"{where} {key}".strip())
    elif isinstance(written, list) and isinstance(again, list) and len(written) == len(again):
        for one, other in zip(written, again, strict=True):
            yield from _apart(one, other, f"{where} {_name(other)}".strip())
    elif isinstance(written, list) and isinstance(again, list):
        yield f"{where} has {len(written)} entries and not {len(again)}"
    elif not _same(written, again):
        yield f"{where} says {written!r:.80} and not {again!r:.80}"


def _name(entry: Any) -> str:
    if not isinstance(entry, dict):
        return ""
    return " ".join(str(entry[key]) for key in KEYS if key in entry)


def _same(one: Any, other: Any) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other))
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE) if numbers else bool(one == other)


def _alike(line: str, other: str) -> bool:
    """Whether two lines of the table say the same but for the last digits of their value."""
    (*keys, value), (*wanted, number) = line.rsplit(",", 1), other.rsplit(",", 1)
    try:
        return keys == wanted and math.isclose(float(value), float(number), rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    except ValueError:
        return False
