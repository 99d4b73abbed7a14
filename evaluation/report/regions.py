"""What a run says of regions: report/regions.json and report/regions.nii.gz, written by whoever fitted."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from brain.errors import InputError
from brain.files.nifti import Volume, read_volume
from evaluation.facts import read_json


def read_regions(folder: Path) -> dict[str, Any]:
    """regions.json of a report folder, {} where there is none; another shape than the documented is an InputError.

    {"measure": "...", "space": "MNI152", "regions": [{"name", "voxels", "accuracy", "ceiling"}, ...]}; measure, space
    and "no_map", why there is no map, are optional, accuracy and ceiling are numbers up to 1 or null.
    """
    path = folder / "regions.json"
    facts = read_json(path)
    if not facts:
        return {}
    regions = facts.get("regions")
    if not isinstance(regions, list) or not all(isinstance(region, dict) and "name" in region for region in regions):
        raise InputError(
            f"{path}: expected a list 'regions' of objects with a name, found something else; write it again"
        )
    return {
        "measure": str(facts.get("measure", "accuracy of the ridge mapping")),
        "space": str(facts.get("space", "")),
        "no_map": str(facts.get("no_map", "")),
        "regions": [
            {
                "name": str(region["name"]),
                "voxels": region.get("voxels"),
                "accuracy": _number(region.get("accuracy"), path),
                "ceiling": _number(region.get("ceiling"), path),
            }
            for region in regions
        ],
    }


def _number(value: Any, path: Path) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{path}: expected numbers for accuracy and ceiling, found {value!r}; write it again")
    return float(value) if math.isfinite(value) else None


def glass_brain(folder: Path, regions: Mapping[str, Any]) -> tuple[str, str]:
    """The region map as a PNG data URI and a note; the URI is "" where there is no map, no MNI space or no nilearn.

    regions.nii.gz holds 0 and, for the k-th region of regions.json, k = 1, 2, ...; a region is drawn in its accuracy.
    """
    path = folder / "regions.nii.gz"
    if not path.is_file():
        return "", _sentence(regions.get("no_map") or "these data came without a region map")
    if regions.get("space") and not str(regions["space"]).upper().startswith("MNI"):
        return "", f"The region map lies in {regions['space']}; a glass brain would need MNI space."
    try:
        import nilearn.plotting
    except ImportError:
        return "", "The region map is not drawn because nilearn is not installed."
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    image = _accuracy_map(path, [region["accuracy"] for region in regions.get("regions", [])])
    figure = plt.figure(figsize=(11, 3), dpi=110)
    try:
        nilearn.plotting.plot_glass_brain(
            image,
            figure=figure,
            display_mode="lyrz",
            colorbar=True,
            cmap="YlOrRd",
            plot_abs=False,
            vmin=0,
            threshold=1e-6,
        )
        out = io.BytesIO()
        figure.savefig(out, format="png", facecolor="white")
    finally:
        plt.close(figure)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}", ""


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def _accuracy_map(path: Path, accuracies: Sequence[float | None]) -> Any:
    import nibabel

    volume: Volume = read_volume(path, then="write it again")
    labels = volume.values
    whole = labels.ndim == 3 and np.array_equal(labels, labels.round())
    if not whole or labels.min() < 0 or labels.max() > len(accuracies):
        raise InputError(
            f"{path}: expected a 3-D volume of numbers 0 to {len(accuracies)}, found others; write it again"
        )
    worth = np.array([0.0, *(max(value or 0.0, 1e-3) for value in accuracies)], np.float32)
    return nibabel.Nifti1Image(worth[labels.astype(np.int64)], volume.grid.affine)
