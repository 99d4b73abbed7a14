"""Words and doubt: what the posterior of every test stimulus says, RUN/learned/METHOD/posterior.json.

    {"stimuli": {"nsd00013": {"captions": [["a red car ...", 0.41], ...], "ids": ["drawn-1-000123", ...],
                              "entropy": 2.1, "labels": {"kind": {"car": 0.71, "truck": 0.12}}}},
     "prior_entropy": {"held-out": 9.9}}

The posterior is that of the settled temperatures, whatever sharpness is drawn with. Shares of labels below `LEAST` are
left out. Entropies are nats.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from decode.methods._parts.bayes import Readings, evidence_name
from decode.run.folder import RunFolder
from encoders.conditions import Conditions
from encoders.storage import read_json, write_json
from encoders.voxelwise.banks import Bank

KIND, FILE = "posterior", "posterior.json"
WORDS = 5
"""Captions of the most likely candidates that are told."""
LEAST = 0.005
"""Share below which a label is not told."""


def words_at(run: RunFolder, method: str) -> Path:
    """Where the words of a run lie."""
    return run.learned(method) / FILE


def write_words(readings: Readings, run: RunFolder) -> None:
    """Writes the file of a run whose test stimuli have all been decoded, unless it is of that very evidence."""
    evidence = run.conditions(evidence_name(readings.method), "read")
    if not evidence.is_file():
        return
    path, made_of = words_at(run, readings.method), hashlib.sha256(evidence.read_bytes()).hexdigest()
    if path.is_file() and read_json(path, kind=KIND).get("made of") == made_of:
        return
    read = Conditions.load(evidence)
    folds = {name: fold for fold, names in run.card_facts()["tested"].items() for name in names if name in read.ids}
    said = readings.said(folds, read, sharpness=1, keep=WORDS, labels=True)
    found = {name: _words(one.found, one.row, readings.candidates(one.fold)) for name, one in said.items()}
    prior = {fold: one.found.prior_entropy for one in said.values() for fold in [one.fold]}
    write_json(path, {"stimuli": found, "prior_entropy": prior, "made of": made_of})


def _words(found: Any, row: int, bank: Bank) -> dict[str, Any]:
    best = found.best[row].tolist()
    labels = {
        group: {
            name: round(float(share), 4)
            for name, share in sorted(zip(bank.names[group], shares[row], strict=True), key=lambda one: -one[1])
            if share >= LEAST
        }
        for group, shares in found.marginals.items()
    }
    return {
        "ids": [bank.ids[one] for one in best],
        "captions": [
            [bank.captions[one], round(float(share), 4)] for one, share in zip(best, found.share[row], strict=True)
        ],
        "entropy": round(float(found.entropy[row]), 4),
        "labels": labels,
    }
