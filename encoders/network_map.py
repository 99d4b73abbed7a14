"""NetworkMap: a residual network as a frozen map from the voxels of named regions to a condition space.

    mapped = fit_network(trials, others=(), unit="psc", regions=("nsdgeneral",), scaler=scaler, restoration="none",
                         settings=NetworkSettings(way="residual", seed=0), folder=out, accelerator=accelerator)
    load_map(path).decode(responses)                # whichever kind of map lies there

It keeps the contract of `encoders.mapping.Mapping`: its voxels, its space, how the data were standardised, what its
guesses must satisfy; NAME.safetensors and, written last, NAME.json. This module imports no torch until a map is used,
for `afterimage decode` names it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from brain.averages import average_repeats
from brain.catalogue import unknown
from brain.errors import InputError, UsageError
from brain.standardise import SessionScaler
from brain.types import Float, Responses, VoxelSpace
from encoders.conditions import Conditions, SpaceCard
from encoders.map_contract import (
    check_patterns,
    check_unit,
    contract_arrays,
    contract_card,
    own_trials,
    read_map,
    stored_voxels,
    write_map,
)
from encoders.mapping import Mapping
from encoders.restore import Restoration
from encoders.ridge import RidgeSettings
from encoders.storage import Arrays, read_json

if TYPE_CHECKING:
    from encoders.labelled import Labelled
    from encoders.settings import Plan
    from encoders.shared import FitSettings, JoinSettings, ResidualMap

KIND = "network-map"
FORMAT = 1
PRIOR, SHARED = "prior", "shared"
WAYS = ("residual", PRIOR, SHARED)
"""How a network may answer: with its regression, with what its diffusion prior draws, or on a trunk lent by others."""


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """What to train.

    way    one of `WAYS`; `seed` of the weights, the batches and the prior's draws
    steps  of every training; 0 takes each network's own plan
    ridge  where a new subject's adapter starts from
    """

    way: str
    seed: int
    steps: int = 0
    ridge: RidgeSettings = RidgeSettings()

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise UsageError(unknown("network", self.way, WAYS))

    def plan(self, plan: Plan) -> Plan:
        """A network's own plan with this seed, cut to `steps` of which ten parts are validated and saved."""
        seeded = replace(plan, seed=self.seed)
        if not self.steps:
            return seeded
        often = max(1, self.steps // 10)
        return replace(seeded, steps=self.steps, warm=min(plan.warm, often), validate=often, save=often)


@dataclass(frozen=True, kw_only=True)
class NetworkMap:
    """Voxels -> conditions by a residual network of one subject.

    voxels   VoxelSpace of the columns, unit "z"; `unit` is the unit of the data before standardisation
    regions  names of the regions whose union the voxels are
    scaler   SessionScaler of these voxels, from training trials
    network  ResidualMap of this subject alone
    way      one of `WAYS`; `seed` the one that a stimulus' own seed of the prior derives from
    cv_r2    (target,) float32, 1 - squared error / variance on the held-out training stimuli, repeats averaged, before
             restoration. These stimuli also chose when training stopped, so that it flatters a little
    split    sha256 of the split whose training stimuli were used; `samples` how many of this subject's trials trained
    notes    sentences for the report
    """

    voxels: VoxelSpace
    unit: str
    regions: tuple[str, ...]
    scaler: SessionScaler
    network: ResidualMap
    way: str
    seed: int
    cv_r2: Float
    split: str
    samples: int
    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        check_unit(self.voxels, self.scaler)
        if self.way not in WAYS or len(self.network.subjects) != 1:
            raise InputError(
                f"network map: expected one of {', '.join(WAYS)} for one subject, found {self.way!r} for "
                f"{', '.join(self.network.subjects)}; fit again"
            )
        voxels, targets = len(self.voxels), int(np.prod(self.space.shape))
        read = {name: adapter.in_features for name, adapter in self.network.network.adapters.items()}
        shapes = (*read.values(), self.scaler.mean.shape[1], len(self.network.centre), len(self.cv_r2))
        if shapes != (voxels, voxels, targets, targets):
            raise InputError(
                f"network map: adapter, scaler, network and accuracy of sizes {shapes} do not fit {voxels} voxels and "
                f"{targets} targets; fit again"
            )

    @property
    def space(self) -> SpaceCard:
        """The space it speaks."""
        return self.network.space

    @property
    def restoration(self) -> Restoration:
        """What is done to the regression's guesses; what the prior draws is left as it is."""
        (restoration,) = self.network.restoration.values()
        return restoration

    def predict(self, values: Float, *, ids: Sequence[str]) -> Conditions:
        """Patterns (stimulus, voxel) as z-scores, in the map's own column order -> Conditions of `ids`.

        Each pattern goes through the network alone, so that it has the bits it has among others.
        """
        check_patterns(values, ids)
        made = [self._one(pattern[None], name) for pattern, name in zip(values, ids, strict=True)]
        return Conditions(space=self.space, values=np.concatenate(made), ids=tuple(ids))

    def decode(self, responses: Responses) -> Conditions:
        """Single trials -> Conditions, one per stimulus, repeats averaged, ids sorted.

        Columns are reordered to the map's voxels or refused (`InputError`); data in the unit of the raw training
        data are standardised with the stored scaler, z-scores are taken as they are, any other unit is refused.
        """
        averaged = average_repeats(self.own(responses))
        return self.predict(averaged.values, ids=averaged.ids)

    def own(self, responses: Responses) -> Responses:
        """The same trials with only the map's voxels, in its order, as z-scores."""
        return own_trials(responses, voxels=self.voxels, unit=self.unit, scaler=self.scaler)

    def save(self, path: Path) -> None:
        """Write `path` (.safetensors) and, last, its card (.json): a map without its card is unfinished."""
        write_map(path, {**self.network.arrays(), **contract_arrays(self)}, self.card())

    @classmethod
    def load(cls, path: Path) -> NetworkMap:
        """Read what `save` wrote. Truncated, foreign, of another card, or of another voxel digest: `InputError`."""
        return read_map(path, lambda tensors, card: _from(tensors, card, path=path), kind=KIND, form=FORMAT)

    def card(self) -> dict[str, Any]:
        """What a person wants to know, as JSON says it."""
        own = {"way": self.way, "seed": self.seed, "network": self.network.card()}
        return {**contract_card(self, kind=KIND, form=FORMAT), **own}

    def _one(self, pattern: Float, name: str) -> Float:
        if self.way == PRIOR:
            return self.network.draw(pattern, seeds=[draw_seed(self.seed, name)])
        return self.network.predict(pattern)


def load_map(path: Path) -> Mapping | NetworkMap:
    """The map at `path`, of the kind that its card says; errors as in the `load` of both."""
    found = read_json(path.with_suffix(".json"), kind="mapping").get("kind")
    return NetworkMap.load(path) if found == KIND else Mapping.load(path)


def draw_seed(seed: int, stimulus: str) -> int:
    """The prior's seed for one stimulus, 0 .. 2**63 - 1, unlike the seed that its picture is drawn with."""
    digest = hashlib.sha256(f"prior\0{seed}\0{stimulus}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def fit_network(
    trials: Labelled,
    *,
    others: Sequence[Labelled],
    unit: str,
    regions: Sequence[str],
    scaler: SessionScaler,
    restoration: str,
    settings: NetworkSettings,
    folder: Path,
    accelerator: Any,
) -> NetworkMap:
    """Train a network on the labelled training trials of one subject and freeze it.

    trials       of the map's subject; `others` lend the trunk where the way is "shared", and have no say elsewhere
    unit         the data's unit before standardisation
    regions      the regions' names, `scaler` of exactly these voxels
    restoration  what the space says a guess must satisfy (`Space.restoration`); the prior's draws are not restored
    folder       of checkpoints and logs; the same call goes on from the last checkpoint
    "shared" without others is a UsageError.
    """
    from encoders.shared import fit_residual, join

    how, joining = _settings(settings)
    common = {"restoration": "none" if settings.way == PRIOR else restoration, "accelerator": accelerator}
    if settings.way == SHARED:
        if not others:
            raise UsageError("mapping shared: no other subject lends a trunk; simulate data with --subjects 4, say")
        lent = fit_residual(others, folder=folder / "others", settings=how, restoration="none", accelerator=accelerator)
        network = join(lent, trials, folder=folder, settings=joining, **common)
    else:
        network = fit_residual([trials], folder=folder, settings=how, **common)
    return NetworkMap(
        voxels=trials.voxels,
        unit=unit,
        regions=tuple(regions),
        scaler=scaler,
        network=network,
        way=settings.way,
        seed=settings.seed,
        cv_r2=_held_out_r2(network, trials, settings=settings),
        split=trials.split,
        samples=len(trials.train),
        notes=_notes(trials, others, way=settings.way),
    )


def _settings(settings: NetworkSettings) -> tuple[FitSettings, JoinSettings]:
    from encoders.shared import FitSettings, JoinSettings

    how, joining = FitSettings(), JoinSettings(ridge=settings.ridge)
    return replace(how, plan=settings.plan(how.plan)), replace(joining, plan=settings.plan(joining.plan))


def _held_out_r2(network: ResidualMap, trials: Labelled, *, settings: NetworkSettings) -> Float:
    """(target,) float32; 0 for a target that never moves."""
    values, ids, truth = trials.averaged(trials.held_out)
    if settings.way == PRIOR:
        guess = network.draw(values, seeds=[draw_seed(settings.seed, name) for name in ids]).reshape(len(ids), -1)
    else:
        guess = network.regress(values)
    error = np.square(truth - guess).sum(0, dtype=np.float64)
    spread = np.square(truth - truth.mean(0, dtype=np.float64)).sum(0)
    moving = np.ptp(truth, axis=0) > 0
    return np.where(moving, 1 - error / np.where(moving, spread, 1), 0).astype(np.float32)


def _notes(trials: Labelled, others: Sequence[Labelled], *, way: str) -> tuple[str, ...]:
    train, held_out = (len(set(trials.ids[rows].tolist())) for rows in (trials.train, trials.held_out))
    what = "an adapter into a shared trunk" if way == SHARED else "a residual network"
    notes = [
        f"{what}, trained on {len(trials.train)} trials of {train} training stimuli, stopped early and scored by "
        f"{held_out} others"
    ]
    if way == SHARED:
        lent = ", ".join(f"{one.voxels.subject} ({len(one.train)} trials)" for one in others)
        notes.append(f"the trunk was trained on {lent}")
    if way == PRIOR:
        notes.append("its diffusion prior draws one embedding a stimulus, which is not restored")
    return tuple(notes)


def _from(tensors: Arrays, card: dict[str, Any], *, path: Path) -> NetworkMap:
    from encoders.shared import ResidualMap

    return NetworkMap(
        voxels=stored_voxels(tensors, card["voxels"]),
        unit=card["unit"],
        regions=tuple(card["regions"]),
        scaler=SessionScaler.from_arrays(tensors),
        network=ResidualMap.of(tensors, card["network"], path=path),
        way=card["way"],
        seed=card["seed"],
        cv_r2=tensors["cv_r2"],
        split=card["split_sha256"],
        samples=card["samples"],
        notes=tuple(card["notes"]),
    )
