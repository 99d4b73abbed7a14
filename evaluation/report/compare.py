"""`afterimage compare`: evaluated runs side by side on one self-contained page.

    compare([Path("runs/first"), Path("runs/second")], out=Path("compare.html"))

`evaluation.report.comparison` has the numbers, `evaluation.report.pages.compare` the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from brain.errors import UsageError, expected
from brain.files.paths import present
from brain.writing.opener import write_text
from evaluation.report.comparison import compared
from evaluation.report.pages.compare import render

MARK = "<title>afterimage comparison"
"""What the head of every page of ours has, and no other page."""
HEAD = 4096
"""Bytes among which it is."""


def compare(runs: Sequence[Path], *, out: Path) -> Path:
    """Writes one self-contained page of two or more evaluated runs to `out`, and returns it.

    Too few runs, one of them twice, or a place that is not ours to write to is a UsageError; a run without a report of
    this version, or pictures beside sounds, an InputError.
    """
    if len(runs) < 2:
        came = f"{len(runs)}" if runs else "none"
        raise UsageError(expected("command line", "two runs or more", came, "name the runs, the first one first"))
    free_page(out)
    inside = next((run for run in runs if out.resolve().is_relative_to(run.resolve())), None)
    if inside is not None:
        raise UsageError(expected(f"--out {out}", "a page beside the runs", f"one in {inside}", "name another place"))
    write_text(out, render(compared(runs)))
    return out


def free_page(out: Path) -> None:
    """Refuses (UsageError) a page in a folder that is not there, and one in the place of what is none of ours."""
    if not out.parent.is_dir():
        raise UsageError(expected(out.parent, "a folder for the page", "none", "make it, or name another --out"))
    if out.is_dir():
        raise UsageError(expected(out, "the name of a page", "a folder", f"say --out {out / 'compare.html'}"))
    if not out.exists():
        return
    with present(out, what="a page", then="name another --out").open("rb") as file:
        head = file.read(HEAD)
    if MARK.encode() not in head:
        then = "name another --out, or move that file"
        raise UsageError(expected(out, "no file yet, or an earlier page of `afterimage compare`", "another file", then))
