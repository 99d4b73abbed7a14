"""The linear family of maps: weights and means, by ridge regression or any other method.

    mapped = fit_mapping(patterns, ids, conditions=conditions, voxels=z, unit="psc", regions=("V1",), scaler=scaler,
                         rescaling="spread", split=split.sha256, settings=MappingSettings())
    LinearMap(voxels=z, ..., weights=weights, x_mean=x_mean, y_mean=y_mean)      # of numbers that come from elsewhere
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from brain.data.standardise import SessionScaler
from brain.errors import InputError
from brain.types import Float
from brain.voxels import VoxelSpace
from encoders.conditions import Conditions
from encoders.mappings._parts.base import BaseMap, check_patterns, read_map
from encoders.rescale import Rescaling
from encoders.ridge import Double, RidgeSettings, fit_ridge, low_rank, predict_rows
from encoders.spaces import of_sounds
from encoders.storage import Arrays, plain


@dataclass(frozen=True, kw_only=True)
class MappingSettings:
    """How to fit a ridge mapping: the ridge, the largest gain rescaling may use, the rank of the map (0 is full)."""

    ridge: RidgeSettings = RidgeSettings()
    limit: float = 5.0
    rank: int = 0


@dataclass(frozen=True, kw_only=True)
class LinearMap(BaseMap):
    """Voxels -> conditions by weights: y_mean + (x - x_mean) weights, restored.

    weights   (voxel, target) float32
    x_mean    (voxel,) float64, y_mean (target,) float64
    alpha     (target,) float64 penalties, of a ridge
    settings  how it was fitted, as plain JSON
    """

    family: ClassVar[str] = "linear"
    weights: Float
    x_mean: Double
    y_mean: Double
    alpha: Double | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        voxels, targets = len(self.voxels), int(np.prod(self.space.shape))
        shapes = {"weights": (voxels, targets), "x_mean": (voxels,), "y_mean": (targets,), "alpha": (targets,)}
        for name, array in self.tensors().items():
            if name in shapes and array.shape != shapes[name]:
                raise InputError(f"mapping: expected {name} of shape {shapes[name]}, found {array.shape}; fit again")

    def predict(self, values: Float, *, ids: Sequence[str]) -> Conditions:
        """Patterns (stimulus, voxel) as z-scores, in the map's own column order -> restored Conditions of `ids`."""
        check_patterns(values, ids)
        prediction = predict_rows(values, self.weights, x_mean=self.x_mean, y_mean=self.y_mean)
        restored = self.rescaling.apply(prediction).reshape(len(ids), *self.space.shape)
        return Conditions(space=self.space, values=restored, ids=tuple(ids))

    def tensors(self) -> Arrays:
        """Weights, means, penalties where there are any, and the rescaling."""
        own: Arrays = {"weights": self.weights, "x_mean": self.x_mean, "y_mean": self.y_mean}
        if self.alpha is not None:
            own["alpha"] = self.alpha
        return {**own, **self.rescaling.arrays()}

    def facts(self) -> dict[str, Any]:
        """How it was fitted, and how many targets chose which penalty."""
        return {"alpha": {} if self.alpha is None else _counts(self.alpha), "settings": self.settings}

    @classmethod
    def load(cls, path: Path) -> LinearMap:
        """Read what `save` wrote. Truncated, foreign, of another card, or of another voxel digest: `InputError`."""
        return read_map(path, _from, family=cls.family)


def fit_mapping(
    values: Float,
    ids: Sequence[str],
    *,
    conditions: Conditions,
    voxels: VoxelSpace,
    unit: str,
    regions: Sequence[str],
    scaler: SessionScaler,
    rescaling: str,
    split: str,
    settings: MappingSettings,
) -> LinearMap:
    """Fit a mapping on training patterns; nothing of a test stimulus may be among them.

    values       (sample, voxel) float32 z-scores: one a stimulus (averaged repeats) or single trials
    ids          (sample,) the stimulus of each; repeats, and windows of one clip, share a fold; repeats are averaged
                 for the rescaling
    conditions   true Conditions of these stimuli (others are ignored)
    voxels       VoxelSpace of the columns, unit "z"; `unit` is the data's unit before standardisation
    regions      the regions' names, `scaler` of exactly these voxels
    rescaling    what the space says a prediction must satisfy (`Space.rescaling`)
    split        sha256 of the split
    """
    (mapped,) = fit_ranks(
        values,
        ids,
        ranks=(settings.rank,),
        conditions=conditions,
        voxels=voxels,
        unit=unit,
        regions=regions,
        scaler=scaler,
        rescaling=rescaling,
        split=split,
        settings=settings,
    )
    return mapped


def fit_ranks(
    values: Float,
    ids: Sequence[str],
    *,
    ranks: Sequence[int],
    conditions: Conditions,
    voxels: VoxelSpace,
    unit: str,
    regions: Sequence[str],
    scaler: SessionScaler,
    rescaling: str,
    split: str,
    settings: MappingSettings,
) -> tuple[LinearMap, ...]:
    """One mapping a rank from one ridge fit, 0 being the full rank; everything else as in `fit_mapping`.

    `values` (sample, voxel) are z-scores, `ids` (sample,) their stimuli.
    """
    truth = conditions.values[conditions.rows(ids)].reshape(len(ids), -1)
    ridge = settings.ridge
    whole = fit_ridge(
        values,
        truth,
        groups=ids,
        alphas=ridge.alphas,
        folds=ridge.folds,
        seed=ridge.seed,
        chunk=ridge.chunk,
        per_target=ridge.per_target,
        sound=of_sounds(conditions.space.name),
    )
    found = []
    for rank in ranks:
        fit = low_rank(whole, values, rank=rank) if rank else whole
        restore = Rescaling.fit(fit.cv_prediction, truth, groups=ids, kind=rescaling, limit=settings.limit)
        found.append(
            LinearMap(
                voxels=voxels,
                unit=unit,
                regions=tuple(regions),
                space=conditions.space,
                scaler=scaler,
                weights=fit.weights,
                x_mean=fit.x_mean,
                y_mean=fit.y_mean,
                alpha=fit.alpha,
                cv_r2=fit.cv_r2,
                rescaling=restore,
                split=split,
                samples=len(fit.cv_prediction),
                notes=fit.notes,
                settings=plain(replace(settings, rank=rank)),
            )
        )
    return tuple(found)


def _from(common: dict[str, Any], tensors: Arrays, card: dict[str, Any]) -> LinearMap:
    return LinearMap(
        **common,
        rescaling=Rescaling.from_arrays(tensors, kind=card["restoration"]["kind"]),
        weights=tensors["weights"],
        x_mean=tensors["x_mean"],
        y_mean=tensors["y_mean"],
        alpha=tensors.get("alpha"),
        settings=dict(card["settings"]),
    )


def _counts(alpha: Double) -> dict[str, int]:
    values, counts = np.unique(alpha, return_counts=True)
    return {f"{value:g}": int(count) for value, count in zip(values, counts, strict=True)}
