"""Safetensors and pickles of weights: whole, finite and of the kind they claim, else one sentence before a library."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from brain.errors import InputError
from brain.files import tensors
from encoders.storage import KEY, read_tensors, write_tensors

WEIGHTS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([1, 2, 3], np.int64),
    "empty": np.zeros((0, 4), np.float32),
    "one": np.array(2.5, np.float16),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_file(WEIGHTS, tmp_path / "w.safetensors", metadata={"made": "here"})
    return tmp_path / "w.safetensors"


def pack(path: Path, header: bytes | dict[str, Any], data: bytes = b"") -> Path:
    """A file with that header and those bytes, whatever they say."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_what_is_whole_is_read_as_it_was_written(file: Path) -> None:
    header = tensors.finite_header(file)
    assert header.metadata == {"made": "here"} and header.tensors["a"].shape == (2, 3)
    assert {name: slot.dtype for name, slot in header.tensors.items()} == {
        "a": "F32", "b": "I64", "empty": "F32", "one": "F16"
    }  # fmt: skip
    arrays, metadata = tensors.read_arrays(file)
    weights = tensors.read_torch(file)
    assert metadata == {"made": "here"} and arrays.keys() == weights.keys() == WEIGHTS.keys()
    for name, value in WEIGHTS.items():
        np.testing.assert_array_equal(arrays[name], value)
        np.testing.assert_array_equal(weights[name].numpy(), value)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file; fetch it"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:01\nsize 50\n", "a git-lfs pointer .*; run `git lfs"),
        (b"/annex/objects/MD5E-s5--00.safetensors\n", "a git-annex pointer .*; run `datalad get` on it"),
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"\x80\x02}q\x00.", "a Python pickle"),
        (b"PK\x03\x04" + b"\0" * 60, "a zip or npz archive"),
        (b"\0" * 100, "a file of zeros"),
        (b"\xff" * 8 + b"{}", "a file that begins with"),
        (b"\x40\0\0\0\0\0\0\0{", "a header cut short"),
    ],
)  # fmt: skip
def test_what_is_something_else_is_said(file: Path, content: bytes, found: str) -> None:
    file.write_bytes(content)
    for read in (tensors.header, tensors.finite_header, tensors.read_arrays, tensors.read_torch):
        with pytest.raises(InputError, match=f"expected my weights, found {found}") as said:
            read(file, what="my weights", then="fetch it")
        assert "\n" not in str(said.value)


def test_what_is_no_file_is_said_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dead").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    for name, found in (
        ("pipe", "a pipe"), ("dead", "a link to a file that has not been fetched; run `datalad get`"),
        ("folder", "a folder"), ("absent", "no such file"),
    ):  # fmt: skip
        for read in (tensors.finite_header, tensors.read_pickle):
            with pytest.raises(InputError, match=f"found {found}"):
                read(tmp_path / name)


@pytest.mark.parametrize("cut", [3, 8, 40, -1])
def test_a_file_cut_short_and_one_that_goes_on(file: Path, cut: int) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:cut])
    with pytest.raises(InputError, match="cut short|begins with"):
        tensors.header(file)
    file.write_bytes(whole + b"more")
    with pytest.raises(InputError, match=f"of {len(whole)} bytes, found .* goes on .*, {len(whole) + 4} bytes"):
        tensors.header(file)


ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "header",
    [
        b"{" + b'"a":[' * 20000,
        b'{"a": nothing}',
        b'{"a": "\xff"}',
        b'{"a":' + json.dumps(ONE).encode() + b',"a":' + json.dumps({**ONE, "shape": [1, 2]}).encode() + b"}",
        {"a": {**ONE, "dtype": "F33"}},
        {"a": {**ONE, "shape": [3]}},
        {"a": {**ONE, "shape": [-1, -2]}},
        {"a": {**ONE, "shape": [True, 2]}},
        {"a": {**ONE, "data_offsets": [0.0, 8]}},
        {"a": {**ONE, "data_offsets": [8, 0]}},
        {"a": {**ONE, "data_offsets": [0]}},
        {"a": {"dtype": "F32"}},
        {"a": 5},
        {"a": ONE, "b": ONE},
        {"a": {**ONE, "shape": [1], "data_offsets": [4, 8]}},
        {"a": ONE, "__metadata__": {"format": 3}},
        {"a": ONE, "__metadata__": "pt"},
    ],
)
def test_a_damaged_header_is_one_sentence(tmp_path: Path, header: bytes | dict[str, Any]) -> None:
    path = pack(tmp_path / "w.safetensors", header, b"\0" * 8)
    with pytest.raises(InputError, match="expected weights in safetensors, found a (damaged )?header") as said:
        tensors.header(path)
    assert ("a type that is not known ('a': F33)" in str(said.value)) == (b"F33" in path.read_bytes())
    assert "\n" not in str(said.value) and len(str(said.value)) < 400 + len(str(path))


