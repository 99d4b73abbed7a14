"""Download a stack: safetensors and JSON, at a revision. Together with `parts.fetch` the one place that downloads."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.stacks.find import resolve, row_named, snapshot, whole
from pipelines.stacks.folder import StackFolder


def fetch(name: str, *, revision: str = "", say: Callable[[str], None] = print) -> StackFolder:
    """Download a stack of the table into the Hugging Face cache: its components' safetensors and JSON, nothing else.

    `revision` replaces the row's. `say` gets the licence and the size before the first byte. Offline, gated or gone:
    `CheckpointAbsent`; a full disk: `StorageError`.
    """
    row = row_named(name)
    if not row.hub:
        say(f"{row.name} comes with the package; nothing to fetch")
        return resolve(name)
    say(f"{row.hub} at {revision or row.revision}: about {row.gigabytes} GB, licence {row.licence} ({row.pinned_by})")
    return whole(StackFolder(path=snapshot(row, revision, local_only=False), row=row))
