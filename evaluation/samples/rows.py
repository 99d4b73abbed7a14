"""Rows of a samples folder and their cards: what a row is called, what it is, where it stands, whether it is a control.

    FOLDER/rows.json    {"format": 1, "rows": {"takagi": {"title": "...", "description": "...", "order": 10,
                        "control": false}}}     and "looked_up": true of a row that shows stimuli and draws nothing

The ladder's own rows have their cards here; those of decoding methods, and of anybody's own rows, stand in that file.
A row that nobody has written a card for is called by its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain.errors import InputError, expected
from brain.files.json_files import read_json
from brain.files.paths import optional
from brain.names import unseen
from brain.writing.opener import write_text
from brain.writing.places import unlinked
from evaluation.samples.images import IMAGE
from evaluation.samples.sounds import SOUND

FILE = "rows.json"
FORMAT = 1
REFERENCE = "reference"
OTHER_REPEATS = "other_repeats"
"""What the row "repeat" is compared with instead of the references: samples decoded from the other repeats."""
REPEAT = "repeat"
CATEGORY_ORACLE = "category_oracle"
NO_FOLDERS = (REFERENCE, "references", OTHER_REPEATS, CATEGORY_ORACLE, "floor")
"""Names that no row of one's own can have."""
USUAL = 20
"""Where a row without a card stands: among the rows of decoding methods."""
FARTHEST = 10_000
"""The largest order, of either sign."""
LONGEST = {"name": 80, "title": 80, "description": 400}
MOST = 1000
"""Letters of a name, a title and a description, and rows of a file, that strangers may write."""
FLAGS = ("control", "looked_up")
"""Fields of a card that are true or false."""
CORRECT = "correct the file or remove it"


@dataclass(frozen=True, kw_only=True)
class RowCard:
    """The card of a row.

    name         what the index calls it ("decoded"); title and description are printed
    order        where it stands in tables: 0 is decoded, 10 to 29 are other methods, 40 to 70 controls, 100 the ceiling
    control      whether its samples do not see the stimulus' full responses
    looked_up    whether it shows an existing stimulus and draws nothing: an opponent of what is drawn
    """

    name: str
    title: str
    description: str = ""
    order: int = USUAL
    control: bool = False
    looked_up: bool = False

    def facts(self) -> dict[str, Any]:
        """The card as rows.json and report.json have it, under its name."""
        found = {"title": self.title, "description": self.description, "order": self.order, "control": self.control}
        # left out where false: cards of rows that draw are read by versions that do not know it
        return {**found, "looked_up": True} if self.looked_up else found


LADDER = (
    RowCard(name="decoded", order=0, title="Decoded",
            description="the brain's responses through the mapping and the generator"),
    RowCard(name="shuffled", order=40, control=True, title="Shuffled brain",
            description="the same decoder on another stimulus' responses"),
    RowCard(name="mean", order=50, control=True, title="Mean condition",
            description="the generator fed the average training condition"),
    RowCard(name="prior", order=60, control=True, title="Prior only",
            description="the generator without any condition"),
    RowCard(name=REPEAT, order=70, control=True, title="Repeat against repeat",
            description="one repeat alone, compared with what the other repeats give"),
    RowCard(name=CATEGORY_ORACLE, order=80, title="Category only",
            description="computed, not drawn: the true category and nothing else"),
    RowCard(name="retrieval", order=90, title="Nearest training image", looked_up=True,
            description="no generator: the training picture closest to the decoded condition"),
    RowCard(name="exemplar", order=95, title="Exemplar", looked_up=True,
            description="no generator: the training sound that the decoded one starts from"),
    RowCard(name="oracle", order=100, title="True condition",
            description="the generator fed the stimulus' own condition: the ceiling of this decoder"),
    RowCard(name="round_trip", order=110, title="Round trip",
            description="the stimulus through the generator's autoencoder and back"),
)  # fmt: skip
"""The rows that every run may have."""
OF_SOUNDS = (
    RowCard(name="retrieval", order=90, title="Nearest training sound", looked_up=True,
            description="no generator: the training sound closest to the decoded condition"),
)  # fmt: skip
"""Cards that read otherwise in a folder of sounds."""
OWN = {card.name: card for card in LADDER}
DRAWN = tuple(name for name in OWN if name != CATEGORY_ORACLE)
"""The ladder's own rows that have samples."""
OF_STRANGERS = tuple(name for name in DRAWN if name != REPEAT)
"""Those that a foreign folder may have: nobody drew from other repeats there, with which the row repeat is compared."""
OWN_OF_SOUNDS = {card.name: card for card in OF_SOUNDS}
NOTHING: Mapping[str, RowCard] = {}


def is_row(name: str) -> bool:
    """Whether a row of one's own can be called so: small letters, digits and _, and none of `NO_FOLDERS`."""
    return re.fullmatch("[a-z][a-z0-9_]*", name) is not None and name not in NO_FOLDERS


