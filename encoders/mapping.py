"""Mapping: the frozen map from the voxels of named regions to a condition space, with all it must not be wrong about.

It knows the voxels it was fitted on (VoxelSpace), the space it speaks (SpaceCard), how its data were standardised
(SessionScaler) and what its guesses must satisfy (Restoration). On disk it is NAME.safetensors and NAME.json beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from brain.averages import average_repeats
from brain.errors import InputError
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
from encoders.restore import Restoration
from encoders.ridge import Double, RidgeSettings, fit_ridge, low_rank, predict_rows
from encoders.spaces import of_sounds
from encoders.storage import Arrays

KIND = "mapping"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class MappingSettings:
    """How to fit a mapping: the ridge, the largest gain restoration may use, the rank of the map (0 is full)."""

    ridge: RidgeSettings = RidgeSettings()
    limit: float = 5.0
    rank: int = 0


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """Voxels -> conditions.

    voxels       VoxelSpace of the columns, unit "z"; `unit` is the unit of the data before standardisation
    regions      names of the regions whose union the voxels are
    space        SpaceCard of the conditions
    scaler       SessionScaler of these voxels, from training trials
    weights      (voxel, target) float32; a target is one number of a flattened condition
    x_mean       (voxel,) float64, y_mean (target,) float64
    alpha        (target,) float64 penalties, cv_r2 (target,) float32 accuracy on held-out training stimuli
    restoration  Restoration of the guesses
    split        sha256 of the split whose training stimuli were used; `samples` how many patterns
    notes        sentences for the report
    settings     MappingSettings it was fitted with
    """

    voxels: VoxelSpace
    unit: str
    regions: tuple[str, ...]
    space: SpaceCard
    scaler: SessionScaler
    weights: Float
    x_mean: Double
    y_mean: Double
    alpha: Double
    cv_r2: Float
    restoration: Restoration
    split: str
    samples: int
    notes: tuple[str, ...]
    settings: MappingSettings

    def __post_init__(self) -> None:
        voxels, targets = len(self.voxels), int(np.prod(self.space.shape))
        shapes = {"weights": (voxels, targets), "x_mean": (voxels,), "y_mean": (targets,), "alpha": (targets,)}
        shapes |= {"cv_r2": (targets,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                came = getattr(self, name).shape
                raise InputError(f"mapping: expected {name} of shape {shape}, found {came}; fit again")
        if self.scaler.mean.shape[1] != voxels or len(self.restoration.gain) != targets:
            raise InputError(
                f"mapping: scaler or restoration do not fit {voxels} voxels and {targets} targets; fit again"
            )
        check_unit(self.voxels, self.scaler)

    def predict(self, values: Float, *, ids: Sequence[str]) -> Conditions:
        """Patterns (stimulus, voxel) as z-scores, in the mapping's own column order -> restored Conditions of `ids`."""
        check_patterns(values, ids)
        guess = predict_rows(values, self.weights, x_mean=self.x_mean, y_mean=self.y_mean)
        restored = self.restoration.apply(guess).reshape(len(ids), *self.space.shape)
        return Conditions(space=self.space, values=restored, ids=tuple(ids))

    def decode(self, responses: Responses) -> Conditions:
        """Single trials -> Conditions, one per stimulus, repeats averaged, ids sorted.

        Columns are reordered to the mapping's voxels or refused (`InputError`); data in the unit of the raw training
        data are standardised with the stored scaler, z-scores are taken as they are, any other unit is refused.
        """
        mine = self.own(responses)
        averaged = average_repeats(mine)
        return self.predict(averaged.values, ids=averaged.ids)

    def own(self, responses: Responses) -> Responses:
        """The same trials with only the mapping's voxels, in its order, as z-scores."""
        return own_trials(responses, voxels=self.voxels, unit=self.unit, scaler=self.scaler)

    def save(self, path: Path) -> None:
        """Write `path` (.safetensors) and, last, its card (.json): a mapping without its card is unfinished."""
        write_map(path, self._arrays(), self.card())

    @classmethod
    def load(cls, path: Path) -> Mapping:
        """Read what `save` wrote. Truncated, foreign, of another card, or of another voxel digest: `InputError`."""
        return read_map(path, _from, kind=KIND, form=FORMAT)

    def card(self) -> dict[str, Any]:
        """What a person wants to know, as JSON says it."""
        own = {"alpha": _counts(self.alpha), "settings": asdict(self.settings)}
        return {**contract_card(self, kind=KIND, form=FORMAT), **own}

    def _arrays(self) -> Arrays:
        own = {name: getattr(self, name) for name in ("weights", "x_mean", "y_mean", "alpha")}
        return {**own, **contract_arrays(self), **self.restoration.arrays()}


