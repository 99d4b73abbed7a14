"""Drawing beside a finished run: the run stays as it is, the same settings give the same files, others are refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import pytest

from app.cli import main
from brain.errors import InputError, StorageError, UsageError
from decode.run.folder import RunFolder
from decode.run.settings import Settings
from decode.stages.draw.beside import draw_beside, drawn_of
from decode.stages.draw.opened import Opened
from evaluation.samples.read import read_samples
from evaluation.samples.rows import REFERENCE
from pipelines.drawing import Glimpse
from tests import sampling
from tests.test_decode_study import words


@pytest.fixture(scope="module")
def run(planted: Path, tiny_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study by the default recipe, two samples a stimulus."""
    out = tmp_path_factory.mktemp("runs") / "first"
    assert main(words(planted, out, tiny_stack, "--seeds", "2")) == 0
    return out


@pytest.fixture(scope="module")
def opened(run: Path) -> Opened:
    stored, data = RunFolder(run).stored()
    return Opened(run=RunFolder(run), settings=stored, data=data)


@pytest.fixture
def asked(run: Path) -> Settings:
    """What the run was made with, of the decoded row alone."""
    stored, _ = RunFolder(run).stored()
    return with_decode(stored, rows=("decoded",))


def with_decode(settings: Settings, **more: Any) -> Settings:
    return sampling.asked(settings, **more)


def tree(folder: Path) -> dict[str, tuple[str, int]]:
    """File -> sha256 and when it was written, of all that lies under `folder`."""
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_settings_give_the_run_s_own_files_and_leave_the_run_alone(
    run: Path, opened: Opened, asked: Settings, tmp_path: Path
) -> None:
    before = tree(run)
    drawn = draw_beside(opened, asked, to=tmp_path / "again", stimuli=("s30",))
    assert [one.row for one in drawn] == [REFERENCE, "decoded", "decoded"]
    theirs = {
        (one.index, one.sha256) for one in read_samples(run, references=None).of("decoded") if one.stimulus == "s30"
    }
    assert {(one.index, one.sha256) for one in drawn_of(drawn)} == theirs
    assert tree(run) == before


@pytest.mark.parametrize(
    "more", [{"strength": 0.37, "steps": 8}, {"guidance": 1.5}, {"steps": 5}, {"scheduler": "ddpm"}], ids=str
)
def test_other_settings_give_other_pictures_from_the_same_seed(
    run: Path, opened: Opened, asked: Settings, tmp_path: Path, more: dict[str, Any]
) -> None:
    (one,) = drawn_of(draw_beside(opened, with_decode(asked, seeds=1, **more), to=tmp_path / "again", stimuli=("s30",)))
    theirs = next(x for x in read_samples(run, references=None).of("decoded") if x.stimulus == "s30" and x.index == 0)
    assert one.seed == theirs.seed and one.sha256 != theirs.sha256


def test_another_seed_gives_another_picture_whatever_was_drawn_before(
    opened: Opened, asked: Settings, tmp_path: Path
) -> None:
    other = replace(with_decode(asked, seeds=1), machine=replace(asked.machine, seed=7))
    first = drawn_of(draw_beside(opened, other, to=tmp_path / "a", stimuli=("s30",)))
    draw_beside(opened, asked, to=tmp_path / "b", stimuli=("s31",))
    again = drawn_of(draw_beside(opened, other, to=tmp_path / "c", stimuli=("s31", "s30")))
    plain = drawn_of(draw_beside(opened, with_decode(asked, seeds=1), to=tmp_path / "d", stimuli=("s30",)))
    alike = [one.sha256 for one in again if one.stimulus == "s30"]
    assert alike == [first[0].sha256] and plain[0].sha256 != first[0].sha256


