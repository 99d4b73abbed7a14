"""The page: a report as one HTML file without remote content and without scripts; every text in it stays text.

The answer first, then the ladder, every test stimulus beside all its decodes, the regions, and the card.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from evaluation.curves import by_measure
from evaluation.images import IMAGE
from evaluation.judging import ordered_rows
from evaluation.players import SoundPicture, SoundStrips
from evaluation.regions import glass_brain, read_regions
from evaluation.samples import Sample, Samples
from evaluation.score import Score
from evaluation.sounds import SOUND
from evaluation.worlds import badge, layout_of

if TYPE_CHECKING:
    from evaluation.report import Ladder, Report

TITLES = {
    "decoded": ("Decoded", "the brain's responses through the mapping and the generator"),
    "takagi": ("Takagi's way", "the same responses by ridges to latents and captions, beside the recipe's own way"),
    "unclip": ("unCLIP", "the same responses by the image embedding that they decode to, beside the recipe's own way"),
    "mindvis": ("Double conditioning", "the same responses by a stack that was fine-tuned on them"),
    "anchored": ("Anchored", "the decoded condition, started from the nearest training sound"),
    "direct": ("Direct", "the decoded condition alone, from noise: no exemplar to start from"),
    "c2f": ("Coarse to fine", "the fine condition decoded from the brain and from the coarse one"),
    "reranked": ("Reranked", "several decodes, kept the one whose predicted responses fit best"),
    "shuffled": ("Shuffled brain", "the same decoder on another stimulus' responses"),
    "mean": ("Mean condition", "the generator fed the average training condition"),
    "prior": ("Prior only", "the generator without any condition"),
    "repeat": ("Repeat against repeat", "one repeat alone, compared with what the other repeats give"),
    "retrieval": ("Nearest training image", "no generator: the training picture closest to the decoded condition"),
    "exemplar": ("Exemplar", "no generator: the training sound that the decoded one starts from"),
    "category_oracle": ("Category only", "computed, not drawn: the true category and nothing else"),
    "oracle": ("True condition", "the generator fed the stimulus' own condition: the ceiling of this decoder"),
    "round_trip": ("Round trip", "the stimulus through the generator's autoencoder and back"),
}
METRICS = {
    "two_way": ("Two-way", "the sample is more like its reference than like another reference"),
    "two_way_other_recons": (
        "Two-way, other direction",
        "the reference is more like its sample than like another sample",
    ),
    "two_way_within_category": ("Two-way in category", "two-way among references of the same category"),
    "top1": ("Top-1", "its reference is the most similar of the pool"),
    "top1_other_recons": ("Top-1, other direction", "its sample is the most similar of the pool"),
    "category": ("Category", "the judge finds the true category in the sample"),
    "category_pseudo": ("Category as judged", "the judge calls the sample what it calls the reference"),
    "pixcorr": ("PixCorr", "correlation of all pixels; rewards blur"),
    "ssim": ("SSIM", "structural similarity in two dimensions; rewards blur"),
    "ssim_columns": ("SSIM, column-wise", "the legacy form that takes columns for channels; reads higher on blur"),
    "lpips": ("LPIPS", "perceptual distance, less is better"),
    "dists": ("DISTS", "distance of structure and texture, less is better"),
    "dreamsim": ("DreamSim", "perceptual distance tuned to people, less is better"),
    "mel_pcc": ("Mel correlation", "correlation of log-mel spectrograms; rewards blur"),
    "mel_ssim": ("Mel SSIM", "structural similarity of log-mel spectrograms; rewards blur"),
    "centroid_correlation": ("Centroid correlation", "does brightness rise and fall together"),
    "centroid_error": ("Centroid error", "distance of spectral centroids in Hz, less is better"),
    "f0_correlation": ("F0 correlation", "does pitch rise and fall together, where both are voiced"),
    "f0_error": ("F0 error", "distance of pitch in semitones, where both are voiced, less is better"),
    "pitch_accuracy": ("Pitch accuracy", "the sample is within half a semitone where the reference is voiced"),
    "voicing": ("Voicing", "both are voiced, or neither is"),
    "envelope_correlation": ("Envelope", "correlation of loudness over time"),
    "modulation_correlation": ("Modulation", "correlation of modulation spectra"),
    "audioset_50way_top1_pseudo": ("AudioSet, 50-way", "the class an AudioSet network gives the reference comes first"),
}
# What a page says of its samples: one, several, their column, and what was done with the stimulus.
WORDS = {
    IMAGE: {"one": "picture", "several": "pictures", "stimulus": "Seen", "done": "seen", "made": "drawn"},
    SOUND: {"one": "sound", "several": "sounds", "stimulus": "Heard", "done": "heard", "made": "generated"},
}
# What a report of sounds calls by another name.
SOUND_TITLES = {
    "retrieval": ("Nearest training sound", "no generator: the training sound closest to the decoded condition"),
}
PLOTTED = (
    "two_way", "two_way_within_category", "top1", "category", "pixcorr", "ssim", "mel_pcc", "mel_ssim",
    "envelope_correlation", "pitch_accuracy",
)  # fmt: skip
ATTRIBUTES = "label_"
CONTROLS = (
    "takagi", "unclip", "mindvis", "anchored", "direct", "c2f", "reranked", "retrieval", "exemplar", "oracle",
    "round_trip", "shuffled", "mean", "prior", "repeat",
)  # fmt: skip
BRAIN = "brain_"
THUMB = 128
NATIVE = 96
MANY = 4000
ALPHA, HALF = 0.05, 0.5
"""The p up to which a score is better than guessing, and what two-way identification gives by guessing at the most."""
BLIND = 0.75
"""Below this share of the references found among the others by themselves, a score at chance says nothing."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture in the gallery: a data URI, or none with the reason why."""

    uri: str
    why: str
    small: bool


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One stimulus in the gallery: what was seen, all its decodes, one sample of each control."""

    stimulus: str
    captions: tuple[str, ...]
    labels: tuple[str, ...]
    marks: tuple[str, ...]
    seen: Picture | SoundPicture
    decoded: tuple[Picture | SoundPicture, ...]
    controls: tuple[Picture | SoundPicture, ...]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A row in a panel of the ladder plot, in SVG units."""

    row: str
    title: str
    y: float
    x: float
    low: float
    high: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One metric of the ladder plot: marks from the top down, ticks and chance on an axis in SVG units."""

    title: str
    meaning: str
    height: float
    chance: float | None
    chance_text: str
    ticks: tuple[tuple[float, str], ...]
    marks: tuple[Mark, ...]


LEFT, WIDTH, TOP, STEP, RIGHT = 150.0, 210.0, 14.0, 26.0, 52.0
GEOMETRY = {"left": LEFT, "width": WIDTH, "right": RIGHT, "top": TOP}
LINE_WIDTH, LINE_HEIGHT, MARGIN = 380.0, 150.0, 34.0


@dataclass(frozen=True, kw_only=True)
class Line:
    """One measure of a curve, in SVG units: dots with their intervals, and the points of the line through them."""

    title: str
    colour: str
    dots: tuple[tuple[float, float, float, float, str], ...]
    path: str


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A curve as coordinates: x labels, lines of all measures, the chance line of those that share it."""

    title: str
    labels: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]
    chance: float


