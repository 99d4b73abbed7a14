"""What nobody sees: the mesh of a page's surfaces, sent once when one of them asks, and what is clicked on them."""

from __future__ import annotations

from typing import Any

from app.demo.pages import page
from app.demo.surface import mesh_text
from app.demo.tabs.parts import QUIET

PICKED = "(text, run) => [document.querySelector('#synthesize-pick').dataset.picked ?? '', run]"
"""What a page sends in place of the box: the region and the run that `brain.js` has left at the button, a line each."""


def build(gr: Any) -> tuple[Any, Any]:
    """Lays out the mesh, and the button and the box by which a region is chosen for synthesis."""
    ask = gr.Button("the mesh", elem_id="cortex-ask", visible="hidden")
    mesh = gr.HTML("", elem_id="cortex-mesh", visible="hidden")
    ask.click(lambda: page("mesh", parts=mesh_text()), None, [mesh], queue=False, **QUIET)
    pick = gr.Button("choose", elem_id="synthesize-pick", visible="hidden")
    return pick, gr.Textbox("", lines=2, label="what is chosen", visible="hidden")
