"""Silenced regions: their voxels stand at their training mean while test stimuli are drawn beside a run.

    check_silenced(opened.recording, settings, ("V1",))      # before anything is written
    Resting.of(responses, fold, columns, trials="averaged").put(tested, rows)

The mean is that of the patterns on which whatever reads the voxels was fitted, fold by fold: z-scores by training
trials, of training stimuli with their repeats averaged ("averaged") or of single training trials ("single"). Of a ridge
it is the mean that its weights are multiplied about, so that a voxel there adds nothing. Nothing is fitted anew.

Rows that read a brain change: decoded, shuffled, repeat, other_repeats, those of methods beside, what is looked up in a
bank, and retrieval, whose conditions are decoded. Rows oracle, mean, prior and round_trip read none and stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brain.catalogue import unknown
from brain.errors import UsageError, expected
from brain.types import Bool, Float, Int, Recording, Responses, Split
from decode.methods import maps_read, own_of
from decode.run.patterns import columns_of
from decode.run.settings import MAPPINGS, MapSpec, Settings, maps_of
from encoders.mappings._parts.knobs import RidgeKnobs, Trials
from encoders.patterns import standardised, training_patterns


@dataclass(frozen=True, kw_only=True)
class Resting:
    """Where silenced voxels stand in the trials that a fold tests, in the data's unit.

    columns   (voxel,) int64, which voxels
    sessions  (session,) int64; none where all count as one
    values    (session, voxel) float32; (1, voxel) where all count as one
    """

    columns: Int
    sessions: Int
    values: Float

    @classmethod
    def of(cls, responses: Responses, fold: Split, columns: Int, *, trials: Trials) -> Resting:
        """The mean over the training patterns of `fold`, as a map fitted on "averaged" or "single" `trials` saw them.

        The mean is taken of z-scores and put back into the unit by the scaler of each session: standardised as the map
        standardises, it is that mean again, to the rounding of float32.
        """
        training, scaler = standardised(responses.voxels(columns), fold.train)
        patterns, _ = training_patterns(training, trials)
        mean = patterns.mean(axis=0, dtype=np.float64)
        return cls(columns=columns, sessions=scaler.sessions, values=scaler.restored(mean))

    def put(self, trials: Responses, rows: Bool) -> Responses:
        """The same trials with the voxels at rest in those of `rows` (trial,)."""
        values, place = trials.values.copy(), np.flatnonzero(rows)
        known = len(self.sessions) > 0
        session = np.searchsorted(self.sessions, trials.session[place]) if known else np.zeros(len(place), np.int64)
        values[np.ix_(place, self.columns)] = self.values[session]
        return replace(trials, values=values)


def fitted_on(settings: Settings, spec: MapSpec) -> Trials:
    """Whether a map was fitted on averaged repeats or on single trials, as networks are."""
    if MAPPINGS[spec.mapping].network:
        return "single"
    knobs = settings.mapping(spec.mapping)
    return knobs.trials if isinstance(knobs, RidgeKnobs) else "averaged"


def check_beside(silenced: Sequence[str], to: Path | None) -> None:
    """Refuses (UsageError) silenced regions without a folder beside the run, whose samples are of all its voxels."""
    if silenced and to is None:
        what, then = "a folder for what is drawn without regions", "add --to FOLDER, or leave --silence out"
        raise UsageError(expected("--silence", what, "none", then))


def check_silenced(recording: Recording, settings: Settings, silenced: Sequence[str]) -> None:
    """Refuses (UsageError) a region that these data do not have, and one of which nothing that draws reads a voxel."""
    known = tuple(region.name for region in recording.regions)
    for name in silenced:
        if name not in known:
            raise UsageError(f"--silence: {unknown('region', name, known)}")
    read = np.zeros(len(recording.responses.space), np.bool_)
    names: dict[str, None] = {}
    for regions in _read(settings):
        read[columns_of(recording, regions)] = True
        names |= dict.fromkeys(regions)
    for name in silenced:
        if not read[recording.columns(name)].any():
            what = f"a region with voxels that are read, which are those of {', '.join(names) or 'none'}"
            raise UsageError(expected("--silence", what, f"{name}, which has none", "name one that shares voxels"))


def _read(settings: Settings) -> Iterator[tuple[str, ...]]:
    """The regions of every map that a method draws from, and those that methods read themselves."""
    maps = maps_of(settings.maps)
    for name in {one: None for names in maps_read(settings).values() for one in names}:
        yield maps[name].regions
    for method, own in own_of(settings):
        yield from method.regions(own).values()
