"""`afterimage inspect DATA`: what is there, what is missing, against what is known of such data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tyro.conf import Positional

from app.flags import parse


def run(words: Sequence[str]) -> None:
    """Prints what the reader finds, one line a fact."""

    def inspect(data: Positional[Path], *, reader: str = "", lags: bool = False) -> tuple[Path, str, bool]:
        """What is there, what is missing, against what is known of such data.

        Args:
            data: The data: a folder in NSD's layout, or a file in the own-data format.
            reader: Which reader opens the data; empty looks at the data and decides.
            lags: Of sounds with a time series: also which lag between a sound and its response predicts best.
        """
        return data, reader, lags

    data, reader, lags = parse(inspect, command="inspect", words=words)
    from brain.readers import reader_of

    found = reader_of(data, reader)
    print(f"{data}: {found.title} (reader {found.name})")
    for line in found.inspect(data).lines:
        print(line)
    if lags:
        from brain.alignment import lag_sweep

        for line in lag_sweep(data).lines():
            print(line)
