"""Decode: test patterns become conditions, conditions become pictures or sounds, RUN/samples, with every control.

A sample is a whole file before it is a line of the index, and its seed is its own: the stage can be stopped at any
moment and goes on where it stopped, and one stimulus alone gives the very picture it gives among all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from brain.arithmetic import arithmetic
from brain.catalogue import unknown
from brain.errors import InputError, UsageError
from brain.progress import progress
from brain.types import Stimuli
from decode.checks import accept, check_networks, together
from decode.content import hold
from decode.fit import is_fitted
from decode.hand import Hand, row_of
from decode.ladder import DRAWN, RERANKED, TAKEN, Ladder
from decode.opened import REPEAT, Key, Opened, methods_of
from decode.painter import NAME as PIXELS
from decode.reranking import SPACE as RERANKING
from decode.reranking import open_scorers, write_generated
from decode.run_folder import RunFolder
from decode.seeds import sample_seed
from decode.settings import DecodeSettings, Settings, needed_maps, to_json
from evaluation.samples import OTHER_REPEATS, REFERENCE, SampleWriter
from pipelines.drawing import DTYPES, SCHEDULERS, Drawn, Watch
from pipelines.stacks import StackFolder, resolve

BOUNDS = (
    ("steps", 1, math.inf), ("guidance", 0, 1e6), ("eta", 0, 1), ("noise_level", 0, math.inf), ("seeds", 1, math.inf),
    ("control_seeds", 1, math.inf), ("candidates", 1, math.inf), ("loa_weight", 0, 1), ("anchor_weight", 0, 1),
    ("lane", 0, math.inf), ("test_repeats", 0, math.inf),
)  # fmt: skip
"""Settings that are numbers, the least and the most they may be."""
LATENTS = ("vae-latent", "mel-latent")
"""Spaces whose decoded conditions are noised by the strength and denoised again."""


def decode(out: Path, settings: Settings, data: Path, *, stimuli: Sequence[str] = ()) -> str:
    """Draws what is missing of the run in `out`, of all test stimuli or of `stimuli`. Returns one sentence on it.

    A run that is not fitted is an InputError, as are data that the mappings were not fitted on.
    """
    run = RunFolder(out)
    together([lambda: check_rows(settings), lambda: check_drawing(settings)])
    with run.lock():
        if not is_fitted(run):
            raise InputError(
                f"{out}: expected a fitted run, found one that is not; run `afterimage fit` or `afterimage study` first"
            )
        check_partners(run, settings)
        accept(run, settings, data, ("machine", "decode"))
        chosen, repeated = chosen_of(run, stimuli), run.card_facts().get("repeated", [])
        with SampleWriter(run.samples, simulated=run.simulated()) as writer:
            missing = missing_of(writer, chosen, settings.decode, repeated=repeated)
            if missing:
                opened = Opened(run=run, fit=settings.fit, data=data)
                draw_missing(opened, run, writer, settings, missing=missing)
            write_generated(run, settings)
            if not missing:
                return f"{out}: decoded already"
        stale = f"; {run.report} is of fewer, write it again with `afterimage evaluate {out}`"
        there = (run.report / "report.json").is_file()
        return f"{out}: {len(missing)} samples drawn, {len(writer)} there{stale if there else ''}"


def check_rows(settings: Settings) -> None:
    """Refuses (UsageError) rows that nobody draws, and those that this recipe's generator cannot."""
    rows, method, known = settings.decode.rows, settings.decode.method, (*DRAWN, RERANKED, *TAKEN)
    for row in rows:
        if row not in known:
            raise UsageError(unknown("row", row, known))
    if not rows:
        raise UsageError(f"--rows: expected one row or more of {', '.join(known)}, found none; name decoded, for one")
    for flag, named in (("--rows", rows), ("--beside", settings.decode.beside)):
        if len(set(named)) < len(named):
            twice = next(one for one in named if named.count(one) > 1)
            raise UsageError(f"{flag}: expected names that differ, found {twice!r} twice; name it once")
    if method == PIXELS and "prior" in rows:
        raise UsageError(f"--rows: {method} draws nothing without a condition; leave prior out")
    if method == PIXELS and "round_trip" in rows:
        raise UsageError(f"--rows: {method} has no autoencoder for round_trip; leave that row out")
    maps = needed_maps(settings.fit)
    if RERANKED in rows and RERANKING not in maps:
        raise UsageError(f"--rows: reranked needs {RERANKING} among --maps, found {', '.join(maps)}; leave it out")


def check_partners(run: RunFolder, settings: Settings) -> None:
    """Refuses (UsageError) the row shuffled of a run that tests one stimulus: no other pattern can take its place."""
    tested = [name for names in run.card_facts().get("tested", {}).values() for name in names]
    if "shuffled" in settings.decode.rows and len(tested) < 2:
        others = [row for row in settings.decode.rows if row != "shuffled"]
        raise UsageError(
            f"--rows: shuffled takes the pattern of another test stimulus, and this run tests {len(tested)}; ask for "
            f"--rows {' '.join(others) or 'decoded'}"
        )


