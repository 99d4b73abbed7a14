"""Identification before the generator: what the brain's conditions say, and how much of it the generator loses.

    RUN/conditions/MAP.decoded.safetensors      decoded from the brain, one condition a test stimulus
    RUN/conditions/SPACE.true.safetensors       of the stimuli themselves
    RUN/conditions/MAP.generated.safetensors    optional: the space's own encoder on the first decoded sample of each
                                                stimulus, in the same space

A decoder whose conditions identify and whose sounds do not has lost them in its generator: the prior has spoken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.data.correlation import pairwise
from brain.errors import InputError, expected
from encoders.conditions import Conditions
from evaluation.facts import read_json
from evaluation.score import Chances, blocks_of, bounded_interval, permuted_mean, units_of, widened
from evaluation.similarity import top1_marks, two_way_marks
from evaluation.statistics.folds import Design, Null

Wide = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Identified:
    """Conditions identified among the true ones of the same stimuli.

    two_way  (stimulus,) share of the others that it is less like than its own; ties 1/2
    units    (stimulus,) the same with what a stimulus does to others as their wrong answer, for intervals
    top1     (stimulus,) 1 where its own is the most like of all; k tied winners count 1/k
    tables   measure -> (stimulus, stimulus) what each would score, were another true condition its own
    """

    two_way: Wide
    units: Wide
    top1: Wide
    tables: Mapping[str, Wide]

    @property
    def error(self) -> float:
        """The standard error of the mean of two-way identification that its stimuli claim."""
        return float(self.units.std(ddof=1) / np.sqrt(len(self.units)))


@dataclass(frozen=True, kw_only=True)
class ConditionScore:
    """Identification of one map's conditions among the true ones, over n test stimuli, with 95 % intervals.

    space               the map's name, which is that of its space unless somebody has named it

    two_way, low, high  of what was decoded, before the generator; chance, p its null: of one test set the mean and the
                        rank among permutations of the test stimuli (1/2, but where they change places within
                        sessions), in folds among refits
    top1, ...           the same of being the most similar of all n
    null                which null p is from, "" without p; refits how many, 0 of a permutation of one test set
    after               of what the space's encoder finds in the generated samples, with its interval
    loss                two_way - after, stimulus by stimulus, with its interval; these six are None where nobody has
                        encoded the samples
    """

    space: str
    two_way: float
    low: float
    high: float
    n: int
    chance: float
    p: float | None
    top1: float
    top1_low: float
    top1_high: float
    top1_chance: float
    top1_p: float | None
    null: str = ""
    refits: int = 0
    after: float | None = None
    after_low: float | None = None
    after_high: float | None = None
    loss: float | None = None
    loss_low: float | None = None
    loss_high: float | None = None

    def facts(self) -> dict[str, Any]:
        """The score as report.json says it."""
        return asdict(self)


def score_conditions(
    home: Path, chances: Chances, *, design: Design, blocks: Mapping[str, str]
) -> tuple[ConditionScore, ...]:
    """Every map of a run, by name; none where the folder has no conditions, or those of one stimulus.

    blocks  stimulus -> whom it may change places with, of one test set
    """
    found = []
    for path in sorted((home / "conditions").glob("*.decoded.safetensors")):
        decoded = Conditions.load(path)
        true, generated = Conditions.load(true_path(path, decoded)), _beside(path, "generated")
        if len(decoded) > 1:
            behind = Conditions.load(generated) if generated.is_file() else None
            found.append(score_map(name_of(path), decoded, true, behind, chances, design=design, blocks=blocks))
    return tuple(found)


def agreed(design: Design, home: Path) -> Design:
    """The design without the nulls of spaces whose true assignment is not what the run decoded, with the reason.

    Of very many targets some stand for all in refits: where these hold more or less than all, p is of another decoder.
    """
    nulls, absent = dict(design.nulls), dict(design.absent)
    for space, null in design.nulls.items():
        path = home / "conditions" / f"{space}.decoded.safetensors"
        if not path.is_file() and "beside" in read_json(home / "card.json"):
            continue  # drawn from the very conditions that the refits are of
        if not path.is_file():
            del nulls[space]
            absent[space] = "the run has not decoded every test stimulus"
            continue
        decoded = Conditions.load(path)
        value = float(against(decoded, Conditions.load(true_path(path, decoded))).two_way.mean())
        if not null.speaks_of(value):
            del nulls[space]
            absent[space] = (
                f"the refits' true assignment is identified {null.two_way[0]:.3f} two-way and the run's conditions "
                f"{value:.3f}: they are of another decoder"
            )
    return replace(design, nulls=nulls, absent=absent)


def _beside(path: Path, row: str) -> Path:
    return path.with_name(path.name.replace(".decoded.", f".{row}."))


def name_of(path: Path) -> str:
    """The map's name, of a file of its decoded conditions."""
    return path.name.removesuffix(".decoded.safetensors")


