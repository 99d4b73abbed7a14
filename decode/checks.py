"""What can be known to fail before the first second of work: everything that is wrong is said at once.

    together([lambda: check(settings), lambda: check_drawing(settings)])
    check_recording(recording, settings, run)      before a stimulus is encoded
    accept(run, settings, data, stages)            before other data are written into a run's settings
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brain.capacity import machine_room, must_fit, room_on
from brain.design import Choice, choose, with_way
from brain.devices import check_device
from brain.errors import AfterimageError, InputError, UsageError, expected
from brain.leaks import guard_statistics
from brain.splits import groups_of
from brain.standardise import SessionScaler
from brain.types import STANDARDISATIONS, Int, Recording, Split
from brain.waveforms import HOP_SECONDS, RATE
from decode.content import THEN, held
from decode.patterns import cluster_count, folds_of, open_data
from decode.run_folder import RunFolder
from decode.settings import EVERY, FitSettings, Settings, needed_maps
from decode.showing import heard
from encoders.network_map import load_map
from encoders.ridge import ridge_bytes
from encoders.spaces import CATALOGUE as SPACES
from encoders.spaces import Limited

if TYPE_CHECKING:
    from pipelines.stacks import StackFolder

CAPTIONED = ("clip-text",)
"""Spaces that encode captions instead of what was shown."""
CERTAIN = ("unet", "vae")
"""Components that every generator holds, whatever it leaves out of its stack."""
WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of a number."""
NAMED = 5
"""How many names a sentence gives where many lack something."""
SPELT_ALIKE = 0.7
"""How like two names are of which one is taken for the other misspelt."""
ALIKE = 1e-3
"""How far, in parts of a voxel's spread, the statistics of the very same trials may lie apart after another sum."""


def together(checks: Iterable[Callable[[], object]]) -> None:
    """Makes every check. One fault is raised as it is, several as one error of the first one's kind that says all."""
    faults: dict[str, AfterimageError] = {}
    for check in checks:
        try:
            check()
        except AfterimageError as fault:
            faults.setdefault(str(fault), fault)
    if not faults:
        return
    first = next(iter(faults.values()))
    if len(faults) == 1:
        raise first
    numbered = "; ".join(f"({number}) {said}" for number, said in enumerate(faults, start=1))
    raise type(first)(f"{len(faults)} things stand in the way: {numbered}") from first


def check_recording(recording: Recording, settings: Settings, run: RunFolder, *, judged: bool) -> Choice:
    """Refuses data that this recipe cannot take, before a stimulus is encoded, with all that is in the way.

    Returns the standardisation that fits their design.

    judged  whether samples will be drawn and judged as well. Regions, splits and rows are a UsageError or an InputError
            as their names or the data are wrong; stimuli without captions or of other lengths an InputError.
    """
    check_modality(recording, settings)
    made = cluster_count(recording, settings.fit.split) > 0  # such folds are not known before conditions are
    ids = sorted(set(recording.responses.stimulus.tolist()))
    folds: tuple[Split, ...] = ()
    choice = Choice(way="session", why="")

    def split() -> None:
        nonlocal folds, ids
        if made:
            return
        folds = folds_of(recording, settings.fit.split, run)
        ids = sorted({name for fold in folds for name in (*fold.train, *fold.test)})
        check_folds(folds, settings, judged=judged, sound=recording.stimuli.modality == "sound")

    def design() -> None:
        nonlocal choice
        for fold in folds:
            # data that hold test statistics are refused whatever way is taken: no way is advised first
            guard_statistics(recording.responses, fold)
        choice = choose(recording, folds, asked=settings.fit.standardise)
        check_way(choice.way, settings.fit)

    together([
        lambda: check_regions(recording, settings),
        split,
        design,
        lambda: check_captions(recording, settings, ids),
        lambda: check_shown(recording, settings, ids, judged=judged),
        lambda: check_lengths(recording, ids, longest_sounds(settings, recording.stimuli.modality)),
    ])  # fmt: skip
    return choice


