"""The page that `--help` prints: a line a flag, what it means and its default, by section.

Flags are a function's parameters and the fields of settings among them; their texts are the docstring's `Args:` and the
docstrings under fields. A field's metadata may bring its own text ("help"), name a catalogue whose entries it takes
("catalogue"), or keep it off the page ("hidden").
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

LEFT = 25
"""Columns of a flag and what it takes."""
WIDTHS = (72, 120)
LONGEST = 50
"""Letters of the names of entries beyond which a page only says how to list them."""
WORDS = {int: "INT", float: "NUMBER", str: "TEXT", Path: "PATH"}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One flag on the page: how it is written, what it takes, what it means, its default as text."""

    flag: str
    takes: str
    text: str
    default: str


def page(function: Callable[..., Any], *, program: str, hints: Mapping[str, Callable[[str], str]]) -> str:
    """The page of a command whose flags are this function's parameters."""
    width = min(max(shutil.get_terminal_size((100, 24)).columns, WIDTHS[0]), WIDTHS[1])
    told, texts = _docs(function)
    sections = list(_sections(function, texts, hints))
    bare = " ".join(line.flag for title, lines in sections if title == "" for line in lines if line.flag.isupper())
    out = [f"usage: {program} {bare} [--FLAG VALUE ...]".replace("  ", " "), *textwrap.wrap(told, width), ""]
    for title, lines in sections:
        if title:
            out += textwrap.wrap(title, width)
        for line in lines:
            out += _written(line, width)
    return "\n".join(out)


def _sections(
    function: Callable[..., Any], texts: Mapping[str, str], hints: Mapping[str, Callable[[str], str]]
) -> Iterator[tuple[str, list[Line]]]:
    """Title and lines: the function's own parameters first, then each of its settings."""
    types, own, settings = get_type_hints(function, include_extras=False), [], []
    for one in inspect.signature(function).parameters.values():
        kind = types[one.name]
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            lines = _fields(kind, one.default, hints)
            if lines:
                settings.append((_titled(kind), lines))
            continue
        bare = one.kind is not inspect.Parameter.KEYWORD_ONLY
        flag = one.name.upper() if bare else flag_of(one.name)
        default = "needed" if one.default is inspect.Parameter.empty else said(one.default)
        default = hints[one.name](default) if one.name in hints else default
        own.append(Line(flag=flag, takes="" if bare else taken(kind), text=texts.get(one.name, ""), default=default))
    own.append(Line(flag="-h, --help", takes="", text="Show this page.", default=""))
    yield "", own
    yield from settings


def _fields(kind: type[Any], default: Any, hints: Mapping[str, Callable[[str], str]]) -> list[Line]:
    types, texts, lines = get_type_hints(kind), field_texts(kind), []
    for one in dataclasses.fields(kind):
        if one.metadata.get("hidden"):
            continue
        value = getattr(default, one.name)
        if dataclasses.is_dataclass(value):
            lines += _fields(type(value), value, hints)
            continue
        text = one.metadata.get("help") or texts.get(one.name, "")
        # the one flag that does nothing as it stands: it is there to be taken away
        shown = f"yes; {flag_of(f'no_{one.name}')} for no" if value is True else said(value)
        lines.append(
            Line(
                flag=flag_of(one.name), takes="" if types[one.name] is bool else taken(types[one.name]),
                text=_with_choices(text, types[one.name], one.metadata.get("catalogue", "")),
                default=hints[one.name](shown) if one.name in hints else shown,
            )
        )  # fmt: skip
    return lines


def _with_choices(text: str, kind: Any, catalogue: str) -> str:
    literal = get_args(kind) if get_origin(kind) is Literal else ()
    choices = ", ".join(str(one) for one in (literal or entries_of(catalogue)) if one)
    if catalogue and len(choices) > LONGEST:
        return f"{text.rstrip('.')}; see `afterimage list {catalogue.rpartition('.')[2]}`."
    return f"{text.rstrip('.')}: {choices}." if choices else text


def entries_of(package: str) -> tuple[str, ...]:
    """The names of the catalogue in that package, "" none."""
    return tuple(importlib.import_module(package).CATALOGUE.names()) if package else ()


def flag_of(name: str) -> str:
    """The flag of a parameter or field."""
    return f"--{name.replace('_', '-')}"


def taken(kind: Any) -> str:
    """What a flag of this type takes, in capitals: INT, NUMBER, TEXT, PATH; several of them with dots."""
    if get_origin(kind) is tuple:
        return f"{taken(get_args(kind)[0])} ..."
    if get_origin(kind) is Literal:
        return WORDS.get(type(get_args(kind)[0]), "TEXT")
    if get_origin(kind) is Union or isinstance(kind, type(int | None)):
        return taken(next(one for one in get_args(kind) if one is not type(None)))
    return "" if kind is bool else WORDS.get(kind, "TEXT")


def said(value: Any) -> str:
    """A default as text: nothing for an empty one, yes and no for truth values."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(map(said, value))
    return "" if value is None or value == "" or value == Path() else f"{value:g}" if isinstance(value, float) else str(
        value
    )


def _written(line: Line, width: int) -> list[str]:
    """The flag at the left, its text and default beside it, or below where the flag is long."""
    left = f"  {line.flag} {line.takes}".rstrip()
    text = f"{line.text} ({line.default})" if line.default and not line.default.startswith("(") else (
        f"{line.text} {line.default}".strip()
    )
    room = width - LEFT
    body = textwrap.wrap(text.strip(), room, break_on_hyphens=False) or [""]
    first = [left] if len(left) >= LEFT else [f"{left:<{LEFT}}{body.pop(0)}".rstrip()]
    return first + [" " * LEFT + one for one in body]


def _titled(kind: type[Any]) -> str:
    """The title of a section: the first sentence of its class' docstring."""
    return (kind.__doc__ or kind.__name__).strip().partition("\n")[0].rstrip(".;") + ":"


def _docs(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The docstring's text before `Args:`, as one paragraph, and parameter -> its text there."""
    doc = inspect.getdoc(function) or ""
    told, _, args = doc.partition("Args:")
    texts: dict[str, str] = {}
    name = ""
    for line in textwrap.dedent(args.strip("\n")).splitlines():
        found = re.match(r"(\w+): (.*)", line)
        if found:
            name = found[1]
            texts[name] = found[2]
        elif name:
            texts[name] += f" {line.strip()}"
    return " ".join(told.split()), texts


def field_texts(kind: type[Any]) -> dict[str, str]:
    """Field -> the docstring under it, of a dataclass and those it stands on; none of one that a program made."""
    texts: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(one):
            continue
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(one))).body[0]
        except (OSError, TypeError):
            continue
        assert isinstance(body, ast.ClassDef)
        for field, below in zip(body.body, body.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    texts[name] = " ".join(text.split())
    return texts
