"""Who may see which run, and the demo that is open to everybody: what it says of itself, and who may frame it.

check_shown(house.runs, public=how.public, others=True)
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.demo.guard import App, Receive, Scope, Send
from app.demo.runs import Run
from brain.errors import UsageError, expected
from decode.run.terms import kept_here

OWN_FRAMES = "frame-ancestors 'self'"
"""The rule of `guard.HEADERS` on whose pages may show this one inside themselves."""
UNREAD = "The report of this run cannot be read."
HUB = "https://huggingface.co"
"""Whose page shows a Space, inside itself."""


def check_shown(runs: Mapping[str, Run], *, public: bool, others: bool) -> None:
    """A UsageError for the first run that may not be shown to those who can look.

    public  everybody: only runs that are said to be simulated
    others  somebody else than who has started it: no stimuli under terms, whatever password is asked for
    """
    for name, run in runs.items():
        if public and not run.simulated:
            found = "a recorded brain" if run.simulated == "" else "a card that does not say it"
            raise UsageError(expected(f"{name}: --public", "a simulated brain", found, "leave the run out"))
        why = kept_here(run.card, simulated=run.simulated)
        if others and why:
            then = "leave the run out, or show it on this machine alone, to nobody but yourself"
            raise UsageError(expected(name, "stimuli that others may be shown", why, then))


def unplaced(runs: Mapping[str, Run]) -> dict[str, Run]:
    """The runs as strangers may see them: named by their names, for paths of this machine are nobody else's."""
    return {
        name: replace(run, place=Path(name).name or "RUN", trouble=run.trouble and UNREAD)
        for name, run in runs.items()
    }  # fmt: skip


def notice(runs: Mapping[str, Run]) -> tuple[str, ...]:
    """What a public demo says of itself, above everything."""
    sizes = [(name, run.data_facts()) for name, run in runs.items()]
    counted = [f"{name}, {facts['trials']} trials of {facts['stimuli']} stimuli" for name, facts in sizes
               if {"trials", "stimuli"} <= set(facts)]  # fmt: skip
    return (
        "Every brain here is simulated: nobody lay in a scanner, and nothing here is evidence about a person. Anybody "
        "may look, nothing can be sent in, and drawings of all visitors wait for each other.",
        *([f"Sizes of the studies: {'; '.join(counted)}."] if counted else []),
    )


class Framed:
    """ASGI middleware before the guard: one other site's pages, too, may show this demo inside themselves."""

    def __init__(self, app: App, *, by: str) -> None:
        self.app, self.rule = app, f"{OWN_FRAMES} {by}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def framed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value.replace(OWN_FRAMES.encode(), self.rule)) for name, value in message["headers"]]
                message["headers"] = kept
            await send(message)

        await self.app(scope, receive, framed)
