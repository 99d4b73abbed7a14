"""Fit: a recording's training trials and the conditions of what was shown become mappings, RUN/maps/*.safetensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from brain.arithmetic import arithmetic
from brain.averages import average_repeats
from brain.catalogue import unknown
from brain.design import Choice, choose, thin_in
from brain.errors import InputError, UsageError, expected
from brain.leaks import Looks, guard, guard_statistics, leak_report, look_at_all
from brain.progress import progress
from brain.standardise import SessionScaler
from brain.types import Float, Recording, Responses, Split
from decode.card import data_facts, software, split_facts
from decode.checks import (
    CAPTIONED,
    check_fitting,
    check_folds,
    check_networks,
    check_recording,
    columns_of,
    filled_up,
    own_data,
    together,
)
from decode.content import content_of, hold, note
from decode.null import null_stands, write_null
from decode.painter import NAME as PIXELS
from decode.patterns import cluster_count, folds_of, open_data, repeated_of, write_clusters
from decode.regions import write_regions
from decode.run_folder import RunFolder
from decode.settings import MINDVIS, FitSettings, Settings, needed_maps, to_json
from decode.spaces import open_spaces, true_conditions
from encoders.conditions import Conditions
from encoders.mapping import Mapping as BrainMap
from encoders.mapping import MappingSettings, fit_mapping
from encoders.network_map import SHARED, WAYS, NetworkMap, load_map
from encoders.ridge import RidgeSettings
from encoders.spaces import Space
from encoders.storage import write_json
from evaluation.worlds import copied_lines

STAGES = ("machine", "fit", "decode", "evaluate")
TRIALS = ("averaged", "single")
RIDGE = "ridge"
MAPPINGS = (RIDGE, *WAYS)
"""What may read the voxels: a ridge, or a network in one of its ways."""
SEMANTIC = ("clip-text", "clip-image")
"""Spaces whose conditions settle the clusters of a semantic hold-out, the best first; else the first space."""


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
        if is_fitted(run) and null_stands(run, settings):
            recording = own_data(run, data, settings.fit)
            together(later)
            hold(recording.stimuli, (name for names in run.card_facts()["tested"].values() for name in names))
            run.claim(settings, data, stages)
            return f"{out}: fitted already"
        recording = open_data(data, settings.fit)
        for note in (*recording.masked, *recording.notes):
            print(note)
        choice = check_recording(recording, settings, run, judged="evaluate" in stages)
        if choice.told:
            print(choice.sentence)
        recording = choice.on(recording)
        if settings.fit.mapping == SHARED:
            from decode.networks import lenders

            lenders(recording)
        together([lambda: check_weights(settings), *later])
        run.claim(settings, data, stages)
        fit_recording(run, recording, settings, choice)
    return f"{out}: fitted {', '.join(needed_maps(settings.fit))}"


def check(settings: Settings) -> None:
    """Refuses, by names alone, what cannot end well: conditions that nobody decodes, an absent stack."""
    spaces, method = needed_maps(settings.fit), settings.decode.method
    if settings.fit.trials not in TRIALS:
        raise UsageError(f"--trials: {unknown('way to take training trials', settings.fit.trials, TRIALS)}")
    if settings.fit.mapping not in MAPPINGS:
        raise UsageError(f"--mapping: {unknown('mapping', settings.fit.mapping, MAPPINGS)}")
    if settings.evaluate.curves:
        check_curves(settings)
    if settings.fit.voxels or MINDVIS in (method, *settings.decode.beside):
        check_conditioned(settings)
    for name in (method, *settings.decode.beside):
        needs = needs_of(name)
        missing = [space for space in needs if space not in spaces]
        if missing:
            raise UsageError(
                f"--maps: method {name} draws from {', '.join(needs)} and {missing[0]} is not decoded; "
                f"add {missing[0]}=REGION"
            )
    if method != PIXELS:
        from pipelines.stacks import resolve

        resolve(settings.fit.stack, numbers=False)


def check_weights(settings: Settings) -> None:
    """Refuses (InputError) a stack with damaged weights, which takes reading every one of them."""
    if settings.decode.method != PIXELS:
        from pipelines.stacks import resolve

        resolve(settings.fit.stack)
    check_networks(settings, drawn=False)


def check_conditioned(settings: Settings) -> None:
    """Refuses what cannot fine-tune a stack: no voxels, unknown paths (UsageError), no encoder there (InputError)."""
    from pipelines.double_conditioning import PATHS
    from pipelines.settings import STARTS

    fit = settings.fit
    if not fit.voxels:
        raise UsageError(
            f"--voxels: method {MINDVIS} draws from voxels and none are named; add --voxels nsdgeneral, or * for all"
        )
    if fit.paths not in PATHS:
        raise UsageError(f"--paths: {unknown('path', fit.paths, PATHS)}")
    if fit.start not in STARTS:
        raise UsageError(f"--start: {unknown('start', fit.start, STARTS)}")
    if fit.encoder and not Path(fit.encoder).is_file():
        raise InputError(
            expected(fit.encoder, "a masked encoder", "nothing there", "pretrain one, or leave --encoder out")
        )


def check_curves(settings: Settings) -> None:
    """Refuses (UsageError) curves of a run whose voxels are read by a network, for their points are ridges."""
    if settings.decode.method == MINDVIS:
        raise UsageError(f"--curves: every point fits ridges anew, and method {MINDVIS} has none; leave --curves out")
    if settings.fit.mapping != RIDGE:
        raise UsageError(
            f"--curves: every point fits ridges anew, and these voxels are read by --mapping {settings.fit.mapping}; "
            "leave --curves out, or fit a run with --mapping ridge"
        )


def needs_of(method: str) -> tuple[str, ...]:
    """The spaces that a generator cannot draw without."""
    if method == PIXELS:
        return (PIXELS,)
    if method == MINDVIS:
        return ()
    from pipelines.generators import CATALOGUE

    return CATALOGUE[method].needs


def is_fitted(run: RunFolder) -> bool:
    """Whether every mapping that the card names is there; the card is written last."""
    fitted = run.card_facts().get("fitted", [])
    return bool(fitted) and all((run.path / name).with_suffix(".json").is_file() for name in fitted)


def fit_recording(run: RunFolder, recording: Recording, settings: Settings, choice: Choice) -> None:
    """Fits what is missing and then writes the card, so that a stopped fit goes on where it stopped.

    choice  the standardisation; of clusters, whose folds are known only now, sessions without training trials change it
    """
    made, stimuli = cluster_count(recording, settings.fit.split) > 0, recording.stimuli
    folds = () if made else folds_of(recording, settings.fit.split, run)
    guard_trials(recording, folds)
    ids = ids_of(folds) or sorted(set(recording.responses.stimulus.tolist()))
    looks = look_at_all(stimuli, ids)
    captioned = any(space in CAPTIONED for space in needed_maps(settings.fit))
    note(run, content_of(recording, looks, captioned=captioned))
    if made:
        find_clusters(run, recording, settings)
        folds = folds_of(recording, settings.fit.split, run)
        guard_trials(recording, folds)
        if thin_in(recording.responses, folds):
            choice = choose(recording, folds, asked=settings.fit.standardise)
            recording = choice.on(recording)
            print(choice.sentence)
    if settings.fit.voxels and len(folds) > 1:
        raise UsageError(
            f"--voxels: a stack is fine-tuned for one split and came {len(folds)} folds; name one: --split"
        )
    sound = stimuli.modality == "sound"
    check_folds(folds, settings, judged=False, sound=sound)
    ids = ids_of(folds)
    guard_folds(run, folds, looks, fit=settings.fit, sound=sound)
    run.add_arithmetic("fit", arithmetic(settings.machine.device), begun=any(run.path.glob("conditions/*.safetensors")))
    spaces = open_spaces(settings.fit, device=settings.machine.device, stimuli=stimuli, ids=ids)
    if settings.fit.mapping == RIDGE:
        check_fitting(recording, folds, {name: space.card.shape for name, space in spaces.items()}, settings)
    short = filled_up(recording, settings, ids)
    for said in short:
        print(said)
    true = true_conditions(run, spaces, stimuli=stimuli, ids=ids)
    jobs = [(fold, name) for fold in folds for name in spaces]
    maps = {
        (fold.name, name): _mapping(run, recording, fold, true[name], space=spaces[name], settings=settings)
        for fold, name in progress(jobs, desc="fitting", unit="mapping")
    }
    ridge = ridge_settings(settings.fit, seed=settings.machine.seed)
    null = write_null(run, recording, folds, true, spaces=spaces, ridge=ridge, settings=settings)
    write_regions(
        run, recording, folds, true, ridge=RidgeSettings(folds=settings.fit.folds, seed=settings.machine.seed)
    )
    conditioned = {}
    if settings.fit.voxels:
        from decode.conditioned import condition

        conditioned = condition(run, recording, folds[0], settings)
    run.add_to_card(
        {
            "simulated": recording.simulated,
            "software": software(),
            "settings": {"recipe": settings.recipe, "machine": to_json(settings.machine), "fit": _public(settings.fit)},
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
            "conditioned": conditioned,
            "fitted": [*(str(run.map(name, fold).relative_to(run.path)) for fold, name in maps), *conditioned],
        }
    )


def find_clusters(run: RunFolder, recording: Recording, settings: Settings) -> None:
    """Encodes every shown stimulus and writes RUN/splits/cluster-<k>.json, of the split that is asked for."""
    k = cluster_count(recording, settings.fit.split)
    ids = sorted(set(recording.responses.stimulus.tolist()))
    spaces = open_spaces(settings.fit, device=settings.machine.device, stimuli=recording.stimuli, ids=ids)
    true = true_conditions(run, spaces, stimuli=recording.stimuli, ids=ids)
    semantic = next((name for name in SEMANTIC if name in true), next(iter(true)))
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


def guard_folds(run: RunFolder, folds: Sequence[Split], looks: Looks, *, fit: FitSettings, sound: bool) -> None:
    """Refuses (InputError) a test stimulus among training bit for bit, and writes RUN/report/leaks.json on the rest."""
    for fold in folds:
        guard(fold, fold.train, looks, sound=sound)
    report = leak_report(folds, looks)
    for said in copied_lines(report):
        print(said)
    penalty = _penalty(folds, fit)
    write_json(run.report / "leaks.json", {**report, "penalty": penalty, "sentences": [*report["sentences"], penalty]})


def _penalty(folds: Sequence[Split], fit: FitSettings) -> str:
    """Where the ridge penalties come from, or who stopped a network, in one sentence."""
    if len(folds) == 1:
        inside = f"the {len(folds[0].train)} training stimuli of split {folds[0].sha256}"
    else:
        inside = f"each fold's own training stimuli ({len(folds)} folds, their splits' sha256 in `folds`)"
    if fit.mapping == RIDGE:
        return f"Penalties were chosen by {fit.folds} folds inside {inside}, never on test stimuli."
    lent = " Subjects who lent the trunk trained on none of these test stimuli." if fit.mapping == SHARED else ""
    return f"Networks were stopped by held-out stimuli inside {inside}, never on test stimuli.{lent}"


def _mapping(
    run: RunFolder, recording: Recording, fold: Split, true: Conditions, *, space: Space, settings: Settings
) -> BrainMap | NetworkMap:
    """The map of this fold into this space, as it lies in the run, fitted first where it does not."""
    path = run.map(true.space.name, fold.name)
    if path.with_suffix(".json").is_file():
        return load_map(path)
    if settings.fit.mapping == RIDGE:
        regions = needed_maps(settings.fit)[true.space.name]
        fit_one(recording, fold, true, restoration=space.restoration, regions=regions, settings=settings).save(path)
    else:
        from decode.networks import network_of

        network_of(run, recording, fold, true, space=space, settings=settings).save(path)
    return load_map(path)


def fit_one(
    recording: Recording,
    fold: Split,
    true: Conditions,
    *,
    restoration: str,
    regions: tuple[str, ...],
    settings: Settings,
) -> BrainMap:
    """The mapping from the union of `regions` to `true`'s space, from the training trials of `fold` alone."""
    responses = recording.responses.voxels(columns_of(recording, regions))
    training, scaler = standardised(responses, fold.train)
    patterns, ids = training_patterns(training, settings.fit.trials)
    return fit_mapping(
        patterns,
        ids,
        conditions=true,
        voxels=training.space,
        unit=responses.space.unit,
        regions=regions,
        scaler=scaler,
        restoration=restoration,
        split=fold.sha256,
        settings=MappingSettings(ridge=ridge_settings(settings.fit, seed=settings.machine.seed)),
    )


