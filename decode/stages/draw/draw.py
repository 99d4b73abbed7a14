"""Decode: test patterns become conditions, conditions become pictures or sounds, RUN/samples, with every control.

A sample is a whole file before it is a line of the index, and its seed is its own: the stage can be stopped at any
moment and goes on where it stopped, and one stimulus alone gives the very picture it gives among all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from brain.catalogue import unknown
from brain.console.progress import progress
from brain.errors import InputError, UsageError, expected, together
from brain.machine.arithmetic import arithmetic
from brain.types import Stimuli
from decode.methods import CATALOGUE as METHODS
from decode.methods import Decoder, RowTask, check_method, maps_read, own_of, row_cards, row_of
from decode.run.content import hold
from decode.run.folder import RunFolder
from decode.run.ladder import DRAWN, TAKEN, Ladder, most_telling
from decode.run.patterns import first_repeats
from decode.run.seeds import sample_seed
from decode.run.settings import MAPPINGS, SamplingSettings, Settings, kinds_of, maps_of, to_json
from decode.stages.draw.opened import Key, Opened, methods_of
from decode.stages.fit.fit import is_fitted
from decode.stages.fit.memory import check_networks
from decode.stages.own_data import accept
from encoders.conditions import Conditions
from evaluation.report.costs import metered
from evaluation.samples.rows import OTHER_REPEATS, REFERENCE, REPEAT, is_row
from evaluation.samples.writer import SampleWriter
from pipelines.drawing import Drawn, Watch


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
        check_learned(run, settings)
        accept(run, settings, data, ("machine", "decode"))
        chosen, repeated = chosen_of(run, stimuli), run.card_facts().get("repeated", [])
        with SampleWriter(run.samples, simulated=run.simulated(), rows=row_cards(settings)) as writer:
            missing = missing_of(writer, chosen, settings.sampling, repeated=repeated)
            if missing or lost_conditions(run, writer, settings):
                opened = Opened(run=run, settings=settings, data=data)
                with metered(run.path, "decode"):
                    draw_missing(opened, run, writer, settings, missing=missing)
            for method, _ in own_of(settings):
                method.finish(run, settings)
            if not missing:
                return f"{out}: decoded already"
        stale = f"; {run.report} is of fewer, write it again with `afterimage evaluate {out}`"
        there = (run.report / "report.json").is_file()
        return f"{out}: {len(missing)} samples drawn, {len(writer)} there{stale if there else ''}"


def check_rows(settings: Settings) -> None:
    """Refuses (UsageError) rows that nobody draws, and those that this recipe's method cannot."""
    rows, method = settings.sampling.rows, METHODS[settings.sampling.method]
    known = (*DRAWN, *method.drawn, *TAKEN)
    for row in rows:
        if row not in known:
            raise UsageError(unknown("row", row, known))
        if row in method.lacks:
            raise UsageError(f"--rows: {method.name}: {method.lacks[row]}; leave {row} out")
    if not rows:
        raise UsageError(f"--rows: expected one row or more of {', '.join(known)}, found none; name decoded, for one")
    for flag, named in (("--rows", rows), ("--beside", settings.sampling.beside)):
        if len(set(named)) < len(named):
            twice = next(one for one in named if named.count(one) > 1)
            raise UsageError(f"{flag}: expected names that differ, found {twice!r} twice; name it once")
    for one, _ in own_of(settings):
        for name in (row_of(one.name), *one.drawn, *(card.name for card in one.rows)):
            if not is_row(name):
                what, then = "rows of small letters, digits and _", "rename it in the method's file"
                raise UsageError(expected(f"method {one.name}", what, repr(name), then))
    taken = {*DRAWN, *TAKEN, *method.drawn}
    for name in settings.sampling.beside:
        if row_of(name) in taken:
            found = f"{row_of(name)} of {name} twice"
            raise UsageError(expected("--beside", "rows of their own", found, "leave it out"))
        taken.add(row_of(name))


