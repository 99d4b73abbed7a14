"""The types that flow from a brain: frozen, axes and units named, impossible to build wrong.

Which voxels these are, the contract a mapping is held to, is `brain/voxels.py`.

    Responses   values (trial, voxel) with stimulus, session, repeat and group of each trial
    Region      a named subset of the voxels
    Stimuli     what was shown, opened one at a time
    Split       training and test stimuli, or trials where it says so, disjoint in that unit by construction
    Recording   all of it for one subject, as a reader returns it
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.catalogue import unknown
from brain.digest import sha256_of
from brain.errors import InputError, UsageError, counted, expected
from brain.machine.memory import contiguous
from brain.names import one_line
from brain.voxels import VoxelSpace

Float = NDArray[np.float32]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

STANDARDISATIONS = ("session", "all", "none")
UNITS = ("stimulus", "trial")
"""What a split divides: stimuli, so that no tested one was trained on, or single trials."""
LEAVE_OUT = "leave-out"
"""What the names of splits begin with that leave out one group or one stimulus each."""


@dataclass(frozen=True, kw_only=True)
class Responses:
    """Responses of one subject.

    values    (trial, voxel) float32 in C order, in `space.unit`
    stimulus  (trial,) str, the stimulus id of each trial
    session   (trial,) int, 1-based as the laboratory counts
    repeat    (trial,) int, 0 for a stimulus' first showing
    group     (trial,) str, what the laboratory groups trials by, such as runs; None where it names nothing
    space     VoxelSpace of the columns
    standardise  how they are standardised before they are read: "session", "all" or "none" (`brain.data.standardise`)
    """

    values: Float
    stimulus: NDArray[np.str_]
    session: Int
    repeat: Int
    space: VoxelSpace
    group: NDArray[np.str_] | None = None
    standardise: str = "session"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", contiguous(self.values, np.float32))
        object.__setattr__(self, "stimulus", np.asarray(self.stimulus, np.str_))
        object.__setattr__(self, "session", np.asarray(self.session, np.int64))
        object.__setattr__(self, "repeat", np.asarray(self.repeat, np.int64))
        if self.group is not None:
            object.__setattr__(self, "group", np.asarray(self.group, np.str_))
        if self.standardise not in STANDARDISATIONS:
            raise UsageError(unknown("standardisation", self.standardise, STANDARDISATIONS))
        if self.values.ndim != 2:
            raise InputError(f"responses must be (trial, voxel), found shape {self.values.shape}")
        trials = len(self.values)
        for axis in ("stimulus", "session", "repeat", *([] if self.group is None else ["group"])):
            if getattr(self, axis).shape != (trials,):
                raise InputError(f"responses: {trials} trials but {axis} has shape {getattr(self, axis).shape}")
        if self.values.shape[1] != len(self.space):
            raise InputError(
                f"responses: {self.values.shape[1]} columns but the voxel space names {len(self.space)} voxels"
            )

    def trials(self, rows: NDArray[Any]) -> Responses:
        """Only these trials. `rows`: (trial,) bool mask or int index."""
        return replace(
            self,
            values=self.values[rows],
            stimulus=self.stimulus[rows],
            session=self.session[rows],
            repeat=self.repeat[rows],
            group=None if self.group is None else self.group[rows],
        )

    def voxels(self, columns: NDArray[Any]) -> Responses:
        """Only these voxels, in this order. `columns`: (voxel,) int index or bool mask."""
        return replace(self, values=self.values[:, columns], space=self.space.take(columns))

    def of(self, ids: Iterable[str]) -> Bool:
        """(trial,) bool: the trials that showed one of these stimuli."""
        return np.isin(self.stimulus, np.array(sorted(ids), np.str_))


@dataclass(frozen=True, kw_only=True)
class Region:
    """A named region: `mask` (voxel,) bool over the recording's voxels, never empty; `atlas` is its mask file."""

    name: str
    atlas: str
    mask: Bool

    def __post_init__(self) -> None:
        one_line(self.name, "a region")
        one_line(self.atlas, f"the atlas of region {self.name}")
        object.__setattr__(self, "mask", np.asarray(self.mask, np.bool_))
        if not self.mask.any():
            raise InputError(f"region {self.name!r} of {self.atlas} is empty in these data; choose another region")


@dataclass(frozen=True, kw_only=True)
class Stimuli:
    """What was shown. `open(id)` returns a PIL RGB image, or (waveform (sample,) float32, rate in Hz); one at a time.

    captions  id -> captions, maybe none
    labels    id -> {"category": "faces", ...}, maybe none
    """

    ids: tuple[str, ...]
    modality: str
    opener: Callable[[str], Any] = field(repr=False)
    captions: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.modality not in ("image", "sound"):
            raise InputError(f"stimuli: modality must be image or sound, found {self.modality!r}")
        for name in self.ids:
            one_line(name, "a stimulus' id")
        for name, labels in self.labels.items():
            for text in (*labels, *labels.values()):
                one_line(text, f"a label of stimulus {name}")
        if len(set(self.ids)) != len(self.ids):
            raise InputError("stimuli: expected unique ids, found a duplicate")

    def open(self, stimulus: str) -> Any:
        """The stimulus itself; an id that nobody showed is an InputError."""
        if stimulus not in self._known:
            raise InputError(unknown("stimulus", stimulus, self.ids))
        return self.opener(stimulus)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.ids)


