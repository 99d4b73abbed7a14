"""Whether the stimuli of a run may be seen beyond this machine, by the terms of its data.

why = kept_here(run.card_facts(), simulated=run.simulated())     # "" where they may
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brain.readers import CATALOGUE

UNSAID = "its reader does not say under which terms its data are"


def kept_here(card: Mapping[str, Any], *, simulated: str | None) -> str:
    """Why nobody else may be shown the stimuli of a run, nor be given them, in one clause; "" where they may.

    card       the run's card, whose `data` name the reader
    simulated  what drew the data; the stimuli of simulated data are drawn too, in whatever layout they lie

    Data of a reader that nobody here knows have terms that nobody here knows: they stay where they are.
    """
    if simulated:
        return ""
    data = card.get("data")
    reader = data.get("reader", "") if isinstance(data, dict) else ""
    if reader not in CATALOGUE.names():
        return "its card names no reader of data that is known here, so that their terms are unknown"
    return str(getattr(CATALOGUE[reader], "terms", UNSAID))
