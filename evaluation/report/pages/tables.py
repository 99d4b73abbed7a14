"""The other parts of a page: attributes, regions, conditions, sets, leaks, dimensions, and the card, as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from evaluation.report.costs import STAGES, read_costs
from evaluation.report.pages.ladder import ATTRIBUTES, BRAIN, number, probability, ranged
from evaluation.report.types import Report
from evaluation.samples.rows import ordered_rows
from evaluation.statistics.embedding_retrieval import DIRECTIONS


def attributes(report: Report) -> list[dict[str, Any]]:
    """What comes through: per group of labels the share right in decoded and oracle samples, and chance, in percent."""
    found = []
    for name in ("category", *(n for n in report.metrics() if n.startswith(ATTRIBUTES))):
        decoded, oracle = report.score("decoded", name), report.score("oracle", name)
        if decoded is not None:
            found.append(
                {
                    "title": report.metric_card(name).title.lower(),
                    "value": round(100 * decoded.value, 1),
                    "low": round(100 * decoded.low, 1),
                    "high": round(100 * decoded.high, 1),
                    "chance": round(100 * decoded.chance, 1) if math.isfinite(decoded.chance) else None,
                    "ceiling": None if oracle is None else round(100 * oracle.value, 1),
                }
            )
    return found if len(found) > 1 else []


def brain_bars(report: Report) -> list[dict[str, Any]]:
    """Per region: the decoded row's brain correlation, the shuffled row's, and the noise ceiling, in percent."""
    found = []
    for name in (metric for metric in report.metrics() if metric.startswith(BRAIN)):
        decoded = report.score("decoded", name)
        if decoded is not None:
            found.append(
                {
                    "title": name.removeprefix(BRAIN),
                    "value": _share(decoded.value),
                    "text": f"{number(decoded.value)} ({number(decoded.low)} to {number(decoded.high)})",
                    "q": "" if decoded.q is None else probability(decoded.q).replace("p", "q", 1),
                    "chance": _share(decoded.null) if math.isfinite(decoded.null) else None,
                    "ceiling": None if decoded.ceiling is None else _share(decoded.ceiling),
                    "ceiling_text": number(decoded.ceiling),
                }
            )
    return found


def _share(value: float) -> float:
    return round(100 * min(1.0, max(0.0, value)), 1)


def condition_lines(report: Report) -> list[dict[str, str]]:
    """Identification before the generator, after it in the same space, and what it lost, space by space."""
    return [
        {
            "space": found.space,
            "n": str(found.n),
            "before": ranged(found.two_way, found.low, found.high),
            "chance": number(found.chance),
            "p": "–" if found.p is None else probability(found.p),
            "top1": ranged(found.top1, found.top1_low, found.top1_high),
            "top1_chance": number(found.top1_chance),
            "top1_p": "–" if found.top1_p is None else probability(found.top1_p),
            "after": ranged(found.after, found.after_low, found.after_high),
            "loss": ranged(found.loss, found.loss_low, found.loss_high),
        }
        for found in report.conditions
    ]


def retrieval_directions(report: Report) -> dict[str, str]:
    """The two directions of retrieval as they are printed: from the brain to what was shown, and back."""
    return {"forward": f"brain → {report.modality}", "back": f"{report.modality} → brain"}


def retrieval_lines(report: Report) -> list[dict[str, str]]:
    """Top-1 retrieval of embeddings, map by map in both directions."""
    ways = dict(zip(DIRECTIONS, retrieval_directions(report).values(), strict=True))
    return [
        {
            "space": found.space,
            "direction": ways[found.direction],
            "pool": f"{found.pool}, all" if found.pool == found.n else f"{found.pool} of {found.n}",
            "value": ranged(found.value, found.low, found.high),
            "chance": number(found.chance),
            "p": "–" if found.p is None else probability(found.p),
        }
        for found in report.retrieval
    ]


def after_line(report: Report) -> str:
    """What the judge makes of the samples that came of these conditions, "" where it was not run."""
    found = report.score("decoded", "two_way")
    return "" if found is None else ranged(found.value, found.low, found.high)


def set_tables(report: Report) -> dict[str, Any]:
    """Set distances: one line a row, the floor first, one column a distance; {} where there are none."""
    found = report.findings.sets
    names = list(dict.fromkeys(one.metric for one in found))
    rows = ["floor", *ordered_rows((one.row for one in found if one.row != "floor"), report.row_cards)]
    place = {(one.row, one.metric): one for one in found}
    lines = []
    for row in rows if found else ():
        cells = [place.get((row, name)) for name in names]
        title = "Floor: two halves of the references" if row == "floor" else report.row_card(row).title
        counts = dict.fromkeys(f"{one.n} and {one.references}" for one in cells if one is not None)
        texts = [
            "–" if one is None else f"{number(one.value)} ({number(one.low)} to {number(one.high)})" for one in cells
        ]
        lines.append({"row": row, "title": title, "n": "; ".join(counts), "cells": texts})
    return {"metrics": names, "lines": lines} if lines else {}


def cost_lines(report: Report) -> list[dict[str, str]]:
    """What every stage took, a line each in the order of a study; judging up to the page last."""
    found = [*read_costs(report.home), *([report.cost] if report.cost is not None else [])]
    place = {name: at for at, name in enumerate(STAGES)}
    return [
        {
            "stage": one.stage,
            "seconds": f"{one.seconds:.1f}",
            "cpu": f"{one.cpu_seconds:.1f}",
            "peak": "–" if one.peak_mib is None else f"{one.peak_mib:,.0f} MiB",
        }
        for one in sorted(found, key=lambda one: place.get(one.stage, len(place)))
    ]


def leak_lines(leaks: Mapping[str, Any]) -> list[str]:
    """What is known of leaks, one sentence each; a leak names both stimuli."""
    if not leaks:
        return ["Nobody has looked: these samples came without the training pictures (--train DIR)."]
    return [str(line) for line in leaks.get("sentences", [])] or [text for _, text in flatten(leaks)]


def dimension_lines(report: Report) -> list[tuple[str, str]]:
    """What has how many dimensions, as text."""
    return [
        (report.row_card(name).title if name in report.samples.rows() else name, f"{value:.1f}")
        for name, value in report.dimensions.items()
    ]


def flatten(card: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Every fact of the card as ("run / split / sha256", "..."), lists of plain facts joined, all of it text."""
    found: list[tuple[str, str]] = []
    for key, value in card.items():
        path = f"{above} / {key}" if above else str(key)
        if isinstance(value, Mapping):
            found += flatten(value, path)
        elif isinstance(value, list | tuple) and value and all(isinstance(part, Mapping) for part in value):
            found += flatten({str(place): part for place, part in enumerate(value, start=1)}, path)
        elif isinstance(value, list | tuple):
            plain = [str(part) for part in value]
            found.append((path, "; ".join(plain) if plain else "none"))
        else:
            found.append((path, str(value)))
    return found