@dataclass(frozen=True, kw_only=True)
class Split:
    """Training and test units: two tuples of ids without an id in common. `sha256` travels into every table.

    unit    "stimulus": `train` and `test` are ids of stimuli; "trial": they are ids of trials
    shared  of a split over trials, how many stimuli stand in training and test alike (`over_trials` counts them)
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    unit: str = "stimulus"
    shared: int = 0

    def __post_init__(self) -> None:
        one_line(self.name, "a split")
        if self.unit not in UNITS:
            raise UsageError(unknown("unit of a split", self.unit, UNITS))
        object.__setattr__(self, "train", tuple(sorted(set(self.train))))
        object.__setattr__(self, "test", tuple(sorted(set(self.test))))
        units = "stimuli" if self.unit == "stimulus" else "trials"
        both = sorted(set(self.train) & set(self.test))
        if both:
            raise InputError(
                f"split {self.name!r}: {len(both)} {units} stand in training and test alike (first: {both[0]}); "
                "take them out of one of the two"
            )
        if not self.train or not self.test:
            raise InputError(
                f"split {self.name!r}: {len(self.train)} training and {len(self.test)} test {units}; both are needed"
            )
        if self.shared and self.unit == "stimulus":
            found = f"{self.shared} that do"
            raise InputError(
                expected(f"split {self.name!r}", "no stimulus on both sides", found, "make it a split over trials")
            )

    @cached_property
    def sha256(self) -> str:
        """The digest of both lists, and of the unit where that is the trial."""
        unit = () if self.unit == "stimulus" else (self.unit.encode(),)
        return sha256_of(*unit, "\n".join(self.train).encode(), "\n".join(self.test).encode())

    @property
    def statement(self) -> str:
        """What stands at the top of every table of a split over trials; "" for one over stimuli."""
        if self.unit == "stimulus":
            return ""
        return (
            f"split {self.name} divides trials, not stimuli, with {counted(self.shared, 'stimulus', 'stimuli')} in "
            "training and test alike: a score may be memory of what was trained on"
        )


def over_trials(name: str, trials: Mapping[str, str], *, train: Iterable[str], test: Iterable[str]) -> Split:
    """A split over trials, with the count of stimuli on both sides. `trials`: id of a trial -> its stimulus.

    A trial that is on both sides, or that `trials` does not know, is an InputError.
    """
    halves = tuple(train), tuple(test)
    strange = next((one for half in halves for one in half if one not in trials), None)
    if strange is not None:
        then = "take it out"
        raise InputError(expected(f"split {name!r}", "trials of these data", f"trial {strange!r}", then))
    shown = [{trials[one] for one in half} for half in halves]
    return Split(name=name, train=halves[0], test=halves[1], unit="trial", shared=len(shown[0] & shown[1]))


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One subject as a reader returns it.

    responses  Responses, in the data's own unit (not z-scored)
    stimuli    Stimuli of every trial (and maybe more)
    regions    Regions over the responses' voxels; a name may be a union ("V1" of V1v and V1d)
    splits     the named splits these data carry; the first is the default
    ncsnr      (voxel,) float32 noise ceiling SNR, or None where the laboratory gave none
    masked     one sentence per group of voxels left out (NaN, constant in a session), for the card and the report
    notes      one sentence on each thing the reader decided or left out, such as how a series was cut into windows
    reader     the reader's name; `source` the folder or file it read
    simulated  what simulated the brain ("afterimage simulate, seed 0"), "" for a recorded one
    left_out   name -> why, the splits that cannot be made of what is read
    """

    responses: Responses
    stimuli: Stimuli
    regions: tuple[Region, ...]
    splits: tuple[Split, ...]
    ncsnr: Float | None = None
    masked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reader: str = ""
    source: str = ""
    simulated: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for region in self.regions:
            if region.mask.shape != (len(self.responses.space),):
                raise InputError(
                    f"region {region.name!r}: mask {region.mask.shape} over {len(self.responses.space)} voxels"
                )

    def region(self, name: str) -> Region:
        """The region of that name; an unknown one is a UsageError with the nearest."""
        for region in self.regions:
            if region.name == name:
                return region
        raise UsageError(unknown("region", name, tuple(region.name for region in self.regions)))

    def split(self, name: str = "") -> Split:
        """The split of that name; no name takes the first. One that is left out is an InputError that says why."""
        where = self.source or "these data"
        for split in self.splits:
            if name in ("", split.name):
                return split
        for left, why in self.left_out.items():
            if name == left or (name == LEAVE_OUT and left.startswith(f"{LEAVE_OUT}-")):
                raise InputError(f"{where}: split {left} is left out: {why}")
        if not self.splits:
            why = next((f" ({left}: {why})" for left, why in self.left_out.items()), "")
            raise InputError(f"{where}: no split can be made of them{why}; read more sessions, or give another split")
        raise UsageError(unknown("split", name, tuple(split.name for split in self.splits)))

    def folds(self, name: str = "") -> tuple[Split, ...]:
        """The splits to go through under `name`: one split, or every "leave-out-..." where the name is "leave-out".

        No name takes the first split, with all its kind where it is a "leave-out-..."; an unknown one is a UsageError.
        """
        family = tuple(split for split in self.splits if split.name.startswith(f"{LEAVE_OUT}-"))
        if family and (name == LEAVE_OUT or (not name and family[0] is self.splits[0])):
            return family
        return (self.split(name),)

    def columns(self, names: Iterable[str]) -> Int:
        """The voxels of the union of these regions, (voxel,) int64 in column order, each once."""
        mask = np.zeros(len(self.responses.space), np.bool_)
        for name in (names,) if isinstance(names, str) else names:
            mask |= self.region(name).mask
        return np.flatnonzero(mask).astype(np.int64)
