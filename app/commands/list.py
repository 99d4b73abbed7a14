"""`afterimage list [KIND]`: what there is to choose from, by its cards: recipes, methods, mappings, metrics."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Sequence
from typing import Any

from tyro.conf import Positional

from app.flags import parse
from brain.catalogue import Catalogue, facts, unknown
from brain.errors import UsageError

KINDS = {
    "recipes": ("decode.recipes", "complete settings of a study, by name"),
    "methods": ("decode.methods", "decoding methods: what draws, and from what"),
    "mappings": ("encoders.mappings", "what predicts conditions from voxels"),
    "readers": ("brain.readers", "formats of data that are opened"),
    "splits": ("brain.splits", "families of training and test stimuli"),
    "spaces": ("encoders.spaces", "condition spaces: what is predicted"),
    "towers": ("encoders.towers", "feature networks that encoding models stand on"),
    "generators": ("pipelines.generators", "what methods draw with"),
    "synthesis": ("pipelines.synthesis", "how pictures that drive a region are made"),
    "stacks": ("pipelines.stacks.table", "pretrained checkpoints"),
    "metrics": ("evaluation.metrics", "what a sample is compared by"),
    "judges": ("evaluation.judges", "feature networks and classifiers that samples are judged by"),
    "profiles": ("evaluation.profiles", "which metrics a report holds"),
}
"""Kind -> the package of its catalogue, and what it is."""
LONGEST = 32
"""Letters of a name beside which its card still stands."""


def run(words: Sequence[str]) -> None:
    """Prints the cards of one kind, or the kinds."""

    def list(kind: Positional[str] = "", *, json: bool = False) -> tuple[str, bool]:
        """What there is to choose from. Kinds: recipes, methods, mappings, readers, splits, spaces, towers, generators,
        synthesis, stacks, metrics, judges, profiles.

        Args:
            kind: One of these kinds; none lists them.
            json: Print one JSON array of cards and nothing else.
        """
        return kind, json

    kind, as_json = parse(list, command="list", words=words)
    if kind and kind not in KINDS:
        raise UsageError(unknown("kind of entry", kind, tuple(KINDS)))
    cards = cards_of(kind) if kind else [{"name": name, "description": said} for name, (_, said) in KINDS.items()]
    print(json.dumps(cards, indent=1, ensure_ascii=False) if as_json else table(cards))


def cards_of(kind: str) -> list[dict[str, Any]]:
    """The cards of every entry of a kind, by name."""
    package = KINDS[kind][0]
    if kind == "stacks":
        from pipelines.stacks.table import ROWS

        return [
            {"name": row.name, "title": row.hub or "bundled", "description": f"{row.gigabytes:g} GB", "citation": "",
             "licence": row.licence}
            for row in ROWS
        ]  # fmt: skip
    catalogue: Catalogue[Any] = Catalogue(package, kind)
    return [dict(facts(entry)) for entry in catalogue]


def table(cards: Sequence[dict[str, Any]]) -> str:
    """A line a card: its name, title, description and citation, below where they do not fit, or names are long."""
    width = max(shutil.get_terminal_size((100, 24)).columns, 60)
    longest = max(len(card["name"]) for card in cards)
    below = longest > LONGEST
    left = 4 if below else 2 + longest
    lines = []
    for card in cards:
        title, citation = card.get("title", ""), card.get("citation", "")
        text = f"{title}: {card['description']}" if title else card["description"]
        text += f" ({citation})" if citation else ""
        body = textwrap.wrap(text, width - left, break_on_hyphens=False) or [""]
        first = [card["name"], " " * left + body[0]] if below else [f"{card['name']:<{left}}{body[0]}".rstrip()]
        lines += [*first, *(" " * left + one for one in body[1:])]
    return "\n".join(lines)
