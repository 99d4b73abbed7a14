"""Condition spaces: from a stimulus to the numbers a generator draws from, one file a space.

A file ends in `ENTRIES = (...)`; an entry names its space and opens it on a stack's folder:

    space = CATALOGUE["clip-image"].open(folder, model="miniature-image", revision="", device="cpu")
    conditions = space.encode(stimuli, ids, batch=32)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from brain.catalogue import Catalogue
from brain.types import Stimuli
from encoders.conditions import Conditions, SpaceCard


class Space(Protocol):
    """An opened space."""

    @property
    def card(self) -> SpaceCard:
        """Which numbers these are."""

    @property
    def rescaling(self) -> str:
        """How predictions are rescaled before a generator takes them: "none", "spread" or "spread+norm"."""

    def encode(self, stimuli: Stimuli, ids: Sequence[str], *, batch: int) -> Conditions:
        """The true conditions of these stimuli, `batch` at a time: how many never changes a bit on a processor."""


class SpaceEntry(Protocol):
    """A space in the catalogue.

    title, description, citation   its card, in the field's words
    modality   what it encodes, "image" or "sound"
    component  the stack's folder it needs ("image_encoder", "text_encoder", "vae"), "" for none
    requires   import name of the package it needs beyond the core, "" for none
    captioned  whether it encodes captions instead of what was shown
    telling    how much a condition tells of what is seen or heard: the most telling space is searched for exemplars
    noised     whether a condition is a latent that a generator noises and denoises
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def citation(self) -> str: ...
    @property
    def modality(self) -> str: ...
    @property
    def component(self) -> str: ...
    @property
    def requires(self) -> str: ...
    @property
    def captioned(self) -> bool: ...
    @property
    def telling(self) -> int: ...
    @property
    def noised(self) -> bool: ...

    def open(self, folder: Path, *, model: str, revision: str, device: str) -> Space:
        """The space on the stack in `folder`; `model` names it, an empty `revision` becomes a digest of its files.

        An absent component is a `CheckpointAbsent`, a damaged one an `InputError`.
        """

    def tiny(self, folder: Path) -> str:
        """Write a random, tiny component of the real classes into `folder`, as a stack would hold it, for tests.

        Returns the `model` to open it with.
        """


@runtime_checkable
class Limited(Protocol):
    """An entry whose network reads sounds of at most one length."""

    def seconds(self, folder: Path) -> float:
        """That length, of the stack in `folder`, from its configuration alone; a damaged one is an `InputError`."""


@runtime_checkable
class SelfMade(Protocol):
    """An entry that needs no stack: its model follows from what was shown."""

    def model_of(self, stimuli: Stimuli, ids: Sequence[str]) -> str:
        """The `model` to open it with for these stimuli."""


CATALOGUE: Catalogue[SpaceEntry] = Catalogue("encoders.spaces", "condition space")


def of_sounds(name: str) -> bool:
    """Does the space of that name encode sounds, whose windows stay together? Of one that is not known they do too."""
    return name not in CATALOGUE.names() or CATALOGUE[name].modality == "sound"
