"""The site: links lead somewhere, formulas are understood, and no page loads anything from another machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.foreign_addresses import foreign


def built(home: Path) -> subprocess.CompletedProcess[str]:
    """Builds the pages that are written by hand, warnings as errors, examples not run."""
    bare = {**os.environ, "AFTERIMAGE_GALLERY": "0", "AFTERIMAGE_REFERENCE": "0"}
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", "site"]
    return subprocess.run(command, cwd=home, env=bare, capture_output=True, text=True)


@pytest.fixture(scope="module")
def copy(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("site")
    made = shutil.ignore_patterns("gallery", "api", "commands.md", "__pycache__")
    shutil.copytree(checkout / "docs", home / "docs", ignore=made)
    shutil.copytree(checkout / "examples", home / "examples")
    return home


def test_the_site_builds_without_a_warning_and_loads_nothing_foreign(copy: Path) -> None:
    found = built(copy)
    assert found.returncode == 0, found.stderr
    pages = {str(path.relative_to(copy / "site")) for path in (copy / "site").rglob("*.html")}
    assert {"index.html", "tutorials/first_decode.html", "howto/judging.html", "reference/glossary.html"} <= pages
    assert sum(page.startswith("gallery/plot_") for page in pages) == 5
    assert list(foreign(copy / "site")) == []
    assert "<math" in (copy / "site" / "reference" / "glossary.html").read_text("utf-8")


def test_a_broken_link_and_a_broken_formula_are_errors(copy: Path) -> None:
    page = copy / "docs" / "tutorials" / "notebook.md"
    kept = page.read_text("utf-8")
    broken = "\n[gone](../howto/gone.md) and [gone](first_decode.md#nowhere) and $\\notatall{x}$\n"
    page.write_text(kept + broken, "utf-8")
    found = built(copy)
    page.write_text(kept, "utf-8")
    assert found.returncode == 1
    for said in ("gone.md", "nowhere", "formula not understood"):
        assert said in found.stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>'),
        ("a.html", '<link rel="stylesheet" href="//fonts.example/x.css">'),
        ("a.html", '<img srcset="a.png 1x, https://x.example/b.png 2x">'),
        ("a.html", '<p style="background: url(http://x.example/a.png)">'),
        ("a.html", "<style>@import 'https://x.example/a.css';</style>"),
        ("a.html", '<script>fetch("https://x.example/a")</script>'),
        ("a.css", "@font-face { src: url('https://x.example/a.woff2'); }"),
        ("a.js", 'import("https://x.example/a.mjs")'),
    ],
)
def test_what_a_page_would_load_from_elsewhere_is_found(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    (line,) = foreign(tmp_path)
    assert line.startswith(name) and "example/" in line


def test_a_link_that_a_reader_may_follow_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="https://x.example">x</a><link rel="next" href="https://x.example/b">')
    (tmp_path / "a.css").write_text("a { background: url(../a.png) } /* https://x.example */")
    assert list(foreign(tmp_path)) == []
