"""The networks of a run: the labelled trials they train on, and RUN/training/FOLD/SPACE with checkpoints and logs.

A stimulus that the fold tests trains nobody, neither the run's subject nor one who lends a trunk, under whatever name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from brain.design import with_way
from brain.errors import InputError, UsageError
from brain.leaks import guard, look_at
from brain.readers import open_recording, parse_fields, reader_of
from brain.splits import groups_of
from brain.standardise import SessionScaler
from brain.types import Recording, Split
from decode.checks import columns_of
from decode.fit import ridge_settings
from decode.run_folder import RunFolder
from decode.settings import Settings, needed_maps
from decode.spaces import encoded
from encoders.conditions import Conditions
from encoders.labelled import FEWEST, Labelled, labelled_trials
from encoders.network_map import SHARED, NetworkMap, NetworkSettings, fit_network
from encoders.spaces import Space

SHARE = 0.1
"""The share of a subject's training stimuli that stops its network early."""


def network_of(
    run: RunFolder, recording: Recording, fold: Split, true: Conditions, *, space: Space, settings: Settings
) -> NetworkMap:
    """The network from the space's regions to it, trained on the training trials of `fold` or gone on with."""
    name, seed = true.space.name, settings.machine.seed
    regions = needed_maps(settings.fit)[name]
    columns = columns_of(recording, regions)
    responses = recording.responses.voxels(columns)
    share = _share(recording, fold)
    trials = labelled_trials(recording, true, split=fold, share=share, seed=seed, columns=columns)
    how = NetworkSettings(
        way=settings.fit.mapping,
        seed=seed,
        steps=settings.fit.network_steps,
        ridge=ridge_settings(settings.fit, seed=seed),
    )
    lending = lenders(recording) if how.way == SHARED else ()
    others = [lent_trials(run, recording, fold, one, space=space, settings=settings) for one in lending]
    accelerator = accelerator_on(settings.machine.device)
    try:
        return fit_network(
            trials,
            others=others,
            unit=responses.space.unit,
            regions=regions,
            scaler=SessionScaler.fit(responses, responses.of(fold.train)),
            restoration=space.restoration,
            settings=how,
            folder=training_folder(run, name, fold.name),
            accelerator=accelerator,
        )
    finally:
        accelerator.free_memory()


def training_folder(run: RunFolder, space: str, fold: str) -> Path:
    """Where the network of a space and a fold trains: RUN/training/FOLD/SPACE, spelt as in the map's own name."""
    return run.path.joinpath("training", *reversed(run.map(space, fold).stem.split(".")))


def lenders(recording: Recording) -> tuple[str, ...]:
    """All other subjects of the same data; none of them is a UsageError."""
    data, mine = Path(recording.source), recording.responses.space.subject
    others = tuple(name for name in reader_of(data, recording.reader).subjects(data) if name != mine)
    if not others:
        raise UsageError(
            f"--mapping shared: {data} holds {mine} alone, and the trunk is trained on other subjects; "
            "make data of several with `afterimage simulate OUT --subjects 4`, or take --mapping residual"
        )
    return others


def lent_trials(
    run: RunFolder, recording: Recording, fold: Split, subject: str, *, space: Space, settings: Settings
) -> Labelled:
    """All labelled training trials of another subject, of all its sessions, without what `fold` tests.

    Its true conditions are stored in RUN/conditions.
    """
    fit = settings.fit
    other = open_recording(
        recording.source, subject=subject, betas=fit.betas, reader=recording.reader, fields=parse_fields(fit.fields)
    )
    other = with_way(other, recording.responses.standardise)
    split = lent_split(other, fold)
    sides = ((other.stimuli, split.train), (recording.stimuli, fold.test))
    opened = ((name, stimuli.open(name)) for stimuli, names in sides for name in names)
    looks = look_at(opened, count=len(split.train) + len(fold.test))
    lent = Split(name=fold.name, train=split.train, test=fold.test)
    guard(lent, split.train, looks, sound=other.stimuli.modality == "sound")
    ids = sorted(set(other.responses.stimulus.tolist()))
    true = encoded(run.conditions(space.card.name, f"true-{subject}"), space, stimuli=other.stimuli, ids=ids)
    columns = columns_of(other, needed_maps(fit)[space.card.name])
    return labelled_trials(other, true, split=split, share=SHARE, seed=settings.machine.seed, columns=columns)


def lent_split(other: Recording, fold: Split) -> Split:
    """Another subject's own split, of the fold's name where it has one, with all that `fold` tests among its tests.

    Windows of a tested clip train nobody either. Where nothing is left to train on: InputError.
    """
    named = fold.name if fold.name in {split.name for split in other.splits} else ""
    own, shown = other.split(named), set(other.responses.stimulus.tolist())
    sound = other.stimuli.modality == "sound"
    tested = set(groups_of(fold.test, sound=sound).tolist())
    clips = groups_of(own.train, sound=sound).tolist()
    train = tuple(name for name, clip in zip(own.train, clips, strict=True) if name in shown and clip not in tested)
    if not train:
        raise InputError(
            f"{other.responses.space.subject}: split {fold.name!r} tests every stimulus it could lend a trunk by; "
            "take another split, or --mapping residual"
        )
    return Split(name=own.name, train=train, test=(*own.test, *fold.test))


def accelerator_on(device: str) -> Any:
    """accelerate on this device; where it finds another, a UsageError."""
    asked = torch.device(device)
    if asked.type == "cuda" and asked.index is not None:
        torch.cuda.set_device(asked)
    accelerator = Accelerator(cpu=asked.type == "cpu")
    if accelerator.device.type != asked.type:
        raise UsageError(
            f"--device {device}: accelerate trains networks on {accelerator.device.type} here; "
            f"ask for --device {accelerator.device.type}"
        )
    return accelerator


def _share(recording: Recording, fold: Split) -> float:
    """The share that validates: more than usual where it would be too few stimuli to settle a restoration by."""
    shown = recording.responses.stimulus[recording.responses.of(fold.train)]
    count = len(set(groups_of(shown.tolist(), sound=recording.stimuli.modality == "sound").tolist()))
    if count < 2 * FEWEST:
        raise InputError(
            f"split {fold.name!r}: {count} training stimuli cannot spare the {FEWEST} by which a network is stopped "
            "and its guesses restored; take --mapping ridge, or more stimuli"
        )
    return max(SHARE, FEWEST / count)
