"""Voxelwise encoders: from a picture to every voxel's response, fitted in closed form in seconds, differentiable.

    y = W' e / |e| + b,  e the features of a frozen tower      (BrainDiVE, Luo et al. 2023, section 3.2)

One ridge with a penalty a voxel on cached features replaces 100 epochs of re-encoding (BrainACTIV does the same). The
tower resizes by itself and identically in fitting and guiding. What is wanted of a brain is a `Readout`, a weighted sum
over voxels: a region's mean, one voxel, the projection on a target pattern. `linear` collapses any signed sum of them
to one vector before a loop begins: (mean of voxels) . e = (mean of rows) . e.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from brain.catalogue import unknown
from brain.console.progress import progress
from brain.errors import InputError, UsageError, expected
from brain.machine.memory import fresh
from brain.types import Float, Int
from encoders.ridge import RidgeSettings, fit_ridge
from encoders.storage import read_tensors, write_tensors
from encoders.towers import Tower

if TYPE_CHECKING:
    from torch import Tensor

KIND = "region encoder"
FLOOR = 0.05
"""R2 of a region's mean response, over its noise ceiling, below which an encoder knows nothing worth following."""


@dataclass(frozen=True, kw_only=True)
class Readout:
    """One number of a response pattern, a weighted sum over voxels: columns (voxel,) int64, weights (voxel,)."""

    columns: Int
    weights: NDArray[np.float64]

    def __call__(self, responses: Float) -> Float:
        """Responses (picture, voxel) -> (picture,) float32."""
        return np.asarray(responses[:, self.columns] @ self.weights, np.float32)


def mean_of(columns: Int) -> Readout:
    """The mean over these voxels, `columns` (voxel,), one voxel among them."""
    return Readout(columns=np.asarray(columns, np.int64), weights=np.full(len(columns), 1 / max(1, len(columns))))


def towards(columns: Int, target: Float, *, name: str) -> Readout:
    """How far a response goes along a target pattern (voxel,): the mean over voxels of response x z-scored target.

    That is Pearson's r with the target times the response's own spread over voxels: what is linear of a correlation.
    A target with NaN, of another length or the same everywhere is an InputError that says `name`.
    """
    target = np.asarray(target, np.float64)
    if target.shape != (len(columns),):
        raise InputError(expected(name, f"{len(columns)} values, one a voxel", str(target.shape), "give one a voxel"))
    if not np.isfinite(target).all():
        bad = int((~np.isfinite(target)).sum())
        raise InputError(expected(name, "finite values", f"{bad} that are not", "leave those voxels out"))
    spread = target.std()
    if not spread > 0:
        raise InputError(
            expected(name, "values that differ", "one value everywhere", "ask for a region's mean instead")
        )
    return Readout(columns=np.asarray(columns, np.int64), weights=(target - target.mean()) / spread / len(target))


