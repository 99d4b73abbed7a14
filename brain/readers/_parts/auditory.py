"""Regions of auditory cortex as HCP-MMP names them (Glasser et al. 2016), and the groups that listeners speak of."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from brain.errors import InputError, expected
from brain.types import Bool, Region

EARLY = ("A1", "LBelt", "MBelt", "PBelt", "RI")
ASSOCIATION = ("A4", "A5", "STSdp", "STSda", "STSvp", "STSva", "STGa", "TA2")
GROUPS: Mapping[str, tuple[str, ...]] = {"early": EARLY, "association": ASSOCIATION, "auditory": EARLY + ASSOCIATION}
"""Early and association auditory cortex and both, as Park et al. (2025) and Liu et al. (2024) select voxels."""


SIDES: Mapping[str, str] = {"L": "l", "lh": "l", "R": "r", "rh": "r"}


def plain_name(key: str) -> str:
    """A region's name without atlas, hemisphere and ROI: "hcp180_r_lh.L_A1_ROI" -> "A1", "ROI_V1" -> "V1"."""
    name = re.sub(r"^ROI_|_ROI$", "", key.rsplit(".", 1)[-1])
    return re.sub(r"^[LR]_|^(lh|rh)[_.]|[_.](lh|rh)$", "", name) or key


def united(masks: Mapping[str, Bool], where: object) -> dict[str, Bool]:
    """Masks (voxel,) by plain name, left and right united.

    Two of one name that differ in more or in nothing are an InputError: V1 of two atlases is two regions, and their
    union is none.
    """
    found: dict[str, Bool] = {}
    keys: dict[str, list[str]] = {}
    for key, mask in masks.items():
        name = plain_name(key)
        found[name] = found[name] | mask if name in found else np.asarray(mask, np.bool_)
        keys.setdefault(name, []).append(key)
    for name, of in keys.items():
        halves = len({_sideless(key) for key in of}) == 1 and sorted(map(_side, of)) == ["l", "r"]
        if len(of) > 1 and not halves:
            came = f"{len(of)}, {', '.join(map(repr, of))[:160]}"
            then = "leave one of them, or give them names of their own"
            raise InputError(expected(where, f"one region called {name!r}, or its left and right halves", came, then))
    return found


def _words(key: str) -> list[str]:
    return [word for word in re.split(r"[._]", key) if word]


def _sideless(key: str) -> str:
    """A region's name with its atlas and without its side: those of the two halves of one region are equal."""
    return ".".join(word for word in _words(key) if word not in SIDES)


def _side(key: str) -> str:
    """ "l" or "r" where the name says a side, else ""."""
    return next((SIDES[word] for word in reversed(_words(key)) if word in SIDES), "")


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
