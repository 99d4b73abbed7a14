"""A fitted run with what drawing from it needs: data, folds, conditions, generators, each opened once.

    opened = Opened(run=RunFolder(out), settings=settings, data=data)
    ladder = opened.ladder(settings, missing)
    decoder = opened.decoder(settings)

The run is read and never written, so that several may draw from one run at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from brain.data.design import groups_by_session
from brain.errors import InputError
from brain.types import Recording, Responses, Split
from decode.methods import CATALOGUE as METHODS
from decode.methods import Decoder, Take, maps_read, own_of, row_of
from decode.run.folder import RunFolder
from decode.run.ladder import Ladder, partners
from decode.run.patterns import first_repeats, folds_of, later_repeats
from decode.run.settings import SamplingSettings, Settings, maps_of, spaces_of
from decode.run.showing import seconds_heard
from decode.stages.draw.silenced import Resting, fitted_on
from decode.stages.own_data import own_data
from encoders.conditions import Conditions
from encoders.mappings import load_map
from encoders.mappings._parts.knobs import Trials
from evaluation.samples.rows import OTHER_REPEATS, REPEAT

Key = tuple[str, str, int]
"""Row, stimulus and index of a sample."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A fitted run; nothing is opened by naming it.

    settings   how it was fitted, and on which of the `data`
    """

    run: RunFolder
    settings: Settings
    data: Path
    _networks: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False)

    @cached_property
    def recording(self) -> Recording:
        """The data; those that are gone, damaged or not the run's own are an InputError."""
        return own_data(self.run, self.data, self.settings)

    @cached_property
    def _resting(self) -> dict[tuple[tuple[str, ...], str, Trials], Resting]:
        """(silenced regions, fold, trials fitted on) -> where the voxels stand, of what was asked for before."""
        return {}

    @cached_property
    def folds(self) -> tuple[Split, ...]:
        """The folds that the run was fitted in."""
        return folds_of(self.recording, self.settings.data.split, self.run)

    @cached_property
    def true(self) -> dict[str, Conditions]:
        """Map -> conditions of every training and test stimulus, in its space."""
        return true_of(self.run, self.settings)

    @cached_property
    def seconds(self) -> float:
        """How long a stimulus is, which stands for all; 0 of pictures."""
        return seconds_heard(self.recording.stimuli, self.folds[0].test[0])

    @cached_property
    def sessions(self) -> dict[str, str]:
        """Test stimulus -> the sessions it was shown in, where the design has such groups: see `blocks_of`."""
        return blocks_of(self.recording.responses, (name for fold in self.folds for name in fold.test))

    def decoder(self, settings: Settings, method: str = "") -> Decoder:
        """The method that `settings` name, or the one of this name, as these settings let it draw."""
        name = method or settings.sampling.method
        own, entry = settings.method(name), METHODS[name]
        key = (name, settings.machine.device, settings.sampling.dtype)
        if key not in self._networks:
            self._networks[key] = entry.open(self.run, settings, true=self.true)
        return entry.decoder(self._networks[key], settings, own, seconds=self.seconds)

    def tested(self, stimuli: Iterable[str], silenced: tuple[str, ...], *, trials: Trials) -> Recording:
        """The recording; with regions silenced, its trials of these test stimuli alone, the regions' voxels at their
        training mean in the fold that tests each.

        trials  on what the reader of these responses was fitted, whose mean it is: see `Resting.of`
        """
        if not silenced:
            return self.recording
        responses, columns = self.recording.responses, self.recording.columns(silenced)
        found = responses.trials(responses.of(stimuli))
        for fold in self.folds:
            rows, key = found.of(fold.test), (silenced, fold.name, trials)
            if not rows.any():
                continue
            if key not in self._resting:
                self._resting[key] = Resting.of(responses, fold, columns, trials=trials)
            found = self._resting[key].put(found, rows)
        return replace(self.recording, responses=found)

    def ladder(self, settings: Settings, missing: Iterable[Key], *, silenced: tuple[str, ...] = ()) -> Ladder:
        """What the missing rows are drawn from: conditions are decoded of those stimuli alone that a row needs.

        silenced  regions whose voxels stand at their training mean in all that is read of the brain
        """
        keys, seed, sampling = list(missing), settings.machine.seed, settings.sampling
        own = {"decoded", "retrieval", *methods_of(sampling), *METHODS[sampling.method].drawn}
        if any(not method.needs for method, _ in own_of(settings)):
            own.add("mean")  # what is read besides maps has no true conditions to take a mean of
        needed = {name for row, name, _ in keys if row in own}
        if any(row == "shuffled" for row, _, _ in keys):
            partner = partners(self.folds, seed)
            needed |= {partner[name] for row, name, _ in keys if row == "shuffled"}
        takes: dict[str, Take] = {
            REPEAT: lambda trials: first_repeats(trials, 1),
            OTHER_REPEATS: later_repeats,
        }
        repeats = {
            row: self.decoded(stimuli, take, settings=settings, silenced=silenced)
            for row, take in takes.items()
            if (stimuli := {name for other, name, _ in keys if other == row})
        }
        count = sampling.test_repeats
        decoded: dict[str, Conditions] = {}
        if needed:
            decoded = self.decoded(
                needed, lambda trials: first_repeats(trials, count), settings=settings, silenced=silenced
            )
        read = [name for names in maps_read(settings).values() for name in names]
        return Ladder(folds=self.folds, true=self.true, decoded=decoded, seed=seed, read=read, repeats=repeats)

    def decoded(
        self, stimuli: set[str], take: Take, *, settings: Settings, silenced: tuple[str, ...] = ()
    ) -> dict[str, Conditions]:
        """Map -> conditions of these test stimuli, each by its fold's mapping, and what methods read besides maps."""
        found = {}
        for name, spec in maps_of(self.settings.maps).items():
            shown = self.tested(stimuli, silenced, trials=fitted_on(self.settings, spec))
            found[name] = decoded_conditions(self.run, shown, self.folds, name=name, stimuli=stimuli, take=take)
        for method, _ in own_of(settings):
            shown = self.tested(stimuli, silenced, trials="single" if method.trains else "averaged")
            beside = method.patterns(self.run, shown, stimuli=stimuli, take=take)
            if beside is not None:
                found[beside.space.name] = beside
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


