"""What `--help` says of settings that a run or a recipe brings along, and that messages name flags which there are."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from app.cli import main
from decode.recipes import CATALOGUE
from decode.run_folder import RunFolder
from decode.settings import DecodeSettings, EvaluateSettings, MachineSettings, Settings


def shown(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """From each flag to what `--help` says of its default."""
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    text = " ".join(re.sub(r"[\u2500-\u257f|]", " ", capsys.readouterr().out).split())
    found = re.findall(r" (--[a-z][a-z-]*)(?:, --no-[a-z-]+)? (?:(?! --[a-z]).)*?\(((?:default|the )[^()]*)\)", text)
    return {flag: said.strip() for flag, said in found}


def flags_of(*stages: object) -> list[str]:
    return [f"--{one.name.replace('_', '-')}" for stage in stages for one in dataclasses.fields(stage)]  # type: ignore[arg-type]


def test_settings_that_a_run_brings_along_show_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(["decode"], capsys)
    for flag in ["--data", *flags_of(MachineSettings(), DecodeSettings())]:
        assert said[flag] == "the run's own", flag
    assert said["--stimuli"] == "default:"
    said = shown(["synthesize"], capsys)
    assert {said[flag] for flag in flags_of(MachineSettings())} == {"the run's own"} and said["--n"] == "default: 8"
    said = shown(["evaluate"], capsys)
    assert said["--bootstrap"] == "the run's own; of a folder that is no run: 2000"
    assert all(said[flag].startswith("the run's own") for flag in flags_of(EvaluateSettings()))


def test_a_run_that_is_named_shows_its_own_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    settings = Settings(recipe="x", decode=DecodeSettings(steps=7), evaluate=EvaluateSettings(bootstrap=321))
    RunFolder(tmp_path / "run").claim(settings, tmp_path / "data", ("fit", "decode", "evaluate"))
    assert shown(["decode", str(tmp_path / "run")], capsys)["--steps"] == "default: 7"
    assert shown(["evaluate", str(tmp_path / "run")], capsys)["--bootstrap"] == "default: 321"


@pytest.mark.parametrize("command", ["study", "fit"])
def test_settings_in_which_recipes_differ_are_said_so(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown([command], capsys)
    assert said["--stack"] == "the recipe's; takagi-miniature: miniature-image"
    assert said["--subject"] == "default: ''"
    for recipe in CATALOGUE:
        stack = recipe.settings().fit.stack or "''"
        assert shown([command, "--recipe", recipe.name], capsys)["--stack"] == f"default: {stack}"
