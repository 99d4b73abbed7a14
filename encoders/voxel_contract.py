"""The voxel contract of whatever was fitted on voxels: trials brought to them or refused, and how they are stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from brain.data.standardise import SessionScaler
from brain.errors import InputError
from brain.types import Responses
from brain.voxels import VoxelSpace
from encoders.storage import Arrays


def own_trials(responses: Responses, *, voxels: VoxelSpace, unit: str, scaler: SessionScaler) -> Responses:
    """The same trials with only these voxels, in this order, standardised; other voxels or units are an `InputError`.

    voxels  VoxelSpace of unit "z", or of the data's own where `scaler` leaves them as they are; `unit` is that of the
            raw data, which `scaler` standardises. z-scores are taken as they are, unless the raw data were z-scores too
    """
    raw = unit == "z" or responses.space.unit != "z"
    needed = replace(voxels, unit=unit) if raw else voxels
    mine = responses.voxels(responses.space.columns_of(needed))
    return scaler.apply(mine) if raw else mine


def check_unit(voxels: VoxelSpace, scaler: SessionScaler) -> None:
    """Refuses (`InputError`) voxels that are not z-scores, unless the scaler leaves them as they are."""
    if voxels.unit != "z" and not scaler.leaves:
        raise InputError(f"mapping: expected voxels in unit 'z', found {voxels.unit!r}; standardise before the fit")


def voxel_facts(voxels: VoxelSpace) -> dict[str, Any]:
    """The voxels as JSON says them, without their ijk, which stand in the arrays and in the digest.

    Vertices and columns without places add their kind and source; a card without these is of voxels of a volume.
    """
    elsewhere = {} if voxels.kind == "volume" else {"kind": voxels.kind, "source": voxels.source}
    return {
        "subject": voxels.subject,
        "name": voxels.name,
        "betas": voxels.betas,
        "unit": voxels.unit,
        "shape": list(voxels.shape),
        "affine": voxels.affine.tolist(),
        "count": len(voxels),
        "sha256": voxels.sha256,
        **elsewhere,
    }


def voxel_arrays(voxels: VoxelSpace) -> Arrays:
    """The voxels' places, to be stored: ijk (voxel, 3) and affine (4, 4)."""
    return {"voxels.ijk": voxels.ijk, "voxels.affine": voxels.affine}


def stored_voxels(tensors: Arrays, facts: dict[str, Any]) -> VoxelSpace:
    """The voxels back from `voxel_arrays` and `voxel_facts`; other entries are left alone.

    `tensors` holds ijk (voxel, 3) and affine (4, 4).
    """
    return VoxelSpace(
        subject=facts["subject"],
        name=facts["name"],
        betas=facts["betas"],
        unit=facts["unit"],
        shape=tuple(facts["shape"]),
        affine=tensors["voxels.affine"],
        ijk=tensors["voxels.ijk"],
        kind=facts.get("kind", "volume"),
        source=facts.get("source", ""),
    )