def true_path(path: Path, decoded: Conditions) -> Path:
    """Where the true conditions lie that these decoded ones, read from `path`, are compared with: those of their space.

    A map is called like its space unless somebody has named it; none there is an InputError.
    """
    like = path.with_name(f"{decoded.space.name}.true.safetensors")
    if not like.is_file():
        what = f"the true conditions of space {decoded.space.name}"
        raise InputError(expected(like, what, "nothing there", "decode the run again"))
    return like


def score_map(
    name: str,
    decoded: Conditions,
    true: Conditions,
    generated: Conditions | None,
    chances: Chances,
    *,
    design: Design,
    blocks: Mapping[str, str],
) -> ConditionScore:
    """One map: its decoded conditions, the true ones, and those found in the generated samples, if any."""
    found, null = against(decoded, true), design.nulls.get(name)
    wider = 1.0 if null is None else null.wider("two_way", found.units)
    groups = blocks_of([blocks.get(name, "") for name in decoded.ids])
    facts: dict[str, Any] = {"space": name, "n": len(decoded)}
    for measure, units_ in (("two_way", found.units), ("top1", found.top1)):
        mean, low, high = _mean(units_, chances, wider=1.0 if null is None else null.wider(measure, units_))
        p = chance = None
        if null is not None:
            p, chance = null.p(measure), null.chance(measure)
        elif not design.in_folds:
            free, table = 0.5 if measure == "two_way" else 1 / len(decoded), found.tables[measure]
            p, chance = chances.p(table, groups), permuted_mean(table, groups, free=free)
        before = "" if measure == "two_way" else "top1_"
        facts |= {measure: mean, f"{before}low": low, f"{before}high": high, f"{before}p": p}
        facts[f"{before}chance"] = float("nan") if chance is None else chance
    facts |= {"null": null_name(design, null), "refits": 0 if null is None else null.refits}
    both = [] if generated is None else [name for name in decoded.ids if name in set(generated.ids)]
    if generated is None or len(both) < 2:
        return ConditionScore(**facts)
    ahead, behind = units(decoded.take(both), true), units(generated.take(both), true)
    after, after_low, after_high = _mean(behind, chances, wider=wider)
    # what a decoder in folds is too low by, it is too low by on both sides of the generator
    loss, loss_low, loss_high = _mean(ahead - behind, chances, least=-1.0)
    return ConditionScore(
        **facts, after=after, after_low=after_low, after_high=after_high, loss=loss, loss_low=loss_low,
        loss_high=loss_high,
    )  # fmt: skip


def null_name(design: Design, null: Null | None) -> str:
    """Which null conditions are held against, in words; "" for none."""
    if not design.in_folds:
        return "assignments of the test stimuli permuted"
    return "" if null is None else f"{null.refits} refits, patterns permuted before the folds"


def identified(decoded: NDArray[Any], truth: NDArray[Any]) -> Identified:
    """Conditions (stimulus, value) among the true ones of the same stimuli (stimulus, value)."""
    own, similar = np.arange(len(decoded)), pairwise(decoded, truth)
    two_way, top1 = two_way_marks(similar, own), top1_marks(similar)
    values = np.diagonal(two_way.table).astype(np.float64)
    assert two_way.distractor is not None
    return Identified(
        two_way=values,
        units=units_of(values, two_way.distractor.astype(np.float64)),
        top1=np.diagonal(top1.table).astype(np.float64),
        tables={"two_way": two_way.table.astype(np.float64), "top1": top1.table.astype(np.float64)},
    )


def against(conditions: Conditions, true: Conditions) -> Identified:
    """Conditions among the true ones of the same stimuli. Spaces that differ are an InputError."""
    conditions.space.must_match(true.space)
    n = len(conditions)
    truth = true.take(conditions.ids).values.reshape(n, -1)
    return identified(conditions.values.reshape(n, -1), truth)


def units(conditions: Conditions, true: Conditions) -> Wide:
    """(stimulus,) two-way identification of conditions among the true ones of the same stimuli.

    A stimulus' part as the wrong answer of others is in it, as intervals want it; the mean is the plain one. Spaces
    that differ are an InputError.
    """
    return against(conditions, true).units


def _mean(values: Wide, chances: Chances, *, least: float = 0.0, wider: float = 1.0) -> tuple[float, float, float]:
    """The mean and its interval, which ends where the measure does: two-way lies in 0..1, a loss from -1 on."""
    mean = float(values.mean())
    low, high = widened(mean, *chances.interval(values), by=wider, bounds=(least, 1.0))
    low, high = bounded_interval((low, high), values, bounds=(least, 1.0))
    return mean, low, high
