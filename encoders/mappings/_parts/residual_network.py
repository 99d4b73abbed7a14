"""A residual network from voxels to an embedding, with a contrastive loss and a diffusion prior (as MindEye).

    network = Residual({"subj01": 5998}, targets=64, settings=ResidualSettings())
    made = network({"subj01": values})            # .prediction, .contrast (trial, target)

Scotti et al. 2023 and 2024: one linear layer a subject into a shared width, residual blocks, a regression head, a
projection that the contrastive loss sees, and a prior that turns the regression's prediction into an embedding as
there are real ones (`_parts/diffusion_prior.py`). Every target is a z-score of the training trials. Training:
`_parts/residual_map.py`.

SoftCLIP is taken from brain to picture alone: the other direction would need the outputs of all processes at once, and
a sample's loss would depend on how a batch divides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from brain.errors import UsageError
from brain.types import Float
from encoders.labelled import VALIDATION, Key, Labelled, generator_of, rows_of, starts_of
from encoders.mappings._parts.diffusion_prior import Prior, PriorSettings

Generators = Sequence[torch.Generator]


@dataclass(frozen=True, kw_only=True)
class ResidualSettings:
    """The network's sizes and its losses.

    width, blocks     of the trunk; drop_in, drop the shares that dropout takes after the first layer and in a block
    contrast          weight of the contrastive loss beside the mean squared error; 0 leaves it out
    temperature       of the contrastive loss: of logits and soft labels alike
    prior             the diffusion prior; its loss trains the prior alone
    """

    width: int = 256
    blocks: int = 2
    drop_in: float = 0.5
    drop: float = 0.15
    contrast: float = 0.1
    temperature: float = 0.1
    prior: PriorSettings = PriorSettings()

    def __post_init__(self) -> None:
        if self.width < 1 or self.blocks < 0 or not (0 <= self.drop_in < 1 and 0 <= self.drop < 1):
            raise UsageError(f"residual: expected a width above 0, blocks from 0 and shares below 1, found {self}")
        if self.contrast < 0 or not self.temperature > 0:
            raise UsageError("residual: expected a contrast from 0 and a temperature above 0")


class Made(NamedTuple):
    """What the network makes of trials: `prediction` (trial, target) z-scores, `contrast` what SoftCLIP compares."""

    prediction: Tensor
    contrast: Tensor


class ResidualBlock(nn.Module):
    """x + dropout(GELU(norm(linear(x))))."""

    def __init__(self, width: int, drop: float) -> None:
        super().__init__()
        self.linear, self.norm, self.drop = nn.Linear(width, width), nn.LayerNorm(width), drop

    def forward(self, x: Tensor, generators: Generators | None) -> Tensor:
        """(trial, width) -> the same."""
        return x + dropout(F.gelu(self.norm(self.linear(x))), self.drop, generators)


class Trunk(nn.Module):
    """Everything that subjects share."""

    def __init__(self, targets: int, settings: ResidualSettings) -> None:
        super().__init__()
        self.settings = settings
        self.norm = nn.LayerNorm(settings.width)
        self.blocks = nn.ModuleList(ResidualBlock(settings.width, settings.drop) for _ in range(settings.blocks))
        self.head = nn.Linear(settings.width, targets)
        self.project = nn.Linear(settings.width, targets)
        self.prior = Prior(targets, settings.prior)

    def forward(self, hidden: Tensor, generators: Generators | None = None) -> Made:
        """What an adapter gives, (trial, width) -> Made. No generators: no dropout."""
        x = dropout(F.gelu(self.norm(hidden)), self.settings.drop_in, generators)
        for block in self.blocks:
            x = block(x, generators)
        return Made(prediction=self.head(x), contrast=self.project(x))


class Residual(nn.Module):
    """One linear adapter a subject into one trunk; with one subject it is the residual network alone."""

    def __init__(self, voxels: Mapping[str, int], targets: int, settings: ResidualSettings) -> None:
        super().__init__()
        self.adapters = nn.ModuleDict({name: nn.Linear(count, settings.width) for name, count in voxels.items()})
        self.trunk = Trunk(targets, settings)

    def forward(
        self,
        values: Mapping[str, Tensor],
        generators: Generators | None = None,
        *,
        truth: Tensor | None = None,
        noise: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Made, Tensor | None]:
        """Subject -> z-scores (trial, voxel), every subject of the network, zero trials where it has none.

        Trials come back one subject after the other. With the truth (trial, target) and the prior's `noise` (steps
        and noise of `Prior.loss`) also the prior's loss (trial,), else None.
        """
        hidden = torch.cat([adapter(values[name]) for name, adapter in self.adapters.items()])
        made: Made = self.trunk(hidden, generators)
        if truth is None or noise is None:
            return made, None
        return made, self.trunk.prior.loss(truth, made.prediction.detach(), step=noise[0], noise=noise[1])


def dropout(x: Tensor, share: float, generators: Generators | None) -> Tensor:
    """x (trial, width) with a share of its numbers dropped and the rest scaled up, each trial by its own generator."""
    if generators is None or not share:
        return x
    if not len(x):
        return x
    kept = torch.stack([torch.rand(x.shape[1], generator=one) >= share for one in generators])
    return x * kept.to(x.device) / (1 - share)


def soft_clip(prediction: Tensor, own: Tensor, pool: Tensor, *, temperature: float) -> Tensor:
    """(trial,) cross entropy of who is who, predictions (trial, target) against the truths of a pool (other, target).

    The label of a trial is soft: how like its own truth, row `own` of the pool, the pool's truths are (Scotti et al.
    2023, SoftCLIP), so that two showings of one picture are not told apart.
    """
    known = F.normalize(pool, dim=-1)
    labels = (known[own] @ known.T / temperature).softmax(-1)
    logits = F.normalize(prediction, dim=-1) @ known.T / temperature
    return -(labels * logits.log_softmax(-1)).sum(-1)


class ResidualLoss:
    """(model, key, rows) -> (row,) losses: squared error, SoftCLIP against the whole batch, and the prior's error."""

    def __init__(
        self, sets: Sequence[Labelled], truth: Sequence[Float], *, settings: ResidualSettings, seed: int, device: Any
    ) -> None:
        self.sets, self.settings, self.seed, self.device = sets, settings, seed, device
        self.values = [torch.from_numpy(one.values) for one in sets]
        self.truth = torch.from_numpy(np.concatenate(truth))

    def __call__(self, model: nn.Module, key: Key, rows: Sequence[int]) -> Tensor:
        """The whole network: its rows come back one subject after the other, as a sum of losses does not mind."""
        parts = rows_of(self.sets, rows)
        order = [row + start for part, start in zip(parts, starts_of(self.sets), strict=True) for row in part]
        values = {
            adapter_name(one): whole[part].to(self.device)
            for one, whole, part in zip(self.sets, self.values, parts, strict=True)
        }
        generators = self._generators(key, order)
        step, noise = _plain(model).trunk.prior.noise_of(
            [generator_of(self.seed, key.step, row, stream=1) for row in order]
        )
        truth = self.truth[order].to(self.device)
        made, drawn = model(values, generators, truth=truth, noise=(step.to(self.device), noise.to(self.device)))
        out: Tensor = self._of(made, key, order) + drawn
        return out

    def of_adapter(self, adapter: nn.Module, trunk: nn.Module, *, key: Key, rows: Sequence[int]) -> Tensor:
        """The one subject's adapter alone, the trunk behind it frozen."""
        made = trunk(adapter(self.values[0][list(rows)].to(self.device)), self._generators(key, rows))
        return self._of(made, key, rows)

    def _of(self, made: Made, key: Key, order: Sequence[int]) -> Tensor:
        truth, pool = self.truth[list(order)].to(self.device), self.truth[list(key.batch)].to(self.device)
        place = {row: index for index, row in enumerate(key.batch)}
        own = torch.tensor([place[row] for row in order], device=self.device)
        contrast = soft_clip(made.contrast, own, pool, temperature=self.settings.temperature)
        return (made.prediction - truth).square().mean(1) + self.settings.contrast * contrast

    def _generators(self, key: Key, rows: Sequence[int]) -> list[torch.Generator] | None:
        """Each row's own dropout; none in validation, where nothing is dropped."""
        return None if key.step == VALIDATION else [generator_of(self.seed, key.step, row) for row in rows]


def adapter_name(trials: Labelled) -> str:
    """What a subject's adapter is called."""
    # torch forbids dots in the names of modules, and a subject named after its file may have them
    return trials.voxels.subject.replace(".", "-")


def _plain(model: nn.Module) -> Any:
    """The network inside what `accelerate` may have wrapped around it."""
    return getattr(model, "module", model)