def fit_mapping(
    values: Float,
    ids: Sequence[str],
    *,
    conditions: Conditions,
    voxels: VoxelSpace,
    unit: str,
    regions: Sequence[str],
    scaler: SessionScaler,
    restoration: str,
    split: str,
    settings: MappingSettings,
) -> Mapping:
    """Fit a mapping on training patterns; nothing of a test stimulus may be among them.

    values       (sample, voxel) float32 z-scores: one a stimulus (averaged repeats) or single trials
    ids          (sample,) the stimulus of each; repeats, and windows of one clip, share a fold; repeats are averaged
                 for the restoration
    conditions   true Conditions of these stimuli (others are ignored)
    voxels       VoxelSpace of the columns, unit "z"; `unit` is the data's unit before standardisation
    regions      the regions' names, `scaler` of exactly these voxels
    restoration  what the space says a guess must satisfy (`Space.restoration`)
    split        sha256 of the split
    """
    (mapping,) = fit_ranks(
        values,
        ids,
        ranks=(settings.rank,),
        conditions=conditions,
        voxels=voxels,
        unit=unit,
        regions=regions,
        scaler=scaler,
        restoration=restoration,
        split=split,
        settings=settings,
    )
    return mapping


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
    restoration: str,
    split: str,
    settings: MappingSettings,
) -> tuple[Mapping, ...]:
    """One mapping a rank from one ridge fit, 0 being the full rank; everything else as in `fit_mapping`."""
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
        restore = Restoration.fit(fit.cv_prediction, truth, groups=ids, kind=restoration, limit=settings.limit)
        found.append(
            Mapping(
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
                restoration=restore,
                split=split,
                samples=len(fit.cv_prediction),
                notes=fit.notes,
                settings=replace(settings, rank=rank),
            )
        )
    return tuple(found)


def _from(tensors: Arrays, card: dict[str, Any]) -> Mapping:
    ridge = card["settings"]["ridge"]
    return Mapping(
        voxels=stored_voxels(tensors, card["voxels"]),
        unit=card["unit"],
        regions=tuple(card["regions"]),
        space=SpaceCard.from_facts(card["space"]),
        scaler=SessionScaler.from_arrays(tensors),
        weights=tensors["weights"],
        x_mean=tensors["x_mean"],
        y_mean=tensors["y_mean"],
        alpha=tensors["alpha"],
        cv_r2=tensors["cv_r2"],
        restoration=Restoration.from_arrays(tensors, kind=card["restoration"]["kind"]),
        split=card["split_sha256"],
        samples=card["samples"],
        notes=tuple(card["notes"]),
        settings=MappingSettings(
            ridge=RidgeSettings(
                alphas=tuple(ridge["alphas"]),
                folds=ridge["folds"],
                seed=ridge["seed"],
                chunk=ridge["chunk"],
                per_target=ridge["per_target"],
            ),
            limit=card["settings"]["limit"],
            rank=card["settings"]["rank"],
        ),
    )


def _counts(alpha: Double) -> dict[str, int]:
    values, counts = np.unique(alpha, return_counts=True)
    return {f"{value:g}": int(count) for value, count in zip(values, counts, strict=True)}
