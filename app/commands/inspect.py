"""`afterimage inspect DATA`: what is there, what is missing, against what is known of such data, and what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tyro.conf import Positional

from app.flags import parse
from brain.errors import InputError, UsageError


def run(words: Sequence[str]) -> None:
    """Prints what was found, one line a fact, or as JSON; data that cannot be studied are an InputError after that."""

    def inspect(
        data: Positional[Path],
        *,
        reader: str = "",
        subject: str = "",
        sessions: tuple[int, ...] = (),
        fields: str = "",
        json: bool = False,
        lags: bool = False,
    ) -> tuple[Path, str, str, tuple[int, ...], str, bool, bool]:
        """What is there, what is missing, against what is known of such data, and all that is wrong with it.

        Args:
            data: NSD's folder, BData, MinD-Vis archives, a BIDS series of sounds, or a file of your own.
            reader: Which reader opens the data; empty looks at the data and decides.
            subject: The subject to look at; empty looks at each.
            sessions: The sessions to look at, as a study would read them; none named looks at all that are there.
            fields: What the data call their fields, such as stimulus=figure,group=run.
            json: Print one JSON object and nothing else.
            lags: Of sounds with a time series: also which lag between a sound and its response predicts best.
        """
        return data, reader, subject, sessions, fields, json, lags

    data, reader, subject, sessions, fields, as_json, lags = parse(inspect, command="inspect", words=words)
    from brain.data.inspection import look
    from brain.readers import parse_fields

    names = parse_fields(fields)
    found = look(data, reader=reader, subject=subject, sessions=sessions, fields=names)
    facts, lines, problems = dict(found.facts), list(found.lines), list(found.problems)
    if lags:
        facts["lags"] = []
        for one in (subject,) if subject else tuple(facts["subjects"]):
            swept, fault = _swept(data, subject=one, fields=names, problems=found.problems)
            facts["lags"] += swept
            problems += [fault] * bool(fault)
        lines += facts["lags"]
    facts["problems"] = problems
    lines += [f"note: {note}" for note in found.notes]
    lines += [f"wrong: {problem}" for problem in problems]
    print(json.dumps(facts, indent=1, allow_nan=False) if as_json else "\n".join(lines))
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(f"{problems[0]}{more}")


def _swept(
    data: Path, *, subject: str, fields: Mapping[str, str], problems: Sequence[str]
) -> tuple[tuple[str, ...], str]:
    """The lines of the sweep of lags, and what kept it from being made, or ""."""
    from brain.data.alignment import lag_sweep

    if problems:
        return (f"lags of {subject}: not swept, for something is wrong with the data",), ""
    try:
        return tuple(lag_sweep(data, subject=subject, fields=fields).lines()), ""
    except (InputError, UsageError) as error:
        return (f"lags of {subject}: not swept",), str(error)
