"""Looking at data before any work: the recording is opened, and so are some stimuli, and all that is wrong is reported.

    found = look(Path("mine.npz"), fields={"stimulus": "figure"})
    found.lines; found.facts; found.notes; found.problems

A problem is why the data cannot be studied at all; a note is what a person should know before they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from brain.console.progress import progress
from brain.data.design import by_session, choose
from brain.data.leaks import guard_statistics
from brain.errors import InputError, UsageError, counted, expected
from brain.readers import Apart, Inspection, Reader, as_opened, open_recording, reader_of
from brain.types import LEAVE_OUT, Recording, Responses, Split

WHOLE = 4 * 2**30
"""Bytes on disk up to which all sessions are read; of larger data whose sessions lie apart, the first that is there."""
STIMULI = 12
"""Stimuli that are opened: the first, the last, and some between."""
FEWEST, FEW = 3, 20
"""Training stimuli below which no penalty can be chosen, and below which numbers say little."""
SPREAD = {"psc": (0.05, 50.0), "z": (0.2, 5.0), "run-z": (0.05, 5.0)}
"""Where the standard deviation of the median voxel lies in these units."""
COUNTS = 50.0
"""From this spread on, numbers without a unit are a scanner's or integers that wait for their divisor."""
RAW = 20.0
"""Means this many standard deviations from zero are intensities, not responses."""
ROWS, LABELS = 12, 8
"""Sessions of the printed table, and labels of a group that is printed there."""
APART = 3.0
"""Times that one session's spread may exceed another's."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was found in a data set.

    lines      for people, what is there;  facts (JSON) the same for programs
    notes      what to know before studying it, one sentence each
    problems   why it cannot be studied, one sentence each; empty where it can
    """

    lines: tuple[str, ...]
    facts: Mapping[str, Any] = field(repr=False)
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def look(
    path: Path,
    *,
    reader: str = "",
    subject: str = "",
    sessions: Sequence[int] = (),
    fields: Mapping[str, str] | None = None,
) -> Look:
    """Everything that can be said of the data at `path`; only what is no data at all is raised (InputError).

    `reader`, `subject`, `sessions` and `fields` as in `open_recording`; no subject looks at each. Sessions that are
    absent are a note, where those that are there can be read without them.
    """
    fields = dict(fields or {})
    found = reader_of(path, reader)
    lines, problems = [f"{path}: {found.title} (reader {found.name})"], list[str]()
    facts: dict[str, Any] = {"path": str(path), "reader": found.name, "subjects": {}}
    notes: list[str] = []
    seen = Inspection(lines=())
    try:
        seen = found.inspect(path, fields=fields)
        lines += seen.lines
        problems += seen.problems
        facts["found"] = dict(seen.facts)
        subjects = (subject,) if subject else found.subjects(path, fields=fields) or ("",)
    except InputError as error:
        problems.append(str(error))
        subjects = (subject,)
    for one in progress(subjects, desc="reading responses and stimuli", unit="subject"):
        try:
            part = _subject(found, path, one, sessions=tuple(sessions), fields=fields, seen=seen)
        except InputError as error:
            problems.append(str(error))
            continue
        lines += part.lines
        facts["subjects"] |= part.facts
        notes += part.notes
        problems += part.problems
    facts |= {"notes": list(dict.fromkeys(notes)), "problems": list(dict.fromkeys(problems))}
    return Look(
        lines=tuple(lines), facts=facts, notes=tuple(facts["notes"]), problems=tuple(facts["problems"])
    )


