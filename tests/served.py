"""A demo that serves in this process, for tests; what gradio leaves open is collected before the next test begins."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.demo.runs import open_runs
from app.demo.serve import How, serving
from app.demo.session import House

# gradio lets its event loop and sockets go without closing them, which is said whenever they happen to be collected
LEFT_OPEN = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning",
    # and counts its requests with an option of pandas that pandas has deprecated
    "ignore:'future.no_silent_downcasting' is deprecated",
)


@contextlib.contextmanager
def served(
    runs: Sequence[Path], how: How | None = None, *, uploads: bool = True, max_upload: int = 512
) -> Iterator[tuple[House, int]]:
    """The house and the port at which these runs are served on this machine."""
    how = how or How(port=0)
    house = House(open_runs(runs), uploads=uploads and not how.public, max_upload=max_upload)
    try:
        with serving(house, how) as url:
            yield house, int(url.rstrip("/").rpartition(":")[2])
    finally:
        house.close()
        # gradio made its own the event loop of this thread, and whoever sets another one would let it go unclosed
        asyncio.set_event_loop(None)
        gc.collect()
