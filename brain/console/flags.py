"""Flags: a function's parameters, and the fields of settings among them, become a command line by tyro.

    def asked(data: Path, /, *, out: Path, settings: Settings = Settings()): return data, out, settings
    data, out, settings = parse(asked, program="afterimage fit", words=sys.argv[1:])

Words without a flag are parameters that are positional only, or `tyro.conf.Positional` and before the `*`.
Words that do not fit are one sentence, a UsageError.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import inspect
import io
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from brain.console.flags_page import page
from brain.errors import UsageError, expected

Result = TypeVar("Result")
HELP = {"-h", "--help"}
Hints = Mapping[str, Callable[[str], str]]
"""From a parameter's or field's name to what `--help` says of it instead of its default, which it is given as text."""
NO_HINTS: Hints = {}
BOX = re.compile("[\u2500-\u257f|+]|-{3,}")
"""What the reader of flags draws around its words."""
WANTED = {
    int: ("a whole number", "whole numbers"), float: ("a number", "numbers"),
    Path: ("a file or folder", "files or folders"),
}  # fmt: skip


def parse(function: Callable[..., Result], *, program: str, words: Sequence[str], hints: Hints = NO_HINTS) -> Result:
    """What `function` returns when it is called with what `words` say, which may be long work.

    `--help` prints its page, with `hints`, and leaves (SystemExit 0); words that do not fit are a UsageError.
    """
    if not HELP.isdisjoint(words):
        print(page(function, program=program, hints=hints))
        raise SystemExit(0)
    import tyro

    def kept(*given: Any, **named: Any) -> Callable[[], Result]:
        return lambda: function(*given, **named)

    kept.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    kept.__annotations__ = get_type_hints(function, include_extras=True)
    kept.__doc__, kept.__name__ = function.__doc__, function.__name__
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            call = tyro.cli(kept, prog=program, args=list(words), config=config)
    except SystemExit as end:
        if end.code in (None, 0):
            raise
        raise UsageError(refusal(function, program=program, words=words, said=said.getvalue())) from None
    sys.stderr.write(said.getvalue())
    return call()


@dataclass(frozen=True, kw_only=True)
class Flag:
    """One parameter as it is written: its name (`--out`, or `OUT` without a flag), its type, whether it has to be."""

    name: str
    kind: Any
    needed: bool

    @property
    def bare(self) -> bool:
        """Whether it is a word without a flag before it."""
        return not self.name.startswith("-")

    @property
    def several(self) -> bool:
        """Whether it takes any number of words."""
        return get_origin(self.kind) is tuple

    @property
    def one(self) -> Any:
        """The type of one word."""
        return get_args(self.kind)[0] if self.several else self.kind

    def expected_value(self) -> str:
        """What its words have to be."""
        if get_origin(self.one) is Literal:
            *others, last = (str(one) for one in get_args(self.one) if one != "")
            return f"{', '.join(others)} or {last}" if others else last
        return WANTED.get(self.one, ("a value", "values"))[self.several]

    def takes(self, word: str) -> bool:
        """Whether the word can be read as what it has to be."""
        if get_origin(self.one) is Literal:
            return word in map(str, get_args(self.one))
        try:
            return self.one not in WANTED or self.one(word) is not None
        except ValueError:
            return False


def flags_of(function: Any) -> tuple[Flag, ...]:
    """Every flag of a command line, a function's or a dataclass', those of settings among its parameters too."""
    return tuple(_flags(function))


def _flags(function: Any) -> Iterator[Flag]:
    hints = get_type_hints(function)
    for one in inspect.signature(function).parameters.values():
        kind = _plain(hints[one.name])
        if dataclasses.is_dataclass(kind):
            yield from _flags(kind)
            continue
        bare = one.kind is not inspect.Parameter.KEYWORD_ONLY
        name = one.name.upper() if bare else f"--{one.name.replace('_', '-')}"
        yield Flag(name=name, kind=kind, needed=one.default is inspect.Parameter.empty)


def _plain(hint: Any) -> Any:
    """The type without `None` beside it."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(one for one in get_args(hint) if one is not type(None))
    return hint


def refusal(function: Callable[..., Any], *, program: str, words: Sequence[str], said: str) -> str:
    """The sentence for words that the reader of flags has refused; `said` is what it printed."""
    flags = flags_of(function)
    see = f"see `{program} --help`"
    for sentence in _faults(flags, list(words), program=program, see=see):
        return sentence
    told = " ".join(BOX.sub(" ", said).split())
    return expected("command line", "what the flags allow", f"something else ({told})", see)


def _faults(flags: Sequence[Flag], words: list[str], *, program: str, see: str) -> Iterator[str]:
    """One sentence a fault, in the order of the words, then what is missing."""
    known = {flag.name: flag for flag in flags if not flag.bare}
    off = {f"--no-{name[2:]}": flag for name, flag in known.items() if flag.kind is bool}
    loose: list[str] = []
    given: set[str] = set()
    while words:
        word = words.pop(0)
        if not _is_flag(word):
            loose.append(word)
            continue
        written, equals, value = word.partition("=")
        flag = (known | off).get(written.replace("_", "-"))
        if flag is None:
            near = difflib.get_close_matches(written, [*known, *off], n=1)
            then = f"write {near[0]}, or {see}" if near else see
            yield expected(written, f"a flag of `{program}`", "one that it does not have", then)
            return  # what follows may be its value
        given.add(flag.name)
        if flag.kind is bool:
            if equals:
                yield expected(written, "no value", value, f"write {flag.name} or --no-{flag.name[2:]}")
            continue
        values = [value] if equals else _values(words, several=flag.several)
        yield from _wrong(flag, values, written=written, see=see)
    yield from _loose([flag for flag in flags if flag.bare], loose, see=see)
    missing = [flag.name for flag in flags if flag.needed and flag.name not in given and not flag.bare]
    bare = [flag.name for flag in flags if flag.needed and flag.bare][len(loose) :]
    if missing or bare:
        yield expected("command line", " and ".join([*bare, *missing]), "none", f"add what is missing, {see}")


def _wrong(flag: Flag, values: list[str], *, written: str, see: str) -> Iterator[str]:
    if not values and not flag.several:
        yield expected(written, flag.expected_value(), "none", see)
    for value in values:
        if not flag.takes(value):
            choices = [str(one) for one in get_args(flag.one)]
            near = difflib.get_close_matches(value, choices, n=1)
            then = f"write {near[0]}, or {see}" if near else see
            yield expected(written, flag.expected_value(), value or "an empty one", then)


def _loose(flags: Sequence[Flag], words: Sequence[str], *, see: str) -> Iterator[str]:
    """What is wrong with the words that no flag takes."""
    many = any(flag.several for flag in flags)
    for flag, word in zip(flags, words, strict=False):
        yield from _wrong(flag, [word], written=flag.name, see=see)
    if len(words) > len(flags) and not many:
        names = " and ".join(flag.name for flag in flags) or "flags"
        yield expected("command line", f"{names} and no more", f"also {' '.join(words[len(flags) :])}", see)


def _values(words: list[str], *, several: bool) -> list[str]:
    """Takes the words that belong to a flag."""
    found: list[str] = []
    while words and not _is_flag(words[0]) and (several or not found):
        found.append(words.pop(0))
    return found


def _is_flag(word: str) -> bool:
    """Whether it is a flag and no value; a negative number is a value."""
    if not word.startswith("-") or word == "-":
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False
