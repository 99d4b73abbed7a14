"""The frame of a page: what a browser may do in it, and the one script that it has.

    render("page.html.jinja", script="page.js", title=..., badge=..., ...)

A page asks nobody for anything: pictures and sounds are inside it, and of scripts the one whose hash the policy names.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from evaluation.report.pages.environment import environment


def render(template: str, *, script: str = "", **values: Any) -> str:
    """A page of the templates that extend base.html.jinja; `script` is a file beside them, "" for a page without."""
    text = script_text(script) if script else ""
    page = environment().get_template(template)
    return page.render(policy=policy(text), script=text, **values)


def policy(script: str = "") -> str:
    """What the page may load: pictures and sounds in it, the script of this very text, and nothing from elsewhere."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f" script-src 'sha256-{digest}';" if script else ""
    return (
        f"default-src 'none'; img-src data:; media-src data:;{allowed} style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )


def script_text(name: str) -> str:
    """The text of a script among the templates, as it is."""
    loader = environment().loader
    assert loader is not None
    return loader.get_source(environment(), name)[0]


def data_uri(data: bytes, kind: str) -> str:
    """The bytes as a data URI of that media type."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
