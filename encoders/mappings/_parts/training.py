"""How the mappings that are networks train: on which trials, stopped by which, for how long, on which device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from brain.data.standardise import SessionScaler
from brain.errors import UsageError
from brain.types import Float
from encoders.labelled import Labelled, labelled_trials
from encoders.mappings import Task
from encoders.mappings._parts.network import PRIOR, REGRESSION, NetworkMap, draw_seed
from encoders.mappings._parts.residual_map import FitSettings, ResidualMap, fit_residual
from encoders.mappings._parts.stopping import stopping_share
from encoders.settings import Plan


def alone(task: Task, *, steps: int, answer: str) -> NetworkMap:
    """The map of a residual network that this subject's trials alone train, in `task.folder`, or go on to train."""
    trials = task_trials(task)
    rescaling = "none" if answer == PRIOR else task.rescaling
    with accelerating(task.device) as accelerator:
        network = fit_residual(
            [trials], folder=task.folder, settings=fit_settings(steps=steps, seed=task.seed), rescaling=rescaling,
            accelerator=accelerator,
        )  # fmt: skip
    return network_map(task, trials, network, answer=answer)


def task_trials(task: Task) -> Labelled:
    """The labelled training trials of the task's subject; copies of test trials are an InputError."""
    return labelled_trials(
        task.recording,
        task.conditions,
        split=task.fold,
        share=stopping_share(task.recording, task.fold),
        seed=task.seed,
        columns=task.columns(task.recording),
    )


def fit_settings(*, steps: int, seed: int) -> FitSettings:
    """The network's own settings with this seed, its plan cut to `steps` unless they are 0."""
    own = FitSettings()
    return replace(own, plan=plan_of(own.plan, steps=steps, seed=seed))


def plan_of(plan: Plan, *, steps: int, seed: int) -> Plan:
    """A network's own plan with this seed, cut to `steps` that are validated and saved in ten parts; 0 cuts nothing."""
    seeded = replace(plan, seed=seed)
    if not steps:
        return seeded
    often = max(1, steps // 10)
    return replace(seeded, steps=steps, warm=min(plan.warm, often), validate=often, save=often)


def network_map(
    task: Task,
    trials: Labelled,
    network: ResidualMap,
    *,
    answer: str = REGRESSION,
    what: str = "a residual network",
    notes: Sequence[str] = (),
) -> NetworkMap:
    """A trained network of the task's subject, frozen as a map; `notes` for the report beside how it was trained."""
    responses = task.recording.responses.voxels(task.columns(task.recording))
    (rescaling,) = network.rescaling.values()
    drawn = ["its diffusion prior draws one embedding a stimulus, which is not restored"] * (answer == PRIOR)
    return NetworkMap(
        voxels=trials.voxels,
        unit=responses.space.unit,
        regions=task.regions,
        space=network.space,
        scaler=SessionScaler.fit(responses, responses.of(task.fold.train)),
        rescaling=rescaling,
        network=network,
        answer=answer,
        seed=task.seed,
        cv_r2=_held_out_r2(network, trials, answer=answer, seed=task.seed),
        split=trials.split,
        samples=len(trials.train),
        notes=(_trained_on(trials, what), *notes, *drawn),
    )


@contextmanager
def accelerating(device: str) -> Iterator[Any]:
    """accelerate on this device, whose memory is free again afterwards; where it finds another, a UsageError."""
    accelerator = accelerator_on(device)
    try:
        yield accelerator
    finally:
        accelerator.free_memory()


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


def _held_out_r2(network: ResidualMap, trials: Labelled, *, answer: str, seed: int) -> Float:
    """(target,) float32; 0 for a constant target."""
    values, ids, truth = trials.averaged(trials.held_out)
    if answer == PRIOR:
        prediction = network.draw(values, seeds=[draw_seed(seed, name) for name in ids]).reshape(len(ids), -1)
    else:
        prediction = network.regress(values)
    error = np.square(truth - prediction).sum(0, dtype=np.float64)
    spread = np.square(truth - truth.mean(0, dtype=np.float64)).sum(0)
    varies = np.ptp(truth, axis=0) > 0
    return np.where(varies, 1 - error / np.where(varies, spread, 1), 0).astype(np.float32)


def _trained_on(trials: Labelled, what: str) -> str:
    train, held_out = (len(set(trials.ids[rows].tolist())) for rows in (trials.train, trials.held_out))
    return (
        f"{what}, trained on {len(trials.train)} trials of {train} training stimuli, stopped early and scored by "
        f"{held_out} others"
    )