def card_of(row: str, cards: Mapping[str, RowCard] = NOTHING, *, modality: str = IMAGE) -> RowCard:
    """The card of a row: one of `cards`, the ladder's own, or for any other row one made of its name."""
    own = {**OWN, **OWN_OF_SOUNDS} if modality == SOUND else OWN
    return cards.get(row) or own.get(row) or _plain(row)


def _plain(row: str) -> RowCard:
    title = row.replace("_", " ")
    return RowCard(name=row, title=f"{title[:1].upper()}{title[1:]}")


def ordered_rows(rows: Iterable[str], cards: Mapping[str, RowCard] = NOTHING) -> tuple[str, ...]:
    """The rows, each once, by the order on their cards and then by name."""
    return tuple(sorted(set(rows), key=lambda row: (card_of(row, cards).order, row)))


def controls_last(rows: Iterable[str], cards: Mapping[str, RowCard] = NOTHING) -> tuple[str, ...]:
    """The rows, each once: those that see the stimulus' responses or the stimulus itself, then the controls."""
    return tuple(sorted(ordered_rows(rows, cards), key=lambda row: card_of(row, cards).control))


def read_cards(folder: Path) -> dict[str, RowCard]:
    """Row -> card out of the rows.json of a samples folder, {} where there is none; a damaged one is an InputError.

    The ladder's own rows keep their own cards, whatever the file says of them."""
    path = unlinked(folder / FILE)
    if optional(path, what="the cards of rows", then=CORRECT) is None:
        return {}
    facts = read_json(path, what="the cards of rows", then=CORRECT)
    if facts.get("format") != FORMAT or isinstance(facts.get("format"), bool):
        came = f"format {str(facts.get('format'))[:20]!r}"
        raise InputError(expected(path, f"cards of rows in format {FORMAT}", came, CORRECT))
    cards = cards_from(facts.get("rows"), path)
    for name in cards:
        if not name or name in NO_FOLDERS or name.startswith(".") or "/" in name or "\\" in name:
            raise InputError(expected(path, "rows that a folder can be called after", _shown(name), CORRECT))
    return {name: card for name, card in cards.items() if name not in {**OWN, **OWN_OF_SOUNDS}}


def cards_from(rows: Any, where: Path) -> dict[str, RowCard]:
    """Row -> card of facts such as {"takagi": {"title": "..."}}; anything else is an InputError about `where`."""
    if not isinstance(rows, dict) or len(rows) > MOST:
        raise InputError(expected(where, f"an object of {MOST} rows or fewer", _shown(rows), CORRECT))
    return {name: _card(name, facts, where) for name, facts in rows.items()}


def _card(name: str, facts: Any, where: Path) -> RowCard:
    known = set(RowCard.__dataclass_fields__) - {"name"}
    if not isinstance(facts, dict) or not {"title"} <= facts.keys() <= known:
        raise InputError(expected(where, f"a row with {', '.join(sorted(known))}", _shown({name: facts}), CORRECT))
    for field, longest in LONGEST.items():
        printable(name if field == "name" else facts.get(field, ""), field, where, longest=longest)
    if not any(letter.isalnum() for letter in facts["title"]):
        raise InputError(expected(where, f"a title of {name} with letters in it", "none", CORRECT))
    order, flags = facts.get("order", USUAL), [facts.get(flag, False) for flag in FLAGS]
    if type(order) is not int or abs(order) > FARTHEST or any(type(flag) is not bool for flag in flags):
        came = f"{_shown(order)} and {_shown(flags)}"
        want = f"a whole number up to {FARTHEST} for the order of {name}, true or false for {' and '.join(FLAGS)}"
        raise InputError(expected(where, want, came, CORRECT))
    return RowCard(name=name, **facts)


def printable(text: Any, field: str, where: Path, *, longest: int) -> str:
    """`text`, if it is one line of at most `longest` letters without control characters, else an InputError."""
    if not isinstance(text, str) or len(text) > longest or unseen(text):
        want = f"one line of at most {longest} letters without control characters as {field}"
        raise InputError(expected(where, want, _shown(text), CORRECT))
    return text


def _shown(value: Any) -> str:
    return ascii(str(value)[:60])


def add_cards(folder: Path, cards: Sequence[RowCard]) -> None:
    """Writes those of `cards` into the folder's rows.json whose rows have none there, whole or not at all."""
    there = read_cards(folder)
    new = {card.name: card for card in cards if card.name not in there}
    if new:
        rows = {name: card.facts() for name, card in {**there, **new}.items()}
        text = json.dumps({"format": FORMAT, "rows": rows}, ensure_ascii=False, indent=1)
        write_text(folder / FILE, f"{text}\n")
