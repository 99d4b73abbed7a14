"""Runs beside one another: differences by hand and by scipy, what is not compared and why, the page, refusals."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import ttest_rel

from app.cli import main
from brain.writing.locks import claim
from decode.run.folder import RunFolder
from decode.stages.draw.beside import _digest
from evaluation.metrics import CATALOGUE
from evaluation.metrics._parts.comparison import Comparison as Compared
from evaluation.report import comparison as module
from evaluation.report.comparison import Comparison, compared, holm, is_pooled, probability
from evaluation.report.evaluate import Judging, evaluate
from evaluation.report.files import read_ladder
from evaluation.report.judged import read_judged
from evaluation.samples.writer import SampleWriter
from evaluation.statistics.paired import Difference
from tests.rounding import largest, rounding
from tests.test_evaluation_report import MARKUP, Page, blurred, picture
from tests.test_evaluation_sounds import noisy, sound

STIMULI = range(12)
POOLED = ("two_way", "top1_of_12", "two_way_within_category")


def drawn(
    folder: Path, *, share: float, stimuli: Sequence[int] = STIMULI, other: int = 0, shown: int = 0,
    settings: dict[str, Any] | None = None,
) -> Path:  # fmt: skip
    """An evaluated run of pictures: decodes are mixtures of the stimulus and noise, numbered from `other` on.

    shown  from which number on the pictures of the stimuli are: another one shows others under the same ids
    """
    with SampleWriter(folder / "samples") as writer:
        for i in stimuli:
            name, labels = f"s{i:02d}", {"category": ("faces", "places", "food")[i % 3]}
            writer.reference(Image.fromarray(picture(shown + i)), stimulus=name, captions=(MARKUP,), labels=labels)
            image = blurred(shown + i, 100 + other + i, share)
            writer.write(image, row="decoded", stimulus=name, index=0, seed=0, method="tiny")
    card = {
        "subject": "subj01", "splits": [{"name": "shared", "sha256": f"{stimuli[0]:064x}"[::-1]}],
        "settings": {"recipe": "tiny", **(settings or {})},
    }  # fmt: skip
    (folder / "card.json").write_text(json.dumps(card))
    return judged(folder)


def judged(folder: Path) -> Path:
    sounds = any((folder / "samples/references").glob("*.wav"))
    how = Judging(judge="mels" if sounds else "pixels", bootstrap=100, permutations=0)
    evaluate(folder, references=None, how=how)
    return folder


def heard(folder: Path, *, share: float) -> Path:
    """An evaluated run of four sounds."""
    with SampleWriter(folder / "samples") as writer:
        for i in range(4):
            writer.reference(sound(i), stimulus=f"clip{i}")
            wave = noisy(i, i, share)
            writer.write(wave, row="decoded", stimulus=f"clip{i}", index=0, seed=0, method="tiny")
    return judged(folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs a and b of one test set, c that has eight stimuli of it, d of other pictures; sounds e and f."""
    home = tmp_path_factory.mktemp("runs")
    drawn(home / "a", share=0.7, settings={"machine": {"seed": 0}, "maps": {"folds": 5}})
    drawn(home / "b", share=0.5, other=20, settings={"machine": {"seed": 3}, "maps": {"folds": 5}})
    drawn(home / "c", share=0.6, stimuli=range(4, 16), other=40)
    drawn(home / "d", share=0.7, shown=50)
    heard(home / "e", share=0.8)
    heard(home / "f", share=0.5)
    return home


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: Path(shutil.copytree(made / name, tmp_path / f"copy-{name}"))


def values_of(folder: Path, metric: str) -> dict[str, float]:
    with (folder / "report/per_stimulus.csv").open(newline="") as lines:
        table = [t for t in csv.DictReader(lines) if (t["row"], t["metric"]) == ("decoded", metric)]
    return {t["stimulus"]: float(t["value"]) for t in table if t["value"]}


def cells(comparison: Comparison, place: int = 1) -> dict[str, Any]:
    return {line.card.name: line.cells[place] for line in comparison.lines}


def edited(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    path = folder / "report/report.json"
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))
    return folder


