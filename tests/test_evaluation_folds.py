"""In folds chance is the mean of the refits, drawn rows have no p, intervals are wider, and the first lines say so."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.cli import main
from benchmarks.noise import SETTINGS, Plan, experiment
from brain.errors import InputError
from brain.types import Split
from decode.run.ladder import partners
from decode.stages.draw.opened import blocks_of
from decode.stages.fit import null as decode_null
from decode.stages.fit.null import affordable
from encoders.conditions import Conditions, SpaceCard
from encoders.mappings._parts.refit import refitting_of
from evaluation.report.evaluate import Judging, evaluate
from evaluation.report.opponents import opponent_lines
from evaluation.report.pages.page import verdict
from evaluation.report.statements import blocked_lines, drift_lines, null_line, warning_lines
from evaluation.report.types import Report
from evaluation.samples.writer import SampleWriter
from evaluation.score import Score, bounded_interval, smallest, widened
from evaluation.statistics.conditions import ConditionScore, against, agreed, identified
from evaluation.statistics.folds import NULL, Design, Null, null_digest, read_design
from tests.rounding import rounding
from tests.test_evaluation_report import STIMULI, blurred, picture

HOW = Judging(judge="pixels", bootstrap=200, permutations=199)


def null_of(two_way: list[float], *, error: float = 0.05, groups: tuple[int, ...] = (12,)) -> Null:
    one = np.array(two_way)
    return Null(
        two_way=one, top1=one, moved_two_way=one[1:], moved_top1=one[1:], moved_error=np.full(len(one) - 1, error),
        groups=groups,
    )  # fmt: skip


def test_chance_p_and_width_come_from_the_refits() -> None:
    null = null_of([0.9, 0.3, 0.5, 0.4, 0.9])
    exact = rounding(sums=5, scale=1.0, dtype=np.float64)
    assert null.refits == 4 and null.chance("two_way") == pytest.approx(0.525, abs=exact)
    assert null.p("two_way") == 2 / 5  # a refit that reaches the true one counts
    assert null.narrow == pytest.approx(np.std([0.3, 0.5, 0.4, 0.9], ddof=1) / 0.05, abs=1e3 * exact)
    assert null_of([0.9, 0.50, 0.51]).narrow == 1  # never narrower
    assert null.speaks_of(0.93) and not null.speaks_of(0.8)
    # two stimuli in each of three sessions have eight assignments, however many refits there are
    few = null_of([0.9, *[0.4] * 199], groups=(2, 2, 2))
    assert few.least == few.p("two_way") == pytest.approx(1 / 8)


def test_an_interval_does_not_widen_as_the_decoder_gets_better() -> None:
    null = null_of([0.99, *np.random.default_rng(0).normal(0.45, 0.06, 99).tolist()], error=0.04)
    rng, widths = np.random.default_rng(1), []
    for mean, spread in ((0.45, 0.2), (0.7, 0.15), (0.95, 0.05), (0.99, 0.01), (1.0, 0.001)):
        units = mean + spread * rng.permutation(np.linspace(-1, 1, 30))
        by = null.wider("two_way", units)
        assert by >= null.narrow > 1
        widths.append(by * float(units.std(ddof=1)) / np.sqrt(30))
    assert widths == sorted(widths, reverse=True) and widths[0] >= 0.9 * null.spread("two_way") > 2 * widths[2]
    assert null.wider("two_way", np.ones(30)) == 1  # an exact bound is not widened
    design = Design(folds=3, nulls={"x": null})
    units = np.linspace(0.3, 0.6, 30)
    assert design.wider("decoded", {"two_way": units}) == {"": null.narrow, "two_way": null.wider("two_way", units)}
    assert Design(folds=3).wider("decoded", {"two_way": units}) == {"": 1.0}


def test_an_interval_is_widened_about_its_value_and_ends_where_the_measure_does() -> None:
    assert widened(0.5, 0.4, 0.7, by=2, bounds=(0, 1)) == pytest.approx((0.3, 0.9))
    assert widened(0.9, 0.8, 0.95, by=3, bounds=(0, 1)) == pytest.approx((0.6, 1.0))


def test_all_right_is_no_proof() -> None:
    """The bound of Clopper and Pearson: ten of ten are compatible with 69 %, none of thirty with 12 %."""
    low, high = bounded_interval((1.0, 1.0), np.ones(10), bounds=(0.0, 1.0))
    assert (low, high) == (pytest.approx(0.6915, abs=1e-3), 1.0)
    low, high = bounded_interval((0.0, 0.0), np.zeros(30), bounds=(0.0, 1.0))
    assert (low, high) == (0.0, pytest.approx(0.1157, abs=1e-3))
    assert bounded_interval((1.0, 1.0), np.ones(10), bounds=(-1.0, 1.0)) == (1.0, 1.0)
    assert bounded_interval((0.7, 0.7), np.full(5, 0.7), bounds=(0.0, 1.0)) == (0.7, 0.7)
    # all but at the end, as top-1 of a pool drawn from many
    assert bounded_interval((0.0, 1e-4), np.full(30, 1e-5), bounds=(0.0, 1.0))[1] == pytest.approx(0.1157, abs=1e-3)
    assert bounded_interval((0.2, 0.9), np.array([0.0, 1.0]), bounds=(0.0, 1.0)) == (0.2, 0.9)


def test_identification_of_conditions_by_hand() -> None:
    truth = np.eye(3)
    found = identified(truth[[0, 2, 1]], truth)
    # stimulus 0 is right; 1 and 2 are taken for each other, and tie with 0
    assert found.two_way.tolist() == [1.0, 0.25, 0.25] and found.top1.tolist() == [1, 0, 0]
    assert found.error > 0 and found.tables["top1"].shape == (3, 3)


def test_the_smallest_p_is_that_of_the_fewest_assignments() -> None:
    assert smallest([2, 2, 2], draws=1000) == pytest.approx(1 / 8)
    assert smallest([3, 1], draws=1000) == pytest.approx(1 / 6)
    assert smallest([30], draws=1000) == 1 / 1001
    (few,) = warning_lines(Design(), blocks=["a", "a", "b", "b"], permutations=100)
    assert few == "So few stimuli lie in a session that no p here can be below 0.250, however good the decoder."
    line = null_line(Design(), blocks=["a", "a", "b", "b"], permutations=100, several="pictures")
    assert "the test stimuli of a session (2 sessions), 100 permutations; the smallest p possible is 0.250" in line


def test_drift_that_neither_scaling_nor_null_takes_away_is_said() -> None:
    run = {"data": {"sessions": [1, 2]}, "standardisation": {"standardise": "all"}}
    assert "drift between sessions counts as signal" in drift_lines(run, Design(), blocks=["", ""])[0]
    free, inside = (Design(folds=3, nulls={"x": null_of([0.9, 0.1, 0.2], groups=one)}) for one in ((6,), (3, 3)))
    assert drift_lines(run, free, blocks=["", ""]) and not drift_lines(run, inside, blocks=["", ""])
    assert not drift_lines(run, Design(), blocks=["session 1", "session 2"])
    assert not drift_lines({**run, "data": {"sessions": [1]}}, Design(), blocks=[""])
    assert not drift_lines({**run, "standardisation": {"standardise": "session"}}, Design(), blocks=[""])
    assert not drift_lines({}, Design(), blocks=[""])


def test_a_blocked_design_that_was_asked_for_is_said_in_the_first_screen() -> None:
    why = "asked for by --standardise; the design is blocked (82 % of it): drift stays in"
    known = {"standardise": "all", "why": why, "blocked": True}
    assert blocked_lines({"standardisation": known}) == ("Blocked design (82 % of it): drift stays in.",)
    assert not blocked_lines({"standardisation": {**known, "blocked": False}}) and not blocked_lines({})


@pytest.mark.parametrize("sizes", [[3, 3], [1, 1, 1], [1, 4], [2, 1, 1], [1, 2]])
def test_the_shuffled_pattern_is_another_stimulus_of_the_same_fold(sizes: list[int]) -> None:
    names = iter(f"s{one}" for one in range(sum(sizes)))
    tests = [[next(names) for _ in range(size)] for size in sizes]
    folds = [Split(name=f"f{one}", train=("other",), test=tuple(test)) for one, test in enumerate(tests)]
    for seed in range(5):
        found = partners(folds, seed)
        assert set(found) == {name for test in tests for name in test}
        assert all(name != partner for name, partner in found.items())
        for test in tests:
            if len(test) > 1:
                assert {found[name] for name in test} == set(test)
            else:
                assert found[test[0]] not in test


def a_run(folder: Path, *, share: float, null: list[float], folds: int = 3) -> Path:
    """A run in folds: decodes that are this share of the picture, a look-up, a shuffled row, and its refits."""
    with SampleWriter(folder / "samples") as writer:
        for i in range(STIMULI):
            writer.reference(Image.fromarray(picture(i)), stimulus=f"s{i:02d}")
            for row, image in (
                ("decoded", blurred(i, 100 + i, share)),
                ("shuffled", blurred((i + 5) % STIMULI, 200 + i, 0.6)),
                ("retrieval", blurred((i + 3) % STIMULI, 300 + i, 1.0)),
                ("oracle", blurred(i, 400 + i, 0.95)),
            ):
                writer.write(image, row=row, stimulus=f"s{i:02d}", index=0, seed=0, method="tiny")
    ids = [f"s{i:02d}" for i in range(STIMULI)]
    card = {"tested": {f"leave-out-{one}": ids[one::folds] for one in range(folds)}}
    card |= {"splits": [{"name": f"leave-out-{one}", "train": 8, "test": 4} for one in range(folds)]}
    card |= {"data": {"repeats": [2, 2]}, "standardisation": {"standardise": "all", "why": "one session"}}
    space = {"two_way": null, "top1": [0.5, *[0.05] * (len(null) - 1)], "groups": [STIMULI], "targets": 8, "of": 8}
    space |= {"moved_two_way": null[1:], "moved_top1": space["top1"][1:], "moved_error": [0.1] * (len(null) - 1)}
    facts = {"spaces": {"pixels": space} if null else {}, "absent": {} if null else {"pixels": "out of reach"}}
    (folder / "conditions").mkdir()
    (folder / NULL).write_text(json.dumps(facts))
    (folder / "card.json").write_text(json.dumps({**card, "beside": {}, "null": null_digest(folder)}))
    return folder


def renull(run: Path, text: str) -> None:
    """Other refits, with the card's blessing."""
    (run / NULL).write_text(text)
    card = json.loads((run / "card.json").read_text())
    (run / "card.json").write_text(json.dumps({**card, "null": null_digest(run)}))


