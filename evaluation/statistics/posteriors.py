"""What a method's posterior says of every test stimulus, in words: RUN/posteriors/METHOD.json, whoever wrote it.

    {"format": 1, "kind": "posterior", "candidates": 100000, "made of": sha256 of the evidence,
     "stimuli": {"nsd00013": {"captions": [["a red car on a road", 0.41, "coco-17"], ...],
                              "entropy": 2.1, "prior_entropy": 11.5, "none": false,
                              "labels": {"kind": {"car": 0.71, "truck": 0.12}}}}}

Captions are those of the most likely candidates, most likely first, each with its share of the posterior and its id in
the bank. Entropies are nats. "none": no candidate of the bank explains the pattern, so that shares among them say
nothing. Labels of a small share may be left out. Other keys are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brain.errors import InputError, expected
from brain.files.json_files import is_number, read_json
from brain.files.paths import listed, optional_folder
from brain.writing.places import inside
from evaluation.samples.rows import printable

FOLDER, KIND, FORMAT = "posteriors", "posterior", 1
THEN = "decode the run again, or remove the file"
MOST = {"posteriors": 100, "stimuli": 100_000, "captions": 100, "groups": 100, "labels": 10_000}
"""How many of each a run, a file or a stimulus may have."""
LONGEST = {"method": 80, "stimulus": 1000, "caption": 2000, "candidate": 1000, "group": 400, "label": 400}
"""Letters that each text may have."""
MOST_CANDIDATES, MOST_NATS = 10**12, 100.0
SLACK = 0.01
"""By how much shares that are written with four digits may add up to more than 1."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A likely candidate: its caption, "" where the bank has none, its share of the posterior, its id in the bank."""

    caption: str
    share: float
    item: str


@dataclass(frozen=True, kw_only=True)
class Words:
    """What the posterior of one stimulus says.

    captions  the most likely candidates, most likely first
    entropy   nats; `prior_entropy` before the response, the log of how many candidates there are
    labels    group -> label -> share; those of a small share may be left out
    none      whether no candidate of the bank explains the pattern
    """

    captions: tuple[Candidate, ...]
    entropy: float
    prior_entropy: float
    labels: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    none: bool = False

    def likely(self, group: str) -> tuple[tuple[str, float], ...]:
        """(label, share) of a group, most likely first and of equal shares by name; () of a group that is not there."""
        return tuple(sorted(self.labels.get(group, {}).items(), key=lambda one: (-one[1], one[0])))


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """What a method's posterior says of every test stimulus.

    candidates  how many there were, the most of any fold; stimuli: id -> its words
    """

    method: str
    candidates: int
    stimuli: Mapping[str, Words] = field(repr=False)

    def table(self) -> Any:
        """A pandas DataFrame, a line a stimulus: most likely caption and its share, entropies, none, labels by group.

        A group has two columns, GROUP and "GROUP share", of its most likely label.
        """
        import pandas

        groups = dict.fromkeys(group for words in self.stimuli.values() for group in words.labels)
        return pandas.DataFrame([_line(name, words, tuple(groups)) for name, words in self.stimuli.items()])


def _line(name: str, words: Words, groups: tuple[str, ...]) -> dict[str, Any]:
    first = words.captions[0]
    line: dict[str, Any] = {
        "stimulus": name, "caption": first.caption, "share": first.share, "candidate": first.item,
        "entropy": words.entropy, "prior_entropy": words.prior_entropy, "none": words.none,
    }  # fmt: skip
    for group in groups:
        label, share = next(iter(words.likely(group)), (None, float("nan")))
        line |= {group: label, f"{group} share": share}
    return line


def path_of(home: Path, method: str) -> Path:
    """Where the posterior of a method of this run lies."""
    return home / FOLDER / f"{method}.json"


def files_of(home: Path) -> tuple[Path, ...]:
    """The files of posteriors that lie in a run, by name; a link among them or too many are an InputError."""
    folder = optional_folder(home / FOLDER, what="a folder of posteriors", then=THEN)
    found = [] if folder is None else listed(folder, "*.json")
    if len(found) > MOST["posteriors"]:
        raise InputError(expected(home / FOLDER, f"{MOST['posteriors']} posteriors or fewer", str(len(found)), THEN))
    return tuple(inside(home, path) for path in found)


def read_posteriors(home: Path) -> tuple[Posterior, ...]:
    """The posteriors of a run, by name of their method, () where there is none; a damaged file is an InputError."""
    return tuple(read_posterior(path) for path in files_of(home))