def test_a_name_that_stands_twice_is_named(tmp_path: Path) -> None:
    one = json.dumps(ONE).encode()
    with pytest.raises(InputError, match="'conv' stands in it more than once"):
        tensors.header(pack(tmp_path / "w.safetensors", b'{"conv":' + one + b',"conv":' + one + b"}", b"\0" * 8))


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64", "float8_e5m2"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_named_in_every_type(tmp_path: Path, kind: str, bad: float) -> None:
    path, last = tmp_path / "w.safetensors", torch.ones(5)
    last[4] = bad
    weights = {"a.fine": torch.tensor([0.0, 1e-3, -3e4]), "b.bad": last, "index": torch.tensor([2**31 - 1])}
    wide = {name: one if name == "index" else one.to(getattr(torch, kind)) for name, one in weights.items()}
    save_torch(wide, path)
    with pytest.raises(InputError, match="NaN or infinity in 'b.bad'"):
        tensors.finite_header(path)
    save_torch(wide | {"b.bad": wide["a.fine"].clone()}, path)
    assert tensors.finite_header(path).tensors.keys() == wide.keys()


EIGHTS = {
    "float8_e4m3fn": "F8_E4M3", "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2": "F8_E5M2",
    "float8_e5m2fnuz": "F8_E5M2FNUZ", "float8_e8m0fnu": "F8_E8M0",
}  # fmt: skip


@pytest.mark.parametrize("kind", EIGHTS)
def test_each_number_of_eight_bits_is_told_from_nan_as_torch_tells_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "w.safetensors"
    finite = torch.arange(256).to(torch.uint8).view(getattr(torch, kind)).float().isfinite().tolist()
    assert 1 <= finite.count(False) <= 8
    for code in range(256):
        pack(path, {"a": {"dtype": EIGHTS[kind], "shape": [2], "data_offsets": [0, 2]}}, bytes([56, code]))
        os.utime(path, ns=(code, code))
        if finite[code]:
            tensors.finite_header(path)
        else:
            with pytest.raises(InputError, match="NaN or infinity in 'a'"):
                tensors.finite_header(path)


def test_every_type_is_looked_into_or_has_no_nan() -> None:
    whole = {name for name in tensors.BITS if name == "BOOL" or name[0] in "UI"}
    narrow = {"F4", "F6_E2M3", "F6_E3M2"}  # OCP microscaling formats: neither NaN nor infinity
    assert set(tensors.BITS) == {*tensors.NOT_FINITE, *whole, *narrow}
    assert set(EIGHTS.values()) == {name for name in tensors.NOT_FINITE if tensors.BITS[name] == 8}


@pytest.mark.parametrize("kind", [*EIGHTS, "complex64", "float16"])
def test_pickles_of_every_type_are_looked_into(tmp_path: Path, kind: str) -> None:
    torch.save({"fine": torch.ones(2).to(getattr(torch, kind))}, tmp_path / "w.pth")
    assert tensors.read_pickle(tmp_path / "w.pth").keys() == {"fine"}
    torch.save({"bad": torch.tensor([1.0, float("nan")]).to(getattr(torch, kind))}, tmp_path / "w.pth")
    with pytest.raises(InputError, match="NaN or infinity in 'bad'"):
        tensors.read_pickle(tmp_path / "w.pth")


