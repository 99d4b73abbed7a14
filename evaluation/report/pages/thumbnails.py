"""Pictures inside a page: WebP, small ones without loss, larger ones smaller the more there are of them.

    shown = thumbnails(samples, lambda one: open_sample(home, one))
    shown[samples[0]].uri
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from PIL import Image

from evaluation.report.pages.frame import data_uri

SIDES = (256, 192, 128, 96)
"""Longer sides in pixels, of which the first is taken by which all pictures have room."""
ROOM = 5_500_000
"""Bytes that the pictures of a page may take as they stand in it; the first of each row stand there twice."""
SMALL = 96
"""Pictures up to this side are kept as they are, without loss, and shown with their pixels as squares."""
QUALITY = 82

Key = TypeVar("Key")


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A picture as a page has it: its data URI and its size in pixels."""

    uri: str
    width: int
    height: int

    @property
    def small(self) -> bool:
        """Whether its pixels are to be seen as squares."""
        return max(self.width, self.height) <= SMALL


def thumbnails(keys: Iterable[Key], opened: Callable[[Key], Image.Image]) -> dict[Key, Thumbnail]:
    """Key -> its picture, all by one rule; at the smallest side they may take more than the room."""
    keys = tuple(dict.fromkeys(keys))
    found: dict[Key, Thumbnail] = {}
    for side in SIDES:
        found = {key: webp(opened(key), side) for key in keys}
        if sum(len(one.uri) for one in found.values()) <= ROOM:
            break
    return found


def webp(image: Image.Image, side: int) -> Thumbnail:
    """A picture as WebP: up to `SMALL` pixels bit for bit, else with a longer side of at most `side`."""
    small, out = image.convert("RGB"), io.BytesIO()
    if max(small.size) <= min(side, SMALL):
        small.save(out, "WEBP", lossless=True, quality=0, method=2)  # as small as its default, in a quarter of the time
    else:
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        small.save(out, "WEBP", quality=QUALITY)
    return Thumbnail(uri=data_uri(out.getvalue(), "image/webp"), width=small.width, height=small.height)
