"""The small fixed part of the fuzzer: a few damaged inputs of each kind end in numbers or in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import run
from tests.fuzz.seeds import KINDS

SLOW = ("run", "stored", "stack")
"""Kinds whose seed takes a study or a stack: `make fuzz` has them."""


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SLOW])
def test_damaged_inputs_are_read_or_refused_in_a_sentence(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "KEPT", tmp_path / "kept")
    found = run.fuzz(kind, count=10, seed=0, work=tmp_path / "work")
    assert [one for one in found if one[0] in run.FAULTS] == []
    assert all("\n" not in said for outcome, _, said in found if outcome == "refused")