def check_way(way: str, fit: FitSettings) -> None:
    """Refuses (UsageError) responses as they are where networks read them, which learn from z-scores."""
    network = "--voxels" if fit.voxels else f"--mapping {fit.mapping}" if fit.mapping != "ridge" else ""
    if way == "none" and network:
        raise UsageError(f"--standardise none: {network} trains a network, which reads z-scores; take all, or session")


def check_modality(recording: Recording, settings: Settings) -> None:
    """Refuses (UsageError) a recipe for pictures on data of sounds, and the reverse."""
    modality = recording.stimuli.modality
    strange = [name for name in needed_maps(settings.fit) if SPACES[name].modality != modality]
    if strange:
        able = [name for name, maps in _recipes() if all(SPACES[space].modality == modality for space in maps)]
        raise UsageError(
            f"--recipe: these data are of {modality}s and {strange[0]} encodes {SPACES[strange[0]].modality}s; "
            f"use one of {', '.join(able)}"
        )


def check_regions(recording: Recording, settings: Settings) -> None:
    """Refuses (UsageError) regions that these data have not, with flags to type that name those they have.

    So is a union that is written like one region's own name: which of both is meant?
    """
    maps, voxels = needed_maps(settings.fit), settings.fit.voxels
    known = {region.name for region in recording.regions} | {*EVERY}
    for names in maps.values():
        if len(names) > 1 and (whole := "+".join(names)) in known:
            then = "rename that region to read it, or name those that are joined in another order"
            raise UsageError(
                expected("--maps", "regions joined by +", f"{whole!r}, which is one region of these data", then)
            )
    lacking = [name for names in (*maps.values(), voxels) for name in names if name not in known]
    if not lacking:
        return
    there = [region.name for region in recording.regions if region.mask.any()]
    near = {name: close[0] for name in lacking if (close := get_close_matches(name, there, n=1, cutoff=SPELT_ALIKE))}
    known |= set(near)
    words = " ".join(f"'{space}={'+'.join(_instead(names, known, near))}'" for space, names in maps.items())
    those = " ".join(f"'{name}'" for name in _instead(voxels, known, near))
    flags = f"--maps {words}" + (f" --voxels {those}" if voxels else "")
    known_words = _listed(there, most=20) if there else "none"
    hint = f"; did you mean {' or '.join(dict.fromkeys(near.values()))}" if near else ""
    able = able_recipes(recording)
    recipes = f"; or take a recipe that fits them: --recipe {' or '.join(able)}" if able else ""
    raise UsageError(
        f"recipe {settings.recipe}: no region is called {' or '.join(map(repr, dict.fromkeys(lacking)))} in these "
        f"data, regions there are: {known_words}{hint}; say which voxels are read, * for every one: {flags}{recipes}"
    )


def columns_of(recording: Recording, regions: tuple[str, ...]) -> Int:
    """(voxel,) the columns of the regions' union; EVERY is every voxel."""
    if regions == EVERY:
        return np.arange(len(recording.responses.space), dtype=np.int64)
    return recording.columns(regions)


