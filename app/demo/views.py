"""Views: what is seen of a run and of work on its way, as plain values with their pictures in them.

Nothing here computes a score: numbers come from the report, from the judge's own ranking, or from `decode`.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from app.demo.looks import (
    SMALL,
    Chart,
    Tile,
    common_level,
    has_places,
    player_uri,
    preview_uri,
    slice_uris,
    spectrogram_uri,
    uri_of,
)
from app.demo.runs import Prepared, Ranking, Run
from brain.catalogue import unknown
from brain.errors import UsageError
from decode.steps import Step
from evaluation.images import open_image
from evaluation.page import GEOMETRY, WORDS, ladder_table, metric_title, number, panel, plotted, row_title
from evaluation.samples import OTHER_REPEATS, Sample, Samples
from evaluation.synthesis import NAMES, Synthesis

PAGE = 12
"""Stimuli on one page of the list that is sorted by score."""
NOT_DECODING = (
    "What decoding is not: these pictures and sounds are what a generator makes of a few numbers predicted from the "
    "responses of one person, who lay in a scanner for hours and agreed to it; most of what looks right comes from the "
    "generator. They are no recording of what was seen, heard or thought, they do not carry over to anybody who does "
    "not take part, and one good picture says nothing without its controls and the worst ones beside it."
)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far long work is.

    state    "waiting", "running", "done", "stopped", "failed", or "left" where nobody wants to hear of it
    what     one line on what is being done, or what went wrong
    step, steps, left   steps done, of how many, and the seconds that are probably left, -1 where nobody knows
    """

    state: str
    what: str
    step: int = 0
    steps: int = 0
    left: float = -1


@dataclass(frozen=True, kw_only=True)
class BrainView:
    """What the brain gave to a stimulus: (region, mean z, width of its bar from -100 to 100, voxels), and slices."""

    bars: tuple[tuple[str, str, float, int], ...]
    slices: tuple[str, ...]
    note: str


@dataclass(frozen=True, kw_only=True)
class RankView:
    """Where the true stimulus stands in the pool, and what the decode is most similar to."""

    sentence: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, kw_only=True)
class DecodeView:
    """One test stimulus: shown, decoded, its controls, what the brain gave, where it stands.

    waiting  what is still being opened, "" once all is there
    """

    stimulus: str
    place: int
    count: int
    captions: tuple[str, ...]
    labels: tuple[str, ...]
    seen: tuple[Tile, ...]
    decoded: tuple[Tile, ...]
    controls: tuple[Tile, ...]
    scores: tuple[tuple[str, str, str], ...]
    brain: BrainView | None
    rank: RankView | None
    missing: tuple[str, ...]
    waiting: str
    reads: str
    words: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class DrawView:
    """A drawing on its way, or done: `command` draws the very same files."""

    progress: Progress
    tiles: tuple[Tile, ...] = ()
    rank: RankView | None = None
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class SynthesisView:
    """A synthesis on its way, or done.

    chart   the predicted activation of every picture over steps
    scores  (scorer, (value, percentile) of each picture), once it is done
    """

    progress: Progress
    tiles: tuple[Tile, ...] = ()
    chart: Chart | None = None
    scores: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    notes: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class JudgeView:
    """The ladder of a run, as the report draws it."""

    panels: tuple[Any, ...]
    table: Mapping[str, Any]
    geometry: Mapping[str, float]
    note: str


@dataclass(frozen=True, kw_only=True)
class SortedView:
    """Stimuli in the order of a score: (stimulus, score, its tiles) each."""

    title: str
    meaning: str
    first: int
    count: int
    strips: tuple[tuple[str, str, tuple[Tile, ...]], ...]


def badge(run: Run) -> str:
    """Whose brain it is, in a few words, so that nobody takes a simulated one for a brain."""
    if run.simulated is None:
        return "this run does not say whether its brain is simulated"
    return f"simulated brain ({run.simulated})" if run.simulated else "recorded brain"


