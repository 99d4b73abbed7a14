"""What the tabs share: who asks, what a run says of itself, how a failure is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.demo.pages import page
from app.demo.runs import Run
from app.demo.session import House, Visitor
from app.demo.views import badge, headline
from brain.errors import AfterimageError

EMPTY = {
    "image": "No finished run of pictures is open. Make one with `make decode`, or name one: afterimage app RUN",
    "sound": "No finished run of sounds is open. Make one with `make listen`, or name one: afterimage app RUN",
}
QUIET = {"show_progress": "hidden", "api_visibility": "private"}
"""No overlay over pictures, and no entry in an API that nobody documents."""


def asking(gr: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Tells gradio that the last parameter is the request; annotations as text would not be understood."""
    function.__annotations__["request"] = gr.Request
    return function


def visitor_of(house: House, request: Any) -> Visitor:
    """The visitor whose browser tab sent this request."""
    return house.visitor(str(request.session_hash))


def stop(house: House, request: Any, what: str, *, left: bool = False) -> None:
    """Ends what this visitor is at, if it is that; who has never begun anything is no visitor yet."""
    visitor = house.known_visitor(str(request.session_hash))
    if visitor is not None:
        visitor.stop(what, left=left)


def head_of(run: Run) -> str:
    """Whose brain a run is of and what run it is, as HTML."""
    return page("head", badge=badge(run), simulated=bool(run.simulated), headline=headline(run))


def failed(error: AfterimageError) -> str:
    """An error's sentence as HTML."""
    return page("message", kind="failed", text=str(error))