def check_folds(folds: Sequence[Split], settings: Settings, *, judged: bool, sound: bool) -> None:
    """Refuses (InputError) too few training stimuli for the folds inside them, or too few tested ones to compare."""
    fewest = min(folds, key=lambda fold: len(set(groups_of(fold.train, sound=sound))))
    count = len(set(groups_of(fewest.train, sound=sound)))
    then = f"ask for --folds {count}" if count > 1 else "name another --split, or give data of more stimuli"
    if count < settings.fit.folds:
        raise InputError(
            expected(
                f"split {fewest.name!r}", f"{settings.fit.folds} training stimuli or more for --folds "
                f"{settings.fit.folds}", str(count), then,
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
    spaces = [space for space in needed_maps(settings.fit) if space in CAPTIONED]
    lacking = [name for name in ids if not recording.stimuli.captions.get(name)]
    if spaces and lacking:
        able = able_recipes(recording, without=CAPTIONED)
        raise InputError(
            expected(
                f"space {spaces[0]}", f"a caption or more of each of {len(ids)} stimuli",
                f"none of {len(lacking)} ({_listed(lacking)})",
                "add them" + (f", or take a recipe that needs none: --recipe {' or '.join(able)}" if able else ""),
            )
        )  # fmt: skip


def longest_sounds(settings: Settings, modality: str) -> dict[str, float]:
    """What reads or draws sounds of a length of its own -> that length in seconds, the shortest first.

    Of the stack's configurations alone: no weights are read. Nothing for pictures, nor where no stack is named.
    """
    if modality != "sound" or not settings.fit.stack:
        return {}
    from pipelines.stacks import resolve

    stack = resolve(settings.fit.stack, numbers=False)
    return longest_of(stack, needed_maps(settings.fit))


def longest_of(stack: StackFolder, spaces: Iterable[str]) -> dict[str, float]:
    """The lengths in seconds of `longest_sounds`, of this stack and these spaces."""
    entries = {f"space {name}": SPACES[name] for name in spaces}
    found = {name: entry.seconds(stack.path) for name, entry in entries.items() if isinstance(entry, Limited)}
    found[f"stack {stack.row.name if stack.row else stack.path.name}"] = stack.seconds
    return dict(sorted(found.items(), key=lambda one: one[1]))


def check_shown(recording: Recording, settings: Settings, ids: Sequence[str], *, judged: bool) -> None:
    """Refuses (InputError) data whose first picture or sound cannot be opened, where more than captions is needed."""
    if judged or any(space not in CAPTIONED for space in needed_maps(settings.fit)):
        recording.stimuli.open(ids[0])


def check_lengths(recording: Recording, ids: Sequence[str], longest: Mapping[str, float] | None = None) -> None:
    """Refuses (InputError) sounds of more than one length, for all rows are compared at one, and sounds too long.

    longest  what reads or draws them -> the seconds it takes at most; nothing of a sound is left out in silence
    """
    if recording.stimuli.modality != "sound":
        return
    lengths = {name: len(heard(recording.stimuli, name)) for name in ids}
    for reads, seconds in list((longest or {}).items())[:1]:
        # resampling rounds up: what is longer by less than a hop is no longer sound
        over = [name for name, length in lengths.items() if length >= (seconds + HOP_SECONDS) * RATE]
        if over:
            most = max(over, key=lambda one: lengths[one])
            cut = min(seconds, *(length / RATE for length in lengths.values()))
            raise InputError(
                expected(
                    recording.source, f"sounds of at most {seconds:.3f} s, which is what {reads} takes",
                    f"{len(over)} of {len(ids)} sounds that are longer, up to {lengths[most] / RATE:.3f} s ({most})",
                    f"cut all to one length of at most {cut:.3f} s, as windows of their own, and pack or list them "
                    "again",
                )
            )  # fmt: skip
    if len(set(lengths.values())) > 1:
        short, long = min(lengths, key=lambda one: lengths[one]), max(lengths, key=lambda one: lengths[one])
        raise InputError(
            expected(
                recording.source, f"sounds of one length, {len(ids)} of them",
                f"{len(set(lengths.values()))} lengths from {lengths[short] / RATE:.3f} s ({short}) to "
                f"{lengths[long] / RATE:.3f} s ({long})",
                f"cut them to one length, such as {lengths[short] / RATE:.3f} s, and pack again",
            )
        )  # fmt: skip


def check_networks(settings: Settings, *, drawn: bool) -> None:
    """Refuses (StorageError) a stack whose weights alone do not fit where they are to run; no weight is read.

    drawn  whether the generator is meant, in its own type; else the towers that encode, all in float32
    """
    fit, machine = settings.fit, settings.machine
    towers = tuple(dict.fromkeys(filter(None, (SPACES[space].component for space in needed_maps(fit)))))
    parts = CERTAIN if drawn else towers
    if not fit.stack or not parts:
        return
    from pipelines.stacks import resolve

    check_device(machine.device)
    stack = resolve(fit.stack, numbers=False)
    dtype = settings.decode.dtype if drawn else "float32"
    needed = WIDTHS[dtype] * sum(stack.weights(part) for part in parts)
    elsewhere = "take --device cpu, " if machine.device.startswith("cuda") else "take "
    smaller = "--dtype float16, " if drawn and dtype == "float32" else ""
    must_fit(
        f"the weights of {', '.join(parts)} of stack {fit.stack} in {dtype}", needed, room_on(machine.device),
        where=machine.device, then=f"{elsewhere}{smaller}a smaller --stack, or free some of it",
    )  # fmt: skip


def check_fitting(
    recording: Recording, folds: Sequence[Split], shapes: Mapping[str, Sequence[int]], settings: Settings
) -> None:
    """Refuses (StorageError) ridges that certainly do not fit into this machine's memory, before anything is encoded.

    shapes  space -> the shape of a condition in it
    """
    needed, space = max(
        (fitting_bytes(recording, fold, shapes, space, settings.fit), space) for fold in folds for space in shapes
    )
    must_fit(
        f"fitting {space}", needed, machine_room(), where="this machine",
        then="read fewer voxels by --maps SPACE=REGION, fewer --sessions, or take a machine with more memory",
    )  # fmt: skip


def fitting_bytes(
    recording: Recording, fold: Split, shapes: Mapping[str, Sequence[int]], space: str, fit: FitSettings
) -> int:
    """Bytes that fitting `space` holds at once, at the least: trials, conditions, patterns, the ridge."""
    trials = recording.responses.of(fold.train)
    samples = int(trials.sum()) if fit.trials == "single" else len(set(recording.responses.stimulus[trials].tolist()))
    voxels = len(columns_of(recording, needed_maps(fit)[space]))
    targets = math.prod(shapes[space])
    true = len({*fold.train, *fold.test}) * sum(math.prod(shape) for shape in shapes.values())
    held = recording.responses.values.nbytes + 4 * (true + samples * (voxels + targets))
    return held + ridge_bytes(samples, voxels, targets, folds=fit.folds)


def filled_up(recording: Recording, settings: Settings, ids: Sequence[str]) -> tuple[str, ...]:
    """A sentence on sounds, of one length all, that are shorter than what reads or draws them; none where they fit."""
    longest = longest_sounds(settings, recording.stimuli.modality)
    if not longest:
        return ()
    length = len(heard(recording.stimuli, ids[0])) / RATE
    wider = [f"{name} ({seconds:.3f} s)" for name, seconds in longest.items() if length + HOP_SECONDS <= seconds]
    said = f"sounds of {length:.3f} s are shorter than what {', '.join(wider)} take"
    then = "they are filled up, as each space's card says, and what is drawn is cut to their length"
    return (f"{said}: {then}",) * bool(wider)


def accept(run: RunFolder, settings: Settings, data: Path, stages: Sequence[str]) -> None:
    """Claims a run for these settings; data at another place are first held against what a fitted one was fitted on.

    What the run cannot go on with, settings or data, is an error that leaves its settings.json as it was.
    """
    run.must_accept(settings, data, stages)
    must_be_its_own(run, data, settings.fit)
    run.claim(settings, data, stages)


def must_be_its_own(run: RunFolder, data: Path, fit: FitSettings) -> None:
    """Refuses (InputError) data at another place than the run has noted, unless it was fitted on these very trials."""
    if run.card_facts().get("fitted") and not run.has_its_data_at(data):
        own_data(run, data, fit)


def own_data(run: RunFolder, data: Path, fit: FitSettings) -> Recording:
    """The data of a fitted run, opened: others than it was fitted on, wherever they lie, are an InputError.

    A run of a version that noted no digests knows its data by their place, or by the statistics of its trials.
    """
    recording = with_way(open_data(data, fit), way_of(run))
    voxels = run.card_facts().get("data", {}).get("voxels")
    if run.content.is_file() and voxels != len(recording.responses.space):
        what = f"the {voxels} voxels that {run.path} was fitted on"
        raise InputError(expected(recording.source, what, str(len(recording.responses.space)), THEN))
    recording = _of_its_subject(run, held(recording, run), data)
    folds = folds_of(recording, fit.split, run)
    if not run.content.is_file() and not run.has_its_data_at(data):
        _must_have_its_statistics(run, recording, folds, fit)
    return recording


def way_of(run: RunFolder) -> str:
    """How a fitted run standardised its trials, by its card; a card that does not say it is an InputError."""
    known = run.card_facts().get("standardisation", {})
    way = known.get("standardise") if isinstance(known, Mapping) else None
    if way not in STANDARDISATIONS:
        found = f"{way!r}" if way else "nothing"
        raise InputError(
            expected(
                run.path / "card.json", f"standardisation by {', '.join(STANDARDISATIONS)}", found,
                "put the card back, or fit again into another --out",
            )
        )  # fmt: skip
    return str(way)


def _of_its_subject(run: RunFolder, recording: Recording, data: Path) -> Recording:
    """The recording under the subject's name that the run knows; another subject is an InputError.

    A file that names no subject is called by its own name. Renamed, it is the same subject if its content is the same.
    """
    responses, known = recording.responses, run.card_facts().get("data", {}).get("subject")
    subject = responses.space.subject
    if known in (None, subject):
        return recording
    if subject == data.stem and run.content.is_file():
        print(f"{data}: by its content these are the data of subject {known}, from whom the file had its name")
        return replace(recording, responses=replace(responses, space=replace(responses.space, subject=known)))
    found, then = f"subject {subject!r}", THEN
    if subject == data.stem:
        found += ", for a file that names no subject is called by its own name"
        then = f"call the file {known}{data.suffix} again, or fit again into another --out"
    raise InputError(expected(recording.source, f"subject {known!r}, on whom {run.path} was fitted", found, then))


def _must_have_its_statistics(run: RunFolder, recording: Recording, folds: Sequence[Split], fit: FitSettings) -> None:
    """Refuses (InputError) trials whose means and spreads are not those that a mapping holds."""
    for space in needed_maps(fit):
        mapping, responses = load_map(run.map(space, folds[0].name)), recording.responses
        unit, known = responses.space.unit, mapping.scaler
        mine = responses.voxels(responses.space.columns_of(replace(mapping.voxels, unit=unit)))
        found = SessionScaler.fit(mine, mine.of(folds[0].train))
        same = np.array_equal(found.sessions, known.sessions) and unit == mapping.unit
        alike = [(found.mean, known.mean), (found.std, known.std)]
        if not same or not all(np.isclose(one, other, atol=ALIKE * known.std).all() for one, other in alike):
            what = f"the trials that {run.path} was fitted on"
            raise InputError(expected(recording.source, what, "other responses to its stimuli", THEN))


def able_recipes(recording: Recording, *, without: Sequence[str] = ()) -> list[str]:
    """Recipes whose spaces encode what was shown, none of them `without`, from regions that these data have."""
    known, modality = {region.name for region in recording.regions} | {"*"}, recording.stimuli.modality
    return [
        name
        for name, maps in _recipes()
        if all(SPACES[space].modality == modality and space not in without for space in maps)
        and all(region in known for regions in maps.values() for region in regions)
    ]


def _recipes() -> list[tuple[str, dict[str, tuple[str, ...]]]]:
    from decode.recipes import CATALOGUE

    return [(recipe.name, needed_maps(recipe.settings().fit)) for recipe in CATALOGUE]


def _instead(names: Sequence[str], known: set[str], near: Mapping[str, str]) -> tuple[str, ...]:
    """The regions that there are among these or near them; every voxel where there is none."""
    return tuple(dict.fromkeys(near.get(name, name) for name in names if name in known)) or EVERY


def _listed(names: Sequence[str], *, most: int = NAMED) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
