"""Retrieval of embeddings: of what the brain's condition finds among the true ones, and what a true one finds among it.

    brain -> image   the true condition most similar to the decoded one is its own
    image -> brain   the decoded condition most similar to the true one is its own

Top-1 by the cosine of flattened conditions, the arithmetic of MindEye and MindEye2 (Scotti et al. 2023, 2024), among
all n test stimuli and, of more than 300, in pools of 300: theirs is a mean over 30 drawn pools, here it is the mean
over all pools there are. Their embedding was trained for retrieval, ours is what a generator is given. No picture is
looked at: that is the ladder's, whose top-1 is the judge's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.conditions import Conditions
from evaluation.score import LEVEL, Chances, blocks_of, permuted_mean, widened
from evaluation.similarity import cosines, top1_marks
from evaluation.statistics.conditions import name_of, null_name, true_path
from evaluation.statistics.folds import Design

Wide = NDArray[np.float64]
DIRECTIONS = ("brain_to_stimulus", "stimulus_to_brain")
POOL = 300
"""The pool of the published tables."""


@dataclass(frozen=True, kw_only=True)
class Retrieved:
    """Top-1 retrieval of one map's conditions in one direction, over n test stimuli, with its 95 % interval.

    space            the map's name, which is that of its space unless somebody has named it
    direction        brain_to_stimulus or stimulus_to_brain
    pool             candidates, its own among them: n, or 300
    chance, p, null  of one test set the mean and the rank among permutations of the test stimuli (1 / pool, but where
                     they change places within sessions); in folds among refits. Chance is NaN and p None where no
                     refits know this measure, or where these, of some targets for all, come to another value
    """

    space: str
    direction: str
    pool: int
    n: int
    value: float
    low: float
    high: float
    chance: float
    p: float | None
    null: str = ""

    def facts(self) -> dict[str, Any]:
        """The score as report.json says it."""
        return asdict(self)


def score_retrieval(
    home: Path, chances: Chances, *, design: Design, blocks: Mapping[str, str]
) -> tuple[Retrieved, ...]:
    """Every map of a run in both directions; none where the folder has no conditions, or those of one stimulus.

    blocks  stimulus -> whom it may change places with, of one test set
    """
    found: list[Retrieved] = []
    for path in sorted((home / "conditions").glob("*.decoded.safetensors")):
        decoded = Conditions.load(path)
        if len(decoded) > 1:
            true = Conditions.load(true_path(path, decoded))
            found += retrieve(name_of(path), decoded, true, chances, design=design, blocks=blocks)
    return tuple(found)


def retrieve(
    name: str, decoded: Conditions, true: Conditions, chances: Chances, *, design: Design, blocks: Mapping[str, str]
) -> list[Retrieved]:
    """One map: its decoded conditions and the true ones. Spaces that differ are an InputError."""
    decoded.space.must_match(true.space)
    n, null = len(decoded), design.nulls.get(name)
    truth = true.take(decoded.ids).values.reshape(n, -1)
    groups = blocks_of([blocks.get(one, "") for one in decoded.ids])
    found = []
    for measure, table in retrieval_tables(decoded.values.reshape(n, -1), truth).items():
        direction, _, size = measure.rpartition("_")
        pool, values = n if size == "all" else int(size), np.diagonal(table)
        mean, p, chance = float(values.mean()), None, float("nan")
        # what no refits know is taken to be as much too narrow in folds as two-way is
        wider = 1.0 if null is None else null.narrow
        if null is not None and null.knows(measure) and null.speaks_of(mean, measure):
            p, chance, wider = null.p(measure), null.chance(measure), null.wider(measure, values)
        elif not design.in_folds:
            p, chance = chances.p(table, groups), permuted_mean(table, groups, free=1 / pool)
        low, high = few_held(widened(mean, *chances.interval(values), by=wider, bounds=(0.0, 1.0)), values)
        found.append(
            Retrieved(
                space=name, direction=direction, pool=pool, n=n, value=mean, low=low, high=high, chance=chance, p=p,
                null="" if p is None else null_name(design, null),
            )
        )  # fmt: skip
    return found


def few_held(found: tuple[float, float], values: Wide) -> tuple[float, float]:
    """The interval, with that of Clopper and Pearson (1934) inside: a resample of few hits holds chance too seldom.

    values  (stimulus,) each in 0..1, a chance of success: of all such values those of 0 and 1 spread most
    """
    from scipy.stats import beta

    n, hits, tail = len(values), float(values.sum()), (1 - LEVEL) / 2
    low = float(beta.ppf(tail, hits, n - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return min(found[0], low), max(found[1], high)


def retrieval_tables(decoded: NDArray[Any], truth: NDArray[Any]) -> dict[str, Wide]:
    """Measure -> (stimulus, stimulus) what each would score, were another its own; its diagonal is what it scores.

    decoded, truth  (stimulus, value), of the same stimuli. Measures are DIRECTION_all and, of more than 300 stimuli,
    DIRECTION_300; k tied winners count 1/k
    """
    similar, found = cosines(decoded, truth), {}
    for direction, way in zip(DIRECTIONS, (similar, similar.T), strict=True):
        found[f"{direction}_all"] = np.asarray(top1_marks(way).table, np.float64)
        if len(decoded) > POOL:
            found[f"{direction}_{POOL}"] = np.asarray(top1_marks(way, pool=POOL).table, np.float64)
    return found


def mean_retrieval(decoded: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    """Measure -> its mean, of conditions (stimulus, value) and the true ones of the same stimuli (stimulus, value)."""
    return {measure: float(np.diagonal(table).mean()) for measure, table in retrieval_tables(decoded, truth).items()}
