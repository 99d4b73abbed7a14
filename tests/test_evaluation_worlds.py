"""What is written on a report: whose brain it is, what the judge was trained on, which labels it has words for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from encoders.storage import write_tensors
from evaluation.find_judge import find_judge
from evaluation.judges import CATALOGUE, NO_NETWORK, UNSAID, drawn_only
from evaluation.report.evaluate import Judging, evaluate
from evaluation.report.pages.synthesis import report_synthesis
from evaluation.report.synthesis import KIND, RESPONSES
from evaluation.report.types import Report
from evaluation.report.worlds import copied_lines, world_lines
from evaluation.samples.writer import SampleWriter
from evaluation.similarity import told_apart
from tests.test_evaluation_judges import tiny_judge

ZERO = "afterimage simulate, seed 0"
BADGE = f"simulated: {ZERO}"
DATA = {
    "reader": "nsd", "subject": "subj01", "trials": 3000, "stimuli": 1000, "repeats": [1, 3], "sessions": [1, 2, 3, 4],
    "voxels": 5998,
}  # fmt: skip
CARD = {"data": DATA, "splits": [{"name": "nsd-shared1000", "sha256": "ab", "train": 900, "test": 100}]}
WORDS = ("faces", "places", "food")


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8))


def drawn(seed: int) -> Image.Image:
    """Nearly that picture."""
    return Image.fromarray(np.asarray(picture(seed)) // 2 * 2)


def a_run(
    folder: Path,
    *,
    simulated: str = "",
    labels: tuple[str, ...] = WORDS,
    card: dict[str, Any] | None = None,
    stimuli: int = 6,
) -> Path:
    """A run of a few stimuli, each decoded once, whose categories are `labels` in turn."""
    with SampleWriter(folder / "samples", simulated=simulated) as writer:
        for i in range(stimuli):
            name, label = f"nsd{i:05d}", labels[i % len(labels)]
            writer.reference(picture(i), stimulus=name, labels={"category": label} if label else {})
            writer.write(drawn(i), row="decoded", stimulus=name, index=0, seed=0, method="tiny")
    if card is not None:
        (folder / "card.json").write_text(json.dumps(card))
    return folder


def judged(folder: Path, judge: str = "pixels", *, references: Path | None = None, out: Path | None = None) -> Report:
    how = Judging(judge=judge, bootstrap=100, permutations=99)
    return evaluate(folder, references=references, out=out, how=how)


def first_screen(report: Report) -> str:
    page = report.page.read_text("utf-8")
    return page[page.index("<header>") : page.index("</header>")]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A classifier that knows faces, places and food."""
    return str(tiny_judge(tmp_path_factory.mktemp("judge") / "mine"))


def test_a_simulated_brain_is_said_in_the_first_screen_and_in_the_facts(tmp_path: Path) -> None:
    report = judged(a_run(tmp_path, simulated=ZERO, card={**CARD, "simulated": ZERO}))
    facts, header = json.loads((report.folder / "report.json").read_text()), first_screen(report)
    assert facts["simulated"] == facts["card"]["evaluation"]["simulated"] == ZERO
    assert f'<span class="badge">{BADGE}</span>' in header and "no person was scanned" in header
    assert "subject subj01 (simulated, in NSD&#39;s layout)" in header
    assert "split nsd-shared1000 (simulated, in NSD&#39;s layout)" in header
    assert f"<title>subj01, afterimage report, {BADGE}</title>" in report.page.read_text()


def test_a_recorded_brain_has_no_badge_and_keeps_its_names(tmp_path: Path) -> None:
    report = judged(a_run(tmp_path, card={**CARD, "simulated": ""}))
    assert report.simulated == "" and report.said() == ()
    assert "simulated" not in first_screen(report) and "split nsd-shared1000</span>" in first_screen(report)


def test_a_run_whose_samples_were_not_signed_is_known_by_its_card(tmp_path: Path) -> None:
    assert judged(a_run(tmp_path, card={**CARD, "simulated": ZERO})).simulated == ZERO


