"""Where each pretrained checkpoint of the table lies; nothing is downloaded unless `download.fetch` asks for it.

A stack comes with the package, from a folder of the user's, or from the Hugging Face cache; nothing above this module
asks which.

    resolve(name or folder) -> StackFolder     absent is `CheckpointAbsent` with the command to run
"""

from __future__ import annotations

import os
from pathlib import Path

from brain.catalogue import unknown
from brain.console.progress import progress
from brain.errors import CheckpointAbsent, InputError, StorageError, UsageError, expected
from encoders.frozen.checkpoint_folders import SAFE, checked, pickles
from pipelines.stacks.folder import INDEX, RESTORE, StackFolder, has_weights, read_index
from pipelines.stacks.table import ROWS, StackRow

SHELF = "AFTERIMAGE_STACKS"  # environment variable: a folder of stacks, one folder a name


def names() -> tuple[str, ...]:
    """The names of the table, in its order."""
    return tuple(row.name for row in ROWS)


def row_named(name: str) -> StackRow:
    """The row of that name or hub id; an unknown one is a `UsageError` with the nearest."""
    for row in ROWS:
        if name in (row.name, row.hub):
            return row
    raise UsageError(unknown("stack", name, names()))


def resolve(stack: str, *, revision: str = "", numbers: bool = True) -> StackFolder:
    """Where a stack lies: `stack` is a name of the table, a hub id of the table, or a folder; never downloads.

    Looked for in this order: the package (bundled stacks), the folder `$AFTERIMAGE_STACKS/NAME`, the Hugging Face
    cache at `revision` (the row's own if ""). Absent or incomplete: `CheckpointAbsent`. Damaged: `InputError`, which
    takes reading every weight once a process for NaN, unless `numbers` is False. No name at all: `UsageError`.
    """
    if not stack:  # as a folder it would be the one that somebody happens to stand in
        then = "name one; `afterimage list stacks` shows them"
        raise UsageError(expected("--stack", "a name, a hub id or a folder", "none", then))
    known = {name for row in ROWS for name in (row.name, row.hub) if name}
    if stack not in known and Path(stack).is_dir():
        return whole(StackFolder(path=Path(stack).resolve(), row=None), numbers=numbers)
    row = row_named(stack)
    for place in (_bundled, _shelved):
        path = place(row)
        if path is not None:
            return whole(StackFolder(path=path, row=row), numbers=numbers)
    path = _cached(row, revision) if row.hub else None
    if path is None:
        raise absent(row)
    return whole(StackFolder(path=path, row=row), numbers=numbers)


def absent(row: StackRow) -> CheckpointAbsent:
    """The error for a stack that is not at hand: id, size, licence and the command that gets it."""
    if not row.hub:
        return CheckpointAbsent(
            f"stack {row.name} ({row.gigabytes} GB, {row.licence}) belongs to the package and is not in this install; "
            f"install afterimage again, or train it: accelerate launch -m {row.recipe}"
        )
    return CheckpointAbsent(
        f"stack {row.name} is not at hand: {row.hub} at {row.revision}, about {row.gigabytes} GB, licence "
        f"{row.licence}; get it with: afterimage stacks fetch {row.name}"
    )


def _bundled(row: StackRow) -> Path | None:
    if row.hub:
        return None
    from importlib.resources import files

    path = Path(str(files("pipelines.miniature"))) / row.name.removeprefix("miniature-")
    return path if (path / INDEX).is_file() else None


def _shelved(row: StackRow) -> Path | None:
    shelf = os.environ.get(SHELF, "")
    path = Path(shelf) / row.name
    return path.resolve() if shelf and path.is_dir() else None


def _cached(row: StackRow, revision: str) -> Path | None:
    """The snapshot in the Hugging Face cache, or None if it is not there or not all of it is."""
    try:
        path = snapshot(row, revision, local_only=True)
    except CheckpointAbsent:
        return None
    here = (path / INDEX).is_file() and all((path / part).is_dir() for part in read_index(path))
    return path if here else None


def snapshot(row: StackRow, revision: str, *, local_only: bool) -> Path:
    """The folder of a row in the Hugging Face cache, downloaded unless `local_only`.

    Absent or gone: `CheckpointAbsent`; a full disk: `StorageError`.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        path = snapshot_download(
            row.hub,
            revision=revision or row.revision,
            local_files_only=local_only,
            allow_patterns=[
                INDEX,
                *(f"{part}/*.{end}" for part in row.components for end in ("json", "txt", "safetensors")),
            ],
            ignore_patterns=["*.fp16.safetensors", "*.non_ema.safetensors"],
        )
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError) as error:
        if local_only:
            raise absent(row) from error
        raise CheckpointAbsent(
            f"stack {row.name}: {row.hub} at {revision or row.revision} could not be fetched ({type(error).__name__}); "
            f"see https://huggingface.co/{row.hub} for access and licence, or put its folder into ${SHELF}"
        ) from error
    except OSError as error:
        raise StorageError(
            f"stack {row.name}: about {row.gigabytes} GB could not be stored: {error}; free some space"
        ) from error
    return Path(path)


def whole(folder: StackFolder, *, numbers: bool = True) -> StackFolder:
    """The folder itself, if every component is there, its files can be read and its weights are whole and finite."""
    for name in folder.components:
        if not (folder.path / name).is_dir():
            raise InputError(expected(folder.path / name, "a component's folder", "nothing", RESTORE))
    what = f"reading the weights of {folder.path.name}"
    for name in progress(folder.components, desc=what, unit="component", leave=False, disable=not numbers):
        part = folder.path / name
        checked(part, numbers=numbers, then=RESTORE)
        if (part / "config.json").is_file() and not has_weights(part):
            raise InputError(
                expected(part, "weights as .safetensors", ", ".join(pickles(part)) or "none", SAFE)
            )
    return folder