def test_every_row_of_the_ladder_can_be_drawn_beside(run: Path, planted: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    assert main(["decode", str(run), "--to", str(out), "--stimuli", "s30", "s33", "--strength", "0.9"]) == 0
    samples = read_samples(out, references=None)
    assert samples.rows() == ("decoded", "shuffled", "mean", "prior", "repeat", "retrieval", "oracle", "round_trip")
    assert set(samples.references) == {"s30", "s33"}
    card = json.loads((out / "card.json").read_text())
    assert card["beside"]["drawn"]["methods/takagi: strength"] == 0.9 and card["simulated"] == ""
    assert str(planted.parent) not in (out / "card.json").read_text()
    # by the run's own judge, resamples and permutations, unless others are asked for
    assert RunFolder(run).stored()[0].evaluation.judge == "pixels"
    assert main(["evaluate", str(out), "--permutations", "0"]) == 0
    judged = json.loads((out / "report/report.json").read_text())["card"]["evaluation"]
    assert (judged["judge"]["name"], judged["bootstrap"], judged["permutations"]) == ("pixels", 200, 0)
    assert (out / "report" / "report.html").is_file()


def test_what_is_watched_is_what_is_drawn(opened: Opened, asked: Settings, tmp_path: Path) -> None:
    """Previews change no bit, come once a step, and are as large as the pictures."""
    seen: list[Glimpse] = []
    plain = drawn_of(draw_beside(opened, asked, to=tmp_path / "plain", stimuli=("s30",)))
    watched = drawn_of(draw_beside(opened, asked, to=tmp_path / "watched", stimuli=("s30",), watch=seen.append))
    assert [one.sha256 for one in watched] == [one.sha256 for one in plain]
    steps = seen[0].steps
    assert [one.step for one in seen] == list(range(steps)) and steps == int(3 * 0.8)
    assert {one.ids for one in seen} == {("s30", "s30")}
    pictures = opened.decoder(asked).previews(seen[-1])
    assert [one.size for one in pictures] == [opened.decoder(asked).show.size] * 2


def test_what_the_watcher_raises_ends_the_drawing_and_the_same_call_goes_on(
    opened: Opened, asked: Settings, tmp_path: Path
) -> None:
    class Enough(Exception):
        pass

    def stop(glimpse: Glimpse) -> None:
        if glimpse.ids[0] == "s31":
            raise Enough

    one_by_one = replace(asked, machine=replace(asked.machine, batch=1))
    with pytest.raises(Enough):
        draw_beside(opened, one_by_one, to=tmp_path / "a", stimuli=("s30", "s31"), watch=stop)
    assert [one.stimulus for one in read_samples(tmp_path / "a", references=None).of("decoded")] == ["s30", "s30"]
    drawn = drawn_of(draw_beside(opened, one_by_one, to=tmp_path / "a", stimuli=("s30", "s31")))
    whole = drawn_of(draw_beside(opened, one_by_one, to=tmp_path / "b", stimuli=("s30", "s31")))
    assert [one.sha256 for one in drawn] == [one.sha256 for one in whole]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"strength": 0.0}, "--strength: expected above 0 and at most 1, found 0"),
        ({"strength": 1.5}, "--strength: expected above 0 and at most 1, found 1.5"),
        ({"strength": float("nan")}, "--strength: expected above 0"),
        ({"strength": 0.1}, "--strength 0.1 of 3 steps: expected a step or more, found none left"),
        ({"steps": 0}, "--steps: expected 1 or more, found 0"),
        ({"steps": 4000}, "--steps: expected 1 to 1000 on this stack, found 4000"),
        ({"guidance": float("inf")}, "--guidance: expected 0 to"),
        ({"guidance": float("nan")}, "--guidance: expected 0 to"),
        ({"seeds": 0}, "--seeds: expected 1 or more, found 0"),
        ({"eta": 0.5, "scheduler": "ddpm"}, "eta 0.5 means nothing"),
        ({"scheduler": "dddim"}, "ddim"),
    ],
    ids=str,
)
def test_what_cannot_be_drawn_with_is_refused_and_leaves_nothing(
    opened: Opened, asked: Settings, tmp_path: Path, more: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        draw_beside(opened, with_decode(asked, **more), to=tmp_path / "again", stimuli=("s30",))
    assert not (tmp_path / "again").exists()


def test_folders_that_are_not_beside_the_run_are_refused(
    run: Path, opened: Opened, asked: Settings, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    (tmp_path / "link").symlink_to(run)
    file = tmp_path / "file"
    file.write_text("x")
    before = tree(run)
    for place, says in (
        (run, "beside the run"), (run / "more", "beside the run"), (run.parent, "beside the run"),
        (tmp_path / "link", "beside the run"), (tmp_path / "mine", "other files"), (file, "found a file"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            draw_beside(opened, asked, to=place, stimuli=("s30",))
    assert tree(run) == before and (tmp_path / "mine" / "thesis.txt").read_text() == "years"
    with pytest.raises((StorageError, UsageError)):
        draw_beside(opened, asked, to=file / "below", stimuli=("s30",))
    with pytest.raises(UsageError, match="no test stimulus is called 's3'"):
        draw_beside(opened, asked, to=tmp_path / "new", stimuli=("s3",))
    with pytest.raises(InputError, match="a fitted run"):
        nobody = Opened(run=RunFolder(tmp_path / "none"), settings=opened.settings, data=opened.data)
        draw_beside(nobody, asked, to=tmp_path / "new", stimuli=())


def test_data_of_another_study_are_refused_and_nothing_is_left(
    run: Path, opened: Opened, asked: Settings, planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same names and shapes, one test stimulus less: nothing would have told them apart before the drawing."""
    other = tmp_path / "other.h5"
    shutil.copy(planted, other)
    with h5py.File(other, "r+") as file:
        ids = file["split/held-out/test"][()]
        del file["split/held-out/test"], file["packed_sha256"]
        file["split/held-out/test"] = ids[1:]
    before = tree(run)
    with pytest.raises(InputError, match="expected the stimuli that the run was fitted and is tested on, found others"):
        draw_beside(replace(opened, data=other, _networks={}), asked, to=tmp_path / "again", stimuli=("s30",))
    assert not (tmp_path / "again").exists() and tree(run) == before
    assert main(["decode", str(run), "--data", str(other), "--to", str(tmp_path / "again")]) == 3
    assert "--data" in capsys.readouterr().err and not (tmp_path / "again").exists()
    wanted = ["synthesize", str(run), "--data", str(other), "--region", "early", "--to", str(tmp_path / "made")]
    assert main(wanted) == 3 and "found others" in capsys.readouterr().err and not (tmp_path / "made").exists()


def test_a_folder_keeps_to_one_run_and_one_setting(opened: Opened, asked: Settings, tmp_path: Path) -> None:
    draw_beside(opened, asked, to=tmp_path / "a", stimuli=("s30",))
    for other in (with_decode(asked, strength=0.9), replace(asked, machine=replace(asked.machine, seed=3))):
        with pytest.raises(UsageError, match="choose another folder"):
            draw_beside(opened, other, to=tmp_path / "a", stimuli=("s30",))
    more = draw_beside(opened, with_decode(asked, seeds=3), to=tmp_path / "a", stimuli=("s30",))
    assert [one.index for one in drawn_of(more)] == [0, 1, 2]  # how many there are changes none of them


def test_another_setting_without_a_folder_names_the_way(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", str(run), "--strength", "0.5"]) == 2
    assert "--to FOLDER" in capsys.readouterr().err
