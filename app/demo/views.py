"""Views: what is seen of a run and of running work, as plain values with their pictures in them.

Nothing here computes a score: numbers come from the report, from the judge's own ranking, or from `decode`.
"""

from __future__ import annotations

import math
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from app.demo.brain import brain_view
from app.demo.knobs import anchored
from app.demo.links import link_of
from app.demo.looks import (
    SMALL,
    Tile,
    chart_of,
    player_uri,
    preview_uri,
    signed_uri,
    spectrogram_uri,
    uri_of,
)
from app.demo.runs import Prepared, Ranking, Run
from app.demo.view_types import (
    DecodeView,
    JudgeView,
    Progress,
    RankView,
    SortedView,
    SynthesisView,
)
from brain.catalogue import unknown
from brain.errors import InputError, UsageError
from brain.files.pictures import open_image
from decode.stages.draw.steps import WAITING, Step
from evaluation.report.pages.ladder import GEOMETRY, WORDS, ladder_table, number, panel, plotted
from evaluation.report.pages.players import common_level
from evaluation.report.synthesis import NAMES, Synthesis, percentage
from evaluation.samples.rows import OTHER_REPEATS
from evaluation.samples.types import Sample, Samples

PAGE = 12
"""Stimuli on one page of the list that is sorted by score."""
NOT_DECODING = (
    "What decoding is not: these pictures and sounds are what a generator makes of conditions predicted from responses "
    "of one person, who lay in a scanner for hours and agreed to it, or, where it says so, of a simulated brain. Their "
    "detail comes from the generator. They are no recording of what was seen, heard or thought, they do not carry over "
    "to anybody who does not take part, and one good picture says nothing without its controls and the worst ones."
)


def badge(run: Run) -> str:
    """Whose brain it is, in a few words, so that nobody takes a simulated one for a brain."""
    if run.simulated is None:
        return "this run does not say whether its brain is simulated"
    return f"simulated brain ({run.simulated})" if run.simulated else "recorded brain"


