"""The cards of rows and metrics: written beside the samples, read from strangers, printed without a list of names."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from brain.errors import InputError
from decode.methods import CATALOGUE as METHODS
from decode.run.ladder import DRAWN, TAKEN
from evaluation.judges import CATALOGUE as JUDGES
from evaluation.metrics import CATALOGUE as METRICS
from evaluation.profiles import CATALOGUE as PROFILES
from evaluation.profiles import Profile, find_profile
from evaluation.report.audit import audit
from evaluation.report.evaluate import Judging, evaluate
from evaluation.report.files import read_ladder
from evaluation.report.pages.ladder import plotted
from evaluation.samples.foreign import unread_lines
from evaluation.samples.read import read_samples
from evaluation.samples.rows import LADDER, RowCard, card_of, controls_last, is_row, ordered_rows, read_cards
from evaluation.samples.sounds import SOUND
from evaluation.samples.writer import SampleWriter
from tests.test_evaluation_report import picture, run

OURS = (
    RowCard(name="takagi", title="Takagi's method", description="by captions", order=10),
    RowCard(name="made_up", title="A control of mine", order=45, control=True),
)


def put(folder: Path, *numbers: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in numbers:
        Image.fromarray(picture(i)).save(folder / f"s{i}.png")


def test_the_ladders_order_and_the_gallerys() -> None:
    cards = {card.name: card for method in METHODS for card in method.rows if card.name != "clap"}
    every = [*(card.name for card in LADDER), *cards]
    assert ordered_rows(every, cards) == (
        "decoded", "other_words", "correlated", "bayes", "bayes_image", "bayes_sound", "takagi", "unclip", "mindvis",
        "anchored", "direct", "c2f", "reranked",
        "shuffled", "mean", "prior", "repeat", "category_oracle", "retrieval", "likely", "exemplar", "oracle",
        "round_trip",
    )  # fmt: skip
    assert controls_last(every, cards) == (
        "decoded", "other_words", "correlated", "bayes", "bayes_image", "bayes_sound", "takagi", "unclip", "mindvis",
        "anchored", "direct", "c2f", "reranked",
        "category_oracle", "retrieval", "likely", "exemplar", "oracle", "round_trip", "shuffled", "mean", "prior",
        "repeat",
    )  # fmt: skip
    own = {card.name for card in LADDER}
    assert {*DRAWN, *TAKEN} - {"other_repeats"} <= own and not own & cards.keys()
    assert card_of("retrieval", modality=SOUND).title == "Nearest training sound"
    assert card_of("my_own_row") == RowCard(name="my_own_row", title="My own row", order=20)


def test_cards_are_written_once_and_read_with_the_samples(tmp_path: Path) -> None:
    with SampleWriter(tmp_path, rows=OURS[:1]) as writer:
        writer.reference(Image.fromarray(picture(0)), stimulus="a")
        for row in ("made_up", "decoded", "takagi"):
            writer.write(Image.fromarray(picture(1)), row=row, stimulus="a", index=0, seed=0, method="m")
    before = (tmp_path / "rows.json").read_bytes()
    SampleWriter(tmp_path, rows=(replace(OURS[0], title="another"),)).close()
    assert (tmp_path / "rows.json").read_bytes() == before
    SampleWriter(tmp_path, rows=OURS).close()
    found = read_samples(tmp_path, references=None)
    assert found.cards == {card.name: card for card in OURS} == read_cards(tmp_path)
    assert found.rows() == ("decoded", "takagi", "made_up") and found.card("decoded") == LADDER[0]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["index.jsonl", "rows.json"]
    (tmp_path / "rows.json").unlink()
    assert read_samples(tmp_path, references=None).rows() == ("decoded", "made_up", "takagi")
    SampleWriter(tmp_path).close()
    assert not (tmp_path / "rows.json").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "the cards of rows"),
        ('{"format": 2, "rows": {}}', "format 1, found format '2'"),
        ('{"format": true, "rows": {}}', "format 1"),
        ('{"format": 1, "rows": []}', "an object of"),
        ('{"format": 1, "rows": {"a": {"order": 3}}}', "a row with control, description, looked_up, order, title"),
        ('{"format": 1, "rows": {"a": {"title": "A", "colour": "red"}}}', "a row with"),
        ('{"format": 1, "rows": {"a": {"title": "A\\nB"}}}', "one line"),
        ('{"format": 1, "rows": {"a": {"title": "\\u001b[2J"}}}', "without control characters"),
        ('{"format": 1, "rows": {"a": {"title": " "}}}', "a title"),
        (f'{{"format": 1, "rows": {{"a": {{"title": "{"A" * 81}"}}}}}}', "at most 80 letters"),
        ('{"format": 1, "rows": {"a": {"title": "A", "order": 1.5}}}', "a whole number"),
        ('{"format": 1, "rows": {"a": {"title": "A", "order": true}}}', "a whole number"),
        ('{"format": 1, "rows": {"a": {"title": "A", "control": 1}}}', "true or false"),
        ('{"format": 1, "rows": {"a": {"title": "A", "looked_up": "no"}}}', "true or false"),
        ('{"format": 1, "rows": {"../a": {"title": "A"}}}', "a folder can be called after"),
        ('{"format": 1, "rows": {"category_oracle": {"title": "A"}}}', "a folder can be called after"),
        ('{"format": 1, "rows": {"references": {"title": "A"}}}', "a folder can be called after"),
    ],
)
def test_cards_of_strangers_are_held_to_what_they_may_be(text: str, said: str, tmp_path: Path) -> None:
    put(tmp_path / "shown", 0)
    put(tmp_path / "mine", 0)
    (tmp_path / "mine/rows.json").write_text(text)
    for use in (
        lambda: read_samples(tmp_path / "mine", references=tmp_path / "shown"),
        lambda: SampleWriter(tmp_path / "mine", rows=OURS),
    ):
        with pytest.raises(InputError, match=said) as error:
            use()
        assert "rows.json" in str(error.value) and "\n" not in str(error.value) and "; " in str(error.value)


def test_a_link_is_not_followed_to_cards(tmp_path: Path) -> None:
    put(tmp_path / "shown", 0)
    put(tmp_path / "mine", 0)
    (tmp_path / "secret.json").write_text("{}")
    (tmp_path / "mine/rows.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(InputError, match="found a link"):
        read_samples(tmp_path / "mine", references=tmp_path / "shown")


def test_folders_are_read_that_rows_json_names(tmp_path: Path) -> None:
    put(tmp_path / "shown", 0, 1)
    for name in ("decoded", "takagi", "MindEye2", "repeat"):
        put(tmp_path / "mine" / name, 0, 1)
    found = read_samples(tmp_path / "mine", references=tmp_path / "shown")
    assert found.rows() == ("decoded",) and found.unread == ("MindEye2", "repeat", "takagi")
    (said,) = unread_lines(found)
    assert said.endswith("and those that rows.json names.")
    rows = {"MindEye2": {"title": "MindEye2 <b>"}, "takagi": OURS[0].facts(), "absent": {"title": "Absent"}}
    (tmp_path / "mine/rows.json").write_text(json.dumps({"format": 1, "rows": rows}))
    found = read_samples(tmp_path / "mine", references=tmp_path / "shown")
    assert found.rows() == ("decoded", "takagi", "MindEye2")
    assert found.unread == ("repeat",)  # nobody drew from other repeats here, with which that row is compared
    assert found.card("MindEye2").title == "MindEye2 <b>" and found.card("takagi") == OURS[0]


def test_a_report_holds_the_cards_and_one_without_them_is_still_read(tmp_path: Path) -> None:
    folder = run(tmp_path)
    with SampleWriter(folder / "samples", rows=OURS) as writer:
        for i in range(4):
            writer.write(Image.fromarray(picture(i)), row="made_up", stimulus=f"s{i:02d}", index=0, seed=0, method="m")
    how = Judging(judge="pixels", bootstrap=200, permutations=99)
    page = evaluate(folder, how=how).page.read_text()
    assert "A control of mine" in page and "Takagi" not in page
    path = folder / "report/report.json"
    facts = json.loads(path.read_text())
    assert list(facts["row_cards"]) == ["decoded", "shuffled", "made_up", "category_oracle", "oracle"]
    assert facts["row_cards"]["made_up"] == OURS[1].facts()
    assert facts["metric_cards"]["top1_of_12"] == {
        "title": "Top-1 of 12", "description": "its reference is the most similar of the pool", "unit": "",
        "lower_is_better": False, "plotted": True, "headline": 2,
    }  # fmt: skip
    found = read_ladder(folder / "report", modality="image")
    assert found.row_card("made_up") == OURS[1] and found.rows()[2] == "made_up"
    assert plotted(found) == ["two_way", "two_way_within_category", "top1_of_12", "pixcorr", "ssim"]
    assert "are what the files give" in audit(folder)
    # as it was written before rows and metrics had cards
    (folder / "samples/rows.json").unlink()
    old = {name: value for name, value in facts.items() if name not in ("row_cards", "metric_cards")}
    path.write_text(json.dumps(old))
    before = read_ladder(folder / "report", modality="image")
    assert before.row_card("made_up").title == "Made up" and before.metric_cards == found.metric_cards
    assert "are what the files give" in audit(folder)
    damaged = ({"row_cards": 3}, {"metric_cards": {"two_way": {"title": 3}}}, {"row_cards": {"a": {"title": "\n"}}})
    for damage in damaged:
        path.write_text(json.dumps({**facts, **damage}))
        with pytest.raises(InputError, match=r"report\.json"):
            read_ladder(folder / "report", modality="image")


CLEAN = (
    "two_way", "two_way_within_category", "top1", "category", "pixcorr", "ssim", "two_way_other_recons",
    "top1_other_recons", "top1_pool50", "top1_other_recons_pool50", "top1_pool300", "top1_other_recons_pool300",
    "category_pseudo", "kind_2way_top1", "kind_10way_top1", "kind_10way_top1_pseudo", "lpips", "dists", "dreamsim",
    "two_way_alexnet2", "two_way_alexnet5", "two_way_inception_v3", "two_way_clip_vit_l14", "distance_efficientnet_b1",
    "distance_swav_resnet50", "label_kind", "label_colour", "label_position", "label_size", "label_setting",
    "label_light",
)  # fmt: skip
CLEAN_SOUND = (
    "two_way", "two_way_within_category", "top1", "category", "mel_pcc", "mel_ssim", "two_way_other_recons",
    "top1_other_recons", "top1_pool10", "top1_other_recons_pool10", "top1_pool50", "top1_other_recons_pool50",
    "two_way_clap_htsat", "two_way_other_recons_clap_htsat", "top1_clap_htsat_pool10", "two_way_ast_audioset",
    "two_way_other_recons_ast_audioset", "top1_ast_audioset_pool10", "audioset_50way_top1_pseudo",
    "category_pseudo", "kind_2way_top1", "kind_10way_top1", "kind_10way_top1_pseudo", "centroid_correlation",
    "centroid_error", "f0_correlation", "f0_error", "pitch_accuracy", "voicing", "envelope_correlation",
    "modulation_correlation", "label_kind", "label_pitch", "label_pace", "label_brightness", "label_space",
)  # fmt: skip
PRINTED = {
    "two_way": "Two-way", "two_way_other_recons": "Two-way, other direction", "top1_pool50": "Top-1 of 50",
    "top1": "Top-1 of 100", "top1_other_recons": "Top-1, other direction of 100", "lpips": "LPIPS",
    "two_way_alexnet2_strict": "Two-way, alexnet2, ties fail", "kind_2way_top1": "Kind, 2-way", "label_kind": "Kind",
    "top1_clap_htsat_pool10": "Top-1, clap htsat of 10", "f0_error": "F0 error", "category": "Category",
    "two_way_other_recons_strict": "Two-way, other direction, ties fail",
    "distance_swav_resnet50": "Distance, swav resnet50", "audioset_50way_top1_pseudo": "AudioSet, 50-way",
    "imagenet_100way_top1_pseudo": "ImageNet, 100-way, as judged",
}  # fmt: skip


def test_the_clean_profiles_are_made_of_cards() -> None:
    assert find_profile("clean").metrics == CLEAN and not find_profile("clean").named
    assert find_profile("clean", SOUND).metrics == CLEAN_SOUND
    assert {name: METRICS[name].titled(100) for name in PRINTED} == PRINTED


def test_every_metric_profile_and_judge_has_a_card() -> None:
    for metric in METRICS:
        assert metric.title and metric.description and "\n" not in metric.description, metric.name
        assert set(metric.profiles) <= set(PROFILES.names()), metric.name
        assert metric.network in ("", "judge", *JUDGES.names()), metric.name
    for one in (*PROFILES, *JUDGES):
        assert one.title and one.description and "\n" not in one.description, one.name
        assert isinstance(one.citation, str)
    for name in PROFILES.names():
        places = [metric.profiles[name] for metric in METRICS if name in metric.profiles]
        assert len(set(places)) == len(places), name


def test_a_metric_that_is_not_there_any_more_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = Profile(
        name="paper-gone", title="Gone", description="d", wrong="w", named=("two_way", "taken_away", "gone_too")
    )
    monkeypatch.setitem(PROFILES._entries(), named.name, named)
    report = evaluate(run(tmp_path), how=Judging(judge="pixels", profile="paper-gone", bootstrap=200, permutations=0))
    (said,) = [line for line in report.absent if "taken_away" in line]
    assert said == "taken_away, gone_too: no metric is called so, and profile paper-gone names it"
    assert report.score("decoded", "two_way") is not None
    shutil.rmtree(tmp_path)


def test_the_ladder_s_own_rows_keep_their_own_cards(tmp_path: Path) -> None:
    rows = {"shuffled": {"title": "Decoded", "order": 0}, "mine": {"title": "Mine"}}
    (tmp_path / "rows.json").write_text(json.dumps({"format": 1, "rows": rows}), encoding="utf-8")
    cards = read_cards(tmp_path)
    assert set(cards) == {"mine"} and card_of("shuffled", cards).control
    for name in ("floor", "reference", "../up", "Big"):
        assert not is_row(name)


@pytest.mark.parametrize("facts", [{"title": "\u202edeR"}, {"title": "\u00a0\u200b"}, {"title": "A", "order": 10**5}])
def test_a_stranger_s_card_shows_what_it_says(facts: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps({"format": 1, "rows": {"mine": facts}}), encoding="utf-8")
    with pytest.raises(InputError, match="rows.json: expected"):
        read_cards(tmp_path)
