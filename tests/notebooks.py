"""notebooks/*.ipynb are made from examples, so that a page and a notebook never say different things.

    python -m tests.notebooks       writes them; a test finds those that are no longer what the examples give
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from sphinx_gallery.gen_gallery import DEFAULT_GALLERY_CONF
from sphinx_gallery.notebook import jupyter_notebook
from sphinx_gallery.py_source_parser import split_code_and_text_blocks

ROOT = Path(__file__).resolve().parents[1]
MADE = {"first_decode": "plot_1_first_decode", "foreign_folder": "plot_5_foreign_folder"}
"""Notebook -> the example it is made from."""


def notebook(name: str) -> dict[str, Any]:
    """The notebook of that name as JSON: cells without outputs, and no word on the machine that made it."""
    path = ROOT / "examples" / f"{MADE[name]}.py"
    _, blocks = split_code_and_text_blocks(path)
    made = jupyter_notebook(blocks, copy.deepcopy(DEFAULT_GALLERY_CONF), path.parent)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cells = [
        {**cell, "metadata": {}, "source": "".join(cell["source"]).strip("\n").splitlines(keepends=True)}
        for cell in made["cells"]
    ]
    return {
        "cells": [cell for cell in cells if cell["source"]],
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 0,
    }  # fmt: skip


def text_of(made: dict[str, Any]) -> str:
    """The notebook as its file holds it."""
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for one in MADE:
        target = ROOT / "notebooks" / f"{one}.ipynb"
        target.write_text(text_of(notebook(one)), "utf-8")
        print(target)
