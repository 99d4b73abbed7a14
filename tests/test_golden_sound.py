"""The whole way on a listener with a known answer: what the sound recipe promises, as numbers, on the bundled stack.

A listener of half the default size hears 400 presentations in two sessions and is decoded by the default recipe as a
user would do it, in half of its steps and with the rows that carry the claims.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from app.cli import main
from tests.rounding import rounding

ROWS = ("--rows", "decoded", "shuffled", "oracle", "round_trip", "--steps", "8")
HOW = ("--recipe", "c2f-miniature", "--permutations", "200", "--bootstrap", "1000")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("golden")
    data, run = home / "data", home / "run"
    assert main(["simulate", str(data), "--modality", "sound", "--sessions", "2", "--trials", "200"]) == 0
    assert main(["study", str(data), "--out", str(run), *HOW, *ROWS]) == 0
    return run


def report(run: Path) -> Any:
    return json.loads((run / "report/report.json").read_text(encoding="utf-8"))


def rows_of(run: Path, metric: str) -> dict[str, dict[str, Any]]:
    return {row["row"]: row for row in report(run)["rows"] if row["metric"] == metric}


def test_anchored_sounds_are_identified_and_shuffled_ones_are_not(study: Path) -> None:
    rows = rows_of(study, "two_way")
    assert {"decoded", "direct", "c2f", "shuffled", "oracle", "round_trip"} <= set(rows)
    assert rows["decoded"]["chance"] == 0.5 and rows["decoded"]["value"] >= 0.85
    assert rows["shuffled"]["low"] <= 0.5 <= rows["shuffled"]["high"]
    assert rows["oracle"]["value"] > rows["decoded"]["value"]


def test_the_category_of_what_was_heard_is_heard_again(study: Path) -> None:
    rows = rows_of(study, "category")
    assert rows["decoded"]["value"] >= 0.75
    assert rows["shuffled"]["value"] < 0.5


def test_the_generator_s_loss_is_a_number(study: Path) -> None:
    found = next(one for one in report(study)["conditions"] if one["space"] == "clap")
    assert found["two_way"] >= 0.85
    bound = rounding(sums=3 * found["n"], scale=1.0, dtype=np.float64)  # three means over stimuli
    assert found["loss"] == pytest.approx(found["two_way"] - found["after"], abs=bound)


def test_a_sound_survives_the_stack_s_round_trip(study: Path) -> None:
    assert rows_of(study, "mel_pcc")["round_trip"]["value"] >= 0.9


def test_the_page_plays_what_was_decoded(study: Path) -> None:
    page = (study / "report/report.html").read_text(encoding="utf-8")
    assert page.count("<audio") >= 8
    facts = soundfile.info(next((study / "samples/decoded").glob("*.wav")))
    assert (facts.channels, facts.samplerate, facts.subtype, facts.frames) == (1, 16000, "PCM_16", 40960)
