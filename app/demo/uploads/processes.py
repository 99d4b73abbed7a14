"""A child process that is followed line by line, and killed with all that it started, whatever happens here.

with Child(["check"], folder=folder) as child:
    for line in child.lines(CHECK.seconds): ...        # "" where nothing was said for a moment
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from app.demo.uploads.limits import environment
from brain.errors import StorageError, expected

BEAT = 0.2
"""Seconds after which whoever follows hears that nothing was said, so that they can end it."""
MODULE, SAYS = "app.demo.uploads.child", "afterimage: "
KEPT = 40
MOST = 2**20
"""Bytes of a line, and of all that is kept of stdout."""


class Child:
    """One child in a process group of its own; leaving the block kills the group.

    out       what it wrote to stdout, at most MOST bytes
    sentence  what it said of the error that ended it; errors: its last lines on stderr
    """

    def __init__(self, words: Sequence[str], *, folder: Path) -> None:
        # -P: what lies in the folder is never imported; -s: nor what the user has installed for themselves
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", MODULE, *words], cwd=folder, env=dict(environment(folder)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.out, self.sentence, self.errors = b"", "", deque[str](maxlen=KEPT)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    @property
    def code(self) -> int:
        """Its exit code, minus the number of the signal that ended it, once `lines` is over."""
        return self._process.wait()

    def lines(self, seconds: float) -> Iterator[str]:
        """Each line that it writes, and "" at every beat without one; a StorageError where it takes too long."""
        end = time.monotonic() + seconds
        yield from self._heard(end, seconds)
        while not self._over():  # it may live on without its pipes
            _must_be_before(end, seconds)
            yield ""

    def _over(self) -> bool:
        """Whether it has ended, or does within a beat."""
        try:
            self._process.wait(BEAT)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _heard(self, end: float, seconds: float) -> Iterator[str]:
        with selectors.DefaultSelector() as ready:
            rests: dict[Any, bytes] = {self._process.stdout: b"", self._process.stderr: b""}
            for pipe in rests:
                ready.register(pipe, selectors.EVENT_READ)
            while ready.get_map():
                found = ready.select(BEAT)
                _must_be_before(end, seconds)
                for key, _ in found:
                    part = os.read(key.fd, 65536)
                    if not part:
                        ready.unregister(key.fileobj)
                    yield from self._taken(key.fileobj, part, rests)
                if not found and self._process.poll() is not None:
                    return  # something that it started holds the pipes
                if not found:
                    yield ""

    def _taken(self, pipe: Any, part: bytes, rests: dict[Any, bytes]) -> Iterator[str]:
        if pipe is self._process.stdout:
            self.out = (self.out + part)[:MOST]
        *whole, rest = (rests[pipe] + part).split(b"\n")
        rests[pipe] = rest[:MOST]
        for line in whole if part else [rest]:
            text = line.decode("utf-8", "replace").strip()
            if pipe is self._process.stderr:
                self.errors.append(text)
                self.sentence = text.removeprefix(SAYS) if text.startswith(SAYS) else self.sentence
            if text:
                yield text


def _must_be_before(end: float, seconds: float) -> None:
    if time.monotonic() > end:
        then = "give a smaller one, or do it on a machine of yours"
        raise StorageError(expected("your file", f"work of at most {seconds:g} s", "more", then))
