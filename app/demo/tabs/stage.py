"""Decode and Listen: stepping through the test set of a run, and drawing again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from app.demo.knobs import Asked, controls
from app.demo.pages import page
from app.demo.session import House
from app.demo.tabs.parts import EMPTY, QUIET, asking, failed, head_of, visitor_of
from app.demo.tabs.parts import stop as end
from app.demo.views import step_to, stimulus_names
from brain.errors import AfterimageError


def build(gr: Any, blocks: Any, house: House, *, modality: str, name: str) -> None:
    """Stepping through the test set of a run, and drawing again."""
    names = house.names(modality)
    if not names:
        gr.HTML(page("message", kind="empty", text=EMPTY[modality]))
        return
    first = house.run(names[0])
    run = gr.Dropdown(names, value=names[0], label="Run", visible=len(names) > 1, filterable=False)
    head = gr.HTML(head_of(first))
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
            for view in visitor_of(house, request).decode(run, stimulus):
                yield page("seen", view=view), page("beside", view=view)
        except AfterimageError as error:
            yield failed(error), ""

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
            for view in visitor_of(house, request).draw(run, stimulus, asked):
                yield "" if view.progress.state == "left" else page("draw", view=view)
        except AfterimageError as error:
            yield failed(error)

    def halt(request: Any) -> None:
        end(house, request, modality)

    def leave(request: Any) -> str:
        """What is being drawn belongs to another stimulus now."""
        end(house, request, modality, left=True)
        return ""

    def other(run: str) -> tuple[Any, ...]:
        chosen = house.run(run)
        knobs = controls(chosen)
        return (
            head_of(chosen), gr.Dropdown(stimulus_names(chosen), value=chosen.stimuli[0]),
            *(_slider(gr, knobs[one], f"{name}-{one}") for one in ("strength", "guidance", "steps", "samples")),
            _number(gr, knobs["seed"], f"{name}-seed"), "",
        )  # fmt: skip

    def stepping(by: int) -> Callable[[str, str], str]:
        return lambda run, stimulus: step_to(house.run(run), stimulus, by)

    shown = {"inputs": [run, stimulus], "outputs": [seen, rest], "concurrency_limit": None, **QUIET}
    blocks.load(asking(gr, show), **shown)
    stimulus.change(asking(gr, show), trigger_mode="always_last", **shown)
    stimulus.change(asking(gr, leave), None, [drawn], queue=False, **QUIET)
    # the other run may have the same stimulus, which then does not change
    run.change(asking(gr, leave), None, [drawn], queue=False, **QUIET)
    run.change(other, [run], [head, stimulus, *sliders, seed, drawn], queue=False, **QUIET).then(
        asking(gr, show), **shown
    )
    for button, by in ((previous, -1), (following, 1)):
        button.click(stepping(by), [run, stimulus], [stimulus], queue=False, **QUIET)
    draw.click(
        asking(gr, again), [run, stimulus, *sliders, seed], [drawn], trigger_mode="once", concurrency_limit=None,
        **QUIET,
    )  # fmt: skip
    stop.click(asking(gr, halt), None, None, queue=False, **QUIET)


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
