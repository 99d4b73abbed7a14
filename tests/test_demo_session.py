"""The demo without a browser: what is seen of a run, drawing again, stopping, two visitors, data that are gone."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest
import soundfile
from PIL import Image

from app.cli import main
from app.demo import session
from app.demo.compare import common, compare_view
from app.demo.knobs import Asked, Objective, command_of, controls, regions
from app.demo.links import link_of, made_with, read_link
from app.demo.looks import bytes_of, chart_of, slice_uris
from app.demo.pages import page
from app.demo.public import unplaced
from app.demo.runs import Run, find_runs, open_runs
from app.demo.session import House
from app.demo.view_types import Trajectories
from app.demo.views import badge, judge_view, rank_view, share_below, sortable, sorted_view, step_to, stimulus_names
from brain.errors import InputError, StorageError, UsageError
from brain.simulated.layouts.tiny_listener import tiny_listener
from brain.voxels import VoxelSpace
from decode.recipes import CATALOGUE
from decode.stages.draw.draw import decode
from decode.stages.draw.steps import Step, Tell
from decode.stages.fit.fit import STAGES, fit
from decode.stages.judge.judge import evaluate_run
from evaluation.report.pages.ladder import number as printed
from evaluation.report.pages.players import common_level, rms
from evaluation.samples.read import read_samples
from tests import sampling
from tests.rounding import rounding
from tests.test_decode_beside import tree
from tests.test_decode_study import words

AGAIN = Asked(strength=0.9, guidance=2.0, steps=4, seed=3, samples=2)


@pytest.fixture(scope="module")
def pictures(planted: Path, tiny_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of pictures, two samples a stimulus, judged by the bundled judge."""
    out = tmp_path_factory.mktemp("runs") / "first"
    plain = [word for word in words(planted, out, tiny_stack, "--seeds", "2") if word not in ("--judge", "pixels")]
    assert main(plain) == 0
    return out


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of sounds on a tiny stack."""
    from pipelines.sounds.tiny import tiny_sound_stack

    data = tiny_listener(tmp_path_factory.mktemp("listener") / "data").root
    recipe = CATALOGUE["c2f-miniature"].settings()
    stack = str(tiny_sound_stack(tmp_path_factory.mktemp("stack") / "tiny"))
    maps = ("clap=association", "loa=auditory", "mel-latent=early")
    asked = sampling.asked(
        recipe, stack=stack, fields="window_s=0.64,hop_s=1.28", maps=maps, steps=3, strength=0.7,
        rows=("decoded", "shuffled", "retrieval"), beside=(), bootstrap=200, permutations=0,
    )  # fmt: skip
    out = tmp_path_factory.mktemp("runs") / "listen"
    fit(data, out, asked, stages=STAGES)
    decode(out, asked, data)
    evaluate_run(out, asked, data)
    return out


@pytest.fixture(scope="module")
def house(pictures: Path, sounds: Path) -> Iterator[House]:
    found = House(open_runs([pictures, sounds]))
    yield found
    found.close()
    assert not found.folder.exists()


def last(stream: Iterator[object]) -> object:
    return list(stream)[-1]


def test_a_stimulus_is_seen_at_once_and_whole_when_the_data_are_open(pictures: Path) -> None:
    house = House(open_runs([pictures]))
    views = list(house.visitor("a").decode("first", "s30"))
    house.close()
    assert views[0].waiting and views[0].brain is None and views[0].rank is None  # nothing was waited for
    view = views[-1]
    assert not view.waiting and not view.missing and (view.place, view.count) == (3, 8)
    assert [tile.title for tile in view.decoded] == ["Decoded, sample 1", "Decoded, sample 2"]
    assert {tile.title for tile in view.controls} >= {"Shuffled brain", "Nearest training image", "True condition"}
    stored = read_samples(pictures, references=None)
    own = {sample.sha256 for sample in (*stored.samples, *stored.references.values()) if sample.stimulus == "s30"}
    shown = {hashlib.sha256(bytes_of(tile.uri)).hexdigest() for tile in (*view.seen, *view.decoded, *view.controls)}
    assert shown <= own
    assert view.brain is not None and {name for name, *_ in view.brain.bars} >= {"early", "ventral", "lateral"}


def test_the_pattern_is_the_measured_one_and_its_bars_are_its_regions_means(house: House) -> None:
    view = last(house.visitor("a").decode("first", "s31"))
    known = house.known("first")
    assert known is not None and known.opened is not None
    responses, fold = known.opened.recording.responses, known.opened.folds[0]
    rows, z = responses.of(["s31"]), np.empty((2, 90))
    for at, trial in enumerate(np.flatnonzero(rows)):
        here = responses.of(fold.train) & (responses.session == responses.session[trial])
        seen = responses.values[here].astype(np.float64)
        z[at] = (responses.values[trial] - seen.mean(0)) / seen.std(0)
    means = {region.name: z.mean(0)[region.mask].mean() for region in known.opened.recording.regions}
    assert len(view.brain.bars) >= 3
    for name, text, _, _ in view.brain.bars:
        assert float(text.replace("−", "-")) == pytest.approx(means[name], abs=0.0051)  # two decimals are printed
    for name, _, width, _ in view.brain.bars:  # one scale for all stimuli: a standard deviation fills half
        assert width == pytest.approx(100 * means[name], abs=0.01)


def test_the_rank_is_the_report_s_own_two_way(house: House) -> None:
    """What the demo says of a stored decode agrees with per_stimulus.csv, stimulus by stimulus."""
    list(house.visitor("a").decode("first", "s30"))
    known, run = house.known("first"), house.run("first")
    assert known is not None and known.pool is not None
    score = run.ladder.score("decoded", "two_way")
    assert score is not None and known.pool.ids == score.ids
    for place, name in enumerate(score.ids):
        both = [known.pool.ranking(known.pool.decoded[name, index], name) for index in (0, 1)]
        assert np.mean([one.share for one in both]) == pytest.approx(score.values[place], abs=rounding(sums=8, scale=1))
        assert all(1 <= one.rank <= one.pool == 8 for one in both)
        assert both[0].rank == 1 + sum(value > dict(both[0].nearest).get(name, -2) for _, value in both[0].nearest) or (
            both[0].rank > 5
        )


def test_drawing_again_gives_what_the_command_draws_and_leaves_the_run_alone(
    house: House, pictures: Path, tmp_path: Path
) -> None:
    """A strength, a guidance, steps and a seed that no run has; the shown bytes are the file's (sha256)."""
    before = tree(pictures)
    views = list(house.visitor("a").draw("first", "s30", AGAIN))
    steps = [view.progress for view in views if view.progress.state == "running" and view.progress.what == "denoising"]
    assert [one.step for one in steps][-1] == steps[-1].steps == int(4 * 0.9)
    assert any(len(view.tiles) == 2 for view in views[:-1])  # it is seen before it is done
    done = views[-1]
    assert done.badge == "recorded brain" == views[0].badge and "recorded brain" in page("draw", view=done)
    assert done.progress.state == "done" and done.rank is not None and "of the 7 others" in done.rank.sentence
    line = shlex.split(done.command.replace("FOLDER", str(tmp_path / "again")))
    assert main(line[1:]) == 0
    stored = read_samples(tmp_path / "again", references=None).of("decoded")
    shown = [hashlib.sha256(bytes_of(tile.uri)).hexdigest() for tile in done.tiles]
    assert shown == [sample.sha256 for sample in stored] and len(set(shown)) == 2
    assert tree(pictures) == before


