"""NSD's experimental design: who sees which image when."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from brain.data.nsd_facts import IMAGES, PER_SUBJECT, RUNS, SESSION_TRIALS, SESSIONS, SHARED, SHOWINGS, SLOTS, SUBJECTS
from brain.errors import UsageError
from brain.types import Int


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """NSD's experimental design. Its arrays are 1-based as in `nsd_expdesign.mat`; its methods are 0-based.

    masterordering  (30000,) int64, the image of each trial as 1..10000, the same for every subject; <= 1000 is shared
    subjectim       (8, 10000) int64, a subject's images as 1..73000
    sharedix        (1000,) int64, the shared images as 1..73000
    stimpattern     (40, 12, 75) uint8, 1 where a run's slot held a stimulus trial
    sessions        how many sessions, from the first, a tree of this design holds
    """

    masterordering: Int
    subjectim: Int
    sharedix: Int
    stimpattern: NDArray[np.uint8]
    sessions: int

    @cached_property
    def trials(self) -> int:
        """Trials in a session."""
        return int(self.stimpattern[0].sum())

    def shown(self, subject: int) -> Int:
        """(trial,) int64: the nsdId, 0-based, of each trial of `subject` (1..8) in the sessions of this tree."""
        order = self.masterordering[: self.sessions * self.trials]
        return np.asarray(self.subjectim[subject - 1, order - 1] - 1)

    def session(self) -> Int:
        """(trial,) int64: the session, 1-based, of each of these trials."""
        return np.repeat(np.arange(1, self.sessions + 1), self.trials)

    def run_and_trial(self) -> tuple[Int, Int]:
        """Two (trial,) int64: the run of each of these trials and its place in the run, both 1-based."""
        lengths = self.stimpattern[0].sum(axis=1, dtype=np.int64)
        run = np.repeat(np.arange(1, RUNS + 1), lengths)
        place = np.concatenate([np.arange(1, length + 1) for length in lengths])
        return np.tile(run, self.sessions), np.tile(place, self.sessions)

    def shared(self) -> Int:
        """(image,) int64: nsdIds, 0-based and sorted, of the shared images that the sessions of this tree show."""
        order = self.masterordering[: self.sessions * self.trials]
        return np.unique(self.subjectim[0, np.unique(order[order <= SHARED]) - 1] - 1)


def plan_schedule(
    *, sessions: int = 4, trials: int = 750, shared: int = 100, repeats: int = 3, shared_repeats: int = 3, seed: int = 0
) -> Schedule:
    """A whole NSD design whose first `sessions` sessions show `shared` shared images and fill up with own ones.

    Within these sessions a shared image is shown `shared_repeats` times and an own image `repeats` times (the last one
    fewer where the number of trials does not divide), in random order over sessions; over all 30000 trials every
    image is shown three times, as in NSD. The mapping image -> 73K id does not depend on sessions or trials.
    """
    total = sessions * trials
    own = -(-(total - shared * shared_repeats) // repeats)
    _check_plan(sessions, trials, shared=shared, own=own, repeats=repeats, shared_repeats=shared_repeats)
    generator = np.random.default_rng(seed)
    ids = generator.permutation(IMAGES) + 1
    sharedix = np.sort(ids[:SHARED])
    owned = np.sort(ids[SHARED:].reshape(SUBJECTS, PER_SUBJECT - SHARED), axis=1)
    columns = [generator.permutation(PER_SUBJECT - SHARED) for _ in range(SUBJECTS)]
    subjectim = np.stack([np.concatenate([sharedix, mine[order]]) for mine, order in zip(owned, columns, strict=True)])
    first_shared = generator.permutation(SHARED)[:shared] + 1
    first_own = np.arange(SHARED + 1, SHARED + own + 1)
    begun = np.concatenate([np.repeat(first_shared, shared_repeats), np.repeat(first_own, repeats)])[:total]
    left = SHOWINGS - np.bincount(begun, minlength=PER_SUBJECT + 1)[1:]
    rest = np.repeat(np.arange(1, PER_SUBJECT + 1), left)
    order = np.concatenate([generator.permutation(begun), generator.permutation(rest)])
    return Schedule(
        masterordering=order.astype(np.int64),
        subjectim=subjectim.astype(np.int64),
        sharedix=sharedix.astype(np.int64),
        stimpattern=_stimpattern(trials),
        sessions=sessions,
    )


def _check_plan(sessions: int, trials: int, *, shared: int, own: int, repeats: int, shared_repeats: int) -> None:
    if not 1 <= sessions <= SESSIONS:
        raise UsageError(f"sessions must be 1 to {SESSIONS} as in NSD, found {sessions}")
    if not 1 <= trials <= SESSION_TRIALS:
        raise UsageError(f"trials in a session must be 1 to {SESSION_TRIALS} as in NSD, found {trials}")
    if not (1 <= repeats <= SHOWINGS and 1 <= shared_repeats <= SHOWINGS):
        raise UsageError(f"an image is shown 1 to {SHOWINGS} times, found repeats {repeats} and {shared_repeats}")
    if not 0 <= shared <= SHARED or own < 1:
        raise UsageError(
            f"{sessions} sessions of {trials} trials cannot hold {shared} shared images {shared_repeats} times each "
            "and images of the subject's own; ask for fewer shared images"
        )
    if own > PER_SUBJECT - SHARED:
        raise UsageError(
            f"{sessions} sessions need {own} images of the subject's own and NSD has {PER_SUBJECT - SHARED}; "
            "show them more often"
        )


def _stimpattern(trials: int) -> NDArray[np.uint8]:
    lengths = [trials // RUNS + (run < trials % RUNS) for run in range(RUNS)]
    if trials == SESSION_TRIALS:
        lengths = [63, 62] * (RUNS // 2)
    session = np.zeros((RUNS, SLOTS), np.uint8)
    for run, length in enumerate(lengths):
        session[run, np.linspace(3, SLOTS - 5, length).round().astype(int)] = 1
    return np.repeat(session[None], SESSIONS, axis=0)