def _subject(
    found: Reader, path: Path, subject: str, *, sessions: tuple[int, ...], fields: Mapping[str, str], seen: Inspection
) -> Look:
    """One subject, opened: what `seen` holds of it already, the sessions asked for, or as much as is there."""
    apart = seen.sessions.get(subject, Apart(there=()))
    taken = sessions or apart.there
    if not sessions and len(taken) > 1 and _bytes_of(path) > WHOLE:
        taken = taken[:1]
    whole, read = seen.recording, "all sessions"
    if whole is not None and not sessions and subject in ("", whole.responses.space.subject):
        recording = as_opened(whole, path)
    else:
        recording = open_recording(path, subject=subject, sessions=taken, reader=found.name, fields=fields)
    if sessions or taken != apart.there or apart.note:
        named = ", ".join(map(str, taken))
        read = f"session {named} alone" if len(taken) == 1 else f"sessions {named}"
        read += ", for the data are large" * (not sessions and taken != apart.there)
    name, part = recording.responses.space.subject, _looked_at(recording)
    return Look(
        lines=(f"{name}, opened ({read}):", *(f"  {line}" for line in part.lines)),
        facts={name: dict(part.facts) | {"read": read}},
        notes=(*((apart.note,) if apart.note and not sessions else ()), *part.notes),
        problems=part.problems,
    )


def _bytes_of(path: Path) -> int:
    """Bytes of the file, or of all files in the folder, stimuli included."""
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files if file.is_file())


def _looked_at(recording: Recording) -> Look:
    """One subject's recording, part by part."""
    parts = (
        _of_trials(recording),
        _of_responses(recording.responses, recording.source),
        _of_splits(recording),
        _of_design(recording),
        _of_stimuli(recording),
        _of_words(recording, "captions", recording.stimuli.captions),
        _of_words(recording, "labels", recording.stimuli.labels),
    )
    facts = {key: value for part in parts for key, value in part.facts.items()}
    simulated = recording.simulated
    return Look(
        lines=(*(line for part in parts for line in part.lines), f"simulated: {simulated or 'no'}"),
        facts=facts | {"simulated": simulated},
        notes=(*recording.masked, *recording.notes, *(note for part in parts for note in part.notes)),
        problems=tuple(problem for part in parts for problem in part.problems),
    )


def _of_trials(recording: Recording) -> Look:
    responses = recording.responses
    shown = np.unique(responses.stimulus, return_counts=True)[1]
    sessions = np.unique(responses.session).tolist()
    space = responses.space
    facts = {
        "trials": len(responses.values),
        "stimuli": len(shown),
        "repeats": [int(shown.min()), int(shown.max())],
        "sessions": sessions,
        "voxels": len(space),
        "regions": {region.name: int(region.mask.sum()) for region in recording.regions},
        "unit": space.unit,
        "betas": space.betas,
    }
    times = f"{_span(shown.tolist())} times" if shown.max() > 1 else "once"
    line = (
        f"{len(responses.values)} trials of {len(shown)} stimuli, each shown {times}, "
        f"in {counted(len(sessions), 'session')}; {len(space)} voxels, "
        f"{counted(len(recording.regions), 'region')}; unit {space.unit}, betas {space.betas}"
    )
    return Look(lines=(line,), facts=facts)


def _of_responses(responses: Responses, where: str) -> Look:
    """Are the numbers responses, in their unit, and alike from session to session?"""
    values, space = responses.values, responses.space
    if len(values) < 2:
        found = f"{len(values)} trial{'s' * (len(values) != 1)}"
        problem = expected(f"{where}, responses", "trials that differ", found, "give all trials")
        return Look(lines=(), facts={}, problems=(problem,))
    deviation = values.std(axis=0, dtype=np.float64)
    middle = float(np.median(deviation))
    centre = float(np.median(np.abs(values.mean(axis=0, dtype=np.float64))))
    sessions = np.unique(responses.session).tolist()
    spreads = {one: _spread(values[responses.session == one]) for one in sessions}
    known = [spread for spread in spreads.values() if spread is not None]
    notes = [*_of_scale(f"{where}, responses", space.unit, middle=middle, centre=centre)]
    if len(known) > 1 and max(known) > APART * min(known):
        low, high = (one(spreads, key=lambda key: spreads[key] or middle) for one in (min, max))
        found = f"{spreads[high]:.3g} in session {high} and {spreads[low]:.3g} in session {low}"
        then = "see whether they were scaled alike"
        notes.append(expected(f"{where}, responses", "sessions of like spread", found, then))
    said = f"; {_span(known, '.3g')} by session" if len(known) > 1 else ""
    line = f"responses: a voxel's standard deviation is {middle:.3g} and its mean {centre:.3g} from 0 (medians){said}"
    facts = {"spread": middle, "centre": centre, "spread by session": {str(one): spreads[one] for one in sessions}}
    return Look(lines=(line,), facts=facts, notes=tuple(notes))


