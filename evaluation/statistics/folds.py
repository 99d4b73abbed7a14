"""What a design allows to say: how test stimuli were left out, and against which null a number stands.

One test set: samples change places among the test stimuli of a session. In folds: patterns were permuted
before the folds and the mappings fitted anew (RUN/conditions/null.json, `decode/stages/fit/`); their mean is the chance
of decoded conditions, their spread widens intervals, and drawn samples, which nobody draws anew, have no p.

    design = read_design(home)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from evaluation.facts import read_json, silenced_in
from evaluation.score import smallest

NULL = "conditions/null.json"
"""Where it lies in a run."""
DECODED = "decoded"
FEWEST = 19
"""Refits below which p cannot be .05."""
MEASURES = ("two_way", "top1")
"""Measures of conditions that have a null."""
RETRIEVAL = (
    "brain_to_stimulus_all", "brain_to_stimulus_300", "stimulus_to_brain_all", "stimulus_to_brain_300",
)  # fmt: skip
"""Measures of `statistics.embedding_retrieval`: direction and pool."""
TIE = 1e-6
"""Marks are float32 and means of them differ in their last bits: a tie must count as a tie."""
AGREE = 0.05
"""How far the true assignment among the refits may be from what the run decoded, to speak of the same decoder."""
THEN = "run `afterimage fit` with the same settings, which makes them anew"
Wide = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Null:
    """Refits of one space.

    two_way, top1  (1 + refit,) float64, the true assignment first
    moved_two_way, moved_top1  (moved refit,) float64 of refits in which no pattern keeps its own stimulus
    moved_error    (moved refit,) float64, the standard error of two-way that the stimuli of each claim
    groups         how many stimuli each group has that patterns change places in
    targets, of    how many targets stand for how many
    retrieval      measure of `statistics.embedding_retrieval` -> the same two lists; none of runs fitted before
    """

    two_way: Wide
    top1: Wide
    moved_two_way: Wide
    moved_top1: Wide
    moved_error: Wide
    groups: tuple[int, ...]
    targets: int = 0
    of: int = 0
    retrieval: Mapping[str, tuple[Wide, Wide]] = field(default_factory=dict)

    @property
    def refits(self) -> int:
        """How many there are."""
        return len(self.two_way) - 1

    @property
    def least(self) -> float:
        """The smallest p that these groups and so many refits can give."""
        return smallest(self.groups, draws=self.refits)

    def knows(self, measure: str) -> bool:
        """Whether the refits were asked about this measure."""
        return measure in MEASURES or measure in self.retrieval

    def _all(self, measure: str) -> Wide:
        found: Wide = self.retrieval[measure][0] if measure in self.retrieval else getattr(self, measure)
        return found

    def _moved(self, measure: str) -> Wide:
        known = measure in self.retrieval
        found: Wide = self.retrieval[measure][1] if known else getattr(self, f"moved_{measure}")
        return found

    def chance(self, measure: str) -> float:
        """The mean over the refits without a true pair."""
        return float(self._moved(measure).mean())

    def p(self, measure: str) -> float:
        """(1 + #{refits that reach the true assignment}) / (1 + refits), and no less than the groups allow."""
        found = self._all(measure)
        return max(self.least, float((1 + int((found[1:] >= found[0] - TIE).sum())) / len(found)))

    def spread(self, measure: str) -> float:
        """The standard deviation over the refits without a true pair, ddof 1."""
        return float(self._moved(measure).std(ddof=1))

    def speaks_of(self, value: float, measure: str = "two_way") -> bool:
        """Whether the true assignment among the refits has the run's own value of this measure."""
        return abs(float(self._all(measure)[0]) - value) <= AGREE

    @property
    def narrow(self) -> float:
        """How many times too narrow the stimuli of a refit make its interval of two-way identification, 1 or more."""
        claimed = float(np.sqrt(np.square(self.moved_error).mean()))
        return max(1.0, self.spread("two_way") / claimed) if claimed > 0 else 1.0

    def wider(self, measure: str, units: Wide) -> float:
        """How many times as wide an interval from `units` (stimulus,) is to be, 1 or more.

        As narrow as it is on noise; and at chance no less than noise spreads, for a run that is low by chance is often
        narrow by chance too, less and less of that the nearer the best value. Values all alike have an exact bound.
        """
        error = float(units.std(ddof=1) / np.sqrt(len(units))) if len(units) > 1 else 0.0
        if np.ptp(units) < TIE or error <= 0:
            return 1.0
        chance = self.chance(measure)
        left = 1 - min(1.0, max(0.0, (float(units.mean()) - chance) / (1 - chance))) if chance < 1 else 0.0
        floor = self.narrow if measure == "two_way" else 1.0
        return max(floor, left * self.spread(measure) / error)


@dataclass(frozen=True, kw_only=True)
class Design:
    """How the test stimuli of a run were left out.

    folds   how many folds: 1 is one test set, also where nothing is known
    nulls   map -> its refits; none for one test set
    absent  map -> why it has none
    read    row -> the maps that it is drawn from, the most telling first, by the run's card; rows that are not named
            there are drawn from those of "decoded". Where nothing is known, the first map with refits stands for all
    """

    folds: int = 1
    nulls: Mapping[str, Null] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    read: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def in_folds(self) -> bool:
        """Whether the test stimuli were left out in several folds."""
        return self.folds > 1

    def map_of(self, row: str) -> str:
        """The map whose refits stand for this row, the most telling that it is drawn from; "" where that has none."""
        read = self.read.get(row, self.read.get(DECODED))
        first = next(iter(self.nulls if read is None else read), "")
        return first if first in self.nulls else ""

    def null_of(self, row: str) -> Null | None:
        """The refits that stand for this row."""
        return self.nulls.get(self.map_of(row))

    def wider(self, row: str, units: Mapping[str, Wide]) -> dict[str, float]:
        """Metric -> how many times as wide the intervals of a row are; "" of any other metric than MEASURES.

        units  metric -> (stimulus,) what the row's two-way and top-1 intervals are made of. Other metrics are taken to
               be as much too narrow as two-way is on noise, for nobody knows their refits
        """
        null = self.null_of(row)
        if null is None:
            return {"": 1.0}
        return {"": null.narrow} | {one: null.wider(one, units[one]) for one in MEASURES if one in units}

    def chance(self, row: str, metric: str) -> float:
        """The chance of a drawn row in folds: of two-way and top-1 that of its conditions, NaN of anything else."""
        null = self.null_of(row)
        return null.chance(metric) if null is not None and metric in MEASURES else float("nan")


def read_design(home: Path) -> Design:
    """The design of a run folder, by its card and RUN/conditions/null.json; damaged ones are an InputError.

    Refits average all repeats of a test stimulus and read every voxel: what was decoded from less has none.
    """
    card = read_json(home / "card.json")
    tested = card.get("tested", {})
    folds = len(tested) if isinstance(tested, Mapping) else 1
    if folds < 2:
        return Design()
    path = home / NULL
    if card.get("null") != null_digest(home):
        raise InputError(expected(path, "the refits that the run's card names", "others, or none", THEN))
    facts = read_json(path)
    try:
        nulls = {str(name): null_from(one) for name, one in facts.get("spaces", {}).items()}
        absent = {str(name): str(why) for name, why in facts.get("absent", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as fault:
        raise InputError(expected(path, "refits of each space", f"others ({fault})", THEN)) from fault
    why = ""
    if fewer := _test_repeats(card) or _stored_repeats(home):
        why = f"refits average all repeats of a test stimulus, and --test-repeats {fewer} averages fewer"
    elif silenced := silenced_in(card):
        why = f"refits read every voxel, and these samples are drawn with {', '.join(silenced)} silenced"
    if why:
        nulls, absent = {}, dict.fromkeys([*nulls, *absent], why)
    return Design(folds=folds, nulls=nulls, absent=absent, read=_maps_read(card))


def _maps_read(card: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Row -> maps that it is drawn from, by the card; nothing where that does not say it."""
    decode = card.get("decode")
    read = decode.get("maps") if isinstance(decode, Mapping) else None
    known = read.items() if isinstance(read, Mapping) else ()
    return {str(row): tuple(map(str, names)) for row, names in known if isinstance(names, list)}


def _test_repeats(card: Mapping[str, Any]) -> int:
    """How many repeats of a test stimulus were averaged, by the card; 0 is all of them."""
    decode = card.get("decode")
    # cards of format 1 had all of it under "settings"
    settings = decode.get("sampling", decode.get("settings")) if isinstance(decode, Mapping) else None
    found = settings.get("test_repeats") if isinstance(settings, Mapping) else None
    return found if type(found) is int else 0


def _stored_repeats(home: Path) -> int:
    """The same by the run's settings: cards of generators by afterimage 0.1.0 did not say it."""
    stored = read_json(home / "settings.json")
    asked = stored.get("asked", {})
    sampling = stored.get("decode", asked.get("sampling", {}) if isinstance(asked, Mapping) else {})
    found = sampling.get("test_repeats") if isinstance(sampling, Mapping) else None
    return found if type(found) is int else 0


def null_digest(home: Path) -> str:
    """The sha256 of a run's refits, "" where there are none."""
    path = home / NULL
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def null_from(facts: Mapping[str, Any]) -> Null:
    """The null of one space out of a run's file; anything else is a ValueError, KeyError or TypeError."""
    arrays = {name: _shares(facts[name]) for name in (*MEASURES, *(f"moved_{one}" for one in (*MEASURES, "error")))}
    fewest = {name: 2 if name.startswith("moved_") else 1 + FEWEST for name in arrays}
    if any(len(one) < fewest[name] for name, one in arrays.items()) or len(arrays["two_way"]) != len(arrays["top1"]):
        raise ValueError(f"lists of {sorted(len(one) for one in arrays.values())} numbers")
    counts = [*facts["groups"], facts["targets"], facts["of"]]
    if not facts["groups"] or any(type(one) is not int or not 1 <= one < 2**31 for one in counts):
        raise ValueError(f"{str(counts)[:40]} for counts")
    known = facts.get("embedding_retrieval", {})
    if strange := sorted(set(known) - set(RETRIEVAL)):
        raise ValueError(f"measures {', '.join(strange)[:60]}")
    lists = {name: (_shares(one["values"]), _shares(one["moved"])) for name, one in known.items()}
    if any(len(one) != len(arrays["two_way"]) or len(moved) < 2 for one, moved in lists.values()):
        raise ValueError("other numbers of retrieval than of two-way")
    groups = tuple(facts["groups"])
    return Null(**arrays, groups=groups, targets=facts["targets"], of=facts["of"], retrieval=lists)


def _shares(values: Any) -> Wide:
    """(number,) float64 of a list of numbers in 0..1; anything else is a ValueError."""
    if not isinstance(values, list) or any(type(one) not in (int, float) or not 0 <= one <= 1 for one in values):
        raise ValueError(f"{str(values)[:40]!r} for a list of numbers in 0..1")
    return np.array(values, np.float64)


def as_facts(design: Design) -> dict[str, Any]:
    """The design as report.json says it."""
    return {
        "folds": design.folds,
        "nulls": {
            name: {"refits": null.refits, "true assignment, two-way": float(null.two_way[0])}
            | {"widening": null.narrow}
            | {f"spread of {one}": null.spread(one) for one in MEASURES}
            | {f"chance of {one}": null.chance(one) for one in MEASURES}
            for name, null in design.nulls.items()
        },
        "no null": dict(design.absent),
    }
