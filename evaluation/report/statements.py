"""What a report says before any number: its design, its null, its standardisation, and what would change the numbers.

And what its numbers do not say: rows that cannot be compared in folds, a p that a few stimuli a session cannot make
small. What shows a stimulus and is ahead of what was drawn is in `evaluation.report.opponents`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from brain.errors import counted
from evaluation.score import Score, smallest
from evaluation.statistics.folds import DECODED, Design

LOOK_UPS = ("retrieval", "exemplar")
"""Rows of the ladder that show a training stimulus."""
SMALL, HALF = 0.05, 0.5


def design_lines(
    run: Mapping[str, Any], design: Design, *, blocks: Sequence[str], permutations: int, several: str
) -> tuple[str, ...]:
    """The first lines of a report, a sentence each.

    run     the run's card, {} of a folder of samples alone; blocks (reference,) whom each may change places with
    several what stimuli are, "pictures" or "sounds"
    """
    said = null_line(design, blocks=blocks, permutations=permutations, several=several, sessions=sessions_of(run))
    return (
        _design(run, design, tested=len(blocks)),
        f"Null: {said}.",
        *_standardised(run),
        _changes(run, design, tested=len(blocks)),
    )


def _design(run: Mapping[str, Any], design: Design, *, tested: int) -> str:
    unit = "unit of inference: the stimulus, within one subject; samples of a stimulus are averaged first"
    splits = [one for one in _list(run.get("splits")) if isinstance(one, Mapping)]
    if not splits:
        return (
            f"Design: {counted(tested, 'stimulus', 'stimuli')} judged, of which no split is known (of stimuli that "
            f"were tested in folds neither chance nor p holds here); {unit}."
        )
    train, test = (_span([one.get(side) for one in splits]) for side in ("train", "test"))
    if design.in_folds:
        what = (
            f"{design.folds} folds, each leaving out {test} of {tested} stimuli and training on {train} "
            f"({splits[0].get('name')} and its like)"
        )
    else:
        what = f"split {splits[0].get('name')}, {test} test stimuli that {train} training stimuli do not hold"
    return f"Design: {what}{_shown(run)}; {unit}."


def _shown(run: Mapping[str, Any]) -> str:
    data = run.get("data")
    repeats = data.get("repeats") if isinstance(data, Mapping) else None
    if not isinstance(repeats, list) or not all(type(one) is int for one in repeats) or not repeats:
        return ""
    low, high = min(repeats), max(repeats)
    times = "once" if high == 1 else f"{low} times" if low == high else f"{low} to {high} times"
    return f", each shown {times}"


def null_line(
    design: Design, *, blocks: Sequence[str], permutations: int, several: str, sessions: int = 1
) -> str:
    """Which null p and chance are from, and the smallest p that it can give."""
    if not design.in_folds:
        if not permutations:
            return "none, for no permutations were asked for"
        groups = sorted(Counter(blocks).values())
        least = smallest(groups, draws=permutations)
        how = f"samples change places among all {counted(len(blocks), 'stimulus', 'stimuli')}"
        if sessions > 1:
            how += ", for their repeats spread over sessions or they lie alone in theirs"
        if len(groups) > 1:
            sets = any("," in one for one in blocks)
            these = f"the same sessions ({len(groups)} groups)" if sets else f"a session ({len(groups)} sessions)"
            how = f"samples change places among the test stimuli of {these}"
        return f"{how}, {permutations} permutations; the smallest p possible is {_p(least)}"
    null = design.null_of(DECODED)
    if null is None:
        why = "; ".join(f"{space}: {one}" for space, one in design.absent.items()) or "the run holds no refits"
        return f"none in these folds ({why}), so no p is given, chance is not known and intervals are too narrow"
    where = f" among stimuli of the same sessions ({len(null.groups)} groups)" if len(null.groups) > 1 else " freely"
    whose = f"; all of this is of map {design.map_of(DECODED)}" if len(design.nulls) + len(design.absent) > 1 else ""
    few = f", {null.targets} of {null.of} targets standing for all" if null.targets < null.of else ""
    return (
        f"the assignment of patterns to stimuli was permuted{where} before the folds, and the mappings refitted, "
        f"penalties chosen anew, {null.refits} times{few}. Chance is the mean of refits in which no pattern keeps its "
        f"stimulus ({null.chance('two_way'):.3f} two-way), {_why(null.chance('two_way'), len(null.groups))}. It holds "
        f"of decoded conditions and stands for the "
        f"{several}' two-way and top-1 too; the {several} themselves have no p, for they would have to be drawn anew "
        f"from every refit. Intervals are {null.narrow:.2f} times as wide as the stimuli alone make them, as refits "
        f"spread, and near chance as wide as noise. The smallest p possible is {_p(null.least)}{whose}"
    )


def _why(chance: float, groups: int) -> str:
    if groups > 1 and chance > HALF:
        return "above one half, for patterns tell the sessions apart and these showed different stimuli"
    return "for in folds a training mean never holds what is tested"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.0005 else f"{value:.0e}"


def _standardised(run: Mapping[str, Any]) -> tuple[str, ...]:
    known = run.get("standardisation")
    if not isinstance(known, Mapping) or "standardise" not in known:
        return ()
    ways = {"session": "z-scores within sessions", "all": "z-scores over all sessions together",
            "none": "none, responses as they are"}  # fmt: skip
    way = str(known["standardise"])
    # what that does to a blocked design is a caution of its own
    why = str(known.get("why", "")).partition("; the design is blocked")[0]
    return (f"Standardisation: {ways.get(way, way)}, by training trials; {why}.",)


def _changes(run: Mapping[str, Any], design: Design, *, tested: int) -> str:
    more = "another split" if run.get("splits") else "other stimuli"
    folds = ", more or fewer folds" if design.in_folds else ""
    way = ", another standardisation" if run.get("standardisation") else ""
    return (
        f"What would change the numbers: {more}{folds}{way}, fewer repeats averaged, another judge, and the pool: "
        f"two-way and top-1 are among these {counted(tested, 'stimulus', 'stimuli')}, and are not comparable with "
        "those of another number or another kind."
    )


def sessions_of(run: Mapping[str, Any]) -> int:
    """How many sessions the data have, by the run's card; 0 where it does not say."""
    data = run.get("data")
    return len(_list(data.get("sessions"))) if isinstance(data, Mapping) else 0


