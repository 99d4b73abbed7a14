"""What pyproject.toml says of releases and extras: floors, the core of the tests, versions, extras that are named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from brain.machine import installation
from tests.floors import EXCEPTED, floors


@pytest.fixture(scope="module")
def project(checkout: Path) -> dict[str, Any]:
    return dict(tomllib.loads((checkout / "pyproject.toml").read_text())["project"])


def test_every_requirement_has_a_floor_that_the_tested_set_reaches(project: dict[str, Any], checkout: Path) -> None:
    lines = (checkout / "constraints" / "tested.txt").read_text().splitlines()
    pins = {canonicalize_name(name): pin for name, _, pin in (line.partition("==") for line in lines) if pin}
    every = [*project["dependencies"], *(one for some in project["optional-dependencies"].values() for one in some)]
    for asked in map(Requirement, every):
        if asked.name == project["name"]:
            continue
        pin = pins.get(canonicalize_name(asked.name))
        if pin is None:
            assert asked.name in ("dreamsim", "setuptools"), asked  # asked for by nobody's tests; of the environment
        elif (asked.name, pin) != ("scikit-learn", "1.9.0"):
            assert asked.specifier.contains(pin), f"{asked}: constraints/tested.txt has {pin}"
    found = floors(project)
    assert found["scipy"] == "1.13" and found["safetensors"] == "0.8" and set(EXCEPTED) < set(found)
    with pytest.raises(ValueError, match="foo<2: expected one lowest release"):
        floors({"dependencies": ["foo<2"], "optional-dependencies": {"app": []}})
    extras = {"dependencies": ["uvicorn[standard]<2,>=0.3"], "optional-dependencies": {"app": []}}
    assert floors(extras) == {"uvicorn": "0.3"}


def test_the_core_of_the_tests_is_there(checkout: Path) -> None:
    text = re.search(r"^CORE := ((?:.*\\\n)*.*)$", (checkout / "Makefile").read_text(), re.M)
    assert text is not None
    names = text[1].replace("\\\n", " ").split()
    assert len(names) > 30
    assert not [name for name in names if not (checkout / "tests" / f"test_{name}.py").is_file()]


def test_the_version_is_one_everywhere(project: dict[str, Any], checkout: Path) -> None:
    assert f"\nversion: {project['version']}\n" in (checkout / "CITATION.cff").read_text()
    assert f"## {project['version']}" in (checkout / "CHANGELOG.md").read_text()
    assert project["authors"] == [{"name": "the afterimage developers"}] and "urls" not in project


def test_every_extra_that_a_message_names_is_there(project: dict[str, Any], checkout: Path) -> None:
    named = {
        name
        for room in ("app", "brain", "decode", "encoders", "evaluation", "pipelines")
        for path in (checkout / room).rglob("*.py")
        for name in re.findall(r"\bextra\([\"']([a-z]+)[\"']\)", path.read_text("utf-8"))
    }
    assert {"app", "openclip", "perceptual", "dreamsim"} <= named <= set(project["optional-dependencies"])


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ('{"url": "file:///home/me/afterimage_brain-1-none-any.whl"}', "afterimage_brain-1-none-any.whl"),
        ('{"url": "https://x.example/a/afterimage_brain-1-none-any.whl?token=1#sha256=2"}',
         "afterimage_brain-1-none-any.whl"),
        ('{"url": "file:///x\\"; rm -rf ~; \\".whl"}', "afterimage-brain"),
        ('{"url": "file:///home/me/checkout", "dir_info": {}}', "afterimage-brain"),
        ("{", "afterimage-brain"), ("[]", "afterimage-brain"), ('{"url": 3}', "afterimage-brain"),
        (None, "afterimage-brain"),
    ],
)  # fmt: skip
def test_an_extra_is_installed_from_where_this_came(
    origin: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside a checkout: a wheel by its file's name, else the distribution; a stranger's pyproject.toml is none."""
    home = tmp_path / "afterimage_brain-0.1.0.dist-info"
    home.mkdir()
    (home / "METADATA").write_text("Metadata-Version: 2.1\nName: afterimage-brain\nVersion: 0.1.0\n")
    if origin is not None:
        (home / "direct_url.json").write_text(origin)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "somebody"\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(installation, "ROOT", tmp_path)
    assert installation.extra("app") == f'pip install "{said}[app]"'
    assert installation.version() == "0.1.0"
