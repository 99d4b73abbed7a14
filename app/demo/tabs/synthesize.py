"""Synthesize: pictures that a region should respond to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.demo.knobs import MOST_PICTURES, Objective, methods, regions
from app.demo.pages import page
from app.demo.session import House
from app.demo.tabs.cortex import PICKED
from app.demo.tabs.parts import EMPTY, QUIET, asking, failed, head_of, visitor_of
from app.demo.tabs.parts import stop as end
from brain.errors import AfterimageError


def build(gr: Any, house: House, picking: tuple[Any, Any]) -> None:
    """Pictures that a region should respond to; `picking`, see `cortex`, is how one is clicked elsewhere."""
    names = house.names("image")
    if not names:
        gr.HTML(page("message", kind="empty", text=EMPTY["image"]))
        return
    first = house.run(names[0])
    known = regions(first)
    run = gr.Dropdown(names, value=names[0], label="Run", visible=len(names) > 1, filterable=False)
    head = gr.HTML(head_of(first))
    with gr.Row(elem_classes="knobs"):
        region = gr.Dropdown(
            known, value=_preferred(known), label="Region", elem_id="synthesize-region", min_width=200,
            info="Whose mean response the pictures should drive.",
        )  # fmt: skip
        against = gr.Dropdown(
            [("none", ""), *((one, one) for one in known)], value="", label="Against", elem_id="synthesize-against",
            info="A region whose mean response they should keep low.", min_width=200,
        )  # fmt: skip
        method = gr.Dropdown(
            list(methods()), value="guided", label="Method", elem_id="synthesize-method", min_width=200,
            info="How pictures are made; unguided and random-region are controls.",
        )  # fmt: skip
        pictures = gr.Slider(
            1, MOST_PICTURES, value=4, step=1, label="Pictures", info="How many are made, each from its own seed.",
            min_width=200, elem_id="synthesize-pictures",
        )  # fmt: skip
        seed = gr.Number(
            value=first.settings.machine.seed, precision=0, label="Seed", elem_id="synthesize-seed",
            info="Which noise they start from.", min_width=200,
        )  # fmt: skip
    about = gr.HTML(page("note", text=methods()["guided"]))
    with gr.Row():
        make = gr.Button("Synthesize", variant="primary", elem_id="synthesize-make")
        stop = gr.Button("Stop", elem_id="synthesize-stop")
    out = gr.HTML(
        page("message", kind="empty", text="The first synthesis of a run looks at its natural pictures, once."),
        elem_id="synthesize-view",
    )

    def synthesize(
        run: str, region: str, against: str, method: str, pictures: float, seed: float, request: Any
    ) -> Iterator[str]:
        try:
            asked = Objective(
                region=region or "", against=against or "", method=method or "", pictures=int(pictures or 0),
                seed=int(seed or 0),
            )
            for view in visitor_of(house, request).synthesize(run, asked):
                yield page("synthesis", view=view)
        except AfterimageError as error:
            yield failed(error)

    def other(run: str) -> tuple[Any, ...]:
        chosen = house.run(run)
        known = regions(chosen)
        return (
            head_of(chosen), gr.Dropdown(known, value=_preferred(known)),
            gr.Dropdown([("none", ""), *((one, one) for one in known)], value=""), chosen.settings.machine.seed,
        )  # fmt: skip

    def pick(text: str, now: str) -> Any:
        """Region and run, a line each; a region that the run's card does not have changes nothing."""
        name, _, chosen = text.partition("\n")
        if chosen not in names or name not in regions(house.run(chosen)):
            return gr.skip()
        if chosen == now:
            return gr.skip(), gr.skip(), name, gr.skip(), gr.skip()
        head, listed, others, seed = other(chosen)
        return chosen, head, gr.Dropdown(listed.choices, value=name), others, seed

    def halt(request: Any) -> None:
        end(house, request, "synthesis")

    method.change(lambda name: page("note", text=methods()[name]), [method], [about], queue=False, **QUIET)
    asked = [run, region, against, method, pictures, seed]
    make.click(asking(gr, synthesize), asked, [out], trigger_mode="once", concurrency_limit=None, **QUIET)
    stop.click(asking(gr, halt), None, None, queue=False, **QUIET)
    # by hand alone: what is clicked elsewhere brings its region along
    run.input(other, [run], [head, region, against, seed], queue=False, **QUIET)
    button, text = picking
    button.click(pick, [text, run], [run, head, region, against, seed], queue=False, js=PICKED, **QUIET)


def _preferred(known: list[str]) -> str:
    """The region that stands there first: one that is named for what it prefers, where there is one."""
    return next((one for one in ("FFA-1", "FFA", "PPA", "EBA") if one in known), known[0] if known else "")
