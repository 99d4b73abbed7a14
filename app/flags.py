"""Settings as flags: a function's parameters, or a stage's settings, become a command line by tyro."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from brain.errors import UsageError, expected

Result = TypeVar("Result")


def parse(function: Callable[..., Result], *, command: str, words: Sequence[str]) -> Result:
    """Calls `function` with what `words` say; a wrong flag leaves with exit code 2 and the nearest right one."""
    import tyro

    return tyro.cli(
        function,
        prog=f"afterimage {command}",
        args=list(words),
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
    )


def named(flag: str, words: Sequence[str], default: str) -> str:
    """The last value given for `--flag`, read before all flags are parsed, because others' defaults hang on it."""
    value = default
    for place, word in enumerate(words):
        if word == flag and place + 1 < len(words):
            value = words[place + 1]
        elif word.startswith(f"{flag}="):
            value = word.partition("=")[2]
    return value


def given_once(words: Sequence[str], flags: Sequence[str]) -> None:
    """Refuses (UsageError) a flag of several values that is given twice: the reader of flags would keep the last."""
    given = [word.partition("=")[0] for word in words]
    for flag in flags:
        if given.count(flag) > 1:
            then = f"write {flag} once with all its values behind it"
            raise UsageError(expected("command line", f"{flag} once", f"it {given.count(flag)} times", then))
