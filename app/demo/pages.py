"""Views as HTML: every text in them is escaped, every picture is in them, no script is.

page("seen", view=view)
"""

from __future__ import annotations

from typing import Any

from evaluation.report.pages.environment import environment

HERE = "app.demo"


def page(name: str, **facts: Any) -> str:
    """The template of that name, filled in."""
    found: str = environment(HERE, "evaluation.report.pages").get_template(f"{name}.html.jinja").render(**facts)
    return found


def text_of(name: str) -> str:
    """A file beside the templates, such as the style sheet, with the ladder's own rules in their place."""
    found: str = environment(HERE, "evaluation.report.pages").get_template(name).render()
    return found
