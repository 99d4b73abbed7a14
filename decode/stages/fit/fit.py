"""Fit: a recording's training trials and the conditions of what was shown become mappings, RUN/maps/*.safetensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from brain.console.progress import progress
from brain.data.design import Choice, choose, thin_in, with_standardisation
from brain.data.leaks import Looks, guard, guard_statistics, leak_report, look_at_all
from brain.errors import UsageError, expected, together
from brain.machine.arithmetic import arithmetic
from brain.readers import open_recording, parse_fields
from brain.types import Recording, Split, Stimuli
from decode.methods import CATALOGUE as METHODS
from decode.methods import check_method, own_of
from decode.run.card import data_facts, fit_facts, software, split_facts
from decode.run.content import content_of, hold, note
from decode.run.folder import RunFolder
from decode.run.patterns import cluster_count, columns_of, folds_of, open_data, repeated_of, write_clusters
from decode.run.settings import MapSpec, Settings, kinds_of, maps_of, spaces_of
from decode.stages.fit.checks import (
    check_folds,
    check_mappings,
    check_recording,
    check_regions,
    check_standardisation,
)
from decode.stages.fit.lengths import filled_up
from decode.stages.fit.memory import check_fitting, check_networks
from decode.stages.fit.null import null_is_current, write_null
from decode.stages.fit.regions import write_regions
from decode.stages.fit.spaces import encoded, open_spaces, true_conditions
from decode.stages.own_data import own_data, standardisation_of
from encoders.conditions import Conditions
from encoders.mappings import CATALOGUE as MAPPINGS
from encoders.mappings import FittedMap, Task, load_map
from encoders.mappings._parts.knobs import RidgeKnobs
from encoders.ridge import RidgeSettings
from encoders.spaces import CATALOGUE as SPACES
from encoders.spaces import Space
from encoders.storage import write_json
from evaluation.report.costs import metered
from evaluation.report.worlds import copied_lines

STAGES = ("machine", "fit", "decode", "evaluate")


def fit(
    data: Path,
    out: Path,
    settings: Settings,
    *,
    stages: tuple[str, ...] = ("machine", "fit"),
    later: Sequence[Callable[[], object]] = (),
) -> str:
    """Fits every mapping of every fold into the run folder `out`, or finds them there. Returns one sentence on it.

    `stages` are the settings that are asked for now; the others stay as a run has them. `later` are checks of what
    comes after, which open more than names and are made once the data's names are known to do. Errors: unknown names
    UsageError, unusable data or a leak InputError, disk StorageError, a stack not at hand CheckpointAbsent.
    """
    run = RunFolder(out)
    check(settings)
    with run.lock():
        run.must_accept(settings, data, stages)
        if is_fitted(run) and null_is_current(run, settings):
            recording = own_data(run, data, settings)
            _must_train_on_one(folds_of(recording, settings.data.split, run), settings)
            new = [method for method, _ in own_of(settings) if method.learns and not run.has_learned(method.name)]
            if new:
                check_regions(recording, settings)
                check_standardisation(standardisation_of(run), settings)
                check_weights(settings)
            together(later)
            hold(recording.stimuli, (name for names in run.card_facts()["tested"].values() for name in names))
            run.claim(settings, data, stages)
            if not new:
                return f"{out}: fitted already"
            with metered(run.path, "fit"):
                _learn_more(run, recording, settings)
            return f"{out}: fitted already, but for what {', '.join(one.name for one in new)} learned now"
        recording = open_data(data, settings.data)
        for note in (*recording.masked, *recording.notes):
            print(note)
        choice = check_recording(recording, settings, run, judged="evaluate" in stages)
        if choice.announced:
            print(choice.sentence)
        recording = choice.on(recording)
        together([lambda: check_weights(settings), *later])
        run.claim(settings, data, stages)
        with metered(run.path, "fit"):
            fit_recording(run, recording, settings, choice)
    return f"{out}: fitted {', '.join(maps_of(settings.maps))}"


def check(settings: Settings) -> None:
    """Refuses, by names alone, what cannot end well: conditions that nobody decodes, an absent stack."""
    spaces = spaces_of(settings.maps)
    for name in spaces:
        SPACES[name]  # which is refused where nobody has it
    for kind in dict.fromkeys((settings.maps.mapping, *kinds_of(settings.maps))):
        MAPPINGS[kind].check(settings.mapping(kind))
    if settings.evaluation.curves:
        check_curves(settings)
    for method, own in own_of(settings):
        missing = [space for space in method.needs if space not in spaces]
        if missing:
            raise UsageError(
                f"--maps: method {method.name} draws from {', '.join(method.needs)} and {missing[0]} is not decoded; "
                f"add {missing[0]}=REGION"
            )
        check_method(method, settings, own)


def check_weights(settings: Settings) -> None:
    """Refuses (InputError) a stack with damaged weights, which takes reading every one of them."""
    if any(method.stack for method, _ in own_of(settings)):
        from pipelines.stacks.find import resolve

        resolve(settings.maps.stack)
    check_networks(settings, drawn=False)


def check_curves(settings: Settings) -> None:
    """Refuses (UsageError) curves of a run whose voxels are read by a network, for their points are ridges."""
    name = settings.sampling.method
    if not METHODS[name].needs:
        raise UsageError(f"--curves: every point fits ridges anew, and method {name} reads no maps; leave --curves out")
    if METHODS[name].learns:
        raise UsageError(
            f"--curves: every point fits ridges anew, and method {name} learns more than maps; leave --curves out"
        )
    for kind in kinds_of(settings.maps):
        if not isinstance(settings.mapping(kind), RidgeKnobs):
            raise UsageError(
                f"--curves: every point fits ridges anew, and these voxels are read by --mapping {kind}; "
                "leave --curves out, or fit a run with --mapping ridge"
            )


def is_fitted(run: RunFolder) -> bool:
    """Whether every mapping that the card names is there; the card is written last."""
    fitted = run.card_facts().get("fitted", [])
    return bool(fitted) and all((run.path / name).with_suffix(".json").is_file() for name in fitted)


def fit_recording(run: RunFolder, recording: Recording, settings: Settings, choice: Choice) -> None:
    """Fits what is missing and then writes the card, so that a stopped fit goes on where it stopped.

    choice  the standardisation; of clusters, whose folds are known only now, sessions without training trials change it
    """
    begun = any(run.path.glob("conditions/*.safetensors"))  # before clusters make theirs
    made, stimuli = cluster_count(recording, settings.data.split) > 0, recording.stimuli
    folds = () if made else folds_of(recording, settings.data.split, run)
    guard_trials(recording, folds)
    ids = ids_of(folds) or sorted(set(recording.responses.stimulus.tolist()))
    looks = look_at_all(stimuli, ids)
    captioned = any(SPACES[space].captioned for space in spaces_of(settings.maps))
    note(run, content_of(recording, looks, captioned=captioned))
    if made:
        find_clusters(run, recording, settings)
        folds = folds_of(recording, settings.data.split, run)
        guard_trials(recording, folds)
        if thin_in(recording.responses, folds):
            choice = choose(recording, folds, asked=settings.data.standardise)
            recording = choice.on(recording)
            print(choice.sentence)
    _must_train_on_one(folds, settings)
    sound = stimuli.modality == "sound"
    check_folds(folds, settings, judged=False, sound=sound)
    check_mappings(recording, folds, settings)
    ids = ids_of(folds)
    guard_folds(run, folds, looks, settings=settings, sound=sound)
    run.add_arithmetic("fit", arithmetic(settings.machine.device), begun=begun)
    spaces = open_spaces(settings, stimuli=stimuli, ids=ids)
    check_fitting(recording, folds, {name: space.card.shape for name, space in spaces.items()}, settings)
    short = filled_up(recording, settings, ids)
    for said in short:
        print(said)
    true = true_conditions(run, spaces, stimuli=stimuli, ids=ids)
    specs = maps_of(settings.maps)
    jobs = [(fold, spec) for fold in folds for spec in specs.values()]
    maps = {
        (fold.name, spec.name): fitted_map(
            run, recording, fold, spec, true[spec.space], space=spaces[spec.space], settings=settings
        )
        for fold, spec in progress(jobs, desc="fitting", unit="mapping")
    }
    null = write_null(run, recording, folds, true, spaces=spaces, settings=settings)
    write_regions(
        run, recording, folds, true, ridge=RidgeSettings(folds=settings.maps.folds, seed=settings.machine.seed)
    )
    learned = _learn(run, recording, folds, settings)
    run.add_to_card(
        {
            "simulated": recording.simulated,
            "software": software(),
            "settings": fit_facts(settings),
            "data": data_facts(recording),
            "splits": split_facts(folds),
            "standardisation": choice.facts(),
            "null": null,
            "spaces": {name: conditions.space.facts() for name, conditions in true.items()},
            "notes": [
                *sorted({f"{name}: {note}" for (_, name), mapping in maps.items() for note in mapping.notes}),
                *short,
            ],
            "accuracy": {f"{name} of {fold}": float(mapping.cv_r2.mean()) for (fold, name), mapping in maps.items()},
            "tested": {fold.name: list(fold.test) for fold in folds},
            "repeated": repeated_of(recording.responses, {name for fold in folds for name in fold.test}),
            "learned": learned,
            "learners": _learners(settings),
            "fitted": [*(str(run.map(name, fold).relative_to(run.path)) for fold, name in maps), *learned],
        }
    )


def _must_train_on_one(folds: Sequence[Split], settings: Settings) -> None:
    """Refuses (UsageError) folds where a method trains a network."""
    for method, _ in own_of(settings):
        if method.trains and len(folds) > 1:
            then = "name one: --split"
            raise UsageError(expected(f"method {method.name}", "one split to train on", f"{len(folds)} folds", then))


def _learn(run: RunFolder, recording: Recording, folds: Sequence[Split], settings: Settings) -> dict[str, Any]:
    """What methods learn besides maps of each fold, or find learned: path of a card -> facts."""
    learned: dict[str, Any] = {}
    for method, own in own_of(settings):
        for fold in folds if method.learns else ():
            learned |= method.learn(run, recording, fold, settings, own)
    return learned


def _learners(settings: Settings) -> list[str]:
    """The methods that learn something besides maps."""
    return [method.name for method, _ in own_of(settings) if method.learns]


def _learn_more(run: RunFolder, recording: Recording, settings: Settings) -> None:
    """Lets methods learn that a fitted run is asked for later, and adds what they learned to its card."""
    learned = _learn(run, recording, folds_of(recording, settings.data.split, run), settings)
    facts = run.card_facts()
    fitted = dict.fromkeys((*facts.get("fitted", []), *learned))
    learners = dict.fromkeys((*facts.get("learners", []), *_learners(settings)))
    known = {**facts.get("learned", {}), **learned}
    run.add_to_card({"learned": known, "learners": list(learners), "fitted": list(fitted)})


def find_clusters(run: RunFolder, recording: Recording, settings: Settings) -> None:
    """Encodes every shown stimulus and writes RUN/splits/cluster-<k>.json, of the split that is asked for."""
    k = cluster_count(recording, settings.data.split)
    ids = sorted(set(recording.responses.stimulus.tolist()))
    spaces = open_spaces(settings, stimuli=recording.stimuli, ids=ids)
    true = true_conditions(run, spaces, stimuli=recording.stimuli, ids=ids)
    # what captions say comes first; else the space that says most about what is seen or heard
    semantic = max(true, key=lambda name: (SPACES[name].captioned, SPACES[name].telling))
    write_clusters(run, true[semantic], k=k, seed=settings.machine.seed)


def ids_of(folds: Sequence[Split]) -> list[str]:
    """Every stimulus of these folds, sorted."""
    return sorted({name for fold in folds for name in (*fold.train, *fold.test)})


def guard_trials(recording: Recording, folds: Sequence[Split]) -> None:
    """Refuses (InputError) a test stimulus in training by its name, and test statistics in the responses."""
    sound = recording.stimuli.modality == "sound"
    for fold in folds:
        guard(fold, fold.train, sound=sound)
        guard_statistics(recording.responses, fold)


def guard_folds(run: RunFolder, folds: Sequence[Split], looks: Looks, *, settings: Settings, sound: bool) -> None:
    """Refuses (InputError) a test stimulus among training bit for bit, and writes RUN/report/leaks.json on the rest."""
    for fold in folds:
        guard(fold, fold.train, looks, sound=sound)
    report = leak_report(folds, looks)
    for said in copied_lines(report):
        print(said)
    penalty = _penalty(folds, settings)
    write_json(run.report / "leaks.json", {**report, "penalty": penalty, "sentences": [*report["sentences"], penalty]})


def _penalty(folds: Sequence[Split], settings: Settings) -> str:
    """Where the ridge penalties come from, or who stopped a network, in one sentence a kind of mapping."""
    if len(folds) == 1:
        inside = f"the {len(folds[0].train)} training stimuli of split {folds[0].sha256}"
    else:
        inside = f"each fold's own training stimuli ({len(folds)} folds, their splits' sha256 in `folds`)"
    said = [MAPPINGS[kind].selection for kind in kinds_of(settings.maps)]
    return " ".join(one.format(folds=settings.maps.folds, inside=inside) for one in dict.fromkeys(said))


def fitted_map(
    run: RunFolder, recording: Recording, fold: Split, spec: MapSpec, true: Conditions, *, space: Space,
    settings: Settings,
) -> FittedMap:  # fmt: skip
    """The map of this name and fold, as it lies in the run, fitted first where it does not."""
    path = run.map(spec.name, fold.name)
    if path.with_suffix(".json").is_file():
        return load_map(path)
    task = task_of(run, recording, fold, spec, true, space=space, settings=settings)
    MAPPINGS[spec.mapping].fit(task, settings.mapping(spec.mapping)).save(path)
    return load_map(path)


def task_of(
    run: RunFolder, recording: Recording, fold: Split, spec: MapSpec, true: Conditions, *, space: Space,
    settings: Settings,
) -> Task:  # fmt: skip
    """What a mapping is fitted on."""
    read = settings.data

    def source(subject: str) -> Recording:
        other = open_recording(
            recording.source, subject=subject, betas=read.betas, reader=recording.reader,
            fields=parse_fields(read.fields),
        )  # fmt: skip
        return with_standardisation(other, recording.responses.standardise)

    def encode(stimuli: Stimuli, ids: Sequence[str], subject: str) -> Conditions:
        return encoded(run.conditions(space.card.name, f"true-{subject}"), space, stimuli=stimuli, ids=ids)

    return Task(
        recording=recording,
        fold=fold,
        conditions=true,
        rescaling=space.rescaling,
        regions=spec.regions,
        columns=partial(columns_of, regions=spec.regions),
        seed=settings.machine.seed,
        device=settings.machine.device,
        folds=settings.maps.folds,
        folder=training_folder(run, spec.name, fold.name),
        source=source,
        encode=encode,
    )


def training_folder(run: RunFolder, name: str, fold: str) -> Path:
    """Where the network of a map and a fold trains: RUN/training/FOLD/NAME, spelt as in the map's own name."""
    return run.path.joinpath("training", *reversed(run.map(name, fold).stem.split(".")))
