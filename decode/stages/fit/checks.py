"""What can be known to fail before the first second of work: everything that is wrong is said at once.

    check_recording(recording, settings, run)      before a stimulus is encoded
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from brain.catalogue import Catalogue
from brain.data.clips import groups_of
from brain.data.design import Choice, choose
from brain.data.leaks import guard_statistics
from brain.errors import InputError, UsageError, expected, together
from brain.types import Recording, Split
from decode.methods import own_of
from decode.run.folder import RunFolder
from decode.run.patterns import cluster_count, folds_of
from decode.run.settings import EVERY, MapSpec, Settings, kinds_of, maps_of, spaces_of
from decode.stages.fit.lengths import check_lengths, longest_sounds
from encoders.mappings import CATALOGUE as MAPPINGS
from encoders.spaces import CATALOGUE as SPACES

RECIPES: Catalogue[Any] = Catalogue("decode.recipes", "recipe")

NAMED = 5
"""How many names a sentence gives where many lack something."""
SPELT_ALIKE = 0.7
"""How like two names are of which one is taken for the other misspelt."""


def check_recording(recording: Recording, settings: Settings, run: RunFolder, *, judged: bool) -> Choice:
    """Refuses data that this recipe cannot take, before a stimulus is encoded, with all its faults.

    Returns the standardisation that fits their design.

    judged  whether samples will be drawn and judged as well. Regions, splits and rows are a UsageError or an InputError
            as their names or the data are wrong; stimuli without captions or of other lengths an InputError.
    """
    check_modality(recording, settings)
    made = cluster_count(recording, settings.data.split) > 0  # such folds are not known before conditions are
    ids = sorted(set(recording.responses.stimulus.tolist()))
    folds: tuple[Split, ...] = ()
    choice = Choice(standardise="session", why="")

    def split() -> None:
        nonlocal folds, ids
        if made:
            return
        folds = folds_of(recording, settings.data.split, run)
        ids = sorted({name for fold in folds for name in (*fold.train, *fold.test)})
        check_folds(folds, settings, judged=judged, sound=recording.stimuli.modality == "sound")

    def design() -> None:
        nonlocal choice
        for fold in folds:
            # data that hold test statistics are refused whatever way is taken: no way is advised first
            guard_statistics(recording.responses, fold)
        choice = choose(recording, folds, asked=settings.data.standardise)
        check_standardisation(choice.standardise, settings)

    together([
        lambda: check_regions(recording, settings),
        split,
        design,
        lambda: check_mappings(recording, folds, settings),
        lambda: check_captions(recording, settings, ids),
        lambda: check_shown(recording, settings, ids, judged=judged),
        lambda: check_lengths(recording, ids, longest_sounds(settings, recording.stimuli.modality)),
    ])  # fmt: skip
    return choice


def check_mappings(recording: Recording, folds: Sequence[Split], settings: Settings) -> None:
    """Refuses (UsageError, InputError) data on which a mapping of the run cannot be fitted."""
    for kind in kinds_of(settings.maps):
        MAPPINGS[kind].ready(recording, folds)


def check_standardisation(standardise: str, settings: Settings) -> None:
    """Refuses (UsageError) responses as they are where networks read them, which learn from z-scores."""
    networks = [f"--mapping {kind}" for kind in kinds_of(settings.maps) if MAPPINGS[kind].network]
    networks += [f"--method {method.name}" for method, _ in own_of(settings) if method.trains]
    if standardise == "none" and networks:
        raise UsageError(
            f"--standardise none: {networks[0]} trains a network, which reads z-scores; take all, or session"
        )


def check_modality(recording: Recording, settings: Settings) -> None:
    """Refuses (UsageError) a recipe for pictures on data of sounds, and the reverse."""
    modality = recording.stimuli.modality
    strange = [name for name in spaces_of(settings.maps) if SPACES[name].modality != modality]
    if strange:
        able = [one.name for one in _recipes() if all(_of(space, modality) for space in spaces_of(one.maps))]
        raise UsageError(
            f"--recipe: these data are of {modality}s and {strange[0]} encodes {SPACES[strange[0]].modality}s; "
            f"use one of {', '.join(able)}"
        )


def check_regions(recording: Recording, settings: Settings) -> None:
    """Refuses (UsageError) regions that these data have not, with flags to type that name those they have.

    So is a union that is written like one region's own name: which of both is meant?
    """
    specs = maps_of(settings.maps)
    maps = {_written(spec): spec.regions for spec in specs.values()}
    own = {flag: names for method, knobs in own_of(settings) for flag, names in method.regions(knobs).items()}
    known = {region.name for region in recording.regions} | {*EVERY}
    for names in maps.values():
        if len(names) > 1 and (whole := "+".join(names)) in known:
            then = "rename that region to read it, or name those that are joined in another order"
            raise UsageError(
                expected("--maps", "regions joined by +", f"{whole!r}, which is one region of these data", then)
            )
    lacking = [name for names in (*maps.values(), *own.values()) for name in names if name not in known]
    if not lacking:
        return
    there = [region.name for region in recording.regions if region.mask.any()]
    near = {name: close[0] for name in lacking if (close := get_close_matches(name, there, n=1, cutoff=SPELT_ALIKE))}
    known |= set(near)
    words = " ".join(f"'{left}={'+'.join(_instead(names, known, near))}'" for left, names in maps.items())
    flags = f"--maps {words}"
    for flag, names in own.items():
        flags += f" {flag} " + " ".join(f"'{name}'" for name in _instead(names, known, near))
    known_words = _listed(there, most=20) if there else "none"
    hint = f"; did you mean {' or '.join(dict.fromkeys(near.values()))}" if near else ""
    able = able_recipes(recording)
    recipes = f"; or take a recipe that fits them: --recipe {' or '.join(able)}" if able else ""
    raise UsageError(
        f"recipe {settings.recipe}: no region is called {' or '.join(map(repr, dict.fromkeys(lacking)))} in these "
        f"data, regions there are: {known_words}{hint}; say which voxels are read, * for every one: {flags}{recipes}"
    )


def check_folds(folds: Sequence[Split], settings: Settings, *, judged: bool, sound: bool) -> None:
    """Refuses (InputError) too few training stimuli for the folds inside them, or too few tested ones to compare."""
    fewest = min(folds, key=lambda fold: len(set(groups_of(fold.train, sound=sound))))
    count = len(set(groups_of(fewest.train, sound=sound)))
    then = f"ask for --folds {count}" if count > 1 else "name another --split, or give data of more stimuli"
    if count < settings.maps.folds:
        raise InputError(
            expected(
                f"split {fewest.name!r}", f"{settings.maps.folds} training stimuli or more for --folds "
                f"{settings.maps.folds}", str(count), then,
            )
        )  # fmt: skip
    tested = [name for fold in folds for name in fold.test]
    if judged and len(tested) < 2:
        raise InputError(
            expected(
                f"split {folds[0].name!r}", "two test stimuli or more, for a report compares each with others",
                f"{len(tested)} ({tested[0]})",
                "name another --split, or draw without a report: `afterimage fit`, then `afterimage decode RUN --rows "
                "decoded`",
            )
        )  # fmt: skip


def check_captions(recording: Recording, settings: Settings, ids: Sequence[str]) -> None:
    """Refuses (InputError) stimuli without a caption where a space is made of captions, all of them in one sentence."""
    spaces = [space for space in spaces_of(settings.maps) if SPACES[space].captioned]
    lacking = [name for name in ids if not recording.stimuli.captions.get(name)]
    if spaces and lacking:
        able = able_recipes(recording, captioned=False)
        raise InputError(
            expected(
                f"space {spaces[0]}", f"a caption or more of each of {len(ids)} stimuli",
                f"none of {len(lacking)} ({_listed(lacking)})",
                "add them" + (f", or take a recipe that needs none: --recipe {' or '.join(able)}" if able else ""),
            )
        )  # fmt: skip


def check_shown(recording: Recording, settings: Settings, ids: Sequence[str], *, judged: bool) -> None:
    """Refuses (InputError) data whose first picture or sound cannot be opened, where more than captions is needed."""
    if judged or any(not SPACES[space].captioned for space in spaces_of(settings.maps)):
        recording.stimuli.open(ids[0])


def able_recipes(recording: Recording, *, captioned: bool = True) -> list[str]:
    """Recipes whose spaces encode what was shown, of no captions unless `captioned`, from regions of these data."""
    known, modality = {region.name for region in recording.regions} | {"*"}, recording.stimuli.modality
    return [
        one.name
        for one in _recipes()
        if all(_of(space, modality) and (captioned or not SPACES[space].captioned) for space in spaces_of(one.maps))
        and all(region in known for spec in maps_of(one.maps).values() for region in spec.regions)
    ]


def _of(space: str, modality: str) -> bool:
    return space in SPACES.names() and SPACES[space].modality == modality


def _recipes() -> list[Any]:
    """The recipes that this installation has all methods and mappings of."""
    return [recipe for recipe in RECIPES if recipe.complete()]


def _written(spec: MapSpec) -> str:
    """The left side of a map as --maps takes it, without its mapping."""
    return spec.space if spec.name == spec.space else f"{spec.name}:{spec.space}"


def _instead(names: Sequence[str], known: set[str], near: Mapping[str, str]) -> tuple[str, ...]:
    """The regions that there are among these or near them; every voxel where there is none."""
    return tuple(dict.fromkeys(near.get(name, name) for name in names if name in known)) or EVERY


def _listed(names: Sequence[str], *, most: int = NAMED) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