def drift_lines(run: Mapping[str, Any], design: Design, *, blocks: Sequence[str]) -> tuple[str, ...]:
    """That drift between sessions counts as signal, where neither the standardisation nor the null takes it away."""
    known, sessions = run.get("standardisation"), sessions_of(run)
    way = known.get("standardise") if isinstance(known, Mapping) else "session"
    inside = any(len(null.groups) > 1 for null in design.nulls.values()) or len(set(blocks)) > 1
    if sessions < 2 or way == "session" or inside:
        return ()
    return (
        "Sessions may differ in level, which this standardisation leaves in, and stimuli change places between "
        "sessions under the null: drift between sessions counts as signal here.",
    )


def blocked_lines(run: Mapping[str, Any]) -> tuple[str, ...]:
    """That the design is a blocked one, and what the standardisation that was asked for does there."""
    known = run.get("standardisation")
    if not isinstance(known, Mapping) or known.get("blocked") is not True:
        return ()
    return (f"Blocked design {str(known.get('why')).rpartition('the design is blocked ')[2]}.",)


def warning_lines(design: Design, *, blocks: Sequence[str], permutations: int) -> tuple[str, ...]:
    """That few stimuli leave no p small, where they do."""
    least = least_p(design, blocks=blocks, permutations=permutations)
    if least <= SMALL:
        return ()
    few = "lie in a session" if len(set(blocks)) > 1 or design.in_folds else "were tested"
    return (f"So few stimuli {few} that no p here can be below {_p(least)}, however good the decoder.",)


def least_p(design: Design, *, blocks: Sequence[str], permutations: int) -> float:
    """The smallest p that the decoded row can have, 0 where it has none."""
    if design.in_folds:
        null = design.null_of(DECODED)
        return null.least if null is not None else 0.0
    return smallest(Counter(blocks).values(), draws=permutations) if permutations else 0.0


def row_lines(scores: Sequence[Score], design: Design, *, one: str) -> tuple[str, ...]:
    """What rows are not in folds, a sentence each, for the foot of the ladder."""
    found = {score.row: score for score in scores if score.metric == "two_way"}
    if not design.in_folds:
        return ()
    lines = [
        f"Row {row} is not comparable in folds: the nearest training {one} is the reference of another fold, which is "
        "always found before the true one, so that its top-1 among references is 0 whatever was decoded."
        for row in LOOK_UPS
        if row in found
    ]
    if "shuffled" in found and (null := design.null_of("shuffled")) is not None:
        lines.append(
            f"The shuffled row ({found['shuffled'].value:.3f} two-way) is no chance level in folds: that is the mean "
            f"of the refits, {null.chance('two_way'):.3f}."
        )
    return tuple(lines)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _span(values: Sequence[Any]) -> str:
    known = [value for value in values if type(value) is int]
    if not known:
        return "an unknown number of"
    return str(known[0]) if len(set(known)) == 1 else f"{min(known)} to {max(known)}"