def _spread(values: Any) -> float | None:
    return float(np.median(values.std(axis=0, dtype=np.float64))) if len(values) > 1 else None


def _of_scale(where: str, unit: str, *, middle: float, centre: float) -> Iterable[str]:
    low, high = SPREAD.get(unit, (0.0, COUNTS))
    found = f"a median standard deviation of {middle:.3g}"
    if unit in SPREAD and not low <= middle <= high:
        yield expected(where, f"{low:g} to {high:g} in unit {unit}", found, "divide by the scale of the file's type")
    elif unit not in SPREAD and middle > high:
        yield expected(where, "percent signal change or z-scores", found, "divide by the scale of the file's type")
    if centre > RAW * middle:
        found = f"means of {centre:.3g} at {found}"
        yield expected(where, "responses around 0", found, "give estimated responses, not intensities")


def _of_splits(recording: Recording) -> Look:
    """Every split with its sizes; the folds of leave-out are one line, and one of all is the default."""
    where, lines, notes, problems = recording.source, list[str](), list[str](), list[str]()
    if not recording.splits:
        found = f"{len(set(recording.responses.stimulus.tolist()))} stimuli of which no test set can be made"
        problem = expected(where, "training and test stimuli", found, "give more stimuli or sessions")
        return Look(lines=("splits: none",), facts={"splits": []}, problems=(problem,))
    families: dict[str, list[Split]] = {}
    for split in recording.splits:
        families.setdefault(LEAVE_OUT if split.name.startswith(f"{LEAVE_OUT}-") else split.name, []).append(split)
    facts = []
    for number, (name, folds) in enumerate(families.items()):
        default = number == 0
        trains, tests = ([len(getattr(fold, side)) for fold in folds] for side in ("train", "test"))
        trials = [int(recording.responses.of(folds[0].train).sum()), int(recording.responses.of(folds[0].test).sum())]
        more = f"{len(folds)} folds of " if name == LEAVE_OUT else ""
        lines.append(
            f"split {name}{' (the default)' * default}: {more}{_span(trains)} training and {_span(tests)} test stimuli"
            + (f", {trials[0]} and {trials[1]} trials" if not more else "")
        )
        facts.append({"name": name, "default": default, "folds": len(folds), "train": trains, "test": tests})
        if default and min(trains) < FEWEST:
            then = "give more stimuli"
            problems.append(expected(where, f"{FEWEST} training stimuli or more", f"{min(trains)}", then))
        elif default and min(trains) < FEW:
            found = f"{min(trains)}"
            notes.append(expected(where, f"{FEW} training stimuli or more", found, "read its numbers with care"))
    return Look(lines=tuple(lines), facts={"splits": facts}, notes=tuple(notes), problems=tuple(problems))


def _of_design(recording: Recording) -> Look:
    """What was shown in each session, and how trials will be standardised unless it is named."""
    if not recording.splits:
        return Look(lines=(), facts={})
    table = by_session(recording)
    facts: dict[str, Any] = {"by session": table}
    lines = [*_session_lines(table)] if len(table) > 1 else []
    folds = recording.folds()
    try:
        for fold in folds:
            guard_statistics(recording.responses, fold)
    except InputError as error:
        return Look(lines=tuple(lines), facts=facts | {"standardisation": None}, problems=(str(error),))
    try:
        choice = choose(recording, folds)
    except UsageError as error:
        return Look(lines=tuple(lines), facts=facts | {"standardisation": None}, notes=(str(error),))
    except InputError:
        # what cannot be opened is said where stimuli are looked at
        return Look(lines=tuple(lines), facts=facts | {"standardisation": None})
    return Look(lines=(*lines, choice.sentence), facts=facts | {"standardisation": choice.facts()})


