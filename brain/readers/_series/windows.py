"""Windows of sounds against volumes of a series, all in seconds: which volumes answer to which window.

Volume n (from 0) of the file was taken `start_s` + (n - dummy) * TR seconds after time 0 of the events. Window k of a
sound begins k hops after its onset; the volumes that answer are those taken from `lag_s` after its beginning on, for
as long as the window lasts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain.data.clips import SLIDE
from brain.errors import InputError, UsageError, expected
from brain.files.paths import composed
from brain.files.pictures import SUFFIXES
from brain.readers._parts.media import SOUND_ENDINGS
from brain.readers._parts.sessions import seconds_of
from brain.readers._parts.sounds import read_table
from brain.types import Float, Int

LAG_S = 4.5
"""Seconds from a sound to the height of its response: the canonical response rises to its peak at 4 to 6 s."""
WINDOW_S = 2.56
LONGEST_DRIFT_S = 150.0
"""Drifts slower than a polynomial of degree 1 + T / 150 s follows are left in, as AFNI's 3dDeconvolve chooses it."""
SLACK = 1e-6
SHORT_S = 0.01
"""So much a sound's duration may miss of a window."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How a series is cut, in seconds.

    lag_s, window_s, hop_s   what the module says; hop_s is half a window where it is not given
    dummy                    volumes at the front of the file that were taken before time 0 of the events; left out
    tr_s, start_s            where they are not 0 or None, what is believed instead of the file's sidecar and header
    """

    lag_s: float = LAG_S
    window_s: float = WINDOW_S
    hop_s: float = WINDOW_S / 2
    dummy: int = 0
    tr_s: float = 0.0
    start_s: float | None = None

    @property
    def name(self) -> str:
        """What distinguishes responses cut so from others."""
        return f"mean of {self.window_s:g} s windows every {self.hop_s:g} s, lag {self.lag_s:g} s"


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One event: `row` of the table, counted from 1 without its head; seconds; the clip."""

    row: int
    onset_s: float
    duration_s: float
    clip: str


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The windows of one run: stimulus (window,), and the volumes first (window,) up to but not including stop."""

    stimulus: NDArray[np.str_]
    first: Int
    stop: Int


def timing_of(fields: Mapping[str, str]) -> Timing:
    """The timing that fields name; what cannot be is a UsageError."""
    window = seconds_of(fields, "window_s", WINDOW_S)
    hop = seconds_of(fields, "hop_s", window / 2)
    if not (window > 0 and hop >= SHORT_S):
        raise UsageError(f"--fields window_s and hop_s: expected {SHORT_S:g} s or more, found {window:g} and {hop:g}")
    dummy = fields.get("dummy", "0")
    if not (dummy.isdigit() and len(dummy) < 5):
        raise UsageError(f"--fields dummy={dummy}: expected a number of volumes, such as dummy=4")
    return Timing(
        lag_s=seconds_of(fields, "lag_s", LAG_S),
        window_s=window,
        hop_s=hop,
        dummy=int(dummy),
        tr_s=seconds_of(fields, "tr_s", 0),
        start_s=seconds_of(fields, "start_s", 0) if "start_s" in fields else None,
    )


def read_events(path: Path, fields: Mapping[str, str]) -> tuple[Heard, ...]:
    """The rows of an events table that name a sound, in order of onset; none at all is an InputError.

    `fields` may say what the table calls onset, duration and stim_file. Rows without a sound ("n/a") are rest.
    """
    onset, duration, file = (fields.get(name, name) for name in ("onset", "duration", "stim_file"))
    rows = read_table(path, needed=(onset, duration, file))
    found = []
    for number, row in enumerate(rows, start=1):
        if row[file] not in ("", "n/a"):
            _must_sound(path, number, file, row[file])
            seconds = [_seconds(path, number, key, row[key]) for key in (onset, duration)]
            found.append(Heard(row=number, onset_s=seconds[0], duration_s=seconds[1], clip=_clip(row[file])))
    if not found:
        raise InputError(expected(path, "events that name a sound", f"{len(rows)} rows without one", "add stim_file"))
    return tuple(sorted(found, key=lambda event: event.onset_s))


def _must_sound(path: Path, row: int, column: str, file: str) -> None:
    """A picture is not a sound that is missing: these series are cut into windows of what was heard."""
    if file.lower().endswith(SUFFIXES):
        then = "estimate one response a picture and give those as data of your own (docs/howto/own_data.md)"
        raise InputError(expected(f"{path}, row {row}, {column}", "a sound", f"the picture {file[:60]!r}", then))


def _clip(file: str) -> str:
    name = file.replace("\\", "/").rsplit("/", 1)[-1]
    ending = next((ending for ending in SOUND_ENDINGS if name.lower().endswith(ending)), "")
    return composed(name[: len(name) - len(ending)])


