"""The page of `afterimage compare`: runs, what was decoded side by side, numbers with paired differences, settings.

    render(compared(folders))

It has no script: everything in it can be read and printed as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from brain.errors import counted
from evaluation.report.comparison import Comparison, Line
from evaluation.report.judged import Judged
from evaluation.report.pages.frame import render as framed
from evaluation.report.pages.gallery import SIDES, Shot
from evaluation.report.pages.ladder import GEOMETRY, WORDS, Panel, number, panel
from evaluation.report.pages.players import PEAK_MP3, Sounds, common_level, player, spectrogram
from evaluation.report.pages.strip import STRIP, every_nth
from evaluation.report.pages.thumbnails import webp
from evaluation.report.types import Ladder
from evaluation.report.worlds import badge, silenced_lines, simulated_lines
from evaluation.samples.rows import RowCard
from evaluation.samples.sounds import SOUND
from evaluation.samples.types import Sample
from evaluation.score import Score
from evaluation.statistics.folds import DECODED
from evaluation.statistics.paired import FEWEST, Difference

LISTENED = 6 * 2**20
"""Characters of the sounds in a page; the stimuli after that have pictures alone."""
LETTERS = 160
"""Letters of a value in the table of settings, and of a caption."""
PANEL = 18
"""Letters of a run's name in a panel."""
SETTINGS = 120
"""Lines of the table of settings."""
COLOURS = 9


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One stimulus in the strip: what was shown, and the first decode of each run."""

    stimulus: str
    caption: str
    shown: Shot
    decoded: tuple[Shot, ...]

    @property
    def weight(self) -> int:
        """Characters of its sounds."""
        return sum(len(one.sound) for one in (self.shown, *self.decoded))


def render(comparison: Comparison) -> str:
    """The page as text."""
    runs = comparison.runs
    reasons = list(dict.fromkeys(cell.why for line in comparison.lines for cell in line.cells if cell.why))
    letters = {why: _letter(place) for place, why in enumerate(reasons)}
    strip = strip_of(comparison)
    others = [run.label for run in runs[1:]]
    headline = f"{others[0] if len(others) == 1 else f'{len(others)} runs'} beside {comparison.first.label}"
    return framed(
        "compare.html.jinja",
        title=f"afterimage comparison: {headline}",
        badge=_badge(runs),
        headline=headline,
        lead=[_lead(comparison, place) for place in range(1, len(runs))],
        cautions=_cautions(runs),
        runs=[_run(run, place) for place, run in enumerate(runs)],
        beside=[{"place": runs.index(run), "label": run.label} for run in comparison.beside],
        strip=strip,
        strip_note=_strip_note(comparison, len(strip)),
        legend=_legend(comparison, strip),
        panels=_panels(comparison),
        geometry=GEOMETRY,
        lines=[_numbers(line, letters, marked=not comparison.folded) for line in comparison.lines],
        reasons=[(letters[why], f"{why[:1].upper()}{why[1:]}.") for why in reasons],
        notes=_notes(comparison),
        differences=_settings(comparison),
        left_out=max(0, len(comparison.differences) - SETTINGS),
        several=len(runs),
        sounds=comparison.first.samples.modality == SOUND,
    )


def _letter(place: int) -> str:
    """a, b, ... z, aa, ab, ...: what a dash is followed by."""
    first, last = divmod(place, 26)
    return (_letter(first - 1) if first else "") + chr(ord("a") + last)


def _badge(runs: Sequence[Judged]) -> str:
    """Whose brains these are, in the title and the header."""
    found = [run.simulated for run in runs if run.simulated]
    if len(found) < len(runs):
        return f"simulated: {len(found)} of {len(runs)} runs" if found else ""
    return badge("; ".join(dict.fromkeys(found)))


def _cautions(runs: Sequence[Judged]) -> list[str]:
    """What must be known before any number is read."""
    whose = list(dict.fromkeys(run.simulated for run in runs if run.simulated))
    drawn = simulated_lines("; ".join(whose))
    some = [run.label for run in runs if run.simulated]
    said = drawn if len(some) == len(runs) else [f"{_listed(some)}: {line}" for line in drawn]
    held = [f"{run.label}: {run.known['withheld']} samples were withheld and are not scored."
            for run in runs if run.known.get("withheld")]  # fmt: skip
    picked = [f"{run.label}: {run.known.get('best of')}." for run in runs if _picked(run)]
    blind = [f"{run.label}: {line}" for run in runs for line in silenced_lines(run.card)]
    return list(dict.fromkeys([*said, *blind, *held, *picked]))


def _picked(run: Judged) -> bool:
    return any(one.candidates > 1 for one in run.samples.of(DECODED))


def _run(run: Judged, place: int) -> dict[str, Any]:
    """The line of a run."""
    simulated = run.simulated
    return {
        "place": place, "name": run.name, "label": run.label, "badge": badge(simulated), "subject": run.subject,
        "recipe": run.recipe, "method": run.method, "split": run.split, "judge": run.judge, "profile": run.profile,
        "folds": run.folds if run.folds > 1 else 0, "stimuli": len(run.samples.references),
        "samples": len(run.samples.of(DECODED)), "silenced": _clipped(", ".join(run.silenced)),
    }  # fmt: skip


def _lead(comparison: Comparison, place: int) -> str:
    """One sentence on a run: in which headline metrics it is apart from the first one, corrected for their number."""
    run, first = comparison.runs[place], comparison.first
    cells = [(line.card, line.cells[place]) for line in comparison.headlines]
    compared = [(card, cell.difference) for card, cell in cells if cell.difference is not None]
    if not compared:
        why = next((cell.why for _, cell in cells if cell.why), "their reports share no headline metric")
        return f"{run.label} is not compared with {first.label}: {why}."
    n, metrics = _pairs([one.n for _, one in compared]), counted(len(compared), "headline metric")
    if all(one.mean == one.half == 0 for _, one in compared):
        return f"{run.label} and {first.label} have the same value at every stimulus, in all headline metrics ({n})."
    if comparison.folded:
        return (
            f"{run.label} and {first.label} are compared in {metrics} ({n}), and which is better is left open: "
            "stimuli of a fold share their mappings, and these intervals take them as independent."
        )
    signs = comparison.verdicts(place)
    found = {sign: [card.title for card, _ in compared if signs.get(card.name) is sign] for sign in (True, False)}
    parts = [f"{word} in {_listed(found[sign])}" for sign, word in ((True, "better"), (False, "worse")) if found[sign]]
    rest, family = len(compared) - len(signs), f"{n}; Holm over {metrics}"
    if not parts:
        return f"{run.label} is not told apart from {first.label} in any headline metric ({family})."
    open_ = f"; in {counted(rest, 'headline metric')} they are not told apart" if rest else ""
    return f"{run.label} is {' and '.join(parts)} than {first.label} ({family}){open_}."


def _pairs(counts: Sequence[int]) -> str:
    """How many stimuli differences are of: "n 12", "n 9 to 12"."""
    return f"n {min(counts)}" if min(counts) == max(counts) else f"n {min(counts)} to {max(counts)}"


def _listed(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]


def strip_of(comparison: Comparison) -> list[Seen]:
    """The stimuli that stand beside one another, every n-th of the common ones; none where there are none."""
    found, room = [], LISTENED
    for stimulus in every_nth(comparison.common, STRIP):
        seen = _seen(comparison, stimulus)
        if seen.weight > room:
            silent = tuple(replace(one, sound="") for one in seen.decoded)
            seen = replace(seen, shown=replace(seen.shown, sound=""), decoded=silent)
        room -= seen.weight
        found.append(seen)
    return found


def _seen(comparison: Comparison, stimulus: str) -> Seen:
    """A stimulus with the first decode of each run; sounds are played at one level, at which none clips."""
    first, beside = comparison.first, comparison.beside
    shown, done = first.samples.references[stimulus], WORDS[first.samples.modality]["stimulus"]
    drawn = [(run, _first(run, stimulus)) for run in beside]
    level = 0.0
    if first.samples.modality == SOUND:
        heard = [run.samples.hear(one) for run, one in ((first, shown), *drawn) if one is not None and not one.withheld]
        level = common_level(heard, peak=PEAK_MP3)
    return Seen(
        stimulus=stimulus, caption=_clipped(next(iter(shown.captions), "")),
        shown=_shot(first, shown, title=done, about=stimulus, level=level),
        decoded=tuple(_shot(run, one, title=run.label, about=f"decoded {stimulus}", level=level) for run, one in drawn),
    )  # fmt: skip


def _shot(run: Judged, sample: Sample | None, *, title: str, about: str, level: float) -> Shot:
    shot = Shot(title=title, kind="", alt=f"{title}: {about}")
    if sample is None or sample.withheld:
        return replace(shot, why="none" if sample is None else "withheld")
    if run.samples.modality == SOUND:
        wave = run.samples.hear(sample)
        return replace(shot, uri=spectrogram(wave), sound=player(wave, level=level))
    image = run.samples.open(sample)
    thumbnail = webp(image, SIDES[0])
    return replace(shot, uri=thumbnail.uri, small=thumbnail.small)


def _first(run: Judged, stimulus: str) -> Sample | None:
    """The first sample of a stimulus in row decoded; None where none was drawn."""
    return next((one for one in run.samples.of(DECODED) if one.stimulus == stimulus), None)


def _clipped(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"


def _strip_note(comparison: Comparison, shown: int) -> str:
    """By which rule the strip was chosen, or why there is none."""
    words = WORDS[comparison.first.samples.modality]
    if not shown:
        return f"No {words['one']} was {words['done']} in all of these runs, so that none can stand side by side."
    total, score = len(comparison.common), comparison.score
    some = "all of them" if total <= STRIP else f"{shown} of them, evenly spread"
    order = "in the order of their ids"
    if score is not None:
        title = comparison.first.ladder.metric_card(score.metric).title
        order = f"in the order of {title} in {comparison.first.label}, the best first"
    left = [run.label for run in comparison.runs if run not in comparison.beside]
    apart = f" {_listed(left)} {'has' if len(left) == 1 else 'have'} no stimulus in common with it." if left else ""
    picked = "nothing is picked by hand; of several samples the first is shown"
    return f"{total} stimuli are common to these runs; shown are {some}, {order}: {picked}.{apart}"


def _legend(comparison: Comparison, strip: Sequence[Seen]) -> str:
    """What the spectrograms and players are, "" of pictures."""
    first = comparison.first
    if not strip or first.samples.modality != SOUND:
        return ""
    silent = " The last ones have no players, so that the page stays small." if not strip[-1].weight else ""
    return f"{Sounds.of(first.samples).legend()}{silent}"


def _panels(comparison: Comparison) -> list[Panel]:
    """A panel a headline metric: the runs from the top down."""
    runs = comparison.runs
    cards = {
        f"run{place}": RowCard(name=f"run{place}", title=_numbered(run, place), order=place)
        for place, run in enumerate(runs)
    }
    found = []
    for line in comparison.headlines:
        scores = [(place, cell.score) for place, cell in enumerate(line.cells) if cell.score is not None]
        rows = tuple(replace(one, row=f"run{place}", metric=line.card.name) for place, one in scores if _finite(one))
        if rows:
            names = {line.card.name: line.card}
            ladder = Ladder(scores=rows, modality=runs[0].samples.modality, row_cards=cards, metric_cards=names)
            found.append(panel(ladder, line.card.name))
    return found


def _finite(score: Score) -> bool:
    return all(math.isfinite(value) for value in (score.value, score.low, score.high))


def _numbered(run: Judged, place: int) -> str:
    name = run.name if len(run.name) <= PANEL else f"{run.name[: PANEL - 1]}…"
    return f"{place + 1} {name}"


def _numbers(line: Line, letters: dict[str, str], *, marked: bool) -> dict[str, Any]:
    """A metric's line of the table of numbers; marked: whether a difference apart from 0 is called better or worse."""
    cells = []
    for place, cell in enumerate(line.cells):
        score, found = cell.score, cell.difference
        cells.append({
            "value": "" if score is None else number(score.value),
            "interval": "" if score is None else f"{number(score.low)} to {number(score.high)}",
            "chance": "" if score is None else number(score.chance),
            "n": 0 if score is None else score.n,
            "mean": "" if found is None else _signed(found.mean),
            "apart": "" if found is None else f"{_signed(found.low)} to {_signed(found.high)}",
            "pairs": 0 if found is None else found.n,
            "verdict": {True: "better", False: "worse", None: ""}[cell.better if marked else None],
            "first": place == 0,
            "letter": letters.get(cell.why, ""),
        })  # fmt: skip
    card = line.card
    return {"title": card.title, "meaning": card.description, "unit": card.unit, "lower": card.lower, "cells": cells,
            "headline": bool(card.headline)}  # fmt: skip


