"""How far a loop is: a bar on a terminal, and where there is none a plain line now and then.

    for name in progress(names, desc="drawing", unit="sample"): ...
    with progress(total=100, desc="drawing", unit="sample") as bar: bar.update()

A line is "drawing: 12 of 100 samples, about 3 min left", on standard error, first after `FIRST` seconds of the loop or
of silence before it, and then every `EVERY`; what is over sooner says nothing.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

FIRST, EVERY = 2.0, 10.0
"""Seconds to the first line and from one line to the next."""
ASKED = 0.05
"""Seconds after which it is asked anew whether a line is due."""
BEAT = 1.0
"""Seconds after which a loop is asked whether a line is due while a step of it lasts."""
PLURALS = {"stimulus": "stimuli", "batch": "batches"}
_SILENT = ContextVar("silent", default=False)


def progress(
    over: Iterable[Any] | None = None,
    *,
    total: int | None = None,
    desc: str,
    unit: str = "step",
    initial: int = 0,
    leave: bool = True,
    disable: bool = False,
) -> Any:
    """A progress display over the iterable, or of `total` updates, `initial` of which are done; used as tqdm's own.

    leave    whether the finished bar stays on the terminal
    disable  shows nothing, for all processes of a training but one
    """
    terminal = sys.stderr is not None and sys.stderr.isatty()
    kind = tqdm if terminal else Lines
    # miniters: whether a line is due is asked at every step, however unequal steps are
    pace = {} if terminal else {"mininterval": ASKED, "delay": ASKED, "miniters": 1}
    bar = kind(
        over, total=total, desc=desc, unit=unit, initial=initial, leave=leave,
        disable=disable or _SILENT.get() or sys.stderr is None,
        **pace,
    )  # fmt: skip
    if isinstance(bar, Lines) and not bar.disable:
        bar.display()
    return bar


class Lines(tqdm):  # type: ignore[misc]
    """tqdm's counting with plain lines instead of a bar."""

    monitor_interval = 0
    said_n, said_t = -1, 0.0
    """The count of the last line, -1 before the first, and when it was said."""

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Prints where it stands, unless it has only just been said, or something else has."""
        now = self._time()
        if now - self.said_t >= EVERY if self.said_n >= 0 else self._first(now):
            self._say(now)
        return True

    def _first(self, now: float) -> bool:
        """Whether nothing was heard for so long that the first line is due: of this loop, or of the whole command."""
        silent_since = min(self.start_t, getattr(sys.stderr, "silent_since", self.start_t))
        return bool(now - silent_since >= FIRST)

    def clear(self, nolock: bool = False) -> None:
        """There is no bar to clear."""

    def set_postfix(self, ordered_dict: Any = None, refresh: bool = True, **facts: Any) -> None:
        """Notes the facts for the next line."""
        super().set_postfix(ordered_dict, refresh=False, **facts)

    def close(self) -> None:
        """Ends; a line says the whole if there were lines before, and nothing where it was broken off."""
        if self.disable:  # type: ignore[has-type]
            return
        now = self._time()
        if 0 <= self.said_n < self.n and self.total in (None, self.n) and now - self.start_t >= FIRST:
            self._say(now)
        self.disable = True
        self._decr_instances(self)

    def _say(self, now: float) -> None:
        self.said_n, self.said_t = self.n, now
        self.fp.write(f"{self._sentence(now - self.start_t)}\n")
        self.fp.flush()

    def _sentence(self, elapsed: float) -> str:
        one = (self.n if self.total is None else self.total) == 1
        unit = self.unit if one else PLURALS.get(self.unit, f"{self.unit}s")
        count = f"{self.n} {unit}" if self.total is None else f"{self.n} of {self.total} {unit}"
        done = self.n - self.initial
        left = (self.total - self.n) * elapsed / done if self.total is not None and done else 0.0
        parts = [f"{self.desc}: {count}", *([self.postfix] if self.postfix else [])]
        return ", ".join([*parts, *([f"about {duration(left)} left"] if left > 0 else [])])


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Loops opened in this block show nothing: a loop around them counts the same things."""
    before = _SILENT.set(True)
    try:
        yield
    finally:
        _SILENT.reset(before)


@contextlib.contextmanager
def beating() -> Iterator[None]:
    """Until the block ends, the innermost loop is asked every second whether a line is due, however long a step is."""
    over = threading.Event()
    asking = threading.Thread(target=_ask, args=(over,), name="progress", daemon=True)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


def _ask(over: threading.Event) -> None:
    while not over.wait(BEAT):
        with Lines.get_lock():
            # tqdm knows a bar before it is made: the last thing that it gets is the time at which it began
            made = [bar for bar in Lines._instances if isinstance(bar, Lines) and "start_t" in vars(bar)]
        open_ = [bar for bar in made if not bar.disable]
        try:
            for bar in sorted(open_, key=lambda one: one.start_t)[-1:]:
                bar.display()
        except OSError:
            return  # nobody listens: who writes next hears it


def duration(seconds: float) -> str:
    """Seconds in words, as rough as an estimate is: "40 s", "3 min", "2.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
