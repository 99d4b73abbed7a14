"""Opening HDF5 files that others wrote: whole, of the right kind, and reaching nothing outside themselves.

    with open_hdf5(path, ["responses"], optional=["roi"]) as data:
        data["responses"][:]; plain(data["roi/V1"], path)

What MATLAB saved (v7.3) comes as MATLAB shows it: (image, height, width, 3) there is that here, though the file has the
axes reversed.

Only what is asked for is reachable. External and soft links, external storage, virtual data sets, hard-link loops,
data sets that claim far more than the file holds or of which a part was never written, and types other than numbers
and text are refused.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import AfterimageError, InputError, expected
from brain.files.hdf5_heaps import UNCOMPRESSED, check_heaps
from brain.files.paths import AGAIN, foreign, is_hdf5, present
from brain.names import one_line

if TYPE_CHECKING:
    import h5py  # within functions: whoever only asks for the readers' cards does not wait for it

LIMIT = 32 * 2**30
"""Bytes that a data set which is read whole may claim."""
STREAM_LIMIT = 2**28
"""Bytes that one row, or one chunk, of a data set which is streamed may claim."""
RATIO, RATIO_FROM = 2000, 2**24
"""A data set of more than `RATIO_FROM` bytes may claim this many times what the file stores of it."""
OBJECTS, DEPTH = 10000, 64
"""Of what a group may hold, and of the groups in each other on the way there."""
FILTERS = {4: "szip", 307: "bzip2", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32015: "zstd", 32026: "blosc2"}
"""Registered filters that h5py does not bring, by number."""
KINDS = {"double": "f8", "single": "f4", "logical": "u1", "char": "u2"} | {
    f"{sign}int{8 * width}": f"{sign or 'i'}{width}" for sign in ("", "u") for width in (1, 2, 4, 8)
}
"""MATLAB's classes of plain arrays, and the types in which they are saved."""
MATLAB_CLASS = "MATLAB_class"
OF_MATLAB = "saved by MATLAB: axes are read in MATLAB's order"


@contextmanager
def open_hdf5(
    path: Path,
    keys: Sequence[str],
    *,
    optional: Sequence[str] = (),
    streamed: Sequence[str] = (),
    sparse: Sequence[str] = (),
    as_stored: bool = False,
    then: str = "fetch the file again",
) -> Iterator[dict[str, Any]]:
    """The data sets named by `keys` and, where present, by `optional`, as name -> h5py.Dataset (open inside `with`).

    An optional name may be a group: it gives its data sets as "group/name". Those in `streamed` are read row by row
    and may be larger than memory; of those in `sparse` a part may never have been written, and whoever reads them asks
    about each. Data sets that MATLAB saved are `OfMatlab`, in MATLAB's order of axes, unless `as_stored` says that the
    format has an order of its own. A file that is cut short, foreign, damaged or unsafe is an InputError, at the latest
    when its data are read inside `with`.
    """
    present(path, what="an HDF5 file", then=then)
    _must_be_hdf5(path)
    file = _open(path, then)
    with file:
        try:
            missing = [key for key in keys if not _holds(file, key, path)]
            if missing:
                holds = f"one with {', '.join(file)[:200] or 'nothing'}"
                raise InputError(expected(path, f"the data set {missing[0]!r}", holds, then))
            found: dict[str, h5py.Dataset] = {}
            for key in [*keys, *(key for key in optional if _holds(file, key, path))]:
                _collect(file[key], key, path, found=found)
            groups = [key for key in keys if key not in found]
            if groups:
                raise InputError(expected(f"{path}, {groups[0]}", "a data set", "a group", "store an array there"))
            for key, dataset in found.items():
                _check(dataset, key, path, streamed=key in streamed, as_stored=as_stored)
                if key not in sparse:
                    must_be_written(dataset, f"{path}, {key}")
            yield found if as_stored else {key: _as_saved(dataset) for key, dataset in found.items()}
        except (AfterimageError, MemoryError):
            raise
        except Exception as error:
            # h5py raises what its parser stumbles over: OSError, RuntimeError, KeyError, ValueError ...
            if not _of_h5py(error):
                raise
            raise _damaged(path, "intact data", error, then) from error


