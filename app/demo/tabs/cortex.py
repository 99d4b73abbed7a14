"""The mesh of the page's surfaces, sent once when the first of them asks, and the region that is clicked on one."""

from __future__ import annotations

from typing import Any

from app.demo.pages import page
from app.demo.surface import mesh_text
from app.demo.tabs.parts import QUIET


def build(gr: Any) -> Any:
    """Lays out what nobody sees; returns the box into which a page writes what is chosen: count, region, run."""
    ask = gr.Button("the mesh", elem_id="cortex-ask", visible="hidden")
    mesh = gr.HTML("", elem_id="cortex-mesh", visible="hidden")
    ask.click(lambda: page("mesh", parts=mesh_text()), None, [mesh], queue=False, **QUIET)
    return gr.Textbox("", lines=3, label="what is chosen", elem_id="synthesize-picked", visible="hidden")
