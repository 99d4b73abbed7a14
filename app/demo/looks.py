"""What stands in a page of the demo: pictures and sounds as data URIs, patterns on slices of their grid, a chart.

Nothing here is a file, so that no server has to hand one out.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from brain.types import Float
from brain.voxels import VoxelSpace
from encoders.sounds.mel import log_mel_tensor
from evaluation.report.pages.players import mel_png, rms
from evaluation.samples.sounds import SILENT, wav_bytes

SPECTROGRAM = (256, 128)
"""Pixels of a spectrogram: width, height."""
SMALL = 128
"""Pictures up to so many pixels a side are enlarged pixel by pixel, not smoothed."""
STRONG = 2.5
"""The z-score that has the deepest colour."""
SLICES = 12
SIGNED = "afterimage"
"""The text chunk of a saved PNG that says what it was made with."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One picture or sound with its name.

    title, note  what it is, and one short line below
    uri          the picture or the spectrogram, "" where there is none: then `note` says why
    wav          the sound at the level that the players beside it share, "" of pictures
    file         the stored file itself, to be saved under `name`; signed: the same picture with its settings inside
    kind         "seen", "decoded", "control" or "near"
    small        whether its pixels are to be enlarged as they are
    right        of those that are compared: whether it is the true one; None where that is not asked
    """

    title: str
    note: str = ""
    uri: str = ""
    wav: str = ""
    file: str = ""
    name: str = ""
    signed: str = ""
    kind: str = "control"
    small: bool = False
    right: bool | None = None


def uri_of(data: bytes, kind: str = "image/png") -> str:
    """Bytes as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def bytes_of(uri: str) -> bytes:
    """The bytes of a data URI."""
    return base64.b64decode(uri.partition(",")[2])


def picture_uri(picture: Image.Image, *, quality: int = 0) -> str:
    """A picture as PNG, or as JPEG of that quality, which is what previews are sent as."""
    out = io.BytesIO()
    if quality and max(picture.size) > SMALL:
        picture.save(out, "JPEG", quality=quality)
        return uri_of(out.getvalue(), "image/jpeg")
    picture.save(out, "PNG")
    return uri_of(out.getvalue())


def signed_uri(picture: Image.Image, facts: Mapping[str, Any]) -> str:
    """A picture as PNG with what it was made with inside, as JSON in its text chunk "afterimage"; its pixels stay.

    facts  the command, the seed and whose brain it is among them, text and numbers alone
    """
    known, out = PngInfo(), io.BytesIO()
    known.add_itxt(SIGNED, json.dumps(facts, ensure_ascii=False, sort_keys=True))
    picture.save(out, "PNG", pnginfo=known)
    return uri_of(out.getvalue())


def preview_uri(seen: Any) -> str:
    """What a step has in mind: a picture, or a log-mel (frame, mel)."""
    return picture_uri(seen, quality=80) if isinstance(seen, Image.Image) else uri_of(mel_png(seen, SPECTROGRAM))


def player_uri(wave: Float, *, level: float, name: str) -> str:
    """A sound (sample,) at 16 kHz as WAV at that RMS; "" for silence, which no player plays."""
    if float(np.abs(wave).max(initial=0)) < SILENT:
        return ""
    return uri_of(wav_bytes(np.asarray(wave * (level / rms(wave)), np.float32), name=name), "audio/wav")


def spectrogram_uri(wave: Float) -> str:
    """The log-mel spectrogram of a sound (sample,) at 16 kHz."""
    import torch

    from pipelines.sampling.micro_batches import MicroBatches

    # on one thread of its own: a second team of OpenMP threads makes all that the worker does three times as slow
    alone = MicroBatches(width=1, threads=1)
    mel = alone.run(log_mel_tensor, torch.from_numpy(np.array(wave, np.float32)[None]))[0].numpy()
    return uri_of(mel_png(mel, SPECTROGRAM))


def slice_uris(values: Float, space: VoxelSpace) -> tuple[str, ...]:
    """A pattern (voxel,) of z-scores on axial slices of its own grid, left at the left, front at the top; red is up.

    The grid is turned to the nearest axes, never resampled; what is no voxel of the data is transparent.
    """
    import matplotlib
    import nibabel

    volume = np.full(space.shape, np.nan, np.float32)
    volume[tuple(space.ijk.T)] = values
    turned = np.asarray(nibabel.as_closest_canonical(nibabel.Nifti1Image(volume, space.affine)).dataobj)
    known = np.argwhere(np.isfinite(turned))
    low, high = known.min(0), known.max(0) + 1
    box = turned[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    filled = np.flatnonzero(np.isfinite(box).any((0, 1)))
    chosen = filled[np.unique(np.linspace(0, len(filled) - 1, min(SLICES, len(filled))).round().astype(int))]
    return tuple(picture_uri(Image.fromarray(_plane(box[:, :, k], matplotlib.colormaps["RdBu_r"]))) for k in chosen)


def _plane(values: Float, colours: Any) -> NDArray[np.uint8]:
    """(y, x, 4) uint8 of one slice (x, y)."""
    shade = colours(np.clip(np.nan_to_num(values) / STRONG, -1, 1) / 2 + 0.5)
    shade[..., 3] = np.isfinite(values)
    return np.asarray(np.round(255 * shade).transpose(1, 0, 2)[::-1], np.uint8)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Lines over steps as SVG coordinates in a box of 100 by 40, y downwards: (points, latest value) each; its ends."""

    lines: tuple[tuple[str, str], ...]
    low: str
    high: str
    steps: int


def chart_of(trajectories: Sequence[Sequence[float]], *, steps: int) -> Chart | None:
    """(line, step) values as a chart that has room for `steps`; None before there are two."""
    if not trajectories or len(trajectories[0]) < 2:
        return None
    flat = [value for trajectory in trajectories for value in trajectory]
    low, high = min(flat), max(flat)
    reach, wide = (high - low) or 1.0, max(1, steps - 1)
    lines = tuple(
        (
            " ".join(
                f"{100 * at / wide:.2f},{40 - 40 * (value - low) / reach:.2f}" for at, value in enumerate(trajectory)
            ),
            f"{trajectory[-1]:.2f}".replace("-", "−"),
        )
        for trajectory in trajectories
    )
    return Chart(lines=lines, low=f"{low:.1f}".replace("-", "−"), high=f"{high:.1f}".replace("-", "−"), steps=steps)