def names_in(path: Path, through: Sequence[str] = ()) -> tuple[str, ...]:
    """The names at the root of an HDF5 file, and all below the groups that the names `through` go through; sorted.

    Nothing else is opened. A name of `through` with a step that is a link to elsewhere is an InputError.
    """
    import h5py

    present(path, what="an HDF5 file", then="give the path of one")
    _must_be_hdf5(path)
    with _open(path, "fetch the file again") as file:
        try:
            names = [one_line(name, path) for name in file]
            for first in sorted({one.split("/")[0] for one in through if "/" in one}.intersection(names)):
                for name in (one for one in through if one.startswith(f"{first}/")):
                    _holds(file, name, path)
                if isinstance(file.get(first, getlink=True), h5py.HardLink) and isinstance(file[first], h5py.Group):
                    names.extend(name for name, _ in _below(file[first], first, path))
            return tuple(sorted(names))
        except AfterimageError:
            raise
        except Exception as error:
            raise _damaged(path, "an intact HDF5 file", error, "fetch the file again") from error


def _below(group: h5py.Group, key: str, path: Path) -> Iterator[tuple[str, Any]]:
    """(name, what it is) of all below a group, groups among them; None for a link to elsewhere, which is not followed.

    A group that holds itself, and more than OBJECTS or DEPTH, are an InputError.
    """
    import h5py

    waiting, count = deque([(group, key, frozenset[int]())]), 0
    while waiting:
        node, key, above = waiting.popleft()
        address = int(h5py.h5o.get_info(node.id).addr)
        count += len(node)
        if address in above or count > OBJECTS or len(above) > DEPTH:
            came = f"more than {OBJECTS} objects, or {DEPTH} groups in each other"
            came = "a group that holds itself" if address in above else came
            raise InputError(expected(f"{path}, {key}", "a plain group", came, "write it anew"))
        for name in node:
            whole = f"{key}/{one_line(name, f'{path}, {key}')}"
            inner = node[name] if isinstance(node.get(name, getlink=True), h5py.HardLink) else None
            yield whole, inner
            if isinstance(inner, h5py.Group):
                waiting.append((inner, whole, above | {address}))


def plain(dataset: Any, where: object) -> NDArray[Any]:
    """A whole data set as an array of any shape: text as str, MATLAB's logicals as bool, everything else as it is.

    Text that is not UTF-8 (of MATLAB's: UTF-16) is an InputError.
    """
    import h5py

    if isinstance(dataset, OfMatlab):
        return _plain_of_matlab(dataset, where)
    if h5py.check_string_dtype(dataset.dtype) is None:
        return np.asarray(dataset[()])
    return texts(np.asarray(dataset.asstr("utf-8", errors="surrogateescape")[()], np.str_), where)


@dataclass(frozen=True)
class OfMatlab:
    """A data set that MATLAB saved, with the axes that it has there; the file has them in reverse.

    As of h5py: `shape`, `ndim`, `dtype`, `nbytes`, and numbers and slices in brackets.
    """

    stored: Any
    kind: str
    shape: tuple[int, ...]

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its numbers; 8 bits for logicals and 16 for chars."""
        return np.dtype(self.stored.dtype if self.size else KINDS[self.kind])

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        if not self.size:  # what the file has in its place is the shape
            return np.asarray(np.empty(self.shape, self.dtype)[key])
        asked = key if isinstance(key, tuple) else (key,)
        whole = (*asked, *(slice(None) for _ in range(self.ndim - len(asked))))
        return np.asarray(self.stored[whole[::-1]]).T


def _as_saved(dataset: h5py.Dataset) -> Any:
    kind = _kind_of_matlab(dataset)
    if not kind:
        return dataset
    empty = "MATLAB_empty" in dataset.attrs
    shape = np.asarray(dataset[()]).ravel().tolist() if empty else dataset.shape[::-1]
    return OfMatlab(dataset, kind, tuple(int(length) for length in shape))


def _kind_of_matlab(dataset: h5py.Dataset) -> str:
    """MATLAB's class of a data set, "" where MATLAB did not save it."""
    import h5py

    if MATLAB_CLASS not in dataset.attrs:
        return ""
    text = h5py.check_string_dtype(dataset.attrs.get_id(MATLAB_CLASS).dtype)
    if text is None or text.length is None:  # such text lies in a heap, and a damaged heap never ends
        where, then = f"{dataset.file.filename}, {str(dataset.name).lstrip('/')}", "save the file again in MATLAB"
        raise InputError(expected(where, f"{MATLAB_CLASS} of fixed length, as MATLAB writes it", "another", then))
    kind = dataset.attrs[MATLAB_CLASS]
    return kind.decode("utf-8", "replace") if isinstance(kind, bytes) else str(kind)


