"""A folder is a catalogue: every module of a package that ends in `ENTRIES = (...)` adds its entries by their `name`.

Adding a reader, space, mapping, generator or metric is one new file; nothing else is edited. An entry carries its card:
whoever shows entries, such as help or a table, reads cards and keeps no list of names.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, cast

from brain.errors import AfterimageError, InputError, UsageError, expected


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
MEND = "mend the file, or take it away"


def facts(entry: Card) -> dict[str, str]:
    """The card of an entry as JSON says it, with its licence and terms where it names them; no text: `InputError`."""
    fields = ("name", "title", "description", "citation")
    card: dict[str, Any] = {field: getattr(entry, field, None) for field in fields}
    wrong = [field for field, said in card.items() if not isinstance(said, str)]
    if wrong:
        who = f"{type(entry).__module__}, {entry.name}"
        raise InputError(expected(who, "a card of four texts", f"no {' and no '.join(wrong)}", "write them there"))
    more = {field: str(getattr(entry, field, "")) for field in ("licence", "terms")}
    return {**card, **{field: said for field, said in more.items() if said}}


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
                for entry in self._entries_of(module):
                    if entry.name in found:
                        then = "rename one, or take its file away"
                        who = f"{home[entry.name]} and {module}"
                        raise InputError(expected(self.package, f"one entry {entry.name!r}", who, then))
                    found[entry.name], home[entry.name] = entry, module
            self._found = found
        return self._found

    def _entries_of(self, module: str) -> tuple[Entry, ...]:
        """What one file adds; a file that cannot be imported, or adds what has no name, is an `InputError`."""
        try:
            entries = getattr(importlib.import_module(module), "ENTRIES", ())
        except AfterimageError:
            raise
        except (Exception, SystemExit) as error:
            said, then = _fault(error, module)
            raise InputError(expected(module, "a file of entries", said, then)) from error
        if not isinstance(entries, tuple) or not all(isinstance(getattr(one, "name", None), str) for one in entries):
            shape = "ENTRIES, a tuple of entries with a name"
            raise InputError(expected(module, shape, ascii(repr(entries)[:60]), MEND))
        return cast("tuple[Entry, ...]", entries)

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


def _fault(error: BaseException, module: str) -> tuple[str, str]:
    """The error with the place where it came up, as one line, and what to do about it."""
    own = importlib.util.find_spec(module)
    home = (own.origin if own else None) or module
    if isinstance(error, SyntaxError):
        file, line, said = error.filename or home, error.lineno, error.msg
    else:
        last = traceback.extract_tb(error.__traceback__)[-1]
        file, line, said = last.filename, last.lineno, str(error)
    # an import that fails is raised below the file that asks for it
    inside = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == home]
    if inside and file != home:
        line_of = f"line {inside[-1].lineno}, by {file}, line {line}"
        return f"{type(error).__name__} in {line_of}: {_line(said)}", f"install or repair what it imports, {MEND}"
    return f"{type(error).__name__} in {Path(file).name}, line {line}: {_line(said)}", MEND


def _line(said: str) -> str:
    return " ".join(said.split())


def _modules(package: str) -> list[str]:
    path = importlib.import_module(package).__path__
    return sorted(f"{package}.{info.name}" for info in pkgutil.iter_modules(path) if not info.name.startswith("_"))
