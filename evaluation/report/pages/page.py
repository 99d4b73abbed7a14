"""The page: a report as one HTML file without remote content, whose one script is its own; every text stays text.

The answer first, then pictures, the ladder, a gallery of test stimuli beside all their decodes, the regions, and the
card. Where not all stimuli have room in it, the others stand in leaves of the gallery, files in a folder beside it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.facts import silenced_in
from evaluation.report.pages import frame
from evaluation.report.pages.doubt import BOX, doubt_sections, ticks
from evaluation.report.pages.gallery import Shelf
from evaluation.report.pages.ladder import (
    GEOMETRY,
    TOP,
    WORDS,
    headline,
    ladder_table,
    main_row,
    panel,
    percent,
    plotted,
    probability,
    tile,
)
from evaluation.report.pages.plots import LINE_HEIGHT, LINE_WIDTH, height_of, plots
from evaluation.report.pages.strip import STRIP, every_nth, spread
from evaluation.report.pages.tables import (
    after_line,
    attributes,
    brain_bars,
    condition_lines,
    cost_lines,
    dimension_lines,
    flatten,
    leak_lines,
    retrieval_directions,
    retrieval_lines,
    set_tables,
)
from evaluation.report.regions import glass_brain, read_regions
from evaluation.report.statements import least_p
from evaluation.report.types import Report
from evaluation.report.worlds import badge, layout_of, silenced_lines, simulated_lines
from evaluation.samples.types import FOREIGN
from evaluation.score import Score

LEAF = 128
"""Pixels of a side that no picture exceeds in the leaves of a gallery, which may be many."""
RUN_STAGES = ("fit", "decode")
"""Stages of which a run's page says where nothing is known of them."""
ALPHA, HALF = 0.05, 0.5
"""The p up to which a score is better than chance, and what two-way identification gives by chance at the most."""
BLIND = 0.75
"""Below this share of the references found among the others by themselves, a score at chance says nothing."""


@dataclass(frozen=True, kw_only=True)
class Pages:
    """A report as pages: the page itself, and the leaves of its gallery where not all stimuli have room in it.

    leaves  (file name, text) each, made as they are asked for, for all of them are large together
    """

    page: str
    leaves: Iterator[tuple[str, str]]


def render(report: Report) -> Pages:
    """The pages of a report. Damaged region files are an InputError; absent ones are said in the page."""
    regions = read_regions(report.folder)
    brain, brain_note = glass_brain(report.folder, regions)
    order, words = spread(report)
    shelf, inside = Shelf.of(report).fitting(order)
    leaves = leaves_of(shelf, order) if len(inside) < len(order) else []
    costs, run = cost_lines(report), report.card.get("run", {})
    page = frame.render(
        "page.html.jinja",
        script="page.js",
        title=title(report),
        answer=answer(report),
        badge=badge(report.simulated),
        silenced=", ".join(silenced_in(run)),
        brief=brief(report),
        said=report.said(),
        facts=header_facts(report, run),
        strip=shelf.strip().stimuli(every_nth(order, STRIP)),
        strip_columns=min(STRIP, len(order)),
        strip_rule=rule(STRIP, len(order), words),
        tiles=[tile(report, found) for found in headline(report)],
        panels=[panel(report, name) for name in plotted(report)],
        table=ladder_table(report) | ({"said": "Chance of decoded"} if report.design.in_folds else {}),
        attributes=attributes(report),
        stimuli=shelf.stimuli(sorted(inside), desc="gallery"),
        rule=rule(len(inside), len(order), words),
        leaves=[(name, names[0], names[-1]) for name, names in leaves],
        tested=len(order),
        metrics=json.dumps(shelf.metrics()),
        figure=json.dumps(figure_facts(report)),
        doubts=doubt_sections(report),
        doubt_box=BOX,
        doubt_ticks=ticks(),
        spectrograms=None if shelf.sounds is None else shelf.sounds.legend(),
        words=WORDS[report.samples.modality],
        conditions=condition_lines(report),
        retrieval=retrieval_lines(report),
        directions=retrieval_directions(report),
        pools=any(found.pool != found.n for found in report.retrieval),
        after=after_line(report),
        sets=set_tables(report),
        regions=regions,
        brain=brain,
        brain_note=brain_note,
        brain_bars=brain_bars(report),
        plots=plots(report),
        costs=costs,
        unrecorded=[name for name in RUN_STAGES if run and name not in {one["stage"] for one in costs}],
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
            "ticks": [(height_of(value), f"{value:g}") for value in (0, 0.5, 1)],
        },
        geometry=GEOMETRY,
    )
    return Pages(page=page, leaves=rendered(report, shelf, leaves))


