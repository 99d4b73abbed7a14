"""Which standardisation fits a design: does what was shown depend on the session it was shown in?

    found = choose(recording, folds, asked="")      # a Choice: way, why
    recording = found.on(recording)                 # whose trials know how they are standardised

z-scores within sessions take away what differs between sessions: drift, and also what was shown, where each session
shows a kind of stimuli of its own (a blocked design). Over the training trials,

    share = sum_s n_s |m_s - m|^2 / sum_t |f_t - m|^2

is the part of the stimuli's variance that lies between sessions; f_t the labels of the stimulus of trial t (one group
at a time), and a few principal components of the pictures, sounds or captions; m_s the mean over the n_s trials of a
session. Chance is the same with the stimuli permuted: a stimulus keeps the sessions and repeats of
the one whose place it takes, so that repeats within a session are no dependence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, UsageError
from brain.leaks import off_standard
from brain.progress import progress
from brain.splits import groups_of
from brain.standardise import training_stimuli
from brain.types import STANDARDISATIONS, Recording, Responses, Split, Stimuli

Wide = NDArray[np.float64]

STAGES = (99, 999, 4999)
"""Permutations of the stimuli, as many as it takes to tell: on from a stage only if few of them reach the share,"""
EARLY = 0.1
"""that is at most this part."""
CLEAR, LARGE = 0.02, 0.1
"""What is shown depends on the session where p, times the groups looked at, is at most CLEAR and the excess LARGE,"""
SURE, LEAST = 0.002, 0.02
"""or p at most SURE and the excess LEAST,"""
HALF, NEARLY_ALL = 0.5, 0.9
"""or, in designs of so few stimuli that no p is small, no permutation exceeds it and the excess is HALF; or where
NEARLY_ALL of the variance lies between sessions, whatever chance is: z-scores within sessions would leave nothing."""
SLACK = 1e-9
"""Sums taken in another order differ in the last bits; a tie must count as a tie."""
COMPONENTS = 5
SIDE = 8
BANDS, STRETCHES = 12, 4
"""Of a sound: bands of equal width in log frequency, and stretches of time."""
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
LOOKED_AT = 1000
"""Stimuli that are opened to see whether they depend on the session; of more, evenly spaced ones."""
NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Dependence:
    """How far what was shown depends on the session.

    of        "category" (a group of labels), or "components of the pictures"
    share     part of the stimuli's variance that lies between sessions, 0..1; chance: its mean over permuted stimuli
    p         (1 + #{permuted >= observed}) / (1 + permutations)
    highest   whether no permutation exceeds it
    groups    how much was looked at: groups of labels, and components; each is a chance to find something (Bonferroni)
    """

    of: str
    share: float
    chance: float
    p: float
    highest: bool
    groups: int = 1

    @property
    def excess(self) -> float:
        """(share - chance) / (1 - chance): 0 is chance, 1 is everything."""
        return (self.share - self.chance) / (1 - self.chance) if self.chance < 1 else 0.0

    @property
    def beyond(self) -> bool:
        """Whether the design is taken for a blocked one."""
        clear = self.p * self.groups <= CLEAR and self.excess >= LARGE
        sure = self.p * self.groups <= SURE and self.excess >= LEAST
        small = self.highest and self.excess >= HALF
        return clear or sure or small or self.share >= NEARLY_ALL

    def __str__(self) -> str:
        return (
            f"{100 * self.share:.1f} % of the variance of {self.of} lies between sessions, {100 * self.chance:.1f} % "
            f"by chance ({'p < 0.001' if self.p < 0.0005 else f'p = {self.p:.3f}'})"
        )


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A standardisation and why it was taken. `asked`: whether it was named; `told`: whether people are told."""

    way: str
    why: str
    asked: bool = False
    told: bool = True
    dependence: Dependence | None = None

    @property
    def sentence(self) -> str:
        """What is printed."""
        return f"standardisation: {self.way}. {self.why[:1].upper()}{self.why[1:]}"

    def on(self, recording: Recording) -> Recording:
        """The recording whose trials are standardised so."""
        return with_way(recording, self.way)

    def facts(self) -> dict[str, Any]:
        """What stands in the card."""
        return {
            "standardise": self.way, "why": self.why, "asked": self.asked,
            "blocked": self.dependence is not None and self.dependence.beyond,
            "dependence on the session": None if self.dependence is None else asdict(self.dependence),
        }  # fmt: skip


def with_way(recording: Recording, way: str) -> Recording:
    """The recording whose trials are standardised in that way."""
    return replace(recording, responses=replace(recording.responses, standardise=way))


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
        return Choice(way="all", why=f"{why}{before}{drift}")
    if scaled_before(responses, train, within=True):
        return Choice(way="session", why=SCALED)
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
        way="session", told=bool(before or cost), dependence=found,
        why=f"what was shown {depends}: {said}{cost}{before}",
    )  # fmt: skip


