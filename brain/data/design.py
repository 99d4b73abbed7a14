"""Which standardisation fits a design: does what was shown depend on the session it was shown in?

    found = choose(recording, folds, asked="")      # a Choice: way, why
    recording = found.on(recording)                 # whose trials know how they are standardised

z-scores within sessions take away what differs between sessions: drift, and also what was shown, where each session
shows a kind of stimuli of its own (a blocked design). How that is told: `brain/data/dependence.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.data.dependence import CLEAR, Dependence, dependence
from brain.data.leaks import off_standard
from brain.data.standardise import training_stimuli
from brain.errors import UsageError
from brain.types import STANDARDISATIONS, Recording, Responses, Split

MOMENT = 0.02
"""How far from mean 0 and spread 1 the median voxel of a session is, at most, where the session was z-scored before."""
SCALED = (
    "the responses were z-scored in each session before they came: if sessions showed kinds of stimuli of their own, "
    "what told these apart is gone, and no choice here brings it back"
)
FEWEST = 10
"""Training trials below which a session does not tell whether it was z-scored before."""
SMALL = 10
"""Training stimuli of a session below which z-scores within it cost enough to be told."""
MOST, SEVERAL = 0.8, 3
"""Share of the stimuli that groups by session must hold, and how many stimuli make a group of one set of sessions."""
NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A standardisation and why it was taken. `asked`: whether it was named; `announced`: whether it is printed."""

    standardise: str
    why: str
    asked: bool = False
    announced: bool = True
    dependence: Dependence | None = None

    @property
    def sentence(self) -> str:
        """What is printed."""
        return f"standardisation: {self.standardise}. {self.why[:1].upper()}{self.why[1:]}"

    def on(self, recording: Recording) -> Recording:
        """The recording whose trials are standardised so."""
        return with_standardisation(recording, self.standardise)

    def facts(self) -> dict[str, Any]:
        """What stands in the card."""
        return {
            "standardise": self.standardise, "why": self.why, "asked": self.asked,
            "blocked": self.dependence is not None and self.dependence.beyond,
            "dependence on the session": None if self.dependence is None else asdict(self.dependence),
        }  # fmt: skip


def with_standardisation(recording: Recording, standardise: str) -> Recording:
    """The recording whose trials are standardised like that."""
    return replace(recording, responses=replace(recording.responses, standardise=standardise))


