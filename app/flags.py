"""Settings as flags: a function's parameters, or a stage's settings, become a command line by tyro."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from brain import flags

Result = TypeVar("Result")


def parse(function: Callable[..., Result], *, command: str, words: Sequence[str]) -> Result:
    """Calls `function` with what `words` say, as `brain.flags.parse` does, for `afterimage COMMAND`."""
    return flags.parse(function, program=f"afterimage {command}", words=words)


def named(flag: str, words: Sequence[str], default: str) -> str:
    """The last value given for `--flag`, read before all flags are parsed, because others' defaults hang on it."""
    value = default
    for place, word in enumerate(words):
        if word == flag and place + 1 < len(words):
            value = words[place + 1]
        elif word.startswith(f"{flag}="):
            value = word.partition("=")[2]
    return value
