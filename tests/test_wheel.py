"""The wheel, as a stranger has it: what is in it, what it asks for, and a tiny study far from any checkout."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

from brain.machine.installation import DISTRIBUTION, extra
from tests.wheel import LIMIT, ROOMS, built, lent, requirements, tried
from tests.wheel import committed as files

TEXTS = (".py", ".md", ".toml", ".yaml", ".cff", ".ipynb", ".txt", "Makefile", ".jinja", ".js", ".rst")


@pytest.fixture(scope="module")
def committed(checkout: Path) -> list[str]:
    """The files of the checkout, those that are new and not ignored among them."""
    return files(checkout)


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return built(checkout, tmp_path_factory.mktemp("wheel"))


def test_it_is_small_enough_and_says_how_large_it_is(wheel: Path, capfd: pytest.CaptureFixture[str]) -> None:
    size = wheel.stat().st_size
    with capfd.disabled():
        print(f"\n{wheel.name}: {size / 1e6:.1f} MB")
    assert 10**6 < size < LIMIT and wheel.name.startswith("afterimage_brain-")


def test_every_file_of_the_rooms_is_in_it_and_nothing_else(wheel: Path, committed: list[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    rooms = {name for name in committed if name.startswith(tuple(f"{room}/" for room in ROOMS))}
    # what only the checkout needs beside the code
    unpacked = {name for name in rooms - held if not name.endswith(".md")}
    assert held - rooms == set() and unpacked == set()
    assert {f"{room}/py.typed" for room in ROOMS} <= held


def test_no_requirement_anywhere_is_the_strangers_package(
    wheel: Path, checkout: Path, committed: list[str]
) -> None:
    """The name afterimage on the package index is another project's."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = {re.split(r"[^A-Za-z0-9_.-]", one)[0].lower() for one in (*asked, *requirements(wheel))}
    assert project["name"] == DISTRIBUTION and "afterimage" not in names and {"torch", "gradio", DISTRIBUTION} <= names
    strangers = re.compile(r"""pip install[^\n]*?["'\s=]afterimage(\[|==|>=|["'\s]|$)|^afterimage(==|>=|\[)""", re.M)
    for name in committed:
        if name.endswith(TEXTS) and not name.startswith(("CHANGELOG", "tests/test_wheel")):
            found = strangers.search((checkout / name).read_text("utf-8"))
            assert found is None, f"{name}: {found and found[0]!r}"
    assert strangers.search('pip install "afterimage[app]"') and strangers.search("pip install afterimage")
    assert not strangers.search('pip install "afterimage-brain[app]"')
    assert extra("app") == 'pip install -e ".[app]"'


def test_it_runs_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    """What the project needs is lent from this environment, whose own copy of the project is not on the path."""
    home = tmp_path / "environment"
    own = lent(home, wheel)
    bare = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    place = tmp_path / "elsewhere"
    said = tried(home / "bin", place, environment=bare)
    assert "afterimage 0." in said and "takagi-miniature" in said and str(place / "run") not in said.split("\n")[0]
    code = "import brain.machine.installation as one; print(one.__file__); print(one.extra('app'))"
    python = [str(home / "bin" / "python"), "-c", code]
    where, how = subprocess.run(
        python, cwd=place, env=bare, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert where.startswith(str(own)) and how == f'pip install "{wheel.name}[app]"'