REFITS = [0.9, *np.random.default_rng(0).normal(0.38, 0.2, 99).clip(0, 1).tolist()]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return evaluate(a_run(tmp_path_factory.mktemp("folds") / "run", share=0.7, null=REFITS), how=HOW)


def test_rows_in_folds_have_the_chance_of_the_refits_and_no_p(report: Report) -> None:
    chance = float(np.mean(REFITS[1:]))
    for row in ("decoded", "shuffled", "retrieval", "oracle"):
        two_way, top1, pixcorr = (report.score(row, name) for name in ("two_way", "top1", "pixcorr"))
        assert two_way is not None and top1 is not None and pixcorr is not None
        assert two_way.chance == two_way.null == pytest.approx(chance) and two_way.p is None and two_way.q is None
        assert top1.chance == pytest.approx(0.05) and np.isnan(pixcorr.chance) and pixcorr.effect is None
    facts = json.loads((report.folder / "report.json").read_text())
    assert facts["design"]["nulls"]["pixels"]["refits"] == 99 and facts["design"]["folds"] == 3
    pixcorr = next(row for row in facts["rows"] if row["metric"] == "pixcorr")
    assert pixcorr["chance"] is None and pixcorr["p"] is None


def test_intervals_in_folds_are_as_wide_as_the_refits_spread(report: Report, tmp_path: Path) -> None:
    narrow = evaluate(a_run(tmp_path / "run", share=0.7, null=[0.9, *[0.38, 0.381, 0.379] * 7]), how=HOW)
    by = float(np.std(REFITS[1:], ddof=1)) / 0.1
    assert by > 1.5
    wide, plain = (found.score("shuffled", "pixcorr") for found in (report, narrow))
    assert wide is not None and plain is not None and wide.value == plain.value
    assert wide.value - wide.low == pytest.approx(by * (plain.value - plain.low), rel=1e-3)
    wide, plain = (found.score("shuffled", "two_way") for found in (report, narrow))
    assert wide is not None and plain is not None
    assert wide.value - wide.low >= 0.99 * by * (plain.value - plain.low)
    assert wide.low >= 0 and wide.high <= 1


