"""Read-outs on a pretrained masked encoder: its tokens, frozen or fine-tuned, into any condition space.

    readout = fit_frozen(encoder, trials, settings=FrozenSettings(), rescaling="spread+norm")
    readout = finetune(encoder, trials, folder=out, settings=TuneSettings(), rescaling=..., accelerator=accelerator)
    readout.predict(values)                       # (sample, voxel) z-scores -> (sample, *shape) conditions

Frozen: the tokens of all patches, side by side, are the features of a ridge. Fine-tuned: that ridge is where a linear
head starts, and encoder and head learn on together (a head that starts at random would first spoil what the encoder
knows; Kumar et al. 2022). Where no validation is better than the start, the start is what is kept.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from brain.errors import InputError, UsageError, expected
from brain.types import Float
from encoders.conditions import SpaceCard
from encoders.frozen.micro_batches import in_micro_batches
from encoders.labelled import VALIDATION, Key, Labelled, digest_of, generator_of, settled, supervised_job, train_or_keep
from encoders.masked.model import MaskedBrain, augmented
from encoders.masked.patches import Patches, cut_cortex
from encoders.rescale import Rescaling
from encoders.ridge import Double, RidgeFit, RidgeSettings, fit_ridge, predict_rows
from encoders.settings import MaskedSettings, Plan, masked_of
from encoders.spaces import of_sounds
from encoders.storage import read_tensors, write_tensors

KIND = "masked-readout"
TUNED = "tuned-encoder"
"""The family of the weights that fine-tuning leaves in its folder."""
PRETRAINING = ("to_decoder", "hidden", "decoder_place", "decoder", "decoder_norm", "predict")
"""Parts of a masked encoder that only pretraining uses."""
BATCH = 32


@dataclass(frozen=True, kw_only=True)
class FrozenSettings:
    """The ridge on the tokens, the largest gain of the rescaling, and whether repeats are averaged before."""

    ridge: RidgeSettings = RidgeSettings()
    limit: float = 5.0
    average: bool = True


@dataclass(frozen=True, kw_only=True)
class TuneSettings:
    """How to fine-tune.

    plan    how long and how fast; batch, trials in a step over all processes
    start   the ridge the head starts from
    limit   the largest gain of the rescaling
    """

    plan: Plan = Plan(steps=300, rate=1e-4, warm=20, validate=20, save=50, patience=4)
    batch: int = 32
    start: FrozenSettings = FrozenSettings()
    limit: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Readout:
    """A frozen map from voxels to conditions: an encoder, and a linear map of its tokens.

    encoder      MaskedBrain without what only pretraining uses
    patches      how the voxels were cut
    weights      (patch x width, target) float32, x_mean (patch x width,), y_mean (target,) float64
    rescaling    Rescaling of the predictions, of training stimuli that were held out
    space        SpaceCard of the conditions
    facts        what it was trained on, as plain JSON: Labelled.facts, "trained" ("frozen" or "tuned")
    """

    encoder: MaskedBrain
    patches: Patches
    weights: Float
    x_mean: Double
    y_mean: Double
    rescaling: Rescaling
    space: SpaceCard
    facts: dict[str, Any]

    def predict(self, values: Float) -> Float:
        """z-scores (sample, voxel), trials or averages, in the order of the fitted voxels -> (sample, *shape)."""
        if not np.isfinite(values).all():
            raise InputError("read-out: the patterns hold NaN or infinite values; mask these voxels and fit again")
        tokens = features(self.encoder, self.patches, values)
        prediction = predict_rows(tokens, self.weights, x_mean=self.x_mean, y_mean=self.y_mean)
        return self.rescaling.apply(prediction).reshape(len(values), *self.space.shape)

    def save(self, path: Path) -> None:
        """Write one .safetensors file with its card, whole or not at all."""
        own: dict[str, Any] = {"weights": self.weights, "x_mean": self.x_mean, "y_mean": self.y_mean}
        cut: dict[str, Any] = {"patches.column": self.patches.column, "patches.centre": self.patches.centre}
        state = {f"encoder.{name}": one.cpu().numpy() for name, one in self.encoder.state_dict().items()}
        card = {
            "space": self.space.facts(),
            "model": asdict(self.encoder.settings),
            "voxels": self.patches.voxels,
            "restoration": self.rescaling.kind,
            "facts": self.facts,
        }
        write_tensors(path, {**own, **cut, **state, **self.rescaling.arrays()}, kind=KIND, card=card)

    @classmethod
    def load(cls, path: Path) -> Readout:
        """Read what `save` wrote; truncated, foreign or another family: `InputError`."""
        tensors, card = read_tensors(path, kind=KIND)
        try:
            encoder = without_pretraining(MaskedBrain(masked_of(card, where=path)))
            state = {name.removeprefix("encoder."): one for name, one in tensors.items() if name.startswith("encoder.")}
            encoder.load_state_dict({name: torch.from_numpy(one) for name, one in state.items()})
            return cls(
                encoder=encoder.eval().requires_grad_(False),
                patches=Patches(
                    column=tensors["patches.column"], centre=tensors["patches.centre"], voxels=card["voxels"]
                ),
                weights=tensors["weights"],
                x_mean=tensors["x_mean"],
                y_mean=tensors["y_mean"],
                rescaling=Rescaling.from_arrays(tensors, kind=card["restoration"]),
                space=SpaceCard.from_facts(card["space"]),
                facts=card["facts"],
            )
        except (KeyError, TypeError, RuntimeError) as fault:
            raise InputError(
                expected(path, f"a whole {KIND} file", f"one with another {fault}", "fit again")
            ) from fault


def features(encoder: MaskedBrain, patches: Patches, values: Float) -> Float:
    """z-scores (sample, voxel) -> (sample, patch x width) float32: the tokens of all patches, side by side."""
    device = encoder.embed.weight.device
    centre = torch.from_numpy(patches.centre).to(device)
    found = []
    with torch.inference_mode():
        for first in range(0, len(values), BATCH):
            part = torch.from_numpy(patches.cut(values[first : first + BATCH]))
            tokens = in_micro_batches(lambda some: encoder.encode(some, centre), part, device=str(device))
            found.append(tokens.flatten(1).float().cpu().numpy())
    return np.concatenate(found) if found else np.empty((0, len(patches) * encoder.settings.width), np.float32)


def without_pretraining(encoder: MaskedBrain) -> MaskedBrain:
    """The same network less the parts that only pretraining uses: `encode` works, the loss does not."""
    for name in PRETRAINING:
        if hasattr(encoder, name):
            delattr(encoder, name)
    return encoder


def fit_frozen(encoder: MaskedBrain, trials: Labelled, *, settings: FrozenSettings, rescaling: str) -> Readout:
    """A ridge from the encoder's tokens to the conditions of all labelled trials, folds grouped by stimulus.

    rescaling    what the space says a guess must satisfy (`Space.rescaling`), settled on held-out predictions
    """
    mine = copy.deepcopy(encoder).eval().requires_grad_(False)
    patches = cut_cortex(trials.voxels, encoder.settings.patch)
    rows = np.sort(np.concatenate([trials.train, trials.held_out]))
    fit, ids, truth = _ridge(mine, patches, trials, rows=rows, settings=settings)
    return Readout(
        encoder=without_pretraining(mine),
        patches=patches,
        weights=fit.weights,
        x_mean=fit.x_mean,
        y_mean=fit.y_mean,
        rescaling=Rescaling.fit(fit.cv_prediction, truth, groups=ids, kind=rescaling, limit=settings.limit),
        space=trials.space,
        facts={**trials.facts(), "trained": "frozen", "settings": asdict(settings), "notes": list(fit.notes)},
    )


def _ridge(
    encoder: MaskedBrain, patches: Patches, trials: Labelled, *, rows: Any, settings: FrozenSettings
) -> tuple[RidgeFit, Sequence[str], Float]:
    """The ridge on the tokens of these rows, with the stimulus and the truth of each sample it was fitted on."""
    if settings.average:
        values, ids, truth = trials.averaged(rows)
    else:
        values, ids, truth = trials.values[rows], tuple(trials.ids[rows].tolist()), trials.truth[rows]
    ridge = settings.ridge
    fit = fit_ridge(
        features(encoder, patches, values),
        truth,
        groups=ids,
        alphas=ridge.alphas,
        folds=ridge.folds,
        seed=ridge.seed,
        chunk=ridge.chunk,
        sound=of_sounds(trials.space.name),
        per_target=ridge.per_target,
    )
    return fit, ids, truth


class Tuned(nn.Module):
    """An encoder and a linear head over all its tokens; targets are z-scores of the training trials."""

    def __init__(self, encoder: MaskedBrain, patches: int, targets: int) -> None:
        super().__init__()
        self.encoder = without_pretraining(encoder)
        self.head = nn.Linear(patches * encoder.settings.width, targets)

    def forward(self, patches: Tensor, centre: Tensor) -> Tensor:
        """Patches (trial, patch, size), centres (patch, 3) in mm -> (trial, target)."""
        flat = self.encoder.encode(patches, centre).flatten(1)
        # a step of Adam moves every weight alike, and there are as many as features: it must not move the sum as far
        out: Tensor = self.head(flat / math.sqrt(flat.shape[1]))
        return out


def finetune(
    encoder: MaskedBrain,
    trials: Labelled,
    *,
    folder: Path,
    settings: TuneSettings,
    rescaling: str,
    accelerator: Any,
) -> Readout:
    """Encoder and linear head trained on the labelled trials, stopped early on the held-out training stimuli.

    Checkpoints and the log go to `folder`; the same call goes on from the last one. The rescaling is settled on the
    held-out stimuli.
    """
    if settings.start.ridge.folds < 2:
        raise UsageError("fine-tuning: the ridge it starts from needs two folds or more")
    patches = cut_cortex(trials.voxels, encoder.settings.patch)
    start = copy.deepcopy(encoder).eval().requires_grad_(False)
    fit, _, _ = _ridge(start, patches, trials, rows=trials.train, settings=settings.start)
    network = Tuned(copy.deepcopy(start).requires_grad_(True), len(patches), trials.truth.shape[1])
    _start_from(network.head, fit, trials)
    facts = {"family": TUNED, "model": asdict(encoder.settings), "encoder_sha256": digest_of(start)}
    loss = _TuneLoss(trials, patches, settings=settings, how=encoder.settings, device=accelerator.device)
    job = supervised_job([trials], loss, batch=settings.batch, seed=settings.plan.seed, identity=facts)
    train_or_keep(network, settings.plan, folder=folder, job=job, accelerator=accelerator)
    tuned = network.eval().requires_grad_(False)
    weights, bias = tuned.head.weight.numpy(), tuned.head.bias.numpy().astype(np.float64)
    y_mean = trials.centre + trials.spread * bias
    x_mean = np.zeros(weights.shape[1])
    whole = np.ascontiguousarray(weights.T * (trials.spread / math.sqrt(weights.shape[1])), np.float32)
    held, ids, truth = trials.averaged(trials.held_out)
    prediction = predict_rows(features(tuned.encoder, patches, held), whole, x_mean=x_mean, y_mean=y_mean)
    return Readout(
        encoder=tuned.encoder,
        patches=patches,
        weights=whole,
        x_mean=x_mean,
        y_mean=y_mean,
        rescaling=settled(prediction, truth, ids=ids, kind=rescaling, limit=settings.limit),
        space=trials.space,
        facts={**trials.facts(), "trained": "tuned", "settings": asdict(settings)},
    )


class _TuneLoss:
    """(model, key, rows) -> (row,) mean squared error of z-scored targets, augmented as in pretraining."""

    def __init__(
        self, trials: Labelled, patches: Patches, *, settings: TuneSettings, how: MaskedSettings, device: Any
    ) -> None:
        self.values = torch.from_numpy(patches.cut(trials.values))
        self.truth = torch.from_numpy((trials.truth - trials.centre) / trials.spread)
        self.centre = torch.from_numpy(patches.centre).to(device)
        self.seed, self.how, self.device = settings.plan.seed, how, device

    def __call__(self, model: nn.Module, key: Key, rows: Sequence[int]) -> Tensor:
        values = self.values[list(rows)]
        if key.step != VALIDATION:
            values = augmented(values, self.how, [generator_of(self.seed, key.step, row) for row in rows])
        prediction = model(values.to(self.device), self.centre)
        out: Tensor = (prediction - self.truth[list(rows)].to(self.device)).square().mean(1)
        return out


def _start_from(head: nn.Linear, fit: RidgeFit, trials: Labelled) -> None:
    """The ridge, in z-scored targets, as a linear layer's weights and bias."""
    bias = fit.y_mean - fit.x_mean @ fit.weights.astype(np.float64)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy((fit.weights / trials.spread).T * math.sqrt(len(fit.weights))))
        head.bias.copy_(torch.from_numpy((bias - trials.centre) / trials.spread))
