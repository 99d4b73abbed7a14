"""The house itself: rooms resolve inside the checkout, nothing heavy is imported before it is needed."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOMS = ("app", "brain", "decode", "encoders", "evaluation", "pipelines")
HEAVY = ("torch", "diffusers", "transformers", "gradio", "sklearn", "nilearn", "pandas", "scipy", "matplotlib", "h5py")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_imported_from_this_checkout(room: str, checkout: Path) -> None:
    found = importlib.import_module(room).__file__
    assert found is not None
    assert Path(found).resolve() == checkout / room / "__init__.py"


def loaded_by(code: str, checkout: Path) -> set[str]:
    show = "import sys, json; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], cwd=checkout, capture_output=True, text=True, check=True
    )
    return set(json.loads(result.stdout.splitlines()[-1]))


def test_the_command_line_imports_nothing_heavy(checkout: Path) -> None:
    loaded = loaded_by("import app.cli; app.cli.main(['--help'])", checkout)
    assert not loaded & {*HEAVY, "numpy", "tyro"}


@pytest.mark.parametrize("command", ["simulate", "inspect", "fit", "decode", "evaluate", "study", "stacks", "pack"])
def test_the_flags_of_a_command_are_shown_without_anything_heavy(command: str, checkout: Path) -> None:
    code = f"import app.cli\ntry:\n    app.cli.main(['{command}', '--help'])\nexcept SystemExit as left:\n    "
    code += "assert left.code == 0"
    assert not loaded_by(code, checkout) & set(HEAVY)


def test_every_package_of_every_room_is_in_the_wheel(checkout: Path) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text())
    include = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert sorted(include) == sorted([*ROOMS, *(f"{room}.*" for room in ROOMS)])
    bare = [
        folder
        for room in ROOMS
        for folder in (checkout / room).rglob("*")
        if folder.is_dir() and list(folder.glob("*.py")) and not (folder / "__init__.py").exists()
    ]
    assert bare == []


def test_the_core_set_does_without_torchvision(checkout: Path) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    core = " ".join(project["dependencies"])
    assert not any(name in core for name in ("torchvision", "open-clip", "open_clip", "timm", "gradio"))
    assert any(name.startswith("open-clip-torch") for name in project["optional-dependencies"]["openclip"])
    assert "openclip" in project["optional-dependencies"]["all"][0]


def test_no_path_of_one_machine_and_no_registry_stands_in_the_house(checkout: Path) -> None:
    files = [
        checkout / name for name in ("pyproject.toml", "Makefile", ".ci/run", "constraints/tested.txt", "README.md")
    ]
    for file in files:
        text = file.read_text()
        for word in ("find-links", "index-url", "pypi.org", "pytorch.org", "/root/", "/opt/"):
            assert word not in text, f"{file.name} names {word}"


def test_every_module_says_what_it_is(checkout: Path) -> None:
    import ast

    for room in ROOMS:
        for file in (checkout / room).rglob("*.py"):
            text = file.read_text()
            assert not text.strip() or ast.get_docstring(ast.parse(text)), (
                f"{file.relative_to(checkout)} has no opening sentence"
            )


def test_nothing_is_called_utils(checkout: Path) -> None:
    names = {"utils.py", "helpers.py", "common.py", "misc.py"}
    assert [file for room in ROOMS for file in (checkout / room).rglob("*.py") if file.name in names] == []


def test_the_layers_are_kept_apart(checkout: Path) -> None:
    pytest.importorskip("importlinter")
    result = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"], cwd=checkout, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
