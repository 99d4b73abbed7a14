"""Labelled training trials: what a brain encoder learns to read into a condition space, and how it is trained on them.

    trials = labelled_trials(recording, conditions, split=split, only=few, seed=0)
    job = supervised_job([trials], loss, batch=64, seed=0, identity={...})

Test trials settle nothing, not even the z-scores: they are only compared, so that none trains under another name.
Validation holds out STIMULI of the training set, with all repeats and all windows of a clip, so that a network that
learnt its stimuli by heart is not called good.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from brain.data.averages import average_repeats
from brain.data.clips import groups_of
from brain.digest import sha256_of
from brain.errors import InputError, UsageError
from brain.types import Float, Int, Recording, Responses, Split
from brain.voxels import VoxelSpace
from encoders.conditions import Conditions, SpaceCard
from encoders.rescale import Rescaling
from encoders.settings import FEWEST, Plan
from encoders.storage import read_tensors
from encoders.training import WEIGHTS, Job, Loss, train, validate
from encoders.training_trials import Spared, held_out, in_batches, standardised

VALIDATION = -1
"""The step that stands in a key of the validation set."""
AT_ONCE = 256
"""Validation trials that are looked at together."""


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """One subject's training trials and the true conditions of what they showed.

    voxels    VoxelSpace of the columns, unit "z"
    space     SpaceCard of the conditions; a target is one number of a flattened condition
    values    (trial, voxel) float32 z-scores per session, of all training trials of the split
    truth     (trial, target) float32
    ids       (trial,) the stimulus of each
    train     (row,) int64, rows to train on; held_out (row,) rows of other stimuli, to validate on
    split     sha256 of the split whose test trials were left out
    """

    voxels: VoxelSpace
    space: SpaceCard
    values: Float
    truth: Float
    ids: NDArray[np.str_]
    train: Int
    held_out: Int
    split: str

    @cached_property
    def centre(self) -> Float:
        """(target,) float32, the mean of the truth over the rows to train on."""
        return np.asarray(self.truth[self.train].mean(0, dtype=np.float64), np.float32)

    @cached_property
    def spread(self) -> Float:
        """(target,) float32, its standard deviation there; 1 for a target that never moves."""
        return spread_of(self.truth[self.train])

    def facts(self) -> dict[str, object]:
        """For the card and a checkpoint's identity."""
        rows = np.concatenate([self.train, self.held_out])
        return {
            "subject": self.voxels.subject,
            "voxels": len(self.voxels),
            "voxels_sha256": self.voxels.sha256,
            "space": self.space.facts(),
            "trials": len(self.train),
            "held_out": len(self.held_out),
            "trials_sha256": sha256_of(self.values[rows].tobytes(), self.truth[rows].tobytes(), self.train.tobytes()),
            "split_sha256": self.split,
        }

    def averaged(self, rows: Int) -> tuple[Float, tuple[str, ...], Float]:
        """Patterns (stimulus, voxel) of these rows, one a stimulus, their ids, and their truth (stimulus, target)."""
        mine = Responses(
            values=self.values[rows],
            stimulus=self.ids[rows],
            session=np.ones(len(rows), np.int64),
            repeat=np.zeros(len(rows), np.int64),
            space=self.voxels,
        )
        averaged = average_repeats(mine)
        first = {one: row for row, one in zip(rows.tolist(), self.ids[rows].tolist(), strict=True)}
        return averaged.values, averaged.ids, self.truth[[first[one] for one in averaged.ids]]


def labelled_trials(
    recording: Recording,
    conditions: Conditions,
    *,
    split: Split,
    only: Sequence[str] | None = None,
    share: float = 0.1,
    seed: int = 0,
    columns: Int | None = None,
) -> Labelled:
    """The labelled training trials of one subject.

    conditions  the true conditions of the training stimuli
    split       whose training stimuli are taken
    only        the training stimuli whose labels are known; None knows all. z-scores need no label: they are those of
                all training trials either way
    share       the share of these stimuli that validates, at least one; `seed` draws which
    columns     (voxel,) int64, which voxels; None takes all
    A stimulus that the split does not train on, a copy of a test trial and fewer than two stimuli are an InputError.
    """
    if not 0 < share < 1:
        raise UsageError(f"labelled trials: the share that validates lies between 0 and 1, found {share}")
    known = _known(split, only)
    whole = recording.responses if columns is None else recording.responses.voxels(columns)
    training = whole.trials(whole.of(split.train))
    scaler, scaled = standardised(training)
    spared = Spared.of(whole.trials(whole.of(split.test)), scaler)
    spared.guard(training.values, scaled.values, name=spared.subject)
    mine = scaled.trials(scaled.of(known))
    groups = groups_of(mine.stimulus.tolist(), sound=recording.stimuli.modality == "sound")
    count = _validating(len(np.unique(groups)), share=share, name=whole.space.subject)
    validating = held_out(groups, count=count, seed=[seed, 11])
    return Labelled(
        voxels=mine.space,
        space=conditions.space,
        values=mine.values,
        truth=conditions.values[conditions.rows(mine.stimulus.tolist())].reshape(len(mine.values), -1),
        ids=mine.stimulus,
        train=np.flatnonzero(~validating),
        held_out=np.flatnonzero(validating),
        split=split.sha256,
    )