def _as_asked(way: str, found: Dependence | None) -> Choice:
    """What was named; of a blocked design people are told what it does there."""
    asked = "asked for by --standardise"
    if found is None or not found.beyond:
        return Choice(way=way, why=asked, asked=True, told=False, dependence=found)
    does = {
        "session": "z-scores within sessions take away what was shown",
        "all": "drift between sessions stays in, and a decoder may read the session instead of the stimulus",
    }
    return Choice(
        way=way, why=f"{asked}; the design is blocked ({found}): {does.get(way, does['all'])}", asked=True,
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
        return with_way(recording, "session")
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
        return Choice(way=asked, why="asked for by --standardise", asked=True, told=False)
    return Choice(way="all", why=why)


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


def dependence(stimuli: Stimuli, training: Responses) -> Dependence | None:
    """How far what was shown in these trials depends on their session; None where nothing tells the stimuli apart.

    Every group of labels by itself, and components of the pictures or sounds or, where these cannot be opened, of the
    captions: the one that depends most. Labels that are balanced say nothing of a brightness that is not.
    """
    names = np.unique(training.stimulus)
    few = names[np.unique(np.linspace(0, len(names) - 1, LOOKED_AT).astype(np.int64))]
    known = {name: stimuli.labels.get(name, {}) for name in names.tolist()}
    groups = sorted({group for labels in known.values() for group in labels})
    sound = stimuli.modality == "sound"
    found = [
        _tested(group, _one_hot([known[name].get(group, "") for name in names.tolist()]), training, names, sound=sound)
        for group in groups
    ]
    found.append(_tested(*_features(stimuli, few.tolist()), training, few, sound=sound))
    tested = [one for one in found if one is not None]
    tested = [replace(one, groups=len(tested)) for one in tested]
    return min(tested, key=lambda one: (not one.beyond, one.p, -one.excess), default=None)


def _tested(
    of: str, features: Wide, training: Responses, names: NDArray[np.str_], *, sound: bool
) -> Dependence | None:
    """None where no permutation changes the share: features all alike or all different, sessions that show the same.

    features  (stimulus, feature) of `names`, whose trials alone are looked at
    """
    kept = np.isin(training.stimulus, names)
    column = np.searchsorted(names, training.stimulus[kept])
    # the windows of a clip are heard one after the other: they change places together
    clips, whose = np.unique(groups_of(names.tolist(), sound=sound), return_inverse=True)
    sessions, row = np.unique(training.session[kept], return_inverse=True)
    counts = np.zeros((len(sessions), len(clips)))
    np.add.at(counts, (row, whose[column]), 1)
    total = np.zeros((len(clips), features.shape[1]))
    np.add.at(total, whose, features)
    features = total / np.bincount(whose)[:, None]
    share = _share(counts, features)
    if np.isnan(share):
        return None
    drawn: list[float] = []
    for draws in STAGES:
        orders = (np.random.default_rng([0, draw]).permutation(len(features)) for draw in range(len(drawn), draws))
        drawn += [_share(counts, features[order]) for order in orders]
        reached = int((np.array(drawn) >= share - SLACK).sum())
        # what lies below the least excess is no blocked design, however small its p; nor is what many reach
        if share < LEAST or reached > EARLY * draws:
            break
    still = np.ptp(drawn) < SLACK and abs(share - drawn[0]) < SLACK
    if still and share < NEARLY_ALL:
        return None
    return Dependence(
        of=of,
        share=share,
        chance=float(np.mean(drawn)),
        p=(1 + reached) / (1 + len(drawn)),
        highest=bool(share >= max(drawn) - SLACK),
    )


def _share(counts: Wide, features: Wide) -> float:
    """The share of features (stimulus, feature) between sessions; counts (session, stimulus) trials; NaN of none."""
    of_session, of_stimulus = counts.sum(1), counts.sum(0)
    centred = features - of_stimulus @ features / of_stimulus.sum()
    whole = float(of_stimulus @ np.square(centred).sum(1))
    if whole <= 0:
        return math.nan
    means = counts @ centred / of_session[:, None]
    return float(of_session @ np.square(means).sum(1)) / whole


def _one_hot(labels: Sequence[str]) -> Wide:
    known, which = np.unique(np.array(labels, np.str_), return_inverse=True)
    return np.eye(len(known))[which]


def _features(stimuli: Stimuli, ids: Sequence[str]) -> tuple[str, Wide]:
    """What the features are called, and (stimulus, component)."""
    shown = "pictures" if stimuli.modality == "image" else "sounds"
    look: Callable[[Any], Wide] = _thumb if stimuli.modality == "image" else _spectrum
    try:
        bar = progress(ids, desc="does what was shown depend on the session", unit="stimulus")
        seen = np.stack([look(stimuli.open(name)) for name in bar])
    except InputError:
        # a picture that is not there is said where pictures are needed; captions tell as well
        shown, seen = "captions", _words([stimuli.captions.get(name, ()) for name in ids])
    return f"the first components of the {shown}", _components(seen)


def _components(features: Wide) -> Wide:
    """(stimulus, component) the first principal components, with their own variance."""
    centred = features - features.mean(0)
    left, spread, _ = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(left[:, :COMPONENTS] * spread[:COMPONENTS], np.float64)


def _thumb(picture: Any) -> Wide:
    from PIL import Image

    small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.float64).ravel() / 255


def _spectrum(sound: Any) -> Wide:
    """(stretch x band,) log energy of a sound in stretches of time and bands of frequency."""
    wave, rate = sound
    found = []
    for part in np.array_split(np.asarray(wave, np.float64), STRETCHES):
        energy = np.square(np.abs(np.fft.rfft(part, n=max(len(part), 2 * BANDS))))
        places = np.fft.rfftfreq(max(len(part), 2 * BANDS), 1 / rate)
        edges = np.geomspace(50, rate / 2, BANDS + 1)
        which = np.clip(np.digitize(places, edges) - 1, 0, BANDS - 1)
        found.append(np.log10(np.bincount(which, energy, minlength=BANDS) + 1e-9))
    return np.concatenate(found)


def _words(captions: Sequence[Iterable[str]]) -> Wide:
    """(stimulus, word) which words the captions of each stimulus use; (stimulus, 1) zeros where there are none."""
    used = [{word for text in texts for word in text.lower().split()} for texts in captions]
    place = {word: number for number, word in enumerate(sorted(set().union(*used)))}
    found = np.zeros((len(used), max(1, len(place))))
    for row, words in enumerate(used):
        found[row, [place[word] for word in words]] = 1
    return found


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