def check_partners(run: RunFolder, settings: Settings) -> None:
    """Refuses (UsageError) the row shuffled of a run that tests one stimulus: no other pattern can take its place."""
    tested = [name for names in run.card_facts().get("tested", {}).values() for name in names]
    if "shuffled" in settings.sampling.rows and len(tested) < 2:
        others = [row for row in settings.sampling.rows if row != "shuffled"]
        raise UsageError(
            f"--rows: shuffled takes the pattern of another test stimulus, and this run tests {len(tested)}; ask for "
            f"--rows {' '.join(others) or 'decoded'}"
        )


def check_learned(run: RunFolder, settings: Settings) -> None:
    """Refuses (UsageError) a method that learns something besides maps, of a run that was fitted without it."""
    for method, _ in own_of(settings):
        if method.learns and not run.has_learned(method.name):
            then = f"fit it: `afterimage study` with the run's --out and --beside {method.name}"
            found = "a run that was fitted without it"
            raise UsageError(expected(f"{run.path}: method {method.name}", "what it learns in the fit", found, then))


def check_drawing(settings: Settings) -> None:
    """Refuses (UsageError), before anything is opened, settings that no denoising loop of this stack takes, and maps of
    a kind that this installation does not have."""
    for kind in kinds_of(settings.maps):
        MAPPINGS[kind]  # which is refused where nobody has it
    for method, own in own_of(settings):
        check_method(method, settings, own)
    if any(method.stack for method, _ in own_of(settings)):
        check_networks(settings, drawn=True)


def samples_of(row: str, sampling: SamplingSettings) -> int:
    """How many samples of each stimulus a row holds."""
    if row == "decoded":
        return sampling.seeds
    one = (*TAKEN, REFERENCE, REPEAT, OTHER_REPEATS, *METHODS[sampling.method].drawn)
    return 1 if row in one else sampling.control_seeds


def chosen_of(run: RunFolder, stimuli: Sequence[str]) -> list[str]:
    """The test stimuli of the run, or those of them that are named; another name is a UsageError."""
    tested = [name for names in run.card_facts()["tested"].values() for name in names]
    for name in stimuli:
        if name not in tested:
            raise UsageError(unknown("test stimulus", name, tuple(tested)))
    return [name for name in tested if not stimuli or name in stimuli]


def missing_of(
    writer: SampleWriter, stimuli: Sequence[str], sampling: SamplingSettings, *, repeated: Sequence[str]
) -> list[Key]:
    """Row, stimulus, index of what is asked for and not there.

    The row "repeat" is drawn of the stimuli in `repeated` alone, together with what it is compared with.
    """
    by, missing = methods_of(sampling), []
    for key in asked_of(stimuli, sampling, repeated=repeated):
        sample = writer.done(*key)
        if sample is None:
            missing.append(key)
        elif key[0] in by and key[0] != "decoded" and sample.method != by[key[0]]:
            then = "draw into another folder with `afterimage decode RUN --to FOLDER`"
            what, found = f"samples of method {by[key[0]]}", f"some of {sample.method}"
            raise UsageError(expected(f"row {key[0]}", what, found, then))
    return missing


def asked_of(stimuli: Sequence[str], sampling: SamplingSettings, *, repeated: Sequence[str]) -> list[Key]:
    """Row, stimulus, index of all that is asked for, references first."""
    beside = [row_of(method) for method in sampling.beside]
    rows = [REFERENCE, *sampling.rows, *beside, *([OTHER_REPEATS] if REPEAT in sampling.rows else [])]
    twice = set(repeated)
    return [
        (row, name, index)
        for row in rows
        for name in stimuli
        for index in range(samples_of(row, sampling))
        if row not in (REPEAT, OTHER_REPEATS) or name in twice
    ]


def lost_conditions(run: RunFolder, writer: SampleWriter, settings: Settings) -> bool:
    """Whether every test stimulus has its sample of row decoded, and a map's decoded conditions are gone or damaged."""
    tested = [name for names in run.card_facts()["tested"].values() for name in names]
    drawn = all(writer.done("decoded", name, 0) is not None for name in tested)
    return drawn and not all(holds_conditions(run.conditions(name, "decoded")) for name in maps_of(settings.maps))


