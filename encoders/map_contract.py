"""What every map from voxels to conditions is held to, whatever reads the voxels: its voxels, its card, its two files.

A map is NAME.safetensors and, written last, its card NAME.json, which names the sha256 of the tensors and the digest of
the voxels: a map without its card is unfinished, and one with the card of another is refused.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from brain.errors import InputError, expected
from brain.standardise import SessionScaler
from brain.types import Float, Responses, VoxelSpace
from encoders.storage import Arrays, read_json, read_tensors, write_json, write_tensors

if TYPE_CHECKING:
    from encoders.mapping import Mapping
    from encoders.network_map import NetworkMap

    Built = TypeVar("Built", Mapping, NetworkMap)


def own_trials(responses: Responses, *, voxels: VoxelSpace, unit: str, scaler: SessionScaler) -> Responses:
    """The same trials with only these voxels, in this order, standardised; other voxels or units are an `InputError`.

    voxels  VoxelSpace of unit "z", or of the data's own where `scaler` leaves them as they are; `unit` is that of the
            raw data, which `scaler` standardises. z-scores are taken as they are, unless the raw data were z-scores too
    """
    raw = unit == "z" or responses.space.unit != "z"
    needed = replace(voxels, unit=unit) if raw else voxels
    mine = responses.voxels(responses.space.columns_of(needed))
    return scaler.apply(mine) if raw else mine


def check_patterns(values: Float, ids: Sequence[str]) -> None:
    """Refuses (`InputError`) patterns (stimulus, voxel) that are not one an id, or not finite."""
    if len(values) != len(ids):
        raise InputError(f"mapping: {len(values)} patterns but {len(ids)} ids came; give one id a pattern")
    if not np.isfinite(values).all():
        raise InputError("mapping: the patterns hold NaN or infinite values; mask these voxels and fit again")


def check_unit(voxels: VoxelSpace, scaler: SessionScaler) -> None:
    """Refuses (`InputError`) voxels that are not z-scores, unless the scaler leaves them as they are."""
    if voxels.unit != "z" and not scaler.leaves:
        raise InputError(f"mapping: expected voxels in unit 'z', found {voxels.unit!r}; standardise before the fit")


def contract_card(mapped: Mapping | NetworkMap, *, kind: str, form: int) -> dict[str, Any]:
    """What the cards of all maps say, as JSON says it; `form` is the version of the card."""
    return {
        "kind": kind,
        "format": form,
        "voxels": _voxel_facts(mapped.voxels),
        "unit": mapped.unit,
        "regions": list(mapped.regions),
        "space": mapped.space.facts(),
        "split_sha256": mapped.split,
        "samples": mapped.samples,
        "cv_r2": _summary(mapped.cv_r2),
        "restoration": mapped.restoration.facts(),
        "notes": list(mapped.notes),
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
    }


def contract_arrays(mapped: Mapping | NetworkMap) -> Arrays:
    """The arrays that all maps store: the voxels' places, the scaler, the accuracy."""
    place = {"voxels.ijk": mapped.voxels.ijk, "voxels.affine": mapped.voxels.affine}
    return {**place, **mapped.scaler.arrays(), "cv_r2": mapped.cv_r2}


def stored_voxels(tensors: Arrays, facts: dict[str, Any]) -> VoxelSpace:
    """The voxels back from `contract_arrays` and the card's facts on them."""
    return VoxelSpace(
        subject=facts["subject"],
        name=facts["name"],
        betas=facts["betas"],
        unit=facts["unit"],
        shape=tuple(facts["shape"]),
        affine=tensors["voxels.affine"],
        ijk=tensors["voxels.ijk"],
    )


def write_map(path: Path, tensors: Arrays, card: dict[str, Any]) -> None:
    """Write `path` (.safetensors) and, last, its card (.json)."""
    _must_be_safetensors(path)
    write_tensors(path, tensors, kind=card["kind"], card={"format": card["format"]})
    write_json(path.with_suffix(".json"), {**card, "tensors": {"file": path.name, "sha256": _sha256_file(path)}})


def read_map(path: Path, build: Callable[[Arrays, dict[str, Any]], Built], *, kind: str, form: int) -> Built:
    """Read what `write_map` wrote and `build` it.

    Truncated, foreign, of another kind, with another map's card, or of another voxel digest: `InputError`.
    """
    _must_be_safetensors(path)
    tensors, _ = read_tensors(path, kind=kind)
    beside = path.with_suffix(".json")
    card = read_json(beside, kind=kind)
    try:
        digest, voxels = card["tensors"]["sha256"], card["voxels"]["sha256"]
        if card["kind"] != kind or card["format"] != form:
            raise InputError(expected(beside, f"{kind} format {form}", f"{card['kind']} {card['format']}", "fit again"))
        mapped = build(tensors, card)
    except (KeyError, TypeError, ValueError) as fault:
        raise InputError(expected(beside, f"the card of {path.name}", f"one without {fault}", "fit again")) from fault
    if digest != _sha256_file(path):
        raise InputError(expected(beside, f"the card of {path.name}", "the card of other tensors", "fit again"))
    if mapped.voxels.sha256 != voxels:
        raise InputError(expected(beside, "the digest of the stored voxels", "another", "fit again"))
    return mapped


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


def _summary(cv_r2: Float) -> dict[str, float]:
    low, middle, high = np.quantile(cv_r2, [0.05, 0.5, 0.95])
    return {"mean": float(cv_r2.mean()), "q05": float(low), "median": float(middle), "q95": float(high)}


def _sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _must_be_safetensors(path: Path) -> None:
    if path.suffix != ".safetensors":
        raise InputError(f"mapping {path}: expected a name ending in .safetensors, found {path.suffix!r}; rename it")
