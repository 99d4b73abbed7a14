"""Decode: test patterns become conditions, conditions become pictures or sounds, RUN/samples, with every control.

A sample is a whole file before it is a line of the index, and its seed is its own: the stage can be stopped at any
moment and goes on where it stopped, and one stimulus alone gives the very picture it gives among all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from brain.arithmetic import arithmetic
from brain.catalogue import unknown
from brain.errors import InputError, UsageError
from brain.types import Recording, Responses, Split, Stimuli
from decode.fit import is_fitted
from decode.hand import Hand, open_hand, row_of
from decode.ladder import DRAWN, RERANKED, TAKEN, Ladder, partners
from decode.patterns import first_repeats, folds_of, later_repeats, open_data
from decode.reranking import open_scorers, write_generated
from decode.run_folder import RunFolder
from decode.seeds import sample_seed
from decode.settings import MINDVIS, DecodeSettings, Settings, needed_maps, to_json
from decode.showing import seconds_heard
from encoders.conditions import Conditions
from encoders.network_map import load_map
from evaluation.samples import OTHER_REPEATS, REFERENCE, SampleWriter
from pipelines.drawing import Drawn

REPEAT = "repeat"


def decode(out: Path, settings: Settings, data: Path, *, stimuli: Sequence[str] = ()) -> str:
    """Draws what is missing of the run in `out`, of all test stimuli or of `stimuli`. Returns one sentence on it.

    A run that is not fitted is an InputError, as are data that the mappings were not fitted on.
    """
    run = RunFolder(out)
    check_rows(settings.decode)
    with run.lock():
        run.claim(settings, data, ("machine", "decode"))
        if not is_fitted(run):
            raise InputError(
                f"{out}: wanted a fitted run, came one that is not; run `afterimage fit` or `afterimage study` first"
            )
        chosen, repeated = _chosen(run, stimuli), run.card_facts().get("repeated", [])
        with SampleWriter(run.samples) as writer:
            missing = _missing(writer, chosen, settings.decode, repeated=repeated)
            if missing:
                _draw_missing(run, writer, settings, data=data, missing=missing)
            write_generated(run, settings)
            return f"{out}: {len(missing)} samples drawn, {len(writer)} there" if missing else f"{out}: decoded already"


def check_rows(decode: DecodeSettings) -> None:
    """Refuses rows that nobody draws."""
    known = (*DRAWN, RERANKED, *TAKEN)
    for row in decode.rows:
        if row not in known:
            raise UsageError(unknown("row", row, known))


def samples_of(row: str, decode: DecodeSettings) -> int:
    """How many samples of each stimulus a row holds."""
    if row == "decoded":
        return decode.seeds
    return 1 if row in (*TAKEN, REFERENCE, REPEAT, OTHER_REPEATS, RERANKED) else decode.control_seeds


Key = tuple[str, str, int]


def _chosen(run: RunFolder, stimuli: Sequence[str]) -> list[str]:
    tested = [name for names in run.card_facts()["tested"].values() for name in names]
    for name in stimuli:
        if name not in tested:
            raise UsageError(unknown("test stimulus", name, tuple(tested)))
    return [name for name in tested if not stimuli or name in stimuli]


def _missing(
    writer: SampleWriter, stimuli: Sequence[str], decode: DecodeSettings, *, repeated: Sequence[str]
) -> list[Key]:
    """Row, stimulus, index of what is asked for and not there, references first.

    The row "repeat" is drawn of the stimuli in `repeated` alone, together with what it is compared with.
    """
    beside = [row_of(method) for method in decode.beside]
    rows = [REFERENCE, *decode.rows, *beside, *([OTHER_REPEATS] if REPEAT in decode.rows else [])]
    twice = set(repeated)
    keys = [
        (row, name, index)
        for row in rows
        for name in stimuli
        for index in range(samples_of(row, decode))
        if row not in (REPEAT, OTHER_REPEATS) or name in twice
    ]
    return [key for key in keys if writer.done(*key) is None]


def _draw_missing(run: RunFolder, writer: SampleWriter, settings: Settings, *, data: Path, missing: list[Key]) -> None:
    from pipelines.lanes import products_tell_places

    facts = {**arithmetic(settings.machine.device), "products_tell_places": products_tell_places()}
    run.add_arithmetic("decode", facts, begun=len(writer) > 0)
    recording = open_data(data, settings.fit)
    folds = folds_of(recording, settings.fit.split, run)
    ladder = _ladder(run, recording, folds, settings=settings, missing=missing)
    seconds, wanted = seconds_heard(recording.stimuli, missing[0][1]), {"decoded", *(row for row, _, _ in missing)}
    hands = {
        row: open_hand(settings, ladder.true, run=run, method=method, seconds=seconds)
        for row, method in _methods(settings.decode).items()
        if row in wanted
    }
    run.add_to_card({"decode": {"settings": to_json(settings.decode), **hands["decoded"].facts}})
    blocks = first_sessions(recording)
    with tqdm(total=len(missing), desc="drawing", unit="sample", disable=None) as bar:
        for row in dict.fromkeys(row for row, _, _ in missing):
            asked = [(name, index) for other, name, index in missing if other == row]
            hand = hands.get(row, hands["decoded"])
            if row == RERANKED:
                work = _reranked(
                    run, recording, folds, asked=asked, writer=writer, ladder=ladder, hand=hand, settings=settings
                )
            else:
                work = _row(
                    row, asked, writer=writer, stimuli=recording.stimuli, ladder=ladder, hand=hand, blocks=blocks
                )
            for _ in work:
                bar.update()


def _methods(decode: DecodeSettings) -> dict[str, str]:
    """Row -> the generator that draws it, for "decoded" (and all that is not named) and the rows beside it."""
    return {"decoded": decode.method, **{row_of(method): method for method in decode.beside}}


def _ladder(
    run: RunFolder, recording: Recording, folds: Sequence[Split], *, settings: Settings, missing: list[Key]
) -> Ladder:
    """What the missing rows are drawn from: conditions are decoded of those stimuli alone that a row needs."""
    own = {"decoded", "retrieval", RERANKED, *_methods(settings.decode)}
    if MINDVIS in _methods(settings.decode).values():
        own.add("mean")  # voxels have no true conditions to take a mean of
    needed = {name for row, name, _ in missing if row in own}
    if any(row == "shuffled" for row, _, _ in missing):
        partner = partners(folds, settings.machine.seed)
        needed |= {partner[name] for row, name, _ in missing if row == "shuffled"}
    true = {space: Conditions.load(run.conditions(space, "true")) for space in needed_maps(settings.fit)}
    count = settings.decode.test_repeats

    def of(stimuli: set[str], take: Callable[[Responses], Responses]) -> dict[str, Conditions]:
        found = {
            space: decoded_conditions(run, recording, folds, space=space, stimuli=stimuli, take=take) for space in true
        }
        if MINDVIS in _methods(settings.decode).values():
            from decode.conditioned import patterns

            conditions = patterns(run, recording, stimuli=stimuli, take=take)
            found[conditions.space.name] = conditions
        return found

    takes: dict[str, Callable[[Responses], Responses]] = {
        REPEAT: lambda trials: first_repeats(trials, 1),
        OTHER_REPEATS: later_repeats,
    }
    repeats = {
        row: of(stimuli, take)
        for row, take in takes.items()
        if (stimuli := {name for other, name, _ in missing if other == row})
    }
    decoded = of(needed, lambda trials: first_repeats(trials, count)) if needed else {}
    for space, conditions in decoded.items():
        if space in true and len(conditions) == sum(len(split.test) for split in folds):
            conditions.save(run.conditions(space, "decoded"))
    return Ladder(folds=tuple(folds), true=true, decoded=decoded, seed=settings.machine.seed, repeats=repeats)


def first_sessions(recording: Recording) -> dict[str, str]:
    """stimulus -> the session of its first showing: stimuli of one session may change places under the null."""
    found: dict[str, int] = {}
    for name, session in zip(recording.responses.stimulus.tolist(), recording.responses.session.tolist(), strict=True):
        found[name] = min(session, found.get(name, session))
    return {name: f"session {session}" for name, session in found.items()}


def decoded_conditions(
    run: RunFolder,
    recording: Recording,
    folds: Sequence[Split],
    *,
    space: str,
    stimuli: set[str],
    take: Callable[[Responses], Responses],
) -> Conditions:
    """The conditions in `space` that the mappings read from the brain for these test stimuli, each by its fold's.

    `take` chooses among a stimulus' repeats.
    """
    parts: list[Conditions] = []
    for split in folds:
        here = stimuli & set(split.test)
        if here:
            mapping = load_map(run.map(space, split.name))
            if mapping.split != split.sha256:
                raise InputError(
                    f"{run.map(space, split.name)}: fitted on another split than these data make of {split.name!r}; "
                    "decode the data it was fitted on, or fit again into another --out"
                )
            trials = recording.responses.trials(recording.responses.of(here))
            parts.append(mapping.decode(take(trials)))
    return _joined(parts)


def _joined(parts: Sequence[Conditions]) -> Conditions:
    ids = tuple(name for part in parts for name in part.ids)
    return Conditions(space=parts[0].space, values=np.concatenate([part.values for part in parts]), ids=ids)


def _row(
    row: str,
    asked: list[tuple[str, int]],
    *,
    writer: SampleWriter,
    stimuli: Stimuli,
    ladder: Ladder,
    hand: Hand,
    blocks: Mapping[str, str],
) -> Iterator[None]:
    """Draws and stores one row, sample after sample."""
    if row == REFERENCE:
        for name, _ in asked:
            writer.reference(
                hand.show(stimuli, name),
                stimulus=name,
                captions=stimuli.captions.get(name, ()),
                labels=stimuli.labels.get(name),
                block=blocks[name],
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
        for (_, index), drawn in zip(asked, hand.draw(conditions, names, seeds), strict=True):
            _store(writer, drawn, row=row, index=index, hand=hand)
            yield


def _reranked(
    run: RunFolder,
    recording: Recording,
    folds: Sequence[Split],
    *,
    asked: list[tuple[str, int]],
    writer: SampleWriter,
    ladder: Ladder,
    hand: Hand,
    settings: Settings,
) -> Iterator[None]:
    """Draws several samples of each stimulus and stores the one an encoding model likes best (Ciferri et al. 2025)."""
    from pipelines.reranking import best_of

    scorers = open_scorers(run, recording, folds, settings=settings)
    count = settings.decode.candidates
    conditions = hand.conditions(ladder, "decoded", [name for name, _ in asked])
    names = [name for name, _ in asked for _ in range(count)]
    seeds = [sample_seed(ladder.seed, name, number) for name, _ in asked for number in range(count)]
    # all in one stream, for candidates of several stimuli fill the lanes that those of one would leave empty
    stream = hand.draw(conditions, names, seeds)
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
