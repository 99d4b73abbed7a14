"""Pictures and sounds of one's own: arrays in a file, or a folder of image or wav files, opened one at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.files import present

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
SOUND_ENDINGS = (".wav", ".flac", ".ogg")
PIXELS = 64_000_000
"""A picture of more pixels than this is refused before it is decoded."""
SAMPLES = 100_000_000
"""A sound of more samples than this, channels counted, is refused before it is decoded."""
LOOK_AT = 256
"""Images looked at to tell what numbers they hold."""


def check_ids(ids: Sequence[str], where: str) -> None:
    """Stimulus ids become file names: no empty ones, no slashes, no control characters, 120 characters at most."""
    for name in ids:
        if not re.fullmatch(r"[^/\\\x00-\x1f\x7f:*?\"<>|]{1,120}", name) or name in (".", ".."):
            then = "rename it: ids become file names, so no slashes, colons or control characters"
            raise InputError(expected(f"{where}, stimulus id {name[:60]!r}", "a plain name", "this one", then))


@dataclass(frozen=True, kw_only=True)
class ArrayImages:
    """Opens images out of an array (image, H, W) or (image, H, W, 3) as PIL RGB, one row at a time.

    row    image number -> its (H, W[, 3]) array
    rows   stimulus id -> image number
    top    the number that stands for white: 1 or 255
    """

    row: Callable[[int], NDArray[Any]] = field(repr=False)
    rows: Mapping[str, int] = field(repr=False)
    top: int
    where: str

    def __call__(self, stimulus: str) -> Any:
        """The image of that id; numbers outside 0..top are an InputError."""
        return self.image(self.rows[stimulus])

    def image(self, number: int) -> Any:
        """The image of that number."""
        from PIL import Image

        values = np.asarray(self.row(number))
        bounds = (values.min(), values.max()) if values.size else (np.nan, np.nan)
        if not (np.isfinite(bounds).all() and bounds[0] >= 0 and bounds[1] <= self.top):
            came = f"{bounds[0]}..{bounds[1]} in image {number}"
            raise InputError(expected(self.where, f"numbers in 0..{self.top}", came, "scale all images alike"))
        pixels = np.rint(values.astype(np.float64) * (255 / self.top)).astype(np.uint8)
        colours = np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels
        return Image.fromarray(np.ascontiguousarray(colours))


def array_images(
    row: Callable[[int], NDArray[Any]], *, shape: Sequence[int], dtype: np.dtype[Any], where: str
) -> ArrayImages:
    """The opener of an array of images, before it is told whose image is whose. Binary, 0..1 and 0..255 are known."""
    if dtype.kind not in "biuf" or len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 3) or not shape[0]:
        came = f"{dtype} {tuple(shape)}"
        raise InputError(expected(where, "numbers (image, H, W) or (image, H, W, 3)", came, "put the colours last"))
    look = np.unique(np.linspace(0, shape[0] - 1, LOOK_AT).astype(int)).tolist()
    highest = max(float(np.max(row(number), initial=0)) for number in look)
    return ArrayImages(row=row, rows={}, top=1 if highest <= 1 else 255, where=where)


@dataclass(frozen=True, kw_only=True)
class FolderMedia:
    """Opens the files of a folder: PIL RGB images, or ((sample,) float32, rate in Hz) sounds. `files`: id -> file."""

    files: Mapping[str, Path] = field(repr=False)

    def __call__(self, stimulus: str) -> Any:
        """The image or sound of that id."""
        path = self.files[stimulus]
        return open_sound(path) if path.suffix.lower() in SOUND_ENDINGS else open_image(path)


@dataclass(frozen=True, kw_only=True)
class NoMedia:
    """Stands where the data bring no pictures: decoding can do without, whatever needs them is told so."""

    where: str

    def __call__(self, stimulus: str) -> Any:
        """Always an InputError."""
        then = "put `images` in the file, or a folder `images` or `sounds` beside it"
        raise InputError(expected(self.where, f"the picture or sound of {stimulus}", "none", then))


def folder_media(folder: Path, ids: Sequence[str]) -> tuple[FolderMedia, str]:
    """The opener of a folder's files and its modality; an id is a file's name with or without its ending."""
    names: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_ENDINGS + SOUND_ENDINGS:
            names.setdefault(path.stem, path)
            names[path.name] = path
    missing = [name for name in ids if name not in names]
    if missing:
        then = "name the files after the stimulus ids"
        raise InputError(expected(folder, f"a file for {len(ids)} stimuli", f"none for {missing[0]!r}", then))
    files = {name: names[name] for name in ids}
    sounds = [name for name, path in files.items() if path.suffix.lower() in SOUND_ENDINGS]
    if sounds and len(sounds) < len(files):
        raise InputError(expected(folder, "images or sounds", "both", "keep them in two data sets"))
    return FolderMedia(files=files), "sound" if sounds else "image"


def open_image(path: Path) -> Any:
    """An image file as PIL RGB, turned as its EXIF says; 16-bit grey is scaled to 8 bits, transparency is dropped."""
    from PIL import Image, ImageOps

    present(path, what="an image", then="put it back")
    try:
        with Image.open(path) as image:
            if image.width * image.height > PIXELS:
                came = f"{image.width} x {image.height}"
                raise InputError(expected(path, f"an image below {PIXELS} pixels", came, "make it smaller"))
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):
                grey = np.asarray(upright, np.int64)
                upright = Image.fromarray((np.clip(grey, 0, 65535) >> 8).astype(np.uint8))
            return upright.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(expected(path, "an intact image", f"a damaged one ({error})", "fetch it again")) from error


def open_sound(path: Path) -> tuple[NDArray[np.float32], int]:
    """A sound file as ((sample,) float32 in -1..1, rate in Hz); channels are averaged."""
    import soundfile

    present(path, what="a sound", then="put it back")
    try:
        with soundfile.SoundFile(path) as sound:
            if not 0 < sound.frames * sound.channels <= SAMPLES:
                came = f"{sound.frames} frames"
                raise InputError(expected(path, f"1 to {SAMPLES} samples", came, "cut the sound shorter"))
            waveform = sound.read(dtype="float32", always_2d=True).mean(axis=1)
            rate = int(sound.samplerate)
    except soundfile.LibsndfileError as error:
        raise InputError(expected(path, "an intact sound", f"a damaged one ({error})", "fetch it again")) from error
    if not np.isfinite(waveform).all():
        raise InputError(expected(path, "finite samples", "NaN or infinity", "export the sound again"))
    return np.asarray(waveform, np.float32), rate
