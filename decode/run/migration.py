"""settings.json: written as format 2, read as format 2 or, brought up to it, as format 1 (afterimage 0.1.0).

    {"format": 2, "recipe": NAME, "data": PATH, "asked": {"machine": {...}, "data": {...}, "maps": {...}, ...}}

Format 1 said no format, and had the sections machine, fit, decode and evaluate beside "recipe" and "data".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from brain.catalogue import Catalogue
from brain.errors import InputError, UsageError, expected
from decode.run.settings import CHOSEN, FIXED, MAPPINGS, METHODS, Absent, Settings, methods_asked, to_json
from encoders.settings import unflagged

FORMAT = 2
RENAMED = {"lane": "micro_batch"}
"""Names of format 1 -> those of format 2."""
FIRST = {
    "machine": ("seed", "device", "batch"),
    "fit": (
        "subject", "sessions", "betas", "reader", "fields", "standardise", "split", "stack", "maps", "mapping",
        "network_steps", "voxels", "paths", "start", "encoder", "masked_steps", "tune_steps", "trials", "alphas",
        "shared_penalty", "folds", "refits", "chunk", "pixels",
    ),
    "decode": (
        "method", "rows", "beside", "seeds", "control_seeds", "steps", "guidance", "strength", "noise_level",
        "loa_weight", "anchor_weight", "candidates", "eta", "scheduler", "dtype", "lane", "test_repeats",
    ),
    "evaluate": ("judge", "bootstrap", "permutations", "profile", "curves", "curve_stimuli", "export"),
}  # fmt: skip
"""The sections of format 1, each with exactly these settings."""
FLAT = "settings of format 1"
"""Under which the settings of an entry are kept that was absent when its run was brought up to format 2."""
AGAIN = "start a new run with --out"
BACK = "put the file back, or start a new run with --out"


def as_stored(settings: Settings, data: str) -> dict[str, Any]:
    """settings.json of these settings; `data` is the place of the data as it is stored."""
    asked: dict[str, Any] = {section: to_json(getattr(settings, section)) for section in FIXED}
    for section in CHOSEN:
        asked[section] = {name: to_json(own) for name, own in getattr(settings, section).items()}
    return {"format": FORMAT, "recipe": settings.recipe, "data": data, "asked": asked}


def settings_from(stored: Mapping[str, Any], *, where: object) -> Settings:
    """The settings in a settings.json of format 2 or 1; of another form it is an InputError.

    An entry that this installation does not have keeps its values as they are (`Absent`); one that has a setting more
    than when the run was made takes its default. An unknown name, a missing one of any other section, a value of
    another type or out of bounds is an InputError that names it.
    """
    form = stored.get("format", 1)
    if isinstance(form, bool) or form not in (1, FORMAT):
        then = f"read it with the version that wrote it, which its card.json names, or {AGAIN}"
        raise InputError(expected(where, f"settings of format {FORMAT} or 1", f"format {form!r:.20}", then))
    if not isinstance(stored.get("recipe"), str) or not stored["recipe"] or not isinstance(stored.get("data"), str):
        raise InputError(expected(where, "the settings of a run", "values of other types", BACK))
    if form == 1:
        return first_settings(stored, where=where)
    asked = stored.get("asked")
    known = {*FIXED, *CHOSEN}
    if not isinstance(asked, dict) or set(asked) != known or not all(isinstance(one, dict) for one in asked.values()):
        raise InputError(expected(where, "the settings of a run", "values of other types", BACK))
    made: dict[str, Any] = {name: section_from(kind, asked[name], where=where) for name, kind in FIXED.items()}
    for section, catalogue in CHOSEN.items():
        made[section] = {
            name: entry_from(catalogue, name, values, where=where) for name, values in asked[section].items()
        }
    return Settings(recipe=stored["recipe"], **made)


def entry_from(catalogue: Catalogue[Any], name: str, values: Any, *, where: object) -> Any:
    """The settings of one mapping or method."""
    if not isinstance(values, dict):
        raise InputError(expected(f"{where}: {name}", "its settings", "something else", BACK))
    if name not in catalogue.names():
        return Absent(values=values)
    own = catalogue[name].settings
    if set(values) == {FLAT} and isinstance(values[FLAT], dict):
        return first_section(type(own), values[FLAT], where=where)
    # a knob that the entry's file has learned since then had its default when the run was made
    return section_from(type(own), {**to_json(own), **values}, where=where)


def first_settings(stored: Mapping[str, Any], *, where: object) -> Settings:
    """Settings out of a settings.json of format 1."""
    if not all(isinstance(stored.get(section), dict) for section in FIRST):
        raise InputError(expected(where, "the settings of a run", "values of other types", BACK))
    odd = sorted(name for section, names in FIRST.items() for name in {*stored[section]} ^ {*names})
    if odd:
        then = f"read it with the version that wrote it, which its card.json names, or {AGAIN}"
        raise InputError(expected(where, "the settings of afterimage 0.1.0", f"others ({', '.join(odd)})", then))
    flat = {name: stored[section][name] for section in FIRST for name in FIRST[section]}
    fixed = {name: first_section(kind, flat, where=where) for name, kind in FIXED.items()}
    settings = Settings(recipe=stored["recipe"], **fixed)
    # wherever voxels were named a network was fine-tuned on them, whether its method was asked for or not
    tuned = [one.name for one in METHODS if one.trains and hasattr(one.settings, "voxels")] if flat["voxels"] else []
    methods = dict.fromkeys((*methods_asked(settings), *tuned))
    return replace(
        settings,
        mappings={settings.maps.mapping: first_entry(MAPPINGS, settings.maps.mapping, flat, where=where)},
        methods={name: first_entry(METHODS, name, flat, where=where) for name in methods},
    )


def first_section(kind: Any, flat: Mapping[str, Any], *, where: object) -> Any:
    """One section out of all settings of format 1; what that did not have takes the default."""
    renamed = {RENAMED.get(name, name): value for name, value in flat.items()}
    names = [one.name for one in dataclasses.fields(kind)]
    defaults = to_json(kind())
    return section_from(kind, {name: renamed.get(name, defaults[name]) for name in names}, where=where)


def first_entry(catalogue: Catalogue[Any], name: str, flat: Mapping[str, Any], *, where: object) -> Any:
    """The settings of one mapping or method out of all settings of format 1."""
    if name not in catalogue.names():
        return Absent(values={FLAT: dict(flat)})
    return first_section(type(catalogue[name].settings), flat, where=where)


def section_from(kind: Any, stored: Mapping[str, Any], *, where: object) -> Any:
    """One section's settings of this class."""
    names = {one.name for one in dataclasses.fields(kind)}
    if set(stored) != names:
        odd = ", ".join(sorted(set(stored) ^ names))
        raise InputError(expected(where, "settings that this version knows", f"{odd} besides or missing", AGAIN))
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
    for name, hint in get_type_hints(kind).items():
        if name in names and not is_a(values[name], hint):
            kind_of = getattr(hint, "__name__", hint) if get_origin(hint) is None else hint
            if get_origin(hint) is Literal:
                kind_of = f"one of {', '.join(map(repr, get_args(hint)))}"
            raise InputError(expected(f"{where}: {name}", str(kind_of), repr(values[name])[:60], AGAIN))
    try:
        return kind(**values)
    except UsageError as fault:
        raise InputError(f"{where}: {unflagged(fault)}; {BACK}") from fault


def is_a(value: Any, hint: Any) -> bool:
    """Is it a value of that type? A whole number is a float, a truth value is no number."""
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return any(is_a(value, one) for one in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(is_a(one, get_args(hint)[0]) for one in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint
