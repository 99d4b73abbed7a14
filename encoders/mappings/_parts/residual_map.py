"""Residual maps: one subject's network, or one trunk that many subjects share and a new one joins.

    mapped = fit_residual([trials], folder=out, settings=FitSettings(), rescaling=..., accelerator=accelerator)
    shared = fit_residual([one, two, three], ...)          # one adapter each, one trunk
    joined = join(shared, few, folder=out, settings=JoinSettings(), rescaling=..., accelerator=accelerator)
    joined.predict(values)                                 # regression;  joined.draw(values, seeds=...) the prior

A new subject (Scotti et al. 2024, MindEye2: one hour of data) trains its adapter alone, the trunk frozen, and then, if
asked, everything at a slower rate. The adapter starts where a ridge puts it: from the new voxels to what the others'
adapters gave for like stimuli, which is known from the conditions. Where no validation is better, that start is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from brain.catalogue import unknown
from brain.errors import InputError, UsageError, expected
from brain.machine.memory import contiguous, fresh
from brain.types import Float
from encoders.conditions import SpaceCard
from encoders.labelled import Labelled, digest_of, settled, spread_of, supervised_job, train_or_keep
from encoders.mappings._parts.diffusion_prior import PriorSettings
from encoders.mappings._parts.residual_network import Made, Residual, ResidualLoss, ResidualSettings, adapter_name
from encoders.rescale import Rescaling
from encoders.ridge import RidgeSettings, fit_ridge
from encoders.settings import Plan
from encoders.spaces import of_sounds
from encoders.storage import Arrays, plain, read_tensors, write_tensors

KIND = "residual-map"
NETWORK, ADAPTER = "residual-network", "residual-adapter"
"""The families of the weights that training leaves in its folder."""


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """The network, how long and how fast, trials in a step over all processes, the rescaling's largest gain."""

    network: ResidualSettings = ResidualSettings()
    plan: Plan = Plan(steps=1500, rate=3e-4, warm=50, decay=0.05, validate=50, save=100, patience=6)
    batch: int = 64
    limit: float = 5.0


@dataclass(frozen=True, kw_only=True)
class JoinSettings:
    """How a new subject joins.

    plan   the adapter's training; `tune` that of everything afterwards, None keeps the trunk as it is
    ridge  where the adapter starts from
    """

    plan: Plan = Plan(steps=300, rate=1e-4, warm=20, decay=0.05, validate=20, save=50, patience=4)
    tune: Plan | None = None
    batch: int = 64
    ridge: RidgeSettings = RidgeSettings()
    limit: float = 5.0


@dataclass(frozen=True, kw_only=True)
class ResidualMap:
    """A frozen map from the voxels of one subject or more to conditions.

    network         Residual; its adapters' names are the subjects
    centre, spread  (target,) float32: the network speaks z-scores of the training trials
    expected        (target + 1, width) float32: from z-scored conditions, and a constant, to what adapters give
    rescaling       subject -> Rescaling of the regression's predictions, of held-out training stimuli
    space           SpaceCard of the conditions
    facts           what it was trained on, as plain JSON
    """

    network: Residual
    centre: Float
    spread: Float
    expected: Float
    rescaling: dict[str, Rescaling]
    space: SpaceCard
    facts: dict[str, Any]

    @property
    def subjects(self) -> tuple[str, ...]:
        """Whose voxels it reads."""
        return tuple(self.network.adapters)

    def predict(self, values: Float, *, subject: str = "") -> Float:
        """z-scores (sample, voxel) -> (sample, *shape): the regression, restored. `subject` "" is the only one."""
        name = self._one(subject)
        restored = self.rescaling[name].apply(self.regress(values, subject=name))
        return restored.reshape(len(values), *self.space.shape)

    def regress(self, values: Float, *, subject: str = "") -> Float:
        """z-scores (sample, voxel) -> (sample, target): the regression as it is, not restored."""
        prediction = self._prediction(values, self._one(subject)).numpy() * self.spread + self.centre
        return np.asarray(prediction, np.float32)

    def draw(self, values: Float, *, seeds: Sequence[int], subject: str = "") -> Float:
        """z-scores (sample, voxel) -> (sample, *shape): an embedding the prior draws, each from its own seed."""
        prediction = self._prediction(values, self._one(subject))
        drawn = self.network.trunk.prior.draw(prediction, seeds=seeds).numpy() * self.spread + self.centre
        return np.asarray(drawn, np.float32).reshape(len(values), *self.space.shape)

    def arrays(self) -> Arrays:
        """All its numbers, to be stored."""
        tensors = {f"network.{name}": one.cpu().numpy() for name, one in self.network.state_dict().items()}
        tensors |= {"centre": self.centre, "spread": self.spread, "expected": self.expected}
        for subject, rescaling in self.rescaling.items():
            tensors |= {f"{subject}/{name}": one for name, one in rescaling.arrays().items()}
        return tensors

    def card(self) -> dict[str, Any]:
        """What its numbers mean, as JSON says it."""
        return {
            "space": self.space.facts(),
            "network": asdict(self.network.trunk.settings),
            "voxels": {name: adapter.in_features for name, adapter in self.network.adapters.items()},
            "restoration": {name: one.kind for name, one in self.rescaling.items()},
            "facts": self.facts,
        }

    def save(self, path: Path) -> None:
        """Write one .safetensors file with its card, whole or not at all."""
        write_tensors(path, self.arrays(), kind=KIND, card=self.card())

    @classmethod
    def load(cls, path: Path) -> ResidualMap:
        """Read what `save` wrote; truncated, foreign or another family: `InputError`."""
        return cls.of(*read_tensors(path, kind=KIND), path=path)

    @classmethod
    def of(cls, tensors: Arrays, card: dict[str, Any], *, path: Path) -> ResidualMap:
        """Back from `arrays` and `card`; other arrays are left alone. `path` is whose fault it is: `InputError`."""
        try:
            settings = ResidualSettings(**{**card["network"], "prior": PriorSettings(**card["network"]["prior"])})
            network = Residual(card["voxels"], len(tensors["centre"]), settings)
            state = {name.removeprefix("network."): one for name, one in tensors.items() if name.startswith("network.")}
            network.load_state_dict({name: torch.from_numpy(one) for name, one in state.items()})
            rescaling = {
                subject: Rescaling.from_arrays(_under(tensors, subject), kind=kind)
                for subject, kind in card["restoration"].items()
            }
            return cls(
                network=network.eval().requires_grad_(False),
                centre=tensors["centre"],
                spread=tensors["spread"],
                expected=tensors["expected"],
                rescaling=rescaling,
                space=SpaceCard.from_facts(card["space"]),
                facts=card["facts"],
            )
        except (KeyError, TypeError, RuntimeError) as fault:
            came = f"one with another {str(fault).splitlines()[0]}"
            raise InputError(expected(path, f"a whole {KIND} file", came, "fit again")) from fault

    def _one(self, subject: str) -> str:
        if not subject and len(self.subjects) == 1:
            return self.subjects[0]
        if subject not in self.subjects:
            raise UsageError(unknown("subject of this map", subject, self.subjects))
        return subject

    @torch.no_grad()
    def _prediction(self, values: Float, subject: str) -> Tensor:
        adapter = self.network.adapters[subject]
        if values.ndim != 2 or values.shape[1] != adapter.in_features:
            raise InputError(
                f"residual map: expected (sample, {adapter.in_features}) of {subject}, found {values.shape}"
            )
        if not np.isfinite(values).all():
            raise InputError("residual map: the patterns hold NaN or infinite values; mask these voxels and fit again")
        made: Made = self.network.trunk(adapter(fresh(torch.from_numpy(contiguous(values, np.float32)))))
        return made.prediction


def fit_residual(
    sets: Sequence[Labelled], *, folder: Path, settings: FitSettings, rescaling: str, accelerator: Any
) -> ResidualMap:
    """One trunk and an adapter for each of these subjects, stopped early on held-out training stimuli.

    Checkpoints and the log go to `folder`; the same call goes on from the last one. Subjects of different spaces, and
    one subject twice, are an InputError.
    """
    _alike(sets)
    truth = np.concatenate([one.truth[one.train] for one in sets])
    centre = np.asarray(truth.mean(0, dtype=np.float64), np.float32)
    spread = spread_of(truth)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.plan.seed)
        network = Residual({adapter_name(one): len(one.voxels) for one in sets}, truth.shape[1], settings.network)
    scaled = [(one.truth - centre) / spread for one in sets]
    loss = ResidualLoss(sets, scaled, settings=settings.network, seed=settings.plan.seed, device=accelerator.device)
    facts = {"family": NETWORK, "network": asdict(settings.network)}
    job = supervised_job(sets, loss, batch=settings.batch, seed=settings.plan.seed, identity=facts)
    train_or_keep(network, settings.plan, folder=folder, job=job, accelerator=accelerator)
    mapped = ResidualMap(
        network=network.eval().requires_grad_(False),
        centre=centre,
        spread=spread,
        expected=_expected(network, sets, centre=centre, spread=spread),
        rescaling={},
        space=sets[0].space,
        facts={"data": [one.facts() for one in sets], "settings": plain(settings)},
    )
    return _rescaled(mapped, sets, kind=rescaling, limit=settings.limit)


