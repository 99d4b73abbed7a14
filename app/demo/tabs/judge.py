"""Judge: the ladder of a run, and its stimuli in the order of a score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.demo.pages import page
from app.demo.session import House
from app.demo.tabs.parts import EMPTY, QUIET, failed, head_of
from app.demo.views import PAGE, judge_view, sortable, sorted_view
from brain.errors import AfterimageError


def build(gr: Any, blocks: Any, house: House) -> None:
    """The ladder of a run, and its stimuli in the order of a score."""
    names = house.names()
    if not names:
        gr.HTML(page("message", kind="empty", text=EMPTY["image"]))
        return
    first = house.run(names[0])
    run = gr.Dropdown(names, value=names[0], label="Run", visible=len(names) > 1, filterable=False, elem_id="judge-run")
    head = gr.HTML(head_of(first))
    gr.HTML("<h3>Every test stimulus, by its score</h3>")
    metrics = sortable(first)
    with gr.Row(elem_classes="knobs"):
        metric = gr.Dropdown(
            metrics, value=metrics[0][1] if metrics else None, label="Score", elem_id="judge-metric", min_width=200,
            info="The decoded row's score of each stimulus, the mean over its samples.",
        )  # fmt: skip
        order = gr.Radio(
            [("worst first", "worst"), ("best first", "best")], value="worst", label="Order", elem_id="judge-order",
            info="The worst are as easy to reach as the best.", min_width=200,
        )  # fmt: skip
    strips = gr.HTML("", elem_id="judge-sorted")
    place = gr.State(0)
    with gr.Row():
        before = gr.Button("Previous page", elem_id="judge-before")
        after = gr.Button("Next page", elem_id="judge-after")
    gr.HTML("<h3>The ladder</h3>")
    ladder = gr.HTML("", elem_id="judge-ladder")

    def sort(run: str, metric: str | None, order: str, place: int) -> tuple[str, int]:
        chosen = house.run(run)
        if not metric:
            return page("message", kind="empty", text=judge_view(chosen).note), 0
        try:
            view = sorted_view(chosen, metric, worst=order == "worst", first=place)
        except AfterimageError as error:
            return failed(error), 0
        return page("sorted", view=view), view.first

    def other(run: str) -> tuple[Any, ...]:
        chosen = house.run(run)
        known = sortable(chosen)
        metric = known[0][1] if known else None
        html, place = sort(run, metric, "worst", 0)
        return (
            head_of(chosen), gr.Dropdown(known, value=metric), "worst", html, place,
            page("judge", view=judge_view(chosen)),
        )  # fmt: skip

    def paging(by: int) -> Callable[..., tuple[str, int]]:
        return lambda run, metric, order, place: sort(run, metric, order, place + by * PAGE)

    asked, answered = [run, metric, order, place], [strips, place]
    blocks.load(other, [run], [head, metric, order, strips, place, ladder], **QUIET)
    run.change(other, [run], [head, metric, order, strips, place, ladder], **QUIET)
    for chosen in (metric, order):
        chosen.input(lambda run, metric, order: sort(run, metric, order, 0), asked[:3], answered, **QUIET)
    for button, by in ((before, -1), (after, 1)):
        button.click(paging(by), asked, answered, **QUIET)
