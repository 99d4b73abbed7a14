"""Regions of auditory cortex as HCP-MMP names them (Glasser et al. 2016), and the groups that listeners speak of."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from brain.types import Bool, Region

EARLY = ("A1", "LBelt", "MBelt", "PBelt", "RI")
ASSOCIATION = ("A4", "A5", "STSdp", "STSda", "STSvp", "STSva", "STGa", "TA2")
GROUPS: Mapping[str, tuple[str, ...]] = {"early": EARLY, "association": ASSOCIATION, "auditory": EARLY + ASSOCIATION}
"""Early and association auditory cortex and both, as Park et al. (2025) and Liu et al. (2024) select voxels."""


def plain_name(key: str) -> str:
    """A region's name without atlas, hemisphere and ROI: "hcp180_r_lh.L_A1_ROI" -> "A1", "ROI_V1" -> "V1"."""
    name = re.sub(r"^ROI_|_ROI$", "", key.rsplit(".", 1)[-1])
    return re.sub(r"^[LR]_|^(lh|rh)[_.]|[_.](lh|rh)$", "", name) or key


def united(masks: Mapping[str, Bool]) -> dict[str, Bool]:
    """Masks by plain name, hemispheres and parts of one name united."""
    found: dict[str, Bool] = {}
    for key, mask in masks.items():
        name = plain_name(key)
        found[name] = found[name] | mask if name in found else np.asarray(mask, np.bool_)
    return found


def regions_of(masks: Mapping[str, Bool], *, voxels: int) -> tuple[Region, ...]:
    """A Region of each mask (voxel,) that has a voxel, the groups made of them, and "all"; empty ones are left out."""
    found = [Region(name=name, atlas="ROI", mask=mask) for name, mask in masks.items() if mask.any()]
    known = {region.name: region.mask for region in found}
    for group, members in GROUPS.items():
        parts = [known[name] for name in members if name in known]
        if parts and group not in known:
            found.append(Region(name=group, atlas="union", mask=np.any(parts, axis=0)))
    if "all" not in known:
        found.append(Region(name="all", atlas="all voxels", mask=np.ones(voxels, np.bool_)))
    return tuple(found)
