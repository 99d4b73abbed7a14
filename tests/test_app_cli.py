"""The command line: its exit codes, its one-sentence errors, its help, and what it prints last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from app import cli
from app.cli import COMMANDS, main
from app.flags import named
from brain.errors import StorageError


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What went to stderr, which has to be one sentence on one line."""
    err = capsys.readouterr().err
    assert err.startswith("afterimage: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_the_overview_names_every_command_and_exit_code(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    page = capsys.readouterr().out
    assert all(f"  {name} " in page for name in COMMANDS) and "5 a needed checkpoint is absent" in page


def test_every_command_has_its_module(checkout: Path) -> None:
    modules = {path.stem for path in (checkout / "app/commands").glob("*.py")} - {"__init__"}
    assert modules == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_its_flags(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert f"afterimage {command}" in capsys.readouterr().out


def test_a_misspelt_command_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stduy"]) == 2
    assert "did you mean study" in said(capsys)


def test_a_misspelt_flag_is_a_usage_error(planted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", str(planted), "--ouch", "run"]) == 2
    assert "--ouch: expected a flag of `afterimage study`, found one that it does not have; write --out" in said(capsys)


def test_an_unknown_recipe_gets_the_nearest(planted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", str(planted), "--out", "run", "--recipe", "takagi-minature"]) == 2
    assert "did you mean takagi-miniature" in said(capsys)


def test_an_unknown_region_gets_the_nearest(
    planted: Path, tiny_stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps = ("--maps", "vae-latent=erly", "clip-text=ventral")
    out = str(tmp_path / "run")
    assert main(["fit", str(planted), "--out", out, "--stack", str(tiny_stack), "--folds", "3", *maps]) == 2
    assert "did you mean early" in said(capsys)
    assert main(["fit", str(planted), "--out", out, "--stack", str(tiny_stack), "--folds", "3"]) == 0


def test_an_unknown_row_method_or_split_is_a_usage_error(
    planted: Path, tiny_stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["study", str(planted), "--out", str(tmp_path / "run"), "--stack", str(tiny_stack)]
    for more, word in (
        (["--rows", "decode"], "decoded"),
        (["--method", "takagy"], "takagi"),
        (["--split", "held-ou"], "held-out"),
    ):
        assert main([*start, *more]) == 2
        assert word in said(capsys)


def test_a_recipe_without_its_checkpoint_says_what_to_fetch(
    planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    assert main(["study", str(planted), "--out", str(tmp_path / "run"), "--recipe", "takagi-sd15"]) == 5
    sentence = said(capsys)
    assert "afterimage stacks fetch sd15" in sentence and "GB" in sentence and "OpenRAIL" in sentence
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_bad_input(
    planted: Path, tmp_path: Path, share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = tmp_path / "torn.h5"
    whole = planted.read_bytes()
    torn.write_bytes(whole[: int(len(whole) * share)])
    assert main(["study", str(torn), "--out", str(tmp_path / "run"), "--recipe", "pixels-ridge"]) == 3
    assert "torn.h5" in said(capsys)


def test_data_that_are_not_there_and_a_run_that_is_none_are_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ["inspect", str(tmp_path / "nowhere")],
        ["decode", str(tmp_path)],
        ["evaluate", str(tmp_path)],
        ["study", str(tmp_path / "nowhere"), "--recipe", "pixels-ridge", "--out", str(tmp_path / "run")],
    ):
        assert main(words) == 3
        assert str(tmp_path) in said(capsys)


def test_inspect_shows_what_is_there(planted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(planted)]) == 0
    page = capsys.readouterr().out
    assert "72 trials of 36 stimuli" in page and "90 voxels" in page and "held-out" in page


def test_stacks_are_listed_and_checked(tiny_stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stacks"]) == 0
    page = capsys.readouterr().out
    assert "miniature-image" in page and "sd15" in page and "CreativeML OpenRAIL-M" in page
    assert main(["stacks", "check", str(tiny_stack)]) == 0
    assert "UNet2DConditionModel" in capsys.readouterr().out
    assert main(["stacks", "check"]) == 2
    assert "stack's name" in said(capsys)


def test_arrays_are_packed_without_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "betas.npy", rng.standard_normal((24, 5)).astype(np.float32))
    np.save(tmp_path / "pictures.npy", rng.integers(0, 256, (24, 8, 8), np.uint8))
    np.save(tmp_path / "v1.npy", np.array([1, 1, 0, 0, 0]))
    (tmp_path / "runs.txt").write_text("\n".join(str(trial % 4) for trial in range(24)))
    words = ["pack", str(tmp_path / "mine.h5"), "--responses", str(tmp_path / "betas.npy")]
    words += ["--images", str(tmp_path / "pictures.npy"), "--regions", f"V1={tmp_path / 'v1.npy'}"]
    assert main([*words, "--columns", f"group={tmp_path / 'runs.txt'}"]) == 0
    assert "24 trials" in capsys.readouterr().out
    with h5py.File(tmp_path / "mine.h5") as file:
        assert file["responses"].shape == (24, 5) and "V1" in file["roi"]
    assert main([*words, "--columns", "group"]) == 2
    assert "--columns: expected NAME=FILE, found 'group'; write --columns session=sessions.txt" in said(capsys)


def test_a_simulation_is_whole_or_not_there_and_is_not_made_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, part = tmp_path / "brain", tmp_path / ".brain.part"
    part.mkdir()
    (part / "left by a kill").write_text("")
    small = ["simulate", str(out), "--sessions", "1", "--trials", "60"]
    assert main(small) == 0
    assert (out / "simulation.json").is_file() and not part.exists()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert main(small) == 0
    assert "already" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert main([*small, "--seed", "1"]) == StorageError.exit_code
    assert "seed 0" in said(capsys)
    assert main([*small, "--modality", "sound"]) == StorageError.exit_code
    assert "modality 'image'" in said(capsys)


def test_a_keyboard_interrupt_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(command: str, words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", stopped)
    for name in cli.COMMANDS:
        assert main([name]) == 130
        again = "; the same command again goes on where it stopped"
        assert said(capsys) == f"afterimage: stopped by SIGINT{again * (name in cli.RESUMED)}\n"


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(command: str, words: list[str]) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "_run", broken)
    with pytest.raises(ZeroDivisionError):
        main(["study"])


def test_a_full_disk_anywhere_is_exit_code_4(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(command: str, words: list[str]) -> int:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(cli, "_run", full)
    assert main(["study"]) == 4
    assert "somewhere" in said(capsys)


def test_the_module_runs_as_a_command(checkout: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "app.cli", "fit"], cwd=checkout, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 2 and "Traceback" not in result.stderr


def test_a_flag_is_read_before_the_others() -> None:
    assert named("--recipe", ["a", "--recipe", "b"], "c") == "b"
    assert named("--recipe", ["a", "--recipe=b"], "c") == "b"
    assert named("--recipe", ["a", "--recipe"], "c") == "c"