def headline(run: Run) -> str:
    """What run this is, in one line."""
    facts = run.data_facts()
    parts = [
        f"subject {facts['subject']}" if facts.get("subject") else "", f"recipe {run.settings.recipe}",
        f"method {run.settings.sampling.method}", f"{len(run.stimuli)} test stimuli",
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
        about = sample.captions[0] if sample.captions else ", ".join(filter(None, sample.labels.values()))
        found.append((f"{name} · {textwrap.shorten(about, 56, placeholder=' …')}" if about else name, name))
    return found


def judge_view(run: Run) -> JudgeView:
    """The ladder of the run's report."""
    ladder = run.ladder
    if not ladder.scores:
        again = f"afterimage evaluate {shlex.quote(run.called)}"
        note = run.trouble or f"This run has no report yet; make one with: {again}, and open the demo again"
        return JudgeView(panels=(), table={}, geometry=GEOMETRY, note=note)
    first = ladder.scores[0]
    note = (
        f"Judge {first.judge}, which never saw the brain; {len(run.stimuli)} test stimuli. Dots are means over the "
        "stimuli that a score is defined for (n), bands 95 % intervals, dashed lines chance."
    )
    panels = tuple(panel(ladder, name) for name in plotted(ladder))
    return JudgeView(panels=panels, table=ladder_table(ladder), geometry=GEOMETRY, note=note)


def sortable(run: Run) -> list[tuple[str, str]]:
    """(title, metric) of everything that stimuli can be sorted by: the metrics of the main row."""
    row = _main_row(run)
    found = [score.metric for score in run.ladder.scores if score.row == row and np.isfinite(score.values).any()]
    return [(run.ladder.metric_card(name).title, name) for name in dict.fromkeys(found)]


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
    card = run.ladder.metric_card(metric)
    return SortedView(title=card.title, meaning=card.description, first=first, count=len(order), strips=tuple(strips))


def _main_row(run: Run) -> str:
    rows = run.ladder.rows()
    return "decoded" if "decoded" in rows or not rows else rows[0]


def progress_of(step: Step, *, seconds: float, since: int) -> Progress:
    """How far work is that reported this step, `seconds` after it had reported step `since`."""
    if step.steps == 0:
        return Progress(state="waiting" if step.what == WAITING else "running", what=step.what)
    done = step.step - since
    left = seconds / done * (step.steps - step.step) if done > 0 else -1
    return Progress(state="running", what=step.what, step=step.step, steps=step.steps, left=left)


def previews_of(step: Step | None) -> tuple[Tile, ...]:
    """What each sample looks like at this step, as tiles."""
    if step is None:
        return ()
    return tuple(
        Tile(title=f"sample {place + 1}" if len(step.previews) > 1 else "on its way", uri=preview_uri(seen),
             kind="decoded", small=_is_small(seen))
        for place, seen in enumerate(step.previews)
    )  # fmt: skip


def _is_small(seen: Any) -> bool:
    return hasattr(seen, "size") and isinstance(seen.size, tuple) and max(seen.size) <= SMALL


def drawn_tiles(
    run: Run, samples: Samples, drawn: Sequence[Sample], stimulus: str, *, made: Mapping[str, Any]
) -> tuple[Tile, ...]:
    """What was drawn again, sounds at the level of the stimulus and its stored samples; pictures have `made` inside."""
    tiles = tiles_of(samples, drawn, kind="decoded", seeds=True, level=level_of(run, stimulus))
    if run.modality != "image":
        return tiles
    return tuple(
        replace(tile, signed=signed_uri(samples.open(one), {**made, "index": one.index, "sample seed": one.seed}))
        if tile.uri else tile
        for tile, one in zip(tiles, drawn, strict=True)
    )  # fmt: skip


def starts_at_exemplar(run: Run) -> bool:
    """Whether this run's decodes start from the nearest training sound."""
    return run.modality == "sound" and anchored(run) > 0


def level_of(run: Run, stimulus: str) -> float:
    """The RMS at which a stimulus and all that is shown beside it are played; 0 of pictures."""
    return _level(run.samples, _shown(run, stimulus))


def _shown(run: Run, stimulus: str) -> list[Sample]:
    """The stimulus, its decodes, and the first sample of every other row."""
    rows = [row for row in run.samples.rows() if row not in ("decoded", OTHER_REPEATS)]
    others = [one for row in rows for one in run.of(row, stimulus)[:1]]
    return [run.samples.references[stimulus], *run.of("decoded", stimulus), *others]


def _level(samples: Samples, shown: Sequence[Sample]) -> float:
    if samples.modality != "sound":
        return 0.0
    waves = []
    for one in shown:
        try:
            waves += [] if one.withheld else [samples.hear(one)]
        except InputError:
            continue  # its tile says so
    return common_level(waves)


def tiles_of(
    samples: Samples, shown: Sequence[Sample], *, kind: str, seeds: bool = False, level: float = 0.0
) -> tuple[Tile, ...]:
    """Stored samples as tiles; sounds are played at `level`, or at the highest at which none of them clips."""
    level = level or _level(samples, shown)
    return tuple(_tile(samples, one, kind=kind, level=level, seeds=seeds) for one in shown)


def _tile(samples: Samples, sample: Sample, *, kind: str, level: float, seeds: bool) -> Tile:
    card = samples.card(sample.row)
    title, note = card.title, card.description
    if sample.row == "reference":
        title, note, kind = WORDS[samples.modality]["stimulus"], sample.stimulus, "seen"
    if seeds:
        title, note = f"sample {sample.index + 1}", ""
    if sample.withheld:
        return Tile(title=title, note="withheld by the stack's safety checker", kind=kind)
    try:
        return _shown_tile(samples, sample, title=title, note=note, kind=kind, level=level)
    except InputError as error:
        return Tile(title=title, note=f"cannot be shown: {error}", kind=kind)


def _shown_tile(samples: Samples, sample: Sample, *, title: str, note: str, kind: str, level: float) -> Tile:
    data, name = samples.read(sample), samples.path(sample).name
    if samples.modality == "sound":
        wave = samples.hear(sample)
        own = min(level, common_level([wave]))
        if own < 0.9 * level:
            note = f"{note}, played {20 * math.log10(level / own):.0f} dB softer, for it would clip".removeprefix(", ")
        return Tile(
            title=title, note=note, kind=kind, uri=spectrogram_uri(wave), name=name, file=uri_of(data, "audio/wav"),
            wav=player_uri(wave, level=own, name=name),
        )  # fmt: skip
    size = samples.open(sample).size
    return Tile(title=title, note=note, kind=kind, uri=uri_of(data), name=name, small=max(size) <= SMALL)


def decode_view(run: Run, stimulus: str, known: Prepared | None) -> DecodeView:
    """All of one stimulus; what is not prepared yet is said to be waited for."""
    reference = run.samples.references[stimulus]
    decoded = run.of("decoded", stimulus)
    shown = _shown(run, stimulus)
    others = shown[1 + len(decoded) :]
    every = tiles_of(run.samples, shown, kind="control")
    seen, drawn, beside = every[:1], every[1 : 1 + len(decoded)], every[1 + len(decoded) :]
    if len(decoded) > 1:
        drawn = tuple(replace(tile, title=f"{tile.title}, sample {at + 1}") for at, tile in enumerate(drawn))
    nearest = known.nearest(stimulus) if known else ""
    if nearest and starts_at_exemplar(run):
        started = f"from the brain's responses, started at the sound {nearest}"
        drawn = tuple(replace(tile, note=started) for tile in drawn)
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
        brain=brain_view(run, known, stimulus),
        rank=_stored_rank(run, known, stimulus),
        missing=known.missing if known else (),
        link=link_of(run, stimulus),
        waiting="" if known else "opening the data and showing the test stimuli to the judge",
        reads="; ".join(" from ".join(one.replace("+", ", ").split("=", 1)) for one in run.settings.maps.maps),
    )