def _plain_of_matlab(dataset: OfMatlab, where: object) -> NDArray[Any]:
    """The array; a char matrix as (row,) text without the blanks that fill its rows."""
    values = np.ascontiguousarray(dataset[()])
    if dataset.kind == "logical" and values.dtype.itemsize == 1:
        return values.view(np.bool_)
    if dataset.kind != "char":
        return values
    try:
        rows = [row.astype("<u2").tobytes().decode("utf-16-le") for row in np.atleast_2d(values)]
    except UnicodeError as error:
        raise InputError(expected(where, "text in UTF-16", "other bytes", "store the text again")) from error
    return np.array([row.rstrip(" ") for row in rows], np.str_)


def texts(values: NDArray[Any], where: object) -> NDArray[np.str_]:
    """Bytes or text, in any shape, as str, blanks kept (`tables.unpadded`).

    Bytes that are not UTF-8 are an InputError.
    """
    try:
        if values.dtype.kind == "S":
            return np.char.decode(values, "utf-8")
        np.char.encode(values, "utf-8")
        return values.astype(np.str_)
    except UnicodeError as error:
        found = f"other bytes ({ascii(str(error.object))[:60]})" if hasattr(error, "object") else "other bytes"
        raise InputError(expected(where, "text in UTF-8", found, "store the text again as UTF-8")) from error


def _must_be_hdf5(path: Path) -> None:
    if not is_hdf5(path):
        with open(path, "rb") as file:
            raise foreign(path, file.read(512), what="an HDF5 file", then=AGAIN)


def _open(path: Path, then: str) -> h5py.File:
    import h5py

    try:
        return h5py.File(path, "r", locking="best-effort")
    except Exception as error:
        cut = re.search(r"stored_eof = (\d+)", str(error))
        if "truncated" in str(error) and cut:
            size = path.stat().st_size
            raise InputError(expected(path, f"{cut[1]} bytes", f"a file cut short at {size}", then)) from error
        if "unable to lock file" in str(error):
            found = "one that another program holds open for writing"
            raise InputError(expected(path, "an HDF5 file", found, "close it there, or wait, and try again")) from error
        raise _damaged(path, "an intact HDF5 file", error, then) from error


def _of_h5py(error: BaseException) -> bool:
    """Was it raised within h5py? Faults of ours inside a `with` keep their traceback."""
    frame, last = error.__traceback__, ""
    while frame is not None:
        last, frame = frame.tb_frame.f_code.co_filename, frame.tb_next
    return "h5py" in last


def _damaged(path: Path, what: str, error: Exception, then: str) -> InputError:
    missing = re.search(r"required filter '([^']*)'", str(error))
    if missing or "filter returned failure" in str(error) and "plugin" in str(error):
        found = f"data compressed by {missing[1]!r}, a filter that is not installed" if missing else "an unknown filter"
        return InputError(expected(path, what, found, UNCOMPRESSED))
    if "checksum" in str(error).lower() or "fletcher32" in str(error).lower():
        return InputError(expected(path, what, f"data that fail their checksum ({_short(error)})", then))
    return InputError(expected(path, what, f"damaged ones ({_short(error)})", then))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


def _holds(file: h5py.File, key: str, path: Path) -> bool:
    """Does every step to `key` exist? A step that is a link to elsewhere is refused before it is followed."""
    import h5py

    node: Any = file
    for step in key.split("/"):
        if not isinstance(node, h5py.Group):
            return False
        link = node.get(step, getlink=True)
        if link is None:
            return False
        if not isinstance(link, h5py.HardLink):
            kind = "an external link" if isinstance(link, h5py.ExternalLink) else "a soft link"
            raise InputError(expected(f"{path}, {key}", "data in the file itself", kind, "copy the data into the file"))
        node = node[step]
    return True


