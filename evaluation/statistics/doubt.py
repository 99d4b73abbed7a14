"""Words and doubt: what the posteriors of a run say of the stimuli that are judged, and whether they can be believed.

    for doubt in doubts_of(home, samples, seed=0):
        doubt.words["nsd00013"].captions, doubt.calibrations
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.samples.types import Samples
from evaluation.statistics.calibration import Calibration, calibrate
from evaluation.statistics.posteriors import Posterior, Words, cited, read_posteriors

WORDS = 5
"""Captions of a stimulus in the table of every stimulus."""
NO_LABEL = "(none)"
"""What the label "" is called: the candidate has none in a group in which others do."""
DECODED = "decoded"


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """What a method's posterior says of the stimuli that are judged.

    row           which row the method draws, or the method's name where it draws none here
    words         stimulus -> its words, in the order of ids; `apart`: how many it has of stimuli that are not judged
    calibrations  one a group of labels that the posterior and the references both have; stimuli that no candidate of
                  the bank explains are left out of them
    """

    method: str
    row: str
    candidates: int
    words: Mapping[str, Words] = field(repr=False)
    apart: int
    calibrations: tuple[Calibration, ...]

    @property
    def unexplained(self) -> int:
        """How many stimuli no candidate of the bank explains."""
        return sum(words.none for words in self.words.values())

    @property
    def left(self) -> float:
        """Mean share of the prior's entropy that the response leaves, of stimuli that the bank explains; else NaN."""
        shares = [one.entropy / one.prior_entropy for one in self.words.values() if not one.none and one.prior_entropy]
        return float(np.mean(shares)) if shares else float("nan")

    @property
    def entropy(self) -> float:
        """Mean entropy in nats, of stimuli that the bank explains; NaN where there is none."""
        found = [one.entropy for one in self.words.values() if not one.none]
        return float(np.mean(found)) if found else float("nan")

    def facts(self) -> dict[str, Any]:
        """The posterior's entry in report.json."""
        return {
            "method": self.method, "row": self.row, "candidates": self.candidates, "stimuli": len(self.words),
            "stimuli not judged": self.apart, "unexplained": self.unexplained, "entropy": self.entropy,
            "entropy_over_prior": self.left, "calibration": [one.facts() for one in self.calibrations],
        }  # fmt: skip

    def lines(self) -> Iterator[tuple[str, str, float]]:
        """(metric, stimulus, value) for the table of every stimulus: entropy in nats, whether the bank explains
        nothing, shares of captions and labels."""
        for stimulus, words in self.words.items():
            yield "posterior entropy", stimulus, words.entropy
            yield "posterior none of the bank", stimulus, float(words.none)
            for place, (text, share) in enumerate(cited(words, most=WORDS), start=1):
                yield f"posterior caption {place}: {text}", stimulus, share
            for group in sorted(words.labels):
                for label, share in words.likely(group):
                    yield f"posterior {group}: {label or NO_LABEL}", stimulus, share


def doubts_of(home: Path, samples: Samples, *, seed: int) -> tuple[Doubt, ...]:
    """What the posteriors of the run in `home` say of these samples' references, one a method; () where none lies."""
    return tuple(_doubt(one, samples, seed=seed) for one in read_posteriors(home))


def _doubt(posterior: Posterior, samples: Samples, *, seed: int) -> Doubt:
    names = [name for name in sorted(samples.references) if name in posterior.stimuli]
    words = {name: posterior.stimuli[name] for name in names}
    true = {name: samples.references[name].labels for name in names}
    groups = sorted({group for name in names for group in words[name].labels if group in true[name]})
    found = (_calibration(group, words, _truth(group, words, true), seed=seed) for group in groups)
    return Doubt(
        method=posterior.method, row=_row(posterior.method, samples), candidates=posterior.candidates, words=words,
        apart=len(posterior.stimuli) - len(words), calibrations=tuple(one for one in found if one is not None),
    )  # fmt: skip


def _truth(group: str, words: Mapping[str, Words], true: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Stimulus -> its true label in a group. Where candidates may have none (""), so may stimuli; else they are left
    out."""
    may_lack = any("" in one.labels.get(group, {}) for one in words.values())
    return {name: labels.get(group, "") for name, labels in true.items() if group in labels or may_lack}


def _calibration(group: str, words: Mapping[str, Words], true: Mapping[str, str], *, seed: int) -> Calibration | None:
    """The calibration of a group; None where no stimulus that the bank explains has a label in it."""
    pairs = [
        (one.likely(group)[0], true[name])
        for name, one in words.items()
        if not one.none and one.likely(group) and name in true
    ]
    if not pairs:
        return None
    confidence = np.array([share for (_, share), _ in pairs], np.float64)
    return calibrate(group, confidence, np.array([label == truth for (label, _), truth in pairs]), seed=seed)


def _row(method: str, samples: Samples) -> str:
    """The row that shows what was drawn of the posterior: decoded, or that of a method beside another."""
    for row in (DECODED, method.replace("-", "_")):
        if any(sample.method == method for sample in samples.of(row)):
            return row
    return method
