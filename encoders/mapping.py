"""Mapping: the frozen map from the voxels of named regions to a condition space, with all it must not be wrong about.

It knows the voxels it was fitted on (VoxelSpace), the space it speaks (SpaceCard), how its data were standardised
(SessionScaler) and what its guesses must satisfy (Restoration). On disk it is NAME.safetensors and NAME.json beside it.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.averages import average_repeats
from brain.errors import InputError, wanted
from brain.standardise import SessionScaler
from brain.types import Float, Responses, VoxelSpace
from encoders.conditions import Conditions, SpaceCard
from encoders.restore import Restoration
from encoders.ridge import Double, RidgeSettings, fit_ridge, low_rank, predict_rows
from encoders.storage import read_json, read_tensors, write_json, write_tensors

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
                raise InputError(f"mapping: wanted {name} of shape {shape}, came {came}; fit again")
        if self.scaler.mean.shape[1] != voxels or len(self.restoration.gain) != targets:
            raise InputError(
                f"mapping: scaler or restoration do not fit {voxels} voxels and {targets} targets; fit again"
            )
        if self.voxels.unit != "z":
            raise InputError(
                f"mapping: wanted voxels in unit 'z', came {self.voxels.unit!r}; standardise before the fit"
            )

    def predict(self, values: Float, *, ids: Sequence[str]) -> Conditions:
        """Patterns (stimulus, voxel) as z-scores, in the mapping's own column order -> restored Conditions of `ids`."""
        if len(values) != len(ids):
            raise InputError(f"mapping: {len(values)} patterns but {len(ids)} ids came; give one id a pattern")
        if not np.isfinite(values).all():
            raise InputError("mapping: the patterns hold NaN or infinite values; mask these voxels and fit again")
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
        raw = responses.space.unit != "z"
        needed = replace(self.voxels, unit=self.unit) if raw else self.voxels
        mine = responses.voxels(responses.space.columns_of(needed))
        return self.scaler.apply(mine) if raw else mine

    def save(self, path: Path) -> None:
        """Write `path` (.safetensors) and, last, its card (.json): a mapping without its card is unfinished."""
        _must_be_safetensors(path)
        write_tensors(path, self._arrays(), kind=KIND, card={"format": FORMAT})
        tensors = {"file": path.name, "sha256": _sha256_file(path)}
        write_json(path.with_suffix(".json"), {**self.card(), "tensors": tensors})

    @classmethod
    def load(cls, path: Path) -> Mapping:
        """Read what `save` wrote. Truncated, foreign, of another card, or of another voxel digest: `InputError`."""
        _must_be_safetensors(path)
        tensors, _ = read_tensors(path, kind=KIND)
        beside = path.with_suffix(".json")
        card = read_json(beside, kind=KIND)
        try:
            digest = card["tensors"]["sha256"]
            mapping = _from(tensors, card)
        except (KeyError, TypeError, ValueError) as fault:
            raise InputError(wanted(beside, f"the card of {path.name}", f"one without {fault}", "fit again")) from fault
        if digest != _sha256_file(path):
            raise InputError(wanted(beside, f"the card of {path.name}", "the card of other tensors", "fit again"))
        if mapping.voxels.sha256 != card["voxels"]["sha256"]:
            raise InputError(wanted(beside, "the digest of the stored voxels", "another", "fit again"))
        return mapping

    def card(self) -> dict[str, Any]:
        """What a person wants to know, as JSON says it."""
        return {
            "kind": KIND,
            "format": FORMAT,
            "voxels": _voxel_facts(self.voxels),
            "unit": self.unit,
            "regions": list(self.regions),
            "space": self.space.facts(),
            "split_sha256": self.split,
            "samples": self.samples,
            "alpha": _counts(self.alpha),
            "cv_r2": _summary(self.cv_r2),
            "restoration": self.restoration.facts(),
            "notes": list(self.notes),
            "settings": asdict(self.settings),
            "versions": {"python": platform.python_version(), "numpy": np.__version__},
        }

    def _arrays(self) -> dict[str, NDArray[Any]]:
        own = {name: getattr(self, name) for name in ("weights", "x_mean", "y_mean", "alpha", "cv_r2")}
        place = {"voxels.ijk": self.voxels.ijk, "voxels.affine": self.voxels.affine}
        return {**own, **place, **self.scaler.arrays(), **self.restoration.arrays()}


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


def _from(tensors: dict[str, NDArray[Any]], card: dict[str, Any]) -> Mapping:
    if card["kind"] != KIND or card["format"] != FORMAT:
        raise InputError(wanted("mapping", f"{KIND} format {FORMAT}", f"{card['kind']} {card['format']}", "fit again"))
    facts, ridge = card["voxels"], card["settings"]["ridge"]
    voxels = VoxelSpace(
        subject=facts["subject"],
        name=facts["name"],
        betas=facts["betas"],
        unit=facts["unit"],
        shape=tuple(facts["shape"]),
        affine=tensors["voxels.affine"],
        ijk=tensors["voxels.ijk"],
    )
    return Mapping(
        voxels=voxels,
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


def _voxel_facts(voxels: VoxelSpace) -> dict[str, Any]:
    """The voxel contract without its ijk, which stand in the tensors and in the digest."""
    return {
        "subject": voxels.subject,
        "name": voxels.name,
        "betas": voxels.betas,
        "unit": voxels.unit,
        "shape": list(voxels.shape),
        "affine": voxels.affine.tolist(),
        "count": len(voxels),
        "sha256": voxels.sha256,
    }


def _counts(alpha: Double) -> dict[str, int]:
    values, counts = np.unique(alpha, return_counts=True)
    return {f"{value:g}": int(count) for value, count in zip(values, counts, strict=True)}


def _summary(cv_r2: Float) -> dict[str, float]:
    low, middle, high = np.quantile(cv_r2, [0.05, 0.5, 0.95])
    return {"mean": float(cv_r2.mean()), "q05": float(low), "median": float(middle), "q95": float(high)}


def _sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _must_be_safetensors(path: Path) -> None:
    if path.suffix != ".safetensors":
        raise InputError(f"mapping {path}: wanted a name ending in .safetensors, came {path.suffix!r}; rename it")
