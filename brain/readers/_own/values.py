"""One field of the own-data format as values of its kind: responses, ids, whole numbers, numbers, text."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.files import hdf5
from brain.files.json_files import as_object
from brain.files.paths import composed
from brain.files.tables import apart, as_ids, unpadded, whole_numbers
from brain.names import one_line
from brain.readers._own.fields import DIGEST, FIELDS, ArrayFile
from brain.types import Float, Int


def field_sha256(values: Any) -> str:
    """The digest of a small field, of its type, shape and values: what `pack` notes and reading compares."""
    array = np.asarray(values)
    is_text = array.dtype.kind in "UO"
    data = json.dumps(array.ravel().tolist()).encode() if is_text else np.ascontiguousarray(array).tobytes()
    head = f"{'text' if is_text else array.dtype.str} {array.shape} "
    return hashlib.sha256(head.encode() + data).hexdigest()


def check_digest(source: ArrayFile) -> None:
    """Refuses fields that are not what `pack` wrote, where the file says what that was."""
    if not source.is_hdf5 or DIGEST not in source.names:
        return
    with hdf5.open_hdf5(source.path, [DIGEST]) as data:
        text = np.asarray(data[DIGEST][()]).tobytes().rstrip(b"\0")
    then = f"fetch the file again; if it was changed on purpose, take the field {DIGEST} out"
    facts = as_object(text, f"{source.path}, {DIGEST}", what=FIELDS[DIGEST], then=then)
    written = {str(name): str(digest) for name, digest in facts.items()}
    with hdf5.open_hdf5(source.path, list(written), then=then) as data:
        for name, digest in written.items():
            if name not in data or field_sha256(hdf5.plain(data[name], f"{source.path}, {name}")) != digest:
                raise InputError(expected(f"{source.path}, {name}", "what was packed (sha256)", "other values", then))


def responses_of(source: ArrayFile) -> Float:
    """(trial, voxel) float32 of the field `responses`; errors as `as_responses`."""
    return as_responses(source.read("responses"), f"{source.path}, responses")


def as_responses(values: NDArray[Any], where: object) -> Float:
    """(trial, voxel) float32 of numbers of two axes; a volume, one axis, text or no numbers are an InputError."""
    if values.ndim == 2 and values.dtype.kind in "iuf" and all(values.shape):
        with np.errstate(over="ignore"):  # numbers beyond float32 become infinity, which is reported
            return values.astype(np.float32)
    then = "store trials as rows"
    if values.ndim == 4 and values.dtype.kind in "iuf":
        then = "flatten the volume, trials as rows: betas.reshape(-1, trials).T where trials are the last axis"
    raise InputError(expected(where, FIELDS["responses"], f"{values.dtype} {values.shape}", then))


def check_turned(source: ArrayFile, trials: int, voxels: int) -> None:
    """Refuse responses of (voxel, trial): what goes by trials is as long as a row, and nothing as a column."""
    given = [name for name in ("stimulus", "session", "repeat", "group") if name in source]
    lengths = {name: flat(source.read(name)).shape[0] for name in given}
    turned_by = [name for name, length in lengths.items() if length == voxels]
    if turned_by and trials not in lengths.values():
        raise InputError(turned(f"{source.path}, responses", (trials, voxels), turned_by[0], voxels))


def turned(where: object, shape: tuple[int, int], name: str, length: int) -> str:
    """The sentence on responses whose columns, not rows, are as many as the trials that `name` speaks of."""
    found = f"{shape} and {length} trials in {name} (transposed?)"
    return expected(where, FIELDS["responses"], found, "store trials as rows: responses.T")


def flat(values: NDArray[Any]) -> NDArray[Any]:
    """A vector (value,) that was given as one column, one row or one number, as MATLAB stores them.

    Arrays of more axes are returned as they are.
    """
    lone = values.ndim == 0 or (values.ndim == 2 and 1 in values.shape)
    return values.reshape(-1) if lone else values


def as_texts(values: NDArray[Any], where: str) -> NDArray[np.str_]:
    """Text as it is, whole numbers in their plain form, (n,)."""
    return as_ids(flat(values), where)


def names_of(source: ArrayFile, name: str, values: NDArray[Any]) -> NDArray[np.str_]:
    """(n,) ids as text, accents composed, without the blanks that fill the rows of MATLAB's char arrays; both noted."""
    where = f"{source.path}, {name}"
    ids = as_texts(values, where)
    bare = unpadded(ids, where)
    whole = apart(bare, map(composed, bare.tolist()), where, found="only in how accents are stored")
    for before, after, said in (
        (ids, bare, "blanks at the end of {} ids are left out"),
        (bare, whole, "accents of {} ids are composed (a Mac takes them apart)"),
    ):
        changed = int((before != after).sum())
        if changed:
            source.notes.append(f"{name}: " + said.format(f"{changed} of {len(ids)}"))
    return whole


