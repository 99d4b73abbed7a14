"""`inspect` looks: what is there, which split is the default, and everything that is wrong, in one go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.cli import main
from brain.data import inspection
from brain.data.inspection import Look, look
from brain.errors import InputError, UsageError
from brain.readers import open_recording
from brain.readers.arrays import Arrays
from brain.simulated.layouts.tiny import tiny_nsd
from brain.simulated.layouts.tiny_listener import tiny_listener
from brain.types import Recording

TRIALS, VOXELS = 30, 8
IDS = np.array([f"s{number:02d}" for number in range(TRIALS)])


def arrays(**changes: Any) -> dict[str, Any]:
    """A sound data set of one's own, with changes; None leaves a field out."""
    generator = np.random.default_rng(0)
    whole = {
        "responses": generator.normal(size=(TRIALS, VOXELS)),
        "stimulus": IDS,
        "images": generator.integers(0, 256, (TRIALS, 8, 6, 3), np.uint8),
        "image_ids": IDS,
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def looked(folder: Path, *, fields: dict[str, str] | None = None, **changes: Any) -> Look:
    np.savez(folder / "mine.npz", **arrays(**changes))
    return look(folder / "mine.npz", fields=fields)


def test_what_is_there_is_counted_and_the_default_split_is_named(tmp_path: Path) -> None:
    splits = {
        f"split/{name}/{side}": ids
        for name, cut in (("apart", 24), ("beside", 25))
        for side, ids in (("train", IDS[:cut]), ("test", IDS[cut:]))
    }
    roi = {"roi/V1": np.arange(VOXELS) < 2}
    found = looked(tmp_path, **splits, **roi, captions=np.array(["a dog"] * 20), caption_ids=IDS[:20])
    page = "\n".join(found.lines)
    assert "split apart (the default): 24 training and 6 test stimuli, 24 and 6 trials" in page
    assert "split beside: 25 training and 5 test stimuli" in page
    assert "30 trials of 30 stimuli, each shown once, in 1 session; 8 voxels, 2 regions" in page
    assert "12 of 12 looked at could be opened (6 x 8 pixels)" in page and "simulated: no" in page
    assert "captions: for 20 of 30 stimuli" in page
    assert any("found none for 10 of 30 (first: s20)" in note for note in found.notes)
    assert found.problems == ()


@pytest.mark.parametrize(("count", "says"), [(19, True), (20, False)])
def test_few_training_stimuli_are_noted_before_numbers_are_made_of_them(
    count: int, says: bool, tmp_path: Path
) -> None:
    halves = {"split/own/train": IDS[:count], "split/own/test": IDS[count:]}
    found = looked(tmp_path, **halves)
    note = f"expected 20 training stimuli or more, found {count}; read its numbers with care"
    assert any(note in one for one in found.notes) == says and found.problems == ()


def test_names_of_ones_own_are_said_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    renamed = {"figure": IDS, "stimulus": None, "images": None, "image_ids": None}
    np.savez(tmp_path / "other.npz", **arrays(**renamed))
    (tmp_path / "images").mkdir()
    for name in IDS:
        Image.fromarray(np.full((5, 4, 3), int(name[1:]), np.uint8)).save(tmp_path / f"images/{name}.png")
    assert main(["inspect", str(tmp_path / "other.npz")]) == 3
    assert "name it with --fields" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "other.npz"), "--fields", "stimulus=figure"]) == 0
    assert "30 trials of 30 stimuli" in capsys.readouterr().out


def test_every_fault_of_a_file_is_told_in_one_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults = {"ijk": np.zeros((VOXELS, 2)), "session": np.ones(3), "roi/V1": np.ones(3, bool), "ncsnr": np.ones(5)}
    found = looked(tmp_path, **faults)
    assert len(found.problems) == 4
    for name in faults:
        assert any(f"mine.npz, {name}: expected" in problem for problem in found.problems)
    assert main(["inspect", str(tmp_path / "mine.npz")]) == 3
    page = capsys.readouterr()
    assert page.out.count("wrong: ") == 4 and "(and 3 more)" in page.err


