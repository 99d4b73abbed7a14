"""Pictures as networks take them: squashed to a square by PIL, scaled to 0..1, normalised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def prepare(
    batch: Sequence[Image.Image],
    *,
    sizes: Sequence[tuple[int, int]],
    mean: Sequence[float] | NDArray[np.float32],
    std: Sequence[float] | NDArray[np.float32],
    resample: Image.Resampling = Image.Resampling.BILINEAR,
) -> NDArray[np.float32]:
    """(picture, 3, height, width) float32 in C order of RGB pictures of any size.

    sizes  (height, width) of one resize after the other
    """
    # PIL and not torch: it antialiases in every version, where torchvision resized tensors without (before 0.17) and
    # with it (since), so that published numbers hang on a version; and torchvision need not be there.
    stack = np.stack([np.asarray(_resized(picture, sizes, resample), np.float32) for picture in batch]) / 255
    normal = (stack - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return np.ascontiguousarray(normal.transpose(0, 3, 1, 2))


def _resized(picture: Image.Image, sizes: Sequence[tuple[int, int]], resample: Image.Resampling) -> Image.Image:
    for height, width in sizes:
        picture = picture.resize((width, height), resample)
    return picture
