"""What is given twice is refused in a sentence that names both: the last, or their union, is nobody's choice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.cli import main
from brain.errors import InputError, UsageError
from brain.files.json_files import parsed, read_json
from brain.files.tables import read_records
from brain.readers import parse_fields
from brain.readers._parts.auditory import united


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--regions", "V1=a.npy", "V1=b.npy"], "--regions V1: expected one file, found two, 'a.npy' and 'b.npy'; "),
        (["--columns", "group=a.txt", "group=b.txt"], "--columns group: expected one file, found two, 'a.txt' and "),
        (["--regions", "V1=a.npy", "--regions", "V2=b.npy"], "expected --regions once, found it 2 times; write"),
        (["--columns=group=a.txt", "--columns", "session=b.txt"], "expected --columns once, found it 2 times; "),
    ],
)
def test_pack_takes_no_name_and_no_flag_twice(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["pack", "own.h5", "--responses", "responses.npy", *words]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and list(tmp_path.iterdir()) == []


def test_fields_are_named_once() -> None:
    with pytest.raises(UsageError, match="--fields session: expected one name, found two, 'a' and 'b'; keep the one"):
        parse_fields("session=a,stimulus=c, session=b")


@pytest.mark.parametrize("head", ["id\tlabel\tlabel", "id\tid\tlabel"])
def test_a_table_has_each_column_once(head: str, tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text(f"{head}\na\tb\tc\n")
    with pytest.raises(InputError, match=r"the column '(label|id)' once, found two \(the columns id, .*\); rename one"):
        read_records(tmp_path / "t.tsv", needed=["label"])
    (tmp_path / "t.tsv").write_text("id\tlabel\t\t\na\tb\t\t\n")  # what a spreadsheet leaves behind the last column
    assert read_records(tmp_path / "t.tsv", needed=["id"])[0]["label"] == "b"


def test_json_says_each_name_once(tmp_path: Path) -> None:
    (tmp_path / "bold.json").write_text('{"RepetitionTime": 2.0, "deep": {}, "RepetitionTime": 1.0}')
    with pytest.raises(InputError, match=r"bold.json: expected .*'RepetitionTime' stands in it more than once"):
        read_json(tmp_path / "bold.json")
    with pytest.raises(InputError, match="'b' stands in it more than once"):
        parsed('[{"a": {"b": 1, "b": 1}}]', "line 3")
    assert parsed('[{"a": {"b": 1}}, {"a": 2}]', "line 3") == [{"a": {"b": 1}}, {"a": 2}]


LEFT, RIGHT = np.array([True, False, False]), np.array([False, True, False])


@pytest.mark.parametrize(
    "names",
    [
        ("hcp180_r_lh.L_A1_ROI", "hcp180_r_rh.R_A1_ROI"),
        ("lh.A1", "rh.A1"),
        ("A1_lh", "A1_rh"),
        ("L_A1_ROI", "R_A1_ROI"),
    ],
)
def test_left_and_right_of_one_region_are_united(names: tuple[str, str]) -> None:
    found = united(dict(zip(names, (LEFT, RIGHT), strict=True)), "data")
    assert {name: mask.tolist() for name, mask in found.items()} == {"A1": [True, True, False]}


@pytest.mark.parametrize(
    "names",
    [
        ("hcp180.V1", "wang.V1"),
        ("hcp180_lh.L_V1_ROI", "wang_rh.R_V1_ROI"),
        ("ROI_V1", "V1"),
        ("lh.V1", "V1_lh"),
        ("lh.V1", "V1"),
    ],
)
def test_two_regions_of_one_name_are_not_united(names: tuple[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        united(dict(zip(names, (LEFT, RIGHT), strict=True)), "data")
    says = f"data: expected one region called 'V1', or its left and right halves, found 2, {names[0]!r}, {names[1]!r}; "
    assert says in str(caught.value)