def test_silenced_regions_are_drawn_as_the_command_draws_them_and_the_picture_says_so(
    house: House, tmp_path: Path
) -> None:
    asked = replace(AGAIN, samples=1, silenced=("early",))
    whole = last(house.visitor("a").draw("first", "s30", replace(asked, silenced=())))
    done = last(house.visitor("a").draw("first", "s30", asked))
    assert done.silenced == ("early",) and "Silenced: early." in page("draw", view=done)
    line = shlex.split(done.command.replace("FOLDER", str(tmp_path / "again")))
    assert line[line.index("--silence") + 1] == "early" and main(line[1:]) == 0
    (stored,) = read_samples(tmp_path / "again", references=None).of("decoded")
    (tile,) = done.tiles
    assert hashlib.sha256(bytes_of(tile.uri)).hexdigest() == stored.sha256
    assert bytes_of(tile.uri) != bytes_of(whole.tiles[0].uri)
    with Image.open(io.BytesIO(bytes_of(tile.signed))) as signed, Image.open(io.BytesIO(bytes_of(tile.uri))) as plain:
        assert np.array_equal(np.asarray(signed), np.asarray(plain))
        facts = json.loads(signed.text["afterimage"])
    assert (facts["seed"], facts["silenced"], facts["stimulus"]) == (3, ["early"], "s30")
    assert facts["sample seed"] == stored.seed and str(house.run("first").folder.path) not in json.dumps(facts)
    assert facts["command"].startswith("afterimage decode first --stimuli s30")
    failed = last(house.visitor("a").draw("first", "s30", replace(asked, silenced=("nowhere",))))
    assert failed.progress.state == "failed" and "nowhere" in failed.progress.what