def render(report: Report) -> str:
    """The page as text. Damaged region files are an InputError; absent ones are said in the page."""
    from evaluation.templates import environment

    regions = read_regions(report.folder)
    brain, brain_note = glass_brain(report.folder, regions)
    run = report.card.get("run", {})
    columns = _columns(report.samples)
    wide = 1 + columns["decoded"] + len(columns["controls"])
    sounds = None
    if report.samples.modality == SOUND:
        sounds = SoundStrips.of(report.samples, columns=wide, home=report.home, page=report.folder)
    return environment().get_template("page.html.jinja").render(
        answer=answer(report),
        badge=badge(report.simulated),
        said=report.said(),
        facts=header_facts(report, run),
        tiles=[tile(found) for found in _headline(report)],
        panels=[panel(report, name) for name in plotted(report)],
        table=ladder_table(report) | ({"said": "Chance of decoded"} if report.design.in_folds else {}),
        attributes=attributes(report),
        columns=columns,
        strips=gallery(report, report.samples, sounds),
        spectrograms=None if sounds is None else sounds.legend(),
        words=WORDS[report.samples.modality],
        conditions=condition_lines(report),
        after=after_line(report),
        sets=set_tables(report),
        regions=regions,
        brain=brain,
        brain_note=brain_note,
        brain_bars=brain_bars(report),
        plots=plots(report),
        leaks=leak_lines(report.leaks),
        dimensions=dimension_lines(report),
        profile=report.profile,
        picked=report.card["evaluation"]["best of"],
        stated=[(first + dot, rest) for first, dot, rest in (one.partition(". ") for one in report.stated())],
        noted=report.noted(),
        folds=report.design.in_folds,
        absent=report.absent,
        card=flatten(report.card),
        withheld=report.card["evaluation"]["withheld"],
        line_box={
            "width": LINE_WIDTH,
            "height": LINE_HEIGHT,
            "top": TOP,
            "ticks": [(_height(value), f"{value:g}") for value in (0, 0.5, 1)],
        },
        geometry=GEOMETRY,
    )