def headline(run: Run) -> str:
    """What run this is, in one line."""
    facts = run.facts().get("data", {})
    parts = [
        f"subject {facts['subject']}" if facts.get("subject") else "", f"recipe {run.settings.recipe}",
        f"method {run.settings.decode.method}", f"{len(run.stimuli)} test stimuli",
    ]  # fmt: skip
    return ", ".join(part for part in parts if part)


def step_to(run: Run, stimulus: str, by: int) -> str:
    """The stimulus so many places on, around the ends."""
    place = run.stimuli.index(stimulus) if stimulus in run.stimuli else 0
    return run.stimuli[(place + by) % len(run.stimuli)]


def stimulus_names(run: Run) -> list[tuple[str, str]]:
    """(what is listed, id) of every test stimulus: its id and its label or caption."""
    found = []
    for name in run.stimuli:
        sample = run.samples.references[name]
        about = ", ".join(sample.labels.values()) or (sample.captions[0] if sample.captions else "")
        found.append((f"{name} · {about[:48]}" if about else name, name))
    return found


def judge_view(run: Run) -> JudgeView:
    """The ladder of the run's report."""
    ladder = run.ladder
    if not ladder.scores:
        note = f"This run has no report yet; make one with: afterimage evaluate {shlex.quote(str(run.folder.path))}"
        return JudgeView(panels=(), table={}, geometry=GEOMETRY, note=note)
    first = ladder.scores[0]
    note = (
        f"Judge {first.judge}, which never saw the brain; {first.n} stimuli, {first.pool} in the pool. Dots are means "
        "over stimuli, bands 95 % intervals, dashed lines chance."
    )
    panels = tuple(panel(ladder, name) for name in plotted(ladder))
    return JudgeView(panels=panels, table=ladder_table(ladder), geometry=GEOMETRY, note=note)


def sortable(run: Run) -> list[tuple[str, str]]:
    """(title, metric) of everything that stimuli can be sorted by: the metrics of the main row."""
    row = _main_row(run)
    found = [score.metric for score in run.ladder.scores if score.row == row and np.isfinite(score.values).any()]
    return [(metric_title(name)[0], name) for name in dict.fromkeys(found)]