def test_a_link_says_the_state_and_strangers_links_say_nothing(house: House) -> None:
    run = house.run("first")
    link = link_of(run, "s30", replace(AGAIN, silenced=("early", "lateral")))
    state = read_link(dict(parse_qsl(link.removeprefix("?"))))
    assert (state.tab, state.run, state.stimulus, state.silenced) == ("decode", "first", "s30", ("early", "lateral"))
    assert state.numbers == {"strength": 0.9, "guidance": 2.0, "steps": 4, "seed": 3, "samples": 2}
    odd = read_link({"tab": "x" * 5000, "strength": "nan", "steps": "1e999", "seed": "a", "stimulus": "<b>"})
    assert (odd.tab, odd.numbers, odd.stimulus) == ("", {}, "<b>")


def test_two_runs_stand_beside_each_other_where_they_share_stimuli(
    house: House, pictures: Path, tmp_path: Path
) -> None:
    shutil.copytree(pictures, tmp_path / "again")
    two = open_runs([pictures, tmp_path / "again"])
    view = compare_view(*two.values(), "s31")
    assert (view.place, view.count, view.stimulus) == (4, 8, "s31") and [side[0] for side in view.sides] == list(two)
    assert [tile.title for tile in view.sides[0][3]][:2] == ["Decoded", "Decoded"]
    score = two["first"].ladder.score("decoded", "pixcorr")
    assert score is not None
    (own,) = [own for title, _, own, _ in view.scores if title == "PixCorr"]
    assert own == (f"{score.values[score.ids.index('s31')]:.3f}",) * 2
    (means,) = [means for title, _, _, means in view.scores if title == "PixCorr"]
    about = f"n 8, chance {printed(score.chance)}"
    assert means == ((printed(score.value), about),) * 2 and view.apart == ()
    text = page("compare", view=view)
    assert f"<td>{printed(score.value)}<small>{about}</small></td>" in text
    assert "afterimage compare" in text and "tab=compare&amp;run=first&amp;other=again" in text
    assert common(two["first"], house.run("listen")) == []
    with pytest.raises(UsageError, match="nowhere"):
        compare_view(*two.values(), "nowhere")


def changed(run: Path, to: Path, change: Callable[[Any], None]) -> list[Run]:
    """The run, and a copy of it in whose report.json something is changed."""
    shutil.copytree(run, to)
    place = to / "report" / "report.json"
    facts = json.loads(place.read_text())
    change(facts)
    place.write_text(json.dumps(facts))
    return list(open_runs([run, to]).values())


def other_judge(facts: Any) -> None:
    facts["card"]["evaluation"]["judge"]["sha256"] = "0" * 64


def other_profile(facts: Any) -> None:
    facts["card"]["evaluation"]["profile"] = "dimmed"


def folded(facts: Any) -> None:
    facts["design"]["folds"] = 4


def test_scores_by_another_judge_do_not_stand_beside_each_other(pictures: Path, tmp_path: Path) -> None:
    view = compare_view(*changed(pictures, tmp_path / "again", other_judge), "s31")
    dashed = {title for title, _, own, means in view.scores if own[1] == "–" and means[1] == ("–", "")}
    both = {title for title, _, own, means in view.scores if "–" not in (*own, means[0][0], means[1][0])}
    assert "PixCorr" in both and "Two-way" in dashed and len(both | dashed) == len(view.scores)
    (sentence,) = view.apart
    assert "Two-way" in sentence and "another version of it" in sentence
    assert sentence.replace("'", "&#39;") in page("compare", view=view)


@pytest.mark.parametrize(("change", "why"), [(other_profile, "under profile dimmed"), (folded, "in 4 folds")])
def test_nothing_of_another_design_stands_beside_a_run(
    change: Callable[[Any], None], why: str, pictures: Path, tmp_path: Path
) -> None:
    view = compare_view(*changed(pictures, tmp_path / "again", change), "s31")
    assert view.scores == () and why in " ".join(view.apart) and why in page("compare", view=view)


