"""Families of splits, one file a family; the folder is the catalogue. A split is over stimuli unless it says trials."""

from __future__ import annotations

import re
from dataclasses import dataclass

from brain.catalogue import Catalogue


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of splits that are made alike. `pattern` is the regular expression of their names."""

    name: str
    title: str
    description: str
    citation: str = ""
    licence: str = ""
    pattern: str

    def holds(self, split: str) -> bool:
        """Is this the name of a split of the family?"""
        return re.fullmatch(self.pattern, split) is not None


CATALOGUE: Catalogue[Family] = Catalogue("brain.splits", "family of splits")


def family_of(split: str) -> Family | None:
    """The family of a split by its name; None for a split of the data's own."""
    return next((family for family in CATALOGUE if family.holds(split)), None)
