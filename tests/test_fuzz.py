"""The small fixed part of the fuzzer: a few damaged inputs of each kind end in numbers or in a sentence."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from brain.errors import InputError
from tests.fuzz import run
from tests.fuzz.seeds import KINDS

SLOW = ("run", "resumed", "stored", "stack")
"""Kinds whose seed takes a study or a stack: `make fuzz` has them. Of NSD, which is large, four tries are made."""


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SLOW])
def test_damaged_inputs_are_read_or_refused_in_a_sentence(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "KEPT", tmp_path / "kept")
    count = 4 if kind.startswith("nsd") else 10
    found = run.fuzz(kind, count=count, seed=0, work=tmp_path / "work")
    assert [one for one in found if one[0] in run.FAULTS] == []
    assert all("\n" not in said for outcome, _, said in found if outcome == "refused")
    counts = Counter(outcome for outcome, _, _ in found)
    assert counts["refused"], counts  # else nothing was damaged, and the reader was not tried


def raises(root: Path) -> str:
    raise KeyError(f"a fault of ours about {root.name}")


def hangs(root: Path) -> str:
    time.sleep(60)
    return ""


def is_killed(root: Path) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def refuses(root: Path) -> str:
    raise InputError(f"{root.name}: expected data, found none; give some")


def reads(root: Path) -> str:
    return root.name


@pytest.mark.parametrize(
    ("read", "outcome", "says"),
    [
        (raises, "traceback", "KeyError: 'a fault of ours about data'"),
        (hangs, "hang", "more than 0.3 s"),
        (is_killed, "killed", f"signal {int(signal.SIGKILL)}"),
        (refuses, "refused", "data: expected data, found none; give some"),
        (reads, "same", "data"),
    ],
)
def test_whatever_a_reader_does_is_told(
    read: run.Read, outcome: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if read is hangs:
        monkeypatch.setattr(run, "SECONDS", 0.3)
    found, said = run.attempt(read, tmp_path / "data", tmp_path / "log")
    assert found == outcome and says in said and (outcome in run.FAULTS) == (read not in (refuses, reads))


def test_a_reader_that_fails_on_damage_is_told_and_its_input_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole road: what reads a damaged file with a traceback is a fault, and the file lies where it can be seen."""

    def write(root: Path) -> None:
        (root / "x.txt").write_text("one line\n" * 50)

    def read(root: Path) -> str:
        if (root / "x.txt").read_bytes() != b"one line\n" * 50:
            raise ValueError("not looked for")
        return "whole"

    monkeypatch.setattr(run, "KEPT", tmp_path / "kept")
    monkeypatch.setitem(KINDS, "fragile", (write, read))
    found = run.fuzz("fragile", count=4, seed=0, work=tmp_path / "work")
    faults = [number for number, one in enumerate(found) if one[0] == "traceback"]
    assert len(faults) >= 3 and all("ValueError: not looked for" in found[number][2] for number in faults)
    kept = {path.name for path in (tmp_path / "kept").iterdir()}
    assert kept == {f"fragile-0-{number}" for number in faults}