def test_differences_are_those_of_a_paired_t_test(made: Path) -> None:
    found = cells(compared([made / "a", made / "b"]))
    assert {*POOLED, "pixcorr", "ssim"} <= found.keys()
    for name, cell in found.items():
        first, second = (values_of(made / run, name) for run in ("a", "b"))
        both = sorted(first.keys() & second.keys())
        x, y = (np.array([values[one] for one in both]) for values in (first, second))
        wanted = ttest_rel(y, x).confidence_interval(0.95)
        bound = 100 * rounding(sums=len(both), scale=largest(x, y), dtype=np.float64)  # t quantile of up to 12.7
        assert cell.difference.n == len(both)
        assert cell.difference.mean == pytest.approx(np.mean(y - x), abs=bound)
        assert (cell.difference.low, cell.difference.high) == pytest.approx((wanted.low, wanted.high), abs=bound)
        assert cell.difference.apart == (wanted.low > 0 or wanted.high < 0)
    assert found["pixcorr"].better is False and not found["pixcorr"].why


def test_the_other_direction_turns_every_sign(made: Path) -> None:
    there, back = (cells(compared([made / one, made / two])) for one, two in ("ab", "ba"))
    for name, cell in there.items():
        assert cell.difference.mean == -back[name].difference.mean
        assert (cell.better is None) is (back[name].better is None)
    assert back["pixcorr"].better is True


def test_of_another_split_only_what_hangs_on_no_pool_is_compared(made: Path) -> None:
    comparison = compared([made / "a", made / "c"])
    found = cells(comparison)
    first, second = (values_of(made / run, "pixcorr") for run in ("a", "c"))
    common = [f"s{i:02d}" for i in range(4, 12)]
    assert found["pixcorr"].difference.n == 8 and set(comparison.common) == set(common)
    mean = np.mean([second[one] - first[one] for one in common])
    assert found["pixcorr"].difference.mean == pytest.approx(mean, abs=rounding(sums=8, scale=1, dtype=np.float64))
    for name in POOLED:
        assert found[name].difference is None
        assert "by another split: 12 stimuli, of which 8 are among the 12 of a" in found[name].why


def test_pictures_that_share_ids_alone_are_not_compared(made: Path) -> None:
    comparison = compared([made / "a", made / "d", made / "b"])
    assert all(cell.difference is None for cell in cells(comparison).values())
    assert "12 ids are alike, and what was shown under them is not" in cells(comparison)["pixcorr"].why
    assert [run.name for run in comparison.beside] == ["a", "b"] and len(comparison.common) == 12


