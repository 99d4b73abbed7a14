"""The gallery of a page: every stimulus beside all its decodes and one sample of each other row."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from evaluation.report.pages.doubt import Spelled, spelled
from evaluation.report.pages.ladder import number
from evaluation.report.pages.players import SoundPicture, SoundStrips
from evaluation.report.types import Report
from evaluation.samples.rows import controls_last
from evaluation.samples.types import Sample, Samples

THUMB = 128
NATIVE = 96
MANY = 4000


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture in the gallery: a data URI, or none with the reason why."""

    uri: str
    why: str
    small: bool


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One stimulus in the gallery: what was seen, all its decodes, one sample of each control, what posteriors say."""

    stimulus: str
    captions: tuple[str, ...]
    labels: tuple[str, ...]
    marks: tuple[str, ...]
    seen: Picture | SoundPicture
    decoded: tuple[Picture | SoundPicture, ...]
    controls: tuple[Picture | SoundPicture, ...]
    words: tuple[Spelled, ...] = ()


def columns_of(samples: Samples) -> dict[str, Any]:
    """The columns of the gallery: the main row with how many samples it has, and (row, title) of the others."""
    depth = {row: 1 + max(sample.index for sample in samples.of(row)) for row in samples.rows()}
    main = "decoded" if "decoded" in depth else samples.rows()[0]
    return {
        "row": main,
        "title": samples.card(main).title,
        "decoded": depth[main],
        "controls": [(row, samples.card(row).title) for row in controls_last(depth, samples.cards) if row != main],
    }


def gallery(report: Report, samples: Samples, sounds: SoundStrips | None) -> list[Strip]:
    """Every test stimulus in the order of ids, never in the order of scores; `sounds` shows those that are sounds."""
    from brain.console.progress import progress

    def show(sample: Sample | None) -> Picture | SoundPicture:
        if sounds is None:
            return picture(samples, sample, side)
        return sounds.picture(sample, playable=sounds.plays(place))

    columns = columns_of(samples)
    kept = {sample.key: sample for sample in samples.samples}
    side = THUMB if len(kept) <= MANY else THUMB // 2
    two_way, category = report.score(columns["row"], "two_way"), report.score(columns["row"], "category")
    strips = []
    for place, stimulus in enumerate(progress(sorted(samples.references), desc="gallery", unit="stimulus")):
        shown = samples.references[stimulus]
        drawn = [kept.get((columns["row"], stimulus, index)) for index in range(columns["decoded"])]
        others = [kept.get((row, stimulus, 0)) for row, _ in columns["controls"]]
        strips.append(
            Strip(
                stimulus=stimulus,
                captions=shown.captions,
                labels=tuple(f"{group} {value}" for group, value in sorted(shown.labels.items())),
                marks=tuple(
                    f"{text} {number(float(s.values[place]))}"
                    for text, s in (("two-way", two_way), ("category", category))
                    if s is not None and np.isfinite(s.values[place])
                ),
                seen=show(shown),
                decoded=tuple(show(sample) for sample in drawn),
                controls=tuple(show(sample) for sample in others),
                words=spelled(report, stimulus),
            )
        )
    return strips


def picture(samples: Samples, sample: Sample | None, side: int) -> Picture:
    """A sample as a data URI: PNG as it is up to 96 pixels, else JPEG with no side above `side`."""
    if sample is None or sample.withheld:
        return Picture(uri="", why="withheld" if sample is not None else "none", small=False)
    image = samples.open(sample)
    out = io.BytesIO()
    if max(image.size) <= min(side, NATIVE):
        image.save(out, "PNG")
        kind = "png"
    else:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        image.save(out, "JPEG", quality=88)
        kind = "jpeg"
    uri = f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode()}"
    return Picture(uri=uri, why="", small=max(image.size) <= NATIVE // 2)
