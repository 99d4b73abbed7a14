"""The folder of a demo that runs: held while its process lives, swept by the next one where it was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "afterimage-demo-"


def held(folder: Path) -> int:
    """A lock on the folder, held until this process ends, however it ends."""
    handle = os.open(folder / ".held", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle


def sweep() -> None:
    """Removes the folders of demos of this user that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        mark = folder / ".held"
        if folder.is_symlink() or not mark.is_file() or folder.stat().st_uid != os.getuid():
            continue
        handle = os.open(mark, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue  # a demo that is at work
        finally:
            os.close(handle)
