"""What `--help` says of settings that a run or a recipe brings along, and that messages name flags which there are."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path

import pytest

import encoders.pretrain
import pipelines.finetune
from app.cli import main
from decode.methods import CATALOGUE as METHODS
from decode.recipes import CATALOGUE
from decode.run.folder import RunFolder
from decode.run.settings import EvaluationSettings, MachineSettings, SamplingSettings
from encoders.mappings import CATALOGUE as MAPPINGS
from tests.sampling import asked


def shown(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """From each flag to what `--help` says of its default: the last thing in brackets, "" where it says nothing."""
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    found: dict[str, str] = {}
    for part in re.split(r"\n(?=  -)", capsys.readouterr().out)[1:]:
        text = " ".join(line.strip() for line in part.splitlines() if line.startswith(" "))
        default = re.search(r"\(([^()]*)\)$", text)
        found[text.split()[0]] = default[1] if default else ""
    return found


def flags_of(*stages: object) -> list[str]:
    return [f"--{one.name.replace('_', '-')}" for stage in stages for one in dataclasses.fields(stage)]  # type: ignore[arg-type]


def test_settings_that_a_run_brings_along_show_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(["decode"], capsys)
    for flag in ["--data", *flags_of(MachineSettings(), SamplingSettings())]:
        assert said[flag] == "the run's own", flag
    assert said["--stimuli"] == ""
    said = shown(["synthesize"], capsys)
    assert {said[flag] for flag in flags_of(MachineSettings())} == {"the run's own"} and said["--n"] == "8"
    said = shown(["evaluate"], capsys)
    assert said["--bootstrap"] == "the run's own; of a folder that is no run: 2000"
    assert all(said[flag].startswith("the run's own") for flag in flags_of(EvaluationSettings()))


def test_a_run_that_is_named_shows_its_own_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    settings = asked(CATALOGUE["takagi-miniature"].settings(), steps=7, bootstrap=321)
    RunFolder(tmp_path / "run").claim(settings, tmp_path / "data", ("fit", "decode", "evaluate"))
    assert shown(["decode", str(tmp_path / "run")], capsys)["--steps"] == "7"
    assert shown(["evaluate", str(tmp_path / "run")], capsys)["--bootstrap"] == "321"


@pytest.mark.parametrize("command", ["study", "fit"])
def test_settings_in_which_recipes_differ_are_said_so(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown([command], capsys)
    assert said["--stack"] == "the recipe's; bayes-miniature: miniature-image"
    assert said["--subject"] == ""
    for recipe in CATALOGUE:
        assert shown([command, "--recipe", recipe.name], capsys)["--stack"] == recipe.maps.stack


COMMANDS = {name: f"app/commands/{name}.py" for name in ("simulate", "inspect", "pack", "fit", "decode", "evaluate",
                                                         "audit", "compare", "study", "synthesize", "app", "bank",
                                                         "stacks")}  # fmt: skip
MODULES = {"encoders.pretrain": encoders.pretrain.main, "pipelines.finetune": pipelines.finetune.main}
NAMED = re.compile(r"(?<![\w-])(?<!var\()--[a-z](?:[a-z-]*[a-z])?")
OTHERS = {"--help", "--version", "--no", "--untracked-files", "--porcelain", "--no-browser"}
"""Of every command, of the programs of others, how the opposite of a flag begins, and one of these."""


def named_in(*paths: Path) -> set[str]:
    """The flags that the strings of modules name; docstrings and other commands, `afterimage ...`, are left out."""
    found: set[str] = set()
    for path in paths:
        tree = ast.parse(path.read_text("utf-8"))
        docs = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
        texts = [one for one in ast.walk(tree) if isinstance(one, ast.Constant) and id(one) not in docs]
        found |= {flag for one in texts if isinstance(one.value, str) for flag in NAMED.findall(one.value)}
    return found - OTHERS


def flags_in_help(command: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    main_of = MODULES.get(command, lambda words: main([command, *words]))
    methods = [["--method", one.name] for one in METHODS] if command in ("study", "fit", "decode") else []
    mappings = [["--mapping", one.name] for one in MAPPINGS] if command in ("study", "fit") else []
    for words in [[], *methods, *mappings]:
        with pytest.raises(SystemExit):
            main_of([*words, "--help"])
    return set(re.findall(r"^\W* (--[a-z](?:[a-z-]*[a-z])?)", capsys.readouterr().out, re.M))


def test_messages_name_flags_that_the_command_has(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = {command: flags_in_help(command, capsys) for command in [*COMMANDS, *MODULES]}
    every = set().union(*flags.values())
    own = [path for room in ("app", "brain", "decode", "encoders", "evaluation", "pipelines")
           for path in (checkout / room).rglob("*.py") if "miniature" not in path.parts]  # fmt: skip
    assert named_in(*own) <= every
    for command, path in COMMANDS.items():
        assert named_in(checkout / path) - {"--recipe"} <= flags[command], command
    # what no reader opens is told the whole next command, `afterimage pack ...`
    own = [path for path in (checkout / "brain/readers").glob("*.py") if path.name != "_unknown.py"]
    readers = named_in(*own)
    assert named_in(checkout / "brain/readers/_parts/unknown.py") <= flags["pack"]
    assert readers == {"--fields", "--sessions"}
    for command in ("fit", "study", *MODULES):
        assert readers <= flags[command], command
    assert named_in(checkout / "encoders/masked/pretraining.py") <= flags["encoders.pretrain"]
    assert named_in(checkout / "pipelines/conditioning/finetuning.py") <= flags["pipelines.finetune"]
    assert named_in(checkout / "brain/console/commands.py") == set()
    # curves draw, and what draws advises another device
    assert "--device" in named_in(checkout / "pipelines/drawing.py") and "--device" in flags["evaluate"]


def test_a_device_for_curves_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path), "--curves", "--device", "cuda:99"]) == 2
    assert capsys.readouterr().err.startswith("afterimage: --device: expected ")