def leaves_of(shelf: Shelf, names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """(file name, stimuli in the order of ids) of every leaf of a gallery."""
    found = sorted(names)
    most = len(shelf.smaller(LEAF).fitting(found)[1])
    size = math.ceil(len(found) / math.ceil(len(found) / most))  # none of them is left with the last few alone
    parts = [found[at : at + size] for at in range(0, len(found), size)]
    return [(f"{number}.html", part) for number, part in enumerate(parts, start=1)]


def rendered(report: Report, shelf: Shelf, leaves: Sequence[tuple[str, list[str]]]) -> Iterator[tuple[str, str]]:
    """(file name, text) of every leaf."""
    smaller = shelf.smaller(LEAF)
    for at, (name, names) in enumerate(leaves):
        yield name, frame.render(
            "leaf.html.jinja",
            script="page.js",
            title=title(report),
            badge=badge(report.simulated),
            said=(*silenced_lines(report.card.get("run", {})), *simulated_lines(report.simulated)),
            stimuli=smaller.stimuli(names, desc=f"gallery, page {at + 1} of {len(leaves)}"),
            leaves=[(other, f"{part[0]} to {part[-1]}", other == name) for other, part in leaves],
            tested=sum(len(part) for _, part in leaves),
            metrics=json.dumps(shelf.metrics()),
            figure=json.dumps(figure_facts(report)),
            spectrograms=None if shelf.sounds is None else shelf.sounds.legend(),
            strip_columns=STRIP,
        )


def rule(count: int, of: int, words: str) -> str:
    """Which stimuli are shown, as a sentence."""
    if count >= of:
        return f"All {of} stimuli; nothing is picked." if of > 1 else "The one stimulus."
    return f"{count} of {of} stimuli, evenly spaced in the order of {words}; nothing is picked."


def title(report: Report) -> str:
    """What a page is called: subject and recipe where they are known, and which regions were silenced."""
    return ", ".join([*_named(report), "afterimage report"])


def _named(report: Report) -> list[str]:
    """Subject and recipe, the method where it is not what the recipe is called for, and silenced regions."""
    run = report.card.get("run", {})
    known = [text for name in ("subject", "recipe") if (text := _fact(run, name))]
    recipe = _fact(run, "recipe")
    methods = dict.fromkeys(one.method for one in report.samples.of(main_row(report)) if one.method != FOREIGN)
    known += [f"method {name}" for name in methods if recipe and name not in recipe]
    silenced = silenced_in(run)
    return [*known, *([f"{' and '.join(silenced)} silenced"] if silenced else [])]


def figure_facts(report: Report) -> dict[str, str]:
    """What a saved figure says below its pictures, and its file's name."""
    known = _named(report)
    file = "-".join(["afterimage", *(re.sub(r"[^A-Za-z0-9_-]+", "-", text) for text in known)])[:120]
    return {
        "title": ", ".join([*known, f"judge {report.judge}"]), "badge": badge(report.simulated), "file": file,
        "tested": str(len(report.samples.references)),
    }  # fmt: skip


def answer(report: Report) -> tuple[str, str]:
    """One plain sentence, and the sentence with its interval and its ceiling."""
    row = "decoded" if "decoded" in report.rows() else report.rows()[0]
    found = report.score(row, "two_way")
    if found is None:
        return _unanswered(report)
    share, say = percent(found.value), WORDS[report.samples.modality]
    which = f"which of two {say['several']} was {say['done']}"
    sure, why = verdict(report, found)
    if sure is False and too_few(report):
        first = f"{found.n} stimuli are too few to say whether what was {say['made']} tells {which}: {share}."
    elif sure is None:
        first = f"Whether what was {say['made']} tells {which} is not settled: {share}."
    elif sure:
        first = f"From what was {say['made']}, the judge tells {which} {share} of the time."
    elif report.findings.apart < BLIND:
        first = f"The judge cannot tell these {say['several']} from one another: nothing follows from its {share}."
    else:
        first = f"What was {say['made']} does not tell {which} better than chance: {share}."
    parts = [f"The 95 % interval over {found.n} stimuli is {percent(found.low)} to {percent(found.high)}; {why}."]
    bounds = {"shuffled": "a shuffled brain", "category_oracle": "knowing the category and nothing else"}
    if report.design.in_folds:
        del bounds["shuffled"]  # which is no chance level there
    lower = [f"{text} {percent(s.value)}" for r, text in bounds.items() if (s := report.score(r, "two_way"))]
    guess = [f"Chance is {percent(found.chance)}"] if math.isfinite(found.chance) else []
    known = ", ".join([*guess, *lower])
    parts += [f"{known[:1].upper()}{known[1:]}."] if known else []
    if found.ceiling is not None and row != "oracle":
        parts.append(f"The same generator fed the true condition reaches {percent(found.ceiling)}.")
    return first, " ".join(parts)


def brief(report: Report) -> str:
    """What the headline's number is held against, in one line; "" where there is no two-way identification."""
    found = report.score(main_row(report), "two_way")
    if found is None:
        return ""
    chance = [f"chance {percent(found.chance)}"] if math.isfinite(found.chance) else []
    p = [] if found.p is None else [probability(found.p)]
    interval, pool = f"95 % interval {percent(found.low)} to {percent(found.high)}", f"n\N{NO-BREAK SPACE}{found.n}"
    return " · ".join([*chance, interval, *p, pool])


def too_few(report: Report) -> bool:
    """Whether no p could be as small as ALPHA, whatever is drawn."""
    blocks = [one.block for one in report.samples.references.values()]
    return least_p(report.design, blocks=blocks, permutations=report.card["evaluation"]["permutations"]) > ALPHA


def _unanswered(report: Report) -> tuple[str, str]:
    """What is said where there is no two-way identification by the report's judge."""
    if any(metric.name == "two_way" for metric in report.profile.present):
        return "There are too few stimuli here to say how good the samples are.", "Identification needs two or more."
    first = "How often these samples tell which stimulus it was is not among the numbers of this report."
    return first, f"Profile {report.profile.name} has other metrics, which the table holds."


def verdict(report: Report, found: Score) -> tuple[bool | None, str]:
    """Whether a score of two-way identification is better than chance, None where that is open, and why.

    It is where p is at most ALPHA and the interval lies above chance, it is not where neither holds. In folds, where
    drawn samples have no p, p is that of the conditions they were drawn from, and the interval must lie above 1/2 too;
    without one nothing is said of them, for neither chance nor the interval is known. Of one test set without a p, the
    interval alone says it.
    """
    if report.design.in_folds:
        read = report.design.map_of(found.row)
        conditions = next((one for one in report.conditions if one.space == read), None)
        p = None if conditions is None else conditions.p
        whose = f"the decoded conditions ({read}) have " if p is not None else ""
        floor = max(HALF, found.chance) if math.isfinite(found.chance) else HALF
    else:
        p, whose, floor = found.p, "", found.chance
    above = found.low > floor
    stands = "lies above chance" if above else "holds chance" if found.high >= floor else "lies below chance"
    if p is None and report.design.in_folds:
        return None, "no null was refitted, so neither chance nor the width of the interval is known"
    if p is None:
        return above, f"it {stands}; no p is known"
    said = f"{whose}{probability(p)}"
    if above == (p <= ALPHA):
        return above, said
    return None, f"it {stands} while {said}"


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
