"""Whether the stimuli of a run may be seen beyond this machine: by its reader's terms, and what is unknown stays."""

from __future__ import annotations

from typing import Any

import pytest

from brain.readers import CATALOGUE
from decode.run.terms import kept_here


@pytest.mark.parametrize("simulated", ["", None])
def test_data_under_terms_stay_and_others_do_not(simulated: str | None) -> None:
    assert kept_here({"data": {"reader": "nsd"}}, simulated=simulated) == CATALOGUE["nsd"].terms != ""
    assert kept_here({"data": {"reader": "arrays"}}, simulated=simulated) == ""


@pytest.mark.parametrize(
    "card", [{}, {"data": {}}, {"data": "nsd"}, {"data": {"reader": "theirs"}}, {"data": {"reader": ["nsd"]}}], ids=str
)
def test_what_nobody_knows_stays(card: dict[str, Any]) -> None:
    assert "no reader" in kept_here(card, simulated="")


def test_a_simulated_run_holds_no_pictures_of_the_layout_it_borrows() -> None:
    for card in ({"data": {"reader": "nsd"}}, {}):
        assert kept_here(card, simulated="afterimage simulate, seed 0") == ""
