"""What reaches a terminal: text in which no foreign name can move the cursor, recolour or reorder what stands there.

    with plain_output():
        print(name)                 # "a\\x1b[2Jb": every control character is seen as what it is, and obeyed nowhere
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, embeddings, overrides and isolates of direction
    "\u2028\u2029]"  # other ends of lines
)
BAR = re.compile(r"\r?|[\n\r]*(\x1b\[A)*")
"""How a progress bar begins what it writes, or all that it writes: to the line's start, or some lines up."""


def plain(text: str) -> str:
    """`text` with each control character written out: newline and tab stay."""
    return CONTROLS.sub(lambda found: _written_out(found[0]), text)


def _written_out(character: str) -> str:
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"


class Plain:
    """A text stream before another one that lets no control character through but a progress bar's own.

    What the stream cannot encode, a name that is not UTF-8 among it, is written out too. `coloured` is whether it may
    say that it is a terminal, by which libraries decide on colours and bars, `title` its name in an OSError of writing.
    `silent_since` is when it was last written to, or made, in seconds of `time.time`.
    """

    def __init__(self, stream: Any, *, coloured: bool, title: str = "the output") -> None:
        self.stream, self.coloured, self.title = stream, coloured, title
        self.silent_since = time.time()

    def write(self, text: str) -> int:
        """Writes `text` and returns its length."""
        whole = BAR.fullmatch(text)
        start = "\r" if text.startswith("\r") else ""
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        safe = text if whole else start + plain(text[len(start) :])
        self.silent_since = time.time()
        with self._named():
            self.stream.write(safe.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Writes what is buffered."""
        with self._named():
            self.stream.flush()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.filename = self.title
            raise

    def writelines(self, lines: Any) -> None:
        """Writes each of `lines`."""
        for line in lines:
            self.write(line)

    def isatty(self) -> bool:
        """Whether it is a terminal to which colours and bars may be sent."""
        return self.coloured and bool(self.stream.isatty())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def plain_output() -> Iterator[None]:
    """Standard output and error as `Plain` streams, until the block ends; help comes without colours then."""
    before = sys.stdout, sys.stderr
    # a closed stream is None, and what is printed to it is lost as ever
    sys.stdout = before[0] and Plain(before[0], coloured=False, title="standard output")
    sys.stderr = before[1] and Plain(before[1], coloured=True, title="standard error")
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
