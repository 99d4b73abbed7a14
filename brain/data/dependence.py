"""Does what was shown depend on the session it was shown in? Over the training trials,

    share = sum_s n_s |m_s - m|^2 / sum_t |f_t - m|^2

is the part of the stimuli's variance that lies between sessions; f_t the labels of the stimulus of trial t (one group
at a time), and a few principal components of the pictures, sounds or captions; m_s the mean over the n_s trials of a
session. Chance is the same with the stimuli permuted: a stimulus keeps the sessions and repeats of
the one whose place it takes, so that repeats within a session are no dependence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.console.progress import progress
from brain.data.clips import groups_of
from brain.errors import InputError
from brain.types import Responses, Stimuli

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
LOOKED_AT = 1000
"""Stimuli that are opened to see whether they depend on the session; of more, evenly spaced ones."""


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