def choose(recording: Recording, folds: Sequence[Split], *, asked: str = "") -> Choice:
    """The standardisation that was asked for or, where none was, the one that fits the design of the training trials.

    folds  whose training stimuli are looked at; none takes every stimulus. A session without two training stimuli in a
           fold, and a design in which what was shown depends on the session, are a UsageError where `asked` does not
           say what to do.
    """
    if asked and asked not in STANDARDISATIONS:
        raise UsageError(f"--standardise: expected {', '.join(STANDARDISATIONS)}, found {asked!r}; name one of them")
    responses, where = recording.responses, recording.source
    if thin := thin_in(responses, folds):
        sessions_ = len(np.unique(responses.session))
        return _without_trials(thin, where=where, asked=asked, sessions=sessions_, folds=len(folds))
    names = sorted({name for fold in folds for name in fold.train}) or sorted(set(responses.stimulus.tolist()))
    train = responses.of(names)
    training = responses.trials(train)
    sessions = np.unique(training.session)
    if asked:
        return _as_asked(asked, dependence(recording.stimuli, training) if len(sessions) > 1 else None)
    over_all = responses.space.unit == "z" or scaled_before(responses, train, within=False)
    before = "; the responses were z-scored before they came" if over_all else ""
    if len(sessions) < 2:
        why = "these data name one session, or none, so mean and spread are those of all training trials"
        drift = "" if before else "; if their level drifts, give the sessions or runs of the trials as `session`"
        return Choice(standardise="all", why=f"{why}{before}{drift}")
    if scaled_before(responses, train, within=True):
        return Choice(standardise="session", why=SCALED)
    found = dependence(recording.stimuli, training)
    if found is not None and found.beyond:
        raise UsageError(_blocked(found, where=where, sessions=len(sessions)))
    few = found is not None and found.p <= CLEAR
    depends = "depends on the session too little to matter" if few else "does not depend on the session beyond chance"
    said = "every session shows the same stimuli, or nothing tells them apart" if found is None else str(found)
    fewest = sorted(_fewest(responses, folds).values() or training_stimuli(responses, names).values())
    middle = fewest[len(fewest) // 2]
    cost = ""
    if middle < SMALL:
        cost = (
            f"; with {middle} training stimuli a session z-scores take away about one part in {middle} of what was "
            "shown, which --standardise all keeps"
        )
    return Choice(
        standardise="session", announced=bool(before or cost), dependence=found,
        why=f"what was shown {depends}: {said}{cost}{before}",
    )  # fmt: skip


def _as_asked(standardise: str, found: Dependence | None) -> Choice:
    """What was named; of a blocked design with a sentence on what it does there."""
    asked = "asked for by --standardise"
    if found is None or not found.beyond:
        return Choice(standardise=standardise, why=asked, asked=True, announced=False, dependence=found)
    does = {
        "session": "z-scores within sessions take away what was shown",
        "all": "drift between sessions stays in, and a decoder may read the session instead of the stimulus",
    }
    return Choice(
        standardise=standardise, why=f"{asked}; the design is blocked ({found}): {does.get(standardise, does['all'])}",
        asked=True,
        dependence=found,
    )  # fmt: skip


def groups_by_session(counts: NDArray[np.int64], *, sets: bool) -> NDArray[np.int64]:
    """(stimulus,) int: stimuli of one group were shown in the same sessions; all one group where the design has none.

    counts  (stimulus, session) trials
    sets    whether sets of sessions count too: where sessions are not standardised apart, their levels differ
    Where most stimuli lie in one session each, with others, a group is a session, and the few that lie in several count
    to the session that shows them most. Where most share their sessions with several others, a group is such a set of
    sessions, and the few others count to the one that is most like theirs.
    """
    seen = counts > 0
    if (seen.sum(1) == 1).mean() >= MOST:
        home = np.asarray(counts.argmax(1), np.int64)
        return home if (np.bincount(home)[home] > 1).mean() >= MOST else np.zeros(len(counts), np.int64)
    if not sets:
        return np.zeros(len(counts), np.int64)
    kinds, which, size = np.unique(seen, axis=0, return_inverse=True, return_counts=True)
    which = which.reshape(-1)
    large = np.flatnonzero(size >= SEVERAL)
    if size[large].sum() < MOST * len(counts):
        return np.zeros(len(counts), np.int64)
    alike = (kinds[:, None] == kinds[None, large]).sum(2)
    return np.asarray(large[alike.argmax(1)][which], np.int64)


def thin_in(responses: Responses, folds: Sequence[Split]) -> dict[int, int]:
    """Session -> its training stimuli, of sessions that have fewer than two of them in a fold."""
    return {session: count for session, count in _fewest(responses, folds).items() if count < 2}


def _fewest(responses: Responses, folds: Sequence[Split]) -> dict[int, int]:
    """Session -> how many training stimuli it has in the fold that leaves it the fewest."""
    found: dict[int, int] = {}
    for fold in folds:
        for session, count in training_stimuli(responses, fold.train).items():
            found[session] = min(count, found.get(session, count))
    return found


def usable(recording: Recording, folds: Sequence[Split]) -> Recording:
    """The recording for what learns without labels: within sessions, or over all, said, where one has no training.

    Nothing that was shown is asked for there, so that a blocked design is no reason to stop.
    """
    thin = thin_in(recording.responses, folds)
    if not thin:
        return with_standardisation(recording, "session")
    sessions = len(np.unique(recording.responses.session))
    choice = _without_trials(thin, where=recording.source, asked="", sessions=sessions, folds=len(folds))
    print(choice.sentence)
    return choice.on(recording)


def _without_trials(thin: Mapping[int, int], *, where: str, asked: str, sessions: int, folds: int) -> Choice:
    first, count = next(iter(thin.items()))
    within = ", in a fold," if folds > 1 else ""
    one = f"session {first} has{within} {'one training stimulus' if count else 'no training stimulus'}"
    many = f"{len(thin)} of {sessions} sessions have{within} fewer than two training stimuli"
    lacking = one if len(thin) == 1 else many
    if asked == "session":
        raise UsageError(
            f"{where}, session: expected two training stimuli or more in each session, for z-scores within sessions, "
            f"found others ({lacking}); take --standardise all, by all training trials, or none"
        )
    why = f"{lacking} to standardise it by, so mean and spread are those of all training trials"
    if len(thin) > 1:
        why = f"{lacking} to standardise them by, so mean and spread are those of all training trials"
    if asked:
        return Choice(standardise=asked, why="asked for by --standardise", asked=True, announced=False)
    return Choice(standardise="all", why=why)


def scaled_before(responses: Responses, train: NDArray[np.bool_], *, within: bool) -> bool:
    """Whether responses were z-scored before, `within` each session or over all; by all trials or the training trials.

    train  (trial,) bool
    """
    for rows in (np.ones(len(train), np.bool_), train):
        sessions = responses.session[rows]
        groups = [rows & (responses.session == one) for one in np.unique(sessions)] if within else [rows]
        large = [group for group in groups if group.sum() >= FEWEST]
        if large and all(
            off_standard(responses.values[group], percentile=50) <= MOMENT for group in large
        ):
            return True
    return False


def _blocked(found: Dependence, *, where: str, sessions: int) -> str:
    return (
        f"{where}, session: expected stimuli that do not depend on the session, found a blocked design: {found} in "
        f"{sessions} sessions. z-scores within sessions would take away what was shown; say how to standardise: "
        "--standardise all keeps it, and drift between sessions with it (a decoder may then read the session), "
        "--standardise session removes both, --standardise none takes the responses as they are. `afterimage inspect` "
        "shows which stimuli each session has"
    )


def by_session(recording: Recording) -> list[dict[str, Any]]:
    """For every session its trials, stimuli, and how many trials each label has: a table of the design, for people."""
    responses, labels = recording.responses, recording.stimuli.labels
    groups = sorted({group for found in labels.values() for group in found})
    table = []
    for session in np.unique(responses.session).tolist():
        shown = responses.stimulus[responses.session == session].tolist()
        counts = {
            group: dict(Counter(filter(None, (labels.get(name, {}).get(group) for name in shown))).most_common())
            for group in groups
        }
        table.append(
            {"session": session, "trials": len(shown), "stimuli": len(set(shown)), "shown": sorted(set(shown))[:NAMED],
             "labels": counts}
        )  # fmt: skip
    return table