def answer(report: Report) -> tuple[str, str]:
    """One plain sentence, and the sentence that says how sure it is and how good it could have been."""
    row = "decoded" if "decoded" in report.rows() else report.rows()[0]
    found = report.score(row, "two_way")
    if found is None:
        return "There are too few stimuli here to say how good the samples are.", "Identification needs two or more."
    share, say = percent(found.value), WORDS[report.samples.modality]
    which = f"which of two {say['several']} was {say['done']}"
    sure, why = verdict(report, found)
    if sure is None:
        first = f"Whether what was {say['made']} tells {which} is not settled: {share}."
    elif sure:
        first = f"From what was {say['made']}, the judge tells {which} {share} of the time."
    elif report.findings.apart < BLIND:
        first = f"The judge cannot tell these {say['several']} from one another: nothing follows from its {share}."
    else:
        first = f"What was {say['made']} does not tell {which} better than guessing: {share}."
    parts = [f"The 95 % interval over {found.n} stimuli is {percent(found.low)} to {percent(found.high)}; {why}."]
    bounds = {"shuffled": "a shuffled brain", "category_oracle": "knowing the category and nothing else"}
    if report.design.in_folds:
        del bounds["shuffled"]  # which is no chance level there
    lower = [f"{text} {percent(s.value)}" for r, text in bounds.items() if (s := report.score(r, "two_way"))]
    guess = [f"Guessing gives {percent(found.chance)}"] if math.isfinite(found.chance) else []
    known = ", ".join([*guess, *lower])
    parts += [f"{known[:1].upper()}{known[1:]}."] if known else []
    if found.ceiling is not None and row != "oracle":
        parts.append(f"The same generator fed the true condition reaches {percent(found.ceiling)}.")
    return first, " ".join(parts)


def verdict(report: Report, found: Score) -> tuple[bool | None, str]:
    """Whether a score of two-way identification is better than guessing, None where that is open, and why.

    It is where p is at most ALPHA and the interval lies above chance, it is not where neither holds. In folds, where
    drawn samples have no p, p is that of the conditions they were drawn from, and the interval must lie above 1/2 too;
    without one nothing is said of them, for neither chance nor the interval is known. Of one test set without a p, the
    interval alone says it.
    """
    if report.design.in_folds:
        conditions = next((one for one in report.conditions if one.space == report.design.space), None)
        p = None if conditions is None else conditions.p
        whose = f"the decoded conditions ({report.design.space}) have " if p is not None else ""
        floor = max(HALF, found.chance) if math.isfinite(found.chance) else HALF
    else:
        p, whose, floor = found.p, "", found.chance
    above = found.low > floor
    stands = "lies above guessing" if above else "holds guessing" if found.high >= floor else "lies below guessing"
    if p is None and report.design.in_folds:
        return None, "no null was refitted, so neither chance nor the width of the interval is known"
    if p is None:
        return above, f"it {stands}; no p is known"
    said = f"{whose}{probability(p)}"
    if above == (p <= ALPHA):
        return above, said
    return None, f"it {stands} while {said}"


