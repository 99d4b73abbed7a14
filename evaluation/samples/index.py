"""The index of a folder of samples, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brain.errors import InputError
from brain.files.json_files import parsed
from brain.names import one_line
from evaluation.samples.types import INDEX, Sample, inside


def find_index(folder: Path) -> Path | None:
    """The index of a run folder or of a samples folder, or None where there is none (a foreign folder)."""
    return next((path for path in (folder / INDEX, folder / "samples" / INDEX) if path.is_file()), None)


def read_rows(folder: Path) -> tuple[Sample, ...]:
    """The samples of an index that stands without references of its own, ordered; none where there is no index."""
    index = folder / INDEX
    if not index.is_file():
        return ()
    raw = index.read_bytes()
    return tuple(sorted(lines_of(raw[: raw.rfind(b"\n") + 1], index), key=lambda line: line.key))


def lines_of(raw: bytes, index: Path) -> Iterator[Sample]:
    """The samples of the whole lines of an index; a damaged line, or a sample that is there twice: InputError."""
    seen: set[tuple[str, str, int]] = set()
    for number, line in enumerate(raw.split(b"\n")[:-1], 1):
        where = f"{index} line {number}"
        facts = parsed(line, where, what="one sample as JSON", then="remove it")
        try:
            sample = _sample(facts)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{where}: expected one sample as JSON, found {error}; remove it") from error
        for name in (sample.row, sample.stimulus, sample.method, sample.block, *sample.labels, *sample.labels.values()):
            one_line(name, where)
        if sample.file:
            inside(index.parent, sample.file)
        if sample.key in seen:
            raise InputError(
                f"{index} line {number}: {sample.row} {sample.name} is a duplicate; remove one of the lines"
            )
        seen.add(sample.key)
        yield sample


def _sample(facts: Any) -> Sample:
    if not isinstance(facts, dict):
        raise TypeError("no object")
    sample = Sample(
        row=facts["row"],
        stimulus=facts["stimulus"],
        index=facts.get("index", 0),
        seed=facts.get("seed", 0),
        file=facts["file"],
        sha256=facts.get("sha256", ""),
        method=facts.get("method", ""),
        withheld=facts.get("withheld", False),
        captions=tuple(facts.get("captions", ())),
        labels=dict(facts.get("labels", {})),
        block=facts.get("block", ""),
        candidates=facts.get("candidates", 1),
    )
    texts = (sample.row, sample.stimulus, sample.file, sample.sha256, sample.method, sample.block, *sample.captions)
    if not all(isinstance(text, str) for text in (*texts, *sample.labels, *sample.labels.values())):
        raise TypeError("something other than text in a text field")
    if not (type(sample.index) is int and type(sample.seed) is int and type(sample.withheld) is bool):
        raise TypeError("index, seed or withheld of the wrong kind")
    if type(sample.candidates) is not int or sample.candidates < 1:
        raise TypeError("candidates that are no number above 0")
    if not sample.file and not sample.withheld:
        raise ValueError("neither a file nor withheld")
    return sample