def _known(split: Split, only: Sequence[str] | None) -> tuple[str, ...]:
    """The training stimuli whose labels are known; another one is an InputError."""
    known = split.train if only is None else tuple(only)
    strange = sorted(set(known) - set(split.train))
    if strange:
        raise InputError(f"split {split.name!r}: {strange[0]} is no training stimulus; train on {split.name}'s own")
    return known


def _validating(stimuli: int, *, share: float, name: str) -> int:
    """How many of so many stimuli validate: one at least, and not all."""
    if stimuli < 2:
        raise InputError(f"{name}: {stimuli} labelled stimuli; one more is needed to validate on")
    return min(stimuli - 1, max(1, round(share * stimuli)))


def settled(prediction: Float, truth: Float, *, ids: Sequence[str], kind: str, limit: float) -> Rescaling:
    """The rescaling by held-out stimuli; too few of them to know a spread by are an InputError.

    `prediction` and `truth` (sample, target), of the stimuli `ids` (sample,).
    """
    if kind != "none" and len(ids) < FEWEST:
        raise InputError(
            f"rescaling: {len(ids)} held-out stimuli cannot tell the spread of predictions, {FEWEST} are needed; "
            "hold out a larger share, or restore nothing"
        )
    return Rescaling.fit(prediction, truth, groups=ids, kind=kind, limit=limit)


class Key(NamedTuple):
    """What a loss is given of a batch: its step, and the rows of all its samples, whoever computes which."""

    step: int
    batch: tuple[int, ...]


def supervised_job(sets: Sequence[Labelled], loss: Loss, *, batch: int, seed: int, identity: Mapping[str, Any]) -> Job:
    """A task for `train`: every training row of all subjects once an epoch, subjects mixed within a batch.

    A row is numbered through all subjects (`rows_of` tells them apart). A batch depends on seed and step alone.
    """
    if batch < 1:
        raise UsageError(f"training: a batch holds one trial or more, found {batch}")
    starts = starts_of(sets)
    train = np.concatenate([one.train + start for one, start in zip(sets, starts, strict=True)])
    rows_at = in_batches(lambda epoch: np.random.default_rng([seed, 12, epoch]).permutation(train), batch)

    def keyed(rows: list[int], step: int = VALIDATION) -> tuple[Key, list[int]]:
        return Key(step=step, batch=tuple(rows)), rows

    check = [
        keyed((one.held_out[first : first + AT_ONCE] + start).tolist())
        for one, start in zip(sets, starts, strict=True)
        for first in range(0, len(one.held_out), AT_ONCE)
    ]
    facts = {**identity, "data": [one.facts() for one in sets], "batch": batch}
    return Job(batch=lambda step: keyed(rows_at(step), step), loss=loss, check=check, identity=facts)


def starts_of(sets: Sequence[Labelled]) -> list[int]:
    """The number of each subject's first row."""
    return [0, *np.cumsum([len(one.values) for one in sets]).tolist()][: len(sets)]


def rows_of(sets: Sequence[Labelled], rows: Sequence[int]) -> list[list[int]]:
    """For each subject, its own rows among these, in their order."""
    starts = starts_of(sets)
    ends = [start + len(one.values) for one, start in zip(sets, starts, strict=True)]
    return [[row - start for row in rows if start <= row < end] for start, end in zip(starts, ends, strict=True)]


def generator_of(seed: int, step: int, row: int, *, stream: int = 0) -> torch.Generator:
    """The trial's own randomness in this step, whoever computes it and in whatever company; 8 streams of it."""
    return torch.Generator().manual_seed((((seed * 1_000_003 + step + 1) * 8 + stream) * 1_000_003 + row) % 2**63)


def spread_of(truth: Float) -> Float:
    """(target,) float32 standard deviation; 1 for a target that never moves."""
    spread = truth.std(0, dtype=np.float64)
    return np.where(np.ptp(truth, axis=0) > 0, spread, 1).astype(np.float32)


def digest_of(network: nn.Module) -> str:
    """The sha256 of a network's weights, by which a checkpoint knows what it was trained from."""
    state = network.state_dict()
    return sha256_of(*(state[name].cpu().numpy().tobytes() for name in sorted(state)))


def train_or_keep(network: nn.Module, plan: Plan, *, folder: Path, job: Job, accelerator: Any) -> None:
    """Trains `network` and leaves it with the best weights by validation, those at the start among them."""
    network.to(accelerator.device)
    began = copy.deepcopy(network.state_dict())
    at_start = validate(network, job, accelerator)
    done = train(network, plan, folder=folder, job=job, accelerator=accelerator)
    network.cpu()
    if done.best >= at_start:
        network.load_state_dict(began)
        return
    tensors, _ = read_tensors(folder / WEIGHTS, kind=str(job.identity["family"]))
    network.load_state_dict({name: torch.from_numpy(one) for name, one in tensors.items()})