def true_of(run: RunFolder, settings: Settings) -> dict[str, Conditions]:
    """Map -> the true conditions of a run in its space."""
    spaces = {space: Conditions.load(run.conditions(space, "true")) for space in spaces_of(settings.maps)}
    return {name: spaces[spec.space] for name, spec in maps_of(settings.maps).items()}


def methods_of(sampling: SamplingSettings) -> dict[str, str]:
    """Row -> the method that draws it, for "decoded" (and all that is not named) and the rows beside it."""
    return {"decoded": sampling.method, **{row_of(method): method for method in sampling.beside}}


def decoded_conditions(
    run: RunFolder,
    recording: Recording,
    folds: Sequence[Split],
    *,
    name: str,
    stimuli: set[str],
    take: Take,
) -> Conditions:
    """The conditions that the maps of this name predict for these test stimuli, each by its fold's."""
    parts: list[Conditions] = []
    for split in folds:
        here = stimuli & set(split.test)
        if here:
            mapping = load_map(run.map(name, split.name))
            if mapping.split != split.sha256:
                raise InputError(
                    f"{run.map(name, split.name)}: fitted on another split than these data make of {split.name!r}; "
                    "decode the data it was fitted on, or fit again into another --out"
                )
            trials = recording.responses.trials(recording.responses.of(here))
            parts.append(mapping.decode(take(trials)))
    return _joined(parts)


def _joined(parts: Sequence[Conditions]) -> Conditions:
    ids = tuple(name for part in parts for name in part.ids)
    return Conditions(space=parts[0].space, values=np.concatenate([part.values for part in parts]), ids=ids)
