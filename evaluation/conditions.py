"""Identification before the generator: what the brain's conditions say, and how much of it the generator loses.

    RUN/conditions/SPACE.decoded.safetensors    decoded from the brain, one condition a test stimulus
    RUN/conditions/SPACE.true.safetensors       of the stimuli themselves
    RUN/conditions/SPACE.generated.safetensors  optional: the space's own encoder on the first decoded sample of each
                                                stimulus, in the same space

A decoder whose conditions identify and whose sounds do not has lost them in its generator: the prior has spoken.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.conditions import Conditions
from evaluation.metrics.identification import two_way_marks
from evaluation.metrics.pixels import correlation
from evaluation.score import Chances, units_of

Wide = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ConditionScore:
    """Two-way identification of one space's conditions among the true ones, over n test stimuli, with 95 % intervals.

    two_way, low, high  of what was decoded, before the generator
    after               of what the space's encoder finds in the generated samples, with its interval
    loss                two_way - after, stimulus by stimulus, with its interval; these six are None where nobody has
                        encoded the samples
    """

    space: str
    two_way: float
    low: float
    high: float
    n: int
    after: float | None = None
    after_low: float | None = None
    after_high: float | None = None
    loss: float | None = None
    loss_low: float | None = None
    loss_high: float | None = None

    def facts(self) -> dict[str, Any]:
        """The score as report.json says it."""
        return asdict(self)


def score_conditions(home: Path, chances: Chances) -> tuple[ConditionScore, ...]:
    """Every space of a run, by name; none where the folder has no conditions, or those of one stimulus."""
    found = []
    for path in sorted((home / "conditions").glob("*.decoded.safetensors")):
        decoded, true = Conditions.load(path), Conditions.load(_beside(path, "true"))
        generated = _beside(path, "generated")
        if len(decoded) > 1:
            found.append(_score(decoded, true, Conditions.load(generated) if generated.is_file() else None, chances))
    return tuple(found)


def _beside(path: Path, row: str) -> Path:
    return path.with_name(path.name.replace(".decoded.", f".{row}."))


def _score(decoded: Conditions, true: Conditions, generated: Conditions | None, chances: Chances) -> ConditionScore:
    value, low, high = _mean(units(decoded, true), chances)
    facts = {"space": decoded.space.name, "two_way": value, "low": low, "high": high, "n": len(decoded)}
    both = [] if generated is None else [name for name in decoded.ids if name in set(generated.ids)]
    if generated is None or len(both) < 2:
        return ConditionScore(**facts)
    before, behind = units(decoded.take(both), true), units(generated.take(both), true)
    after, after_low, after_high = _mean(behind, chances)
    loss, loss_low, loss_high = _mean(before - behind, chances, least=-1.0)
    return ConditionScore(
        **facts, after=after, after_low=after_low, after_high=after_high, loss=loss, loss_low=loss_low,
        loss_high=loss_high,
    )  # fmt: skip


def units(conditions: Conditions, true: Conditions) -> Wide:
    """(stimulus,) two-way identification of conditions among the true ones of the same stimuli.

    A stimulus' part as the wrong answer of others is in it, as intervals want it; the mean is the plain one. Spaces
    that differ are an InputError.
    """
    conditions.space.must_match(true.space)
    own = np.arange(len(conditions))
    truth = true.take(conditions.ids).values.reshape(len(own), -1)
    marks = two_way_marks(correlation(conditions.values.reshape(len(own), -1), truth), own)
    values = np.diagonal(marks.table).astype(np.float64)
    distractor = np.full(len(own), np.nan) if marks.distractor is None else marks.distractor.astype(np.float64)
    return units_of(values, distractor)


def _mean(values: Wide, chances: Chances, *, least: float = 0.0) -> tuple[float, float, float]:
    """The mean and its interval, which ends where the measure does: two-way lies in 0..1, a loss from -1 on."""
    low, high = chances.interval(values)
    return float(values.mean()), max(low, least), min(high, 1.0)