def percent(share: float) -> str:
    """0.934 -> "93.4 %", without a decimal that says nothing."""
    return f"{100 * share:.1f} %".replace(".0 %", " %")


def probability(p: float) -> str:
    """ "p = 0.014", and "p < 0.001" below what three digits show."""
    return "p < 0.001" if p < 0.0005 else f"p = {p:.3f}"


def number(value: float | None) -> str:
    """Three digits with a true minus sign, an en dash for what does not exist."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}".replace("-", "−")


def header_facts(report: Report, run: Mapping[str, Any]) -> list[str]:
    """What the numbers are about, for the line above the answer."""
    data = _mapping(run.get("data"))
    ours = layout_of(report.simulated, str(data.get("reader", "")))
    behind = {"subject": ours, "recipe": "", "split": ours}
    found = [f"{name} {value}{behind[name]}" for name in behind if (value := _fact(run, name))]
    listed = run.get("splits")
    splits = [split for split in listed if isinstance(split, Mapping)] if isinstance(listed, list) else []
    if not _fact(run, "split") and splits:
        found.append(f"split {splits[0].get('name')}{ours}" if len(splits) == 1 else f"{len(splits)} folds{ours}")
    known = report.card["evaluation"]
    judged = f"{known['references']} stimuli judged" if data else f"{known['references']} stimuli"
    return [*found, *data_facts(data, splits), judged, f"{known['samples']} samples", f"judge {report.judge}"]


def data_facts(data: Mapping[str, Any], splits: Sequence[Mapping[str, Any]]) -> list[str]:
    """How much was recorded, out of a run's card: trials, stimuli, repeats, sessions, voxels; none without a card."""
    sessions = data.get("sessions")
    counts = {
        ("trial", "trials"): [data.get("trials")],
        ("stimulus", "stimuli"): [data.get("stimuli")],
        ("for training", "for training"): [split.get("train") for split in splits],
        ("for testing", "for testing"): [split.get("test") for split in splits],
        ("repeat a stimulus", "repeats a stimulus"): data.get("repeats"),
        ("session", "sessions"): [len(sessions)] if isinstance(sessions, list) else [],
        ("voxel", "voxels"): [data.get("voxels")],
    }
    spans = {words: _span(values) for words, values in counts.items()}
    return [f"{span} {one if span == '1' else many}" for (one, many), span in spans.items() if span]


def _span(values: Any) -> str:
    """ "3", or "1 to 3" where they differ; "" for anything but whole numbers, for cards come from strangers too."""
    if not isinstance(values, list) or not values or any(type(value) is not int for value in values):
        return ""
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"


def _mapping(facts: Any) -> Mapping[str, Any]:
    return facts if isinstance(facts, Mapping) else {}


def _fact(card: Mapping[str, Any], name: str) -> str:
    for path, value in flatten(card):
        last = path.rsplit(" / ", 1)
        if last[-1] == name or (last[-1] in ("name", "id") and last[0].endswith(name) and len(last) == 2):
            return value
    return ""


def metric_title(name: str) -> tuple[str, str]:
    """The printed title of a metric and what it means: ("Top-1 of 100", ...)."""
    base, _, pool = name.partition("_of_")
    title, meaning = METRICS.get(base, (base.removeprefix(ATTRIBUTES).replace("_", " "), ""))
    return (f"{title} of {pool}" if pool else title), meaning


