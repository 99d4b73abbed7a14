"""Weights on disk: the one place where safetensors files, and the few pickles of published networks, are read.

    contents = header(path)                    names, types, shapes and metadata; no number is read
    finite_header(path)                        the same, and that no number is NaN or infinite
    arrays, metadata = read_arrays(path)       as numpy
    weights = read_torch(path)                 as torch, on the processor
    weights = read_pickle(path)                a .pth, without running what a pickle may hold

A file that is absent, a folder, a pipe, a pointer of git-lfs or git-annex, a web page, cut short or of another kind is
an `InputError` of one sentence, raised before a library opens it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.files.json_files import unique
from brain.files.paths import AGAIN, ZIP_MAGIC, damage, foreign, present

if TYPE_CHECKING:
    from torch import Tensor

WHAT = "weights in safetensors"
LIMIT = 100_000_000
"""Bytes that a header may have: what the library itself takes."""
BITS: Mapping[str, int] = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip
NOT_FINITE: Mapping[str, tuple[str, int, int]] = {
    "F16": ("<u2", 0x7C00, 0x7C00),
    "BF16": ("<u2", 0x7F80, 0x7F80),
    "F32": ("<u4", 0x7F800000, 0x7F800000),
    "C64": ("<u4", 0x7F800000, 0x7F800000),
    "F64": ("<u8", 0x7FF0000000000000, 0x7FF0000000000000),
    "F8_E5M2": ("u1", 0x7C, 0x7C),
    "F8_E4M3": ("u1", 0x7F, 0x7F),
    "F8_E8M0": ("u1", 0xFF, 0xFF),
    "F8_E4M3FNUZ": ("u1", 0xFF, 0x80),
    "F8_E5M2FNUZ": ("u1", 0xFF, 0x80),
}
"""Type -> the integer of its width, a mask, and what NaN and infinity are under it and no other number is.

The types of 4 and 6 bits have neither.
"""
CHUNK = 2**22


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One tensor of a file: its type as safetensors has it ("F32"), its shape, its first byte and the one after."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a safetensors file says of itself: name -> `Slot`, and its metadata, text by name."""

    tensors: Mapping[str, Slot]
    metadata: Mapping[str, str]


def header(path: Path, *, what: str = WHAT, then: str = AGAIN) -> Header:
    """The header of a safetensors file that is whole: its tensors fill it from end to end, without holes or overlap.

    Anything else at `path` is an InputError that says `what` was expected, what lies there and what to do `then`.
    """
    size = present(path, what=what, then=then).stat().st_size
    with open(path, "rb") as file:
        head = file.read(512)
        length = int.from_bytes(head[:8], "little")
        if head[8:9] != b"{" or length > LIMIT:
            raise foreign(path, head, what=what, then=then)
        file.seek(8)
        text = file.read(length)
    if len(text) < length:
        raise InputError(expected(path, what, f"a header cut short ({size} bytes, {8 + length} at least)", then))
    facts = _parsed(text, path, what=what, then=then)
    metadata = facts.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise InputError(expected(path, what, "a header whose metadata are no texts", then))
    slots = {name: _slot(name, fact, path, first=8 + length, what=what, then=then) for name, fact in facts.items()}
    _fill(slots, path, first=8 + length, size=size, what=what, then=then)
    return Header(tensors=slots, metadata=metadata)


def finite_header(path: Path, *, what: str = WHAT, then: str = AGAIN) -> Header:
    """`header`, and every number of floating point read: the first tensor with NaN or infinity is an InputError.

    A file that was found so is not read again by this process until its size or its time change.
    """
    found = header(path, what=what, then=then)
    facts = path.stat()
    bad = _first_not_finite(path, facts.st_size, facts.st_mtime_ns)
    if bad:
        raise InputError(expected(path, f"{what}, finite numbers all", f"NaN or infinity in {bad!r}", then))
    return found


