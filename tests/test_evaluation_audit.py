"""An audit finds every kind of tampering and nothing else; profiles, blocks and repeats reach the report."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import evaluation.__main__ as judging
from app.cli import main
from brain.errors import InputError, UsageError
from brain.writing.locks import claim, lock
from evaluation.metrics import CATALOGUE
from evaluation.profiles import CATALOGUE as PROFILES
from evaluation.profiles import find_profile
from evaluation.report.audit import audit
from evaluation.report.evaluate import Judging, evaluate
from evaluation.report.types import Report
from evaluation.samples.writer import SampleWriter
from tests.rounding import rounding

STIMULI = 16
HOW = Judging(judge="pixels", bootstrap=200, permutations=199)


def picture(*seeds: int) -> Image.Image:
    """The mean of coarse random pictures, 24 pixels wide."""
    coarse = [np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8) for seed in seeds]
    whole = np.mean(coarse, axis=0).astype(np.uint8)
    return Image.fromarray(whole).resize((24, 24), Image.Resampling.BICUBIC)


def write(folder: Path, *, candidates: int = 1, sessions: int = 4) -> Path:
    with SampleWriter(folder / "samples") as writer:
        for i in range(STIMULI):
            name, labels = f"s{i:02d}", {"category": ("faces", "places")[i % 2]}
            writer.reference(picture(i), stimulus=name, labels=labels, block=f"session {i % sessions}")
            drawn = {
                "decoded": picture(i, i, 100 + i), "shuffled": picture((i + 3) % STIMULI, 200 + i),
                "oracle": picture(i), "repeat": picture(i, 300 + i), "other_repeats": picture(i, 400 + i),
            }  # fmt: skip
            for row, image in drawn.items():
                writer.write(
                    image, row=row, stimulus=name, index=0, seed=0, method="tiny", candidates=candidates
                )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return evaluate(write(tmp_path_factory.mktemp("run")), how=HOW)


def copy(report: Report, tmp_path: Path) -> Path:
    return Path(shutil.copytree(report.home, tmp_path / "copy"))


def facts_of(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "report/report.json").read_text()))


def test_an_untouched_report_passes(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(report.home)]) == 0
    assert re.search(
        r"report\.json: \d+ scores, 0 points of curves .* are what the files give", capsys.readouterr().out
    )


@pytest.mark.parametrize("key", ["value", "low", "high", "p", "q", "null", "ceiling", "chance", "n"])
def test_one_altered_number_is_named(report: Report, tmp_path: Path, key: str) -> None:
    run = copy(report, tmp_path)
    facts = facts_of(run)
    row = next(row for row in facts["rows"] if row["row"] == "decoded" and row["metric"] == "two_way")
    row[key] = row[key] + (1 if key == "n" else 0.001)
    (run / "report/report.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match=rf"rows decoded two_way {key} says"):
        audit(run)


def test_an_altered_stimulus_value_a_lost_row_and_another_profile_are_found(report: Report, tmp_path: Path) -> None:
    run = copy(report, tmp_path)
    table = run / "report/per_stimulus.csv"
    first = table.read_text().splitlines()[1]
    table.write_text(table.read_text().replace(first, first.rsplit(",", 1)[0] + ",0.123"))
    with pytest.raises(InputError, match=r"per_stimulus\.csv line 2"):
        audit(run)
    facts = facts_of(run)
    del facts["rows"][3]
    (run / "report/report.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match="rows has"):
        audit(run)


def test_a_table_that_is_no_utf_8_is_one_sentence(report: Report, tmp_path: Path) -> None:
    run = Path(shutil.copytree(report.home, tmp_path / "run"))
    table = run / "report/per_stimulus.csv"
    table.write_bytes(b"row,metric\xfa\n" + table.read_bytes())
    with pytest.raises(InputError, match=r"per_stimulus\.csv: expected a report's table in UTF-8, found other bytes"):
        audit(run)


def test_a_swapped_picture_is_found_by_its_digest_and_a_swapped_index_by_its_numbers(
    report: Report, tmp_path: Path
) -> None:
    run = copy(report, tmp_path)
    index = run / "samples/index.jsonl"
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    decoded = [line for line in lines if line["row"] == "decoded"]
    decoded[0]["file"], decoded[1]["file"] = decoded[1]["file"], decoded[0]["file"]
    decoded[0]["sha256"], decoded[1]["sha256"] = decoded[1]["sha256"], decoded[0]["sha256"]
    index.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(InputError, match="numbers are not what the files give"):
        audit(run)
    picture(999).save(run / "samples/decoded/s03-0.png")
    with pytest.raises(InputError, match="sha256"):
        audit(run)


def test_no_report_is_one_sentence(tmp_path: Path) -> None:
    write(tmp_path / "run")
    with pytest.raises(InputError, match="expected a report to audit, found none"):
        audit(tmp_path / "run")


def test_permutations_stay_inside_the_sessions(tmp_path: Path, report: Report) -> None:
    assert "among the test stimuli of a session (4 sessions)" in report.card["evaluation"]["null"]
    alone = evaluate(write(tmp_path / "alone", sessions=STIMULI), how=HOW)
    found = alone.score("decoded", "two_way")
    assert found is not None and found.p is None and found.q is None


def test_best_of_n_is_printed(tmp_path: Path, report: Report) -> None:
    assert "none is picked" in report.page.read_text()
    picked = evaluate(write(tmp_path / "picked", candidates=16), how=HOW)
    assert "samples were PICKED" in picked.page.read_text() and "best of 16" in picked.page.read_text().lower()


def test_repeats_are_compared_with_the_other_repeats(report: Report) -> None:
    repeat, decoded = report.score("repeat", "pixcorr"), report.score("decoded", "pixcorr")
    assert repeat is not None and decoded is not None
    by_hand = [np.corrcoef(np.ravel(picture(i, 300 + i)), np.ravel(picture(i, 400 + i)))[0, 1] for i in range(STIMULI)]
    # each correlation is computed in float64 and kept as float32
    assert repeat.value == pytest.approx(np.mean(by_hand), abs=rounding(sums=1, scale=1.0))
    assert "other_repeats" not in report.rows()


def test_every_profile_names_metrics_that_exist_and_says_what_is_wrong() -> None:
    for profile in PROFILES:
        assert set(profile.metrics) <= set(CATALOGUE.names()), profile.name
        assert len(profile.metrics) == len(set(profile.metrics)) and profile.description and profile.wrong
    with pytest.raises(UsageError, match="paper-mindeye2"):
        find_profile("paper-mindeye")


@pytest.mark.parametrize("name", PROFILES.names())
def test_a_profile_is_named_in_the_report_and_absent_networks_are_said(
    report: Report, tmp_path: Path, name: str
) -> None:
    out = evaluate(report.home, how=Judging(judge="pixels", profile=name, bootstrap=200, permutations=0), out=tmp_path)
    facts = json.loads((tmp_path / "report.json").read_text())
    assert facts["profile"]["name"] == name and PROFILES[name].wrong in out.page.read_text()
    computed = {score.metric.partition("_of_")[0] for score in out.scores}
    for metric in PROFILES[name].metrics:
        network = CATALOGUE[metric].network
        if network not in ("", "judge"):
            assert metric not in computed and any(metric in sentence for sentence in out.absent), metric


def test_the_brain_diffuser_profile_has_the_column_wise_ssim_and_425_pixels(report: Report, tmp_path: Path) -> None:
    how = Judging(judge="pixels", profile="paper-brain-diffuser", bootstrap=200, permutations=0)
    found = evaluate(report.home, how=how, out=tmp_path).score("decoded", "ssim_columns")
    clean = report.score("decoded", "ssim")
    assert found is not None and clean is not None and found.value != pytest.approx(clean.value, abs=1e-3)


def test_export_writes_rdms_and_a_human_test(report: Report, tmp_path: Path) -> None:
    run = copy(report, tmp_path)
    assert (
        main(["evaluate", str(run), "--judge", "pixels", "--bootstrap", "200", "--permutations", "9", "--export"]) == 0
    )
    assert (run / "report/rdms.hdf5").stat().st_size > 0 and (run / "report/human/index.html").is_file()


@pytest.mark.parametrize("road", [judging.main, lambda words: main(["audit", words[0]])], ids=["module", "command"])
@pytest.mark.parametrize(("hold", "place"), [(lock, "."), (claim, "report")], ids=["run", "report"])
def test_an_audit_of_what_is_being_written_says_who_works_on_it(
    road: Callable, hold: Callable, place: str, report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copy(report, tmp_path)
    with hold(run / place):
        assert road([str(run), "--audit"]) == 4
    said = capsys.readouterr()
    assert not said.out and said.err.endswith(
        f"{run / place}: expected a place at rest, found process {os.getpid()} at work on it; "
        "wait until it has ended, and ask again\n"
    )
    assert road([str(run), "--audit"]) == 0
    assert "are what the files give" in capsys.readouterr().out
