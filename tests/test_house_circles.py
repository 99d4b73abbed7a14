"""No two modules of the house import each other, directly or by way of others, at the top or within a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOMS = ("app", "brain", "decode", "encoders", "evaluation", "pipelines")

STANDING: set[frozenset[str]] = set()
"""Circles that still stand. This set may only shrink."""


def modules_of(root: Path) -> dict[str, Path]:
    """Import name -> file, of every module of the rooms; a package goes by its own name."""
    found = {}
    for room in ROOMS:
        for file in sorted((root / room).rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports_of(source: str, known: Mapping[str, object]) -> set[str]:
    """The modules among `known` that a module names in an import, wherever it stands, types' own ones aside."""
    found = set()
    for node in _outside_of_types(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            whole = {one.name: f"{node.module}.{one.name}" for one in node.names}
            found |= {name if name in known else str(node.module) for name in whole.values()}
    return found & set(known)


def _outside_of_types(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it, but for what stands under `if TYPE_CHECKING`."""
    yield node
    guarded = isinstance(node, ast.If) and ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING"
    for child in node.orelse if guarded else ast.iter_child_nodes(node):  # type: ignore[attr-defined]
        yield from _outside_of_types(child)


def circles(graph: Mapping[str, set[str]]) -> list[frozenset[str]]:
    """The strongly connected components of two modules and more (Tarjan 1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[frozenset[str]] = []

    def visit(name: str) -> None:
        number[name] = lowest[name] = len(number)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in number:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], number[other])
        if lowest[name] == number[name]:
            members = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(members) > 1:
                found.append(frozenset(members))

    for name in sorted(graph):
        if name not in number:
            visit(name)
    return found


def test_no_modules_import_each_other_in_a_circle(checkout: Path) -> None:
    modules = modules_of(checkout)
    graph = {name: imports_of(file.read_text(encoding="utf-8"), modules) - {name} for name, file in modules.items()}
    assert set(circles(graph)) <= STANDING


@pytest.mark.parametrize(
    ("source", "imported"),
    [
        ("import brain.b", {"brain.b"}),
        ("from brain import b", {"brain.b"}),
        ("from brain.b import name", {"brain.b"}),
        ("from brain import name", {"brain"}),
        ("def f():\n    from brain.b import name", {"brain.b"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import brain.b", set()),
        ("import typing\nif typing.TYPE_CHECKING:\n    import brain.b\nelse:\n    import brain.c", {"brain.c"}),
        ("import numpy", set()),
    ],
)
def test_an_import_is_seen_wherever_it_stands(source: str, imported: set[str]) -> None:
    assert imports_of(source, {"brain": 0, "brain.b": 0, "brain.c": 0}) == imported


def test_circles_are_found_with_those_that_lie_in_them() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "p": {"p.child"}, "p.child": {"p"}}
    assert set(circles(graph)) == {frozenset({"b", "c"}), frozenset({"p", "p.child"})}