def read_arrays(path: Path, *, what: str = WHAT, then: str = AGAIN) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Name -> array of any shape, and the metadata; bfloat16, which numpy has not, and damage are an InputError."""
    from safetensors.numpy import load_file

    found = header(path, what=what, then=then)
    with damage(path, what=what, then=then):
        return load_file(path), dict(found.metadata)


def read_torch(path: Path, *, what: str = WHAT, then: str = AGAIN) -> dict[str, Tensor]:
    """Name -> tensor of any shape on the processor, in the type that the file has; damage is an InputError."""
    from safetensors.torch import load_file

    header(path, what=what, then=then)
    with damage(path, what=what, then=then):
        loaded: dict[str, Tensor] = load_file(path)
    return loaded


def read_pickle(path: Path, *, what: str = "weights", then: str = AGAIN) -> dict[str, Any]:
    """Name -> tensor of a .pth of torch, numbers finite; what else a pickle may hold is refused and never run."""
    import torch

    with open(present(path, what=what, then=then), "rb") as file:
        head = file.read(512)
    if not head.startswith((ZIP_MAGIC, b"\x80")):
        raise foreign(path, head, what=what, then=then)
    with damage(path, what=what, then=then):
        state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping):
        raise InputError(expected(path, f"{what} by name", type(state).__name__, then))
    for name, value in state.items():
        if isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex()):
            with damage(path, what=what, then=then):  # torch looks into few types of 8 bits, and into none of 4
                finite = bool((value.float() if value.itemsize == 1 else value).isfinite().all())
            if not finite:
                raise InputError(expected(path, f"{what}, finite numbers all", f"NaN or infinity in {name!r}", then))
    return {str(name): value for name, value in state.items()}


def _parsed(text: bytes, path: Path, *, what: str, then: str) -> dict[str, Any]:
    """The header's JSON object; not by `brain.files.json_files`, for it is the file that is damaged, not JSON."""
    try:
        found = json.JSONDecoder(object_pairs_hook=unique).decode(text.decode("utf-8"))
    except RecursionError as error:
        raise InputError(expected(path, what, "a damaged header (JSON nested without end)", then)) from error
    except ValueError as error:
        said = " ".join(str(error).split())[:160]
        raise InputError(expected(path, what, f"a damaged header ({said})", then)) from error
    if not isinstance(found, dict):  # cannot be: it begins with a brace
        raise InputError(expected(path, what, f"a damaged header ({type(found).__name__})", then))
    return found


def _slot(name: str, fact: Any, path: Path, *, first: int, what: str, then: str) -> Slot:
    try:
        dtype, shape, (begin, end) = str(fact["dtype"]), tuple(fact["shape"]), fact["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        found = f"a damaged header (no dtype, shape and data_offsets of {name!r})"
        raise InputError(expected(path, what, found, then)) from error
    whole = all(type(one) is int and one >= 0 for one in (*shape, begin, end))
    if dtype not in BITS:
        found = f"a header with a type that is not known ({name!r}: {dtype[:40]})"
        raise InputError(expected(path, what, found, "store the weights in a type of torch"))
    if not whole or math.prod(shape) * BITS[dtype] != 8 * (end - begin):
        found = f"a damaged header ({name!r}: {dtype} of shape {list(shape)} in bytes {begin} to {end})"
        raise InputError(expected(path, what, found, then))
    return Slot(dtype=dtype, shape=shape, begin=first + begin, end=first + end)


def _fill(slots: Mapping[str, Slot], path: Path, *, first: int, size: int, what: str, then: str) -> None:
    """Refuse tensors that overlap or leave holes, and a file that ends before or after them."""
    place = first
    for slot in sorted(slots.values(), key=lambda slot: (slot.begin, slot.end)):
        if slot.begin != place:
            raise InputError(expected(path, what, "a damaged header (tensors that overlap or leave holes)", then))
        place = slot.end
    if size != place:
        kind = "a file cut short" if size < place else "a file that goes on behind its tensors"
        raise InputError(expected(path, f"{what} of {place} bytes", f"{kind}, {size} bytes", then))


@lru_cache(maxsize=4096)
def _first_not_finite(path: Path, size: int, changed: int) -> str:
    """The name of the first tensor with a number that is not finite, "" where there is none."""
    for name, slot in header(path).tensors.items():
        if slot.dtype in NOT_FINITE and any(_not_finite(part, slot.dtype) for part in _bytes(path, slot)):
            return name
    return ""


def _not_finite(part: bytes, dtype: str) -> bool:
    kind, mask, marks = NOT_FINITE[dtype]
    bits = np.frombuffer(part, kind)
    return bool(((bits & bits.dtype.type(mask)) == bits.dtype.type(marks)).any())


def _bytes(path: Path, slot: Slot) -> Iterator[bytes]:
    with open(path, "rb") as file:
        file.seek(slot.begin)
        for place in range(slot.begin, slot.end, CHUNK):
            yield file.read(min(CHUNK, slot.end - place))
