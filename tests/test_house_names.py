"""No room knows a decoding method by name, functions are short, modules are no longer than a sitting's reading."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from decode.methods import CATALOGUE as METHODS

ROOMS = ("app", "brain", "decode", "encoders", "evaluation", "pipelines")
LONGEST_MODULE = 400
LONG = 25
"""Lines of nine in ten functions, at the most."""
OWNERS = ("decode/methods", "decode/recipes", "evaluation/profiles")
OTHERS = {"pixels": ("evaluation/", "decode/run/migration.py"), "clap": ("evaluation/",)}
"""Names that are also a judge's, a metric's, a space's or a setting's of format 1 -> where they are."""


def files(checkout: Path, *rooms: str) -> Iterator[Path]:
    for room in rooms:
        yield from sorted((checkout / room).rglob("*.py"))


def named_in(tree: ast.AST, names: set[str]) -> set[str]:
    """Those of `names` that stand alone in a string constant: looked up, compared, or given."""
    found = {one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return found & names


def test_no_room_knows_a_method_by_name(checkout: Path) -> None:
    names = {entry.name for entry in METHODS} | {card.name for entry in METHODS for card in entry.rows}
    assert {"takagi", "mindvis", "pixels", "unclip", "c2f", "sound-direct"} <= names
    known = []
    for path in files(checkout, "decode", "evaluation", "app"):
        place = path.relative_to(checkout)
        if str(place).startswith(OWNERS):
            continue
        asked = {name for name in names if not str(place).startswith(OTHERS.get(name, ()))}
        known += [f"{place}: {name}" for name in named_in(ast.parse(path.read_text(encoding="utf-8")), asked)]
    assert not known


def test_a_name_in_a_comparison_is_found() -> None:
    tree = ast.parse('def f(x):\n    """Of takagi."""\n    return x == "takagi" or TABLE["unclip"]')
    assert named_in(tree, {"takagi", "unclip", "mindvis"}) == {"takagi", "unclip"}


def test_functions_are_short_and_modules_too(checkout: Path) -> None:
    lines, long = [], []
    for path in files(checkout, *ROOMS):
        text = path.read_text(encoding="utf-8")
        if (count := text.count("\n")) > LONGEST_MODULE:
            long.append(f"{path.relative_to(checkout)}: {count}")
        functions = (one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.FunctionDef))
        lines += [(one.end_lineno or one.lineno) - one.lineno + 1 for one in functions]
    assert not long
    assert np.quantile(lines, 0.9) <= LONG