def test_a_samples_folder_that_was_copied_away_takes_its_badge_along(tmp_path: Path) -> None:
    a_run(tmp_path / "run", simulated=ZERO, card=CARD)
    shutil.copytree(tmp_path / "run/samples", tmp_path / "mine")
    assert BADGE in first_screen(judged(tmp_path / "mine"))


def test_signing_a_folder_of_samples_writes_one_file_and_no_line(tmp_path: Path) -> None:
    for _ in range(2):
        SampleWriter(tmp_path / "signed", simulated=ZERO).close()
    SampleWriter(tmp_path / "plain").close()
    assert sorted(path.name for path in (tmp_path / "signed").iterdir()) == ["index.jsonl", "simulation.json"]
    assert [path.name for path in (tmp_path / "plain").iterdir()] == ["index.jsonl"]


def test_how_much_was_recorded_stands_at_the_top(tmp_path: Path) -> None:
    header = first_screen(judged(a_run(tmp_path, card=CARD)))
    for said in (
        "subject subj01", "3000 trials", "1000 stimuli", "900 for training", "100 for testing",
        "1 to 3 repeats a stimulus", "4 sessions", "5998 voxels", "6 stimuli judged",
    ):  # fmt: skip
        assert f"<span>{said}</span>" in header


@pytest.mark.parametrize("folds", [1, 10])
def test_folds_are_counted_with_their_sizes(tmp_path: Path, folds: int) -> None:
    splits = [{"name": f"leave-out-{n}", "train": 90 + n % 2, "test": 10} for n in range(folds)]
    header = first_screen(judged(a_run(tmp_path, card={"data": DATA, "splits": splits})))
    assert ("10 folds" in header, "90 to 91 for training" in header) == (folds > 1, folds > 1)
    assert "10 for testing" in header


@pytest.mark.parametrize("strange", [None, "x", [], {"a": 1}, [None], [["y"]], 3, True])
def test_a_card_of_a_stranger_may_hold_anything(tmp_path: Path, strange: Any) -> None:
    card = {"data": dict.fromkeys(DATA, strange), "splits": strange}
    assert "6 stimuli" in first_screen(judged(a_run(tmp_path / "inner", card=card)))
    assert judged(a_run(tmp_path / "outer", card={"data": strange, "simulated": strange})).page.is_file()


# ---- the judge's world


def test_photographs_before_a_judge_of_drawn_scenes_are_said_in_the_first_screen(tmp_path: Path) -> None:
    report = judged(a_run(tmp_path), "miniature")
    assert report.card["evaluation"]["judge"]["world"] == "drawn scenes of afterimage's simulator, 32 kinds"
    header = first_screen(report)
    assert "The judge miniature knows drawn scenes only" in header and "not known to be such" in header
    assert "of these it names right: category" in header


def test_drawn_scenes_before_it_need_no_word(tmp_path: Path) -> None:
    a_run(tmp_path, simulated=ZERO)
    assert "drawn scenes only" not in first_screen(judged(tmp_path, "miniature"))


def test_whose_the_references_are_counts_and_not_whose_the_samples_are(tmp_path: Path) -> None:
    """A simulated run's samples beside photographs, and anybody's samples beside the run's own references."""
    run = a_run(tmp_path / "run", simulated=ZERO)
    shutil.copytree(run / "samples/references", tmp_path / "photographs")
    shutil.copytree(run / "samples/decoded", tmp_path / "mine")
    assert "drawn scenes only" in first_screen(
        judged(run, "miniature", references=tmp_path / "photographs", out=tmp_path / "1")
    )
    beside = judged(tmp_path / "mine", "miniature", references=run / "samples/references", out=tmp_path / "2")
    assert beside.said() == ()


def test_every_judge_that_opens_here_says_its_world(judge: str) -> None:
    worlds = {name: CATALOGUE[name].open().card["world"] for name in ("miniature", "miniature-sound", "pixels", "mels")}
    assert worlds["miniature-sound"].startswith("synthesized sounds of afterimage's simulator, ")
    assert worlds["pixels"] == worlds["mels"] == NO_NETWORK
    mine = find_judge(judge).open().card
    assert mine["world"] == UNSAID and mine["vocabulary"] == "category 3, colour 2"
    assert {name: drawn_only({"world": one}) for name, one in worlds.items()} == {
        "miniature": True, "miniature-sound": True, "pixels": False, "mels": False,
    }  # fmt: skip
    assert not drawn_only(mine)


