"""The tabs: gradio components that call the session and show what it yields. No numbers of their own, no decisions.

blocks = build(house)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from app.demo.knobs import MOST_PICTURES, Asked, Objective, controls, methods, regions
from app.demo.pages import page
from app.demo.runs import Run
from app.demo.session import House, Visitor
from app.demo.views import (
    NOT_DECODING,
    PAGE,
    badge,
    headline,
    judge_view,
    sortable,
    sorted_view,
    step_to,
    stimulus_names,
)
from brain.errors import AfterimageError

TABS = {"image": ("Decode", "decode"), "sound": ("Listen", "listen")}
EMPTY = {
    "image": "No finished run of pictures is open. Make one with `make decode`, or name one: afterimage app RUN",
    "sound": "No finished run of sounds is open. Make one with `make listen`, or name one: afterimage app RUN",
}
QUIET = {"show_progress": "hidden", "api_visibility": "private"}
"""No overlay over pictures, and no entry in an API that nobody documents."""
KEYS = """() => {
  document.addEventListener('keydown', (event) => {
    const view = event.target.closest && event.target.closest('#decode-view, #listen-view');
    if (!view || event.target.closest('audio, input, textarea, select') || event.altKey || event.ctrlKey || event.metaKey) return;
    const side = {ArrowLeft: 'previous', ArrowRight: 'next'}[event.key];
    if (!side) return;
    event.preventDefault();
    document.getElementById(view.id.replace('view', side)).click();
  });
  const focusable = () => ['decode-view', 'listen-view'].forEach((id) => {
    const view = document.getElementById(id);
    if (view && view.tabIndex !== 0) { view.tabIndex = 0; view.setAttribute('role', 'group');
      view.setAttribute('aria-label', 'test stimulus; arrow keys step through the test set'); }
  });
  focusable();
  new MutationObserver(focusable).observe(document.body, {childList: true, subtree: true});
}"""  # noqa: E501


def build(house: House) -> Any:
    """The demo as gradio Blocks; `serve` starts it."""
    import gradio as gr

    with gr.Blocks(title="afterimage", analytics_enabled=False) as blocks:
        gr.HTML(page("title"))
        with gr.Tabs():
            for modality, (label, name) in TABS.items():
                with gr.Tab(label, id=name):
                    _stage(gr, blocks, house, modality=modality, name=name)
            with gr.Tab("Synthesize", id="synthesize"):
                _synthesize(gr, house)
            with gr.Tab("Judge", id="judge"):
                _judge(gr, blocks, house)
        gr.HTML(page("foot", text=NOT_DECODING))
        blocks.unload(_asking(gr, lambda request: house.leave(str(request.session_hash))))
    return blocks


def _asking(gr: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Tells gradio that the last parameter is the request; annotations as text would not be understood."""
    function.__annotations__["request"] = gr.Request
    return function


def _visitor(house: House, request: Any) -> Visitor:
    return house.visitor(str(request.session_hash))


def _stop(house: House, request: Any, what: str, *, left: bool = False) -> None:
    """Ends what this visitor is at, if it is that; who has never begun anything is no visitor yet."""
    visitor = house.known_visitor(str(request.session_hash))
    if visitor is not None:
        visitor.stop(what, left=left)


def _head(run: Run) -> str:
    return page("head", badge=badge(run), simulated=bool(run.simulated), headline=headline(run))


def _failed(error: AfterimageError) -> str:
    return page("message", kind="failed", text=str(error))