def test_the_first_lines_say_design_null_standardisation_and_what_would_change_it(report: Report) -> None:
    page = report.page.read_text(encoding="utf-8")
    header = page[page.index("<header>") : page.index("</header>")]
    for said in (
        "Design: 3 folds, each leaving out 4 of 12 stimuli and training on 8 (leave-out-0 and its like), each shown 2 "
        "times; unit of inference: the stimulus",
        "Null: the assignment of patterns to stimuli was permuted freely before the folds, and the mappings refitted",
        "Standardisation: z-scores over all sessions together, by training trials; one session.",
        "What would change the numbers: another split, more or fewer folds",
    ):
        assert said in re.sub(r"\s+", " ", header), said
    for said in ("Row retrieval is not comparable in folds", "is no chance level in folds"):
        assert said in page and said not in header  # at the foot of the ladder
    facts = json.loads((report.folder / "report.json").read_text())
    assert [line.split(":")[0] for line in facts["stated"]] == [
        "Design", "Null", "Standardisation", "What would change the numbers",
    ]  # fmt: skip


def test_without_refits_nothing_is_claimed(tmp_path: Path) -> None:
    found = evaluate(a_run(tmp_path / "run", share=0.7, null=[]), how=HOW)
    two_way = found.score("decoded", "two_way")
    assert two_way is not None and two_way.p is None and np.isnan(two_way.chance)
    assert "none in these folds (pixels: out of reach), so no p is given" in " ".join(found.stated())
    sure_of, why = verdict(found, two_way)
    assert sure_of is None and "no null was refitted" in why
    page = found.page.read_text(encoding="utf-8")
    assert "Guessing gives" not in page and "is not settled" in page