def _seconds(path: Path, row: int, key: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0:
        raise InputError(expected(f"{path}, row {row}, {key}", "seconds from 0 on", repr(text[:40]), "correct the row"))
    return seconds


def cut(events: Sequence[Heard], timing: Timing, *, path: Path, tr_s: float, start_s: float, volumes: int) -> Cut:
    """The windows of a run's events against its `volumes`.

    A sound shorter than a window, a window shorter than a volume, and one that the series does not reach are an
    InputError about `path`, the table of events.
    """
    if timing.window_s < tr_s - SLACK:
        came = f"{timing.window_s:g} s at a repetition time of {tr_s:g} s"
        raise InputError(
            expected(path, "a window of one volume or more", came, "give a longer --fields window_s=SECONDS")
        )
    found = [
        (f"{event.clip}{SLIDE}{number}", first, stop)
        for event in events
        for number, (first, stop) in enumerate(_spans(event, timing, path, tr_s=tr_s, start_s=start_s, volumes=volumes))
    ]
    names, first, stop = zip(*found, strict=True)
    return Cut(stimulus=np.array(names, np.str_), first=np.array(first, np.int64), stop=np.array(stop, np.int64))


def _spans(
    event: Heard, timing: Timing, path: Path, *, tr_s: float, start_s: float, volumes: int
) -> list[tuple[int, int]]:
    """First volume and the one after the last of each window of a sound."""
    where, end_s = f"{path}, row {event.row}", start_s + (volumes - timing.dummy) * tr_s
    if event.onset_s >= end_s:
        want = f"an onset within the series ({volumes} volumes of {tr_s:g} s end at {end_s:g} s)"
        raise InputError(expected(where, want, f"{event.onset_s:g} s", "correct the onset or the repetition time"))
    if event.duration_s < timing.window_s - SHORT_S:
        want = f"a sound of a window ({timing.window_s:g} s) or longer"
        raise InputError(expected(where, want, f"{event.duration_s:g} s", "give a shorter --fields window_s=SECONDS"))
    count = int((event.duration_s - timing.window_s + SHORT_S) / timing.hop_s) + 1
    first_s = event.onset_s + timing.lag_s
    last_s = first_s + (count - 1) * timing.hop_s
    if first_s - start_s <= -tr_s:
        came = f"a series whose first volume was taken at {start_s:g} s"
        raise InputError(expected(where, f"volumes from {first_s:g} s on", came, "correct start_s or dummy"))
    if _index(last_s + timing.window_s - start_s, tr_s) + timing.dummy > volumes:  # before a list of them is made
        came = f"one of {volumes} volumes of {tr_s:g} s, which ends at {end_s:g} s"
        want = f"a series until {last_s + timing.window_s:g} s for {event.clip!r}"
        then = "check the repetition time, take a shorter lag_s, or take the row out"
        raise InputError(expected(where, want, came, then))
    begins = [event.onset_s + number * timing.hop_s + timing.lag_s for number in range(count)]
    return [
        (_index(begin - start_s, tr_s) + timing.dummy, _index(begin + timing.window_s - start_s, tr_s) + timing.dummy)
        for begin in begins
    ]


def _index(seconds: float, tr_s: float) -> int:
    """The first volume at or after that time."""
    return math.ceil(seconds / tr_s - SLACK)


def means(series: Float, windows: Cut) -> Float:
    """(window, voxel) float32: the mean of each window's volumes. `series` (time, voxel)."""
    spans = zip(windows.first.tolist(), windows.stop.tolist(), strict=True)
    return np.stack([series[first:stop].mean(axis=0, dtype=np.float64) for first, stop in spans]).astype(np.float32)


def levelled(series: Float, *, tr_s: float, dummy: int) -> Float:
    """(time, voxel) float32: each voxel without its drift and as z-scores over the run; the dummy volumes become 0.

    The drift is a polynomial of degree 1 + T / 150 s. Neither it nor mean and spread know what was heard when. A voxel
    that never moves becomes 0, one with a NaN stays NaN.
    """
    values = series[dummy:].astype(np.float64)
    degree = min(1 + int(len(values) * tr_s / LONGEST_DRIFT_S), max(len(values) - 2, 0))
    basis = np.linalg.qr(np.polynomial.legendre.legvander(np.linspace(-1, 1, len(values)), degree))[0]
    still = values.max(axis=0) == values.min(axis=0)
    values -= basis @ (basis.T @ values)
    spread = values.std(axis=0)
    levelled = np.where(still | (spread == 0), 0, values / np.where(spread == 0, 1, spread))
    return np.concatenate([np.zeros((dummy, series.shape[1])), levelled]).astype(np.float32)