def read_posterior(path: Path) -> Posterior:
    """The posterior in a file that is called after its method; one of another form is an InputError."""
    method = path.stem
    if re.fullmatch("[a-z0-9][a-z0-9_-]*", method) is None or len(method) > LONGEST["method"]:
        raise InputError(expected(path, "a file called METHOD.json", _shown(path.name), "rename it, or remove it"))
    facts = read_json(path, what="a posterior", then=THEN)
    form = facts.get("format"), facts.get("kind")
    if form != (FORMAT, KIND) or isinstance(form[0], bool):
        came = f"format {_shown(form[0])} of kind {_shown(form[1])}"
        raise InputError(expected(path, f"format {FORMAT} of kind '{KIND}'", came, THEN))
    candidates = facts.get("candidates")
    if type(candidates) is not int or not 1 <= candidates <= MOST_CANDIDATES:
        raise _wrong(path, f"candidates, a whole number from 1 to {MOST_CANDIDATES}", candidates)
    stimuli = _object(facts.get("stimuli"), "stimuli", path)
    found = {_text(name, "stimulus", path): _words(one, name, path) for name, one in stimuli.items()}
    return Posterior(method=method, candidates=candidates, stimuli=found)


def _words(facts: Any, name: str, path: Path) -> Words:
    if not isinstance(facts, dict) or not {"captions", "entropy", "prior_entropy", "labels", "none"} <= facts.keys():
        raise _wrong(path, f"captions, entropy, prior_entropy, labels and none of {name}", facts)
    if type(facts["none"]) is not bool:
        raise _wrong(path, f"true or false as none of {name}", facts["none"])
    entropy, before = (_nats(facts[one], f"{one} of {name}", path) for one in ("entropy", "prior_entropy"))
    groups = _object(facts["labels"], "groups", path)
    return Words(
        captions=_captions(facts["captions"], name, path), entropy=entropy, prior_entropy=before, none=facts["none"],
        labels={_text(group, "group", path): _shares(shares, group, path) for group, shares in groups.items()},
    )  # fmt: skip


def _captions(given: Any, name: str, path: Path) -> tuple[Candidate, ...]:
    most = MOST["captions"]
    whole = isinstance(given, list) and 1 <= len(given) <= most
    if not whole or not all(isinstance(one, list) and len(one) == 3 for one in given):
        raise _wrong(path, f"1 to {most} captions of {name}, each with share and id", given)
    found = tuple(
        Candidate(
            caption=_text(caption, "caption", path), share=_share(share, f"a caption of {name}", path),
            item=_text(item, "candidate", path),
        )
        for caption, share, item in given
    )  # fmt: skip
    shares = [one.share for one in found]
    if shares != sorted(shares, reverse=True):
        raise _wrong(path, f"captions of {name} with the most likely first", shares)
    _must_add_up(shares, f"captions of {name}", path)
    return found


def _shares(given: Any, group: str, path: Path) -> dict[str, float]:
    found = {
        _text(label, "label", path): _share(share, f"{label!r:.60}", path)
        for label, share in _object(given, "labels", path).items()
    }
    _must_add_up(found.values(), f"labels of {group}", path)
    return found


def _must_add_up(shares: Any, what: str, path: Path) -> None:
    if sum(shares) > 1 + SLACK:
        raise _wrong(path, f"shares of {what} that add up to 1 or less", f"{sum(shares):.3f}")


def _share(value: Any, what: str, path: Path) -> float:
    if not is_number(value) or not 0 <= value <= 1:
        raise _wrong(path, f"a share from 0 to 1 of {what}", value)
    return float(value)


def _nats(value: Any, what: str, path: Path) -> float:
    if not is_number(value) or not 0 <= value <= MOST_NATS:
        raise _wrong(path, f"{what} in nats from 0 to {MOST_NATS:g}", value)
    return float(value)


def _object(given: Any, what: str, path: Path) -> dict[str, Any]:
    if not isinstance(given, dict) or len(given) > MOST[what]:
        raise _wrong(path, f"an object of {MOST[what]} {what} or fewer", given)
    return given


def _text(text: Any, what: str, path: Path) -> str:
    return printable(text, what, path, longest=LONGEST[what])


def _wrong(path: Path, want: str, came: Any) -> InputError:
    return InputError(expected(path, want, _shown(came), THEN))


def _shown(value: Any) -> str:
    return ascii(str(value)[:60])


def cited(words: Words, *, most: int) -> Iterator[tuple[str, float]]:
    """(caption, share) of the first `most` candidates; of one without a caption its id in the bank."""
    return ((one.caption or one.item, one.share) for one in words.captions[:most])
