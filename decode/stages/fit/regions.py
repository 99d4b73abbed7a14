"""How well each region is predicted, against its noise ceiling: RUN/report/regions.json, regions.nii.gz and maps/.

A voxel's accuracy is that of an encoding model: ridge from the true conditions to its response, correlated on stimuli
that the ridge has not seen. Where several spaces are at hand, each voxel takes the one that predicts it better within
the training stimuli.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.data.averages import Averaged, average_repeats
from brain.data.clips import groups_of
from brain.data.reliability import ceiling_correlation, estimate_ncsnr
from brain.data.standardise import SessionScaler
from brain.errors import InputError
from brain.types import Float, Recording, Region, Responses, Split
from brain.voxels import VoxelSpace
from brain.writing.opener import write_volume
from decode.run.folder import RunFolder
from encoders.conditions import Conditions
from encoders.ridge import RidgeSettings
from encoders.storage import write_json
from encoders.voxelwise.accuracy import voxel_prediction

FEWEST = 20
"""Test stimuli below which a correlation over them says nothing; then training is cross-validated instead."""
LOWEST_CEILING = 0.1
"""Ceilings below it divide nothing: the quotient would be noise over noise."""
NO_MAP = "no places of voxels (ijk) were given, so there is no map"
HIDDEN_ATLASES = ("prf-eccrois", "nsdgeneral")


@dataclass(frozen=True, kw_only=True)
class VoxelScores:
    """Per voxel: accuracy (voxel,), ceiling (voxel,) or None without repeats, and how both were measured."""

    accuracy: Float
    ceiling: Float | None
    measure: str


def write_regions(
    run: RunFolder,
    recording: Recording,
    folds: Sequence[Split],
    true: Mapping[str, Conditions],
    *,
    ridge: RidgeSettings,
) -> None:
    """Writes regions.json, regions.nii.gz and the statistic maps, or finds them there.

    Voxels without places of their own have no maps, which is said and noted in regions.json.
    """
    path, maps, space = run.report / "regions.json", run.report / "maps", recording.responses.space
    regions = shown_regions(recording)
    if not space.placed:
        print(NO_MAP)
    if (path.is_file() or not regions) and (not space.placed or (maps / "accuracy.nii.gz").is_file()):
        return
    scores = voxel_scores(recording, folds, true, ridge=ridge)
    if space.placed:
        write_maps(maps, space, scores)
    if not regions:
        return
    rows = [
        {"name": region.name, "atlas": region.atlas, "voxels": int(region.mask.sum()),
         "accuracy": float(scores.accuracy[region.mask].mean()),
         "ceiling": None if scores.ceiling is None else float(scores.ceiling[region.mask].mean())}
        for region in regions
    ]  # fmt: skip
    facts = {"measure": scores.measure, "space": _space(recording), "regions": rows}
    if space.placed:
        _write_volume(run.report / "regions.nii.gz", _labels(recording, regions), space)
    write_json(path, facts if space.placed else {**facts, "no_map": NO_MAP})


def shown_regions(recording: Recording) -> tuple[Region, ...]:
    """The regions worth a bar: no eccentricity rings, no whole atlases; V1 for V1v and V1d, FFA-1 and FFA-2 for FFA."""
    names = {region.name for region in recording.regions}
    many = {region.atlas for region in recording.regions if region.name != region.atlas}
    shown = tuple(
        region
        for region in recording.regions
        if region.atlas not in HIDDEN_ATLASES
        and not (region.name == region.atlas and region.atlas in many)
        and not (region.name[-1] in "vd" and region.name[:-1] in names)
        and f"{region.name}-1" not in names
    )
    return shown or recording.regions


def voxel_scores(
    recording: Recording, folds: Sequence[Split], true: Mapping[str, Conditions], *, ridge: RidgeSettings
) -> VoxelScores:
    """Accuracy and ceiling of every voxel, on the test stimuli of a single split, else cross-validated over all."""
    fold, names = folds[0], ", ".join(true)
    held_out = len(folds) == 1 and len(fold.test) >= FEWEST
    train = fold.train if held_out else tuple(sorted({*fold.train, *fold.test}))
    test = fold.test if held_out else train
    z, sound = _standardised(recording.responses, train), recording.stimuli.modality == "sound"
    fitted, tested = average_repeats(z.trials(z.of(train))), average_repeats(z.trials(z.of(test)))
    best, accuracy = np.full(len(z.space), -np.inf, np.float32), np.zeros(len(z.space), np.float32)
    for conditions in true.values():
        scored = voxel_prediction(
            conditions.take(fitted.ids).values, fitted.values,
            x_test=conditions.take(tested.ids).values, y_test=tested.values,
            groups=fitted.ids, sound=sound,
            settings=replace(ridge, folds=min(ridge.folds, len(set(groups_of(fitted.ids, sound=sound))))),
        )  # fmt: skip
        better = scored.cv > best
        best = np.where(better, scored.cv, best)
        accuracy = np.where(better, scored.test if held_out else scored.cv, accuracy)
    where = f"on {len(test)} test stimuli" if held_out else f"cross-validated over {len(train)} stimuli"
    return VoxelScores(
        accuracy=accuracy.astype(np.float32),
        ceiling=_ceiling(recording, z, tested),
        measure=f"correlation of responses with ridge predictions from {names}, {where}",
    )


def _standardised(responses: Responses, train: Sequence[str]) -> Responses:
    return SessionScaler.fit(responses, responses.of(train)).apply(responses)


def _ceiling(recording: Recording, z: Responses, tested: Averaged) -> Float | None:
    if recording.ncsnr is not None:
        return ceiling_correlation(recording.ncsnr, tested.repeats)
    try:
        return ceiling_correlation(estimate_ncsnr(z), tested.repeats)
    except InputError:
        # no stimulus was shown twice: nobody can say what is noise
        return None


def write_maps(folder: Path, space: VoxelSpace, scores: VoxelScores) -> None:
    """Writes ceiling.nii.gz, accuracy_over_ceiling.nii.gz and accuracy.nii.gz: (X, Y, Z) float32, 0 outside.

    Without a ceiling only the accuracy is written; the quotient is 0 where the ceiling is below LOWEST_CEILING.
    """
    volumes = {"accuracy": scores.accuracy}
    if scores.ceiling is not None:
        above_null = scores.ceiling >= LOWEST_CEILING
        over = np.where(above_null, scores.accuracy / np.where(above_null, scores.ceiling, 1), 0)
        # the accuracy comes last: where it is, all are
        volumes = {"ceiling": scores.ceiling, "accuracy_over_ceiling": over, **volumes}
    for name, values in volumes.items():
        volume = np.zeros(space.shape, np.float32)
        volume[tuple(space.ijk.T)] = values
        _write_volume(folder / f"{name}.nii.gz", volume, space)


def _write_volume(path: Path, volume: NDArray[Any], space: VoxelSpace) -> None:
    import nibabel

    write_volume(path, nibabel.Nifti1Image(volume, space.affine))


def _labels(recording: Recording, regions: Sequence[Region]) -> NDArray[np.int16]:
    """(X, Y, Z) int16: k in the k-th region, counted from 1; where regions overlap the smaller one shows."""
    space = recording.responses.space
    volume = np.zeros(space.shape, np.int16)
    for number in sorted(range(len(regions)), key=lambda one: -int(regions[one].mask.sum())):
        volume[tuple(space.ijk[regions[number].mask].T)] = number + 1
    return volume


def _space(recording: Recording) -> str:
    """Where the voxels lie. NSD's own volumes are the subject's; the simulated brain is in MNI space, and says so."""
    return (
        "MNI152 (simulated)"
        if recording.simulated
        else f"{recording.responses.space.name} of {recording.responses.space.subject}"
    )