def _signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value + 0.0)


def _notes(comparison: Comparison) -> list[str]:
    """What the differences are, and what they are not."""
    found = [cell.difference for line in comparison.lines for cell in line.cells if cell.difference is not None]
    first = comparison.first.label
    notes = [
        "A value is the mean over a run's own test stimuli, with the 95 % interval and the chance of its own report.",
    ]
    if found:
        notes.append(
            f"A difference is the run minus {first}, stimulus by stimulus over the n that both have: the mean with its "
            "95 % t interval, which takes stimuli as independent and the pool as given."
        )
        notes += _folded_notes() if comparison.folded else _verdict_notes(found)
    return notes


def _verdict_notes(found: Sequence[Difference]) -> list[str]:
    """What is called better or worse, and how often that is wrong."""
    apart = sum(one.apart for one in found)
    return [
        f"It is marked better or worse where the interval lies apart from 0, of {FEWEST} stimuli or more. These "
        f"{len(found)} intervals are not corrected for their number: {apart} {'lies' if apart == 1 else 'lie'} "
        "apart from 0, and of differences that are none at most about one in twenty would; fewer of two-way and top-1. "
        "Metrics of one run hang together.",
        "The first lines of the page are corrected: by Holm over the headline metrics of a run, at 5 % for all of "
        "them together. They are not corrected for the number of runs.",
    ]


def _folded_notes() -> list[str]:
    """Why nothing is called better or worse in folds."""
    return [
        "The stimuli of a fold share their mappings: in folds these intervals are too narrow, and nothing is marked "
        "better or worse."
    ]


def _settings(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """The table of what differs: a name and its value in each run, long ones clipped."""
    listed = list(comparison.differences.items())[:SETTINGS]
    return [(_clipped(name), [_clipped(value) for value in values]) for name, values in listed]
