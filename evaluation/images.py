"""Images as the judge sees them: any picture that is handed over, read as 8-bit RGB or refused in one sentence."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from brain.errors import InputError

IMAGE = "image"
"""What a folder of pictures holds, as judges and profiles name it; `evaluation.sounds.SOUND` is the other."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm")
LARGEST_FILE = 256 * 2**20
LARGEST_IMAGE = 64_000_000
PAPER = (255, 255, 255)


def read_bytes(path: Path, *, what: str = IMAGE) -> bytes:
    """The bytes of an image or sound file; an absent or unreadable one, or one above 256 MiB, is an InputError."""
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise InputError(
                f"{path}: expected a file of at most 256 MiB, found {size / 2**20:.0f} MiB; make it smaller"
            )
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: expected a readable {what} file, found {error.strerror}; restore the file"
        ) from error


def decode_image(data: bytes, path: Path) -> Image.Image:
    """The picture in `data` as 8-bit RGB; `path` only names it in errors.

    EXIF rotation is applied, transparency laid on white, 16 bits scaled to 8, palettes and CMYK converted. Moving
    images, floating-point pixels, more than 64 million pixels and other formats than `FORMATS` are an InputError.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except (UnidentifiedImageError, SyntaxError) as error:
        raise InputError(f"{path}: expected an image ({', '.join(FORMATS)}), found none of them; replace it") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path}: {_TOO_LARGE}") from error
    if picture.width * picture.height > LARGEST_IMAGE:
        raise InputError(f"{path}: {_TOO_LARGE}")
    if getattr(picture, "is_animated", False) and picture.format in ("GIF", "WEBP", "PNG"):
        raise InputError(f"{path}: expected one still picture, found an animation; save the frame that is meant")
    try:
        picture.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: expected a whole image, found a damaged one ({error}); replace the file") from error
    return _rgb(ImageOps.exif_transpose(picture), path)


_TOO_LARGE = f"expected at most {LARGEST_IMAGE:,} pixels, found more; make the image smaller"


def _rgb(picture: Image.Image, path: Path) -> Image.Image:
    if picture.mode == "F":
        raise InputError(f"{path}: expected pixels of 8 or 16 bits, found floating point; save it as 8-bit PNG")
    if picture.mode.startswith("I"):
        grey = np.asarray(picture, np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise InputError(f"{path}: expected pixels of 8 or 16 bits, found {grey.max()}; save it as 8-bit PNG")
        return Image.fromarray(((grey + 128) // 257).astype(np.uint8), "L").convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        over = picture.convert("RGBA")
        paper = Image.new("RGBA", over.size, (*PAPER, 255))
        return Image.alpha_composite(paper, over).convert("RGB")
    return picture.convert("RGB")


def open_image(path: Path) -> Image.Image:
    """The image file at `path` as 8-bit RGB (see `decode_image`)."""
    return decode_image(read_bytes(path), path)


def png_bytes(image: Image.Image) -> bytes:
    """`image` as PNG without any metadata: the same pixels give the same bytes."""
    if image.mode != "RGB":
        raise InputError(f"a sample: expected an RGB image, found mode {image.mode}; convert it first")
    clean = Image.frombytes(image.mode, image.size, image.tobytes())
    out = io.BytesIO()
    clean.save(out, "PNG", optimize=False, compress_level=6)
    return out.getvalue()
