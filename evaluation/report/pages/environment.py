"""The templates of pages, in the folder beside this file: autoescaped, nothing undefined, one may import another.

    environment().get_template("page.html.jinja").render(...)
"""

from __future__ import annotations

import importlib.resources
from functools import cache

from jinja2 import Environment, FunctionLoader, StrictUndefined


@cache
def environment(package: str = "evaluation.report.pages", *beside: str) -> Environment:
    """The templates of `package` or its folder templates, and where it has none of a name, those of `beside`."""

    def source(name: str) -> str | None:
        for one in (package, *beside):
            home = importlib.resources.files(one)
            for path in (home.joinpath(name), home.joinpath("templates", name)):
                if path.is_file():
                    return path.read_text("utf-8")
        return None

    return Environment(
        loader=FunctionLoader(source), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
