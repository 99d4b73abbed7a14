"""The gallery of a page: stimuli beside all their decodes and one sample of each other row, as many as a page can hold.

    shelf = Shelf.of(report)
    shelf.fitting(names)        of these stimuli those that one page has room for, evenly spaced
    shelf.stimuli(names)        as a page shows them
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from brain.console.progress import progress
from evaluation.report.pages.doubt import Spelled, spelled
from evaluation.report.pages.ladder import WORDS, main_row, number, plotted
from evaluation.report.pages.players import PEAK_MP3, Sounds, common_level, player, spectrogram
from evaluation.report.pages.strip import every_nth, spread_score
from evaluation.report.pages.thumbnails import SIDES as THUMBNAILS
from evaluation.report.pages.thumbnails import webp
from evaluation.report.types import Report
from evaluation.samples.rows import controls_last
from evaluation.samples.sounds import SOUND
from evaluation.samples.types import Sample
from evaluation.score import Score

MOST = 60
"""Stimuli in one page."""
ROOM = 6_200_000
"""Characters of all pictures and sounds of a gallery, of the 8 MB that a page may have."""
SIDES = (*THUMBNAILS, 64)
"""Pixels of the longer side, the largest first, of which the first is taken that leaves room for `MOST` stimuli."""
TRIED = 4
"""Stimuli by which the size of the others is judged."""
NEAREST = "retrieval"
"""The row of the nearest training stimulus."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One picture or sound of a stimulus.

    title  of its row; kind "seen", "decoded" or "other"; alt: what it is, for those who do not see it
    uri    of the picture or the spectrogram, "" where there is none and `why` says so
    sound  the mp3, "" of pictures and of silence; small: whether its pixels are enlarged as they are
    """

    title: str
    kind: str
    alt: str
    uri: str = ""
    why: str = ""
    sound: str = ""
    small: bool = False


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """One stimulus in a gallery: what was shown, all its decodes, one sample of each other row, what posteriors say.

    marks   its first scores as text; scores, labels: JSON that the page's script sorts and filters by
    """

    name: str
    caption: str
    marks: tuple[str, ...]
    scores: str
    labels: str
    seen: Shot
    decoded: tuple[Shot, ...]
    others: tuple[Shot, ...]
    words: tuple[Spelled, ...] = ()

    @property
    def shots(self) -> tuple[Shot, ...]:
        """All of them, as they stand."""
        return (self.seen, *self.decoded, *self.others)

    @property
    def weight(self) -> int:
        """Characters of its pictures and sounds."""
        return sum(len(shot.uri) + len(shot.sound) for shot in self.shots)


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Stimuli of a report as a page shows them.

    main     the row of which all samples are shown, `depth` of them at most; rows: the others, one sample each
    scores   of the main row, by which stimuli are sorted; values: stimulus -> its values, NaN for none
    kept     stimulus -> its samples
    side     pixels of the longer side that no picture exceeds; sounds: how sounds are shown, None of pictures
    made     what has been made already
    """

    report: Report = field(repr=False)
    main: str
    depth: int
    rows: tuple[str, ...]
    scores: tuple[Score, ...] = field(repr=False)
    values: Mapping[str, tuple[float, ...]] = field(repr=False)
    kept: Mapping[str, tuple[Sample, ...]] = field(repr=False)
    side: int = SIDES[0]
    sounds: Sounds | None = None
    made: dict[tuple[int, tuple[str, ...], str], Stimulus] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, report: Report) -> Shelf:
        """The shelf of a report's samples, with pictures as large as can be."""
        samples, main = report.samples, main_row(report)
        rows = tuple(row for row in controls_last(samples.rows(), samples.cards) if row != main)
        depth = 1 + max((one.index for one in samples.of(main)), default=0)
        found = [report.score(main, name) for name in plotted(report)]
        scores = tuple(one for one in found if one is not None and np.isfinite(one.values).any())
        known = [dict(zip(one.ids, one.values.tolist(), strict=True)) for one in scores]
        values = {name: tuple(one.get(name, np.nan) for one in known) for name in samples.references}
        kept: dict[str, tuple[Sample, ...]] = {}
        for one in samples.samples:
            kept[one.stimulus] = (*kept.get(one.stimulus, ()), one)
        sounds = Sounds.of(samples) if samples.modality == SOUND else None
        return cls(
            report=report, main=main, depth=depth, rows=rows, scores=scores, values=values, kept=kept, sounds=sounds
        )  # fmt: skip

    def smaller(self, side: int) -> Shelf:
        """The same with no picture larger than that; sounds stay as they are."""
        return self if self.sounds is not None else replace(self, side=min(self.side, side))

    def strip(self) -> Shelf:
        """The same with one sample of the main row, and of the others the first that shows an existing stimulus."""
        looked_up = [row for row in self.rows if self.report.samples.card(row).looked_up]
        score = spread_score(self.report)
        places = [at for at, one in enumerate(self.scores) if score is not None and one.metric == score.metric]
        values = {name: tuple(found[at] for at in places) for name, found in self.values.items()}
        rows = tuple(sorted(looked_up, key=lambda row: row != NEAREST)[:1])
        scores = tuple(self.scores[at] for at in places)
        return replace(self, depth=1, rows=rows, scores=scores, values=values, made={})

    def fitting(self, names: Sequence[str]) -> tuple[Shelf, list[str]]:
        """With what size of pictures `MOST` of the stimuli fit into a page, and which: all, or evenly spaced ones."""
        shelf, room, wanted = self, 0, min(MOST, len(names))
        for side in SIDES if self.sounds is None else SIDES[:1]:
            shelf = replace(self, side=side)
            tried = shelf.stimuli(every_nth(names, TRIED))
            room = int(ROOM * len(tried) / max(1, sum(one.weight for one in tried)))
            if room >= wanted:
                break
        return shelf, every_nth(names, max(1, min(wanted, room)))

    def stimuli(self, names: Sequence[str], *, desc: str = "") -> list[Stimulus]:
        """These stimuli as they are named; with a `desc` under a progress bar of that name."""
        return [self.stimulus(name) for name in (progress(names, desc=desc, unit="stimulus") if desc else names)]

    def stimulus(self, name: str) -> Stimulus:
        """One stimulus, made once; a sample that was withheld, or is not there, says so in its place."""
        key = self.side, self.rows, name
        if key not in self.made:
            self.made[key] = self._stimulus(name)
        return self.made[key]

    def _stimulus(self, name: str) -> Stimulus:
        report, shown = self.report, self.report.samples.references[name]
        kept = {(one.row, one.index): one for one in self.kept.get(name, ())}
        drawn = [kept.get((self.main, index)) for index in range(self.depth)]
        others = [kept.get((row, 0)) for row in self.rows]
        level = self._level([shown, *drawn, *others])
        title, values = report.samples.card(self.main).title, self.values[name]
        titles = [f"{title} {index + 1}" if self.depth > 1 else title for index in range(self.depth)]
        done = WORDS[report.modality]["stimulus"]
        caption = shown.captions[0] if shown.captions else ""
        return Stimulus(
            name=name,
            caption=caption,
            marks=tuple(
                f"{self._title(one)} {number(value)}"
                for one, value in zip(self.scores, values, strict=True)
                if np.isfinite(value)
            ),
            scores=json.dumps([value if np.isfinite(value) else None for value in values]),
            labels=json.dumps(dict(sorted(shown.labels.items())), ensure_ascii=False),
            seen=self._shot(shown, title=done, kind="seen", level=level, about=caption or name),
            decoded=tuple(
                self._shot(one, title=label, kind="decoded", level=level, about=name)
                for label, one in zip(titles, drawn, strict=True)
            ),
            others=tuple(
                self._shot(one, title=report.samples.card(row).title, kind="other", level=level, about=name)
                for row, one in zip(self.rows, others, strict=True)
            ),
            words=spelled(report, name),
        )

    def metrics(self) -> list[dict[str, Any]]:
        """Title of every score that a gallery is sorted by, and whether less is better, in the order of the values."""
        return [{"title": self._title(one), "lower": one.lower} for one in self.scores]

    def _title(self, score: Score) -> str:
        return self.report.metric_card(score.metric).title

    def _level(self, some: Sequence[Sample | None]) -> float:
        """The RMS at which a stimulus' sounds are played; 0 of pictures."""
        if self.sounds is None:
            return 0.0
        heard = [self.report.samples.hear(one) for one in some if one is not None and not one.withheld]
        return common_level(heard, peak=PEAK_MP3)

    def _shot(self, sample: Sample | None, *, title: str, kind: str, level: float, about: str) -> Shot:
        alt = f"{title}: {about}"
        if sample is None or sample.withheld:
            return Shot(title=title, kind=kind, alt=alt, why="none" if sample is None else "withheld")
        if self.sounds is not None:
            wave = self.report.samples.hear(sample)
            uri, sound = spectrogram(wave), player(wave, level=level)
            return Shot(title=title, kind=kind, alt=alt, uri=uri, sound=sound)
        image = self.report.samples.open(sample)
        shown = webp(image, self.side)
        return Shot(title=title, kind=kind, alt=alt, uri=shown.uri, small=shown.small)
