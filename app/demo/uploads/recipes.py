"""Which recipes take a file: each is tried by the project's checks, without work, its regions fitted to the data.

for one in candidates(open_recording(path, reader="arrays")): one.name, one.refusal
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from brain.errors import AfterimageError, together
from brain.types import Recording
from decode.methods import own_of
from decode.recipes import CATALOGUE, Recipe
from decode.run.folder import RunFolder
from decode.run.settings import EVERY, Settings, maps_of
from decode.stages.draw.draw import check_drawing, check_rows
from decode.stages.fit.checks import check_recording
from decode.stages.fit.fit import check
from decode.stages.judge.judge import check_names

READER = "arrays"
"""The reader of the own-data format; an upload is opened by no other."""
NOWHERE = RunFolder(Path("/nonexistent/run"))
"""A run that was never begun."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A recipe beside a file.

    words    flags that fit it to these data, for the command line
    notes    what they change, a sentence each
    refusal  why it does not take the file, "" where it does
    """

    name: str
    title: str
    description: str
    words: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refusal: str = ""

    @property
    def command(self) -> str:
        """The command that makes the same run, without the demo."""
        return shlex.join(
            ["afterimage", "study", "FILE", "--recipe", self.name, "--reader", READER, *self.words, "--out", "RUN"]
        )

    def facts(self) -> dict[str, Any]:
        """The same as JSON says it."""
        return asdict(self)


def candidates(recording: Recording) -> Iterator[Candidate]:
    """Every recipe that this installation has all parts of; those that take the data first."""
    found = [candidate(recipe, recording) for recipe in CATALOGUE if recipe.complete()]
    yield from sorted(found, key=lambda one: bool(one.refusal))


def candidate(recipe: Recipe, recording: Recording) -> Candidate:
    """This recipe beside these data."""
    card = Candidate(name=recipe.name, title=recipe.title, description=recipe.description)
    settings, words, notes = fitted_to(recipe.settings(), {region.name for region in recording.regions})
    try:
        together([
            lambda: check(settings),
            lambda: check_rows(settings),
            lambda: check_drawing(settings),
            lambda: check_names(NOWHERE, settings),
            lambda: check_recording(recording, settings, NOWHERE, judged=True),
        ])  # fmt: skip
    except AfterimageError as error:
        return replace(card, refusal=str(error))
    return replace(card, words=words, notes=notes)


def fitted_to(settings: Settings, known: Collection[str]) -> tuple[Settings, tuple[str, ...], tuple[str, ...]]:
    """The settings with the regions that are known of those they name, or every voxel; the flags for it, and notes."""
    maps, changed, notes = list[str](), list[str](), list[str]()
    for entry, spec in zip(settings.maps.maps, maps_of(settings.maps).values(), strict=True):
        there = _there(spec.regions, known)
        maps.append(f"{entry.partition('=')[0]}={'+'.join(there)}")
        if there != spec.regions:
            notes.append(_note(spec.name, spec.regions, there))
    if notes:
        changed += ["--maps", *maps]
        settings = replace(settings, maps=replace(settings.maps, maps=tuple(maps)))
    methods = dict(settings.methods)
    for method, knobs in own_of(settings):
        for flag, names in method.regions(knobs).items():
            there = _there(names, known)
            if there == names:
                continue
            methods[method.name] = replace(knobs, **{flag.removeprefix("--").replace("-", "_"): there})
            changed += [flag, *there]
            notes.append(_note(f"method {method.name}", names, there))
    read = replace(settings.data, reader=READER)
    return replace(settings, data=read, methods=methods), tuple(changed), tuple(notes)


def _there(regions: tuple[str, ...], known: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in regions if name in known or name in EVERY) or EVERY


def _note(what: str, asked: Sequence[str], there: tuple[str, ...]) -> str:
    if there == EVERY:
        return f"{what} is read from every voxel, for these data name no region {' or '.join(asked)}"
    lacking = [name for name in asked if name not in there]
    return f"{what} is read from {' and '.join(there)} alone, for these data name no region {' or '.join(lacking)}"
