"""Images as the judge writes them; they are read by `brain.files.pictures`, the one road for pictures."""

from __future__ import annotations

import io

from PIL import Image

from brain.errors import InputError

IMAGE = "image"
"""What a folder of pictures holds, as judges and profiles name it; `evaluation.samples.sounds.SOUND` is the other."""


def png_bytes(image: Image.Image) -> bytes:
    """`image` as PNG without any metadata: the same pixels give the same bytes."""
    if image.mode != "RGB":
        raise InputError(f"a sample: expected an RGB image, found mode {image.mode}; convert it first")
    clean = Image.frombytes(image.mode, image.size, image.tobytes())
    out = io.BytesIO()
    clean.save(out, "PNG", optimize=False, compress_level=6)
    return out.getvalue()