def row_title(row: str, modality: str = IMAGE) -> tuple[str, str]:
    """The printed title of a row and what it is, in a report of pictures or of sounds."""
    named = {**TITLES, **SOUND_TITLES} if modality == SOUND else TITLES
    return named.get(row, (row.replace("_", " "), ""))


def _headline(report: Report) -> list[Score]:
    row = "decoded" if "decoded" in report.rows() else report.rows()[0]
    wanted = ("two_way", "top1", "category", "pixcorr", "ssim", "mel_pcc", "mel_ssim")
    found = [report.score(row, name) for name in wanted]
    return [score for score in found if score is not None][:4]


def plotted(report: Ladder) -> list[str]:
    """The metrics that get a panel; of several pools the first alone."""
    found: dict[str, str] = {}
    for name in report.metrics():
        found.setdefault(name.partition("_of_")[0], name)
    return [name for base, name in found.items() if base in PLOTTED]


def tile(found: Score) -> dict[str, str]:
    """A headline number with its interval, and where it stands between chance and ceiling."""
    title, _ = metric_title(found.metric)
    share = f"{100 * found.effect:.0f} %" if found.effect is not None else ""
    effect = f"{share} of what this generator draws from the true condition" if share else ""
    return {
        "title": title,
        "value": number(found.value),
        "interval": f"{number(found.low)} to {number(found.high)}",
        "chance": number(found.chance),
        "ceiling": number(found.ceiling),
        "effect": effect,
    }


def panel(report: Ladder, metric: str) -> Panel:
    """The ladder of one metric as coordinates."""
    found = [score for score in report.scores if score.metric == metric]
    chance = found[0].chance if math.isfinite(found[0].chance) else None
    low = min(0.0, *(math.floor(10 * min(s.low, s.low if chance is None else s.chance)) / 10 for s in found))

    def place(value: float) -> float:
        return round(LEFT + WIDTH * (value - low) / (1 - low), 1)

    titles = {s.row: row_title(s.row, report.modality)[0] for s in found}
    marks = [
        Mark(
            row=s.row, title=titles[s.row], y=TOP + STEP * (i + 0.5), x=place(s.value), low=place(s.low),
            high=place(s.high), text=number(s.value),
        )
        for i, s in enumerate(found)
    ]  # fmt: skip
    title, meaning = metric_title(metric)
    ticks = tuple((place(t), f"{t:g}".replace("-", "−")) for t in (*((low,) if low < 0 else ()), 0.0, 0.5, 1.0))
    return Panel(
        title=title, meaning=meaning, height=TOP + STEP * len(found), chance=None if chance is None else place(chance),
        chance_text=number(chance), ticks=ticks, marks=tuple(marks),
    )  # fmt: skip


def ladder_table(report: Ladder) -> dict[str, Any]:
    """The ladder with every number: one line a row, one column a metric."""
    names = [name for name in report.metrics() if not name.startswith((ATTRIBUTES, BRAIN))]
    lines = []
    for row in report.rows():
        cells = []
        for name in names:
            s = report.score(row, name)
            cells.append(
                None
                if s is None
                else {
                    "value": number(s.value),
                    "interval": f"{number(s.low)} to {number(s.high)}",
                    "p": "" if s.p is None else probability(s.p),
                    "q": "" if s.q is None else probability(s.q).replace("p", "q", 1),
                    "effect": "" if s.effect is None else f"effect {s.effect:.2f}".replace("-", "−"),
                }
            )
        scores = [s for s in report.scores if s.row == row]
        counts = {"n": scores[0].n, "samples": scores[0].samples, "withheld": scores[0].withheld}
        title, meaning = row_title(row, report.modality)
        lines.append({"row": row, "title": title, "meaning": meaning, "cells": cells, **counts})
    chance = [number(next(s.chance for s in report.scores if s.metric == name)) for name in names]
    return {"metrics": [metric_title(name) for name in names], "lines": lines, "chance": chance, "said": "Chance"}