@dataclass(frozen=True, kw_only=True)
class Voxelwise:
    """A fitted encoder without its tower.

    tower    facts of the tower it was fitted on
    weights  (feature, voxel) float32, on unit-norm features; bias (voxel,) float32; responses are z-scores
    regions  name -> (voxel,) int64 columns
    r2       region -> R2 of the region's mean response on held-out stimuli; ceiling the same for a perfect model
    split    sha256 of the split whose training stimuli it was fitted on
    readouts name -> what is asked beside regions' means, known to `r2` as well; not kept in its file
    """

    tower: Mapping[str, Any]
    weights: Float
    bias: Float
    regions: Mapping[str, Int]
    r2: Mapping[str, float]
    ceiling: Mapping[str, float]
    split: str
    readouts: Mapping[str, Readout] = field(default_factory=dict)

    def readout(self, name: str) -> Readout:
        """A region's mean, or what is asked beside; an unknown name is a UsageError, an empty region an InputError."""
        if name in self.readouts:
            return self.readouts[name]
        if name not in self.regions:
            raise UsageError(unknown("region", name, tuple(self.regions)))
        if not len(self.regions[name]):
            raise InputError(f"region {name!r} holds no voxel in these data; choose another region")
        return mean_of(self.regions[name])

    def asking(self, name: str, readout: Readout, *, features: Float, test: Float, ceiling: float) -> Voxelwise:
        """The same encoder, asked for one thing more: its R2 on held-out stimuli.

        `features` (stimulus, feature) of unit norm, `test` (stimulus, voxel) their responses.
        """
        r2 = _r2(readout(self.predict(features)), readout(test))
        return replace(
            self, readouts={**self.readouts, name: readout}, r2={**self.r2, name: r2},
            ceiling={**self.ceiling, name: ceiling},
        )  # fmt: skip

    def normalised(self, region: str) -> float:
        """R2 of the region's mean over its noise ceiling, NaN where that is unknown."""
        ceiling = self.ceiling.get(region, float("nan"))
        return self.r2[region] / ceiling if ceiling > 0 else float("nan")

    def must_know(self, region: str, *, floor: float = FLOOR) -> None:
        """Refuses (InputError), with the number, a region or anything else asked that this encoder cannot predict."""
        self.readout(region)
        if not self.r2[region] >= floor:
            raise InputError(
                f"objective {region!r}: expected an encoder with R2 of {floor} or more on held-out stimuli, found "
                f"{self.r2[region]:.3f}; choose another region, more sessions or another tower"
            )

    def linear(self, signs: Mapping[str, float]) -> tuple[Float, float]:
        """The signed sum of regions' means, or of anything else asked, as one vector (feature,) and one number."""
        vector, bias = np.zeros(len(self.weights), np.float64), 0.0
        for name, sign in signs.items():
            asked = self.readout(name)
            vector += sign * (self.weights[:, asked.columns] @ asked.weights)
            bias += sign * float(self.bias[asked.columns] @ asked.weights)
        return vector.astype(np.float32), bias

    def predict(self, features: Float) -> Float:
        """Unit-norm features (picture, feature) -> responses (picture, voxel), z-scores."""
        return np.asarray(features @ self.weights + self.bias, np.float32)

    def save(self, path: Path) -> None:
        """Writes one safetensors file with its card, whole or not at all."""
        regions = {f"region.{name}": columns for name, columns in self.regions.items()}
        card = {
            "tower": dict(self.tower), "split": self.split, "regions": list(self.regions), "r2": dict(self.r2),
            "ceiling": dict(self.ceiling),
        }  # fmt: skip
        write_tensors(path, {"weights": self.weights, "bias": self.bias, **regions}, kind=KIND, card=card)

    @classmethod
    def load(cls, path: Path) -> Voxelwise:
        """Reads what `save` wrote, else an InputError."""
        tensors, card = read_tensors(path, kind=KIND)
        try:
            return cls(
                tower=card["tower"], weights=tensors["weights"], bias=tensors["bias"], r2=card["r2"],
                regions={name: tensors[f"region.{name}"] for name in card["regions"]}, ceiling=card["ceiling"],
                split=card["split"],
            )  # fmt: skip
        except KeyError as fault:
            raise InputError(expected(path, f"a {KIND}", f"one without {fault}", "fit it again")) from fault


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """What a voxelwise encoder is fitted on, all averaged over repeats and z-scored per session.

    responses  (stimulus, voxel) of the training stimuli `ids`; test (stimulus, voxel) held out, of `test_ids`
    regions    name -> columns
    ceiling    region -> highest correlation that its noise admits, of those where it is known
    """

    responses: Float
    ids: Sequence[str]
    test: Float
    regions: Mapping[str, Int]
    split: str
    test_ids: Sequence[str] = ()
    ceiling: Mapping[str, float] = field(default_factory=dict)


def unit(features: Float) -> Float:
    """Features of norm 1, (picture, feature)."""
    return np.asarray(features / np.linalg.norm(features, axis=1, keepdims=True), np.float32)