def training_patterns(training: Responses, trials: str) -> tuple[Float, tuple[str, ...]]:
    """Patterns (sample, voxel) and the stimulus of each: one a stimulus ("averaged"), or every trial ("single")."""
    if trials == "single":
        return training.values, tuple(training.stimulus.tolist())
    averaged = average_repeats(training)
    return averaged.values, averaged.ids


def standardised(responses: Responses, train: Iterable[str]) -> tuple[Responses, SessionScaler]:
    """The trials of the training stimuli as z-scores, and the scaler that these trials alone have settled."""
    rows = responses.of(train)
    scaler = SessionScaler.fit(responses, rows)
    return scaler.apply(responses.trials(rows)), scaler


def ridge_settings(fit: FitSettings, *, seed: int) -> RidgeSettings:
    """The ridge that was asked for; no penalties asked for take the encoders' own grid."""
    return RidgeSettings(
        alphas=fit.alphas or RidgeSettings().alphas,
        folds=fit.folds,
        seed=seed,
        chunk=fit.chunk,
        per_target=not fit.shared_penalty,
    )


def _public(fit: FitSettings) -> Mapping[str, object]:
    """The settings without the paths of a stack and an encoder of the user's own."""
    facts: dict[str, object] = to_json(fit)
    return {**facts, "stack": Path(fit.stack).name, "encoder": Path(fit.encoder).name}
