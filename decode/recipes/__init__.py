"""Recipes: complete settings by name. A recipe is one file here that ends in `ENTRIES = (...)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from brain.catalogue import Catalogue
from decode.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A name, one sentence on what it does, and the function that returns its settings."""

    name: str
    says: str
    settings: Callable[[], Settings]


CATALOGUE: Catalogue[Recipe] = Catalogue("decode.recipes", "recipe")
DEFAULT = "takagi-miniature"
