"""`afterimage inspect DATA`: what is there, what is missing, against what is known of such data, and what is wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tyro.conf import Positional

from app.flags import parse
from brain.errors import InputError


def run(words: Sequence[str]) -> None:
    """Prints what was found, one line a fact, or as JSON; data that cannot be studied are an InputError after that."""

    def inspect(
        data: Positional[Path],
        *,
        reader: str = "",
        subject: str = "",
        fields: str = "",
        json: bool = False,
        lags: bool = False,
    ) -> tuple[Path, str, str, str, bool, bool]:
        """What is there, what is missing, against what is known of such data, and all that is wrong with it.

        Args:
            data: The data: a folder in NSD's layout, or a file in the own-data format.
            reader: Which reader opens the data; empty looks at the data and decides.
            subject: The subject to look at; empty looks at each.
            fields: What the data call their fields, such as stimulus=figure,group=run.
            json: Print one JSON object and nothing else.
            lags: Of sounds with a time series: also which lag between a sound and its response predicts best.
        """
        return data, reader, subject, fields, json, lags

    data, reader, subject, fields, as_json, lags = parse(inspect, command="inspect", words=words)
    from brain.inspection import look
    from brain.readers import parse_fields

    names = parse_fields(fields)
    found = look(data, reader=reader, subject=subject, fields=names)
    facts, lines = dict(found.facts), list(found.lines)
    lines += [f"note: {note}" for note in found.notes]
    lines += [f"wrong: {problem}" for problem in found.problems]
    if lags and not found.problems:
        from brain.alignment import lag_sweep

        facts["lags"] = list(lag_sweep(data, subject=subject, fields=names).lines())
        lines += facts["lags"]
    print(json.dumps(facts, indent=1, allow_nan=False) if as_json else "\n".join(lines))
    if found.problems:
        more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
        raise InputError(f"{found.problems[0]}{more}")