def test_refits_of_another_decoder_give_no_p(tmp_path: Path) -> None:
    """Where fewer repeats were averaged than refits average, or the targets that stand for all do not."""
    run = a_run(tmp_path / "run", share=0.7, null=REFITS)
    card = json.loads((run / "card.json").read_text())
    (run / "card.json").write_text(json.dumps({**card, "decode": {"settings": {"test_repeats": 1}}}))
    assert read_design(run).nulls == {} and "--test-repeats 1" in read_design(run).absent["pixels"]
    (run / "card.json").write_text(json.dumps(card))
    space = SpaceCard(name="pixels", model="m", revision="r", layer="l", normalisation="none", shape=(8,))
    truth = np.random.default_rng(0).normal(size=(STIMULI, 8)).astype(np.float32)
    ids = tuple(f"s{one:02d}" for one in range(STIMULI))
    card.pop("beside")
    (run / "card.json").write_text(json.dumps(card))
    assert "has not decoded every test stimulus" in agreed(read_design(run), run).absent["pixels"]
    Conditions(space=space, values=truth, ids=ids).save(run / "conditions/pixels.true.safetensors")
    for decoded, nulls in ((truth, False), (truth + 0.9 * np.random.default_rng(1).normal(size=truth.shape), True)):
        values = decoded.astype(np.float32)
        Conditions(space=space, values=values, ids=ids).save(run / "conditions/pixels.decoded.safetensors")
        found = agreed(read_design(run), run)
        assert bool(found.nulls) == nulls  # the refits' own is .9
        if not nulls:
            assert "identified 0.900 two-way and the run's conditions 1.000" in found.absent["pixels"]


