"""Text of variable length in HDF5 lies in global heaps; a damaged one sends the library into a loop without end.

    check_heaps(dataset)      asked before such text is read

A heap is a chain of objects, each with its size; where an object of no kind has no size, the chain never ends
(HDF5 file format specification 3.0, III.E). Each heap that the data set points to is walked here first.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected

if TYPE_CHECKING:
    import h5py  # within functions: whoever only asks for the readers' cards does not wait for it

POINTER = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])
"""What stands in the data set for each text: its length, its heap's address behind the user block, its number there."""
SEEN_THROUGH = (2, 1)
"""Filters whose chunks are unpacked here, shuffle and deflate; HDF5 itself takes no checksums for such text."""
UNCOMPRESSED = "write the data again with gzip or without compression"
HEAD = 16
"""Bytes of a heap's head, and of an object's."""


def check_heaps(dataset: h5py.Dataset) -> None:
    """Refuse (InputError) text of variable length whose heaps are damaged, or cannot be looked into beforehand.

    The latter is what filters other than gzip and shuffle packed, and what lies in the data set's own header. Other
    data sets are not looked at.
    """
    import h5py

    text = h5py.check_string_dtype(dataset.dtype)
    if text is None or text.length is not None or not dataset.size:
        return
    where = f"{dataset.file.filename}, {str(dataset.name).lstrip('/')}"
    made = dataset.id.get_create_plist()
    if made.get_layout() == h5py.h5d.COMPACT:
        found = "text in the head of its data set, whose damage cannot be seen before it is read"
        raise InputError(expected(where, "text that can be looked into", found, "write the text again with h5py"))
    closed = [name for number, name in _filters(dataset) if number not in SEEN_THROUGH]
    if closed:
        found = f"text compressed by {closed[0]}, whose damage cannot be seen before it is read"
        raise InputError(expected(where, "text that can be looked into", found, UNCOMPRESSED))
    sizes = dataset.file.id.get_create_plist().get_sizes()
    if sizes != (8, 8):
        found = f"{sizes[0]} and {sizes[1]}"
        then = "store the text with a fixed length, or the file with HDF5's usual sizes"
        raise InputError(expected(where, "addresses and lengths of 8 bytes", found, then))
    path, before = Path(dataset.file.filename), int(dataset.file.userblock_size)
    with open(path, "rb") as file:
        for raw in _stored(dataset, file):
            whole = raw[: len(raw) - len(raw) % POINTER.itemsize]
            for at in np.unique(np.frombuffer(whole, POINTER)["heap"]).tolist():
                if at and not _ends(file, at + before):
                    raise InputError(expected(where, "intact text", "damaged text", "fetch the file again"))


def _stored(dataset: h5py.Dataset, file: BinaryIO) -> Iterator[bytes]:
    """The pointers as they lie in the file, by chunk."""
    if dataset.chunks is None:
        at = dataset.id.get_offset()
        if at is not None:
            yield _at(file, at, dataset.size * POINTER.itemsize)
        return
    filters = [number for number, _ in _filters(dataset)]
    for number in range(dataset.id.get_num_chunks()):
        chunk = dataset.id.get_chunk_info(number)
        raw = _at(file, chunk.byte_offset, chunk.size)
        left_out = [not chunk.filter_mask >> place & 1 for place in range(len(filters))]
        yield from _unpacked(raw, [one for one, used in zip(filters, left_out, strict=True) if used])


def _filters(dataset: h5py.Dataset) -> list[tuple[int, str]]:
    """The number and the name of each filter, in the order of writing."""
    made = dataset.id.get_create_plist()
    filters = (made.get_filter(place) for place in range(made.get_nfilters()))
    return [(int(one[0]), one[3].decode("utf-8", "replace")[:40] or f"filter {one[0]}") for one in filters]


def _unpacked(raw: bytes, filters: list[int]) -> Iterator[bytes]:
    """The chunk before its filters; nothing where one of them is damaged, which the library says."""
    import h5py

    for one in reversed(filters):
        if one == h5py.h5z.FILTER_SHUFFLE:
            count = len(raw) // POINTER.itemsize
            mixed: NDArray[Any] = np.frombuffer(raw[: count * POINTER.itemsize], np.uint8)
            raw = mixed.reshape(POINTER.itemsize, count).T.tobytes()
        elif one == h5py.h5z.FILTER_DEFLATE:
            try:
                raw = zlib.decompress(raw)
            except zlib.error:
                return
    yield raw


def _ends(file: BinaryIO, at: int) -> bool:
    """Does the heap at this address end? Only its own bytes are looked at."""
    head = _at(file, at, HEAD)
    if len(head) < HEAD or not head.startswith(b"GCOL"):
        return False
    size = struct.unpack_from("<Q", head, 8)[0]
    heap = _at(file, at, size) if size <= os.fstat(file.fileno()).st_size else b""
    place = HEAD
    while len(heap) - place >= HEAD:
        index, length = struct.unpack_from("<H6xQ", heap, place)
        step = length if index == 0 else HEAD + -(-length // 8) * 8
        if step < HEAD:
            return False
        place += step
    return bool(len(heap) == size)


def _at(file: BinaryIO, place: int, count: int) -> bytes:
    if place >= os.fstat(file.fileno()).st_size:  # the file system may refuse to seek there
        return b""
    file.seek(place)
    return file.read(count)
