"""A request's body as a file: counted while it comes, of a name that is not the sender's, gone where it is broken off.

size = await receive_file(receive, folder, limit=512 * 2**20, declared=None)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from app.demo.uploads.child import ACCEPTED, MAKE, NAMES
from brain.errors import AfterimageError, InputError, StorageError, expected
from brain.files.paths import BLOCKS, HDF5_MAGIC, ZIP_MAGIC, kind_of

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
MIB = 2**20
HEAD = BLOCKS[-1] + len(HDF5_MAGIC)
"""Bytes by which an HDF5 file is known."""
PIECE = MIB
"""Bytes that are written at a time."""
IDLE, LONGEST = 60.0, 3600.0
"""Seconds without a byte, and in all, after which a sender is given up."""
KEPT_FREE = 1024 * MIB
"""Bytes of the disk that uploads leave to others."""


class TooLarge(AfterimageError):
    """A body of more bytes than are accepted."""


class BrokenOff(AfterimageError):
    """A sender who has gone, or stands still."""


async def receive_file(
    receive: Receive, folder: Path, *, limit: int, declared: int | None, gone: Callable[[], bool] = bool
) -> Path:
    """Writes the body into `folder` in place of an earlier one, and returns the file, which is alone there.

    limit     bytes that are accepted; declared: how many the sender says it has, None where they do not
    gone      whether nobody wants the file any more
    Too many bytes are TooLarge, another kind of file an InputError, a full disk a StorageError, and of a body that ends
    early, or stands still, BrokenOff. Nothing is left of it then, and the earlier file stays.
    """
    if declared is not None and declared > limit:
        raise _too_large(limit)
    must_have_room(folder, limit if declared is None else declared)
    part = folder / "part"
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb", buffering=0) as file:
            async with asyncio.timeout(LONGEST):
                head = await _copy(receive, file, folder, limit=limit, declared=declared, gone=gone)
        for old in NAMES:
            (folder / old).unlink(missing_ok=True)
        return part.rename(folder / name_of(head))
    except TimeoutError as error:
        raise BrokenOff("the upload came too slowly; try again") from error
    except OSError as error:
        found = str(error.strerror)
        raise StorageError(expected("the server's disk", "room for your file", found, "try again later")) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()


def name_of(head: bytes) -> str:
    """What a file that begins so is called here; one that is neither HDF5 nor npz is an InputError."""
    if any(head.startswith(HDF5_MAGIC, place) for place in BLOCKS):
        return NAMES[0]
    if head.startswith(ZIP_MAGIC):
        return NAMES[1]
    raise InputError(expected("your file", ACCEPTED, kind_of(head), MAKE))


def must_have_room(folder: Path, size: int) -> None:
    """Refuses (StorageError) to write so many bytes where the disk would be too full for others then."""
    free = shutil.disk_usage(folder).free
    if free < size + KEPT_FREE:
        found = f"{max(0, free - KEPT_FREE) // MIB} MiB"
        raise StorageError(expected("the server's disk", f"room for {-(-size // MIB)} MiB", found, "try again later"))


async def _copy(
    receive: Receive, file: Any, folder: Path, *, limit: int, declared: int | None, gone: Callable[[], bool]
) -> bytes:
    """The first bytes of the body, all of which are in the file then."""
    head, waiting, size, more = b"", bytearray(), 0, True
    while more:
        message = await asyncio.wait_for(receive(), IDLE)
        if message["type"] != "http.request" or gone():
            raise BrokenOff("the upload was broken off; nothing was kept")
        body, more = message.get("body", b""), message.get("more_body", False)
        size += len(body)
        if size > limit:
            raise _too_large(limit)
        waiting += body
        head = head if len(head) >= HEAD else head + body[:HEAD]
        if len(head) >= HEAD or not more:
            name_of(head)
        if len(waiting) >= PIECE or not more:
            await asyncio.to_thread(_write, file, bytes(waiting), folder)
            waiting.clear()
    if declared is not None and size != declared:
        raise BrokenOff("the upload was broken off; nothing was kept")
    return head


def _write(file: Any, data: bytes, folder: Path) -> None:
    """Writes all of it; a disk that has become too full is a StorageError."""
    must_have_room(folder, len(data))
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _too_large(limit: int) -> TooLarge:
    return TooLarge(expected("your file", f"at most {limit // MIB} MiB", "more", "give fewer trials, voxels or pixels"))