def _stage(gr: Any, blocks: Any, house: House, *, modality: str, name: str) -> None:
    """Stepping through the test set of a run, and drawing again."""
    names = house.names(modality)
    if not names:
        gr.HTML(page("message", kind="empty", text=EMPTY[modality]))
        return
    first = house.run(names[0])
    run = gr.Dropdown(names, value=names[0], label="Run", visible=len(names) > 1, filterable=False)
    head = gr.HTML(_head(first))
    with gr.Row(equal_height=True, elem_classes="stepper"):
        previous = gr.Button("Previous", elem_id=f"{name}-previous", scale=1, min_width=90)
        stimulus = gr.Dropdown(
            stimulus_names(first), value=first.stimuli[0], show_label=False, container=False, scale=4, min_width=120,
            label="Test stimulus", elem_id=f"{name}-stimulus",
        )  # fmt: skip
        following = gr.Button("Next", elem_id=f"{name}-next", scale=1, min_width=90)
    seen = gr.HTML(page("message", kind="empty", text="Opening the run."), elem_id=f"{name}-view")
    with gr.Accordion("Draw again", open=True, elem_id=f"{name}-again"):
        knobs = controls(first)
        with gr.Row(elem_classes="knobs"):
            sliders = [_slider(gr, knobs[one], f"{name}-{one}") for one in ("strength", "guidance", "steps", "samples")]
            seed = _number(gr, knobs["seed"], f"{name}-seed")
        with gr.Row():
            draw = gr.Button("Draw again", variant="primary", elem_id=f"{name}-draw")
            stop = gr.Button("Stop", elem_id=f"{name}-stop")
        drawn = gr.HTML("", elem_id=f"{name}-drawn")
    rest = gr.HTML("", elem_id=f"{name}-rest")

    def show(run: str, stimulus: str, request: Any) -> Iterator[tuple[str, str]]:
        try:
            for view in _visitor(house, request).decode(run, stimulus):
                yield page("seen", view=view), page("beside", view=view)
        except AfterimageError as error:
            yield _failed(error), ""

    def again(
        run: str, stimulus: str, strength: float, guidance: float, steps: float, samples: float, seed: float,
        request: Any,
    ) -> Iterator[str]:  # fmt: skip
        try:
            knobs = controls(house.run(run))
            given = {"strength": strength, "guidance": guidance, "steps": steps, "seed": seed, "samples": samples}
            # an emptied box is the run's own value
            values = {name: knobs[name].value if value is None else value for name, value in given.items()}
            whole = {name: int(values[name]) for name in ("steps", "seed", "samples")}
            asked = Asked(strength=float(values["strength"]), guidance=float(values["guidance"]), **whole)
            for view in _visitor(house, request).draw(run, stimulus, asked):
                yield "" if view.progress.state == "left" else page("draw", view=view)
        except AfterimageError as error:
            yield _failed(error)

    def halt(request: Any) -> None:
        _stop(house, request, modality)

    def leave(request: Any) -> str:
        """What is being drawn belongs to another stimulus now."""
        _stop(house, request, modality, left=True)
        return ""

    def other(run: str) -> tuple[Any, ...]:
        chosen = house.run(run)
        knobs = controls(chosen)
        return (
            _head(chosen), gr.Dropdown(stimulus_names(chosen), value=chosen.stimuli[0]),
            *(_slider(gr, knobs[one], f"{name}-{one}") for one in ("strength", "guidance", "steps", "samples")),
            _number(gr, knobs["seed"], f"{name}-seed"), "",
        )  # fmt: skip

    def stepping(by: int) -> Callable[[str, str], str]:
        return lambda run, stimulus: step_to(house.run(run), stimulus, by)

    shown = {"inputs": [run, stimulus], "outputs": [seen, rest], "concurrency_limit": None, **QUIET}
    blocks.load(_asking(gr, show), **shown)
    stimulus.change(_asking(gr, show), trigger_mode="always_last", **shown)
    stimulus.change(_asking(gr, leave), None, [drawn], queue=False, **QUIET)
    # the other run may have the same stimulus, which then does not change
    run.change(_asking(gr, leave), None, [drawn], queue=False, **QUIET)
    run.change(other, [run], [head, stimulus, *sliders, seed, drawn], queue=False, **QUIET).then(
        _asking(gr, show), **shown
    )
    for button, by in ((previous, -1), (following, 1)):
        button.click(stepping(by), [run, stimulus], [stimulus], queue=False, **QUIET)
    draw.click(
        _asking(gr, again), [run, stimulus, *sliders, seed], [drawn], trigger_mode="once", concurrency_limit=None,
        **QUIET,
    )  # fmt: skip
    stop.click(_asking(gr, halt), None, None, queue=False, **QUIET)


def _slider(gr: Any, knob: Any, place: str) -> Any:
    return gr.Slider(
        knob.low, knob.high, value=knob.value, step=knob.step, label=knob.label, info=knob.help, elem_id=place,
        interactive=knob.used, min_width=200,
    )  # fmt: skip


def _number(gr: Any, knob: Any, place: str) -> Any:
    return gr.Number(
        value=knob.value, precision=0, label=knob.label, info=knob.help,
        elem_id=place, interactive=knob.used, min_width=200,
    )  # fmt: skip


def _synthesize(gr: Any, house: House) -> None:
    """Pictures that a region should respond to."""
    names = house.names("image")
    if not names:
        gr.HTML(page("message", kind="empty", text=EMPTY["image"]))
        return
    first = house.run(names[0])
    known = regions(first)
    run = gr.Dropdown(names, value=names[0], label="Run", visible=len(names) > 1, filterable=False)
    head = gr.HTML(_head(first))
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
            for view in _visitor(house, request).synthesize(run, asked):
                yield page("synthesis", view=view)
        except AfterimageError as error:
            yield _failed(error)

    def other(run: str) -> tuple[Any, ...]:
        chosen = house.run(run)
        known = regions(chosen)
        return (
            _head(chosen), gr.Dropdown(known, value=_preferred(known)),
            gr.Dropdown([("none", ""), *((one, one) for one in known)], value=""), chosen.settings.machine.seed,
        )  # fmt: skip

    def halt(request: Any) -> None:
        _stop(house, request, "synthesis")

    method.change(lambda name: page("note", text=methods()[name]), [method], [about], queue=False, **QUIET)
    asked = [run, region, against, method, pictures, seed]
    make.click(_asking(gr, synthesize), asked, [out], trigger_mode="once", concurrency_limit=None, **QUIET)
    stop.click(_asking(gr, halt), None, None, queue=False, **QUIET)
    run.change(other, [run], [head, region, against, seed], queue=False, **QUIET)


def _preferred(known: list[str]) -> str:
    """The region that stands there first: one that is named for what it prefers, where there is one."""
    return next((one for one in ("FFA-1", "FFA", "PPA", "EBA") if one in known), known[0] if known else "")


def _judge(gr: Any, blocks: Any, house: House) -> None:
    """The ladder of a run, and its stimuli in the order of a score."""
    names = house.names()
    if not names:
        gr.HTML(page("message", kind="empty", text=EMPTY["image"]))
        return
    first = house.run(names[0])
    run = gr.Dropdown(names, value=names[0], label="Run", visible=len(names) > 1, filterable=False, elem_id="judge-run")
    head = gr.HTML(_head(first))
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
            return _failed(error), 0
        return page("sorted", view=view), view.first

    def other(run: str) -> tuple[Any, ...]:
        chosen = house.run(run)
        known = sortable(chosen)
        metric = known[0][1] if known else None
        html, place = sort(run, metric, "worst", 0)
        return (
            _head(chosen), gr.Dropdown(known, value=metric), "worst", html, place,
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
