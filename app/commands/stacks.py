"""`afterimage stacks list|check|fetch`: the pretrained checkpoints, which there are and which are here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tyro.conf import Positional

from app.flags import parse
from brain.errors import CheckpointAbsent, InputError, UsageError


def run(words: Sequence[str]) -> None:
    """Lists the table, checks one stack, or fetches one."""

    def stacks(
        what: Positional[Literal["list", "check", "fetch"]] = "list", name: Positional[str] = ""
    ) -> tuple[str, str]:
        """The pretrained checkpoints, stacks and parts: list them, check that one is whole and loads, or fetch one.

        Args:
            what: list, check or fetch.
            name: A stack's or part's name from the list, or (check) a folder in its layout.
        """
        return what, name

    what, name = parse(stacks, command="stacks", words=words)
    if what != "list" and not name:
        raise UsageError(
            f"`afterimage stacks {what}`: expected a stack's name, found none; see `afterimage stacks list`"
        )
    {"list": _list, "check": _check, "fetch": _fetch}[what](name)


def _list(name: str) -> None:
    from pipelines.stacks import find, parts, table

    rows = (parts.row_named(name),) if name in parts.names() else (find.row_named(name),) if name else table.ROWS
    for row in (*rows, *(() if name else parts.ROWS)):
        print(f"{row.name:<20} {_here(row.name):<8} {row.gigabytes:>5} GB  {row.licence:<29} {row.hub or 'bundled'}")


def _here(name: str) -> str:
    from pipelines.stacks import find, parts

    try:
        parts.locate(name) if name in parts.names() else find.resolve(name, numbers=False)
    except CheckpointAbsent:
        return "absent"
    except InputError:
        return "damaged"
    return "here"


def _check(name: str) -> None:
    from pipelines.stacks import parts
    from pipelines.stacks.load import check

    if name in parts.names():
        return print(f"{parts.row_named(name).kind:<24} {parts.locate(name).name}")
    report = check(name)
    for part, kind in sorted(report.components.items()):
        print(f"{part:<24} {kind}")
    print(
        f"{report.folder.model} at {report.folder.revision or 'no revision'}: "
        f"{len(report.components)} components load, {report.weights:,} weights"
    )


def _fetch(name: str) -> None:
    import os

    # The user asked for it: the one command that may reach for the network.
    os.environ["HF_HUB_OFFLINE"] = "0"
    from pipelines.stacks import parts
    from pipelines.stacks.download import fetch

    if name in parts.names():
        return print(f"{name} at {parts.fetch(name).name} is here")
    folder = fetch(name)
    print(f"{folder.model} at {folder.revision} is here")