def attributes(report: Report) -> list[dict[str, Any]]:
    """What comes through: per group of labels the share right in decoded and oracle samples, and chance, in percent."""
    found = []
    for name in ("category", *(n for n in report.metrics() if n.startswith(ATTRIBUTES))):
        decoded, oracle = report.score("decoded", name), report.score("oracle", name)
        if decoded is not None:
            found.append(
                {
                    "title": metric_title(name)[0].lower(),
                    "value": round(100 * decoded.value, 1),
                    "low": round(100 * decoded.low, 1),
                    "high": round(100 * decoded.high, 1),
                    "chance": round(100 * decoded.chance, 1) if math.isfinite(decoded.chance) else None,
                    "ceiling": None if oracle is None else round(100 * oracle.value, 1),
                }
            )
    return found if len(found) > 1 else []


def brain_bars(report: Report) -> list[dict[str, Any]]:
    """Per region: the decoded row's brain correlation, the shuffled row's, and the noise ceiling, in percent."""
    found = []
    for name in (metric for metric in report.metrics() if metric.startswith(BRAIN)):
        decoded = report.score("decoded", name)
        if decoded is not None:
            found.append(
                {
                    "title": name.removeprefix(BRAIN),
                    "value": _share(decoded.value),
                    "text": f"{number(decoded.value)} ({number(decoded.low)} to {number(decoded.high)})",
                    "q": "" if decoded.q is None else probability(decoded.q).replace("p", "q", 1),
                    "chance": _share(decoded.null) if math.isfinite(decoded.null) else None,
                    "ceiling": None if decoded.ceiling is None else _share(decoded.ceiling),
                    "ceiling_text": number(decoded.ceiling),
                }
            )
    return found


def _share(value: float) -> float:
    return round(100 * min(1.0, max(0.0, value)), 1)


def condition_lines(report: Report) -> list[dict[str, str]]:
    """Identification before the generator, after it in the same space, and what it lost, space by space."""
    return [
        {
            "space": found.space,
            "n": str(found.n),
            "before": ranged(found.two_way, found.low, found.high),
            "chance": number(found.chance),
            "p": "–" if found.p is None else probability(found.p),
            "top1": ranged(found.top1, found.top1_low, found.top1_high),
            "top1_chance": number(found.top1_chance),
            "top1_p": "–" if found.top1_p is None else probability(found.top1_p),
            "after": ranged(found.after, found.after_low, found.after_high),
            "loss": ranged(found.loss, found.loss_low, found.loss_high),
        }
        for found in report.conditions
    ]


def ranged(value: float | None, low: float | None, high: float | None) -> str:
    """A value with its interval, an en dash for what does not exist."""
    return "–" if value is None else f"{number(value)} ({number(low)} to {number(high)})"


def after_line(report: Report) -> str:
    """What the judge makes of the samples that came of these conditions, "" where it was not asked."""
    found = report.score("decoded", "two_way")
    return "" if found is None else ranged(found.value, found.low, found.high)


def set_tables(report: Report) -> dict[str, Any]:
    """Set distances: one line a row, the floor first, one column a distance; {} where there are none."""
    found = report.findings.sets
    names = list(dict.fromkeys(one.metric for one in found))
    rows = ["floor", *ordered_rows(one.row for one in found if one.row != "floor")]
    place = {(one.row, one.metric): one for one in found}
    lines = []
    for row in rows if found else ():
        cells = [place.get((row, name)) for name in names]
        title = "Floor: two halves of the references" if row == "floor" else row_title(row, report.samples.modality)[0]
        counts = dict.fromkeys(f"{one.n} and {one.references}" for one in cells if one is not None)
        texts = [
            "–" if one is None else f"{number(one.value)} ({number(one.low)} to {number(one.high)})" for one in cells
        ]
        lines.append({"row": row, "title": title, "n": "; ".join(counts), "cells": texts})
    return {"metrics": names, "lines": lines} if lines else {}


COLOURS = {"two_way": "#b5432a", "category": "#2f5d73", "two_way_within_category": "#d99a2b", "pixcorr": "#7a7f8a"}
OTHERS = ("#5a8f5c", "#7b5ea7", "#b07a5b")


