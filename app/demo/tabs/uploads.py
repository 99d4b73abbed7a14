"""Your data: a file of one's own, looked through, decoded by a recipe that takes it, the run to keep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.demo.pages import page
from app.demo.session import House
from app.demo.tabs.parts import QUIET, asking, failed, head_of, visitor_of
from app.demo.tabs.parts import stop as end
from app.demo.uploads.archive import size_of
from app.demo.uploads.limits import CHECK, MIB, STUDY
from app.demo.uploads.work import answer_of, check, study
from app.demo.views import PAGE, badge, judge_view, sortable, sorted_view
from brain.errors import AfterimageError

NOTHING = "No file has been checked yet."


def build(gr: Any, blocks: Any, house: House) -> None:
    """A file of one's own, looked through, decoded by a recipe that takes it, the run to keep."""
    gr.HTML(page("upload_form", limit=house.max_upload, check=CHECK, study=STUDY, mib=MIB))
    token = gr.HTML("", elem_id="uploads-token", elem_classes="behind")
    start = gr.Button("Check the file that has come", elem_id="uploads-check", elem_classes="behind")
    checked = gr.HTML(page("message", kind="empty", text=NOTHING), elem_id="uploads-checked")
    with gr.Row(elem_classes="knobs"):
        recipe = gr.Dropdown(
            [], label="Recipe", elem_id="uploads-recipe", interactive=False, filterable=False, min_width=200,
            info="How the file is decoded, of those that take it.",
        )  # fmt: skip
    with gr.Row():
        make = gr.Button("Fit and decode", variant="primary", elem_id="uploads-study", interactive=False)
        stop = gr.Button("Stop", elem_id="uploads-stop")
    out = gr.HTML("", elem_id="uploads-view")
    with gr.Row(visible=False, elem_id="uploads-pages") as pages:
        order = gr.Radio(
            [("worst first", "worst"), ("best first", "best")], value="worst", label="Order", elem_id="uploads-order"
        )
        before = gr.Button("Previous page", elem_id="uploads-before")
        after = gr.Button("Next page", elem_id="uploads-after")
    strips, place = gr.HTML("", elem_id="uploads-sorted"), gr.State(0)
    ladder = gr.HTML("", elem_id="uploads-ladder")

    def give(request: Any) -> Any:
        secret = visitor_of(house, request).upload.give_token()
        return page("upload_token", token=secret) if secret else gr.skip()

    def look(request: Any) -> Iterator[tuple[Any, ...]]:
        shut = gr.Dropdown([], value=None, interactive=False), gr.Button(interactive=False)
        try:
            for view in check(visitor_of(house, request)):
                able = view.checked.able if view.checked is not None else ()
                names = [(f"{one.name} · {one.title}", one.name) for one in able]
                open_ = gr.Dropdown(names, value=able[0].name, interactive=True) if able else shut[0]
                yield page("uploaded", view=view), open_, gr.Button(interactive=bool(able))
        except AfterimageError as error:
            yield failed(error), *shut

    def work(recipe: str | None, request: Any) -> Iterator[tuple[Any, ...]]:
        try:
            visitor = visitor_of(house, request)
            for view in study(visitor, recipe or ""):
                if view.run is None:
                    yield page("upload_progress", view=view), gr.Row(visible=False), "", "", 0
                    continue
                run, size = view.run, size_of(visitor.upload.place)
                head = head_of(run) + page(
                    "upload_done", view=view, badge=badge(run), answer=answer_of(run), megabytes=size / 1e6
                )
                html, first = sort(request, "worst", 0)
                yield head, gr.Row(visible=True), html, page("judge", view=judge_view(run)), first
        except AfterimageError as error:
            yield failed(error), gr.Row(visible=False), "", "", 0

    def sort(request: Any, order: str, first: int) -> tuple[str, int]:
        run = visitor_of(house, request).upload.run
        metrics = sortable(run) if run is not None else []
        if run is None or not metrics:
            return "", 0
        view = sorted_view(run, metrics[0][1], worst=order == "worst", first=first)
        return page("sorted", view=view), view.first

    def turn(order: str, request: Any) -> tuple[str, int]:
        return sort(request, order, 0)

    def paging(by: int) -> Any:
        def turned(order: str, place: int, request: Any) -> tuple[str, int]:
            return sort(request, order, place + by * PAGE)

        return asking(gr, turned)

    def halt(request: Any) -> None:
        end(house, request, "upload")

    long = {"trigger_mode": "once", "concurrency_limit": None, **QUIET}
    blocks.load(asking(gr, give), None, [token], queue=False, **QUIET)
    start.click(asking(gr, look), None, [checked, recipe, make], **long)
    make.click(asking(gr, work), [recipe], [out, pages, strips, ladder, place], **long)
    stop.click(asking(gr, halt), None, None, queue=False, **QUIET)
    order.input(asking(gr, turn), [order], [strips, place], **QUIET)
    for button, by in ((before, -1), (after, 1)):
        button.click(paging(by), [order, place], [strips, place], **QUIET)


