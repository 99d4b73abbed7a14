"""Where a judge's weights are at home: in a folder of one's own, or in the package beside the judges."""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from brain.errors import CheckpointAbsent
from encoders.frozen.checkpoint_folders import pickles


@contextmanager
def judge_home(name: str, folder: Path | None, *, bundled: str, needed: Sequence[str], instead: str) -> Iterator[Path]:
    """The folder of the judge `name`: `folder`, or the package's own `bundled` where that is None.

    needed   the files that it must hold; one that is absent is a CheckpointAbsent
    instead  the judge that needs no weights, for the sentence
    """
    if folder is not None:
        yield whole(name, folder, needed=needed, instead=instead)
        return
    inside = importlib.resources.files("evaluation.judges").joinpath(bundled)
    if not inside.is_dir():
        raise CheckpointAbsent(
            f"judge {name!r}: expected its weights in the package, found none; "
            f"install the package with its data, or judge by --judge {instead}"
        )
    with importlib.resources.as_file(inside) as home:
        yield whole(name, home, needed=needed, instead=instead)


def whole(name: str, home: Path, *, needed: Sequence[str], instead: str) -> Path:
    """`home`, if every file that is needed lies there, be it as a link; else a CheckpointAbsent, as above."""
    absent = [file for file in needed if not os.path.lexists(home / file)]
    if absent:
        beside = f" beside {', '.join(pickles(home))}, which are never opened" if pickles(home) else ""
        raise CheckpointAbsent(
            f"judge {name!r}: expected {', '.join(needed)} in {home}, found no {', '.join(absent)}{beside}; "
            f"install the package with its data, name a folder with --judge FOLDER, or judge by --judge {instead}"
        )
    return home