def plots(report: Report) -> list[Plot]:
    """Every curve of the run as coordinates; brain correlations are left to report.json."""
    found = []
    for name in dict.fromkeys(point.curve for point in report.points):
        measures = {
            measure: points
            for measure, points in by_measure(report.points, name).items()
            if not measure.startswith(BRAIN)
        }
        labels = tuple(dict.fromkeys(point.label for points in measures.values() for point in points))
        place = {label: _across(number, len(labels)) for number, label in enumerate(labels)}
        extra = iter(OTHERS)
        lines = tuple(
            Line(
                title=_measure_title(measure, points[0].n),
                colour=COLOURS.get(measure) or next(extra, "#555555"),
                dots=tuple(
                    (place[one.label], _height(one.value), _height(one.low), _height(one.high), number(one.value))
                    for one in points
                ),
                path=""
                if name == "regions"
                else " ".join(f"{place[one.label]},{_height(one.value)}" for one in points),
            )
            for measure, points in measures.items()
        )
        title = report.titles.get(name, name)
        found.append(
            Plot(title=title, labels=tuple((place[one], one) for one in labels), lines=lines, chance=_height(0.5))
        )
    return found


def _measure_title(measure: str, n: int) -> str:
    kind, _, space = measure.partition(" ")
    title = f"two-way of {space} conditions" if kind == "conditions" else f"{metric_title(measure)[0]} of pictures"
    return f"{title}, n = {n}"


def _across(number_: int, count: int) -> float:
    return round(MARGIN + (LINE_WIDTH - 2 * MARGIN) * (number_ / max(1, count - 1)), 1)


def _height(value: float) -> float:
    return round(TOP + LINE_HEIGHT * (1 - min(1.0, max(0.0, value))), 1)


def leak_lines(leaks: Mapping[str, Any]) -> list[str]:
    """What is known of leaks, one sentence each; a leak names both stimuli."""
    if not leaks:
        return ["Nobody has looked: these samples came without the training pictures (--train DIR)."]
    return [str(line) for line in leaks.get("sentences", [])] or [text for _, text in flatten(leaks)]


def dimension_lines(report: Report) -> list[tuple[str, str]]:
    """What has how many dimensions, as text."""
    return [
        ((row_title(name)[0] if name in TITLES or name == "reference" else name), f"{value:.1f}")
        for name, value in report.dimensions.items()
    ]


def _columns(samples: Samples) -> dict[str, Any]:
    depth = {row: 1 + max(sample.index for sample in samples.of(row)) for row in samples.rows()}
    main = "decoded" if "decoded" in depth else samples.rows()[0]
    return {
        "row": main,
        "title": row_title(main, samples.modality)[0],
        "decoded": depth[main],
        "controls": [(row, row_title(row, samples.modality)[0]) for row in CONTROLS if row in depth and row != main],
    }


def gallery(report: Report, samples: Samples, sounds: SoundStrips | None) -> list[Strip]:
    """Every test stimulus in the order of ids, never in the order of scores; `sounds` shows those that are sounds."""
    from brain.progress import progress

    def show(sample: Sample | None) -> Picture | SoundPicture:
        if sounds is None:
            return picture(samples, sample, side)
        return sounds.picture(sample, playable=sounds.plays(place))

    columns = _columns(samples)
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


def flatten(card: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Every fact of the card as ("run / split / sha256", "..."), lists of plain facts joined, all of it text."""
    found: list[tuple[str, str]] = []
    for key, value in card.items():
        path = f"{above} / {key}" if above else str(key)
        if isinstance(value, Mapping):
            found += flatten(value, path)
        elif isinstance(value, list | tuple) and value and all(isinstance(part, Mapping) for part in value):
            found += flatten({str(place): part for place, part in enumerate(value, start=1)}, path)
        elif isinstance(value, list | tuple):
            plain = [str(part) for part in value]
            found.append((path, "; ".join(plain) if plain else "none"))
        else:
            found.append((path, str(value)))
    return found
