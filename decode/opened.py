"""A fitted run with what drawing from it needs: data, folds, conditions, generators, each opened once.

    opened = Opened(run=RunFolder(out), fit=settings.fit, data=data)
    ladder = opened.ladder(settings, missing)
    hand = opened.hand(settings)

The run is read and never written, so that several may draw from one run at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from brain.design import groups_by_session
from brain.errors import InputError
from brain.types import Recording, Responses, Split
from decode.checks import own_data
from decode.hand import Hand, hand_of, open_generator, painting, row_of
from decode.ladder import Ladder, partners
from decode.painter import NAME as PIXELS
from decode.patterns import first_repeats, folds_of, later_repeats
from decode.run_folder import RunFolder
from decode.settings import MINDVIS, DecodeSettings, FitSettings, Settings, needed_maps
from decode.showing import seconds_heard
from encoders.conditions import Conditions
from encoders.network_map import load_map
from evaluation.samples import OTHER_REPEATS

REPEAT = "repeat"
Key = tuple[str, str, int]
"""Row, stimulus and index of a sample."""
Take = Callable[[Responses], Responses]
"""Chooses among a stimulus' repeats."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A fitted run; nothing is opened by naming it.

    fit   how it was fitted, and on which of the `data`
    """

    run: RunFolder
    fit: FitSettings
    data: Path
    _generators: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False)

    @cached_property
    def recording(self) -> Recording:
        """The data; those that are gone, damaged or not the run's own are an InputError."""
        return own_data(self.run, self.data, self.fit)

    @cached_property
    def folds(self) -> tuple[Split, ...]:
        """The folds that the run was fitted in."""
        return folds_of(self.recording, self.fit.split, self.run)

    @cached_property
    def true(self) -> dict[str, Conditions]:
        """Space -> conditions of every training and test stimulus."""
        return {space: Conditions.load(self.run.conditions(space, "true")) for space in needed_maps(self.fit)}

    @cached_property
    def seconds(self) -> float:
        """How long a stimulus is, which stands for all; 0 of pictures."""
        return seconds_heard(self.recording.stimuli, self.folds[0].test[0])

    @cached_property
    def sessions(self) -> dict[str, str]:
        """Test stimulus -> the sessions it was shown in, where the design has such groups: see `blocks_of`."""
        return blocks_of(self.recording.responses, (name for fold in self.folds for name in fold.test))

    def hand(self, settings: Settings, method: str = "") -> Hand:
        """The generator that `settings` or `method` names, as these settings let it draw."""
        name = method or settings.decode.method
        if name == PIXELS:
            return painting(self.true)
        key = (name, settings.machine.device, settings.decode.dtype)
        if key not in self._generators:
            self._generators[key] = open_generator(settings, run=self.run, method=name)
        return hand_of(self._generators[key], settings, seconds=self.seconds)

    def ladder(self, settings: Settings, missing: Iterable[Key]) -> Ladder:
        """What the missing rows are drawn from: conditions are decoded of those stimuli alone that a row needs."""
        keys, seed, methods = list(missing), settings.machine.seed, methods_of(settings.decode)
        own = {"decoded", "retrieval", "reranked", *methods}
        if MINDVIS in methods.values():
            own.add("mean")  # voxels have no true conditions to take a mean of
        needed = {name for row, name, _ in keys if row in own}
        if any(row == "shuffled" for row, _, _ in keys):
            partner = partners(self.folds, seed)
            needed |= {partner[name] for row, name, _ in keys if row == "shuffled"}
        count = settings.decode.test_repeats
        takes: dict[str, Take] = {
            REPEAT: lambda trials: first_repeats(trials, 1),
            OTHER_REPEATS: later_repeats,
        }
        conditioned = MINDVIS in methods.values()
        repeats = {
            row: self.decoded(stimuli, take, voxels=conditioned)
            for row, take in takes.items()
            if (stimuli := {name for other, name, _ in keys if other == row})
        }
        decoded = (
            self.decoded(needed, lambda trials: first_repeats(trials, count), voxels=conditioned) if needed else {}
        )
        return Ladder(folds=self.folds, true=self.true, decoded=decoded, seed=seed, repeats=repeats)

    def decoded(self, stimuli: set[str], take: Take, *, voxels: bool = False) -> dict[str, Conditions]:
        """Space -> conditions of these test stimuli, each by its fold's mapping; `voxels`: their z-scores as well."""
        found = {
            space: decoded_conditions(self.run, self.recording, self.folds, space=space, stimuli=stimuli, take=take)
            for space in self.true
        }
        if voxels:
            from decode.conditioned import patterns

            conditions = patterns(self.run, self.recording, stimuli=stimuli, take=take)
            found[conditions.space.name] = conditions
        return found


def blocks_of(responses: Responses, stimuli: Iterable[str]) -> dict[str, str]:
    """Stimulus -> "session 3", whose stimuli may change places under the null; "" where all of them may."""
    names = sorted(set(stimuli))
    trials = responses.trials(responses.of(names))
    known, session = np.unique(trials.session, return_inverse=True)
    counts = np.zeros((len(names), len(known)), np.int64)
    np.add.at(counts, (np.searchsorted(names, trials.stimulus), session), 1)
    groups = groups_by_session(counts, sets=responses.standardise != "session")
    if len(set(groups.tolist())) < 2:
        return dict.fromkeys(names, "")
    called: dict[int, str] = {}
    for one in sorted(set(groups.tolist())):
        seen = counts[groups == one].sum(0)
        name = f"session {', '.join(map(str, known[seen >= seen.max() / 2]))}"
        called[one] = name if name not in called.values() else f"{name}, group {one}"
    return {name: called[one] for name, one in zip(names, groups.tolist(), strict=True)}


def methods_of(decode: DecodeSettings) -> dict[str, str]:
    """Row -> the generator that draws it, for "decoded" (and all that is not named) and the rows beside it."""
    return {"decoded": decode.method, **{row_of(method): method for method in decode.beside}}


def decoded_conditions(
    run: RunFolder,
    recording: Recording,
    folds: Sequence[Split],
    *,
    space: str,
    stimuli: set[str],
    take: Take,
) -> Conditions:
    """The conditions in `space` that the mappings read from the brain for these test stimuli, each by its fold's."""
    parts: list[Conditions] = []
    for split in folds:
        here = stimuli & set(split.test)
        if here:
            mapping = load_map(run.map(space, split.name))
            if mapping.split != split.sha256:
                raise InputError(
                    f"{run.map(space, split.name)}: fitted on another split than these data make of {split.name!r}; "
                    "decode the data it was fitted on, or fit again into another --out"
                )
            trials = recording.responses.trials(recording.responses.of(here))
            parts.append(mapping.decode(take(trials)))
    return _joined(parts)


def _joined(parts: Sequence[Conditions]) -> Conditions:
    ids = tuple(name for part in parts for name in part.ids)
    return Conditions(space=parts[0].space, values=np.concatenate([part.values for part in parts]), ids=ids)
