"""Compare: two runs beside each other, stimulus by stimulus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.demo.compare import common, compare_view
from app.demo.links import COMPARE, State
from app.demo.pages import page
from app.demo.session import House
from app.demo.tabs.parts import QUIET, failed
from brain.errors import AfterimageError

ALONE = "Two runs that share test stimuli are needed; only one is open. Name both: afterimage app RUN RUN"
APART = "These two runs share no test stimulus, or one is of pictures and the other of sounds; choose others."


def build(gr: Any, house: House) -> tuple[list[Any], Callable[[Any], object]]:
    """Two runs and a stimulus: the components that a link sets, and what to show once it has set them.

    There are none, and nothing is shown, where there are no two runs.
    """
    names = house.names()
    if len(names) < 2:
        gr.HTML(page("message", kind="empty", text=ALONE))
        return [], lambda loaded: None
    first, second = first_two(house)
    with gr.Row(elem_classes="knobs"):
        one = gr.Dropdown(names, value=first, label="Run", filterable=False, elem_id="compare-run", min_width=200)
        other = gr.Dropdown(
            names, value=second, label="Beside it", filterable=False, elem_id="compare-other", min_width=200
        )
    with gr.Row(equal_height=True, elem_classes="stepper"):
        previous = gr.Button("Previous", elem_id="compare-previous", scale=1, min_width=90)
        stimulus = gr.Dropdown(
            shared(house, first, second), show_label=False, container=False, scale=4, min_width=120,
            label="Test stimulus of both", elem_id="compare-stimulus",
        )  # fmt: skip
        following = gr.Button("Next", elem_id="compare-next", scale=1, min_width=90)
    view = gr.HTML("", elem_id="compare-view")

    def show(one: str, other: str, stimulus: str | None) -> str:
        if not stimulus:
            return page("message", kind="empty", text=APART)
        try:
            return page("compare", view=compare_view(house.run(one), house.run(other), stimulus))
        except AfterimageError as error:
            return failed(error)

    def others(one: str, other: str, stimulus: str | None) -> tuple[Any, str]:
        found = shared(house, one, other)
        chosen = stimulus if stimulus in found else next(iter(found), None)
        return gr.Dropdown(found, value=chosen), show(one, other, chosen)

    def stepping(by: int) -> Callable[[str, str, str | None], str | None]:
        def step(one: str, other: str, stimulus: str | None) -> str | None:
            found = shared(house, one, other)
            return found[(found.index(stimulus) + by) % len(found)] if stimulus in found else stimulus

        return step

    asked = [one, other, stimulus]
    for run in (one, other):
        run.input(others, asked, [stimulus, view], **QUIET)
    stimulus.change(show, asked, [view], trigger_mode="always_last", **QUIET)
    for button, by in ((previous, -1), (following, 1)):
        button.click(stepping(by), asked, [stimulus], queue=False, **QUIET)
    return asked, lambda loaded: loaded.then(others, asked, [stimulus, view], **QUIET)


def first_two(house: House) -> tuple[str, str]:
    """The first two runs that share test stimuli, or the first two."""
    names = house.names()
    pairs = [(one, other) for at, one in enumerate(names) for other in names[at + 1 :]]
    return next((pair for pair in pairs if shared(house, *pair)), pairs[0])


def shared(house: House, one: str, other: str) -> list[str]:
    """The test stimuli of both runs."""
    return common(house.run(one), house.run(other))


def arrived(gr: Any, house: House, state: State) -> list[Any]:
    """What the components that `build` returns are set to by a link; as they are where it names no two runs."""
    names = house.names()
    if len(names) < 2:
        return []
    if state.tab != COMPARE or not {state.run, state.other} <= set(names):
        return [gr.skip() for _ in range(3)]
    found = shared(house, state.run, state.other)
    stimulus = state.stimulus if state.stimulus in found else next(iter(found), None)
    return [state.run, state.other, gr.Dropdown(found, value=stimulus)]