def test_a_judge_of_ones_own_says_what_its_card_says(tmp_path: Path) -> None:
    home = tiny_judge(tmp_path / "mine")
    (home / "card.json").write_text(json.dumps({"data": "photographs\n of dogs"}))
    assert find_judge(str(home)).open().card["world"] == "photographs of dogs"


def test_sounds_before_a_judge_of_synthesized_ones_are_said() -> None:
    card = CATALOGUE["miniature-sound"].open().card
    (line,) = world_lines(card, "", modality="sound")
    assert "miniature-sound knows synthesized sounds only" in line and "other sounds is untested" in line
    assert world_lines(card, ZERO, modality="sound") == ()


# ---- the judge's words


def test_labels_that_the_judge_has_no_word_for_are_not_computed(tmp_path: Path, judge: str) -> None:
    report = judged(a_run(tmp_path, labels=("six", "seven")), judge)
    assert report.score("decoded", "category") is None
    assert "category: the judge does not know 'seven' and 'six'" in report.absent
    assert "category" not in report.card["evaluation"]["judge right about the references"]
    assert "it has a word for the category of 0 of 6 references, and what asks for the category is not computed" in (
        first_screen(report)
    )
    # needs no word of the judge: two-way among the references that share a label
    assert report.score("decoded", "two_way_within_category") is not None
    assert report.score("decoded", "category_pseudo") is not None


def test_labels_of_both_kinds_are_computed_over_those_that_it_knows(tmp_path: Path, judge: str) -> None:
    report = judged(a_run(tmp_path, labels=("faces", "six", "")), judge)
    found, sure = report.score("decoded", "category"), report.card["evaluation"]
    assert found is not None and found.n == 2
    assert [found.ids[at] for at in np.flatnonzero(np.isfinite(found.values))] == ["nsd00000", "nsd00003"]
    assert sure["labels that the judge has words for"] == {"category": {"known": 2, "labelled": 4, "unknown": ["six"]}}
    assert found.value == sure["judge right about the references"]["category"]  # the samples are the references
    assert "computed over the 2 others" in first_screen(report)


def test_labels_that_it_knows_need_no_word(tmp_path: Path, judge: str) -> None:
    report = judged(a_run(tmp_path), judge)
    found = report.score("decoded", "category")
    assert found is not None and found.n == 6 and report.said() == ()


def test_many_unknown_labels_are_counted_and_not_listed(tmp_path: Path, judge: str) -> None:
    report = judged(a_run(tmp_path, labels=tuple("abcdef")), judge)
    assert "category: the judge does not know 'a', 'b' and 4 others" in report.absent


# ---- synthesis


def synthesis(home: Path, *, simulated: str, region: str = "FFA-1") -> str:
    rng = np.random.default_rng(0)
    with SampleWriter(home / "samples", simulated=simulated) as writer:
        for i in range(3):
            writer.write(picture(i), row="guided", stimulus=f"p{i:03d}", index=0, seed=i, method="guided")
    tensors = {f"guide.{row}": rng.normal(size=(n, 1)).astype(np.float32) for row, n in (("guided", 3), ("natural", 9))}
    write_tensors(home / RESPONSES, tensors, kind=KIND, card={"regions": [region]})
    facts = {"signs": {region: 1.0}, "subject": "subj01", "ways": {}}
    (home / "synthesis.json").write_text(json.dumps(facts))
    return report_synthesis(home, seed=0).read_text("utf-8")


def test_a_synthesis_says_whose_brain_it_is(tmp_path: Path) -> None:
    page = synthesis(tmp_path, simulated=ZERO)
    facts = json.loads((tmp_path / "report.json").read_text())
    assert f'<span class="badge">{BADGE}</span>' in page and "no person was scanned" in page
    assert facts["simulated"] == ZERO and facts["judge"]["world"].startswith("drawn scenes")
    assert "subject subj01 (simulated)" in page and "drawn scenes only" not in page


