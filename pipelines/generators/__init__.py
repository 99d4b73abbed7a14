"""The catalogue of generators: one file each, ending in ENTRIES."""

from brain.catalogue import Catalogue
from pipelines.drawing import Entry
from pipelines.stacks.folder import StackFolder

CATALOGUE: Catalogue[Entry] = Catalogue("pipelines.generators", "generator")


def of_pictures(stack: StackFolder) -> Entry:
    """The generator of pictures for this stack: by an image embedding where it takes one, else by text."""
    return CATALOGUE["unclip" if "image_normalizer" in stack.components else "takagi"]