def test_damaged_refits_are_one_sentence(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", share=0.7, null=REFITS)
    fine = {"two_way": [0.5] * 20, "top1": [0.5] * 20, "groups": [6, 6], "targets": 8, "of": 8}
    fine |= {"moved_two_way": [0.5] * 9, "moved_top1": [0.5] * 9, "moved_error": [0.1] * 9}
    wrong = [
        {"two_way": [1]}, {**fine, "top1": [7.0] * 20}, {**fine, "moved_error": [-1] * 9}, {**fine, "top1": [0.5] * 21},
        {**fine, "two_way": [True] * 20}, {**fine, "two_way": "0123456789"}, {**fine, "two_way": [10**400] * 20},
        {name: one[:4] if isinstance(one, list) else one for name, one in fine.items()}, {**fine, "groups": []},
        {**fine, "groups": [-1, 2]}, {**fine, "groups": [1e999]}, {**fine, "of": True}, {**fine, "targets": 10**30}, 3,
    ]  # fmt: skip
    for spaces in [*({"x": one} for one in wrong), [1]]:
        renull(run, json.dumps({"spaces": spaces}))
        with pytest.raises(InputError, match="expected refits of each space, found others .*; run `afterimage fit`"):
            read_design(run)
    renull(run, json.dumps({"spaces": {"x": fine}}))
    assert read_design(run).nulls["x"].refits == 19
    # others than the card names, and none
    (run / NULL).write_text((run / NULL).read_text() + " ")
    for _ in range(2):
        with pytest.raises(InputError, match="expected the refits that the run's card names, found others, or none"):
            read_design(run)
        (run / NULL).unlink(missing_ok=True)
    assert not read_design(tmp_path).in_folds  # a folder that says nothing


def scored(report: Report, **facts: object) -> Score:
    found = report.score("decoded", "two_way")
    assert found is not None
    return Score(**{**{name: getattr(found, name) for name in found.__dataclass_fields__}, **facts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("low", "high", "p", "sure_of", "said"),
    [
        (0.6, 0.8, 0.002, True, "p = 0.002"),
        (0.4, 0.6, 0.3, False, "p = 0.300"),
        (0.45, 0.7, 0.002, None, "it holds chance while p = 0.002"),
        (0.6, 0.8, 0.2, None, "it lies above chance while p = 0.200"),
        (0.3, 0.4, 0.9, False, "p = 0.900"),
        (0.6, 0.8, None, True, "it lies above chance; no p is known"),
    ],
)
def test_one_rule_for_headline_interval_and_p(
    tmp_path: Path, low: float, high: float, p: float | None, sure_of: bool | None, said: str
) -> None:
    plain = evaluate(a_run(tmp_path / "run", share=0.7, null=[], folds=1), how=HOW)
    assert not plain.design.in_folds
    assert verdict(plain, scored(plain, low=low, high=high, p=p, chance=0.5)) == (sure_of, said)


def test_in_folds_the_interval_must_lie_above_one_half_too(report: Report) -> None:
    fine = ConditionScore(
        space="pixels", two_way=0.9, low=0.8, high=1.0, n=STIMULI, chance=0.38, p=0.01, top1=0.5, top1_low=0.2,
        top1_high=0.8, top1_chance=0.05, top1_p=0.01, null="refits", refits=99,
    )  # fmt: skip
    found = replace(report, conditions=(fine,))
    assert found.score("decoded", "two_way") is not None
    between = scored(found, low=0.45, high=0.9)  # above chance, and not above one half
    assert verdict(found, between)[0] is None and "holds chance while" in verdict(found, between)[1]
    assert verdict(found, scored(found, low=0.55, high=0.9)) == (True, "the decoded conditions (pixels) have p = 0.010")
    poor = replace(report, conditions=(replace(fine, p=0.4),))
    assert verdict(poor, scored(poor, low=0.2, high=0.45))[0] is False


def test_a_true_condition_that_is_drawn_no_better_than_chance_is_no_ceiling(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", share=0.7, null=[], folds=1)
    with SampleWriter(tmp_path / "other" / "samples") as writer:
        for i in range(STIMULI):
            writer.reference(Image.fromarray(picture(i)), stimulus=f"s{i:02d}")
            for row, number in (("decoded", 100 + i), ("shuffled", 200 + i), ("oracle", 300 + i)):
                writer.write(
                    Image.fromarray(picture(number)), row=row, stimulus=f"s{i:02d}", index=0, seed=0, method="tiny"
                )
    above_null, vague = (evaluate(one, how=HOW).score("decoded", "two_way") for one in (run, tmp_path / "other"))
    assert above_null is not None and vague is not None and above_null.above_null and not vague.above_null
    assert vague.ceiling is not None and vague.effect is None


def test_a_share_of_the_ceiling_needs_one(tmp_path: Path) -> None:
    plain = evaluate(a_run(tmp_path / "run", share=0.7, null=[], folds=1), how=HOW)
    decoded, oracle, look_up = (plain.score(row, "two_way") for row in ("decoded", "oracle", "retrieval"))
    assert decoded is not None and oracle is not None and look_up is not None
    assert decoded.above_null and oracle.effect == 1 and look_up.effect is None
    assert decoded.effect == pytest.approx((decoded.value - decoded.null) / (oracle.value - decoded.null))
    assert scored(plain, above_null=False).effect is None
    assert "of what this generator draws from the true condition" in plain.page.read_text(encoding="utf-8")
    assert warning_lines(plain.design, blocks=[""] * 12, permutations=199) == ()
    assert opponent_lines(plain.scores, card=plain.row_card, metric=plain.metric_card) == ()
    weak = [scored(plain, values=np.full(STIMULI, 0.55)), scored(plain, row="retrieval", values=np.full(STIMULI, 0.8))]
    (said,) = opponent_lines(weak, card=plain.row_card, metric=plain.metric_card)
    assert said.startswith("The nearest training image is ahead of what was drawn in two-way (0.800 and 0.550)")


def test_noise_in_folds_is_at_its_chance_from_data_to_page(tmp_path: Path) -> None:
    """Pictures of a fold alike, patterns that know nothing: .252 beside a shuffled .578 and a chance of .5 before."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 150, (18, 6, 6))
    pictures += (100 * rng.random((3, 6, 6)))[np.arange(18) // 6].astype(int)
    data, run = tmp_path / "noise.npz", tmp_path / "run"
    np.savez(
        data, responses=rng.normal(size=(18, 30)).astype(np.float32), stimulus=np.arange(18),
        images=pictures.astype(np.uint8), group=np.arange(18) // 6,
    )  # fmt: skip
    words = ["--recipe", "pixels-ridge", "--out", str(run), "--refits", "49", "--bootstrap", "200"]
    assert main(["study", str(data), *words]) == 0
    facts = json.loads((run / "report/report.json").read_text(encoding="utf-8"))
    rows = {row["row"]: row for row in facts["rows"] if row["metric"] == "two_way"}
    (found,) = facts["conditions"]
    assert found["refits"] == 49 and found["p"] > 0.05 and found["low"] < found["chance"] < found["high"]
    assert found["chance"] < 0.4 and abs(rows["decoded"]["value"] - found["chance"]) < 0.15
    assert rows["decoded"]["chance"] == found["chance"] and rows["decoded"]["p"] is None
    assert abs(rows["shuffled"]["value"] - rows["decoded"]["value"]) < 0.15
    # the true assignment among the refits is the run itself
    null = json.loads((run / "conditions/null.json").read_text(encoding="utf-8"))
    assert null["spaces"]["pixels"]["two_way"][0] == pytest.approx(found["two_way"], abs=1e-3)
    assert main(["audit", str(run)]) == 0
    # a fit that is taken out by hand leaves nothing that other data could take for theirs
    signal = pictures.reshape(18, -1)[:, :30] / 20 + rng.normal(size=(18, 30))
    np.savez(
        data, responses=signal.astype(np.float32), stimulus=np.arange(18), images=pictures.astype(np.uint8),
        group=np.arange(18) % 3,
    )  # fmt: skip
    for name in ("maps", "samples"):
        shutil.rmtree(run / name)
    for name in ("card.json", "content.json"):
        (run / name).unlink()
    assert main(["study", str(data), *words]) == 0
    other = json.loads((run / "conditions/null.json").read_text(encoding="utf-8"))
    (found,) = json.loads((run / "report/report.json").read_text(encoding="utf-8"))["conditions"]
    assert other["spaces"]["pixels"]["two_way"][0] == pytest.approx(found["two_way"], abs=1e-3)
    assert found["two_way"] > 0.8 and other["made of"] != null["made of"]


def test_a_map_that_no_method_reads_changes_no_row(tmp_path: Path) -> None:
    """Chance, p, retrieval and intervals are of the map that is drawn from, whatever others are called."""
    rng, names = np.random.default_rng(3), np.array([f"f{one:02d}" for one in range(16)])
    pictures = (rng.random((16, 8, 8)) * 255).astype(np.uint8)
    signal = pictures.reshape(16, -1)[:, :40] / 255 - 0.5 + 0.3 * rng.normal(size=(3, 16, 40))
    trials = np.concatenate([signal, 0.4 * rng.normal(size=(3, 16, 40))], 2).reshape(48, 80)
    good = np.arange(80) < 40
    np.savez(
        tmp_path / "two.npz", responses=trials.astype(np.float32), stimulus=np.tile(names, 3), images=pictures,
        image_ids=names, group=np.tile(np.arange(16) // 4, 3), **{"roi/good": good, "roi/noise": ~good},
    )  # fmt: skip
    found = []
    for number, maps in enumerate([["pixels=good"], ["early:pixels=noise", "pixels=good"]]):
        run = tmp_path / str(number)
        words = ["--recipe", "pixels-ridge", "--out", str(run), "--refits", "19", "--bootstrap", "100"]
        rows = ["--rows", "decoded", "retrieval", "--permutations", "20"]
        assert main(["study", str(tmp_path / "two.npz"), *words, *rows, "--maps", *maps]) == 0
        facts = json.loads((run / "report/report.json").read_text(encoding="utf-8"))
        found.append({(one["row"], one["metric"]): (one["value"], one["chance"]) for one in facts["rows"]})
    assert found[0]["decoded", "two_way"][0] > 0.65 and found[0] == found[1]
    assert json.loads((run / "card.json").read_text(encoding="utf-8"))["decode"]["maps"] == {"decoded": ["pixels"]}


def test_a_row_has_the_refits_of_the_map_that_it_is_drawn_from() -> None:
    nulls = {"early": null_of([0.4, 0.3, 0.2]), "late": null_of([0.9, 0.6, 0.6])}
    read = {"decoded": ("late", "early"), "beside": ("early",), "network": ("deep", "late"), "voxels": ()}
    design = Design(folds=3, nulls=nulls, read=read, absent={"deep": "it trains networks"})
    assert design.chance("decoded", "two_way") == design.chance("shuffled", "two_way") == pytest.approx(0.6)
    assert design.chance("beside", "two_way") == pytest.approx(0.25)
    for row in ("network", "voxels"):
        assert design.null_of(row) is None and np.isnan(design.chance(row, "two_way"))
        assert design.wider(row, {"two_way": np.linspace(0.3, 0.6, 9)}) == {"": 1.0}
    assert Design(folds=3, nulls=nulls).map_of("decoded") == "early"  # of a card that does not say it


@pytest.mark.parametrize("repeats", [0, 1])
def test_settings_say_how_many_repeats_were_averaged_where_cards_do_not(tmp_path: Path, repeats: int) -> None:
    run = a_run(tmp_path, share=0.9, null=[0.5] * 20)
    card = json.loads((run / "card.json").read_text(encoding="utf-8"))
    card["decode"] = {"generator": "a name", "settings": {"steps": 4}}
    (run / "card.json").write_text(json.dumps(card), encoding="utf-8")
    for stored in ({"decode": {"test_repeats": repeats}}, {"asked": {"sampling": {"test_repeats": repeats}}}):
        (run / "settings.json").write_text(json.dumps(stored), encoding="utf-8")
        assert bool(read_design(run).nulls) is (repeats == 0)


@pytest.mark.parametrize("trials", ["averaged", "single"])
def test_refits_are_of_the_voxels_and_trials_that_the_mapping_reads(tmp_path: Path, trials: str) -> None:
    """The true assignment among them is the run, with voxels of no use beside the region that is read."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (15, 4, 4))
    trial = np.concatenate([np.arange(15), np.arange(15), np.arange(9)])
    signal = pictures.reshape(15, -1)[trial] / 40 + rng.normal(size=(len(trial), 16))
    data, run = tmp_path / "data.npz", tmp_path / "run"
    np.savez(
        data, responses=np.hstack([signal, 9 * rng.normal(size=(len(trial), 40))]).astype(np.float32), stimulus=trial,
        images=pictures.astype(np.uint8), group=trial % 3,
        **{"roi/early": np.arange(56) < 16, "roi/late": np.arange(56) >= 16},
    )  # fmt: skip
    words = ["--recipe", "pixels-ridge", "--maps", "pixels=early", "--trials", trials, "--out", str(run)]
    assert main(["fit", str(data), *words, "--refits", "19"]) == 0
    assert main(["decode", str(run), "--rows", "decoded"]) == 0
    decoded, true = (
        Conditions.load(run / f"conditions/pixels.{row}.safetensors") for row in ("decoded", "true")
    )
    null = json.loads((run / NULL).read_text())["spaces"]["pixels"]
    assert null["two_way"][0] == pytest.approx(float(against(decoded, true).two_way.mean()), abs=1e-3)
    assert null["two_way"][0] > 0.85 and null["groups"] == [6, 9]


def test_only_so_many_refits_are_taken_as_are_within_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    made = experiment(Plan(name="", stimuli=12, folds=3), seed=0)
    design = refitting_of(
        made.trials, made.true, folds=made.folds, settings=SETTINGS, rescaling="spread", single=False
    )
    for refits, taken in ((150, 150), (250, 199), (50, 0)):
        monkeypatch.setattr(decode_null, "REACH", (refits + 0.5) * design.seconds)
        assert affordable(design, 199) == taken and affordable(design, 40) == 40


def test_stimuli_of_one_test_set_change_places_within_their_sessions() -> None:
    def blocks(stimulus: list[int], session: list[int], way: str = "all") -> dict[str, str]:
        made = experiment(Plan(name="", stimuli=len(stimulus), folds=3), seed=0)
        trials = replace(
            made.trials, stimulus=np.array([f"s{one}" for one in stimulus]), session=np.array(session),
            standardise=way,
        )  # fmt: skip
        return blocks_of(trials, {f"s{one}" for one in stimulus})

    assert blocks([0, 1, 2, 3], [4, 4, 7, 7]) == {
        "s0": "session 4", "s1": "session 4", "s2": "session 7", "s3": "session 7",
    }  # fmt: skip
    assert set(blocks([0, 1, 2, 3] * 2, [1, 2, 3, 1, 2, 3, 1, 3]).values()) == {""}
    # repeats that spread over sessions leave all free, as NSD's do, unless sessions keep their levels
    spread = [*range(6)] * 3, [1] * 6 + [2] * 6 + [2, 2, 2, 3, 3, 3]
    assert set(blocks(*spread, way="session").values()) == {""}
    # groups of sessions never share a name
    shared = blocks([*range(6)] * 3, [1] * 6 + [2] * 6 + [2, 2, 2, 3, 3, 3])
    assert len(set(shared.values())) == 2
