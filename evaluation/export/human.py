"""A blinded two-alternative test for people: which of two samples was made for the picture seen, or the sound heard?

`write_human_test` makes a folder that opens in any browser without a server and without the network, and BESIDE it the
key, which stays with whoever runs the test. `python -m evaluation.export.human KEY ANSWERS` scores what came back.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import importlib.resources
import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from brain.console.commands import command, readable
from brain.errors import InputError, expected
from brain.files.tables import as_cell, cells, of_cell
from brain.writing.locks import sweep
from brain.writing.opener import write_bytes
from brain.writing.places import unlinked
from evaluation.samples.images import png_bytes
from evaluation.samples.sounds import SOUND
from evaluation.samples.types import Sample, Samples

KEY = ("trial", "row", "stimulus", "sample", "other", "answer")
ANSWERS = ("trial", "choice", "ms")
SIDES = ("left", "right")
ANOTHER = "give another folder"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One question: the picture seen, its own sample, and the sample of another stimulus of the same row.

    token   names the trial on the page; pictures are the tokens of seen, left and right
    answer  "left" or "right", where the own sample stands
    """

    token: str
    pictures: tuple[str, str, str]
    own: Sample
    other: Sample
    answer: str


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What people chose in one row.

    correct, answered, asked  trials; low, high: the exact 95 % interval of the share (Clopper & Pearson 1934)
    p                         one-sided binomial test against one half
    """

    row: str
    correct: int
    answered: int
    asked: int
    low: float
    high: float
    p: float

    @property
    def share(self) -> float:
        """Correct among the answered."""
        return self.correct / self.answered

    def line(self) -> str:
        """The row as text."""
        return (
            f"{self.row}: {self.correct} of {self.answered} answered right, {self.share:.3f} "
            f"[{self.low:.3f}, {self.high:.3f}], chance 0.500, p {self.p:.2g}, {self.asked - self.answered} unanswered"
        )


def key_of(folder: Path) -> Path:
    """Where the key of a test lies: beside its folder, never in it."""
    return folder.with_name(f"{folder.name}.key.csv")


def write_human_test(samples: Samples, folder: Path, *, rows: Sequence[str] = ("decoded",), seed: int) -> Path:
    """Writes the test into `folder`, which must be new or empty, and the key beside it; returns the key.

    The same call again writes what is missing and leaves the rest; another test there is an InputError.

    One trial a stimulus and row: its first sample that was not withheld against another stimulus' one, each sample
    once right and once wrong. Order, sides (half and half) and the pictures' names come from `seed`. A row with fewer
    than two stimuli or a folder in use is an InputError, no room a StorageError.
    """
    key = key_of(folder)
    rng = np.random.default_rng(seed)
    trials = [trial for row in rows for trial in _trials(samples, row, rng)]
    trials = [trials[place] for place in rng.permutation(len(trials))]
    _must_be_this_test(folder, key, trials, samples)
    # The key first: a test without a key would be answered for nothing.
    for path, data in _files(folder, key, trials, samples):
        if not path.exists():
            write_bytes(path, data())
    return key


def _files(
    folder: Path, key: Path, trials: Sequence[Trial], samples: Samples
) -> Iterator[tuple[Path, Callable[[], bytes]]]:
    """The files of a test in the order in which they are written, and what makes their bytes."""
    sound = samples.modality == SOUND
    yield key, lambda: _table(KEY, _key_lines(trials))
    for trial in trials:
        left, right = (trial.own, trial.other) if trial.answer == "left" else (trial.other, trial.own)
        for token, sample in zip(trial.pictures, (samples.references[trial.own.stimulus], left, right), strict=True):
            if sound:
                yield folder / f"{token}.wav", partial(samples.read, sample)
            else:
                yield folder / f"{token}.png", partial(_picture, samples, sample)
    yield folder / "index.html", lambda: _page(trials, sound=sound).encode()


def _picture(samples: Samples, sample: Sample) -> bytes:
    return png_bytes(samples.open(sample))


def _must_be_this_test(folder: Path, key: Path, trials: Sequence[Trial], samples: Samples) -> None:
    """Refuses a folder in use, unless by this very test, whole or begun; what a kill has left in that is removed."""
    unlinked(folder)
    in_use = folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))
    if in_use and not key.exists():
        raise InputError(f"{folder}: expected a new folder, found one in use with no key beside it; {ANOTHER}")
    for path, data in _files(folder, key, trials, samples):
        if path.exists() and not (path.is_file() and path.read_bytes() == data()):
            then = f"{ANOTHER}, or take that test and its key away"
            raise InputError(expected(path, "the test of these samples and this seed", "another one", then))
    sweep(folder)


def _trials(samples: Samples, row: str, rng: np.random.Generator) -> list[Trial]:
    firsts: dict[str, Sample] = {}
    for sample in samples.of(row):
        if not sample.withheld:
            firsts.setdefault(sample.stimulus, sample)
    if len(firsts) < 2:
        raise InputError(
            f"{samples.folder}: expected samples of two stimuli or more in row {row!r}, found {len(firsts)}; "
            f"rows here are {', '.join(samples.rows())}"
        )
    own = list(firsts.values())
    # One round through all stimuli in random order: nobody meets itself, and everybody is the wrong answer once.
    order = rng.permutation(len(own))
    other = {int(first): int(second) for first, second in zip(order, np.roll(order, 1), strict=True)}
    sides = rng.permutation(np.arange(len(own)) % 2)
    return [
        Trial(
            token=_token(rng), pictures=(_token(rng), _token(rng), _token(rng)), own=sample, other=own[other[place]],
            answer=SIDES[sides[place]],
        )
        for place, sample in enumerate(own)
    ]  # fmt: skip


def _token(rng: np.random.Generator) -> str:
    return rng.bytes(12).hex()


def _key_lines(trials: Sequence[Trial]) -> Iterator[tuple[str, ...]]:
    for trial in sorted(trials, key=lambda trial: (trial.own.row, trial.own.stimulus)):
        yield trial.token, trial.own.row, trial.own.stimulus, trial.own.name, trial.other.name, trial.answer


def _table(head: Sequence[str], lines: Iterator[tuple[str, ...]]) -> bytes:
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(head)
    table.writerows([as_cell(text) for text in line] for line in lines)
    return out.getvalue().encode()


def _page(trials: Sequence[Trial], *, sound: bool) -> str:
    from jinja2 import Environment, StrictUndefined

    source = importlib.resources.files("evaluation.export").joinpath("human.html.jinja").read_text("utf-8")
    asked = [(trial.token, *trial.pictures) for trial in trials]
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(source).render(
        script=_sha256(source, "script"), style=_sha256(source, "style"), trials=asked, sound=sound
    )


def _sha256(source: str, tag: str) -> str:
    """What the page's policy allows by name: the hash of its own script or style, and nothing else."""
    found = re.search(rf"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
    assert found is not None
    return base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()


def score_answers(key: Path, answers: Path) -> tuple[Choices, ...]:
    """What one person's answers (CSV trial, choice, ms) are worth, one entry a row of samples, in the key's order.

    Unanswered trials are counted apart. An unknown trial, one that stands twice in either file, another side than left
    and right, or milliseconds that are none is an InputError that names the line; capitals are read as small letters.
    """
    from scipy.stats import binomtest

    right = _by_trial(key, KEY, side="answer")
    chosen: dict[str, str] = {}
    for trial, line in _by_trial(answers, ANSWERS, side="choice").items():
        if trial not in right:
            raise InputError(
                f"{answers} line {line['line']}: expected a trial of {key}, found {trial!r}; give this test's key"
            )
        _must_be_a_time(f"{answers} line {line['line']}", line["ms"])
        chosen[trial] = line["choice"]
    if not chosen:
        raise InputError(f"{answers}: expected answers, found none; download them at the end of the test")
    found: list[Choices] = []
    for row in dict.fromkeys(line["row"] for line in right.values()):
        asked = {trial: line["answer"] for trial, line in right.items() if line["row"] == row}
        given = [chosen[trial] == answer for trial, answer in asked.items() if trial in chosen]
        if not given:
            continue
        test = binomtest(sum(given), len(given), 0.5, alternative="greater")
        exact = binomtest(sum(given), len(given), 0.5).proportion_ci(0.95, method="exact")
        found.append(
            Choices(
                row=row, correct=sum(given), answered=len(given), asked=len(asked), low=float(exact.low),
                high=float(exact.high), p=float(test.pvalue),
            )
        )  # fmt: skip
    return tuple(found)


def _by_trial(path: Path, head: Sequence[str], *, side: str) -> dict[str, dict[str, str]]:
    """The lines of the key or of the answers by their trial, each once, with left or right in the column `side`."""
    found: dict[str, dict[str, str]] = {}
    for number, line in _lines(path, head):
        trial, chosen = line["trial"].lower(), line[side].lower()
        if not trial:
            raise InputError(f"{path} line {number}: expected a trial, found none; give the file as it was written")
        if trial in found:
            first = found[trial]["line"]
            then = "keep the first answer" if side == "choice" else "give the key as it was written"
            found_too = f"found {trial} in line {first} too"
            raise InputError(f"{path} line {number}: expected each trial once, {found_too}; {then}")
        if chosen not in SIDES:
            raise InputError(f"{path} line {number}: expected left or right, found {line[side]!r}; correct it")
        found[trial] = {**line, side: chosen, "line": str(number)}
    return found


def _must_be_a_time(where: str, text: str) -> None:
    if not re.fullmatch(r"\d{1,12}(\.\d*)?", text):
        raise InputError(expected(where, "milliseconds", repr(text[:40]), "give the answers as they were downloaded"))


def _lines(path: Path, head: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    lines = cells(path, mark=",")
    if not lines or tuple(name.lower() for name in lines[0][1]) != tuple(head):
        came = ",".join(lines[0][1])[:80] if lines else "an empty file"
        raise InputError(
            f"{path}: expected the columns {','.join(head)}, found {came!r}; give the file as it was written"
        )
    for number, line in lines[1:]:
        if len(line) != len(head):
            raise InputError(f"{path} line {number}: expected {len(head)} values, found {len(line)}; correct the line")
    return [(number, dict(zip(head, map(of_cell, line), strict=True))) for number, line in lines[1:]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints one line a row of samples; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return command("human", lambda: _run(words))


def _run(words: list[str]) -> None:
    readable(words)
    parser = argparse.ArgumentParser(prog="python -m evaluation.export.human", description="Score a human test.")
    parser.add_argument("key", type=Path, metavar="KEY", help="the .key.csv beside the test's folder")
    parser.add_argument("answers", type=Path, metavar="ANSWERS", help="what the page gave to download")
    asked = parser.parse_args(words)
    for choices in score_answers(asked.key, asked.answers):
        print(choices.line())


if __name__ == "__main__":
    sys.exit(main())