def check_drawing(settings: Settings) -> None:
    """Refuses (UsageError), before anything is opened, names and numbers that no denoising loop of this stack takes."""
    decode = settings.decode
    if decode.scheduler and decode.scheduler not in SCHEDULERS:
        raise UsageError(f"--scheduler: {unknown('scheduler', decode.scheduler, tuple(SCHEDULERS))}")
    if decode.dtype not in DTYPES:
        raise UsageError(f"--dtype: {unknown('number type', decode.dtype, DTYPES)}")
    for name, low, high in BOUNDS:
        value = getattr(decode, name)
        if not low <= value <= high:
            upper = f" to {high:g}" if math.isfinite(high) else " or more"
            raise UsageError(f"--{name.replace('_', '-')}: expected {low:g}{upper}, found {value:g}")
    if not 0 < decode.strength <= 1:
        raise UsageError(f"--strength: expected above 0 and at most 1, found {decode.strength:g}")
    noised = any(space in needed_maps(settings.fit) for space in LATENTS)
    if noised and int(decode.steps * decode.strength) < 1:
        raise UsageError(
            f"--strength {decode.strength:g} of {decode.steps} steps leaves no step; use more steps or more strength"
        )
    if decode.method != PIXELS:
        _check_levels(decode, resolve(settings.fit.stack, numbers=False))
        check_networks(settings, drawn=True)


def _check_levels(decode: DecodeSettings, stack: StackFolder) -> None:
    """Refuses (UsageError) more steps, or a higher noise level, than the stack's noise schedules have."""
    if decode.steps > stack.noise_levels:
        raise UsageError(f"--steps: expected 1 to {stack.noise_levels} on this stack, found {decode.steps}")
    if decode.noise_level and "image_noising_scheduler" in stack.components:
        most = stack.levels_of("image_noising_scheduler") - 1
        if decode.noise_level > most:
            raise UsageError(f"--noise-level: expected 0 to {most} on this stack, found {decode.noise_level}")


def samples_of(row: str, decode: DecodeSettings) -> int:
    """How many samples of each stimulus a row holds."""
    if row == "decoded":
        return decode.seeds
    return 1 if row in (*TAKEN, REFERENCE, REPEAT, OTHER_REPEATS, RERANKED) else decode.control_seeds


def chosen_of(run: RunFolder, stimuli: Sequence[str]) -> list[str]:
    """The test stimuli of the run, or those of them that are named; another name is a UsageError."""
    tested = [name for names in run.card_facts()["tested"].values() for name in names]
    for name in stimuli:
        if name not in tested:
            raise UsageError(unknown("test stimulus", name, tuple(tested)))
    return [name for name in tested if not stimuli or name in stimuli]


def missing_of(
    writer: SampleWriter, stimuli: Sequence[str], decode: DecodeSettings, *, repeated: Sequence[str]
) -> list[Key]:
    """Row, stimulus, index of what is asked for and not there.

    The row "repeat" is drawn of the stimuli in `repeated` alone, together with what it is compared with.
    """
    return [key for key in asked_of(stimuli, decode, repeated=repeated) if writer.done(*key) is None]


def asked_of(stimuli: Sequence[str], decode: DecodeSettings, *, repeated: Sequence[str]) -> list[Key]:
    """Row, stimulus, index of all that is asked for, references first."""
    beside = [row_of(method) for method in decode.beside]
    rows = [REFERENCE, *decode.rows, *beside, *([OTHER_REPEATS] if REPEAT in decode.rows else [])]
    twice = set(repeated)
    return [
        (row, name, index)
        for row in rows
        for name in stimuli
        for index in range(samples_of(row, decode))
        if row not in (REPEAT, OTHER_REPEATS) or name in twice
    ]