def test_scores_that_hang_on_the_pool_need_the_same_pool(pictures: Path, tmp_path: Path) -> None:
    two = changed(pictures, tmp_path / "again", lambda facts: None)
    place = two[1].folder.report / "per_stimulus.csv"
    place.write_text("".join(line for line in place.read_text().splitlines(keepends=True) if "s33" not in line))
    view = compare_view(*two, "s31")
    numbers = {title: (own, means) for title, _, own, means in view.scores}
    assert numbers["PixCorr"][1][1][1].startswith("n 7, chance ") and numbers["PixCorr"][0][1] != "–"
    assert numbers["Two-way"][0][1] == numbers["Two-way"][1][1][0] == "–"
    assert numbers["Two-way"][1][0][1] == "n 8, chance 0.500"
    assert len(view.apart) == 1 and "7 stimuli" in view.apart[0]


def test_a_run_without_a_report_says_so_beside_another(pictures: Path, tmp_path: Path) -> None:
    two = changed(pictures, tmp_path / "again", lambda facts: None)
    shutil.rmtree(two[1].folder.report)
    view = compare_view(*two, "s31")
    assert view.scores == () and "afterimage evaluate" in view.apart[0]


def test_drawing_with_the_run_s_own_settings_gives_the_run_s_own_samples(house: House) -> None:
    run = house.run("first")
    own = run.settings.method(run.settings.sampling.method)
    asked = Asked(strength=own.strength, guidance=own.guidance, steps=own.steps, seed=0, samples=2)
    done = last(house.visitor("b").draw("first", "s32", asked))
    shown = [hashlib.sha256(bytes_of(tile.uri)).hexdigest() for tile in done.tiles]
    assert shown == [sample.sha256 for sample in run.of("decoded", "s32")]


def test_a_stopped_drawing_says_so_and_the_next_one_is_drawn(house: House) -> None:
    visitor = house.visitor("a")
    views = []
    for view in visitor.draw("first", "s30", replace(AGAIN, steps=60)):
        views.append(view)
        if view.progress.state == "running":
            visitor.stop()
    assert views[-1].progress.state == "stopped" and "nothing was kept" in views[-1].progress.what
    assert last(visitor.draw("first", "s30", AGAIN)).progress.state == "done"


def test_a_closed_drawing_ends_and_another_click_in_the_middle_starts_nothing(house: House) -> None:
    visitor = house.visitor("a")
    stream = visitor.draw("first", "s30", replace(AGAIN, steps=500))
    for view in stream:
        if view.progress.state == "running":
            break
    stream.close()  # what gradio does when a tab is closed
    assert last(visitor.draw("first", "s31", AGAIN)).progress.state == "done"
    older = visitor.draw("first", "s30", replace(AGAIN, steps=500))
    next(older)
    assert list(visitor.draw("first", "s31", AGAIN)) == []
    (told,) = visitor.synthesize("first", Objective(region="early"))
    assert told.progress.state == "failed" and "at something else" in told.progress.what
    visitor.stop("synthesis")  # the other tab's button
    assert next(older).progress.state != "left"
    visitor.stop("image", left=True)
    assert last(older).progress.state == "left"
    assert last(visitor.draw("first", "s31", AGAIN)).progress.state == "done"


