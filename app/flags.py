"""Settings as flags: a function's parameters, or a stage's settings, become a command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from brain import flags
from brain.errors import UsageError, expected
from decode.recipes import CATALOGUE, DEFAULT
from decode.settings import Settings

Result = TypeVar("Result")


def parse(
    function: Callable[..., Result], *, command: str, words: Sequence[str], hints: flags.Hints = flags.NO_HINTS
) -> Result:
    """Calls `function` with what `words` say, as `brain.flags.parse` does, for `afterimage COMMAND`."""
    return flags.parse(function, program=f"afterimage {command}", words=words, hints=hints)


def runs_own(stored: Settings, *stages: str, others: bool = False) -> flags.Hints:
    """What `--help` says of settings that a run brings along: nothing where one is named, whose values stand there.

    others  other folders than runs may be named too, which bring none
    """
    if stored.recipe:
        return flags.NO_HINTS
    own = dict.fromkeys(_names(stored, stages), _others if others else _runs)
    return {"data": _runs, "device": _runs, "batch": _runs, **own}


def _runs(_: str) -> str:
    return "(the run's own)"


def _others(value: str) -> str:
    return f"(the run's own; of a folder that is no run: {value})"


def recipes_own(words: Sequence[str], *stages: str) -> flags.Hints:
    """What `--help` says of settings in which recipes differ: nothing where one is named, whose values stand there."""
    if named("--recipe", words, ""):
        return flags.NO_HINTS
    every = [recipe.settings() for recipe in CATALOGUE]
    return {
        name: lambda value: f"(the recipe's; {DEFAULT}: {value})"
        for stage in stages
        for name in _names(every[0], (stage,))
        if len({getattr(getattr(one, stage), name) for one in every}) > 1
    }


def _names(settings: Settings, stages: Sequence[str]) -> list[str]:
    kept: list[Any] = [getattr(settings, stage) for stage in stages]
    return [one.name for stage in kept for one in dataclasses.fields(stage)]


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
