"""The demo's one page of tabs: gradio components that call the session and show what it yields, and decide nothing.

blocks = build(house)
"""

from __future__ import annotations

from typing import Any

from app.demo.links import COMPARE, read_link
from app.demo.pages import page, text_of
from app.demo.public import notice
from app.demo.session import House
from app.demo.tabs import compare, cortex, judge, stage, synthesize, uploads
from app.demo.tabs.parts import QUIET, asking
from app.demo.views import NOT_DECODING

TABS = {"image": ("Decode", "decode"), "sound": ("Listen", "listen")}
KEYS = """() => {
  document.addEventListener('keydown', (event) => {
    const view = event.target.closest && event.target.closest('#decode-view, #listen-view');
    if (!view || event.target.closest('audio, input, textarea, select') || event.altKey || event.ctrlKey || event.metaKey) return;
    const side = {ArrowLeft: 'previous', ArrowRight: 'next'}[event.key];
    if (!side) return;
    event.preventDefault();
    document.getElementById(view.id.replace('view', side)).click();
  });
  document.addEventListener('click', async (event) => {
    const button = event.target.closest && event.target.closest('button.copy');
    if (!button) return;
    const text = button.dataset.copy ?? new URL(button.dataset.link, location.href).href;
    try { await navigator.clipboard.writeText(text); button.textContent = 'Copied'; }
    catch { const shown = document.createRange(); button.textContent = text; shown.selectNodeContents(button); getSelection().removeAllRanges(); getSelection().addRange(shown); }
  });
  const focusable = () => ['decode-view', 'listen-view'].forEach((id) => {
    const view = document.getElementById(id);
    if (view && view.tabIndex !== 0) { view.tabIndex = 0; view.setAttribute('role', 'group');
      view.setAttribute('aria-label', 'test stimulus; arrow keys step through the test set'); }
  });
  focusable();
  new MutationObserver(focusable).observe(document.body, {childList: true, subtree: true});
}"""  # noqa: E501


def scripts(house: House) -> str:
    """What the page runs once it is there: keys, surfaces, and, where there are uploads, what sends and fetches."""
    own = [KEYS, text_of("brain.js"), *([text_of("uploads.js")] if house.uploads else [])]
    return f"() => {{ {' '.join(f'({one})();' for one in own)} }}"


def build(house: House, *, public: bool = False) -> Any:
    """The demo as gradio Blocks; `serve` starts it. A `public` one says above everything that it is."""
    import gradio as gr

    with gr.Blocks(title="afterimage", analytics_enabled=False) as blocks:
        gr.HTML(page("title"))
        if public:
            gr.HTML(page("public", lines=notice(house.runs)))
        picking = cortex.build(gr)
        with gr.Tabs() as tabs:
            linked = []
            for modality, (label, name) in TABS.items():
                with gr.Tab(label, id=name):
                    linked += stage.build(gr, blocks, house, modality=modality, name=name)
            with gr.Tab("Compare", id=COMPARE):
                compared, then_compare = compare.build(gr, house)
            with gr.Tab("Synthesize", id="synthesize"):
                synthesize.build(gr, house, picking)
            with gr.Tab("Judge", id="judge"):
                judge.build(gr, blocks, house)
            if house.uploads:
                with gr.Tab("Your data", id="uploads"):
                    uploads.build(gr, blocks, house)
        gr.HTML(page("foot", text=NOT_DECODING))

        def arrive(request: Any) -> list[Any]:
            """What the address asks to see."""
            state = read_link(dict(request.query_params))
            found = [
                one
                for modality, (_, name) in TABS.items()
                for one in stage.arrived(gr, house, state, modality=modality, name=name)
            ]
            ids = (COMPARE, *(name for _, name in TABS.values()))
            tab = gr.Tabs(selected=state.tab) if state.tab in ids else gr.skip()
            return [tab, *found, *compare.arrived(gr, house, state)]

        then_compare(blocks.load(asking(gr, arrive), None, [tabs, *linked, *compared], **QUIET))
        blocks.unload(asking(gr, lambda request: house.leave(str(request.session_hash))))
    return blocks
