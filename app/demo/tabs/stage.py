"""Decode and Listen: stepping through the test set of a run, and drawing again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from app.demo.knobs import Asked, Control, controls, regions
from app.demo.links import State
from app.demo.pages import page
from app.demo.runs import Run
from app.demo.session import House
from app.demo.tabs.parts import EMPTY, QUIET, asking, failed, head_of, visitor_of
from app.demo.tabs.parts import stop as end
from app.demo.views import step_to, stimulus_names
from brain.errors import AfterimageError

SLIDERS = ("strength", "guidance", "steps", "samples")
PARTS = 3 + len(SLIDERS) + 2
"""Components that a link sets: the run, its head, the stimulus, the sliders, the seed, the silenced regions."""
NO_NUMBERS: Mapping[str, float] = MappingProxyType({})

def build(gr: Any, blocks: Any, house: House, *, modality: str, name: str) -> list[Any]:
    """Stepping through the test set of a run, and drawing again; the components that a link sets, [] without a run."""
    names = house.names(modality)
    if not names:
        gr.HTML(page("message", kind="empty", text=EMPTY[modality]))
        return []
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
        with gr.Row(elem_classes="knobs"):
            *sliders, seed, silenced = _knobs(gr, first, name)
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
        silenced: list[str] | None, request: Any,
    ) -> Iterator[str]:  # fmt: skip
        try:
            knobs = controls(house.run(run))
            given = {"strength": strength, "guidance": guidance, "steps": steps, "seed": seed, "samples": samples}
            # an emptied box is the run's own value
            values = {name: knobs[name].value if value is None else value for name, value in given.items()}
            asked = Asked(
                strength=float(values["strength"]), guidance=float(values["guidance"]), steps=int(values["steps"]),
                seed=int(values["seed"]), samples=int(values["samples"]), silenced=tuple(silenced or ()),
            )  # fmt: skip
            for view in visitor_of(house, request).draw(run, stimulus, asked):
                yield "" if view.progress.state == "left" else page("draw", view=view)
        except AfterimageError as error:
            yield failed(error)

    def halt(request: Any) -> None:
        end(house, request, modality)

    def leave(run: str, stimulus: str, request: Any) -> Any:
        """What is being drawn belongs to another stimulus now, unless it was asked for after the change."""
        visitor = house.known_visitor(str(request.session_hash))
        return "" if visitor is None or visitor.leave_for(run, stimulus, modality) else gr.skip()

    def other(run: str) -> tuple[Any, ...]:
        chosen = house.run(run)
        stimuli = gr.Dropdown(stimulus_names(chosen), value=chosen.stimuli[0])
        return head_of(chosen), stimuli, *_knobs(gr, chosen, name), ""

    def stepping(by: int) -> Callable[[str, str], str]:
        return lambda run, stimulus: step_to(house.run(run), stimulus, by)

    shown = {"inputs": [run, stimulus], "outputs": [seen, rest], "concurrency_limit": None, **QUIET}
    blocks.load(asking(gr, show), **shown)
    stimulus.change(asking(gr, show), trigger_mode="always_last", **shown)
    stimulus.change(asking(gr, leave), [run, stimulus], [drawn], queue=False, **QUIET)
    # the other run may have the same stimulus, which then does not change
    run.change(asking(gr, leave), [run, stimulus], [drawn], queue=False, **QUIET)
    run.input(other, [run], [head, stimulus, *sliders, seed, silenced, drawn], queue=False, **QUIET).then(
        asking(gr, show), **shown
    )
    for button, by in ((previous, -1), (following, 1)):
        button.click(stepping(by), [run, stimulus], [stimulus], queue=False, **QUIET)
    drawing = {"inputs": [run, stimulus, *sliders, seed, silenced], "outputs": [drawn], "concurrency_limit": None,
               **QUIET}  # fmt: skip
    draw.click(asking(gr, again), trigger_mode="once", **drawing)
    silenced.input(asking(gr, again), trigger_mode="always_last", **drawing)
    stop.click(asking(gr, halt), None, None, queue=False, **QUIET)
    return [run, head, stimulus, *sliders, seed, silenced]


def arrived(gr: Any, house: House, state: State, *, modality: str, name: str) -> list[Any]:
    """What the components that `build` returns are set to by a link; as they are where it names no run of them."""
    names = house.names(modality)
    if not names:
        return []
    if state.tab != name or state.run not in names:
        return [gr.skip() for _ in range(PARTS)]
    run = house.run(state.run)
    stimulus = state.stimulus if state.stimulus in run.stimuli else run.stimuli[0]
    known = regions(run)
    silenced = [one for one in state.silenced if one in known]
    return [
        run.name, head_of(run), gr.Dropdown(stimulus_names(run), value=stimulus),
        *_knobs(gr, run, name, numbers=state.numbers, silenced=silenced),
    ]  # fmt: skip


def _knobs(
    gr: Any, run: Run, name: str, *, numbers: Mapping[str, float] = NO_NUMBERS, silenced: Sequence[str] = ()
) -> list[Any]:
    """The sliders, the seed and the silenced regions of a run, at these values where they lie in the knob's range."""
    knobs = controls(run)
    value = {one: min(max(numbers.get(one, knob.value), knob.low), knob.high) for one, knob in knobs.items()}
    return [
        *(_slider(gr, knobs[one], f"{name}-{one}", value[one]) for one in SLIDERS),
        _number(gr, knobs["seed"], f"{name}-seed", value["seed"]),
        gr.Dropdown(
            regions(run), value=list(silenced), multiselect=True, label="Silenced regions", min_width=200,
            info="Their voxels stand at their training mean; it is drawn again at once.", elem_id=f"{name}-silenced",
        ),
    ]  # fmt: skip


def _slider(gr: Any, knob: Control, place: str, value: float) -> Any:
    return gr.Slider(
        knob.low, knob.high, value=value, step=knob.step, label=knob.label, info=knob.help, elem_id=place,
        interactive=knob.used, min_width=200,
    )  # fmt: skip


def _number(gr: Any, knob: Control, place: str, value: float) -> Any:
    return gr.Number(
        value=int(value), precision=0, label=knob.label, info=knob.help,
        elem_id=place, interactive=knob.used, min_width=200,
    )  # fmt: skip
