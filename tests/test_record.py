"""The recorded studies: the smallest gives the numbers that stand in the repository, and records can be compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import record

NUMBERS = "tests/golden/studies.json"
NEAR = 0.02
"""Of a share of 16 pictures: no stimulus may change sides, and processors may round."""


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study of plain regression alone, recorded."""
    out = tmp_path_factory.mktemp("record")
    record.record(out, out, only="pixels")
    return out


def test_the_smallest_study_gives_its_numbers(pixels: Path, checkout: Path) -> None:
    known = json.loads((checkout / NUMBERS).read_text(encoding="utf-8"))["pixels"]
    facts = json.loads((pixels / "pixels.json").read_text(encoding="utf-8"))
    found = {(row, metric): value for row, metric, value, *_ in facts["rows"]}
    wanted = {(row, metric): value for row, metrics in known["rows"].items() for metric, value in metrics.items()}
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert found[key] == pytest.approx(value, abs=NEAR), key


def test_records_tell_what_differs(pixels: Path, tmp_path: Path) -> None:
    facts = json.loads((pixels / "pixels.json").read_text(encoding="utf-8"))
    facts["samples"] |= {next(iter(facts["samples"])): "other"}
    record.write(tmp_path, "pixels", facts)
    (apart,) = [line for line in record.differences(pixels, tmp_path) if line.startswith("pixels")]
    assert apart.startswith("pixels: samples: 1 of ")
    assert record.generators_apart({"guidance_scale": 5.0, "lane": 0}, {"guidance": 4.0, "micro_batch": 0}) == [
        "generator: guidance 5.0 | 4.0"
    ]
