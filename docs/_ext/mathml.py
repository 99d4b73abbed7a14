"""Formulas as MathML, by docutils' own converter: no script, no font, nothing from another machine."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

log = logging.getLogger(__name__)


def mathml(node: Any, *, block: bool) -> str:
    """The formula's MathML; one that is not understood is a warning, which fails the build."""
    try:
        return str(tex2mathml(node.astext(), as_block=block))
    except Exception as error:  # MathError, and AttributeError on a stray "&"
        log.warning("formula not understood (%s): %s", error, node.astext(), location=node)
        return ""


def inline(self: Any, node: Any) -> None:
    """$...$"""
    self.body.append(mathml(node, block=False))
    raise nodes.SkipNode


def block(self: Any, node: Any) -> None:
    """$$...$$"""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(mathml(node, block=True) + "</div>\n")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Registers the renderer."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