def fit_voxelwise(tower: Tower, features: Float, test_features: Float, *, data: Fitting, seed: int) -> Voxelwise:
    """The encoder of these data on unit-norm features (stimulus, feature), scored on the test stimuli's features."""
    ridge = RidgeSettings(seed=seed)
    fit = fit_ridge(
        features, data.responses, groups=data.ids, alphas=ridge.alphas, folds=ridge.folds, seed=seed, chunk=ridge.chunk,
        sound=False,
    )  # fmt: skip
    bias = (fit.y_mean - fit.x_mean @ fit.weights).astype(np.float32)
    prediction = fit.predict(test_features)
    r2 = {
        name: _r2(prediction[:, columns].mean(1), data.test[:, columns].mean(1)) if len(columns) else 0.0
        for name, columns in data.regions.items()
    }
    return Voxelwise(
        tower=tower.facts(), weights=fit.weights, bias=bias, regions=data.regions, r2=r2, ceiling=data.ceiling,
        split=data.split,
    )  # fmt: skip


def _r2(prediction: Float, truth: Float) -> float:
    return float(r2_of(prediction[:, None], truth[:, None])[0])


def r2_of(prediction: Float, truth: Float) -> Float:
    """R2 of each column, (picture, column) twice -> (column,); 0 where the truth never changes."""
    spread = np.square(truth - truth.mean(0)).sum(0)
    missed = np.square(truth - prediction).sum(0)
    return np.asarray(np.where(spread > 0, 1 - missed / np.where(spread > 0, spread, 1), 0), np.float32)


def features_of(tower: Tower, pictures: Iterable[NDArray[np.uint8]], *, count: int, say: str) -> Float:
    """Features (picture, feature) of RGB pictures (H, W, 3) uint8 as the network gives them, each on its own."""
    import torch

    found: list[Float] = []
    with torch.inference_mode():
        for picture in progress(pictures, total=count, desc=say, unit="picture"):
            pixels = fresh(torch.tensor(picture[None]).permute(0, 3, 1, 2)).float() / 255
            found.append(np.asarray(tower.raw(pixels).numpy(), np.float32))
    return np.concatenate(found)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The objective of a picture: one number each, higher is better, differentiable; an ensemble is a mean.

    name   what it says of itself: "FFA-1 - PPA"
    parts  (tower, vector (feature,), bias) one an encoder
    """

    name: str
    parts: tuple[tuple[Tower, Tensor, float], ...]

    def __call__(self, pictures: Tensor) -> Tensor:
        """Pictures (picture, 3, H, W) in [0, 1] -> (picture,)."""
        scores = [tower(pictures) @ vector.to(pictures) + bias for tower, vector, bias in self.parts]
        total = scores[0]
        for score in scores[1:]:
            total = total + score
        return total / len(scores)

    def over(self, spread: float) -> Objective:
        """The same in units of `spread`, such as its standard deviation over natural pictures: one scale for all."""
        if not spread > 0:
            raise InputError(f"objective {self.name}: it is the same for every natural picture; choose another region")
        return replace(self, parts=tuple((tower, vector / spread, bias / spread) for tower, vector, bias in self.parts))


def objective(
    encoders: Sequence[tuple[Tower, Voxelwise]], signs: Mapping[str, float], *, floor: float = FLOOR
) -> Objective:
    """The signed sum over regions under every encoder; a region that one of them does not know is refused."""
    import torch

    if not signs:
        raise UsageError("an objective needs a region; name one with --region")
    parts = []
    for tower, encoder in encoders:
        if dict(encoder.tower) != tower.facts():
            raise InputError(f"region encoder: fitted on {encoder.tower}, found tower {tower.facts()}; fit it again")
        for region in signs:
            encoder.must_know(region, floor=floor)
        vector, bias = encoder.linear(signs)
        parts.append((tower, torch.from_numpy(vector), bias))
    words = [
        f"{'-' if sign < 0 else '+'} {'' if abs(sign) == 1 else f'{abs(sign):g} '}{r}" for r, sign in signs.items()
    ]
    return Objective(name=" ".join(words).removeprefix("+ "), parts=tuple(parts))
