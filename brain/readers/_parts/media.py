"""Pictures and sounds of one's own: arrays in a file, or a folder of image or sound files, opened one at a time."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.files.paths import composed, listed, present
from brain.files.pictures import SUFFIXES, open_image, size_of
from brain.files.waveforms import read_wave
from brain.names import unseen
from brain.types import LEAVE_OUT, Recording
from brain.writing.places import quoted

IMAGE_ENDINGS = SUFFIXES
SOUND_ENDINGS = (".wav", ".flac", ".ogg")
HAIR = 0.01
"""How far, as a share of white, the numbers of float images may lie outside: what interpolating pictures leaves."""
FAINT = 2.0
"""Float images that reach further than 1 and not further than this are neither 0..1 nor 0..255."""
GO_ON = ", or go on without their trials by --fields partial=yes"
"""What else can be done about stimuli without a picture or a sound, where a reader knows the field `partial`."""
DIM = 100.0
"""Images in 0..255 of which none is brighter may be per cent, or another scale."""
ON_GRID, GREYS = 0.01, 6
"""How near to a 255th, in 255ths, all numbers of a picture lie that was made of bytes, and how many of them differ."""
BRIGHT = 0.2
"""Means from here on are those of a picture in 0..1, not of an all but black one in 0..255."""
NAMED = 3
"""Ids or files that are named as examples."""


LONGEST = 240
"""Bytes of an id as a file's name holds it; the sample's number and ending have to fit into 255 beside it."""


def check_ids(ids: Sequence[str], where: str) -> None:
    """Stimulus ids become file names: no empty ones, no slashes, no control characters, 120 characters at most.

    Letters other than those of ASCII take up to 12 bytes each of a file's name, which has 240 for an id.
    """
    for name in ids:
        subject = f"{where}, stimulus id {name[:60]!r}"
        if not re.fullmatch(r"[^/\\:*?\"<>|]{1,120}", name) or unseen(name) or name in (".", ".."):
            then = "rename it: ids become file names, so no slashes, colons or control characters"
            raise InputError(expected(subject, "a plain name", "this one", then))
        if (bytes_taken := len(quoted(name))) > LONGEST:
            what = f"an id of {LONGEST} bytes or fewer as a file's name"
            found = f"one of {len(name)} letters that takes {bytes_taken}"
            raise InputError(expected(subject, what, found, "give shorter ids"))


def check_names(recording: Recording) -> None:
    """Refuses (InputError) a subject, region, split or group whose name is empty, and any name or label that holds what
    cannot be seen."""
    space, groups = recording.responses.space, [split.name.removeprefix(f"{LEAVE_OUT}-") for split in recording.splits]
    named = {
        "subject": [space.subject], "region": [region.name for region in recording.regions],
        "split or group": [*(split.name for split in recording.splits), *groups, *recording.left_out],
    }  # fmt: skip
    labels = recording.stimuli.labels.values()
    texts = {
        "unit": [space.unit], "betas": [space.betas], "space": [space.name],
        "atlas": [region.atlas for region in recording.regions],
        "label": [text for own in labels for label in own.items() for text in label],
    }  # fmt: skip
    for what, names in {**named, **texts}.items():
        for name in dict.fromkeys(names):
            empty = what in named and not name.strip()
            if empty or unseen(name):
                found = f"an empty one ({name[:60]!r})" if empty else f"{name[:60]!r}"
                then = "rename it"
                raise InputError(expected(f"{recording.source}, {what}", "a name that can be read", found, then))


@dataclass(frozen=True, kw_only=True)
class ArrayImages:
    """Opens images out of an array (image, H, W) or (image, H, W, 3) as PIL RGB, one row at a time.

    row    image number -> its (H, W[, 3]) array
    rows   stimulus id -> image number
    top    the number that stands for white: 1 or 255
    note   a sentence on what had to be cut off, or ""
    """

    row: Callable[[int], NDArray[Any]] = field(repr=False)
    rows: Mapping[str, int] = field(repr=False)
    top: int
    where: str
    note: str = ""

    def __call__(self, stimulus: str) -> Any:
        """The image of that id; numbers outside 0..top are an InputError."""
        return self.image(self.rows[stimulus])

    def image(self, number: int) -> Any:
        """The image of that number."""
        from PIL import Image

        values = np.asarray(self.row(number))
        low, high = _bounds(values)
        hair = HAIR * self.top if values.dtype.kind == "f" else 0
        if not (-hair <= low and high <= self.top + hair):
            came = f"{low:g}..{high:g} in image {number}"
            raise InputError(expected(self.where, f"numbers in 0..{self.top}", came, "scale all images alike"))
        whole = np.clip(values.astype(np.float64) * (255 / self.top), 0, 255)
        pixels = np.rint(whole).astype(np.uint8)
        colours = np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels
        return Image.fromarray(np.ascontiguousarray(colours))


def array_images(
    row: Callable[[int], NDArray[Any]],
    *,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    where: str,
    look: Iterable[int] | None = None,
) -> ArrayImages:
    """The opener of an array of images, before images are matched to stimuli. Binary, 0..1 and 0..255 are known.

    What stands for white is told by the numbers of the images `look` (none named: all). Other ranges, another place
    of the colours and transparency are an InputError. `shape` is (image, height, width) or (image, height, width, 3);
    `row` gives one image.
    """
    _check_shape(shape, dtype, where)
    real = dtype.kind == "f"
    lowest, highest, outside = 0.0, 0.0, [0, 0]
    faint: list[float] = []
    bright_is_whole = True
    for number in range(shape[0]) if look is None else look:
        values = np.asarray(row(number))
        low, high = _bounds(values)
        if not np.isfinite((low, high)).all():
            raise InputError(expected(where, "finite numbers", f"NaN or infinity in image {number}", "export it again"))
        lowest, highest = min(lowest, low), max(highest, high)
        if real:
            whole = bool((values == np.rint(values)).all())
            bright_is_whole &= whole or high <= 1 + HAIR
            faint += [_of_one(values)] * (0 < high <= 1 + HAIR and not whole)
            outside[0] += int(((values < 0) | (values > 1)).sum())
            outside[1] += int(((values < 0) | (values > 255)).sum())
    top = 1 if highest <= (1 + HAIR if real else 1) else 255
    _check_range(lowest, highest, real=real, where=where)
    dark = len(faint) * (top == 255)
    if dark and (bright_is_whole or sum(faint) >= 1):
        came = f"{dark} images in 0..1 among others that reach {highest:g}"
        raise InputError(expected(where, "images on one scale", came, "scale all images alike"))
    count = outside[top == 255]
    reach = f"they reach {lowest:.8g}..{highest:.8g}"
    notes = [f"images: {count} numbers lie outside 0..{top} by a hair ({reach}) and are cut off there"] * (count > 0)
    if dark:
        then = "scale all images alike if they are bright"
        notes.append(f"images: {dark} that reach no further than 1 are taken as dark ones in 0..255; {then}")
    if top == 255 and highest <= DIM:
        then = "divide them by the number that is white if it is another"
        notes.append(f"images: numbers that reach {highest:.8g} are taken as 0..255, which shows them dark; {then}")
    return ArrayImages(row=row, rows={}, top=top, where=where, note="; ".join(notes))


def _of_one(values: NDArray[Any]) -> float:
    """How surely a float image that reaches no further than 1 is one in 0..1, and no dark one in 0..255.

    1 where its numbers are 255ths; a half, so that two of them are needed, where it is as bright as a picture is.
    """
    grey = values.astype(np.float64) * 255
    on_grid = bool((np.abs(grey - np.rint(grey)) < ON_GRID).all()) and len(np.unique(np.rint(grey))) >= GREYS
    return 1.0 if on_grid else 0.5 if float(values.mean()) >= BRIGHT else 0.0


def _bounds(values: NDArray[Any]) -> tuple[float, float]:
    return (float(values.min()), float(values.max())) if values.size else (np.nan, np.nan)


def _check_shape(shape: Sequence[int], dtype: np.dtype[Any], where: str) -> None:
    fits = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
    if dtype.kind in "biuf" and fits and all(shape):
        return
    then = "store numbers, colours last"
    if len(shape) == 4 and all(shape):
        then = "put the colours last"
        if shape[3] == 1:
            then = "take the last axis out: images[..., 0]"
        elif shape[1] == 1:
            then = "take the second axis out: images[:, 0]"
        elif shape[1] in (3, 4):
            then = "put the colours last: images.transpose(0, 2, 3, 1)"
        elif shape[3] == 4:
            then = "lay transparency on its background and store three colours: images[..., :3] where nothing is clear"
    came = f"{dtype} {tuple(shape)}"
    raise InputError(expected(where, "numbers (image, H, W) or (image, H, W, 3)", came, then))


def _check_range(low: float, high: float, *, real: bool, where: str) -> None:
    """Refuse what is neither 0..1 nor 0..255, floats of either give or take a hair."""
    top = 255 if high > (FAINT if real else 1) else 1
    hair = HAIR * top if real else 0
    if low >= -hair and high <= top + hair:
        return
    then = "scale all images alike"
    if -1 - HAIR <= low < -0.5 and high <= 1 + HAIR:
        then = "store (images + 1) / 2"
    elif real and -0.5 <= low < -hair and high <= FAINT:
        then = "cut them off at 0 and 1 if they are 0..1"
    elif low >= 0 and not real and high <= 65535:
        then = "store 8 bits: images / 257 of 16 bits, images / 16 of 12 bits"
    elif low >= -hair and high <= FAINT:
        then = "cut them off at 1 if they are 0..1"
    raise InputError(expected(where, "numbers in 0..255 or 0..1", f"{low:g}..{high:g}", then))


@dataclass(frozen=True, kw_only=True)
class FolderMedia:
    """Opens the files of a folder: PIL RGB images, or ((sample,) float32, rate in Hz) sounds. `files`: id -> file."""

    files: Mapping[str, Path] = field(repr=False)

    def __call__(self, stimulus: str) -> Any:
        """The image or sound of that id."""
        path = self.files[stimulus]
        return read_wave(path) if path.suffix.lower() in SOUND_ENDINGS else open_image(path)

    def notes(self) -> tuple[str, ...]:
        """A sentence where the pictures are of several sizes, and what becomes of them; headers alone are read."""
        pictures = [path for path in self.files.values() if path.suffix.lower() in IMAGE_ENDINGS]
        sizes = Counter(size for path in pictures if (size := size_of(path)))
        if len(sizes) < 2:
            return ()
        named = ", ".join(f"{width} x {height} ({count})" for (width, height), count in sizes.most_common(NAMED))
        more = f" and {len(sizes) - NAMED} more" * (len(sizes) > NAMED)
        then = "each is scaled to the one size that a recipe reads and draws"
        if len({width / height for width, height in sizes}) > 1:
            then += ", of another shape its centre alone, so that its edges are neither read nor judged"
        return (f"pictures are of {len(sizes)} sizes, {named}{more}: {then}",)


@dataclass(frozen=True, kw_only=True)
class NoMedia:
    """Stands where the data bring no pictures: decoding can do without, whatever needs them is refused.

    likely  a folder beside the data whose files are called like stimuli, "" for none
    """

    where: str
    likely: str = ""

    def __call__(self, stimulus: str) -> Any:
        """Always an InputError."""
        then = "put `images` in the file, or a folder `images` or `sounds` beside it"
        if self.likely:
            then = f"name their folder, --fields folder={self.likely}, in which files are called like the stimuli"
        raise InputError(expected(self.where, f"the picture or sound of {stimulus}", "none", then))


def folder_media(folder: Path, ids: Sequence[str], *, partial: bool = False, then: str = "") -> tuple[FolderMedia, str]:
    """The opener of a folder's files and its modality; an id is a file's name with or without its ending.

    Names are compared with their accents composed (NFC), for a Mac takes them apart. An id without a file, an id of
    two files, a file that is a dead link, and pictures among sounds are an InputError.

    partial  whether some ids may have no file; `then` is what else can be done about those where it is not
    """
    names: dict[str, list[Path]] = {}
    for path in listed(folder):
        if path.suffix.lower() in IMAGE_ENDINGS + SOUND_ENDINGS:
            for name in {composed(path.name), composed(path.stem)}:
                names.setdefault(name, []).append(path)
    files = {name: names.get(composed(name), []) for name in ids}
    missing = [name for name, paths in files.items() if not paths]
    if missing and (not partial or len(missing) == len(files)):
        came = f"none for {len(missing)}: {examples(missing)} (there: {_there(folder)})"
        then = "name the files after the stimulus ids" + then * (len(missing) < len(files))
        raise InputError(expected(folder, f"a file for {len(files)} stimuli", came, then))
    twice = [name for name, paths in files.items() if len(paths) > 1]
    if twice:
        came = f"{examples([path.name for path in files[twice[0]]])}"
        raise InputError(expected(folder, f"one file for stimulus {twice[0]!r}", came, "keep one of them there"))
    found = {name: paths[0] for name, paths in files.items() if paths}
    chosen = {name: present(path, what="a picture or a sound", then="put it back") for name, path in found.items()}
    sounds = [name for name, path in chosen.items() if path.suffix.lower() in SOUND_ENDINGS]
    if sounds and len(sounds) < len(chosen):
        raise InputError(expected(folder, "images or sounds", "both", "keep them in two data sets"))
    return FolderMedia(files=chosen), "sound" if sounds else "image"


def likely_folder(homes: Iterable[Path], ids: Sequence[str]) -> str:
    """The first folder in one of `homes` that holds a picture or sound called like a stimulus, "" for none."""
    known = {composed(name) for name in ids}
    for folder in (one for home in homes for one in listed(home) if one.is_dir() and os.access(one, os.R_OK)):
        files = (one for one in listed(folder) if one.suffix.lower() in IMAGE_ENDINGS + SOUND_ENDINGS)
        if any({composed(one.name), composed(one.stem)} & known for one in files):
            return folder.name
    return ""


def by_ending(missing: Sequence[str], known: Iterable[str]) -> str:
    """The file ending, such as ".png", in which alone `missing` ids differ from `known` ones, "" where it is more."""
    there = set(known)
    for ending in (IMAGE_ENDINGS + SOUND_ENDINGS) if missing else ():
        bare = [name.removesuffix(ending) for name in missing]
        if all(f"{name}{ending}" in there for name in missing) or (set(bare) <= there and bare != list(missing)):
            return ending
    return ""


def without_media(ids: Sequence[str], missing: Sequence[str]) -> str:
    """The note on stimuli that have no picture or sound, "" where none lacks one."""
    if not missing:
        return ""
    there = f"{len(ids) - len(missing)} of {len(ids)} stimuli have a picture or sound"
    return f"{there}; the trials of the others are left out: {examples(missing)}"


def examples(names: Sequence[str]) -> str:
    """The first few of `names` in quotes, and "..." where there are more."""
    return ", ".join(repr(name[:60]) for name in names[:NAMED]) + ", ..." * (len(names) > NAMED)


def _there(folder: Path) -> str:
    """What lies in a folder, in words."""
    inside = listed(folder)
    folders = [path.name for path in inside if path.is_dir()]
    files = [path.name for path in inside if not path.is_dir()]
    found = [f"folders {examples(folders)}"] * bool(folders) + [examples(files)] * bool(files)
    return " and ".join(found) or "nothing"
