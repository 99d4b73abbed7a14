"""Settings as flags: a function's parameters, or a run's settings, become a command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, get_type_hints

from brain.console import flags
from brain.console.flags_page import field_texts, flag_of
from brain.errors import UsageError, expected
from decode.recipes import CATALOGUE, DEFAULT
from decode.run.settings import FIXED, MAPPINGS, METHODS, Absent, Settings, methods_asked, stage_of

Result = TypeVar("Result")
SEVERAL = ("--beside", "--maps", "--rows", "--sessions", "--voxels", "--stimuli", "--silence", "--alphas")
"""Flags that take several values, and would keep the last of two."""
CLASHES = ("data", "out", "recipe", "run", "silence", "stimuli", "to", "help")
"""Flags of the commands themselves, which no mapping or method can have."""


def parse(
    function: Callable[..., Result], *, command: str, words: Sequence[str], hints: flags.Hints = flags.NO_HINTS
) -> Result:
    """Calls `function` with what `words` say, as `brain.console.flags.parse` does, for `afterimage COMMAND`.

    A setting of a mapping or method that is not asked for is a UsageError that names whose it is.
    """
    known = {flag.name for flag in flags.flags_of(function)}
    for word in words:
        flag = word.partition("=")[0].replace("_", "-")
        owners = owners_of(flag) if flag.startswith("--") and flag not in known else []
        if owners:
            then = "leave it out, or take one of these by --method, --mapping or --maps SPACE@MAPPING=REGION"
            found = f"{flag} of {', '.join(owners)}"
            raise UsageError(expected("command line", "flags of what is asked for", found, then))
    return flags.parse(function, program=f"afterimage {command}", words=words, hints=hints)


def owners_of(flag: str) -> list[str]:
    """The mappings and methods that read a setting of this flag."""
    return [
        f"{kind} {entry.name}"
        for kind, catalogue in (("mapping", MAPPINGS), ("method", METHODS))
        for entry in catalogue
        if flag in {flag_of(one.name) for one in dataclasses.fields(entry.settings) if not one.metadata.get("hidden")}
    ]


def recipe_settings(words: Sequence[str]) -> Settings:
    """The settings of the recipe that `words` name, with the mapping and the methods that they name.

    For `--help` alone, where the default recipe needs what this installation does not have, another one's are shown.
    """
    recipe = CATALOGUE[named("--recipe", words, DEFAULT)]
    if not flags.HELP.isdisjoint(words) and not recipe.complete() and not named("--recipe", words, ""):
        recipe = next(one for one in CATALOGUE if one.complete())
    beside = several("--beside", words)
    return recipe.settings(
        mapping=named("--mapping", words, ""), method=named("--method", words, ""), beside=beside,
        maps=several("--maps", words),
    )  # fmt: skip


def run_settings(stored: Settings, words: Sequence[str]) -> Settings:
    """A run's settings, with the methods that `words` name; for `--help` alone without those that nobody has now."""
    beside = several("--beside", words)
    sampling = replace(
        stored.sampling, method=named("--method", words, stored.sampling.method),
        beside=stored.sampling.beside if beside is None else beside,
    )  # fmt: skip
    # another main method than the run's takes the values of the run's own; the main one comes first
    asked = [name for name in methods_asked(replace(stored, sampling=sampling)) if name]
    if not flags.HELP.isdisjoint(words):
        asked = [name for name in asked if not isinstance(stored.methods.get(name), Absent)]
    methods = {name: stored.method(name) for name in asked}
    return replace(stored, sampling=sampling, methods=methods)


def knobs(section: str, settings: Mapping[str, Any], *, stages: Iterable[str], title: str, beside: Any = None) -> Any:
    """The settings of several entries as one value: each name once, with the first one's default.

    section  "mappings" or "methods"; stages: of which stages' settings; beside: other knobs of the same command
    Two entries that mean different types by one name, and a name that a command has itself, are a ValueError: a fault
    of the entry's file.
    """
    made: dict[str, tuple[str, Any, Any]] = {}
    others = [*FIXED.values(), *([] if beside is None else [beside])]
    clashes = {*CLASHES, *(one.name for kind in others for one in dataclasses.fields(kind))}
    for entry, own in settings.items():
        if isinstance(own, Absent):
            continue
        types, texts = get_type_hints(type(own)), field_texts(type(own))
        for one in dataclasses.fields(own):
            if one.metadata.get("hidden") or stage_of(section, one) not in stages:
                continue
            if one.name in clashes or (one.name in made and made[one.name][1] != types[one.name]):
                raise ValueError(f"{entry}: its setting {one.name!r} stands for something else already; rename it")
            more = {**one.metadata, "help": texts.get(one.name, "")}
            made.setdefault(
                one.name,
                (one.name, types[one.name], dataclasses.field(default=getattr(own, one.name), metadata=more)),
            )
    kind = dataclasses.make_dataclass("Knobs", list(made.values()), frozen=True, kw_only=True)
    kind.__doc__ = title
    return kind()


