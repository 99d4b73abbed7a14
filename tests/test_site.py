"""The site: links lead somewhere, formulas are understood, and no page loads anything from another machine."""

from __future__ import annotations

import ast
import importlib.util
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.foreign_addresses import LOADS, foreign


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


@pytest.fixture(scope="module")
def made_pages(checkout: Path) -> Any:
    """docs/_ext/reference_pages.py, which writes pages out of the code."""
    spec = importlib.util.spec_from_file_location("reference_pages", checkout / "docs/_ext/reference_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_docstrings_become_restructured_text(made_pages: Any) -> None:
    """Prose stays prose, columns of names become definitions, an example is shown as it stands."""
    lines = [
        "Fits *it* to `values` and |more|, x_.", "", "data     (trial, voxel) the `responses`", "out, to  a folder",
        "         of two lines", "Errors as fit.", "", "    run = fit(data)", "",
    ]  # fmt: skip
    made_pages.as_rst(None, "function", "x", None, None, lines)
    text = "\n".join(lines)
    assert text.startswith("Fits \\*it\\* to ``values`` and \\|more\\|, x\\_.")
    columns = "``data``\n    (trial, voxel) the ``responses``\n``out, to``\n    a folder\n    of two lines\n\nErrors"
    assert columns in text
    assert "::\n\n        run = fit(data)" in text
    from docutils.core import publish_doctree
    from docutils.utils import Reporter

    document = publish_doctree(text, settings_overrides={"report_level": Reporter.SEVERE_LEVEL})
    kinds = [node.tagname for node in document.children]
    assert kinds == ["paragraph", "definition_list", "paragraph", "literal_block"]


def test_every_public_module_has_a_page_and_every_docstring_is_read(made_pages: Any, checkout: Path) -> None:
    from docutils.core import publish_doctree

    found = {one for room in made_pages.ROOMS for some in made_pages.packages(checkout / room).values() for one in some}
    assert {"decode.api", "brain.types", "evaluation.statistics.embedding_retrieval", "app.cli"} <= found
    assert not any(part.startswith("_") for one in found for part in one.split("."))
    for name in sorted(found):
        path = checkout / f"{name.replace('.', '/')}.py"
        tree = ast.parse((path if path.is_file() else path.with_suffix("") / "__init__.py").read_text("utf-8"))
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
        for node in (one for one in ast.walk(tree) if isinstance(one, kinds)):
            lines = (ast.get_docstring(node) or "").split("\n")
            made_pages.as_rst(None, "", name, None, None, lines)
            # anything that is said of it is an error here
            settings = {"report_level": 2, "halt_level": 2, "warning_stream": io.StringIO()}
            publish_doctree("\n".join(lines), settings_overrides=settings)


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
        *(
            ("a.html", f'<{tag} {key}="https://x.example/a">')
            for tag, keys in LOADS.items()
            for key in keys
            if tag != "link"
        ),
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