def _scores(run: Run, stimulus: str) -> tuple[tuple[str, str, str, str, str], ...]:
    """(title, meaning, value, mean over stimuli, chance) of the stimulus' own scores in the main row."""
    found = []
    for score in run.ladder.scores:
        if score.row == _main_row(run) and score.metric in plotted(run.ladder) and stimulus in score.ids:
            value = float(score.values[score.ids.index(stimulus)])
            if np.isfinite(value):
                card = run.ladder.metric_card(score.metric)
                numbers = (number(value), number(score.value), number(score.chance))
                found.append((card.title, card.description, *numbers))
    return tuple(found)


def _stored_rank(run: Run, known: Prepared | None, stimulus: str) -> RankView | None:
    features = known.pool.decoded.get((stimulus, 0)) if known and known.pool else None
    if known is None or known.pool is None or features is None:
        return None
    found = known.pool.ranking(features, stimulus)
    return None if found is None else rank_view(run, found, stimulus)


def rank_view(run: Run, ranking: Ranking, stimulus: str) -> RankView:
    """The sentence, and the stimuli that the decode is most similar to, the true one marked."""
    thing = WORDS[run.modality]["one"]
    others = ranking.pool - 1
    if ranking.tied:
        some = f"{ranking.tied} other{'s are' if ranking.tied > 1 else ' is'} exactly as similar as the true one"
        more = f"{ranking.rank - 1} more so" if ranking.rank > 1 else "none more so"
        sentence = f"Of {ranking.pool} test stimuli {some}, and {more}, to this {thing} by the judge's features."
        return RankView(sentence=sentence, tiles=_nearest_tiles(run, ranking, stimulus))
    place = "the most similar" if ranking.rank == 1 else f"the {ordinal(ranking.rank)} most similar"
    sentence = (
        f"Of {ranking.pool} test stimuli the true one is {place} to this {thing} by the judge's features: it is more "
        f"similar than {ranking.share * others:g} of the {others} others; chance is half of them."
    )
    return RankView(sentence=sentence, tiles=_nearest_tiles(run, ranking, stimulus))


def _nearest_tiles(run: Run, ranking: Ranking, stimulus: str) -> tuple[Tile, ...]:
    shown = [run.samples.references[name] for name, _ in ranking.nearest]
    return tuple(
        replace(
            tile, title=f"{name}{' (true)' if name == stimulus else ''}", kind="near", right=name == stimulus,
            note=f"similarity {similar:.2f}".replace("-", "−"),
        )
        for tile, (name, similar) in zip(
            tiles_of(run.samples, shown, kind="near", level=level_of(run, stimulus)), ranking.nearest, strict=True
        )
    )  # fmt: skip


def share_below(natural: Any, value: float) -> str:
    """The percentage of these values (picture,) that are below, rounded down, so that 100 % is all of them."""
    return percentage(100 * float((natural < value).mean()))


def ordinal(place: int) -> str:
    """1 -> "1st"."""
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def synthesis_view(
    progress: Progress, found: Synthesis, reported: Sequence[Sequence[float]], *, about: str, command: str
) -> SynthesisView:
    """The finished pictures, and what every scorer says of each among natural pictures.

    reported  (picture, step) the objective as it was told on the way, of those that were made together last
    """
    (row,) = found.rows
    kept = list(found.facts["ways"].get(row.row, {}).get("courses", {}).values())
    trajectories = reported if len(reported) == len(kept) or len({len(one) for one in kept}) != 1 else kept
    chart = chart_of(trajectories, steps=len(trajectories[0]) if trajectories else 1)
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
        "Natural pictures are the run's training and test stimuli; the encoders were fitted on the training ones. "
        "Encoders predict z-scores, a simulated cortex answers in units of its own: compare the percentages."
    ]
    if row.category is not None:
        count = round(row.category * len(samples))
        notes.append(
            f"The judge, the second encoder's own network, puts {count} of {len(samples)} into the region's category."
        )
    return SynthesisView(
        progress=progress, tiles=tuple(tiles), chart=chart, scores=scores, notes=tuple(notes), command=command,
        about=about,
    )  # fmt: skip
