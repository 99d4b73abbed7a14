"""Reads the npz files of MinD-Vis (Chen et al. 2023), so that its users can move: the Generic Object Decoding subjects.

    open_recording("data/Kamitani/npz", subject="sbj_3")        # sbj_3.npz and images_256.npz beside it
    [read_hcp(folder) for folder in hcp_folders("data/HCP/npz")]  # HCP_visual_voxel.npz as trials that nobody labelled

sbj_N.npz: arr_0 training trials, arr_1 single test trials, arr_2 their averages, arr_3 which training picture each
training trial showed, and boolean masks of regions. Single test trials carry no labels: their order is told by which
one averages to arr_2, and where none does the averages are read in their stead. Files have neither sessions nor places:
all trials count as one session, and voxels stand in file order.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.data.averages import count_repeats
from brain.errors import InputError, UsageError, expected
from brain.files.npz import names_in, read_npz, type_in
from brain.files.paths import AGAIN, listed, optional, present
from brain.files.tables import as_mask
from brain.readers import Inspection
from brain.readers._parts.media import ArrayImages, NoMedia, array_images
from brain.readers._parts.sessions import choose_subject, chosen, read_settings
from brain.splits.god import GOD
from brain.types import Bool, Float, Recording, Region, Responses, Split, Stimuli
from brain.voxels import VoxelSpace

TRIALS = ("arr_0", "arr_1", "arr_2", "arr_3")
NUMBERED = re.compile(r"arr_\d+")
"""Names of arrays that were stored without one; all others are regions."""
PICTURES = ("images_256.npz", "images_500.npz")
HOMES = ("", "npz", "Kamitani/npz", "data/Kamitani/npz")
HCP_FILE, HCP_REGIONS = "HCP_visual_voxel.npz", ("V1", "V2", "V3", "V4")
WINDOW = 10
"""Frames of rest that are averaged into one trial: MinD-Vis takes 8 s at .75 s a frame."""
UNLABELLED = "unlabelled"


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Opens "train0007" or "test0007" out of the archive `path`; one side's array is read when its first is opened."""

    path: Path

    def __call__(self, stimulus: str) -> Any:
        """The picture; a number that the archive does not have is an InputError."""
        side = stimulus.rstrip("0123456789")
        opener, length = _side(self.path, f"{side}_images")
        number = int(stimulus.removeprefix(side))
        if number >= length:
            where = f"{self.path}, {side}_images"
            raise InputError(expected(where, f"a picture for {stimulus}", f"{length} pictures", "fetch the file again"))
        return opener.image(number)


