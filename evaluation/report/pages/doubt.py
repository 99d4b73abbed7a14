"""Words and doubt on a page: what the posterior says of each stimulus, and reliability diagrams as coordinates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from brain.errors import counted
from evaluation.report.pages.ladder import number, percent
from evaluation.report.types import Report
from evaluation.statistics.calibration import BINS, Calibration
from evaluation.statistics.doubt import NO_LABEL, Doubt
from evaluation.statistics.posteriors import Words, cited

CAPTIONS, LABELS = 3, 2
"""Captions of a stimulus, and labels of a group, that the gallery tells."""
LEAST = 0.01
"""The share of the posterior below which a caption says nothing."""
NONE = "none of the bank"
SIDE, LEFT, TOP = 240.0, 44.0, 14.0
BOX = {"side": SIDE, "left": LEFT, "top": TOP, "width": LEFT + SIDE + 16, "height": TOP + SIDE + 44}
"""A diagram in SVG units."""


@dataclass(frozen=True, kw_only=True)
class Spelled:
    """What a posterior says of one stimulus, as text.

    captions  (caption, share) of the most likely candidates, those of one caption together
    labels    (group, ((label, share, whether it is the true one), ...)); doubt: entropy, and the prior's
    none      said instead of captions and labels where no candidate of the bank explains the pattern, else ""
    """

    method: str
    captions: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, tuple[tuple[str, str, bool], ...]], ...]
    doubt: str
    none: str = ""


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """A reliability diagram in SVG units.

    dots  (x, y, low, high, text) a bin: mean confidence to the right, share right upwards, and where chance keeps it
    said  the diagram in words
    """

    title: str
    said: str
    dots: tuple[tuple[float, float, float, float, str], ...]


def spelled(report: Report, stimulus: str) -> tuple[Spelled, ...]:
    """What the posteriors say of a stimulus, one a method that says something of it."""
    true = report.samples.references[stimulus].labels
    return tuple(_spelled(one.method, one.words[stimulus], true) for one in report.doubts if stimulus in one.words)


def _spelled(method: str, words: Words, true: Mapping[str, str]) -> Spelled:
    doubt = f"entropy {words.entropy:.1f} of {words.prior_entropy:.1f} nats"
    if words.none:
        return Spelled(method=method, captions=(), labels=(), doubt=doubt, none=NONE)
    labels = []
    for group in sorted(words.labels):
        found = tuple(
            (label or NO_LABEL, share_of(share), bool(label) and true.get(group) == label)
            for label, share in words.likely(group)[:LABELS]
        )
        labels += [(group, found)] if found else []
    merged: dict[str, float] = {}
    for text, share in cited(words, most=len(words.captions)):
        merged[text] = merged.get(text, 0.0) + share
    likely = [one for one in sorted(merged.items(), key=lambda one: -one[1])[:CAPTIONS] if one[1] >= LEAST]
    captions = tuple((text, share_of(min(1.0, share))) for text, share in likely)
    return Spelled(method=method, captions=captions, labels=tuple(labels), doubt=doubt)


def share_of(value: float) -> str:
    """0.712 -> ".71"; what two digits cannot tell from nothing or from all is "<.01" or ">.99"."""
    if 0 < value < 0.005:
        return "<.01"
    if 0.995 <= value < 1:
        return ">.99"
    return f"{value:.2f}".removeprefix("0") if value else "0"


def doubt_sections(report: Report) -> list[dict[str, Any]]:
    """What the section on words and doubt holds, one entry a method."""
    return [
        {
            "method": one.method,
            "said": _sentences(one),
            "diagrams": [diagram(found) for found in one.calibrations if found.bins],
            "lines": [_line(found) for found in one.calibrations],
        }
        for one in report.doubts
    ]


def _sentences(one: Doubt) -> list[str]:
    n = len(one.words)
    found = [
        f"Method {one.method} searched {one.candidates:,} candidates, those of its bank that are no test stimulus, for "
        f"each of {n} stimuli."
    ]
    if math.isfinite(one.left):
        found.append(f"The responses leave {percent(one.left)} of the entropy of not knowing, {one.entropy:.1f} nats.")
    if one.unexplained:
        found.append(
            f"{NONE.capitalize()} explains the responses to {one.unexplained} of {n} stimuli, which count neither in "
            "that nor in the table below."
        )
    if one.apart:
        found.append(f"It speaks of {counted(one.apart, 'stimulus', 'stimuli')} more, not judged here.")
    if sure := [
        f"{group.group} (mean confidence {group.confidence:.2f}, right {group.accuracy:.2f})"
        for group in one.calibrations
        if overconfident(group)
    ]:
        found.append(f"Overconfident of {', '.join(sure)}.")
    few = [found.group for found in one.calibrations if not found.bins]
    if few:
        found.append(f"Fewer than {BINS[-1][0]} stimuli are too few for a diagram of {', '.join(few)}.")
    if not one.calibrations:
        found.append("The posterior and the references have no group of labels in common: calibration is not known.")
    return found


def overconfident(found: Calibration) -> bool:
    """Whether labels are right less often than their mean confidence says, by more than 95 % of true ones would be."""
    spread = math.sqrt(found.confidence * (1 - found.confidence) / found.n)
    return found.confidence - found.accuracy > 1.96 * spread


def _line(found: Calibration) -> dict[str, str]:
    return {
        "group": found.group, "n": str(found.n), "accuracy": number(found.accuracy),
        "confidence": number(found.confidence), "error": number(found.error), "by_chance": number(found.by_chance),
    }  # fmt: skip


def diagram(found: Calibration) -> Diagram:
    """The reliability diagram of a group of labels."""
    dots = tuple(
        (
            _across(one.confidence), _up(one.right), _up(one.low), _up(one.high),
            f"{one.n} stimuli: confidence {one.confidence:.2f}, right {one.right:.2f}",
        )
        for one in found.bins
    )  # fmt: skip
    pairs = ", ".join(f"{one.right:.2f} at {one.confidence:.2f}" for one in found.bins)
    said = f"Reliability of {found.group}: share right at mean confidence, in {len(dots)} bins: {pairs}"
    return Diagram(title=f"{found.group[:1].upper()}{found.group[1:]}", said=said, dots=dots)


def _across(value: float) -> float:
    return round(LEFT + SIDE * value, 1)


def _up(value: float) -> float:
    return round(TOP + SIDE * (1 - value), 1)


def ticks() -> list[tuple[float, float, str]]:
    """(x, y, text) of the shares that a diagram's axes name."""
    return [(_across(value), _up(value), f"{value:g}") for value in (0.0, 0.5, 1.0)]