def _collect(node: Any, key: str, path: Path, *, found: dict[str, h5py.Dataset]) -> None:
    """Adds a data set, or all those below a group, to `found`; a link to elsewhere and other things are InputErrors."""
    import h5py

    for name, one in _below(node, key, path) if isinstance(node, h5py.Group) else ((key, node),):
        if one is None:
            _holds(node.file, name, path)
        elif isinstance(one, h5py.Dataset):
            found[name] = one
        elif not isinstance(one, h5py.Group):
            came = type(one).__name__
            raise InputError(expected(f"{path}, {name}", "a data set or a group", came, "write it anew"))


def _check(dataset: h5py.Dataset, key: str, path: Path, *, streamed: bool, as_stored: bool) -> None:
    import h5py

    where = f"{path}, {key}"
    if dataset.shape is None:
        raise InputError(expected(where, "an array", "an entry without values", "store the values, or leave it out"))
    if dataset.external or dataset.is_virtual:
        kind = "external storage" if dataset.external else "a virtual data set"
        raise InputError(expected(where, "data in the file itself", kind, "copy the data into the file"))
    kind = _kind_of_matlab(dataset)
    if kind and kind not in KINDS:
        then = "store a plain array, ids as char(ids) with a row each"
        raise InputError(expected(where, "numbers, logicals or chars", f"MATLAB's {kind[:40]}", then))
    if dataset.dtype.kind not in "iufbSU" and h5py.check_string_dtype(dataset.dtype) is None:
        raise InputError(expected(where, "numbers or text", f"type {dataset.dtype}", "store plain arrays"))
    absent = _filter_absent(dataset)
    if absent:
        found = f"data compressed by {absent}, a filter that is not installed"
        raise InputError(expected(where, "data that can be read", found, UNCOMPRESSED))
    check_heaps(dataset)
    claims = int(dataset.nbytes)
    if streamed:
        lengths = dataset.shape[::-1] if kind and not as_stored else dataset.shape
        rows = max(lengths[0], 1) if lengths else 1
        chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
        if max(claims // rows, chunk) > STREAM_LIMIT:
            came = f"{claims // rows} in chunks of {chunk}"
            raise InputError(expected(where, f"rows below {STREAM_LIMIT} bytes", came, "store smaller rows and chunks"))
        return
    stored = int(dataset.id.get_storage_size())  # all chunks are looked up for it
    if claims > LIMIT or (claims > RATIO_FROM and claims > RATIO * max(stored, 1)):
        came = f"{claims} bytes claimed and {stored} stored"
        raise InputError(expected(where, "data as large as they claim", came, "check the file"))


def must_be_written(dataset: h5py.Dataset, where: str) -> None:
    """Refuse values that nobody wrote: HDF5 gives its fill value for them, and they would be read as zeros."""
    if dataset.size == 0:
        return
    then = "write the file again, to its end, and with it what was left out on purpose (all of a mask's False)"
    if dataset.chunks is None:
        if not dataset.id.get_storage_size():
            raise InputError(expected(where, "values", "none that were ever written (the writer stopped?)", then))
        return
    chunks = math.prod(-(-length // step) for length, step in zip(dataset.shape, dataset.chunks, strict=True))
    written = int(dataset.id.get_num_chunks())
    if written < chunks:
        found = f"{written} of {chunks} chunks that were ever written (the writer stopped?)"
        raise InputError(expected(where, "all of its values", found, then))


def _filter_absent(dataset: h5py.Dataset) -> str:
    """The name or number of a filter that these data were written with and that is not installed, or ""."""
    import h5py

    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(number) for number in range(plist.get_nfilters())]
    for code, _, _, name in filters:
        if not h5py.h5z.filter_avail(code):
            return FILTERS.get(code) or name.decode("utf-8", "replace").strip("\0") or f"filter {code}"
    return ""
