"""Pages that are made of the code: the API reference, a page a package, and the commands' own help.

docs/reference/api/*.rst and docs/reference/commands.md are written before every build and are not committed.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "docs" / "reference"
ROOMS = {
    "decode": "A study, stage by stage. `decode.api` is the front door for notebooks.",
    "brain": "Responses, stimuli, splits and regions; readers of data sets; the simulated brain.",
    "encoders": "Between brain and condition space: towers, mappings, masked brain modelling, voxelwise encoders.",
    "pipelines": "From conditions to pictures and sounds: samplers, stacks, generators, synthesis.",
    "evaluation": "Judges, metrics, chance, intervals, reports.",
    "app": "The command line and the demo.",
}
WIDTH = 100


def write_pages(app: Any) -> None:
    """Writes both, only where they differ, so that an unchanged page is not built again.

    With AFTERIMAGE_REFERENCE=0 there are an index and a heading alone, for a quick look at the other pages.
    """
    api, whole = PLACE / "api", os.environ.get("AFTERIMAGE_REFERENCE", "1") == "1"
    api.mkdir(exist_ok=True)
    wanted = {"index.rst": _index() if whole else "API reference\n=============\n"}
    for room in ROOMS if whole else ():
        for package, modules in packages(ROOT / room).items():
            wanted[f"{package}.rst"] = _page(package, modules)
    for old in api.glob("*.rst"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        _write(api / name, text)
    _write(PLACE / "commands.md", _commands() if whole else "# Commands\n")


def packages(room: Path) -> dict[str, list[str]]:
    """Package -> its public modules, itself first where it says something; private parts are left out."""
    found: dict[str, list[str]] = {}
    for path in sorted(room.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if any(part.startswith("_") and part != "__init__" for part in parts) or parts[-1] == "__main__":
            continue
        package = ".".join(parts[:-1])
        found.setdefault(package, []).append(package if parts[-1] == "__init__" else ".".join(parts))
    return {package: sorted(modules) for package, modules in sorted(found.items())}


def _index() -> str:
    lines = ["API reference", "=============", ""]
    lines += ["Out of the docstrings: a page a package, first lines first. Shapes and axes stand in brackets, ",
              "``(trial, voxel)``; the :doc:`glossary </reference/glossary>` has the words.", ""]  # fmt: skip
    for room, said in ROOMS.items():
        lines += [f"``{room}``", "-" * (len(room) + 4), "", inline_code(said), ""]
        lines += [".. toctree::", "   :maxdepth: 1", ""]
        lines += [f"   {package}" for package in packages(ROOT / room)] + [""]
    return "\n".join(lines)


def _page(package: str, modules: list[str]) -> str:
    title = f"``{package}``"
    lines = [title, "=" * len(title), ""]
    for module in modules:
        if module != package:
            lines += [f"``{module}``", "-" * (len(module) + 4), ""]
        lines += [f".. automodule:: {module}", ""]
    return "\n".join(lines)


def _commands() -> str:
    env = {**os.environ, "COLUMNS": str(WIDTH), "NO_COLOR": "1", "TERM": "dumb"}

    def said(*words: str) -> str:
        command = [sys.executable, "-m", *words]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout.rstrip()

    cli = importlib.import_module("app.cli")
    lines = ["# Commands", "", "What `--help` says, of this very version.", ""]
    lines += ["```text", said("app.cli", "--help"), "```", ""]
    for name in cli.COMMANDS:
        lines += [f"## afterimage {name}", "", "```text", said("app.cli", name, "--help"), "```", ""]
    for module in ("evaluation", "encoders.pretrain", "pipelines.finetune"):
        lines += [f"## python -m {module}", "", "```text", said(module, "--help"), "```", ""]
    return "\n".join(lines)


def _write(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def as_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Our docstrings are plain prose with columns of names: paragraphs stay prose, columns become definitions,
    anything else that is indented is shown as it stands."""
    blocks = "\n".join(lines).strip("\n").split("\n\n")
    lines[:] = [line for block in blocks for line in (*_block(block.strip("\n").split("\n")), "")]


COLUMNS = re.compile(r"(\S(?:.*?\S)?) {2,}(\S.*)$")
"""A name, or several, and after two blanks or more what it is."""


def _block(lines: list[str]) -> Iterator[str]:
    first = COLUMNS.match(lines[0])
    if first and not lines[0].startswith(" "):
        ends = (place for place, one in enumerate(lines) if not one.startswith(" ") and not COLUMNS.match(one))
        end = next(ends, len(lines))
        yield from _definitions(lines[:end])
        yield ""
        yield from (inline_code(one) for one in lines[end:])
    elif any(one.startswith(" ") for one in lines) or lines[0].startswith(("{", "RUN/", "|")):
        prose = next((place for place, one in enumerate(lines) if one.startswith((" ", "{", "RUN/", "|"))), len(lines))
        yield from (inline_code(one) for one in lines[:prose])
        yield from ("", "::", "", *(f"    {one}" for one in lines[prose:]))
    else:
        yield from (inline_code(one) for one in lines)


def _definitions(lines: list[str]) -> Iterator[str]:
    for line in lines:
        found = None if line.startswith("   ") else COLUMNS.match(line)
        if found:
            yield f"``{found[1].strip()}``"
            yield f"    {inline_code(found[2])}"
        else:
            yield f"    {inline_code(line.strip())}"


def inline_code(text: str) -> str:
    """`x` as code, and whatever else reStructuredText would read as a sign, as it stands."""
    pieces = re.split(r"(`[^`]+`)", text)
    return "".join(f"``{one[1:-1]}``" if place % 2 else _plain(one) for place, one in enumerate(pieces))


def _plain(text: str) -> str:
    text = re.sub(r"([\\*|`])", r"\\\1", text)
    text = re.sub(r"(\w)_(?=\W|$)", r"\1\\_", text)
    return re.sub(r"^(\s*)([-+#.:>])", r"\1\\\2", text)


def copy_examples(app: Any) -> None:
    """Copies examples/ into _build/examples, where they are run and leave what they make (`make docs` begins anew)."""
    work = ROOT / "_build" / "examples"
    work.mkdir(parents=True, exist_ok=True)
    here = {path.name for path in (ROOT / "examples").iterdir()}
    for old in work.glob("plot_*.py"):
        if old.name not in here:
            old.unlink()
    for path in (ROOT / "examples").iterdir():
        _write(work / path.name, path.read_text())


def between_examples(gallery_conf: Any, name: str) -> None:
    """What sphinx-gallery resets around an example: figures are closed."""
    import matplotlib.pyplot

    matplotlib.pyplot.close("all")


def setup(app: Any) -> dict[str, bool]:
    """Registers what happens before a build and to every docstring."""
    app.connect("builder-inited", copy_examples, priority=1)  # before sphinx-gallery runs them
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", as_rst)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