def holds_conditions(path: Path) -> bool:
    """Whether conditions can be read there."""
    try:
        return path.is_file() and len(Conditions.load(path)) > 0
    except InputError:
        return False


def save_decoded(
    opened: Opened, writer: SampleWriter, settings: Settings, ladder: Ladder, *, missing: list[Key]
) -> None:
    """Saves the decoded conditions of all test stimuli, once each has its sample of row decoded or gets it now.

    A part of them, as `--stimuli` draws it first, has no file: scores of conditions are over every test stimulus.
    """
    tested = {name for split in opened.folds for name in split.test}
    known = {name for row, name, _ in missing if row == "decoded"}
    known |= {name for name in tested if writer.done("decoded", name, 0) is not None}
    read = {method.keeps for method, _ in own_of(settings) if method.keeps}
    kept = {name: opened.run.conditions(name, "read" if name in read else "decoded") for name in (*ladder.true, *read)}
    decoded, there = ladder.decoded, [holds_conditions(path) for path in kept.values()]
    some = not decoded or any(len(one) < len(tested) for one in decoded.values())
    if known >= tested and not all(there) and some:
        count = settings.sampling.test_repeats
        decoded = opened.decoded(tested, lambda trials: first_repeats(trials, count), settings=settings)
    for name, conditions in decoded.items():
        if name in kept and len(conditions) == len(tested):
            conditions.save(kept[name])


def draw_missing(
    opened: Opened,
    sink: RunFolder,
    writer: SampleWriter,
    settings: Settings,
    *,
    missing: list[Key],
    silenced: tuple[str, ...] = (),
    watch: Watch | None = None,
) -> None:
    """Draws these samples of an opened run into the folder `sink`, which is the run itself or one beside it.

    silenced  regions whose voxels stand at their training mean, beside the run alone: see `decode.stages.draw.silenced`
    watch     told every step of a denoising loop; what it raises ends the drawing after the last whole sample
    """
    from pipelines.sampling.micro_batches import FORMATS, WIDTH, rows_depend_on_place

    hold(opened.recording.stimuli, dict.fromkeys(name for _, name, _ in missing))
    calls = {"samples": WIDTH, "formats": FORMATS}
    facts = {
        **arithmetic(settings.machine.device), "products_tell_places": rows_depend_on_place(), "calls": calls,
    }  # fmt: skip
    sink.add_arithmetic("decode", facts, begun=len(writer) > 0)
    ladder = opened.ladder(settings, missing, silenced=silenced)
    if sink == opened.run:
        save_decoded(opened, writer, settings, ladder, missing=missing)
    if not missing:
        return  # only conditions had been lost
    wanted = {"decoded", *(row for row, _, _ in missing)}
    decoders = {
        row: opened.decoder(settings, method) for row, method in methods_of(settings.sampling).items() if row in wanted
    }
    ranked = most_telling(ladder.true)
    by = methods_of(settings.sampling)
    # what a method learns besides maps is not fitted anew: refits of maps say nothing of its chance and its intervals
    read = {
        row: [] if METHODS[by[row]].learns else [name for name in ranked if name in names]
        for row, names in maps_read(settings).items()
    }
    before = sink.card_facts().get("decode", {}).get("maps", {})  # rows that an earlier call has drawn keep theirs
    facts = {"sampling": to_json(settings.sampling), "maps": {**before, **read}, **decoders["decoded"].facts}
    sink.add_to_card({"decode": facts})
    with progress(total=len(missing), desc="drawing", unit="sample") as bar:
        for row in dict.fromkeys(row for row, _, _ in missing):
            asked = [(name, index) for other, name, index in missing if other == row]
            decoder = decoders.get(row, decoders["decoded"])
            if row in METHODS[decoder.method].drawn:
                work = _own_row(
                    row, asked, opened=opened, writer=writer, ladder=ladder, decoder=decoder, settings=settings,
                    silenced=silenced, watch=watch,
                )  # fmt: skip
            else:
                work = _row(row, asked, opened=opened, writer=writer, ladder=ladder, decoder=decoder, watch=watch)
            for _ in work:
                bar.update()


