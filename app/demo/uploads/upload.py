"""What one visitor has uploaded: their secret, the file in a folder of its own, what a check found, the finished run.

One thing at a time is done with it: receiving, checking, studying, and packing the run for its owner.
"""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.demo.runs import Run
from app.demo.uploads.recipes import Candidate
from brain.errors import UsageError

BUSY = "something is done with your file already; wait for it, or stop it"


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a check found in a file.

    facts    (what, value) lines; notes and problems: sentences
    recipes  every recipe, those that take the file first
    """

    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    recipes: tuple[Candidate, ...] = field(default=(), repr=False)

    @property
    def able(self) -> tuple[Candidate, ...]:
        """The recipes that take the file."""
        return tuple(one for one in self.recipes if not one.refusal)


class Upload:
    """One visitor's upload, in `folder`, which is made when the first byte comes.

    token   the secret that their page sends with a request; it is given out once
    serial  how many files have come; gone: whether the visitor has left
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = secrets.token_urlsafe(32)
        self.serial, self.gone = 0, False
        self.checked: Checked | None = None
        self.run: Run | None = None
        self._lock, self._given = threading.Lock(), False

    @property
    def inbox(self) -> Path:
        """The folder of the file, which is alone there."""
        return self.folder / "in"

    @property
    def has_file(self) -> bool:
        """Whether a whole file has come."""
        return self.serial > 0 and any(self.inbox.glob("data.*"))

    @property
    def place(self) -> Path:
        """The folder of the run."""
        return self.folder / "run"

    def give_token(self) -> str:
        """The secret, the first time that somebody asks; "" ever after, so that nobody who listens later hears it."""
        first, self._given = not self._given, True
        return self.token if first else ""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nothing else is done with the file until the block ends; where something is already, a UsageError."""
        if not self._lock.acquire(blocking=False):
            raise UsageError(BUSY)
        try:
            yield
        finally:
            self._lock.release()
            if self.gone:
                shutil.rmtree(self.folder, ignore_errors=True)

    def open_inbox(self) -> Path:
        """The folder for the file, made where it is not there yet."""
        for folder in (self.folder, self.inbox):
            folder.mkdir(mode=0o700, exist_ok=True)
        return self.inbox

    def received(self) -> None:
        """A whole file has come; what was found in an earlier one is forgotten."""
        self.serial += 1
        self.checked = None
        self.forget()

    def tidy(self) -> None:
        """Without a whole file nothing is kept: whose file was refused has brought none."""
        if not self.has_file:
            shutil.rmtree(self.folder, ignore_errors=True)

    def forget(self) -> None:
        """Removes the run."""
        self.run = None
        shutil.rmtree(self.place, ignore_errors=True)

    def close(self) -> None:
        """Removes all of it; what is at work ends at its next step."""
        self.gone = True
        shutil.rmtree(self.folder, ignore_errors=True)
