"""What a run's card says about itself: versions, commit, machine and data, without a path or a person's name."""

from __future__ import annotations

import dataclasses
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from brain.machine.installation import DISTRIBUTION
from brain.types import Recording, Split
from decode.run.settings import Settings, parts_of, public, stage_of, to_json

PACKAGES = (
    "numpy",
    "scipy",
    "h5py",
    "nibabel",
    "torch",
    "safetensors",
    "diffusers",
    "transformers",
    "accelerate",
)


def software() -> dict[str, Any]:
    """Versions of what computed, and the commit of this checkout."""
    packages = {"afterimage": _version(DISTRIBUTION), **{name: _version(name) for name in PACKAGES}}
    return {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine(),
            "packages": packages, "commit": commit()}  # fmt: skip


def commit() -> str:
    """The commit of the checkout this code runs from, with "+changes" where files differ; "none" outside of one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return "none"
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "none"


def data_facts(recording: Recording) -> dict[str, Any]:
    """What was recorded: counts, voxel contract, regions, what was masked."""
    responses, space = recording.responses, recording.responses.space
    repeats = np.unique(responses.stimulus, return_counts=True)[1].tolist()
    return {
        "reader": recording.reader,
        "subject": space.subject,
        "modality": recording.stimuli.modality,
        "trials": len(responses.values),
        "stimuli": len(set(responses.stimulus.tolist())),
        "repeats": [min(repeats, default=0), max(repeats, default=0)],
        "sessions": sorted(set(responses.session.tolist())),
        "voxels": len(space),
        "space": {"name": space.name, "betas": space.betas, "unit": space.unit, "shape": list(space.shape),
                  "sha256": space.sha256},
        "regions": {region.name: int(region.mask.sum()) for region in recording.regions},
        "masked": list(recording.masked),
        "notes": list(recording.notes),
    }  # fmt: skip


def split_facts(splits: tuple[Split, ...]) -> list[dict[str, Any]]:
    """Name, digest and sizes of every fold."""
    return [
        {"name": split.name, "sha256": split.sha256, "train": len(split.train), "test": len(split.test)}
        for split in splits
    ]


def fit_facts(settings: Settings) -> dict[str, Any]:
    """The settings that decided the fit, without the paths of a stack or an encoder of the user's own."""
    facts: dict[str, Any] = {"recipe": settings.recipe, "machine": to_json(settings.machine)}
    for part, own in parts_of(settings.whole()):
        known = public(own)
        bound = {one.name: known[one.name] for one in dataclasses.fields(own) if stage_of(part, one) == "fit"}
        if bound:
            facts[part] = bound
    return facts


def _git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *words], check=True, capture_output=True, text=True, timeout=10
    ).stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
