"""A run is bound to its data by content: what was written over at its place is noticed, what moved is taken."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from app.cli import main
from brain.console.commands import Stopped
from brain.errors import InputError
from brain.readers import open_recording
from decode.run.content import captions_sha256, content_noted, held, trials_content
from decode.run.folder import RunFolder
from decode.stages.fit.spaces import BATCH
from encoders.conditions import Conditions
from encoders.mappings import load_map
from encoders.spaces.pixels import PixelSpace

SMALL = ("--judge", "pixels", "--bootstrap", "100", "--permutations", "20", "--folds", "3", "--refits", "0")
RECIPE = ("--recipe", "pixels-ridge")


def study(data: Path, out: Path, *more: str) -> int:
    return main(["study", str(data), *RECIPE, "--out", str(out), *SMALL, *more])


@pytest.fixture(scope="module")
def fitted(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data that may be changed, and a run on them, fitted and not yet drawn from."""
    home = tmp_path_factory.mktemp("fitted")
    (home / "mine").mkdir()
    shutil.copy(planted, home / "mine/data.h5")
    change(home / "mine/data.h5", lambda _: None)
    assert main(["fit", str(home / "mine/data.h5"), *RECIPE, "--out", str(home / "run"), "--folds", "3"]) == 0
    return home


@pytest.fixture
def run(fitted: Path, tmp_path: Path) -> Path:
    """A copy of the run, its data beside it."""
    shutil.copytree(fitted, tmp_path / "copy")
    return tmp_path / "copy" / "run"


@pytest.fixture
def mine(run: Path) -> Path:
    """The data of that copy."""
    return run.parent / "mine" / "data.h5"


def change(data: Path, how: Callable[[Any], object]) -> None:
    with h5py.File(data, "r+") as file:
        if "packed_sha256" in file:
            del file["packed_sha256"]
        how(file)


def rolled(name: str) -> Callable[[Any], None]:
    def how(file: Any) -> None:
        file[name][...] = np.roll(file[name][()], 1, axis=0)

    return how


