"""Words and doubt: what the posterior of every test stimulus says, as `evaluation.statistics.posteriors` reads it.

RUN/posteriors/METHOD.json   the most likely captions, entropies and shares of labels

The posterior is that of the settled temperatures, whatever sharpness is drawn with. Of labels the most likely is told,
and all others whose share is `LEAST` or more. Entropies are nats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from brain.names import unseen
from decode.methods._parts.bayes import Readings, Said, evidence_name
from decode.run.folder import RunFolder
from encoders.conditions import Conditions
from encoders.storage import read_json, write_json
from encoders.voxelwise.banks import Bank
from evaluation.statistics.posteriors import FORMAT, KIND, LONGEST, path_of

WORDS, LOOKED_AT = 5, 100
"""Captions that are told, of those of so many of the most likely candidates; all candidates of a caption together."""
LEAST = 0.005
"""Share below which a label is not told."""


def write_words(readings: Readings, run: RunFolder) -> None:
    """Writes the file of a run whose test stimuli have all been decoded, unless it is of that very evidence."""
    evidence = run.conditions(evidence_name(readings.method), "read")
    if not evidence.is_file():
        return
    path, made_of = path_of(run.path, readings.method), hashlib.sha256(evidence.read_bytes()).hexdigest()
    if path.is_file() and _is_of(read_json(path, kind=KIND), made_of):
        return
    read = Conditions.load(evidence)
    folds = {name: fold for fold, names in run.card_facts()["tested"].items() for name in names if name in read.ids}
    said = readings.said(folds, read, sharpness=1, keep=LOOKED_AT, labels=True)
    none, captions = _unexplained(readings, said), _captions(readings, said, read)
    found = {
        name: _words(one, readings.candidates(one.fold), captions[name], none=name in none)
        for name, one in said.items()
    }  # fmt: skip
    candidates = max((len(readings.candidates(fold)) for fold in set(folds.values())), default=1)
    facts = {"format": FORMAT, "kind": KIND, "candidates": candidates, "stimuli": found, "made of": made_of}
    write_json(path, facts)


def _is_of(facts: dict[str, Any], made_of: str) -> bool:
    return (facts.get("format"), facts.get("kind"), facts.get("made of")) == (FORMAT, KIND, made_of)


def _captions(
    readings: Readings, said: Mapping[str, Said], read: Conditions
) -> dict[str, list[tuple[str, float, int]]]:
    """Stimulus -> its most likely captions, each with the share of all candidates of that caption and the row of the
    most likely of these."""
    told: dict[str, list[tuple[str, float, int]]] = {}
    for fold in dict.fromkeys(one.fold for one in said.values()):
        bank, features = readings.candidates(fold), readings.features(fold).candidates
        lines = [_one_line(caption) for caption in bank.captions]
        alike: dict[str, list[int]] = {}
        for row, line in enumerate(lines):
            alike.setdefault(line, []).append(row)
        names = [name for name, one in said.items() if one.fold == fold]
        every = readings.evidence(fold, names, read)
        for place, name in enumerate(names):
            found, own = said[name].found, said[name].row
            log_total = found.log_best[own] - np.log(found.share[own, 0])
            first = {lines[row] or bank.ids[row]: row for row in reversed(found.best[own].tolist())}
            same = [alike[lines[row]] if lines[row] else [row] for row in first.values()]
            candidates = np.asarray(features[np.concatenate(same)], np.float64)
            shares = np.exp(every.pattern(place).log_likelihood(candidates)[0] - log_total)
            totals = np.add.reduceat(shares, np.cumsum([0, *map(len, same[:-1])])).tolist()
            parts = [(lines[row], total, row) for row, total in zip(first.values(), totals, strict=True)]
            told[name] = sorted(parts, key=lambda part: (-part[1], bank.ids[part[2]]))[:WORDS]
    return told


def _words(said: Said, bank: Bank, captions: Iterable[tuple[str, float, int]], *, none: bool) -> dict[str, Any]:
    found, row = said.found, said.row
    return {
        "captions": [[caption, round(min(share, 1.0), 4), bank.ids[one]] for caption, share, one in captions],
        "entropy": _nats(float(found.entropy[row])),
        "prior_entropy": _nats(found.prior_entropy),
        "labels": {group: _told(bank.names[group], shares[row]) for group, shares in found.marginals.items()},
        "none": none,
    }


def _told(names: Iterable[str], shares: Iterable[float]) -> dict[str, float]:
    # names of candidates that were struck may have no share
    first, *others = sorted(zip(names, map(float, shares), strict=False), key=lambda one: -one[1])
    return {name: round(share, 4) for name, share in [first, *(one for one in others if one[1] >= LEAST)]}


def _unexplained(readings: Readings, said: Mapping[str, Said]) -> set[str]:
    """The stimuli whose pattern no candidate of the bank explains."""
    found: set[str] = set()
    for fold in dict.fromkeys(one.fold for one in said.values()):
        own = {name: one for name, one in said.items() if one.fold == fold}
        best = np.array([one.found.log_best[one.row] for one in own.values()])
        none = readings.reading(fold).unexplained(best, np.array([one.showings for one in own.values()]))
        found |= {name for name, unexplained in zip(own, none.tolist(), strict=True) if unexplained}
    return found


def _nats(entropy: float) -> float:
    return round(max(0.0, entropy), 4)


def _one_line(caption: str) -> str:
    """A caption of anybody's as a reader takes it: one line, without what cannot be seen."""
    line = " ".join(caption.split())
    seen = "".join(letter for letter in line if not unseen(letter)) if unseen(line) else line
    return seen[: LONGEST["caption"]]