def test_a_synthesis_of_a_recorded_brain_says_what_its_judge_knows(tmp_path: Path) -> None:
    page = synthesis(tmp_path, simulated="")
    assert 'class="badge"' not in page and "knows drawn scenes only" in page and "these pictures" in page


def test_what_was_left_out_of_the_data_stands_at_the_top(tmp_path: Path) -> None:
    notes = ["a_b.hdf5 says no places", *(f"n{i}" for i in range(8))]
    noted = {**DATA, "masked": ["up to 198 of 200 voxels hold NaN in session 1"], "notes": notes}
    report = judged(a_run(tmp_path, card={**CARD, "data": noted, "simulated": ""}))
    assert report.said()[0] == "Up to 198 of 200 voxels hold NaN in session 1."
    assert report.said()[1] == "a_b.hdf5 says no places."  # the name of a file stays what it is
    assert report.said()[-1] == "2 more notes on the data stand in the card." and len(report.said()) == 9
    assert "198 of 200 voxels" in first_screen(report)


def test_copies_on_both_sides_of_a_split_are_said_before_the_numbers(tmp_path: Path) -> None:
    a_run(tmp_path / "run")
    (tmp_path / "trained").mkdir()
    for i in (2, 4):
        near = np.asarray(picture(i), np.int16) + np.arange(16)[:, None, None] % 2
        Image.fromarray(near.clip(0, 255).astype(np.uint8)).save(tmp_path / f"trained/near{i}.png")
    picture(17).save(tmp_path / "trained/other.png")
    how = Judging(judge="pixels", bootstrap=100, permutations=99, train=tmp_path / "trained")
    report = evaluate(tmp_path / "run", references=None, how=how)
    (said,) = report.said()
    assert said.startswith("2 test stimuli are training stimuli, or nearly so ('nsd00002' and 'nsd00004')")
    assert "nsd00004" in first_screen(report)
    assert copied_lines({"exact": [], "near": [], "sentences": ["none"]}) == () == copied_lines({})


@pytest.mark.parametrize("judge_name", ["pixels", "mels"])
def test_a_judge_that_cannot_tell_the_references_apart_is_said_to_be_blind(tmp_path: Path, judge_name: str) -> None:
    """Pictures of one colour each, and one sound for all: decoded perfectly, and nothing was shown."""
    with SampleWriter(tmp_path / "samples") as writer:
        for i in range(6):
            if judge_name == "pixels":
                shown: Any = Image.new("RGB", (16, 16), (10 * i, 200, 90))
            else:
                shown = (0.1 * np.sin(np.arange(16000) / 20)).astype(np.float32)
            writer.reference(shown, stimulus=f"s{i}", labels={})
            writer.write(shown, row="decoded", stimulus=f"s{i}", index=0, seed=0, method="tiny")
    report = judged(tmp_path, judge_name)
    assert report.findings.apart < 0.75
    assert any(said.startswith(f"The judge {judge_name} does not tell all these references") for said in report.said())
    what = "pictures" if judge_name == "pixels" else "sounds"
    assert f"The judge cannot tell these {what} from one another" in first_screen(report)


def test_references_are_told_apart_where_no_two_are_the_same() -> None:
    features = np.random.default_rng(0).normal(size=(600, 9)).astype(np.float32)
    assert told_apart(features) == 1.0 and np.isnan(told_apart(features[:1]))
    features[1] = features[0]  # the two tie with each other: half of one rival of 599, twice
    assert told_apart(features) == pytest.approx(1 - 1 / 599 / 600)


def test_files_that_are_named_like_no_reference_are_said_at_the_top(tmp_path: Path) -> None:
    for name, numbers, made in (("refs", range(10), picture), ("mine", range(1, 11), drawn)):
        (tmp_path / name).mkdir()
        for i in numbers:
            made(i).save(tmp_path / name / f"{i}.png")
    report = judged(tmp_path / "mine", references=tmp_path / "refs")
    assert report.said() == (
        "1 of 10 references have no sample ('0') and 1 pictures are named like no reference ('10.png'): what is scored "
        "is the rest; see that both sides count alike.",
    )