def join(
    shared: ResidualMap, trials: Labelled, *, folder: Path, settings: JoinSettings, rescaling: str, accelerator: Any
) -> ResidualMap:
    """The map of a new subject on a copy of `shared`'s trunk; checkpoints in `folder`/adapter and `folder`/whole."""
    shared.space.must_match(trials.space)
    trunk = copy.deepcopy(shared.network.trunk)
    network = Residual({adapter_name(trials): len(trials.voxels)}, len(shared.centre), trunk.settings)
    network.trunk = trunk.requires_grad_(False).to(accelerator.device)
    adapter = _starting_adapter(shared, trials, settings.ridge)
    facts = {"trunk_sha256": digest_of(shared.network.trunk)}
    scaled = [(trials.truth - shared.centre) / shared.spread]

    def loss_of(seed: int) -> ResidualLoss:
        return ResidualLoss([trials], scaled, settings=trunk.settings, seed=seed, device=accelerator.device)

    adapting = loss_of(settings.plan.seed)
    job = supervised_job(
        [trials],
        lambda model, key, rows: adapting.of_adapter(model, trunk, key=key, rows=rows),
        batch=settings.batch,
        seed=settings.plan.seed,
        identity={"family": ADAPTER, **facts},
    )
    train_or_keep(adapter, settings.plan, folder=folder / "adapter", job=job, accelerator=accelerator)
    network.cpu()
    network.adapters[adapter_name(trials)] = adapter
    if settings.tune is not None:
        network.requires_grad_(True)
        whole = supervised_job(
            [trials], loss_of(settings.tune.seed), batch=settings.batch, seed=settings.tune.seed,
            identity={"family": NETWORK, **facts, "adapter_sha256": digest_of(adapter)},
        )  # fmt: skip
        train_or_keep(network, settings.tune, folder=folder / "whole", job=whole, accelerator=accelerator)
    joined = ResidualMap(
        network=network.eval().requires_grad_(False),
        centre=shared.centre,
        spread=shared.spread,
        expected=shared.expected,
        rescaling={},
        space=shared.space,
        facts={"data": [trials.facts()], "settings": plain(settings), "joined": shared.facts},
    )
    return _rescaled(joined, [trials], kind=rescaling, limit=settings.limit)


def _expected(network: Residual, sets: Sequence[Labelled], *, centre: Float, spread: Float) -> Float:
    """Least squares from z-scored conditions and a constant to what the adapters give for the training trials."""
    given, known = [], []
    with torch.no_grad():
        for one in sets:
            values, _, truth = one.averaged(one.train)
            given.append(network.adapters[adapter_name(one)](torch.from_numpy(values)).numpy())
            known.append(np.column_stack([(truth - centre) / spread, np.ones(len(truth))]))
    x, y = np.concatenate(known).astype(np.float64), np.concatenate(given).astype(np.float64)
    return np.asarray(np.linalg.lstsq(x, y, rcond=None)[0], np.float32)


def _starting_adapter(shared: ResidualMap, trials: Labelled, ridge: RidgeSettings) -> nn.Linear:
    """The ridge from the new voxels to what the others' adapters would give, as a linear layer."""
    values, ids, truth = trials.averaged(trials.train)
    z = (truth - shared.centre) / shared.spread
    given = np.asarray(np.column_stack([z, np.ones(len(z))]) @ shared.expected, np.float32)
    fit = fit_ridge(
        values, given, groups=ids, alphas=ridge.alphas, folds=ridge.folds, seed=ridge.seed, chunk=ridge.chunk,
        per_target=ridge.per_target, sound=of_sounds(trials.space.name),
    )  # fmt: skip
    adapter = nn.Linear(len(trials.voxels), given.shape[1])
    with torch.no_grad():
        adapter.weight.copy_(torch.from_numpy(fit.weights.T))
        adapter.bias.copy_(torch.from_numpy(fit.y_mean - fit.x_mean @ fit.weights.astype(np.float64)))
    return adapter


def _rescaled(mapped: ResidualMap, sets: Sequence[Labelled], *, kind: str, limit: float) -> ResidualMap:
    """The map with each subject's rescaling, settled on its held-out training stimuli."""
    for one in sets:
        values, ids, truth = one.averaged(one.held_out)
        prediction = mapped.regress(values, subject=adapter_name(one))
        mapped.rescaling[adapter_name(one)] = settled(prediction, truth, ids=ids, kind=kind, limit=limit)
    return mapped


def _alike(sets: Sequence[Labelled]) -> None:
    names = [adapter_name(one) for one in sets]
    if not names or len(set(names)) < len(names):
        raise InputError(f"residual map: expected each subject once, found {', '.join(names) or 'none'}")
    for one in sets[1:]:
        sets[0].space.must_match(one.space)


def _under(tensors: dict[str, Any], subject: str) -> dict[str, Any]:
    return {name.removeprefix(f"{subject}/"): one for name, one in tensors.items() if name.startswith(f"{subject}/")}