def test_two_visitors_have_folders_that_only_they_read_and_that_go_with_them(house: House) -> None:
    one, two = house.visitor("one"), house.visitor("two")
    assert one is house.visitor("one") and one.folder != two.folder
    list(one.draw("first", "s30", AGAIN))
    for folder in (house.folder, one.folder, two.folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(one.folder.rglob("*.png")) and not list(two.folder.iterdir())
    list(one.draw("first", "s31", AGAIN))
    assert {path.stem[:3] for path in one.folder.rglob("decoded/*.png")} == {"s31"}  # one drawing is kept, the latest
    house.leave("one")
    assert not one.folder.exists() and two.folder.exists()


def test_who_is_at_work_is_not_turned_out_by_newcomers(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in list(house._visitors):
        house.leave(key)
    monkeypatch.setattr(session, "VISITORS", 2)
    stream = house.visitor("at work").draw("first", "s30", replace(AGAIN, steps=500))
    next(stream)
    uploading = house.visitor("uploading")
    uploading.upload.open_inbox()
    with pytest.raises(StorageError, match="try again"):
        house.visitor("newcomer")
    stream.close()
    assert house.visitor("newcomer").folder.exists() and uploading.folder.exists()
    house.leave("uploading")


def test_leaving_for_another_stimulus_ends_a_drawing_and_what_was_asked_for_since_goes_on(house: House) -> None:
    visitor = house.visitor("leaving")
    stream = visitor.draw("first", "s30", replace(AGAIN, steps=500))
    assert next(stream).progress.state in ("waiting", "running")
    assert not visitor.leave_for("first", "s30", "image")  # its own change comes late
    assert next(stream).progress.state in ("waiting", "running")
    assert not list(visitor.draw("first", "s31", AGAIN))  # the first one is at work, and stays what is drawn
    assert visitor.leave_for("first", "s31", "image")
    *_, last = stream
    assert last.progress.state == "left"
    assert list(visitor.draw("first", "s31", AGAIN))[-1].progress.state == "done"
    assert not visitor.leave_for("first", "s31", "image") and visitor.leave_for("other", "s31", "image")
    house.leave("leaving")


def test_strangers_are_shown_no_path_of_this_machine(pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "it's mine")
    runs = unplaced(open_runs([tmp_path / "it's mine"]))
    (run,) = runs.values()
    texts = [command_of(run, "s30", AGAIN), json.dumps(made_with(run, "s30", AGAIN)), judge_view(run).note]
    assert not any(str(tmp_path) in text for text in texts)
    assert shlex.split(texts[0])[2] == "it's mine" and "--strength 0.9" in json.loads(texts[1])["command"]


def test_a_stranger_with_a_thousand_names_is_one_of_a_few(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "VISITORS", 3)
    folders = [house.visitor(f"name {number}").folder for number in range(50)]
    assert [folder.exists() for folder in folders] == [False] * 47 + [True] * 3


def test_a_percentage_of_all_is_all_of_them() -> None:
    natural = np.arange(3000.0)
    assert share_below(natural, 2999.5) == "100.0 %" and share_below(natural, 2999.0) == "99.9 %"
    assert share_below(natural, 0.0) == "0.0 %"


def test_only_so_many_wait(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "WAITING", 2)
    streams = [house.visitor(f"v{number}").draw("first", "s30", replace(AGAIN, steps=300)) for number in range(3)]
    first = [next(stream) for stream in streams]
    assert [view.progress.state == "failed" for view in first] == [False, False, True]
    assert "2 drawings or syntheses are at work or waiting" in first[2].progress.what
    for stream in streams:
        stream.close()
    assert last(house.visitor("v0").draw("first", "s30", AGAIN)).progress.state == "done"


def test_the_chart_keeps_its_steps_however_slow_they_are(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two steps somebody who follows hears many times that nothing is new."""
    monkeypatch.setattr("decode.stages.draw.steps.BEAT", 0.01)

    def slow(tell: Tell) -> str:
        for step in range(1, 6):
            time.sleep(0.06)
            tell(Step(what="guided", step=step, steps=5, values=(float(step), 2.0 * step)))
        return "made"

    courses, told = Trajectories(), 0
    for _, step, _ in house.visitor("a").follow("synthesis", slow):
        courses.add(step)
        told += 1
    assert told > 15 and courses.values == [[1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 4.0, 6.0, 8.0, 10.0]]
    courses.add(Step(what="guided", step=1, steps=5, values=(7.0,)))
    assert courses.values == [[7.0]]  # the next loop


def test_a_command_names_every_digit(house: House) -> None:
    words = command_of(house.run("first"), "s30", replace(AGAIN, strength=0.123456789)).split()
    assert float(words[words.index("--strength") + 1]) == 0.123456789


def test_data_that_come_back_are_opened(pictures: Path, planted: Path, tmp_path: Path) -> None:
    place, data = tmp_path / "runs" / "back", tmp_path / "data.h5"
    shutil.copytree(pictures, place)
    facts = json.loads((place / "settings.json").read_text())
    (place / "settings.json").write_text(json.dumps({**facts, "data": "../../data.h5"}))
    house = House(open_runs([place]))
    assert last(house.visitor("a").decode("back", "s30")).missing
    shutil.copy(planted, data)
    assert not last(house.visitor("a").decode("back", "s30")).missing
    house.close()


def test_data_that_are_damaged_are_opened_once_and_said(pictures: Path, tmp_path: Path) -> None:
    """A file that is there and no data is not opened anew at every look, as one that may come back is."""
    place = tmp_path / "runs" / "torn"
    shutil.copytree(pictures, place)
    facts = json.loads((place / "settings.json").read_text())
    (place / "settings.json").write_text(json.dumps({**facts, "data": "../../data.h5"}))
    (tmp_path / "data.h5").write_bytes(b"no data at all")
    house = House(open_runs([place]))
    first = last(house.visitor("a").decode("torn", "s30"))
    assert "data.h5" in first.missing[0] and first.rank is not None
    assert len(list(house.visitor("a").decode("torn", "s31"))) == 1
    house.close()


def test_ties_are_said_and_what_cannot_be_ranked_is_not(house: House) -> None:
    list(house.visitor("a").decode("first", "s30"))
    known, run = house.known("first"), house.run("first")
    assert known is not None and known.pool is not None
    flat = np.zeros_like(known.pool.references[0])
    found = known.pool.ranking(flat, "s30")
    assert found is not None and (found.rank, found.tied, found.share) == (1, 7, 0.5)
    assert "7 others are exactly as similar" in rank_view(run, found, "s30").sentence
    assert known.pool.ranking(np.full_like(flat, np.nan), "s30") is None


def test_a_fault_of_ours_is_one_sentence_too(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(tell: Tell) -> str:
        raise ZeroDivisionError("ours")

    ((progress, _, _),) = house.visitor("a").follow("image", broken)
    assert progress.state == "failed" and "unexpected ZeroDivisionError" in progress.what
    assert "Traceback" in capsys.readouterr().err  # for whoever mends it


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"strength": 0.0}, "--strength: expected above 0"), ({"steps": 0}, "--steps: expected 1"),
        ({"guidance": float("nan")}, "--guidance"), ({"samples": 9}, "samples: expected 1 to 4"),
        ({"samples": 0}, "samples: expected 1 to 4"), ({"steps": 5000}, "--steps: expected 1 to 1000"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_drawn_with_is_one_sentence(house: House, more: dict[str, float], says: str) -> None:
    try:
        found = last(house.visitor("a").draw("first", "s30", replace(AGAIN, **more))).progress
        assert found.state == "failed"
        sentence = found.what
    except UsageError as error:
        sentence = str(error)
    assert says in sentence


def test_unknown_names_are_refused_whatever_a_browser_sends(house: House) -> None:
    visitor = house.visitor("a")
    with pytest.raises(UsageError, match="no run is called"):
        list(visitor.decode("../first", "s30"))
    with pytest.raises(UsageError, match="no test stimulus is called"):
        list(visitor.decode("first", "../../etc/passwd"))
    assert last(visitor.draw("first", "nobody", AGAIN)).progress.state == "failed"
    assert last(visitor.synthesize("first", Objective(region="nowhere"))).progress.state == "failed"
    with pytest.raises(UsageError, match="another region"):
        list(visitor.synthesize("first", Objective(region="early", against="early")))
    with pytest.raises(UsageError, match="pictures: expected"):
        list(visitor.synthesize("first", Objective(region="early", pictures=99)))


def test_a_run_whose_data_are_gone_shows_what_it_has_and_says_what_is_missing(pictures: Path, tmp_path: Path) -> None:
    place = tmp_path / "far" / "from" / "its" / "data" / "alone"
    shutil.copytree(pictures, place)
    house = House(open_runs([place]))
    visitor = house.visitor("a")
    view = last(visitor.decode("alone", "s30"))
    assert view.seen and view.decoded and view.controls and view.rank is not None and view.brain is None
    assert "expected the data of this run, found nothing there" in view.missing[0]
    assert "planted.h5" in page("beside", view=view)
    drawn = last(visitor.draw("alone", "s30", AGAIN))
    assert drawn.progress.state == "failed" and "data of this run" in drawn.progress.what
    assert judge_view(house.run("alone")).panels
    house.close()


def test_one_damaged_picture_is_one_tile(pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "cut")
    (tmp_path / "cut/samples/decoded/s30-0.png").write_bytes(b"cut")
    run = open_runs([tmp_path / "cut"])["cut"]
    strips = {name: tiles for name, _, tiles in sorted_view(run, "two_way", worst=True, first=0).strips}
    assert strips["s30"][1].uri == "" and "cannot be shown" in strips["s30"][1].note
    assert all(tile.uri for name, tiles in strips.items() if name != "s30" for tile in tiles)


def test_who_leaves_in_the_middle_leaves_no_folder(pictures: Path) -> None:
    house = House(open_runs([pictures]))
    visitor = house.visitor("a")
    for pause in (0, 1, 2):
        stream = visitor.draw("first", "s30", replace(AGAIN, steps=200))
        for _ in range(pause + 1):
            next(stream)
        house.leave("a")
        stream.close()
        house.worker.close() if pause == 2 else None
        visitor = house.visitor("a")
    house.close()
    assert not house.folder.exists()


def test_a_run_without_a_report_says_how_to_get_one(pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "report")
    run = open_runs([tmp_path / "bare"])["bare"]
    assert judge_view(run).panels == () and "afterimage evaluate" in judge_view(run).note and sortable(run) == []
    assert "afterimage evaluate" in page("judge", view=judge_view(run))


def test_what_is_no_finished_run_is_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a run"):
        open_runs([tmp_path])
    with pytest.raises(UsageError, match="found it twice"):
        open_runs([pictures, pictures.parent / "." / "first"])
    shutil.copytree(pictures, tmp_path / "unfinished")
    shutil.rmtree(tmp_path / "unfinished" / "samples")
    with pytest.raises(InputError, match="a finished run"):
        open_runs([tmp_path / "unfinished"])
    assert find_runs(pictures.parent) == [pictures] and find_runs(tmp_path / "none") == []
    other = tmp_path / "other" / "first"
    shutil.copytree(pictures, other)
    assert len(open_runs([pictures, other])) == 2  # two of one name are told apart


def test_players_of_a_stimulus_are_equally_loud_and_what_is_saved_is_the_file(house: House) -> None:
    view = last(house.visitor("a").decode("listen", house.run("listen").stimuli[0]))
    tiles = (*view.seen, *view.decoded, *view.controls)
    levels = []
    for tile in tiles:
        wave, rate = soundfile.read(io.BytesIO(bytes_of(tile.wav)))
        assert rate == 16000 and np.abs(wave).max() <= 1
        levels.append(rms(wave.astype(np.float32)))
    assert max(levels) - min(levels) <= 2 / 2**15 and max(levels) <= 0.1 + 1 / 2**15
    stored = {sample.sha256 for sample in house.run("listen").samples.samples}
    assert {hashlib.sha256(bytes_of(tile.file)).hexdigest() for tile in view.decoded} <= stored
    assert all(Image.open(io.BytesIO(bytes_of(tile.uri))).size == (256, 128) for tile in tiles)
    assert any("(" in tile.note for tile in view.controls if tile.title == "Nearest training sound")


def test_sounds_are_drawn_again_as_the_command_does(house: House, tmp_path: Path) -> None:
    name = house.run("listen").stimuli[1]
    views = list(house.visitor("a").draw("listen", name, replace(AGAIN, samples=1)))
    assert views[-1].progress.state == "done" and any(view.tiles for view in views[:-1])
    line = shlex.split(views[-1].command.replace("FOLDER", str(tmp_path / "again")))
    assert main(line[1:]) == 0
    (stored,) = read_samples(tmp_path / "again", references=None).of("decoded")
    assert hashlib.sha256(bytes_of(views[-1].tiles[0].file)).hexdigest() == stored.sha256


def test_the_common_level_clips_nobody_and_silence_is_not_turned_up() -> None:
    rng = np.random.default_rng(0)
    soft, spiky = rng.normal(0, 0.01, 4000).astype(np.float32), np.zeros(4000, np.float32)
    spiky[::400] = 0.9
    level = common_level([soft, spiky, np.zeros(4000, np.float32)])
    assert 0 < level < 0.1 and np.abs(spiky * (level / rms(spiky))).max() <= 0.99 + 1 / 2**15
    assert common_level([soft]) == 0.1


def test_slices_lie_on_the_data_s_own_grid_turned_to_the_nearest_axes() -> None:
    """A voxel at the left front of the lowest slice is red at the top left, whichever way the axes are stored."""
    ijk = np.array([[0, 3, 0], [4, 0, 0], [2, 2, 2]])
    values = np.array([2.5, -2.5, 0], np.float32)
    for signs in ((1, 1, 1), (-1, 1, 1), (1, -1, -1)):
        turned = np.where(np.array(signs) > 0, ijk, np.array([4, 3, 2]) - ijk)
        affine = np.diag([*(2.0 * np.array(signs)), 1.0])
        space = VoxelSpace(subject="s", name="native", betas="b", unit="z", shape=(5, 4, 3), affine=affine, ijk=turned)
        planes = [Image.open(io.BytesIO(bytes_of(uri))).convert("RGBA") for uri in slice_uris(values, space)]
        assert [plane.size for plane in planes] == [(5, 4), (5, 4)]  # the slice between them holds no voxel
        red, _, blue, opaque = planes[0].getpixel((0, 0))
        assert red > blue and opaque == 255
        red, _, blue, _ = planes[0].getpixel((4, 3))
        assert blue > red and planes[0].getpixel((2, 1))[3] == 0


def test_charts_have_room_for_every_step_and_none_before_there_are_two() -> None:
    assert chart_of([], steps=5) is None and chart_of([[1.0]], steps=5) is None
    chart = chart_of([[0.0, 2.0], [1.0, -1.0]], steps=5)
    assert chart is not None and (chart.low, chart.high) == ("−1.0", "2.0")
    assert chart.lines[0] == ("0.00,26.67 25.00,0.00", "2.00") and chart.lines[1][1] == "−1.00"


def test_the_worst_are_as_easy_to_reach_as_the_best(house: House) -> None:
    run = house.run("first")
    score = run.ladder.score("decoded", "two_way")
    assert score is not None and "two_way" in dict((name, title) for title, name in sortable(run))
    worst = sorted_view(run, "two_way", worst=True, first=0)
    best = sorted_view(run, "two_way", worst=False, first=0)
    values = dict(zip(score.ids, score.values, strict=True))
    assert [values[name] for name, *_ in worst.strips] == sorted(score.values)
    assert [values[name] for name, *_ in best.strips] == sorted(score.values, reverse=True)
    assert sorted_view(run, "two_way", worst=True, first=999).first == 0 and worst.count == 8
    with pytest.raises(UsageError, match="no metric is called"):
        sorted_view(run, "tow_way", worst=True, first=0)


def test_less_is_better_is_sorted_the_other_way_round(house: House) -> None:
    run = house.run("first")
    flipped = replace(run.ladder, scores=tuple(replace(one, lower=True) for one in run.ladder.scores))
    other = sorted_view(replace(run, ladder=flipped), "two_way", worst=True, first=0)
    best = sorted_view(run, "two_way", worst=False, first=0)
    assert [score for _, score, _ in other.strips] == [score for _, score, _ in best.strips]


def test_the_ladder_is_the_report_s(house: House, pictures: Path) -> None:
    """The same panels and numbers as the page that the report is."""
    html, report = page("judge", view=judge_view(house.run("first"))), (pictures / "report/report.html").read_text()
    svg = html[html.index("<svg") : html.index("</svg>")]
    table = html[html.index("<tbody>") : html.index("</tbody>")]
    assert svg in report and table in report


def test_stepping_goes_around_and_names_say_what_was_shown(house: House) -> None:
    run = house.run("first")
    assert step_to(run, "s28", -1) == "s35" and step_to(run, "s35", 1) == "s28" and step_to(run, "gone", 1) == "s29"
    assert stimulus_names(run)[0][1] == "s28" and "28" in stimulus_names(run)[0][0]


def test_knobs_are_the_run_s_own_and_one_that_changes_nothing_is_out_of_use(house: House) -> None:
    run = house.run("first")
    knobs = controls(run)
    assert {name: knob.value for name, knob in knobs.items()} == {
        "strength": 0.8, "guidance": 5.0, "steps": 3, "seed": 0, "samples": 1,
    }  # fmt: skip
    assert all(knob.low <= knob.value <= knob.high and knob.help.endswith(".") and knob.used for knob in knobs.values())
    unclip = sampling.asked(run.settings, maps=("clip-image=early",), method="unclip")
    assert not controls(replace(run, settings=unclip))["strength"].used
    assert set(regions(run)) >= {"early", "ventral", "lateral", "nsdgeneral"}
    assert "--beside" not in command_of(run, "s30", AGAIN)


def test_whose_brain_it_is_is_always_said(house: House) -> None:
    run = house.run("first")
    assert badge(run) == "recorded brain" and run.simulated == ""
    assert badge(replace(run, simulated="afterimage simulate, seed 0")).startswith("simulated brain")
    assert "does not say" in badge(replace(run, simulated=None))
    assert house.run("listen").card["simulated"] == house.run("listen").simulated


def test_text_of_a_stranger_stays_text(house: House) -> None:
    run = house.run("first")
    evil = '<img src=x onerror="alert(1)">'
    view = last(house.visitor("a").decode("first", "s30"))
    bad = replace(view, captions=(evil,), labels=(evil,), stimulus=evil, missing=(evil,))
    html = page("seen", view=bad) + page("beside", view=bad) + page("message", kind="failed", text=evil)
    html += page("head", badge=badge(replace(run, simulated=evil)), simulated=True, headline=evil)
    assert evil not in html and "&lt;img src=x" in html


def test_memory_does_not_grow_with_drawings(house: House) -> None:
    """After sixty drawings within 10 % of that after twenty: the next drawing takes the place of the last one."""
    visitor = house.visitor("long")
    sizes = []
    for number in range(60):
        last(visitor.draw("first", f"s{28 + number % 8}", replace(AGAIN, seed=number, samples=1)))
        if number in (19, 59):
            sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    assert sizes[1] <= 1.1 * sizes[0]