def _session_lines(table: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """A line a session, ROWS of them at most: trials, stimuli, and the labels of the group of fewest labels."""
    kinds = {group: {label for row in table for label in row["labels"][group]} for group in table[0]["labels"]}
    few = {group: labels for group, labels in kinds.items() if 1 < len(labels) <= LABELS}
    for row in table[:ROWS]:
        shown = ", ".join(row["shown"]) + ", ..." * (row["stimuli"] > len(row["shown"]))
        counts = [
            f"{group}: {', '.join(f'{label} {count}' for label, count in row['labels'][group].items()) or 'none'}"
            for group in few
        ]
        announced = "; ".join(counts) or f"stimuli {shown}"
        yield f"session {row['session']}: {counted(row['trials'], 'trial')} of {row['stimuli']} stimuli; {announced}"
    if len(table) > ROWS:
        yield f"{len(table) - ROWS} more sessions (--json names all)"


def _of_stimuli(recording: Recording) -> Look:
    """Some stimuli, opened: their sizes, and how many cannot be."""
    stimuli, where = recording.stimuli, recording.source
    ids = sorted(set(recording.responses.stimulus.tolist()) & set(stimuli.ids))
    places = np.unique(np.linspace(0, len(ids) - 1, min(STIMULI, len(ids))).astype(int)).tolist()
    chosen = [ids[place] for place in places]
    opened: list[Any] = []
    faults: list[str] = []
    for name in chosen:
        try:
            opened.append(stimuli.open(name))
        except InputError as error:
            faults.append(str(error))
    sizes = sorted({_size(one, stimuli.modality) for one in opened})
    said = ", ".join(sizes[:4]) + (" and others" * (len(sizes) > 4))
    facts = {
        "modality": stimuli.modality,
        "opened": len(opened),
        "unopened": len(faults),
        "sizes": sizes,
    }
    line = f"stimuli: {stimuli.modality}s; {len(opened)} of {len(chosen)} looked at could be opened"
    lines = (line + (f" ({said})" if said else ""),)
    if faults and set(ids) <= set(stimuli.captions):
        return Look(lines=lines, facts=facts, notes=(faults[0],))
    if faults:
        return Look(lines=lines, facts=facts, problems=(faults[0],))
    alike = len(opened) > 1 and len({_bytes(one) for one in opened}) == 1
    found = f"{len(opened)} of {len(opened)} looked at that are one"
    problem = expected(where, "stimuli that differ", found, "see how they were stored")
    return Look(lines=lines, facts=facts, problems=(problem,) if alike else ())


def _size(stimulus: Any, modality: str) -> str:
    if modality == "image":
        return f"{stimulus.width} x {stimulus.height} pixels"
    wave, rate = stimulus
    return f"{len(wave) / rate:.2f} s at {rate} Hz"


def _bytes(stimulus: Any) -> bytes:
    return bytes(np.asarray(stimulus[0] if isinstance(stimulus, tuple) else stimulus).tobytes())


def _of_words(recording: Recording, what: str, words: Mapping[str, Any]) -> Look:
    """How many of the stimuli have captions, or labels."""
    ids = sorted(set(recording.responses.stimulus.tolist()))
    there = [name for name in ids if words.get(name)]
    facts = {what: len(there)}
    if not there:
        return Look(lines=(f"{what}: none",), facts=facts)
    line = f"{what}: for {len(there)} of {len(ids)} stimuli"
    missing = [name for name in ids if not words.get(name)]
    found = f"none for {len(missing)} of {len(ids)} (first: {missing[0]})" if missing else ""
    note = expected(f"{recording.source}, {what}", "some for each stimulus", found, "add them, or do without")
    return Look(lines=(line,), facts=facts, notes=(note,) if missing else ())


def _span(numbers: Sequence[float], form: str = "d") -> str:
    low, high = format(min(numbers), form), format(max(numbers), form)
    return low if low == high else f"{low} to {high}"