def _row(
    row: str,
    asked: list[tuple[str, int]],
    *,
    opened: Opened,
    writer: SampleWriter,
    ladder: Ladder,
    decoder: Decoder,
    watch: Watch | None,
) -> Iterator[None]:
    """Draws and stores one row, sample after sample."""
    stimuli = opened.recording.stimuli
    if row == REFERENCE:
        for name, _ in asked:
            writer.reference(
                decoder.show(stimuli, name),
                stimulus=name,
                captions=stimuli.captions.get(name, ()),
                labels=stimuli.labels.get(name),
                block=opened.sessions[name],
            )
            yield
    elif row == "prior":
        names = [name for name, _ in asked]
        if decoder.prior is None:
            raise UsageError(f"--rows: {decoder.method} draws nothing without a condition; leave prior out")
        for drawn in decoder.prior(names, [sample_seed(ladder.seed, name, 0) for name in names]):
            _store(writer, drawn, row=row, index=0, decoder=decoder)
            yield
    elif row in TAKEN:
        for (name, index), sample in zip(
            asked, _taken(row, asked, stimuli=stimuli, ladder=ladder, decoder=decoder), strict=True
        ):
            writer.write(sample, row=row, stimulus=name, index=index, seed=0, method=row)
            yield
    else:
        names = [name for name, _ in asked]
        seeds = [sample_seed(ladder.seed, name, index) for name, index in asked]
        conditions = decoder.conditions(ladder, row if row in DRAWN else "decoded", list(dict.fromkeys(names)))
        for (_, index), drawn in zip(asked, decoder.draw(conditions, names, seeds, watch=watch), strict=True):
            _store(writer, drawn, row=row, index=index, decoder=decoder)
            yield


def _own_row(
    row: str,
    asked: list[tuple[str, int]],
    *,
    opened: Opened,
    writer: SampleWriter,
    ladder: Ladder,
    decoder: Decoder,
    settings: Settings,
    silenced: tuple[str, ...],
    watch: Watch | None,
) -> Iterator[None]:
    """Draws and stores a row that a method draws by itself."""
    method, every = METHODS[decoder.method], {name for fold in opened.folds for name in fold.test}
    tested = opened.tested(every, silenced, trials="single" if method.trains else "averaged")
    task = RowTask(
        run=opened.run, recording=opened.recording, tested=tested.responses, folds=opened.folds, settings=settings,
        own=settings.method(decoder.method), decoder=decoder, ladder=ladder, asked=asked, watch=watch,
    )  # fmt: skip
    for kept in method.drawn[row](task):
        _store(writer, kept.drawn, row=row, index=kept.index, decoder=decoder, candidates=kept.candidates)
        yield


def _store(writer: SampleWriter, drawn: Drawn, *, row: str, index: int, decoder: Decoder, candidates: int = 1) -> None:
    writer.write(
        decoder.made(drawn), row=row, stimulus=drawn.id, index=index, seed=drawn.seed, method=decoder.method,
        withheld=drawn.withheld, candidates=candidates,
    )  # fmt: skip


def _taken(
    row: str, asked: list[tuple[str, int]], *, stimuli: Stimuli, ladder: Ladder, decoder: Decoder
) -> Iterator[Any]:
    names = [name for name, _ in asked]
    if row == "retrieval":
        yield from (decoder.show(stimuli, ladder.nearest(name)) for name in names)
    elif decoder.round_trip is None:
        raise UsageError(f"--rows: {decoder.method} has no autoencoder for round_trip; leave that row out")
    else:
        # a few at a time: a picture is small, a data set of them is not
        for first in range(0, len(names), 32):
            yield from decoder.round_trip([decoder.show(stimuli, name) for name in names[first : first + 32]])
