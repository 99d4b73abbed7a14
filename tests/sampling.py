"""How tests ask: a generator for its own settings and those that a test names, a study for settings by their names."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from decode.run.settings import CHOSEN, FIXED, Settings
from pipelines.settings import Batching, Sampling


def sampling(own: Sampling, **asked: Any) -> dict[str, Any]:
    """`settings` and `batching` for a generator; what it has no setting for is left out."""
    known = {one.name for one in fields(own)}
    at_once = {name: asked[name] for name in ("batch", "micro_batch") if name in asked}
    return {
        "settings": replace(own, **{name: value for name, value in asked.items() if name in known}),
        "batching": Batching(**at_once),
    }


def asked(settings: Settings, **values: Any) -> Settings:
    """The settings with these values wherever a part of them has a setting of the name; a name nobody has: KeyError."""
    left = {*values}

    def with_values(part: Any) -> Any:
        mine = {one.name: values[one.name] for one in fields(part) if one.name in values}
        left.difference_update(mine)
        return replace(part, **mine)

    fixed = {name: with_values(getattr(settings, name)) for name in FIXED}
    whole = replace(settings, **fixed).whole()
    chosen = {name: {one: with_values(own) for one, own in getattr(whole, name).items()} for name in CHOSEN}
    if left:
        raise KeyError(", ".join(sorted(left)))
    return replace(whole, **chosen)
