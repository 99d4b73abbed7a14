"""Parts: single networks that stand beside a stack and draw nothing by themselves, in a table as that of stacks.

    part_of(stack, "tiny_vae") -> Path | None     the stack's own folder, else the part its row names, if at hand
    locate(name) -> Path                           never downloads; absent is `CheckpointAbsent` with the command to run
    fetch(name)                                    downloads it: safetensors and JSON, at a revision

A small decoder (`tiny_vae`) is what gradients pass through instead of the full one; an `eye` is a tower that guides.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from brain.catalogue import unknown
from brain.errors import CheckpointAbsent, InputError, StorageError, UsageError, expected
from encoders.frozen.checkpoint_folders import checked
from pipelines.stacks.find import SHELF
from pipelines.stacks.folder import StackFolder
from pipelines.stacks.table import UNPINNED


@dataclass(frozen=True, kw_only=True)
class PartRow:
    """One row of the table.

    name, hub, revision, pinned_by, licence, gigabytes   as a `StackRow` has them
    kind    what opens it: a class of diffusers, or "open_clip"
    files   that are fetched and must be there
    """

    name: str
    hub: str
    revision: str
    pinned_by: str
    licence: str
    gigabytes: float
    kind: str
    files: tuple[str, ...]


ROWS: tuple[PartRow, ...] = (
    PartRow(
        name="taesd",
        hub="madebyollin/taesd",
        revision="main",
        pinned_by=UNPINNED,
        licence="MIT",
        gigabytes=0.01,
        kind="AutoencoderTiny",
        files=("config.json", "diffusion_pytorch_model.safetensors"),
    ),
    PartRow(
        name="openclip-b16",
        hub="laion/CLIP-ViT-B-16-laion2B-s34B-b88K",
        revision="main",
        pinned_by=UNPINNED,
        licence="MIT",
        gigabytes=0.6,
        kind="open_clip",
        files=("open_clip_config.json", "open_clip_model.safetensors"),
    ),
)
SERVES: Mapping[str, Mapping[str, str]] = {
    name: {"tiny_vae": "taesd", "eye": "openclip-b16"}
    for name in ("sd14", "sd15", "sd21", "sd21-base", "sd-turbo", "stable-unclip", "stable-unclip-small")
}
"""Stack -> component -> the part that stands in where the stack's own folder has none."""


def names() -> tuple[str, ...]:
    """The names of the table, in its order."""
    return tuple(row.name for row in ROWS)


def row_named(name: str) -> PartRow:
    """The row of that name or hub id; an unknown one is a `UsageError` with the nearest."""
    for row in ROWS:
        if name in (row.name, row.hub):
            return row
    raise UsageError(unknown("part", name, names()))


def part_of(stack: StackFolder, component: str) -> Path | None:
    """The folder of a component: the stack's own, else the part that serves this stack, else None."""
    if (stack.path / component).is_dir():
        return stack.path / component
    name = "" if stack.row is None else SERVES.get(stack.row.name, {}).get(component, "")
    if not name:
        return None
    try:
        return locate(name)
    except CheckpointAbsent:
        return None


def locate(name: str) -> Path:
    """Where a part lies: `$AFTERIMAGE_STACKS/NAME`, else the Hugging Face cache; half a part is an `InputError`."""
    row = row_named(name)
    shelf = os.environ.get(SHELF, "")
    path = Path(shelf) / row.name
    if not shelf or not path.is_dir():
        path = _snapshot(row, local_only=True)
    return _whole(row, path)


def fetch(name: str, *, say: Callable[[str], None] = print) -> Path:
    """Download a part into the Hugging Face cache. Offline or gone: `CheckpointAbsent`; a full disk: `StorageError`."""
    row = row_named(name)
    say(f"{row.hub} at {row.revision}: about {row.gigabytes} GB, licence {row.licence} ({row.pinned_by})")
    return _whole(row, _snapshot(row, local_only=False))


def absent(row: PartRow) -> CheckpointAbsent:
    """The error for a part that is not at hand: id, size, licence and the command that gets it."""
    return CheckpointAbsent(
        f"part {row.name} is not at hand: {row.hub} at {row.revision}, about {row.gigabytes} GB, licence "
        f"{row.licence}; get it with: afterimage stacks fetch {row.name}"
    )


def _whole(row: PartRow, path: Path) -> Path:
    for file in row.files:
        if not (path / file).is_file():
            raise InputError(expected(path, f"{file} of {row.name}", "no such file", "fetch or copy the part again"))
    return checked(path, then="fetch or copy the part again")


def _snapshot(row: PartRow, *, local_only: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        path = snapshot_download(
            row.hub, revision=row.revision, local_files_only=local_only, allow_patterns=list(row.files)
        )
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError) as error:
        if local_only:
            raise absent(row) from error
        raise CheckpointAbsent(
            f"part {row.name}: {row.hub} at {row.revision} could not be fetched ({type(error).__name__}); "
            f"put its folder into ${SHELF}"
        ) from error
    except OSError as error:
        raise StorageError(f"part {row.name}: could not be stored: {error}; free some space") from error
    return Path(path)
