"""Tables of strangers: no row is left out or taken in without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brain.errors import InputError
from brain.files.tables import as_cell, as_ids, of_cell, read_ids, read_mask, read_numbers, read_rows, whole_numbers
from brain.readers import open_recording


@pytest.mark.parametrize("name", ["x.txt", "x.csv", "x.tsv"])
def test_a_blank_line_above_others_is_told_and_one_at_the_end_is_none(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("1\n\n0\n")
    for read in (read_ids, read_numbers, read_rows, lambda path: read_mask(path, 2)):
        with pytest.raises(InputError, match=r", line 2: expected a row, found a blank line above others"):
            read(path)
    path.write_text("1\n0\n\n  \n")
    assert read_ids(path).tolist() == ["1", "0"] and read_mask(path, 2).tolist() == [True, False]
    path.write_bytes(b"1\r\r\n0\r\r\n")  # Python's csv into a text file on Windows
    assert read_numbers(path).tolist() == [1, 0]


def test_empty_rows_of_a_spreadsheet_at_the_end_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("1,2,5\n3,4,6\n,,\n,,\n")
    assert read_numbers(path).shape == (2, 3)
    path.write_text("1,2,5\n,,\n3,4,6\n")
    with pytest.raises(InputError, match="line 2: expected a row, found a blank line"):
        read_numbers(path)


def test_a_form_feed_ends_no_line(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("a\nb\x0c\nc\n")
    assert read_ids(path).tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("head", ["stim_id", "stimulus", "ID", "image", "image name", "# ids", "nsdId", "Filename"])
def test_a_head_line_over_as_many_ids_is_told(tmp_path: Path, head: str) -> None:
    path = tmp_path / "x.txt"
    path.write_text(f"{head}\nface\nhouse\n")
    with pytest.raises(InputError, match=r"line 1: expected an id, found .* \(a head line\?\); take the line out"):
        read_ids(path)
    np.save(tmp_path / "x.npy", np.array([head, "face", "house"]))
    with pytest.raises(InputError, match=r"a head line\?"):
        read_ids(tmp_path / "x.npy")


@pytest.mark.parametrize("ids", [["image", "sound", "image"], ["image1", "face"], ["007", "3.10"], ["dog", "id"]])
def test_ids_that_are_ids_are_no_head_line(tmp_path: Path, ids: list[str]) -> None:
    path = tmp_path / "x.txt"
    path.write_text("\n".join(ids))
    assert read_ids(path).tolist() == ids


def test_column_numbers_over_responses_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("0,1,2,3\n0.5,0.1,0.2,0.7\n0.1,0.2,0.4,0.2\n")
    with pytest.raises(InputError, match=r"line 1: expected measured numbers, found the numbers of the columns"):
        read_numbers(path)
    assert read_numbers(path, measured=False).shape == (3, 4)


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd", "-rf", "@x", "\tx", "'=x", "''=x", "'", "'x", "-1", "+2.5e3", "'-1", "", "a=b"]
)
def test_what_a_spreadsheet_would_compute_gets_an_apostrophe_and_comes_back(text: str) -> None:
    assert not as_cell(text).startswith(("=", "@", "\t", "-r", "+c"))
    assert of_cell(as_cell(text)) == text
    if text in ("-1", "+2.5e3", "'x", "", "a=b"):
        assert as_cell(text) == text


@pytest.mark.parametrize(("kind", "largest"), [("f2", 2047), ("f4", 2**24 - 1), ("f8", 2**53 - 1), (">f4", 2**24 - 1)])
def test_numbers_are_ids_as_far_as_their_type_keeps_them_apart(kind: str, largest: int) -> None:
    told = as_ids(np.array([0, 7, largest], kind), "ids")
    assert told.tolist() == ["0", "7", str(largest)]
    with pytest.raises(InputError, match=r"ids: expected text or whole numbers, found .* in .*, a number that no id"):
        as_ids(np.array([1, largest + 1], kind), "ids")
    assert whole_numbers(np.array([1, np.nan, np.inf, 0.5, -3], kind)).tolist() == [True, False, False, False, True]


def test_sessions_that_their_type_merges_are_refused(tmp_path: Path) -> None:
    """Dates as float32: the 4th and the 5th of a month are one number."""
    days = np.repeat([20230103, 20230104, 20230105], 4)
    arrays = {"responses": np.random.default_rng(0).standard_normal((12, 5)), "stimulus": np.arange(12),
              "images": np.zeros((12, 4, 4), np.uint8)}  # fmt: skip
    np.savez(tmp_path / "data.npz", session=days.astype("f4"), **arrays)
    with pytest.raises(InputError, match=r"session: expected .*, found 2\.02301e\+07 in float32"):
        open_recording(tmp_path / "data.npz")
    np.savez(tmp_path / "data.npz", session=days, **arrays)
    assert set(open_recording(tmp_path / "data.npz").responses.session.tolist()) == set(days.tolist())


@pytest.mark.parametrize("number", [2.0**53, -(2.0**53), 2.0**62, 0.5, np.nan, np.inf])
def test_an_id_that_a_float_cannot_hold_is_refused(number: float) -> None:
    with pytest.raises(InputError, match=r"x: expected text or whole numbers, found .*, a number that no id can be"):
        as_ids(np.array([1.0, number]), "x")
    whole = np.array([2.0**53 - 1, -(2.0**53) + 1, -0.0])
    assert as_ids(whole, "x").tolist() == ["9007199254740991", "-9007199254740991", "0"]