def scaled(file: Any) -> None:
    file["responses"][...] = file["responses"][()] * 2


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (rolled("stimulus"), "found the same responses in trials of other stimuli, sessions or repeats"),
        (scaled, "found other responses to its stimuli"),
        (rolled("images"), "stimulus 's28': expected the picture that"),
    ],
)
def test_data_changed_where_they_lie_are_refused_before_any_work(
    run: Path, mine: Path, how: Callable[[Any], None], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(mine, how)
    commands = (["decode", str(run)], ["decode", str(run), "--to", str(tmp_path / "beside")])
    for words in (*commands, ["study", str(mine), *RECIPE, "--out", str(run), *SMALL]):
        assert main(words) == 3
        err = capsys.readouterr().err
        assert said in err and "name the data it was fitted on with --data, or fit again into another --out" in err
    assert not list(run.rglob("*.png")) and not (tmp_path / "beside").exists()


def test_a_finished_run_does_not_answer_for_data_that_were_changed_since(
    run: Path, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run
    assert study(mine, out) == 0
    change(mine, rolled("images"))
    assert study(mine, out) == 3
    assert "found another picture" in capsys.readouterr().err
    assert main(["decode", str(out), "--stimuli", "s30", "--seeds", "2"]) == 3
    change(mine, rolled("stimulus"))
    for command in (["evaluate", str(out), "--curves"], ["synthesize", str(out), "--region", "early"]):
        assert main(command) == 3 and "the same responses in trials of other" in capsys.readouterr().err


def test_fields_that_say_something_else_after_the_fit_are_noticed(
    run: Path, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(mine, lambda file: file.create_dataset("response", data=np.roll(file["stimulus"][()], 1)))
    (mine.parent / "data.h5.fields.json").write_text(json.dumps({"stimulus": "response"}))
    assert main(["decode", str(run)]) == 3
    assert "found the same responses in trials of other stimuli" in capsys.readouterr().err
    (mine.parent / "data.h5.fields.json").unlink()
    assert main(["decode", str(run)]) == 0


def test_equal_data_may_move_and_trials_may_stand_in_another_order(run: Path, mine: Path, tmp_path: Path) -> None:
    def turned(file: Any) -> None:
        for name in ("responses", "stimulus", "session"):
            file[name][...] = file[name][()][::-1]
        file["repeat"] = np.zeros(72, int)
        file["repeat"][...] = file["session"][()] - 1

    far = tmp_path / "far" / mine.name
    far.parent.mkdir()
    shutil.copy(mine, far)
    mine.unlink()
    change(far, turned)
    assert main(["decode", str(run), "--data", str(far), "--rows", "decoded"]) == 0


def test_a_fit_or_study_goes_on_where_its_data_have_moved(
    run: Path, mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    far = tmp_path / "far" / mine.name
    far.parent.mkdir()
    shutil.copy(mine, far)
    again = ["fit", str(far), *RECIPE, "--out", str(run), "--folds", "3"]
    assert main(again) == 0
    assert f"{run}: fitted already" in capsys.readouterr().out
    (run / "card.json").unlink()
    true = run / "conditions/pixels.true.safetensors"
    made = true.stat().st_mtime_ns
    for left in ("mappings", "conditions alone"):  # of a stopped fit
        shutil.move(far, far.with_name(f"{left}.h5"))
        far = far.with_name(f"{left}.h5")
        again[1] = str(far)
        assert main(again) == 0
        assert true.stat().st_mtime_ns == made
        (run / "card.json").unlink()
        shutil.rmtree(run / "maps")
    assert study(far, run) == 0
    assert true.stat().st_mtime_ns == made
    change(far, scaled)
    assert study(far, run) == 3
    assert "other responses to its stimuli" in capsys.readouterr().err
    assert RunFolder(run).stored()[1] == far


def test_what_lies_beside_linked_data_belongs_to_them_after_the_fit_too(mine: Path, tmp_path: Path) -> None:
    """As DataLad and stores keep files: a link with a name of its own, and later the file itself in its place."""
    store, link, out = tmp_path / "store" / "MD5E-s2--abd.h5", tmp_path / "set" / "data.h5", tmp_path / "linked"
    for folder in (store.parent, link.parent):
        folder.mkdir()
    change(mine, lambda file: file.move("stimulus", "shown"))
    shutil.copy(mine, store)
    link.symlink_to("../store/MD5E-s2--abd.h5")
    (link.parent / "data.h5.fields.json").write_text(json.dumps({"stimulus": "shown"}))
    assert main(["fit", str(link), *RECIPE, "--out", str(out), "--folds", "3"]) == 0
    assert RunFolder(out).stored()[1] == link
    link.unlink()
    shutil.copy(store, link)
    assert main(["decode", str(out), "--rows", "decoded"]) == 0


def test_conditions_of_unknown_data_are_made_anew(run: Path, mine: Path) -> None:
    """Such as a stopped fit's of a version that noted no content."""
    for name in ("card.json", "content.json"):
        (run / name).unlink()
    shutil.rmtree(run / "maps")
    true = run / "conditions/pixels.true.safetensors"
    before = true.read_bytes()
    change(mine, rolled("images"))
    assert main(["fit", str(mine), *RECIPE, "--out", str(run), "--folds", "3"]) == 0
    assert true.read_bytes() != before


def test_a_run_that_noted_nothing_is_read_as_before(run: Path, mine: Path) -> None:
    (run / "content.json").unlink()
    change(mine, rolled("stimulus"))
    assert main(["decode", str(run), "--rows", "decoded"]) == 0


def test_captions_bind_where_they_were_encoded(planted: Path) -> None:
    stimuli = open_recording(planted).stimuli
    other = replace(stimuli, captions={**stimuli.captions, "s03": ("another",)})
    ids = stimuli.ids
    assert captions_sha256(other, ids) != captions_sha256(stimuli, ids) == captions_sha256(stimuli, reversed(ids))


def test_captions_that_were_changed_are_refused_where_they_were_encoded(run: Path, mine: Path) -> None:
    noted, recording = RunFolder(run), open_recording(mine)
    assert content_noted(noted)["captions"] == ""  # pixels-ridge encodes none
    facts = {**content_noted(noted), "captions": captions_sha256(recording.stimuli, recording.stimuli.ids)}
    noted.content.write_text(json.dumps(facts))
    assert held(recording, noted).responses is recording.responses
    lost = replace(recording, stimuli=replace(recording.stimuli, captions={}))
    assert held(lost, noted).responses is recording.responses
    other = replace(recording.stimuli, captions={**recording.stimuli.captions, "s03": ("another",)})
    with pytest.raises(InputError, match="expected the captions that .* was fitted on, found others"):
        held(replace(recording, stimuli=other), noted)


def test_digests_that_are_none_are_one_sentence(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = content_noted(RunFolder(run))
    for damaged in ({"responses": 3}, facts | {"stimuli": dict.fromkeys(facts["stimuli"])}):
        (run / "content.json").write_text(json.dumps(damaged))
        assert main(["decode", str(run)]) == 3
        assert "content.json: expected digests of a run's data, found something else" in capsys.readouterr().err


def test_a_stopped_fit_goes_on_with_its_own_data_alone(
    run: Path, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "card.json").unlink()
    again = ["fit", str(mine), *RECIPE, "--out", str(run), "--folds", "3"]
    change(mine, rolled("images"))
    assert main(again) == 3
    assert "expected what its fit was begun with, found another stimulus" in capsys.readouterr().err
    shutil.rmtree(run / "maps")
    before = (run / "conditions/pixels.true.safetensors").read_bytes()
    assert main(again) == 0
    assert (run / "conditions/pixels.true.safetensors").read_bytes() != before


def test_the_axes_of_a_volume_may_run_another_way(planted: Path) -> None:
    whole = open_recording(planted).responses
    flipped = np.diag([-2.0, 2.0, 2.0, 1.0])
    flipped[0, 3] = 16.0
    ijk = whole.space.ijk.copy()
    ijk[:, 0] = 8 - ijk[:, 0]
    other = replace(whole, space=replace(whole.space, ijk=ijk, affine=flipped))
    order = np.random.default_rng(0).permutation(90)
    assert trials_content(other.voxels(order)) == trials_content(whole)
    assert trials_content(whole.voxels(order[:80])) != trials_content(whole)
    assert RunFolder(Path("x")).content == Path("x/content.json")


def test_names_that_differ_in_signs_alone_have_mappings_of_their_own(planted: Path, tmp_path: Path) -> None:
    data, out, names = tmp_path / "data.h5", tmp_path / "run", ("<5", ">5", "=5")
    shutil.copy(planted, data)

    def grouped(file: Any) -> None:
        number = [int(one[1:]) for one in file["stimulus"].asstr()[()]]
        file["group"] = np.array([names[one % 3] for one in number], object)
        del file["split"]

    change(data, grouped)
    folds = ("--folds", "3", "--refits", "19", "--split", "leave-out")
    assert main(["fit", str(data), *RECIPE, "--out", str(out), *folds]) == 0
    run = RunFolder(out)
    assert len({run.map("pixels", f"leave-out-{name}") for name in names}) == 3
    for name, split in {one["name"]: one["sha256"] for one in run.card_facts()["splits"]}.items():
        assert load_map(run.map("pixels", name)).split == split
    assert main(["decode", str(out), "--rows", "decoded"]) == 0


def test_names_that_need_no_quoting_are_files_names_as_they_are(run: Path) -> None:
    there = RunFolder(run)
    assert there.map("clip-image", "leave-out-run_1").name == "clip-image.leave-out-run_1.safetensors"
    assert there.map("pixels", "leave-out-A.b").name.startswith("pixels.leave-out-A_b-")
    assert len(there.map("pixels", "\u65e5" * 120).name.encode()) < 140
    (run / "content.json").unlink()
    assert there.map("pixels", "leave-out-A.b").name == "pixels.leave-out-A_b.safetensors"


def test_a_stopped_fit_keeps_the_conditions_that_it_has_made_and_ends_in_the_same_bytes(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = RunFolder(run).stored()[1]
    folder, path = run / "conditions", run / "conditions/pixels.true.safetensors"
    whole, again = path.read_bytes(), ["fit", str(data), *RECIPE, "--out", str(run), "--folds", "3"]
    for name in ("maps", "conditions"):
        shutil.rmtree(run / name)
    (run / "card.json").unlink()
    opened: list[str] = []
    encode = PixelSpace.encode

    def noted(self: PixelSpace, stimuli: Any, ids: Sequence[str], *, batch: int) -> Conditions:
        if "stop" in opened and len(opened) > 2 * BATCH:
            raise Stopped(signal.SIGTERM)
        opened.extend(ids)
        return encode(self, stimuli, ids, batch=batch)

    monkeypatch.setattr(PixelSpace, "encode", noted)
    opened.append("stop")
    assert main(again) == 143
    assert [one.name for one in folder.iterdir()] == ["pixels.true.part0.safetensors"] and len(opened) == 33
    opened.clear()
    assert main(again) == 0
    assert len(opened) == 4 and path.read_bytes() == whole  # of 36 stimuli 32 were there
    assert [one.name for one in folder.iterdir()] == [path.name]


def test_parts_of_other_stimuli_are_not_taken_and_what_a_kill_left_behind_is_cleared(run: Path) -> None:
    data = RunFolder(run).stored()[1]
    path = run / "conditions/pixels.true.safetensors"
    whole, known = path.read_bytes(), Conditions.load(path)
    part = path.with_name("pixels.true.part0.safetensors")
    Conditions(space=known.space, values=known.values[1:9], ids=known.ids[1:9]).save(part)
    (run / "card.json").unlink()
    again = ["fit", str(data), *RECIPE, "--out", str(run), "--folds", "3"]
    assert main(again) == 0 and not part.exists()
    Conditions(space=known.space, values=known.values[1:9], ids=known.ids[1:9]).save(part)
    path.unlink()
    (run / "card.json").unlink()
    assert main(again) == 0
    assert path.read_bytes() == whole and not part.exists()


def fresh(planted: Path, home: Path) -> tuple[Path, Path]:
    """Data that name no subject, called orig.h5, and a run fitted on them."""
    data, out = home / "orig.h5", home / "run"
    shutil.copy(planted, data)

    def without(file: Any) -> None:
        del file["subject"]

    change(data, without)
    assert main(["fit", str(data), *RECIPE, "--out", str(out), "--folds", "3"]) == 0
    return data, out


def test_a_renamed_file_is_known_by_its_content_or_told_what_its_name_means(
    planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = fresh(planted, tmp_path)
    data = data.rename(tmp_path / "data.h5")
    (out / "content.json").rename(tmp_path / "content.json")
    assert main(["decode", str(out), "--data", str(data), "--rows", "decoded"]) == 3
    said = capsys.readouterr().err
    assert "found subject 'data', for a file that names no subject is called by its own name" in said
    assert "call the file orig.h5 again" in said
    (tmp_path / "content.json").rename(out / "content.json")
    assert main(["decode", str(out), "--data", str(data), "--rows", "decoded"]) == 0
    assert "by its content these are the data of subject orig" in capsys.readouterr().out


def test_what_was_taken_by_default_is_named_and_a_report_that_stands_is_said(
    run: Path, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study(mine, run) == 0
    capsys.readouterr()
    assert study(mine, run) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"{run}: judged already" in lines and lines[-1] == str(run / "report/report.html")
    assert study(mine, run, "--split", "leave-out") == 2
    said = "this run was made with split 'held-out', the default, and is now asked for 'leave-out'; ask for the same"
    assert said in capsys.readouterr().err