def sorted_view(run: Run, metric: str, *, worst: bool, first: int) -> SortedView:
    """A page of the test stimuli in the order of a metric, the worst or the best first; unscored ones come last."""
    row = _main_row(run)
    score = next((one for one in run.ladder.scores if one.row == row and one.metric == metric), None)
    if score is None:
        raise UsageError(unknown("metric", metric, tuple(name for _, name in sortable(run))))
    up = score.values if worst != score.lower else -score.values
    order = [score.ids[at] for at in np.argsort(np.where(np.isfinite(up), up, np.inf), kind="stable")]
    values = dict(zip(score.ids, score.values.tolist(), strict=True))
    first = max(0, min(first, (len(order) - 1) // PAGE * PAGE)) // PAGE * PAGE
    strips = []
    for name in order[first : first + PAGE]:
        shown = [run.samples.references[name], *run.of(row, name)[:2]]
        tiles = tiles_of(run.samples, shown, kind="control")
        strips.append((name, number(values[name]), tiles))
    title, meaning = metric_title(metric)
    return SortedView(title=title, meaning=meaning, first=first, count=len(order), strips=tuple(strips))


def _main_row(run: Run) -> str:
    rows = run.ladder.rows()
    return "decoded" if "decoded" in rows or not rows else rows[0]


def progress_of(step: Step, *, seconds: float, since: int) -> Progress:
    if step.steps == 0:
        return Progress(state="waiting", what=step.what)
    done = step.step - since
    left = seconds / done * (step.steps - step.step) if done > 0 else -1
    return Progress(state="running", what=step.what, step=step.step, steps=step.steps, left=left)


def previews_of(step: Step | None) -> tuple[Tile, ...]:
    if step is None:
        return ()
    return tuple(
        Tile(title=f"sample {place + 1}" if len(step.previews) > 1 else "on its way", uri=preview_uri(seen),
             kind="decoded", small=_is_small(seen))
        for place, seen in enumerate(step.previews)
    )  # fmt: skip


def _is_small(seen: Any) -> bool:
    return hasattr(seen, "size") and isinstance(seen.size, tuple) and max(seen.size) <= SMALL


def tiles_of(samples: Samples, shown: Sequence[Sample], *, kind: str, seeds: bool = False) -> tuple[Tile, ...]:
    """Stored samples as tiles; sounds are played at one level, the highest at which none of them clips."""
    level = 0.0
    if samples.modality == "sound":
        waves = [samples.hear(one) for one in shown if not one.withheld]
        level = common_level(waves) if waves else 0.0
    return tuple(_tile(samples, one, kind=kind, level=level, seeds=seeds) for one in shown)


def _tile(samples: Samples, sample: Sample, *, kind: str, level: float, seeds: bool) -> Tile:
    title, note = row_title(sample.row, samples.modality)
    if sample.row == "reference":
        title, note, kind = WORDS[samples.modality]["stimulus"], sample.stimulus, "seen"
    if seeds:
        title, note = f"sample {sample.index + 1}", ""
    if sample.withheld:
        return Tile(title=title, note="withheld by the stack's safety checker", kind=kind)
    data, name = samples.read(sample), samples.path(sample).name
    if samples.modality == "sound":
        wave = samples.hear(sample)
        return Tile(
            title=title, note=note, kind=kind, uri=spectrogram_uri(wave), name=name, file=uri_of(data, "audio/wav"),
            wav=player_uri(wave, level=level, name=name),
        )  # fmt: skip
    size = samples.open(sample).size
    return Tile(title=title, note=note, kind=kind, uri=uri_of(data), name=name, small=max(size) <= SMALL)


def decode_view(run: Run, stimulus: str, known: Prepared | None) -> DecodeView:
    """All of one stimulus; what is not prepared yet is said to be waited for."""
    reference = run.samples.references[stimulus]
    decoded = run.of("decoded", stimulus)
    rows = [row for row in run.samples.rows() if row not in ("decoded", OTHER_REPEATS)]
    others = [one for row in rows for one in run.of(row, stimulus)[:1]]
    every = tiles_of(run.samples, [reference, *decoded, *others], kind="control")
    seen, drawn, beside = every[:1], every[1 : 1 + len(decoded)], every[1 + len(decoded) :]
    if len(decoded) > 1:
        drawn = tuple(replace(tile, title=f"{tile.title}, sample {at + 1}") for at, tile in enumerate(drawn))
    nearest = known.nearest(stimulus) if known else ""
    controls_ = tuple(
        replace(tile, note=f"{tile.note} ({nearest})") if nearest and one.row == "retrieval" else tile
        for tile, one in zip(beside, others, strict=True)
    )
    return DecodeView(
        stimulus=stimulus,
        place=run.stimuli.index(stimulus) + 1,
        count=len(run.stimuli),
        captions=reference.captions,
        labels=tuple(f"{group}: {value}" for group, value in sorted(reference.labels.items()) if value),
        seen=seen,
        decoded=tuple(replace(tile, kind="decoded") for tile in drawn),
        controls=controls_,
        scores=_scores(run, stimulus),
        brain=_brain_view(run, known, stimulus),
        rank=_stored_rank(run, known, stimulus),
        missing=known.missing if known else (),
        waiting="" if known else "opening the data and showing the test stimuli to the judge",
        reads=", ".join(run.settings.fit.maps) or ", ".join(run.settings.fit.voxels),
        words=WORDS[run.modality],
    )


def _scores(run: Run, stimulus: str) -> tuple[tuple[str, str, str], ...]:
    """(title, meaning, value) of the stimulus' own scores in the main row."""
    found = []
    for score in run.ladder.scores:
        if score.row == _main_row(run) and score.metric in plotted(run.ladder) and stimulus in score.ids:
            value = float(score.values[score.ids.index(stimulus)])
            if np.isfinite(value):
                found.append((*metric_title(score.metric), number(value)))
    return tuple(found)


def _brain_view(run: Run, known: Prepared | None, stimulus: str) -> BrainView | None:
    pattern = known.pattern(stimulus) if known else None
    if known is None or known.opened is None or pattern is None:
        return None
    space = known.opened.recording.responses.space
    most = max([1e-6, *(abs(mean) for _, mean, _ in pattern.regions)])
    bars = tuple(
        (name, f"{mean:+.2f}".replace("-", "−"), 100 * mean / most, voxels) for name, mean, voxels in pattern.regions
    )
    placed = has_places(space)
    where = (
        "Slices of the data's own grid from below to above, left at the left, front at the top; red is more, blue less "
        "than the voxel's mean."
        if placed
        else "These data carry no voxel positions, so that there are no slices to show."
    )
    note = (
        f"z-scores by the training trials of each session, averaged over {pattern.repeats} "
        f"repeat{'s' if pattern.repeats != 1 else ''} of this stimulus. {where}"
    )
    return BrainView(bars=bars, slices=slice_uris(pattern.values, space) if placed else (), note=note)


def _stored_rank(run: Run, known: Prepared | None, stimulus: str) -> RankView | None:
    features = known.pool.decoded.get((stimulus, 0)) if known and known.pool else None
    if known is None or known.pool is None or features is None:
        return None
    return rank_view(run, known.pool.ranking(features, stimulus), stimulus)


def rank_view(run: Run, ranking: Ranking, stimulus: str) -> RankView:
    """The sentence, and the stimuli that the decode is most similar to, the true one marked."""
    thing = WORDS[run.modality]["one"]
    others = ranking.pool - 1
    place = "the most similar" if ranking.rank == 1 else f"the {ordinal(ranking.rank)} most similar"
    sentence = (
        f"Of {ranking.pool} test stimuli the true one is {place} to this {thing} by the judge's features: it is more "
        f"similar than {ranking.share * others:g} of the {others} others, a tie counting one half."
    )
    shown = [run.samples.references[name] for name, _ in ranking.nearest]
    tiles = tuple(
        replace(
            tile, title=f"{name}{' (true)' if name == stimulus else ''}", kind="near", right=name == stimulus,
            note=f"similarity {similar:.2f}".replace("-", "−"),
        )
        for tile, (name, similar) in zip(tiles_of(run.samples, shown, kind="near"), ranking.nearest, strict=True)
    )  # fmt: skip
    return RankView(sentence=sentence, tiles=tiles)


def share_below(natural: Any, value: float) -> str:
    """The percentage of these values (picture,) that are below, rounded down, so that 100 % is all of them."""
    below = int((natural < value).sum())
    return f"{math.floor(1000 * below / len(natural)) / 10:.1f} %"


def ordinal(place: int) -> str:
    """1 -> "1st"."""
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def synthesis_view(progress: Progress, found: Synthesis, chart: Chart | None, command: str) -> SynthesisView:
    """The finished pictures, and what every scorer says of each among natural pictures."""
    (row,) = found.rows
    samples = [one for one in found.samples if one.row == row.row]
    tiles = []
    for place, sample in enumerate(samples):
        path = found.home / "samples" / sample.file
        small, data = max(open_image(path).size) <= SMALL, path.read_bytes()
        tiles.append(Tile(title=f"picture {place + 1}", kind="decoded", uri=uri_of(data), name=path.name, small=small))
    scores = tuple(
        (
            NAMES[scorer],
            tuple((number(float(one)), share_below(natural, float(one))) for one in row.values[scorer]),
        )
        for scorer, natural in found.natural.items()
    )
    natural = len(next(iter(found.natural.values())))
    notes = [
        f"{found.title}: predicted mean response, and the percentage of {natural} natural pictures that it exceeds. "
        "Natural pictures are the run's training and test stimuli; the encoders were fitted on the training ones."
    ]
    if row.category is not None:
        notes.append(f"The judge puts {100 * row.category:.0f} % of them into the region's own category.")
    return SynthesisView(
        progress=progress, tiles=tuple(tiles), chart=chart, scores=scores, notes=tuple(notes), command=command
    )