def draw_missing(
    opened: Opened,
    sink: RunFolder,
    writer: SampleWriter,
    settings: Settings,
    *,
    missing: list[Key],
    watch: Watch | None = None,
) -> None:
    """Draws these samples of an opened run into the folder `sink`, which is the run itself or one beside it.

    watch  told every step of a denoising loop; what it raises ends the drawing after the last whole sample
    """
    from pipelines.lanes import products_tell_places

    hold(opened.recording.stimuli, dict.fromkeys(name for _, name, _ in missing))
    facts = {**arithmetic(settings.machine.device), "products_tell_places": products_tell_places()}
    sink.add_arithmetic("decode", facts, begun=len(writer) > 0)
    ladder = opened.ladder(settings, missing)
    if sink == opened.run:
        for space, conditions in ladder.decoded.items():
            if space in ladder.true and len(conditions) == sum(len(split.test) for split in opened.folds):
                conditions.save(sink.conditions(space, "decoded"))
    wanted = {"decoded", *(row for row, _, _ in missing)}
    hands = {
        row: opened.hand(settings, method) for row, method in methods_of(settings.decode).items() if row in wanted
    }
    sink.add_to_card({"decode": {"settings": to_json(settings.decode), **hands["decoded"].facts}})
    with progress(total=len(missing), desc="drawing", unit="sample") as bar:
        for row in dict.fromkeys(row for row, _, _ in missing):
            asked = [(name, index) for other, name, index in missing if other == row]
            hand = hands.get(row, hands["decoded"])
            if row == RERANKED:
                work = _reranked(
                    opened, asked=asked, writer=writer, ladder=ladder, hand=hand, settings=settings, watch=watch
                )
            else:
                work = _row(row, asked, opened=opened, writer=writer, ladder=ladder, hand=hand, watch=watch)
            for _ in work:
                bar.update()


def _row(
    row: str,
    asked: list[tuple[str, int]],
    *,
    opened: Opened,
    writer: SampleWriter,
    ladder: Ladder,
    hand: Hand,
    watch: Watch | None,
) -> Iterator[None]:
    """Draws and stores one row, sample after sample."""
    stimuli = opened.recording.stimuli
    if row == REFERENCE:
        for name, _ in asked:
            writer.reference(
                hand.show(stimuli, name),
                stimulus=name,
                captions=stimuli.captions.get(name, ()),
                labels=stimuli.labels.get(name),
                block=opened.sessions[name],
            )
            yield
    elif row == "prior":
        names = [name for name, _ in asked]
        if hand.prior is None:
            raise UsageError(f"--rows: {hand.method} draws nothing without a condition; leave prior out")
        for drawn in hand.prior(names, [sample_seed(ladder.seed, name, 0) for name in names]):
            _store(writer, drawn, row=row, index=0, hand=hand)
            yield
    elif row in TAKEN:
        for (name, index), sample in zip(
            asked, _taken(row, asked, stimuli=stimuli, ladder=ladder, hand=hand), strict=True
        ):
            writer.write(sample, row=row, stimulus=name, index=index, seed=0, method=row)
            yield
    else:
        names = [name for name, _ in asked]
        seeds = [sample_seed(ladder.seed, name, index) for name, index in asked]
        conditions = hand.conditions(ladder, row if row in DRAWN else "decoded", list(dict.fromkeys(names)))
        for (_, index), drawn in zip(asked, hand.draw(conditions, names, seeds, watch=watch), strict=True):
            _store(writer, drawn, row=row, index=index, hand=hand)
            yield


def _reranked(
    opened: Opened,
    *,
    asked: list[tuple[str, int]],
    writer: SampleWriter,
    ladder: Ladder,
    hand: Hand,
    settings: Settings,
    watch: Watch | None,
) -> Iterator[None]:
    """Draws several samples of each stimulus and stores the one an encoding model likes best (Ciferri et al. 2025)."""
    from pipelines.reranking import best_of

    scorers = open_scorers(opened.run, opened.recording, opened.folds, settings=settings)
    count = settings.decode.candidates
    conditions = hand.conditions(ladder, "decoded", [name for name, _ in asked])
    names = [name for name, _ in asked for _ in range(count)]
    seeds = [sample_seed(ladder.seed, name, number) for name, _ in asked for number in range(count)]
    # all in one stream, for candidates of several stimuli fill the lanes that those of one would leave empty
    stream = hand.draw(conditions, names, seeds, watch=watch)
    for name, index in asked:
        scorer = scorers[ladder.fold(name).name]
        candidates = list(islice(stream, count))
        best = best_of(candidates, lambda waves, scorer=scorer, name=name: scorer(waves, name))
        _store(writer, best.drawn, row=RERANKED, index=index, hand=hand, candidates=best.candidates)
        yield


def _store(writer: SampleWriter, drawn: Drawn, *, row: str, index: int, hand: Hand, candidates: int = 1) -> None:
    writer.write(
        hand.made(drawn), row=row, stimulus=drawn.id, index=index, seed=drawn.seed, method=hand.method,
        withheld=drawn.withheld, candidates=candidates,
    )  # fmt: skip


def _taken(row: str, asked: list[tuple[str, int]], *, stimuli: Stimuli, ladder: Ladder, hand: Hand) -> Iterator[Any]:
    names = [name for name, _ in asked]
    if row == "retrieval":
        yield from (hand.show(stimuli, ladder.nearest(name)) for name in names)
    elif hand.round_trip is None:
        raise UsageError(f"--rows: {hand.method} has no autoencoder for round_trip; leave that row out")
    else:
        # a few at a time: a picture is small, a data set of them is not
        for first in range(0, len(names), 32):
            yield from hand.round_trip([hand.show(stimuli, name) for name in names[first : first + 32]])