def with_knobs(settings: Mapping[str, Any], asked: Any) -> dict[str, Any]:
    """Several entries' settings with what is `asked` otherwise than shown, wherever one has a setting of the name.

    What is as it is shown, which is the first one's, changes nothing: those beside it may have values of their own.
    """
    given = {one.name: (getattr(asked, one.name), one.default) for one in dataclasses.fields(asked)}
    values = {name: value for name, (value, shown) in given.items() if value != shown}
    return {
        name: own if isinstance(own, Absent) else replace(
            own, **{one.name: values[one.name] for one in dataclasses.fields(own) if one.name in values}
        )
        for name, own in settings.items()
    }  # fmt: skip


def typed(function: Callable[..., Result], **parts: Any) -> Callable[..., Result]:
    """The function with these parameters typed by the values that are their defaults."""
    function.__annotations__ |= {name: type(value) for name, value in parts.items()}
    return function


def runs_own(stored: Settings, *parts: Any, others: bool = False) -> flags.Hints:
    """What `--help` says of settings that a run brings along: nothing where one is named, whose values stand there.

    parts   sections and knobs whose names are meant; others: other folders than runs may be named too
    """
    if stored.recipe:
        return flags.NO_HINTS
    own = dict.fromkeys((one.name for part in parts for one in dataclasses.fields(part)), _others if others else _runs)
    return {"data": _runs, "device": _runs, "batch": _runs, **own}


def _runs(_: str) -> str:
    return "(the run's own)"


def _others(value: str) -> str:
    return f"(the run's own; of a folder that is no run: {value or 'none'})"


def recipes_own(words: Sequence[str]) -> flags.Hints:
    """What `--help` says of settings in which recipes differ: nothing where one is named, whose values stand there."""
    if named("--recipe", words, ""):
        return flags.NO_HINTS
    every = [flat(recipe.settings()) for recipe in CATALOGUE if recipe.complete()]
    names = {name for one in every for name in one}
    return {
        name: lambda value: f"(the recipe's; {DEFAULT}: {value or 'none'})"
        for name in names
        if len({str(one[name]) for one in every if name in one}) > 1
    }


def flat(settings: Settings) -> dict[str, Any]:
    """Name -> value of every setting of a recipe."""
    parts = [settings.machine, settings.data, settings.maps, *settings.mappings.values(), settings.sampling,
             *settings.methods.values(), settings.evaluation]  # fmt: skip
    return {one.name: getattr(part, one.name) for part in reversed(parts) for one in dataclasses.fields(part)}


def named(flag: str, words: Sequence[str], default: str) -> str:
    """The last value given for `--flag`, read before all flags are parsed, because others' defaults hang on it."""
    value = default
    for place, word in enumerate(words):
        if word == flag and place + 1 < len(words):
            value = words[place + 1]
        elif word.startswith(f"{flag}="):
            value = word.partition("=")[2]
    return value


def several(flag: str, words: Sequence[str]) -> tuple[str, ...] | None:
    """The values given for a flag of several, read before all flags are parsed; None where it is not given."""
    found: tuple[str, ...] | None = None
    for place, word in enumerate(words):
        if word.startswith(f"{flag}="):
            found = (word.partition("=")[2],)
        elif word == flag:
            rest = list(words[place + 1 :])
            end = next((number for number, one in enumerate(rest) if one.startswith("-")), len(rest))
            found = tuple(rest[:end])
    return found


def given_once(words: Sequence[str], flags: Sequence[str]) -> None:
    """Refuses (UsageError) a flag of several values that is given twice: the reader of flags would keep the last."""
    given = [word.partition("=")[0] for word in words]
    for flag in flags:
        if given.count(flag) > 1:
            then = f"write {flag} once with all its values behind it"
            raise UsageError(expected("command line", f"{flag} once", f"it {given.count(flag)} times", then))
