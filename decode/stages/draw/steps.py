"""Long work, step by step: what it reports, as a generator that can be closed.

    for step in Worker().stepwise(lambda tell: draw(..., watch=lambda glimpse: tell(Step(...))), stop=stop):
        show(step)

The work runs in one thread of its own, the same for all, because networks and judges serve one caller at a time and a
denoising loop holds its thread's gradient mode. Closing the generator, or setting its `stop`, ends the work at the next
thing it would have told.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")
BEAT = 0.5
"""Seconds after which somebody who follows hears that nothing is new, so that they can leave."""
WAITING, WORKING = "for its turn", "opening what is needed"


@dataclass(frozen=True, kw_only=True)
class Step:
    """What long work reports at each step.

    what         what is being done, such as "denoising"
    step, steps  how many steps are done, and of how many
    previews     (sample,) what each sample looks like now: RGB pictures, or log-mels (frame, mel) of sounds
    values       (sample,) the objective of each now, where there is one
    """

    what: str
    step: int
    steps: int
    previews: tuple[Any, ...] = ()
    values: tuple[float, ...] = ()


Tell = Callable[[Step], None]


class Stopped(Exception):
    """The work was stopped by whoever had asked for it."""


class Worker:
    """One thread that does one piece of work at a time, in the order in which they were given."""

    def __init__(self, *, computes: bool = True) -> None:
        """`computes`: whether its work is torch's, which is loaded with the first of it."""
        # torch gives a thread that is born in the middle of other work that work's number of threads; where it is not
        # loaded yet nobody is at such work, and loading it would take longer than all else before a demo's first page
        torch = sys.modules.get("torch")
        threads = torch.get_num_threads() if torch else None
        self._pool = ThreadPoolExecutor(1, "work", initializer=(lambda: _with_threads(threads)) if computes else None)

    def stepwise(
        self, work: Callable[[Tell], Result], *, stop: threading.Event
    ) -> Generator[Step | Result, None, None]:
        """Everything that `work(tell)` tells, then what it returns; what it raises is raised here.

        stop  set by anybody, it makes the next `tell` raise `Stopped` inside of the work, and here; work that waits
              for its turn never begins
        Where nothing is told for a while, a `Step` without steps says that it waits or works.
        """
        told: queue.SimpleQueue[Step | None] = queue.SimpleQueue()

        def tell(step: Step) -> None:
            if stop.is_set():
                raise Stopped
            told.put(step)

        def run() -> Result:
            try:
                if stop.is_set():
                    raise Stopped
                return work(tell)
            finally:
                told.put(None)

        future: Future[Result] = self._pool.submit(run)
        try:
            while True:
                try:
                    step = told.get(timeout=BEAT)
                except queue.Empty:
                    if stop.is_set() and future.cancel():
                        raise Stopped from None
                    step = Step(what=WORKING if future.running() else WAITING, step=0, steps=0)
                if step is None:
                    break
                yield step
            yield future.result()
        finally:
            # closed early: nobody waits for the rest
            stop.set()
            future.cancel()

    def close(self) -> None:
        """Begins nothing more, and waits until what is at work has ended."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _with_threads(threads: int | None) -> None:
    """Gives the thread that calls it so many threads of torch, as many as torch takes by itself for None."""
    import torch

    torch.set_num_threads(torch.get_num_threads() if threads is None else threads)
