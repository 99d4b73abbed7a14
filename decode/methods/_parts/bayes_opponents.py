"""Opponents of a Bayesian reading, rows of their own: what a plainer way finds in the same bank.

    likely        the most likely candidate itself, no generator
    other_words   as decoded, of a bank without every candidate that has all words, or all labels, of the stimulus
    correlated    as decoded, candidates found by correlation instead of likelihood
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from decode.methods import CATALOGUE, Kept, RowTask, read_from
from decode.methods._parts.bayes import Readings, Said
from decode.methods._parts.bayes_draws import conditions_of, shown_candidate
from decode.run.patterns import first_repeats
from decode.run.seeds import sample_seed
from encoders.conditions import Conditions
from encoders.voxelwise.bank_guard import same_words
from evaluation.samples.rows import RowCard
from pipelines.drawing import Drawn


def likely(task: RowTask) -> Iterator[Kept]:
    """The most likely candidates themselves, no generator."""
    (_, readings), names = _of(task), _names(task)
    said = readings.posteriors(task.ladder, "decoded", names)
    for name, index in task.asked:
        found = shown_candidate(readings, said[name], task.recording.stimuli, task.decoder.show)
        sound = task.recording.stimuli.modality == "sound"
        drawn = Drawn(id=name, seed=0, withheld=False, **{"wave" if sound else "image": found})
        yield Kept(drawn=drawn, index=index)


def other_words(task: RowTask) -> Iterator[Kept]:
    """As decoded, of a bank without every candidate that has all words, or all labels, of the stimulus."""
    (method, readings), names, ladder = _of(task), _names(task), task.ladder
    bank = {name: readings.candidates(ladder.fold(name).name) for name in names}
    gone = {name: same_words(bank[name], task.recording.stimuli, name) for name in names}
    said = readings.posteriors(ladder, "decoded", names, sharpness=task.own.sharpness, without=gone)
    # one candidate a seed is row decoded's; here there is the likeliest of those that are left
    own = replace(task.own, drawn_from="maximum") if task.own.drawn_from == "draw" else task.own
    yield from _drawn(task, conditions_of(readings, said, _decoded(task, names), own=own, **method.starts))


def correlated(task: RowTask) -> Iterator[Kept]:
    """The likeliest candidate by correlation of predicted with measured patterns, drawn without a ridge's share."""
    (method, readings), names, ladder = _of(task), _names(task), task.ladder
    responses, count = task.tested, task.settings.sampling.test_repeats
    said: dict[str, Said] = {}
    for fold in dict.fromkeys(ladder.fold(name).name for name in names):
        here = {name for name in names if ladder.fold(name).name == fold}
        trials = first_repeats(responses.trials(responses.of(here)), count)
        said |= readings.correlated(fold, trials)
    own = replace(task.own, drawn_from="maximum")
    found = conditions_of(readings, said, _decoded(task, names), own=own, mixed=False, **method.starts)
    yield from _drawn(task, found)


def _names(task: RowTask) -> list[str]:
    return list(dict.fromkeys(name for name, _ in task.asked))


def _decoded(task: RowTask, names: list[str]) -> dict[str, Conditions]:
    """Space -> what maps predict of these stimuli."""
    read = task.ladder.conditions("decoded", names, tuple(task.decoder.maps.values()))
    return {space: read[name] for space, name in task.decoder.maps.items()}


def _drawn(task: RowTask, conditions: Mapping[str, Conditions]) -> Iterator[Kept]:
    asked = [name for name, _ in task.asked]
    seeds = [sample_seed(task.ladder.seed, name, index) for name, index in task.asked]
    stream = task.decoder.draw(conditions, asked, seeds, watch=task.watch)
    for (_, index), drawn in zip(task.asked, stream, strict=True):
        yield Kept(drawn=drawn, index=index)


def _of(task: RowTask) -> tuple[Any, Readings]:
    """The method, and what a row of its own is drawn from."""
    method: Any = CATALOGUE[task.decoder.method]
    maps = read_from(task.settings.maps, method.spaces, method=method.name)
    true = {space: task.ladder.true[name] for space, name in maps.items()}
    return method, method.readings(task.run, task.settings, true)


OPPONENTS = (
    RowCard(
        name="likely",
        title="Most likely candidate",
        description="no generator: the item of the bank that the responses make most likely",
        order=92,
        looked_up=True,
    ),
    RowCard(
        name="other_words",
        title="Without its words",
        description="as decoded, of a bank without every candidate that has all words of the stimulus",
        order=5,
    ),
    RowCard(
        name="correlated",
        title="By correlation",
        description="as decoded, the candidate whose predicted pattern correlates best with the measured one",
        order=6,
    ),
)
