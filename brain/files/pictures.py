"""Picture files: the one road from a file to RGB pixels, for what was shown, what was drawn and what is judged.

    open_image(path)           -> PIL image, mode RGB, upright
    decode_image(data, path)   -> the same of bytes in memory
    size_of(path)              -> (width, height) by the header alone

What does not show in one certain way is refused: floating point and 32-bit pixels, animations, and whatever is in none
of `FORMATS`, for Pillow's others start programs (PostScript) or are no pictures of a study.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from brain.errors import InputError, expected
from brain.files.paths import damage, kind_of, present

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
"""What is opened, by its content and whatever the file is called."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm")
MOVING = ("GIF", "WEBP", "PNG", "TIFF")
"""Formats whose second picture makes an animation or a stack; a JPEG's is a camera's preview."""
ORIENTATION = 0x0112
"""The EXIF tag that turns a picture; 5 to 8 lay it on its side."""
LARGEST_FILE = 256 * 2**20
LARGEST_IMAGE = 64_000_000
"""A file of more bytes, or a picture of more pixels, is refused before it is decoded."""


def read_bytes(path: Path, *, what: str = "image") -> bytes:
    """The bytes of an image or sound file; an absent or unreadable one, or one above 256 MiB, is an InputError."""
    return present(path, what=f"a readable {what} file", then="restore the file", limit=LARGEST_FILE).read_bytes()


def open_image(path: Path) -> Image.Image:
    """The image file at `path` as 8-bit RGB (see `decode_image`)."""
    return decode_image(read_bytes(path), path)


def size_of(path: Path) -> tuple[int, int] | None:
    """(width, height) of the upright picture by its header; None where that says none, of which `open_image` says why.

    An absent file is an InputError.
    """
    present(path, what="a readable image file", then="restore the file", limit=LARGEST_FILE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with damage(path, what="an image", then="replace the file"), Image.open(path, formats=FORMATS) as picture:
                turned = picture.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
                return (picture.height, picture.width) if turned else (picture.width, picture.height)
        except InputError:
            return None


def decode_image(data: bytes, path: object) -> Image.Image:
    """The picture in `data` as 8-bit RGB; `path` only names it in errors.

    EXIF rotation is applied, transparency laid on white, 16 bits scaled to 8, palettes and CMYK converted. Moving
    images, floating-point and 32-bit pixels, more than 64 million pixels and other formats than `FORMATS` are an
    InputError.
    """
    what = f"an image ({', '.join(FORMATS)})"
    if kind_of(data[:512]) == "a PostScript file":
        raise InputError(expected(path, what, "a PostScript file", "save it as PNG"))
    with damage(path, what=what, then="replace the file"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow only warns of is refused below, by size or by the decoder
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
        frames = getattr(picture, "n_frames", 1) if picture.format in MOVING else 1
    if picture.width * picture.height > LARGEST_IMAGE:
        found = f"{picture.width} x {picture.height}"
        raise InputError(expected(path, f"at most {LARGEST_IMAGE:,} pixels", found, "make the image smaller"))
    if frames > 1:
        raise InputError(
            expected(path, "one picture that does not move", f"an animation ({frames})", "save the frame you mean")
        )
    with damage(path, what="a whole image", then="replace the file"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture.load()
        return _rgb(ImageOps.exif_transpose(picture), path)


def _rgb(picture: Image.Image, path: object) -> Image.Image:
    if picture.mode == "F":
        raise InputError(expected(path, "pixels of 8 or 16 bits", "floating point", "save it as 8-bit PNG"))
    if picture.mode.startswith("I"):
        grey = np.asarray(picture, np.int64)
        low, high = int(grey.min(initial=0)), int(grey.max(initial=0))
        # 32-bit files hold 0..255 as often as 0..65535: where the numbers do not tell, neither do we
        if low < 0 or high > 65535 or (picture.mode == "I" and 0 < high <= 255):
            found = f"32-bit numbers {low}..{high}"
            raise InputError(expected(path, "pixels of 8 or 16 bits", found, "save it as 8-bit PNG"))
        return Image.fromarray(((grey + 128) // 257).astype(np.uint8), "L").convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        over = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    return picture.convert("RGB")
