"""A folder is a catalogue: every module of a package that ends in `ENTRIES = (...)` adds its entries by their `name`.

Adding a reader, space, mapping, generator or metric is one new file; nothing else is edited. An entry carries its card:
whoever shows entries, such as help or a table, reads cards and keeps no list of names.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar, cast

from brain.errors import UsageError


class Named(Protocol):
    """Anything with a name can stand in a catalogue."""

    @property
    def name(self) -> str: ...


class Card(Named, Protocol):
    """What an entry says of itself: `title` in a few words, `description` in one line, `citation`, "" where unknown."""

    @property
    def title(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def citation(self) -> str: ...


Entry = TypeVar("Entry", bound=Named)


def facts(entry: Card) -> dict[str, str]:
    """The card of an entry as JSON says it; with its licence where the entry names one."""
    card = {
        "name": entry.name,
        "title": entry.title,
        "description": entry.description,
        "citation": entry.citation,
    }
    licence = str(getattr(entry, "licence", ""))
    return {**card, "licence": licence} if licence else card


class Catalogue(Generic[Entry]):
    """The entries of one package, found by walking its modules.

    `package` is an import name such as "brain.readers"; `kind` is the word an error uses ("reader").
    Modules are imported on first use, so that naming a catalogue costs nothing.
    """

    def __init__(self, package: str, kind: str) -> None:
        self.package = package
        self.kind = kind
        self._found: dict[str, Entry] | None = None

    def _entries(self) -> dict[str, Entry]:
        if self._found is None:
            found: dict[str, Entry] = {}
            home: dict[str, str] = {}
            for module in _modules(self.package):
                for entry in cast("tuple[Entry, ...]", getattr(importlib.import_module(module), "ENTRIES", ())):
                    if entry.name in found:
                        raise ValueError(f"two entries named {entry.name!r}: {home[entry.name]} and {module}")
                    found[entry.name], home[entry.name] = entry, module
            self._found = found
        return self._found

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._entries()))

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries()[name] for name in self.names())

    def __getitem__(self, name: str) -> Entry:
        """The entry of that name; an unknown name is a `UsageError` with the nearest ones."""
        entries = self._entries()
        if name not in entries:
            raise UsageError(unknown(self.kind, name, self.names()))
        return entries[name]


def unknown(kind: str, name: str, known: tuple[str, ...]) -> str:
    """The sentence for a name that nobody has: the nearest known names, else all of them."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}" if near else f"known are {', '.join(known)}"
    return f"no {kind} is called {name!r}; {hint}"


def _modules(package: str) -> list[str]:
    path = importlib.import_module(package).__path__
    return sorted(f"{package}.{info.name}" for info in pkgutil.iter_modules(path) if not info.name.startswith("_"))
