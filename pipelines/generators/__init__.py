"""The catalogue of generators: one file each, ending in ENTRIES."""

from brain.catalogue import Catalogue
from pipelines.drawing import Entry

CATALOGUE: Catalogue[Entry] = Catalogue("pipelines.generators", "generator")