def test_groups_that_are_arrays_are_not_understood(tmp_path: Path) -> None:
    found = looked(tmp_path, labels=np.array(["six"] * TRIALS), label_ids=IDS, roi=np.ones(VOXELS, bool))
    for name in ("labels", "roi"):
        assert any(f"mine.npz, {name}: expected group of" in problem for problem in found.problems), found.problems
    assert any("found one array; call the array roi/<name>" in problem for problem in found.problems)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"images": np.linspace(-1, 1, TRIALS * 48).reshape(TRIALS, 4, 4, 3)}, "images: expected"),
        ({"images": None, "image_ids": None}, "expected the picture or sound of s00, found none"),
        ({"images": np.zeros((TRIALS, 4, 4), np.uint8)}, "stimuli that differ"),
        ({"stimulus": IDS[np.arange(TRIALS) % 2]}, "expected 3 training stimuli or more, found 1"),
        ({"stimulus": IDS[np.zeros(TRIALS, int)]}, "1 stimuli of which no test set can be made"),
    ],
)
def test_data_that_cannot_be_studied_say_why(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    found = looked(tmp_path, **change)
    assert any(sentence in problem for problem in found.problems), found.problems


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"responses": 300 * arrays()["responses"]}, "expected percent signal change or z-scores, found a median stan"),
        ({"responses": arrays()["responses"] + 800}, "expected responses around 0, found means of 800"),
        ({"responses": 9 * arrays()["responses"], "unit": "z"}, "expected 0.2 to 5 in unit z"),
        (
            {
                "responses": arrays()["responses"] * np.repeat([1, 9], TRIALS // 2)[:, None],
                "session": np.repeat([1, 2], TRIALS // 2),
            },
            "in session 2 and",
        ),
    ],
)
def test_responses_on_a_strange_scale_are_noted(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    found = looked(tmp_path, **change)
    assert any(sentence in note for note in found.notes), found.notes
    assert not found.problems


def test_a_series_of_pictures_is_no_series_with_missing_sounds(tmp_path: Path) -> None:
    written = tiny_listener(tmp_path, clips=4, tests=1, sessions=1)
    for events in written.root.rglob("*_events.tsv"):
        events.write_text(events.read_text().replace(".wav", ".png"))
    found = look(written.root / "bids")
    assert len(found.problems) == 1
    assert "stim_file: expected a sound, found the picture 'clip" in found.problems[0]
    assert "data of your own (docs/howto/own_data.md)" in found.problems[0]


def test_a_listener_and_a_brain_in_folders_are_opened(tmp_path: Path) -> None:
    for found, modality in (
        (look(tiny_listener(tmp_path / "sounds", clips=8, tests=2).root / "bids"), "sounds; "),
        (look(tiny_nsd(tmp_path / "pictures").root), "images; "),
    ):
        assert f"stimuli: {modality}" in "\n".join(found.lines)
        assert found.problems == ()


def test_json_is_the_whole_of_the_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "mine.npz", **arrays())
    assert main(["inspect", str(tmp_path / "mine.npz"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["subjects"]["mine"]["splits"][0]["default"] and facts["subjects"]["mine"]["trials"] == TRIALS
    np.savez(tmp_path / "mine.npz", **arrays(ncsnr=np.ones(2)))
    assert main(["inspect", str(tmp_path / "mine.npz"), "--json"]) == 3
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 1


def test_one_subject_is_looked_at(tmp_path: Path) -> None:
    root = tiny_nsd(tmp_path, sessions=1, trials=12, shared=3).root
    assert list(look(root, subject="subj01").facts["subjects"]) == ["subj01"]
    with pytest.raises(UsageError, match="no subject is called 'subj02'"):
        look(root, subject="subj02")


def test_data_are_read_once_and_large_files_of_any_sessions_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []
    reader = Arrays.read

    def counted(self: Arrays, path: Path, **how: Any) -> Recording:
        reads.append(path)
        return reader(self, path, **how)

    monkeypatch.setattr(Arrays, "read", counted)
    monkeypatch.setattr(inspection, "WHOLE", 0)
    session = np.repeat([3, 5], TRIALS // 2)
    found = looked(tmp_path, session=session)
    assert found.problems == () and "30 trials of 30 stimuli, each shown once, in 2 sessions" in "\n".join(found.lines)
    assert len(reads) == 1
    alone = look(tmp_path / "mine.npz", sessions=[5])
    assert "mine, opened (session 5 alone):" in alone.lines and alone.facts["subjects"]["mine"]["trials"] == 15
    assert any("session 1" in problem for problem in look(tmp_path / "mine.npz", sessions=[1]).problems)


def test_sessions_of_nsd_that_were_not_fetched_are_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tiny_nsd(tmp_path, sessions=3, trials=24).root
    (absent,) = root.rglob("betas_session01.hdf5")
    absent.unlink()
    found = look(root)
    assert found.problems == () and "subj01, opened (sessions 2, 3):" in found.lines
    assert any("without session 1; fetch them, or read what is there with --sessions 2 3" in one for one in found.notes)
    with pytest.raises(InputError, match="without session 1"):
        open_recording(root)
    assert main(["inspect", str(root), "--sessions", "2", "3"]) == 0
    page = capsys.readouterr().out
    assert "opened (sessions 2, 3)" in page and "without session 1" not in page
    assert main(["inspect", str(root), "--sessions", "1"]) == 3
    monkeypatch.setattr(inspection, "WHOLE", 0)
    large = look(root)
    assert large.problems == () and "subj01, opened (session 2 alone, for the data are large):" in large.lines
    assert any("without session 1" in note for note in large.notes)


def test_a_sweep_of_lags_that_cannot_be_made_leaves_the_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "mine.npz", **arrays())
    assert main(["inspect", str(tmp_path / "mine.npz"), "--lags"]) == 3
    page = capsys.readouterr().out
    assert "30 trials of 30 stimuli" in page and "lags of mine: not swept" in page and "wrong: " in page
    assert main(["inspect", str(tmp_path / "mine.npz"), "--lags", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["problems"]
    np.savez(tmp_path / "mine.npz", **arrays(stimulus=IDS[np.arange(TRIALS) % 2]))
    assert main(["inspect", str(tmp_path / "mine.npz"), "--lags"]) == 3
    page = capsys.readouterr().out
    assert "lags of mine: not swept, for something is wrong with the data" in page and page.count("wrong: ") == 1