def _side(path: Path, name: str) -> tuple[ArrayImages, int]:
    return _kept(path, name, present(path, what="MinD-Vis' pictures", then=AGAIN).stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _kept(path: Path, name: str, changed: int) -> tuple[ArrayImages, int]:
    whole = read_npz(path, [name])[name]
    opener = array_images(whole.__getitem__, shape=whole.shape, dtype=whole.dtype, where=f"{path}, {name}")
    return opener, len(whole)


class MindVis:
    """The reader of MinD-Vis's npz files of Generic Object Decoding."""

    name = "mindvis"
    title = "MinD-Vis npz (sbj_N.npz and images_256.npz in one folder)"
    description = "Generic Object Decoding as MinD-Vis packed it: training trials, test trials, masks of regions"
    citation = "Chen et al. 2023; Horikawa and Kamitani 2017"
    licence = ""
    terms = ""

    def recognises(self, path: Path) -> bool:
        """A folder that holds sbj_N.npz, itself or as MinD-Vis lays its data out."""
        return bool(_files(path))

    def subjects(self, path: Path, *, fields: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """Such as sbj_3."""
        return tuple(sorted(_files(path)))

    def read(
        self, path: Path, *, subject: str, sessions: Sequence[int], betas: str, fields: Mapping[str, str]
    ) -> Recording:
        """One subject, the voxels of all its regions together, in the file's own unit."""
        read_settings(fields, {})
        if betas not in ("", "native"):
            raise UsageError(f"{path}: betas {betas!r} was asked for and these files know only native; leave it out")
        name = choose_subject(path, self.subjects(path), subject, what="sbj_N.npz files")
        file = _files(path)[name]
        arrays = _trials(file)
        masks, skipped = _masks(file, voxels=arrays["arr_0"].shape[1])
        inside = np.flatnonzero(np.any(list(masks.values()), axis=0))
        train = [f"train{number:04d}" for number in arrays["arr_3"].tolist()]
        tests, order, note = _tests(arrays)
        stimulus = np.array(train + [f"test{number:04d}" for number in order])
        whole = Responses(
            values=np.concatenate([arrays["arr_0"], tests])[:, inside],
            stimulus=stimulus,
            session=np.ones(len(stimulus), np.int64),
            repeat=count_repeats(stimulus),
            space=_on_a_line(name, len(inside)),
        )
        responses, usable, masked = chosen(path, whole, sessions)
        here = inside[usable]
        gone = [key for key, mask in masks.items() if not mask[here].any()]
        lost = f"regions left out, for none of their voxels is usable: {', '.join(gone)}" if gone else ""
        shown = sorted(set(stimulus.tolist()))
        return Recording(
            responses=responses,
            stimuli=_stimuli(file.parent, shown),
            regions=tuple(Region(name=key, atlas="ROI", mask=mask[here]) for key, mask in masks.items()
                          if mask[here].any()),
            splits=(Split(name=GOD, train=tuple(train), test=tuple(one for one in shown if one.startswith("test"))),),
            masked=masked,
            notes=tuple(
                filter(
                    None,
                    (note, "the files name no sessions: all trials count as one", _PLACES, *skipped, lost,
                     *_cut(file.parent)),
                )
            ),
            reader=self.name,
            source=str(path),
        )  # fmt: skip

    def inspect(self, path: Path, *, fields: Mapping[str, str] | None = None) -> Inspection:
        """What the files hold, subject by subject, and what of it is understood."""
        lines, found = [f"MinD-Vis npz at {path}"], {}
        for subject, file in sorted(_files(path).items()):
            names = names_in(file)
            arrays = _trials(file)
            masks, skipped = _masks(file, voxels=arrays["arr_0"].shape[1])
            regions = {name: int(mask.sum()) for name, mask in masks.items()}
            lines.append(f"{subject}: {file.name}, regions {', '.join(f'{name} {n}' for name, n in regions.items())}")
            found[subject] = {"file": file.name, "arrays": list(names)}
            pictures = _archive(file.parent)
            lines += [f"  pictures: {pictures.name if pictures else 'none'}", *(f"  {note}" for note in skipped)]
        return Inspection(lines=tuple(lines), facts={"format": "mindvis", "subjects": found})


_PLACES = "the files name no places: voxels stand in file order, and a patch of neighbours is one of file order"


def hcp_folders(path: Path) -> tuple[Path, ...]:
    """The folders of HCP subjects: of HCP_visual_voxel.npz itself, of the folder that holds it, or of those below."""
    if path.name == HCP_FILE and path.is_file():
        return (path.parent,)
    if os.path.lexists(path / HCP_FILE):
        return (path,)
    return tuple(folder for folder in listed(path) if os.path.lexists(folder / HCP_FILE))


def read_hcp(folder: Path, *, window: int = WINDOW) -> Responses:
    """Rest of one HCP subject (HCP_visual_voxel.npz: V1..V4, each (frame, voxel)) as trials that nobody labelled.

    window  frames averaged into a trial; what is left over at the end is left out. No files, other frame counts in
            another region, and fewer frames than a window are an InputError.
    """
    if window < 1:
        raise UsageError(f"HCP: a window holds one frame or more, found {window}")
    path = folder / HCP_FILE
    parts = read_npz(path, HCP_REGIONS)
    frames = {name: _matrix(path, name, part) for name, part in parts.items()}
    lengths = {len(part) for part in frames.values()}
    if len(lengths) > 1 or min(lengths) < window:
        came = ", ".join(f"{name} {part.shape}" for name, part in frames.items())
        raise InputError(expected(path, f"{window} frames or more, as many in each region", came, "export it again"))
    lost = [name for name, part in frames.items() if not np.isfinite(part).all()]
    if lost:
        found = "NaN or infinity"
        raise InputError(expected(f"{path}, {lost[0]}", "finite numbers", found, "leave those voxels or frames out"))
    whole = np.concatenate([frames[name] for name in HCP_REGIONS], axis=1)
    trials = len(whole) // window
    values = whole[: trials * window].reshape(trials, window, -1).mean(axis=1, dtype=np.float64).astype(np.float32)
    return Responses(
        values=values,
        stimulus=np.full(trials, UNLABELLED),
        session=np.ones(trials, np.int64),
        repeat=np.zeros(trials, np.int64),
        space=_on_a_line(folder.name, values.shape[1]),
    )


def _files(path: Path) -> dict[str, Path]:
    """Subject -> its file, in the first home that has any."""
    for home in HOMES:
        folder = path / home
        files = listed(folder, "sbj_*.npz") if folder.is_dir() else []
        if files:
            return {file.stem: file for file in files}
    return {}


def _trials(file: Path) -> dict[str, Float]:
    arrays = read_npz(file, TRIALS)
    trials = {name: _matrix(file, name, arrays[name]) for name in TRIALS[:3]}
    index = arrays["arr_3"]
    index = index.ravel() if index.size == max(index.shape, default=0) else index
    widths = {part.shape[1] for part in trials.values()}
    fits = index.shape == (len(trials["arr_0"]),) and index.dtype.kind in "iu" and index.min() >= 0
    if len(widths) > 1 or not fits:
        came = ", ".join(f"{name} {one.shape}" for name, one in arrays.items())
        raise InputError(expected(file, "trials of the same voxels and a picture for each", came, "fetch it again"))
    shown = np.unique(index)
    if len(shown) > 1 and np.array_equal(shown, np.arange(1, len(shown) + 1)):
        came = f"every number of 1 to {len(shown)}"
        raise InputError(expected(f"{file}, arr_3", "pictures counted from 0", came, "take 1 off each number"))
    return {**trials, "arr_3": index}


def _matrix(file: Path, name: str, values: NDArray[Any]) -> Float:
    if values.ndim != 2 or values.dtype.kind not in "iuf" or not values.size:
        came = f"{values.dtype} {values.shape}"
        raise InputError(expected(f"{file}, {name}", "numbers (trial, voxel)", came, "fetch the file again"))
    return np.asarray(values, np.float32)


def _masks(file: Path, *, voxels: int) -> tuple[dict[str, Bool], tuple[str, ...]]:
    """Region -> (voxel,) bool, VC, the union of all, first; and a sentence on arrays that are no regions.

    VC and whatever means to be a mask has to be one, else it is an InputError.
    """
    named = (name for name in names_in(file) if not NUMBERED.fullmatch(name))
    names = sorted(named, key=lambda name: (name != "VC", name))
    masks: dict[str, Bool] = {}
    other: list[str] = []
    for name, values in read_npz(file, names).items():
        if name != "VC" and not _means_a_mask(values, voxels):
            other.append(f"{name} ({values.dtype} {values.shape})")
            continue
        mask = as_mask(values, f"{file}, {name}", voxels)
        if mask.any():
            masks[name] = mask
        else:
            other.append(f"{name} (no voxel)")
    if not masks:
        raise InputError(expected(file, f"a mask of {voxels} voxels such as VC", ", ".join(names) or "none", "add one"))
    return masks, (f"arrays that are no region and are not read: {', '.join(other)}",) * bool(other)


def _means_a_mask(values: NDArray[Any], voxels: int) -> bool:
    """Booleans of any shape, and whole numbers, or 0, 1 and NaN, one a voxel."""
    if values.dtype.kind == "f" and values.size == voxels:
        return bool(np.isin(values[np.isfinite(values)], (0, 1)).all() and np.isfinite(values).any())
    return values.dtype.kind == "b" or (values.dtype.kind in "iu" and values.size == voxels)


def _tests(arrays: Mapping[str, Float]) -> tuple[Float, list[int], str]:
    """Test trials, the picture of each, and a sentence: single ones where their order is known, else averages."""
    single, mean = arrays["arr_1"], arrays["arr_2"]
    pictures, repeats = len(mean), len(single) // len(mean)
    if repeats * pictures == len(single):
        orders = {"picture by picture": np.repeat(np.arange(pictures), repeats),
                  "round by round": np.tile(np.arange(pictures), repeats)}  # fmt: skip
        for how, order in orders.items():
            made = np.stack([single[order == picture].mean(axis=0, dtype=np.float64) for picture in range(pictures)])
            if np.allclose(made, mean, rtol=1e-3, atol=1e-3 * float(np.abs(mean).max())):
                return single, order.tolist(), f"single test trials stand {how}: so they average to arr_2"
    return mean, list(range(pictures)), "the order of single test trials cannot be told: averages (arr_2) are read"


def _stimuli(folder: Path, ids: Sequence[str]) -> Stimuli:
    """The pictures of these ids, out of the archive beside the responses; without it they cannot be opened."""
    path = _archive(folder)
    if path is None:
        return Stimuli(ids=tuple(ids), modality="image", opener=NoMedia(where=str(folder)))
    return Stimuli(ids=tuple(ids), modality="image", opener=Pictures(path=path))


def _archive(folder: Path) -> Path | None:
    """The archive of pictures beside the responses, if there is one; a link that has not been fetched is an error."""
    found = (optional(folder / name, what="an archive of pictures") for name in PICTURES)
    return next((path for path in found if path is not None), None)


def _cut(folder: Path) -> tuple[str, ...]:
    """A sentence on each side's pictures of which numbers are cut off; whole numbers need no look, and get none."""
    path = _archive(folder)
    if path is None:
        return ()
    kinds = {side: type_in(path, f"{side}_images") for side in ("train", "test")}
    looked = (_side(path, f"{side}_images")[0] for side, kind in kinds.items() if kind is not None and kind.kind == "f")
    return tuple(f"{path.name}, {images.where.rpartition(', ')[2]}: {images.note}" for images in looked if images.note)


def _on_a_line(subject: str, voxels: int) -> VoxelSpace:
    ijk = np.stack([np.arange(voxels), np.zeros(voxels, int), np.zeros(voxels, int)], axis=1)
    return VoxelSpace(
        subject=subject, name="native", betas="native", unit="native", shape=(voxels, 1, 1), affine=np.eye(4), ijk=ijk
    )


ENTRIES = (MindVis(),)
