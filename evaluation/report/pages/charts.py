"""Charts as numbers for an SVG in a template: axes with round ticks, and labels that do not cover one another.

    across, up = axis_of([10.7, 50.9], log=True), axis_of([-0.4, 4.4])
    across.ticks          (Tick(at=0.0, words="10"), ...), `at` from 0 to 1 along the axis
    apart([40, 44, 200], gap=15, low=0, high=240)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TICKS = 5
"""Steps between ticks, at most about."""
ROUND = (1, 2, 2.5, 5, 10)
"""What a step between ticks can be, times a power of ten."""
SMALL = 1e-4
"""Where no number of an axis is as far from 0, they are written as powers of ten."""
FEW_DECADES = 2
"""Up to so many powers of ten, a logarithmic axis has ticks at 2 and 5 times each as well."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark on an axis: where it lies, 0..1 from the axis' low end, and what stands there."""

    at: float
    words: str


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis from `low` to `high`, both above 0 where it is logarithmic."""

    low: float
    high: float
    log: bool
    ticks: tuple[Tick, ...]

    def at(self, value: float) -> float:
        """Where a value lies, 0..1 from the low end."""
        return _share(value, self.low, self.high, log=self.log)


def axis_of(values: Sequence[float], *, log: bool = False, whole: bool = False) -> Axis:
    """An axis around all of these values, with ticks at round ones.

    log    logarithmic; the values are above 0
    whole  ticks at whole numbers alone, and the axis ends at the least and the greatest value
    """
    low, high = min(values), max(values)
    if log:
        marks = _decades(low, high)
        low, high = max(mark for mark in marks if mark <= low), min(mark for mark in marks if mark >= high)
        high = high if high > low else next(mark for mark in marks if mark > low)
    elif whole:
        marks, high = _marks(low, max(high, low + 1), whole=True), max(high, low + 1)
        marks = [low, *(mark for mark in marks if mark > low)]
    else:
        marks = _marks(low, high) if low < high else _marks(low - 0.5, high + 0.5)
        low, high = marks[0], marks[-1]
    inside = [mark for mark in marks if low <= mark <= high]
    words = [worded([mark])[0] for mark in inside] if log else worded(inside)
    ticks = tuple(Tick(at=_share(mark, low, high, log=log), words=one) for mark, one in zip(inside, words, strict=True))
    return Axis(low=low, high=high, log=log, ticks=ticks)


def _marks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Round numbers around low < high, the outermost not inside of them."""
    from matplotlib.ticker import MaxNLocator

    steps = [step for step in ROUND if not whole or step == int(step)]
    return [float(mark) for mark in MaxNLocator(nbins=TICKS, steps=steps, integer=whole).tick_values(low, high)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten around 0 < low <= high, with 2 and 5 times each where they are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1
    times = (1, 2, 5) if last - 1 - first <= FEW_DECADES else (1,)
    return [float(f"{one}e{power}") for power in range(first, last + 1) for one in times]


def worded(values: Sequence[float]) -> list[str]:
    """Round numbers as text, all with as many decimals as the one that needs most, and a true minus sign."""
    if max(map(abs, values), default=0) < SMALL:
        return [f"{value:.1g}".replace("-", "−") for value in values]
    decimals = max((_decimals(value) for value in values), default=0)
    return [f"{value:,.{decimals}f}".replace("-", "−") for value in values]


def apart(places: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """The same places with at least `gap` between neighbours, in their order, from `low` to `high`.

    Those that are apart already stay where they are.
    Where there is no room for them all they are as far from one another as there is room.
    """
    gap = min(gap, (high - low) / max(1, len(places) - 1))
    order = np.argsort(places, kind="stable")
    found = np.clip(np.asarray(places, float)[order], low, high)
    for at in range(1, len(found)):
        found[at] = max(found[at], found[at - 1] + gap)
    found[-1:] = np.minimum(found[-1:], high)
    for at in range(len(found) - 2, -1, -1):
        found[at] = min(found[at], found[at + 1] - gap)
    back = np.empty_like(found)
    back[order] = found
    return [float(one) for one in back]


def _share(value: float, low: float, high: float, *, log: bool) -> float:
    if log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _decimals(value: float) -> int:
    """Decimals of a round number, which has three digits or fewer that are not 0."""
    return len(np.format_float_positional(float(f"{value:.3g}"), trim="-").partition(".")[2])
