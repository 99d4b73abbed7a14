"""Recipes: complete settings by name. A recipe is one file here that ends in `ENTRIES = (...)`.

A recipe names a decoding method, those beside it and what they draw from, and says the knobs in which it differs from
their own defaults; a knob is given to every method, and to the mapping, that has one of the name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from brain.catalogue import Catalogue
from brain.errors import UsageError, expected
from decode.run.settings import (
    MAPPINGS,
    METHODS,
    DataSettings,
    EvaluationSettings,
    MapSettings,
    SamplingSettings,
    Settings,
    after,
    kinds_of,
    methods_asked,
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe.

    name, title, description, citation  its card
    data, maps, sampling, evaluation    sections of its settings
    knobs                               name -> value, of methods and mappings that have a setting of that name
    own                                 method -> knobs of it alone, where it stands beside one of others
    """

    name: str
    title: str
    description: str
    citation: str = ""
    data: DataSettings = DataSettings()
    maps: MapSettings
    sampling: SamplingSettings
    evaluation: EvaluationSettings = EvaluationSettings()
    knobs: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def settings(
        self, *, mapping: str = "", method: str = "", beside: Sequence[str] | None = None,
        maps: Sequence[str] | None = None,
    ) -> Settings:  # fmt: skip
        """Its settings, or those with other maps, mapping, method or methods beside it; one nobody has: UsageError."""
        asked = self.maps.maps if maps is None else tuple(maps)
        mapped = replace(self.maps, mapping=mapping or self.maps.mapping, maps=asked)
        others = self.sampling.beside if beside is None else tuple(beside)
        sampling = replace(self.sampling, method=method or self.sampling.method, beside=others)
        bare = Settings(
            recipe=self.name, data=self.data, maps=mapped, sampling=sampling, evaluation=self.evaluation
        )  # fmt: skip
        mappings, methods = dict[str, Any](), dict[str, Any]()
        for kind in dict.fromkeys((mapped.mapping, *kinds_of(mapped))):
            mappings[kind] = self._with(after(MAPPINGS[kind].settings, [*mappings.values()]))
        for name in methods_asked(bare):
            alike = self._with(after(METHODS[name].settings, [*methods.values()]))
            methods[name] = replace(alike, **self.own.get(name, {}))
        unread = {*self.knobs} - {one.name for own in (*mappings.values(), *methods.values())
                                  for one in dataclasses.fields(own)}  # fmt: skip
        if unread and not mapping and not method and beside is None and maps is None:
            raise UsageError(
                expected(f"recipe {self.name}", "knobs that its method or mapping has", ", ".join(sorted(unread)),
                         "take them out of the recipe's file")
            )  # fmt: skip
        return replace(bare, mappings=mappings, methods=methods)

    def complete(self) -> bool:
        """Whether this installation has its methods and its mappings."""
        names = (self.sampling.method, *self.sampling.beside)
        kinds = (self.maps.mapping, *kinds_of(self.maps))
        return all(kind in MAPPINGS.names() for kind in kinds) and all(name in METHODS.names() for name in names)

    def _with(self, own: Any) -> Any:
        known = {one.name for one in dataclasses.fields(own)}
        return replace(own, **{name: value for name, value in self.knobs.items() if name in known})


CATALOGUE: Catalogue[Recipe] = Catalogue("decode.recipes", "recipe")
DEFAULT = "bayes-miniature"
