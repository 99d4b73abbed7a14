"""Words and doubt: what posteriors say is read with every doubt, calibrated as by hand, and reaches all of a report."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from brain.errors import InputError, UsageError
from decode.api import Run, posterior
from evaluation.report.audit import audit
from evaluation.report.evaluate import Judging, evaluate
from evaluation.report.files import read_ladder
from evaluation.report.opponents import opponent_lines
from evaluation.report.pages.doubt import diagram, share_of
from evaluation.report.types import Report
from evaluation.samples.rows import RowCard, card_of
from evaluation.samples.writer import SampleWriter
from evaluation.score import Score
from evaluation.statistics.calibration import calibrate
from evaluation.statistics.metric_cards import MetricCard, plain_card
from evaluation.statistics.posteriors import path_of, read_posterior, read_posteriors
from tests.rounding import rounding
from tests.test_evaluation_report import Page, blurred, picture

STIMULI = 20
ULPS = rounding(sums=20, scale=1.0, dtype=np.float64)
HOW = Judging(judge="pixels", bootstrap=200, permutations=9)
SCRIPT = "a cat <script>alert('x')</script> & \"more\""


def words(kind: str, share: float, *, caption: str = "a cat", none: bool = False) -> dict[str, Any]:
    other = {"cat": "dog", "dog": "cat"}[kind]
    return {
        "captions": [[caption, 0.5, "bank-1"], ["a dog", 0.2, "bank-2"], [caption, 0.11, "bank-3"], ["", 0.1, "b 4"]],
        "entropy": 2.0, "prior_entropy": 8.0, "none": none,
        "labels": {"kind": {kind: share, other: round(1 - share, 4)}, "size": {"": 0.9, "large": 0.1}},
    }  # fmt: skip

def told() -> dict[str, Any]:
    """20 stimuli: confidence .75 of a cat, right in three of four; one, of a dog, that the bank does not explain."""
    stimuli = {f"s{i:02d}": words("cat", 0.75) for i in range(STIMULI)}
    stimuli["s00"] = words("cat", 0.75, caption=SCRIPT)
    stimuli["s99"] = words("dog", 0.6)
    return {"format": 1, "kind": "posterior", "candidates": 1000, "stimuli": stimuli, "made of": "0" * 64}


def put(home: Path, facts: dict[str, Any] | str, name: str = "guess.json") -> Path:
    path = home / "posteriors" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(facts if isinstance(facts, str) else json.dumps(facts), encoding="utf-8")
    return path


def samples(home: Path) -> Path:
    """References of which three in four are cats, and one in two large, drawn by a method called guess."""
    with SampleWriter(home / "samples") as writer:
        for i in range(STIMULI):
            name = f"s{i:02d}"
            labels = {"kind": "cat" if i % 4 else "dog", **({"size": "large"} if i % 2 else {})}
            writer.reference(Image.fromarray(picture(i)), stimulus=name, labels=labels)
            image = blurred(i, 100 + i, 0.6)
            writer.write(image, row="decoded", stimulus=name, index=0, seed=0, method="guess")
    return home


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    home = samples(tmp_path_factory.mktemp("told"))
    put(home, told())
    return evaluate(home, how=HOW)


def test_a_calibration_error_by_hand() -> None:
    """Five bins of four: mean confidences .2 .4 .6 .8 1, shares right 1/4 1/2 1/2 1 1."""
    sure = np.repeat([0.2, 0.4, 0.6, 0.8, 1.0], 4)
    right = np.array([1, 0, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1], bool)
    found = calibrate("kind", sure[::-1], right[::-1], seed=0)
    assert [one.n for one in found.bins] == [4] * 5
    np.testing.assert_allclose([one.confidence for one in found.bins], [0.2, 0.4, 0.6, 0.8, 1])
    assert [one.right for one in found.bins] == [0.25, 0.5, 0.5, 1, 1]
    assert found.error == pytest.approx((0.05 + 0.1 + 0.1 + 0.2 + 0) / 5)
    assert (found.n, found.accuracy) == (20, 0.65) and found.confidence == pytest.approx(0.6)
    # four outcomes of p each: E|K/4 - p| over the binomial, exactly
    exact = [sum(_binomial(k, p) * abs(k / 4 - p) for k in range(5)) for p in (0.2, 0.4, 0.6, 0.8, 1.0)]
    assert found.by_chance is not None
    spread = np.sqrt(sum(p * (1 - p) / 4 for p in (0.2, 0.4, 0.6, 0.8))) / 5
    assert abs(found.by_chance - np.mean(exact)) < 5 * spread / np.sqrt(500)
    assert all(one.low <= one.confidence + ULPS and one.confidence - ULPS <= one.high for one in found.bins)
    assert calibrate("kind", sure, right, seed=0) == calibrate("kind", sure, right, seed=0)


def _binomial(k: int, p: float) -> float:
    return float([1, 4, 6, 4, 1][k] * p**k * (1 - p) ** (4 - k))


def test_bins_of_unequal_counts_are_weighted_and_few_stimuli_have_none() -> None:
    sure = np.linspace(0.3, 0.9, 23)
    right = np.arange(23) % 3 > 0
    found = calibrate("kind", sure, right, seed=1)
    sizes = [one.n for one in found.bins]
    assert sizes == [4, 5, 4, 5, 5]
    assert found.error == pytest.approx(
        sum(n * abs(one.confidence - one.right) for n, one in zip(sizes, found.bins, strict=True)) / 23
    )
    assert sum(n * one.right for n, one in zip(sizes, found.bins, strict=True)) == pytest.approx(right.sum())
    assert len(calibrate("kind", np.linspace(0, 1, 50), np.ones(50, bool), seed=0).bins) == 10
    few = calibrate("kind", sure[:19], right[:19], seed=0)
    assert few.bins == () and few.error is None and few.by_chance is None and few.accuracy == right[:19].mean()


def test_true_confidences_err_as_by_chance_and_false_ones_more() -> None:
    rng = np.random.default_rng(0)
    sure = rng.random(20_000)
    right = rng.random(20_000) < sure
    true, bold = calibrate("kind", sure, right, seed=0), calibrate("kind", np.sqrt(sure), right, seed=0)
    assert true.error is not None and true.by_chance is not None and bold.error is not None
    assert true.error < 2 * true.by_chance < 0.02 < bold.error
    assert sum(one.low <= one.right <= one.high for one in true.bins) >= 8
    assert bold.error == pytest.approx(np.sqrt(sure).mean() - sure.mean(), abs=0.02)
    perfect = calibrate("kind", np.ones(50), np.ones(50, bool), seed=0)
    assert (perfect.error, perfect.by_chance, perfect.accuracy) == (0, 0, 1)


def test_a_posterior_is_read_as_it_is_written(tmp_path: Path) -> None:
    assert read_posteriors(tmp_path) == ()
    path = put(tmp_path, told())
    assert path == path_of(tmp_path, "guess")
    (found,) = read_posteriors(tmp_path)
    assert (found.method, found.candidates, len(found.stimuli)) == ("guess", 1000, STIMULI + 1)
    first = found.stimuli["s00"]
    assert first.captions[0].caption == SCRIPT and first.captions[0].item == "bank-1" and first.entropy == 2
    assert first.likely("kind") == (("cat", 0.75), ("dog", 0.25)) and first.likely("light") == ()
    table = found.table().set_index("stimulus")
    assert table.loc["s99", "kind"] == "dog" and table.loc["s99", "kind share"] == 0.6
    assert table.loc["s01", "caption"] == "a cat" and table.loc["s01", "share"] == 0.5


def damaged(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> dict[str, Any]:
    facts = told()
    change(facts, facts["stimuli"]["s01"])
    return facts


DAMAGES: dict[str, Callable[[dict[str, Any], dict[str, Any]], object]] = {
    "expected format 1": lambda facts, one: facts.update(format=2),
    "format 1 of kind": lambda facts, one: facts.update(format=True),
    "of kind 'posterior'": lambda facts, one: facts.update(kind="bank"),
    "candidates, a whole number": lambda facts, one: facts.update(candidates=0),
    "found '1.5'": lambda facts, one: facts.update(candidates=1.5),
    "an object of 100000 stimuli": lambda facts, one: facts.update(stimuli=[]),
    "without control characters as stimulus": lambda facts, one: facts["stimuli"].update({"a\nb": one}),
    "captions, entropy, prior_entropy, labels and none of s01": lambda facts, one: one.pop("none"),
    "true or false as none of s01": lambda facts, one: one.update(none=0),
    "entropy of s01 in nats": lambda facts, one: one.update(entropy=-0.1),
    "prior_entropy of s01 in nats": lambda facts, one: one.update(prior_entropy=float("nan")),
    "found 'True'": lambda facts, one: one.update(entropy=True),
    "1 to 100 captions of s01": lambda facts, one: one.update(captions=[]),
    "each with share and id": lambda facts, one: one.update(captions=[["a", 0.1]]),
    "1 to 100 captions": lambda facts, one: one.update(captions=[["a", 0.001, "b"]] * 101),
    "the most likely first": lambda facts, one: one.update(captions=[["a", 0.1, "b"], ["a", 0.2, "b"]]),
    "captions of s01 that add up": lambda facts, one: one.update(captions=[["a", 0.6, "b"]] * 2),
    "without control characters as caption": lambda facts, one: one.update(captions=[["\x1b[2J", 0.6, "b"]]),
    "at most 2000 letters": lambda facts, one: one.update(captions=[["a" * 2001, 0.6, "b"]]),
    "as candidate": lambda facts, one: one.update(captions=[["a", 0.6, 7]]),
    "a share from 0 to 1 of a caption": lambda facts, one: one.update(captions=[["a", 1.5, "b"]]),
    "found 'inf'": lambda facts, one: one.update(captions=[["a", float("inf"), "b"]]),
    "an object of 100 groups": lambda facts, one: one.update(labels=[]),
    "without control characters as group": lambda facts, one: one.update(labels={"\u202ea": {}}),
    "an object of 10000 labels": lambda facts, one: one.update(labels={"kind": 3}),
    "a share from 0 to 1 of 'cat'": lambda facts, one: one.update(labels={"kind": {"cat": "much"}}),
    "labels of kind that add up": lambda facts, one: one.update(labels={"kind": {"cat": 0.9, "dog": 0.9}}),
}


@pytest.mark.parametrize("said", DAMAGES)
def test_a_damaged_posterior_is_one_sentence(said: str, tmp_path: Path) -> None:
    path = put(tmp_path, damaged(DAMAGES[said]))
    with pytest.raises(InputError) as fault:
        read_posteriors(tmp_path)
    text = str(fault.value)
    assert said in text and text.startswith(f"{path}: expected") and "\n" not in text and "; " in text


def test_other_files_than_posteriors_are_refused_or_left_alone(tmp_path: Path) -> None:
    for text, said in (("{", "a posterior"), ("[]", "JSON of another kind"), ('{"format": 1, "format": 1}', "once")):
        put(tmp_path, text)
        with pytest.raises(InputError, match=said):
            read_posteriors(tmp_path)
    put(tmp_path, told())
    put(tmp_path, told(), "Not one.json")
    with pytest.raises(InputError, match=r"a file called METHOD\.json"):
        read_posteriors(tmp_path)
    (tmp_path / "posteriors/Not one.json").rename(tmp_path / "posteriors/._guess.json")
    put(tmp_path, "notes", "notes.txt")
    assert [one.method for one in read_posteriors(tmp_path)] == ["guess"]
    (tmp_path / "secret.json").write_text(json.dumps(told()))
    (tmp_path / "posteriors/other.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(InputError, match="found a link"):
        read_posteriors(tmp_path)


def test_a_report_has_the_facts_of_posteriors(report: Report) -> None:
    (facts,) = json.loads((report.folder / "report.json").read_text("utf-8"))["posteriors"]
    assert (facts["method"], facts["row"], facts["candidates"]) == ("guess", "decoded", 1000)
    assert (facts["stimuli"], facts["stimuli not judged"], facts["unexplained"]) == (STIMULI, 1, 0)
    assert (facts["entropy"], facts["entropy_over_prior"]) == (2, 0.25)
    kind, size = facts["calibration"]
    assert (kind["group"], kind["n"], kind["accuracy"], kind["confidence"]) == ("kind", STIMULI, 0.75, 0.75)
    # every bin of four, in the order of ids, holds one dog
    assert kind["error"] == 0 and [one["right"] for one in kind["bins"]] == [0.75] * 5
    # candidates may have no size, and half of the stimuli have none
    assert (size["group"], size["n"], size["accuracy"]) == ("size", STIMULI, 0.5)
    assert size["error"] == pytest.approx(0.4)


def test_the_table_of_every_stimulus_holds_the_words_and_is_audited(report: Report, tmp_path: Path) -> None:
    path = report.folder / "per_stimulus.csv"
    with path.open(newline="", encoding="utf-8") as lines:
        table = [line for line in csv.DictReader(lines) if line["judge"] == "posterior"]
    found = {line["metric"]: line["value"] for line in table if line["stimulus"] == "s00"}
    assert {line["row"] for line in table} == {"decoded"} and "s99" not in {line["stimulus"] for line in table}
    assert found == {
        "posterior entropy": "2.0", "posterior none of the bank": "0.0", f"posterior caption 1: {SCRIPT}": "0.5",
        "posterior caption 2: a dog": "0.2", f"posterior caption 3: {SCRIPT}": "0.11",
        "posterior caption 4: b 4": "0.1", "posterior kind: cat": "0.75", "posterior kind: dog": "0.25",
        "posterior size: (none)": "0.9", "posterior size: large": "0.1",
    }  # fmt: skip
    ladder = read_ladder(report.folder, modality="image")
    assert [one.facts() for one in ladder.scores] == [one.facts() for one in report.scores]
    assert "are what the files give" in audit(report.home)
    whole = path.read_text("utf-8")
    try:
        path.write_text(whole.replace("posterior entropy,posterior,s03,2.0", "posterior entropy,posterior,s03,1.0"))
        with pytest.raises(InputError, match=r"per_stimulus\.csv line"):
            audit(report.home)
    finally:
        path.write_text(whole, encoding="utf-8")


def test_the_page_holds_words_and_diagrams_and_text_stays_text(report: Report) -> None:
    source = report.page.read_text("utf-8")
    page = Page()
    page.feed(source)
    assert source.count("<script") == 1 and SCRIPT in page.text
    assert "Words and doubt" in page.text and page.text.count("entropy 2.0 of 8.0 nats") == STIMULI
    assert "kind: cat .75, dog .25" in page.text and "size: (none) .90, large .10" in page.text
    # candidates of one caption are added up, and of one without a caption its id is said
    assert f"{SCRIPT} .61" in page.text.replace("\n", "") and "b 4 .10" in page.text
    labels = [str(one["aria-label"])[:19] for tag, one in page.tags if tag == "svg"]
    assert [one for one in labels if one.startswith("Reliability")] == ["Reliability of kind", "Reliability of size"]
    assert "leave 25 % of the entropy of not knowing, 2.0 nats" in page.text
    assert "1 stimuli more, which are not judged" not in page.text and "1 stimulus more" in page.text


def test_what_no_candidate_explains_is_said_and_counted(tmp_path: Path) -> None:
    facts = told()
    facts["stimuli"] |= {f"s{i:02d}": words("dog", 0.9, none=True) for i in range(2)}
    put(samples(tmp_path), facts)
    report = evaluate(tmp_path, how=HOW)
    page = Page()
    page.feed(report.page.read_text("utf-8"))
    assert page.text.count("none of the bank · entropy") == 2
    assert "None of the bank explains the responses to 2 of 20 stimuli, which count neither" in page.text
    assert "Fewer than 20 stimuli are too few for a diagram of kind, size." in page.text
    (doubt,) = report.doubts
    assert doubt.unexplained == 2 and {one.n for one in doubt.calibrations} == {18}
    assert all(one.error is None and not one.bins for one in doubt.calibrations) and "Reliability" not in str(page.tags)


def test_a_report_without_posteriors_has_none_of_it(tmp_path: Path, report: Report) -> None:
    plain = evaluate(samples(tmp_path), how=HOW)
    facts, page = json.loads((plain.folder / "report.json").read_text()), plain.page.read_text("utf-8")
    assert "posteriors" not in facts and "posterior" not in (plain.folder / "per_stimulus.csv").read_text()
    assert not [one for one in ("doubt", 'class="words"', "Reliability", 'class="pair"') if one in page]
    told_of = json.loads((report.folder / "report.json").read_text())
    assert facts["rows"] == told_of["rows"] and set(told_of) == {*facts, "posteriors"}


def test_shares_and_dots_as_they_are_printed() -> None:
    shares = (0.0, 0.004, 0.005, 0.712, 0.994, 0.9951, 1.0)
    assert [share_of(one) for one in shares] == ["0", "<.01", ".01", ".71", ".99", ">.99", "1.00"]
    found = diagram(calibrate("kind", np.full(20, 0.5), np.arange(20) % 2 == 0, seed=0))
    assert found.title == "Kind" and len(found.dots) == 5
    across = {one[0] for one in found.dots}
    assert len(across) == 1 and all(high <= low for _, _, low, high, _ in found.dots)


def test_the_front_door_reads_it(report: Report, tmp_path: Path) -> None:
    found = posterior(Run(report.home))
    assert found == read_posterior(path_of(report.home, "guess")) == posterior(str(report.home), method="guess")
    with pytest.raises(InputError, match="posteriors: expected what a posterior says of test stimuli, found none"):
        posterior(tmp_path)
    with pytest.raises(UsageError, match="other"):
        posterior(report.home, method="other")


def score(row: str, metric: str, value: float, *, lower: bool = False, spread: float = 0) -> Score:
    values = value + spread * np.array([1, -1, 2, -2, 0, 0])
    return Score(
        row=row, metric=metric, judge="j", ids=tuple("abcdef"), values=values, chance=0.5, null=0.5, ceiling=None,
        low=0.0, high=1.0, p=None, pool=1, samples=1, withheld=0, seed_sd=None, lower=lower,
    )  # fmt: skip


def test_opponents_that_draw_nothing_are_named_where_they_are_ahead() -> None:
    cards = {"mine": RowCard(name="mine", title="Most likely", looked_up=True)}
    metrics = {name: MetricCard(name=name, title=name, headline=1) for name in ("two_way", "far", "pixcorr")}
    scores = [
        score("decoded", "two_way", 0.6), score("retrieval", "two_way", 0.7), score("drawn", "two_way", 0.9),
        score("decoded", "far", 0.5, lower=True), score("retrieval", "far", 0.6, lower=True),
        score("mine", "far", 0.4, lower=True), score("decoded", "pixcorr", 0.5), score("mine", "pixcorr", 0.5),
        score("decoded", "label_kind", 0.1), score("retrieval", "label_kind", 0.2),
        score("decoded", "ssim_columns", 0.1), score("retrieval", "ssim_columns", 0.2),
    ]  # fmt: skip

    def said(found: list[Score]) -> tuple[str, ...]:
        return opponent_lines(
            found, card=lambda row: card_of(row, cards), metric=lambda name: metrics.get(name) or plain_card(name)
        )

    drawn = "Drawn in another way, the drawn is ahead of what was drawn in two_way (0.900 and 0.600)."
    assert said(scores) == (
        "The nearest training image is ahead of what was drawn in two_way (0.700 and 0.600) and label kind (0.200 and "
        "0.100); the most likely in far (0.400 and 0.500): the generator adds nothing to a look-up there.",
        drawn,
    )  # fmt: skip
    assert said([one for one in scores if one.row in ("decoded", "drawn")]) == (drawn,)
    wide = [score("decoded", "two_way", 0.6), score("retrieval", "two_way", 0.7, spread=0.3)]
    assert said(wide) == (), "the interval of the difference holds 0"
    steady = [score("decoded", "two_way", 0.6, spread=0.3), score("retrieval", "two_way", 0.7, spread=0.3)]
    assert said(steady)[0].startswith("The nearest training image is ahead"), "paired, every stimulus is better"
    assert said([one for one in scores if one.row != "decoded"]) == ()
    ways = [f"kind_{n}way_top1" for n in (2, 10, 50)] + [f"label_{n}" for n in ("kind", "colour", "position", "size")]
    ways += ["label_setting", "label_light", "category"]
    many = [one for name in ways for one in (score("decoded", name, 0.1), score("mine", name, 0.2))]
    (line,) = said(many)
    assert line.count("(0.200 and 0.100)") == 8 and ", and in 2 more:" in line