def ids_of(source: ArrayFile, name: str, length: int | None = None) -> NDArray[np.str_]:
    """(n,) ids of a field as text; another number of them than `length` is an InputError."""
    ids = names_of(source, name, source.read(name))
    _check_length(source, name, ids, length)
    return ids


def _check_length(source: ArrayFile, name: str, values: NDArray[Any], length: int | None) -> None:
    if length is not None and len(values) != length:
        came = f"shape {values.shape}"
        raise InputError(expected(f"{source.path}, {name}", f"{FIELDS[name]}, {length} of them", came, "correct it"))


def integers_of(source: ArrayFile, name: str, length: int, default: Int) -> Int:
    """(value,) int64 whole numbers of a field, `default` where it is absent; text or fractions are an InputError."""
    if name not in source:
        return default
    values = flat(source.read(name))
    if values.shape == (length,) and values.dtype.kind in "SU":
        first = min(as_texts(values, f"{source.path}, {name}").tolist())
        then = f"number them: 1 for {first!r}, and so on"
        raise InputError(expected(f"{source.path}, {name}", FIELDS[name], f"text such as {first!r}", then))
    if values.shape != (length,) or values.dtype.kind not in "iuf" or not whole_numbers(values).all():
        came = f"{values.dtype} {values.shape}"
        if values.shape == (length,) and values.dtype.kind in "iuf":
            came = f"{values[~whole_numbers(values)][0]:g} in {values.dtype}"
        raise InputError(expected(f"{source.path}, {name}", f"{FIELDS[name]}, {length} of them", came, "correct it"))
    return values.astype(np.int64)


def text_of(source: ArrayFile, name: str, default: str) -> str:
    """The one text of a field, `default` where it is absent; numbers or several texts are an InputError."""
    if name not in source:
        return default
    values = source.read(name)
    if values.ndim == 2 and values.dtype.kind in "iuf" and min(values.shape) > 1:
        then = f"name it with --fields responses={name} if these are the responses"
        raise InputError(expected(f"{source.path}, {name}", FIELDS[name], f"{values.dtype} {values.shape}", then))
    texts = as_texts(values, f"{source.path}, {name}")
    if len(texts) != 1:
        raise InputError(expected(f"{source.path}, {name}", "one text", f"{len(texts)} of them", "store one"))
    return one_line(str(texts[0]).rstrip(" \0"), f"{source.path}, {name}")


def numbers_of(
    source: ArrayFile, name: str, shape: tuple[int, ...], *, of: NDArray[np.bool_] | slice = slice(None)
) -> NDArray[np.float64]:
    """The numbers of a field, float64, any shape: it must have `shape`, and those `of` its first axis are finite."""
    values = source.read(name)
    values = flat(values) if len(shape) == 1 else values
    if values.shape != shape or values.dtype.kind not in "iuf" or not np.isfinite(values[of]).all():
        came = f"{values.dtype} {values.shape}" + (" with NaN or infinity" if values.shape == shape else "")
        want = f"{FIELDS[name]}, finite, shape {shape}"
        raise InputError(expected(f"{source.path}, {name}", want, came, "correct it"))
    return values.astype(np.float64)
