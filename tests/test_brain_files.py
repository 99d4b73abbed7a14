"""Files that others wrote: cut short, of another kind, reaching outside themselves, or claiming more than they hold."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from brain.errors import InputError
from brain.files.hdf5 import names_in, open_hdf5, plain
from brain.files.npz import read_npy, read_npz


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "whole.h5"
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(4000.0)
        file["text"] = ["a", "é"]
        file["group/one"] = np.ones(3)
        file["group/deeper/two"] = np.full(2, 2)
    return path


def test_what_is_asked_for_is_reachable_and_nothing_else(whole: Path) -> None:
    with open_hdf5(whole, ["numbers"], optional=["group", "absent"]) as data:
        assert sorted(data) == ["group/deeper/two", "group/one", "numbers"]
        assert data["numbers"][3] == 3
    assert names_in(whole) == ("group", "numbers", "text")
    with (
        pytest.raises(InputError, match=r"data set 'betas', found one with group, numbers, text"),
        open_hdf5(whole, ["betas"]),
    ):
        pass


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_told_with_both_sizes(whole: Path, keep: float) -> None:
    content = whole.read_bytes()
    whole.write_bytes(content[: int(len(content) * keep)])
    says = f"expected {len(content)} bytes, found a file cut short at {int(len(content) * keep)}; fetch"
    with pytest.raises(InputError, match=says), open_hdf5(whole, ["numbers"]):
        pass


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html><body>403", "a web page"),
        (b"\n <html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git-lfs pointer"),
        (b"../.git/annex/objects/xx", "git-annex pointer"),
        (b"PK\x03\x04....", "a zip or npz archive"),
        (b"\x80\x04\x95pickle", "a Python pickle"),
        (b"\x1f\x8b\x08....", "a gzip file"),
        (b"\0" * 344 + b"n+1\0", "a NIfTI file"),
        (b"\x1c\2\0\0n+2\0\r\n\x1a\n", "a NIfTI file"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "a wav file"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "a WebP image"),
        (b"RIFF\x24\0\0\0AVI LIST", "an AVI film"),
        (b"RIFF\x24\0\0\0RMIDdata", "a RIFF file of b'RMID'"),
        (b"RIFF", "a RIFF file of b''"),
        (b"hello, world", "begins with b'hello, w'"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "betas.hdf5"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says), open_hdf5(path, ["betas"]):
        pass


def test_an_absent_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "none.h5", "no such file; do this"), (tmp_path, "a folder; do this")):
        with pytest.raises(InputError, match=says), open_hdf5(path, ["x"], then="do this"):
            pass


def external_link(file: h5py.File, secret: Path) -> None:
    file["data"] = h5py.ExternalLink("other.h5", "/x")


def soft_link(file: h5py.File, secret: Path) -> None:
    file["data"] = h5py.SoftLink("/elsewhere")


def soft_link_inside_a_group(file: h5py.File, secret: Path) -> None:
    file.create_group("data")["x"] = h5py.SoftLink("/")


def external_storage(file: h5py.File, secret: Path) -> None:
    file.create_dataset("data", (36,), "u1", external=[(str(secret), 0, 36)])


def virtual(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(4,))
    file.create_virtual_dataset("data", layout)


def loop(file: h5py.File, secret: Path) -> None:
    group = file.create_group("data")
    group["again"] = group


def bomb(file: h5py.File, secret: Path) -> None:
    file.create_dataset("data", (10**12,), "f8", chunks=(10**6,), compression="gzip")


def small_bomb(file: h5py.File, secret: Path) -> None:
    file.create_dataset("data", (10**7,), "f8", chunks=(10**6,), compression="gzip")


def compound(file: h5py.File, secret: Path) -> None:
    file["data"] = np.zeros(3, [("a", "f8"), ("b", "i4")])


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (external_link, "an external link"),
        (soft_link, "a soft link"),
        (soft_link_inside_a_group, "a soft link"),
        (external_storage, "external storage"),
        (virtual, "a virtual data set"),
        (loop, "a group that holds itself"),
        (bomb, "8000000000000 bytes claimed"),
        (small_bomb, "80000000 bytes claimed and 0 stored"),
        (compound, "numbers or text"),
    ],
)
def test_a_file_that_reaches_outside_or_claims_too_much_is_refused(
    tmp_path: Path, build: Callable[[h5py.File, Path], None], says: str
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"a secret that must not be read, ever")
    path = tmp_path / "foreign.h5"
    with h5py.File(path, "w") as file:
        build(file, secret)
    with pytest.raises(InputError, match=says), open_hdf5(path, ["data"]):
        pass


def test_a_streamed_data_set_may_be_large_but_not_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "brick.h5"
    with h5py.File(path, "w") as file:
        zeros = np.zeros((10**7, 8), np.uint8)  # of which next to nothing is stored
        file.create_dataset("tall", data=zeros, chunks=(10**6, 8), compression="gzip")
        file.create_dataset("wide", (2, 10**9), "u1", chunks=(1, 1000))
    with open_hdf5(path, ["tall"], streamed=["tall"]) as data:
        assert (data["tall"][1234567] == 0).all()
    with pytest.raises(InputError, match="rows below"), open_hdf5(path, ["wide"], streamed=["wide"]):
        pass


def test_a_streamed_row_must_not_cost_a_chunk_that_is_larger_than_memory(tmp_path: Path) -> None:
    path = tmp_path / "brick.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("packed", (2**28, 8), "u1", chunks=(2**26, 8), compression="gzip")
        file.create_dataset("apart", (2**28, 8), "u1", chunks=(2**20, 8), compression="gzip")
    says = f"packed: expected rows below {2**28} bytes, found 8 in chunks of {2**29}; store smaller rows and chunks"
    with pytest.raises(InputError, match=says), open_hdf5(path, ["packed"], streamed=["packed"]):
        pass
    with open_hdf5(path, ["apart"], streamed=["apart"], sparse=["apart"]) as data:
        assert not data["apart"][2**27].any()


def test_a_flipped_bit_under_a_checksum_is_told(tmp_path: Path) -> None:
    path = tmp_path / "checked.h5"
    values = np.arange(500.0)
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=values, fletcher32=True, chunks=(500,))
    content = bytearray(path.read_bytes())
    content[content.index(values.tobytes()) + 77] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="damaged"), open_hdf5(path, ["data"]) as data:
        data["data"][:]


def test_another_error_inside_the_block_stays_what_it_is(whole: Path) -> None:
    with pytest.raises(FileNotFoundError), open_hdf5(whole, ["numbers"]):
        os.stat(whole.with_name("absent"))


def npz(path: Path, members: dict[str, bytes], *, compressed: bool = False) -> Path:
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_an_npz_archive_gives_plain_arrays(tmp_path: Path) -> None:
    path = tmp_path / "plain.npz"
    np.savez_compressed(path, numbers=np.arange(3), **{"roi/V1": np.array([True, False])})
    arrays = read_npz(path, ["numbers", "roi/V1"])
    assert arrays["numbers"].tolist() == [0, 1, 2] and arrays["roi/V1"].tolist() == [True, False]
    with pytest.raises(InputError, match="'betas', found one with numbers, roi/V1"):
        read_npz(path, ["betas"])


@pytest.mark.parametrize("kind", ["<f8", ">f4", ">i2", "<U3", ">U3"])
@pytest.mark.parametrize("shape", [(2, 3), (4, 2, 3), (5,), ()])
def test_arrays_in_either_order_of_axes_and_bytes_come_back_element_by_element(
    tmp_path: Path, kind: str, shape: tuple[int, ...]
) -> None:
    rows = np.arange(int(np.prod(shape))).reshape(shape).astype(kind)
    columns = np.array(rows, order="F")
    assert columns.flags.f_contiguous and np.isfortran(columns) == (len(shape) > 1)
    np.save(tmp_path / "own.npy", columns)
    np.savez(tmp_path / "own.npz", columns=columns, rows=rows)
    np.savez_compressed(tmp_path / "packed.npz", columns=columns)
    read = [read_npy(tmp_path / "own.npy"), *read_npz(tmp_path / "own.npz", ["columns", "rows"]).values()]
    read += read_npz(tmp_path / "packed.npz", ["columns"]).values()
    assert len(read) == 4
    for values in read:
        assert values.dtype.kind == rows.dtype.kind and values.shape == shape
        for place in np.ndindex(*shape):
            assert values[place] == rows[place]


def test_a_pickled_member_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "objects.npz"
    np.savez(path, data=np.array([{"a": 1}], object))
    with pytest.raises(InputError, match="store numbers or text, not objects"):
        read_npz(path, ["data"])


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brain.files.npz.RATIO_FROM", 10**6)
    path = npz(tmp_path / "bomb.npz", {"data": npy(np.zeros(2_000_000, np.uint8))}, compressed=True)
    assert path.stat().st_size < 4000
    with pytest.raises(InputError, match="2000128 bytes claimed"):
        read_npz(path, ["data"])


def test_pictures_that_are_all_but_empty_are_no_bomb(tmp_path: Path) -> None:
    figures = np.zeros((40, 1300, 1300), np.uint8)
    figures[:, 100, 100] = 200
    np.savez_compressed(tmp_path / "figures.npz", images=figures)
    assert figures.nbytes > 900 * (tmp_path / "figures.npz").stat().st_size
    assert int(read_npz(tmp_path / "figures.npz", ["images"])["images"].sum()) == 40 * 200


def test_a_header_that_claims_more_than_its_member_holds_is_refused(tmp_path: Path) -> None:
    honest = npy(np.zeros(100, np.uint8))
    lying = honest.replace(b"(100,), }" + b" " * 11, b"(10000000000000,), }")
    assert len(lying) == len(honest) and lying != honest
    with pytest.raises(InputError, match="10000000000000 bytes by its header .* and 100 stored"):
        read_npz(npz(tmp_path / "lying.npz", {"data": lying}), ["data"])


@pytest.mark.parametrize("keep", [0.2, 0.9])
def test_a_truncated_npz_is_told(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "cut.npz"
    np.savez(path, data=np.arange(1000))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(InputError, match="a whole npz archive, found a damaged"):
        read_npz(path, ["data"])


def without_an_end(whole: bytes, heap: int) -> bytes:
    """The file with a heap whose free space has no size: the library would look for its end for ever."""
    changed = bytearray(whole)
    place, ends = heap + 16, heap + int.from_bytes(whole[heap + 8 : heap + 16], "little")
    while int.from_bytes(whole[place : place + 2], "little"):
        place += 16 + -(-int.from_bytes(whole[place + 8 : place + 16], "little") // 8) * 8
    assert place < ends
    changed[place + 8 : place + 16] = bytes(8)
    return bytes(changed)


@pytest.mark.parametrize("packed", [{}, {"compression": "gzip"}, {"compression": "gzip", "shuffle": True}])
def test_the_heaps_of_the_last_chunk_are_walked_too(packed: dict[str, Any], tmp_path: Path) -> None:
    path, words = tmp_path / "text.h5", np.array([f"{number}" * 700 for number in range(10, 34)], object)
    with h5py.File(path, "w") as file:
        text = file.create_dataset("text", (24,), h5py.string_dtype(), chunks=(8,), **packed)
        for start in range(0, 24, 8):
            text[start : start + 8] = words[start : start + 8]
            file.flush()
            file[f"behind it {start}"] = np.zeros(5000)  # so that the heap cannot grow and the next chunk gets another
    whole = path.read_bytes()
    assert whole.count(b"GCOL") >= 3
    with open_hdf5(path, ["text"]) as data:
        assert plain(data["text"], path).tolist() == words.tolist()
    path.write_bytes(without_an_end(whole, whole.rindex(b"GCOL")))
    with pytest.raises(InputError, match="text.h5, text: expected intact text"), open_hdf5(path, ["text"]):
        pass


@pytest.mark.parametrize("how", ["plain", "gzip", "shuffled", "scalar", "latest"])
def test_text_whose_heap_has_no_end_is_refused_and_whole_text_is_read(how: str, tmp_path: Path) -> None:
    path, words = tmp_path / "text.h5", np.array([f"word {number}" for number in range(40)], object)
    packed: dict[str, Any] = {
        "gzip": {"chunks": (16,), "compression": "gzip"},
        "shuffled": {"chunks": (7,), "compression": "gzip", "shuffle": True},
    }.get(how, {})
    with h5py.File(path, "w", libver="latest" if how == "latest" else None) as file:
        value = "one word" if how == "scalar" else words
        file.create_dataset("text", data=value, dtype=h5py.string_dtype(), **packed)
    with open_hdf5(path, ["text"]) as data:
        assert np.array_equal(plain(data["text"], path), np.asarray(value, np.str_))
    whole = path.read_bytes()
    path.write_bytes(without_an_end(whole, whole.index(b"GCOL")))
    with pytest.raises(InputError, match="text.h5, text: expected intact text"), open_hdf5(path, ["text"]):
        pass


@pytest.mark.parametrize("packed", [{"compression": "lzf"}, {"compression": "lzf", "shuffle": True}])
def test_text_behind_a_filter_that_nobody_sees_through_is_refused_and_its_numbers_are_read(
    packed: dict[str, Any], tmp_path: Path
) -> None:
    path, words = tmp_path / "text.h5", np.array([f"word {number}" for number in range(40)])
    with h5py.File(path, "w") as file:
        file.create_dataset("text", data=words.astype(object), dtype=h5py.string_dtype(), chunks=(7,), **packed)
        file.create_dataset("fixed", data=words.astype("S"), chunks=(7,), **packed)
        file.create_dataset("numbers", data=np.arange(40), chunks=(7,), **packed)
    with open_hdf5(path, ["fixed", "numbers"]) as data:
        assert plain(data["fixed"], path).tolist() == words.tolist() and data["numbers"][39] == 39
    said = "text.h5, text: expected .*, found text compressed by lzf, whose damage .*; write the data again with gzip"
    with pytest.raises(InputError, match=said), open_hdf5(path, ["text"]):
        pass


def test_text_in_the_head_of_its_data_set_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.h5"
    with h5py.File(path, "w") as file:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_layout(h5py.h5d.COMPACT)
        kind, space = h5py.h5t.py_create(h5py.string_dtype(), logical=True), h5py.h5s.create_simple((3,))
        h5py.Dataset(h5py.h5d.create(file.id, b"text", kind, space, made))[:] = ["a", "b", "c"]
        numbers = h5py.h5d.create(file.id, b"numbers", h5py.h5t.NATIVE_INT64, space, made)
        h5py.Dataset(numbers)[:] = [1, 2, 3]
    with open_hdf5(path, ["numbers"]) as data:
        assert data["numbers"][:].tolist() == [1, 2, 3]
    with pytest.raises(InputError, match="found text in the head of its data set"), open_hdf5(path, ["text"]):
        pass


@pytest.mark.parametrize("where", [2**62, 2**55, 10**9])
def test_text_that_points_out_of_the_file_is_refused(where: int, tmp_path: Path) -> None:
    path = tmp_path / "text.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("text", data=np.array([f"word {number}" for number in range(40)], object),
                            dtype=h5py.string_dtype())  # fmt: skip
    whole = path.read_bytes()
    heap = whole.index(b"GCOL").to_bytes(8, "little")
    place = whole.rindex(heap)
    path.write_bytes(whole[:place] + where.to_bytes(8, "little") + whole[place + 8 :])
    with pytest.raises(InputError, match="text.h5, text: expected intact text"), open_hdf5(path, ["text"]) as data:
        plain(data["text"], path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("code", [0x110000, 0xFFFFFFFF, 0xD800])
def test_text_of_numbers_that_are_no_letters_is_refused(order: str, code: int, tmp_path: Path) -> None:
    words = np.array(["häuser", "日本", "\U0001f9e0"], f"{order}U6")
    np.save(tmp_path / "whole.npy", words)
    assert read_npy(tmp_path / "whole.npy").tolist() == words.tolist()
    raw = words.tobytes().replace(np.array(["日"], f"{order}U1").tobytes(), np.array([code], f"{order}u4").tobytes())
    np.save(tmp_path / "ids.npy", np.frombuffer(raw, f"{order}U6"))
    np.savez(tmp_path / "ids.npz", ids=np.frombuffer(raw, f"{order}U6"))
    for read in (lambda: read_npy(tmp_path / "ids.npy"), lambda: read_npz(tmp_path / "ids.npz", ["ids"])):
        with pytest.raises(InputError, match="expected text, found numbers that are no letters"):
            read()