def test_the_same_pixels_in_another_file_are_the_same_stimulus(
    made: Path, copied: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied("b")
    index = folder / "samples/index.jsonl"
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    for line in lines:
        if line["row"] == "reference":
            path = folder / "samples" / line["file"]
            Image.open(path).save(path, compress_level=0)
            line["sha256"] = ""
    index.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert cells(compared([made / "a", folder]))["two_way"].difference.n == 12


@pytest.mark.parametrize(
    "change, why",
    [
        (lambda facts: facts["card"]["evaluation"].update(profile="other"), "under profile other, a under clean"),
        (lambda facts: facts["design"].update(folds=6), "in 6 folds, a has one test set"),
        (lambda facts: facts["card"]["evaluation"]["judge"].update(sha256="ab" * 32), "by pixels abababab, a by"),
    ],
    ids=["profile", "folds", "judge"],
)  # fmt: skip
def test_what_is_judged_otherwise_is_not_compared(
    change: Callable[[dict[str, Any]], object], why: str, made: Path, copied: Callable[[str], Path], tmp_path: Path
) -> None:
    found = cells(compared([made / "a", edited(copied("b"), change)]))
    assert found["two_way"].difference is None and why in found["two_way"].why
    assert (found["pixcorr"].difference is None) is ("judge" not in why and "by pixels" not in why)


def test_metrics_with_a_pool_are_known(made: Path) -> None:
    scores = {one.metric: one for one in read_ladder(made / "a/report", modality="image").scores}
    assert {name for name, one in scores.items() if not is_pooled(one)} == {"pixcorr", "ssim"}


@pytest.mark.parametrize("change", [{}, {"pooled": False}], ids=["silent", "says it hangs on none"])
def test_a_metric_that_nobody_knows_counts_as_pooled(
    change: dict[str, Any], made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = replace(read_judged(made / "a").ladder.scores[0], metric="rarity")
    assert is_pooled(score)
    monkeypatch.setattr(module, "METRICS", (*CATALOGUE, Compared(name="rarity", **change)))
    assert is_pooled(score) is not bool(change)


def test_metrics_that_hang_on_no_pool_are_these() -> None:
    alone = {one.name for one in CATALOGUE if not one.pooled}
    assert {"pixcorr", "ssim", "lpips", "category", "label_kind", "mel_pcc", "mel_ssim", "f0_error"} <= alone
    assert not any(name.startswith(("two_way", "top1")) for name in alone)


def test_settings_that_differ_are_listed_and_no_others(made: Path) -> None:
    found = compared([made / "a", made / "b"]).differences
    assert found == {"settings / machine / seed": ("0", "3")}
    other = compared([made / "a", made / "c"]).differences
    assert other["split"] == ("shared 00000000", "shared 40000000") and other["settings / maps / folds"] == ("5", "")


DRAWN = {"methods/tiny: strength": 0.8, "sampling: method": "tiny", "sampling: dtype": "float32"}


def drawn_beside(run: Path, to: Path, *, drawn: dict[str, Any], seed: int, **silenced: Any) -> Path:
    """The run's samples and card in another folder, as if drawn beside it."""
    shutil.copytree(run / "samples", to / "samples")
    card = json.loads((run / "card.json").read_text())
    card["beside"] = {"run": read_judged(run).origin, "seed": seed, "drawn": drawn, **silenced}
    (to / "card.json").write_text(json.dumps(card))
    return judged(to)


@pytest.fixture(scope="module")
def pair(made: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A run that says how it was drawn and from which responses, and two folders beside it, the second silenced."""
    home = tmp_path_factory.mktemp("pair")
    run = Path(shutil.copytree(made / "a", home / "run"))
    card = json.loads((run / "card.json").read_text())
    card["decode"] = {"sampling": {"method": "tiny", "dtype": "float32"}, "settings": {"strength": 0.8}}
    (run / "card.json").write_text(json.dumps(card))
    (run / "content.json").write_text(json.dumps({"responses": "cd" * 32}))
    blind = {"silenced": ["V1", "V2"], "silenced_voxels": 9}
    stronger = {**DRAWN, "methods/tiny: strength": 0.9, "maps: folds": 7}
    return (
        judged(run), drawn_beside(run, home / "whole", drawn=DRAWN, seed=0),
        drawn_beside(run, home / "blind", drawn=stronger, seed=4, **blind),
    )  # fmt: skip


def test_folders_beside_a_run_differ_in_what_they_were_drawn_with(pair: tuple[Path, Path, Path]) -> None:
    run, whole, blind = pair
    assert compared([run, whole]).differences == {}
    listed = {
        "settings / machine / seed": ("0", "4"), "settings / maps / folds": ("5", "7"),
        "decode / settings / strength": ("0.8", "0.9"), "silenced": ("", "V1; V2"), "silenced voxels": ("", "9"),
    }  # fmt: skip
    assert compared([run, blind]).differences == compared([whole, blind]).differences == listed


def test_responses_differ_only_where_a_folder_is_beside_another_run(
    pair: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    run, whole, _ = pair
    for name, origin, listed in (
        ("other", "ef" * 32, ("cdcdcdcd", "those of run efefefef")), ("nobody", 3, None),
    ):  # fmt: skip
        folder = Path(shutil.copytree(whole, tmp_path / name))
        edited(folder, lambda facts, origin=origin: facts["card"]["run"]["beside"].update(run=origin))
        assert compared([run, folder]).differences.get("responses (sha256)") == listed


def test_the_digest_of_a_run_is_the_one_that_folders_beside_it_name(pair: tuple[Path, Path, Path]) -> None:
    assert read_judged(pair[0]).origin == _digest(RunFolder(pair[0])) == read_judged(pair[2]).origin


def test_the_page_says_what_was_silenced(pair: tuple[Path, Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert main(["compare", *map(str, pair), "--out", str(out)]) == 0
    text = page_of(out).text
    assert "blind: Silenced: the 9 voxels of V1 and V2 stand at their training mean" in text
    assert text.count("V1, V2 silenced") == 1 and "whole: Silenced" not in text


def difference(*, n: int = 12, mean: float, half: float) -> Difference:
    return Difference(mean=mean, half=half, n=n)


def test_p_and_its_correction_are_those_of_scipy_and_of_holm_by_hand() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=12), rng.normal(0.5, size=12)
    test = ttest_rel(y, x)
    low, high = test.confidence_interval(0.95)
    found = probability(difference(mean=(low + high) / 2, half=(high - low) / 2))
    assert found == pytest.approx(test.pvalue, rel=100 * rounding(sums=12, scale=1, dtype=np.float64))
    assert probability(difference(n=4, mean=1, half=0)) == probability(difference(mean=0, half=0)) == 1
    assert probability(difference(mean=1, half=0)) == 0
    assert holm([0.5, 0.0625, 0.125, 0.125]) == [0.5, 0.25, 0.375, 0.375] and holm([]) == []
    assert holm([0.5, 0.75]) == [1, 1]


def lead_of(folders: Sequence[Path], out: Path) -> str:
    assert main(["compare", *map(str, folders), "--out", str(out)]) == 0
    return page_of(out).text


def test_the_lead_is_corrected_and_says_n(made: Path, tmp_path: Path) -> None:
    text = lead_of([made / "a", made / "b"], tmp_path / "page.html")
    assert "b is worse in PixCorr" in text and "than a (n 12; Holm over 4 headline metrics)" in text
    assert "at most about one in twenty would; fewer of two-way and top-1" in text
    comparison = compared([made / "a", made / "b"])
    names = [line.card.name for line in comparison.headlines]
    p = dict(zip(names, holm([probability(cells(comparison)[name].difference) for name in names]), strict=True))
    assert comparison.verdicts(1) == {name: cells(comparison)[name].better for name in names if p[name] < 0.05}


def test_one_interval_of_many_that_lies_apart_is_no_verdict(made: Path) -> None:
    comparison = compared([made / "a", made / "b"])
    first = comparison.headlines[0]
    assert first.cells[0].score is not None
    near = replace(first.cells[1], difference=difference(mean=-1.05, half=1))
    lines = [replace(first, card=replace(first.card, name=f"m{i}"), cells=(first.cells[0], near)) for i in range(2)]
    alone, both = (replace(comparison, lines=tuple(lines[:count])) for count in (1, 2))
    assert near.better is False and alone.verdicts(1) == {"m0": False} and both.verdicts(1) == {}


def test_in_folds_nothing_is_called_better_or_worse(
    made: Path, copied: Callable[[str], Path], tmp_path: Path
) -> None:
    folders = [edited(copied(name), lambda facts: facts["design"].update(folds=6)) for name in "ab"]
    text = lead_of(folders, tmp_path / "page.html")
    assert "are compared in 4 headline metrics (n 12), and which is better is left open" in text
    assert "in folds these intervals are too narrow, and nothing is marked" in text
    assert "one in twenty" not in text and compared(folders).verdicts(1) == {}
    classes = [str(facts.get("class")) for _, facts in page_of(tmp_path / "page.html").tags]
    assert not any("verdict" in one for one in classes)


def test_the_strip_is_spread_over_the_first_runs_score(made: Path) -> None:
    comparison = compared([made / "a", made / "b"])
    assert comparison.score is not None and comparison.score.metric in ("pixcorr", "ssim")
    values = values_of(made / "a", comparison.score.metric)
    assert list(comparison.common) == sorted(values, key=lambda name: (-values[name], name))


def page_of(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text())
    return page


def test_the_page_holds_it_all_without_a_script(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "both.html"
    assert main(["compare", *(str(made / name) for name in "abc"), "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    page = page_of(out)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed", "link", "form", "base"}
    links = [value for _, facts in page.tags for key, value in facts.items() if key in ("src", "href")]
    assert len(links) == 6 * 4 and all(str(value).startswith("data:image/") for value in links)
    assert "2 runs beside a" in page.text 
    found = cells(compared([made / name for name in "abc"]))
    assert f"{found['pixcorr'].difference.mean:.3f}".replace("-", "−") in page.text
    assert "not corrected for their number" in page.text and "settings / machine / seed" in page.text
    assert out.stat().st_size < 2**20


def test_names_and_captions_stay_text(made: Path, tmp_path: Path) -> None:
    names = ["<img src=x onerror=alert(1)>" + "x" * 80, "\u202e<title><script>alert('x')<!--"]
    folders = [Path(shutil.copytree(made / run, tmp_path / name)) for run, name in zip("ab", names, strict=True)]
    edited(folders[1], lambda facts: facts["card"]["run"].update(subject=MARKUP, settings={MARKUP: MARKUP}))
    out = tmp_path / "page.html"
    assert main(["compare", *map(str, folders), "--out", str(out)]) == 0
    page = page_of(out)
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any(key.startswith("on") for _, facts in page.tags for key in facts)
    assert all(name in page.text for name in (names[0], names[1][1:], MARKUP)) and "\u202e" not in page.text


def test_runs_of_one_name_are_told_apart(made: Path, tmp_path: Path) -> None:
    folders = [Path(shutil.copytree(made / run, tmp_path / run / "run")) for run in "ab"]
    assert [run.name for run in compared(folders).runs] == ["a/run", "b/run"]


def test_sounds_have_players(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "sounds.html"
    assert main(["compare", str(made / "e"), str(made / "f"), "--out", str(out)]) == 0
    players = [facts for tag, facts in page_of(out).tags if tag == "audio"]
    assert len(players) == 4 * 3 and all("controls" in one for one in players)
    assert all(str(one["src"]).startswith("data:audio/") for one in players)
    assert "log-mel" in page_of(out).text


def test_runs_without_a_common_stimulus_have_no_strip(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert main(["compare", str(made / "a"), str(made / "d"), "--out", str(out)]) == 0
    page = page_of(out)
    assert "img" not in {tag for tag, _ in page.tags} and "No picture was seen in all of these runs" in page.text
    assert "d is not compared with a" in page.text


def refused(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(["compare", *words])
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1
    return code, said


def test_words_that_name_no_two_runs_are_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = str(made / "a"), str(made / "b")
    out = ["--out", str(tmp_path / "page.html")]
    for words, code, part in (
        ([], 2, "two runs or more, found none"),
        ([a], 2, "two runs or more, found 1"),
        ([a, b, f"{a}/samples", *out], 2, "each run once"),
        ([a, str(tmp_path / "gone"), *out], 3, "no folder"),
        ([a, str(made / "e"), *out], 3, "compare pictures and sounds apart"),
        ([a, b, "--out", str(tmp_path / "gone/page.html")], 2, "a folder for the page, found none"),
        ([a, b, "--out", str(tmp_path)], 2, "found a folder"),
        ([a, b, "--out", str(made / "a/card.json")], 2, "found another file"),
        ([a, b, "--out", str(made / "a/report/report.html")], 2, "found another file"),
    ):
        assert (refused(words, capsys)[0], part in refused(words, capsys)[1]) == (code, True), words
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change, part",
    [
        (lambda home: shutil.rmtree(home / "report"), "run `afterimage evaluate"),
        (lambda home: (home / "report/per_stimulus.csv").unlink(), "no per_stimulus.csv"),
        (lambda home: edited(home, lambda facts: facts.pop("design")), "a report of this version"),
        (lambda home: edited(home, lambda facts: facts["card"].update(evaluation=3)), "a report of this version"),
        (lambda home: edited(home, lambda facts: facts.update(rows=[{}])), "and the per_stimulus.csv of it"),
        (lambda home: (home / "report/report.json").write_text("{"), "JSON"),
        (lambda home: edited(home, lambda facts: facts["card"]["evaluation"].update(samples=11)), "which is stale"),
    ],
    ids=["none", "table", "older", "damaged", "rows", "json", "stale"],
)  # fmt: skip
def test_reports_that_are_not_there_or_not_these_are_refused(
    change: Callable[[Path], object], part: str, made: Path, copied: Callable[[str], Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = copied("b")
    change(folder)
    code, said = refused([str(made / "a"), str(folder), "--out", str(tmp_path / "page.html")], capsys)
    assert code == 3 and part in said and not (tmp_path / "page.html").exists()


def test_a_report_that_is_being_written_is_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with claim(made / "b/report"):
        code, said = refused([str(made / "a"), str(made / "b"), "--out", str(tmp_path / "page.html")], capsys)
    assert code == 4 and "at work on it" in said


def test_no_page_is_written_into_a_run(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = made / "b/report/page.html"
    code, said = refused([str(made / "a"), str(made / "b"), "--out", str(page)], capsys)
    assert code == 2 and "a page beside the runs" in said and not page.exists()


def test_the_command_writes_over_its_earlier_page(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, a, b = Path(__file__).parents[1], str(made / "a"), str(made / "b")
    words = [sys.executable, "-m", "app.cli", "compare", a, b]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "compare.html" and "b beside a" in (tmp_path / "compare.html").read_text()
    monkeypatch.chdir(tmp_path)
    assert main(["compare", b, a]) == 0 and "a beside b" in (tmp_path / "compare.html").read_text()