def test_a_number_in_the_last_chunk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "CHUNK", 64)
    values = np.zeros(1001, np.float32)
    values[-1] = np.nan
    save_file({"long": values}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="'long'"):
        tensors.finite_header(tmp_path / "w.safetensors")


def test_bfloat16_as_numpy_is_one_sentence(tmp_path: Path) -> None:
    save_torch({"a": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="expected"):
        tensors.read_arrays(tmp_path / "w.safetensors")
    assert tensors.read_torch(tmp_path / "w.safetensors")["a"].dtype == torch.bfloat16


def test_pickles_hold_finite_weights_by_name(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a": torch.ones(2), "steps": 3}, path)
    assert tensors.read_pickle(path)["a"].tolist() == [1, 1]
    torch.save({"a": torch.ones(2), "b": torch.tensor([1.0, torch.nan])}, path)
    with pytest.raises(InputError, match="NaN or infinity in 'b'"):
        tensors.read_pickle(path)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(InputError, match="git-lfs pointer"):
        tensors.read_pickle(path)
    whole = b"".join((torch.save({"a": torch.ones(2)}, path), path.read_bytes()[:100])[1:])
    path.write_bytes(whole)
    with pytest.raises(InputError, match="damaged") as said:
        tensors.read_pickle(path)
    assert "\n" not in str(said.value)


def stored(path: Path) -> Path:
    rng = np.random.default_rng(0)
    arrays = {"values": rng.standard_normal((7, 5)).astype(np.float32), "kept": rng.random(9) > 0.5, "a": np.array(3)}
    write_tensors(path, arrays, kind="conditions", card={"ids": ["ü", "b"], "space": {"rate": 0.1}})
    return path


def test_our_own_files_are_the_same_bytes_and_the_same_content(tmp_path: Path) -> None:
    one, other = stored(tmp_path / "one.safetensors"), stored(tmp_path / "other.safetensors")
    assert one.read_bytes() == other.read_bytes()
    arrays, card = read_tensors(one, kind="conditions")
    assert card == {"ids": ["ü", "b"], "space": {"rate": 0.1}} and arrays["values"].shape == (7, 5)


def test_one_turned_bit_anywhere_in_our_own_files_is_refused(tmp_path: Path) -> None:
    path = stored(tmp_path / "c.safetensors")
    whole = path.read_bytes()
    places = np.random.default_rng(1).choice(8 * len(whole), 40, replace=False)
    begin, end = whole.index(b"sealed") - 4, whole.index(b"tensors_sha256") + 90
    around = 8 * np.arange(begin, end) + np.arange(begin, end) % 8  # a bit of each byte of the digest and its names
    for bit in (*places.tolist(), *around.tolist()):
        turned = bytearray(whole)
        turned[bit // 8] ^= 1 << bit % 8
        path.write_bytes(turned)
        with pytest.raises(InputError, match="expected"):
            read_tensors(path, kind="conditions")
    path.write_bytes(whole)
    assert read_tensors(path, kind="conditions")


def test_files_of_before_have_no_digest_and_are_read(tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    save_file({"values": np.ones(3)}, path, metadata={KEY: json.dumps({"kind": "conditions", "ids": []})})
    assert read_tensors(path, kind="conditions")[1] == {"ids": []}


def test_a_card_that_stands_over_other_tensors_is_refused(tmp_path: Path) -> None:
    path = stored(tmp_path / "c.safetensors")
    arrays, metadata = tensors.read_arrays(path)
    arrays["values"][3, 2] += 1
    save_file(arrays, path, metadata=metadata)
    with pytest.raises(InputError, match="bytes have changed"):
        read_tensors(path, kind="conditions")
