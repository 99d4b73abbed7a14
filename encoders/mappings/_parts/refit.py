"""The null of a ridge mapping in folds: patterns are permuted before the folds and all is fitted anew.

    design = refitting_of(trials, true, folds=folds, settings=MappingSettings(), rescaling="spread", single=False)
    for decoded in refits(design, draws=199, seed=0): ...    # (test stimulus, target); first the true assignment

Permuting what folds have decoded is no test: the mean of the training stimuli, to which a decoder falls back, never
holds the fold it is tested on, so that on noise it is further from its own stimulus than from others. Here the patterns
of a stimulus (all its trials, and the windows of a clip together) take another stimulus' name; stimuli stay in their
folds, and penalties and rescaling are chosen anew in each fold.

In closed form: with K = x x' over all patterns, K centred = U S U' and, for the penalty a,

    M = I - 1/n - U S (S + a)^-1 U'

the residuals of patterns B under a ridge fitted on all others are M_BB^-1 (M y)_B, exactly and with the intercept
(the inverse of a block of a bordered matrix). A fold's penalty is chosen with B = the fold and one of the folds inside
it, the same as `encoders.ridge` takes. K is that of each fold's own standardised patterns. What would take too long is
made shorter: of very many targets `TARGETS`, drawn at random, stand for all, and where all sessions count as one a
voxel's spread is that of all trials instead of a fold's training trials (its mean does not matter).

Who changes places with whom: stimuli that were shown equally often and, where the design has such groups, in the same
sessions (`brain.data.design.groups_by_session`), for drift makes the patterns of a session alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from brain.data.clips import groups_of
from brain.data.design import groups_by_session
from brain.types import Float, Int, Responses, Split
from encoders.conditions import Conditions
from encoders.mappings._parts.linear import MappingSettings
from encoders.rescale import Rescaling
from encoders.ridge import grouped_folds, penalties_for
from encoders.spaces import of_sounds

Wide = NDArray[np.float64]

TARGETS = 256
"""Targets that stand for all, where all would take too long: drawn at random, for a stride may meet pixels of a row."""
SOON, ANEW = 0.3, 0.3
"""Seconds of one refit up to which it is of all targets, and up to which spreads are taken anew in each fold."""
FLOPS = 5e9
"""Floating-point operations a second of one core, as small products go; CALL seconds of one solve beside them."""
CALL = 2e-4


@dataclass(frozen=True, kw_only=True)
class Refitting:
    """What does not change between permutations.

    values    (trial, voxel) float64; standardised already, unless `anew`
    session   (trial,) int, the session of each trial, counted from 0; all 0 where all count as one
    owner     (trial,) int, the stimulus each trial was measured on, a row of `truth`
    truth     (stimulus, target) float64
    outer     (stimulus,) int, the fold that tests each
    inner     (fold, stimulus) int, the fold inside it, -1 for its test stimuli
    anew      whether mean and spread are those of each fold's training trials, of each session
    blocks    (stimulus,) int: stimuli of one block may change places
    single    whether each trial is a pattern, or each stimulus
    sound     whether ids may be windows of clips
    """

    values: Wide
    session: Int
    owner: Int
    truth: Wide
    outer: Int
    inner: Int
    blocks: Int
    anew: bool
    single: bool
    ids: tuple[str, ...]
    sound: bool
    settings: MappingSettings
    rescaling: str

    def alphas(self, patterns: Wide) -> Wide:
        """(penalty,) ascending: those asked for, else those of the scale of training patterns (pattern, voxel)."""
        asked = sorted({float(one) for one in self.settings.ridge.alphas})
        return np.array(asked or penalties_for(patterns))

    @cached_property
    def seconds(self) -> float:
        """About how long one permutation takes on one core."""
        patterns = len(self.owner) if self.single else len(self.truth)
        folds, inside = self.inner.shape[0], self.settings.ridge.folds
        block = patterns / folds + patterns / inside
        targets, penalties = self.truth.shape[1], len(self.alphas(self.values))
        solves = folds * inside * penalties * (block**3 + 2 * block**2 * targets)
        times = folds if self.anew else 1
        fitted = 10 * patterns**3 + penalties * patterns**2 * (patterns + 2 * targets)
        turned = times * (fitted + 2 * self.values.size * len(self.values))
        return float((solves + turned) / FLOPS + folds * inside * CALL)


def refitting_of(
    trials: Responses,
    true: Conditions,
    *,
    folds: Sequence[Split],
    settings: MappingSettings,
    rescaling: str,
    single: bool,
) -> Refitting:
    """Trials of the mapping's own voxels, in the data's unit, as `trials.standardise` says; conditions of `true`."""
    ids = tuple(sorted({name for fold in folds for name in (*fold.train, *fold.test)}))
    used = trials.trials(trials.of(ids))
    sound = of_sounds(true.space.name)
    place = {name: row for row, name in enumerate(ids)}
    outer = np.full(len(ids), -1, np.int64)
    inner = np.full((len(folds), len(ids)), -1, np.int64)
    for number, fold in enumerate(folds):
        outer[[place[name] for name in fold.test]] = number
        ridge = settings.ridge
        inner[number, [place[name] for name in fold.train]] = grouped_folds(
            fold.train, folds=ridge.folds, seed=ridge.seed, sound=sound
        )
    truth = true.take(ids).values.reshape(len(ids), -1).astype(np.float64)
    values = used.values.astype(np.float64)
    owner = np.array([place[name] for name in used.stimulus.tolist()], np.int64)
    session = np.unique(used.session, return_inverse=True)[1].astype(np.int64)
    within = used.standardise == "session" and bool(session.any())
    design = Refitting(
        values=values,
        session=session if within else np.zeros_like(session),
        owner=owner,
        truth=truth,
        outer=outer,
        inner=inner,
        blocks=exchangeable(owner, session, clips=groups_of(ids, sound=sound), sets=not within),
        anew={"session": True, "all": True, "none": False}[used.standardise],
        single=single,
        ids=ids,
        sound=sound,
        settings=settings,
        rescaling=rescaling,
    )
    if truth.shape[1] > TARGETS and design.seconds > SOON:
        design = replace(design, truth=truth[:, some_of(truth.shape[1])])
    if within or not design.anew or design.seconds <= ANEW:
        return design
    return replace(design, anew=False, values=_scaled(values, np.ones(len(values), np.bool_)))


def _scaled(values: Wide, train: NDArray[np.bool_]) -> Wide:
    """(trial, voxel) less the training trials' mean and over their spread; 0 where a voxel never moves in these."""
    mean, spread = values[train].mean(0), values[train].std(0)
    moves = np.ptp(values[train], axis=0) > 0
    return np.asarray(np.where(moves, (values - mean) / np.where(moves, spread, 1), 0), np.float64)


def some_of(targets: int) -> Int:
    """(target,) int, ascending: the targets that stand for all, the same ones in every run."""
    return np.sort(np.random.default_rng(0).permutation(targets)[:TARGETS]).astype(np.int64)


def exchangeable(owner: Int, session: Int, *, clips: NDArray[np.str_], sets: bool) -> Int:
    """(stimulus,) int: stimuli of one block may change places, being shown as often and in the same sessions.

    owner, session  (trial,) the stimulus and session of each trial; clips (stimulus,) the clip of each window
    sets            whether sets of sessions count too, see `groups_by_session`
    Stimuli that no other is shown as often as join those that come next to them.
    """
    counts = np.zeros((len(clips), int(session.max()) + 1), np.int64)
    np.add.at(counts, (owner, session), 1)
    profile = groups_by_session(counts, sets=sets)
    # windows of a clip go with it, to clips of as many windows
    _, whose, windows = np.unique(clips, return_inverse=True, return_counts=True)
    often = counts.sum(1) * (1 + windows[whose].max()) + windows[whose]
    blocks = np.zeros(len(clips), np.int64)
    for one in np.unique(profile):
        rows = np.flatnonzero(profile == one)
        blocks[rows] = blocks.max() + 1 + _alike(often[rows], least=2)
    return blocks


def _alike(numbers: Int, *, least: int) -> Int:
    """(n,) int: equal numbers share a class; classes of fewer than `least` are joined with the next until they are not.

    What is left over at the end joins the last one.
    """
    found, one = np.zeros(len(numbers), np.int64), 0
    known, counts = np.unique(numbers, return_counts=True)
    size = 0
    for number, count in zip(known.tolist(), counts.tolist(), strict=True):
        if size >= least:
            one, size = one + 1, 0
        found[numbers == number] = one
        size += count
    if size < least and one:
        found[found == one] = one - 1
    return found


def refits(design: Refitting, *, draws: int, seed: int, moved: bool = False) -> Iterator[Float]:
    """(tested stimulus, target) float32 decoded, in the order of `held_out`: the true assignment, then `draws` more.

    moved  whether no pattern keeps its own stimulus, for chance; p is of permutations that may leave some
    """
    order = np.arange(len(design.ids))
    yield _decoded(design, order)
    for draw in range(draws):
        yield _decoded(design, permuted(design, np.random.default_rng([seed, 3 + moved, draw]), moved=moved))


def held_out(design: Refitting) -> Int:
    """(row,) the rows of `design.truth` that some fold tests."""
    return np.flatnonzero(design.outer >= 0)


def permuted(design: Refitting, rng: np.random.Generator, *, moved: bool = False) -> Int:
    """(stimulus,) the stimulus whose name the patterns of each take; the windows of a clip go together, in order.

    moved  whether every one takes another's, so that nothing of the true assignment is left: a cycle in each group
    """
    order = np.arange(len(design.ids))
    for alike in _groups(design):
        drawn = rng.permutation(len(alike))
        others = np.empty_like(drawn)
        # Sattolo: around the circle of a random order, everyone is followed by another
        others[drawn] = np.roll(drawn, 1)
        for rows, other in zip(alike, (others if moved else drawn).tolist(), strict=True):
            order[rows] = alike[other]
    return order


def sizes(design: Refitting) -> list[int]:
    """How many stimuli (clips) each group has that may change places, ascending."""
    return sorted(len(alike) for alike in _groups(design))


def _groups(design: Refitting) -> list[list[Int]]:
    """Rows of the stimuli of each clip, grouped by who may change places."""
    clips, whose = np.unique(groups_of(design.ids, sound=design.sound), return_inverse=True)
    found: dict[tuple[int, int], list[Int]] = {}
    for clip in range(len(clips)):
        rows = np.flatnonzero(whose == clip)
        found.setdefault((len(rows), int(design.blocks[rows[0]])), []).append(rows)
    return [found[key] for key in sorted(found)]


def _decoded(design: Refitting, order: Int) -> Float:
    """(tested, target) float32 of one assignment, `order[j]` being the stimulus that j's patterns are taken for."""
    stimulus = order[design.owner]
    named = stimulus if design.single else np.arange(len(design.ids))
    patterns = None if design.anew else _patterns(design, stimulus, design.values)
    known = dict[tuple[float, ...], Wide]()  # penalties -> their makers, for folds mostly share them
    predictions = np.zeros((len(design.ids), design.truth.shape[1]), np.float32)
    for fold in range(design.inner.shape[0]):
        here = _patterns(design, stimulus, _standardised(design, stimulus, fold)) if patterns is None else patterns
        alphas = design.alphas(here[design.inner[fold, named] >= 0])
        makers = None if patterns is None else known.get(tuple(alphas.tolist()))
        if makers is None:
            makers = known[tuple(alphas.tolist())] = _residual_makers(here, alphas)
        predicted, rows = _fold(design, makers, named, fold)
        predictions[rows] = predicted
    return predictions[held_out(design)]


def _standardised(design: Refitting, stimulus: Int, fold: int) -> Wide:
    """(trial, voxel) by mean and spread of the fold's training trials of each session, as the patterns are permuted.

    A session that these leave fewer than two of takes those of all.
    """
    train = design.inner[fold, stimulus] >= 0
    values = np.empty_like(design.values)
    for session in np.unique(design.session):
        rows = design.session == session
        known = train[rows] if (rows & train).sum() > 1 else None
        values[rows] = (
            _scaled(design.values[rows], known) if known is not None else _scaled(design.values, train)[rows]
        )
    return values


def _patterns(design: Refitting, stimulus: Int, values: Wide) -> Wide:
    """(pattern, voxel): trials, or the mean of each stimulus' trials, in the order of the stimuli."""
    if design.single:
        return values
    mean = np.zeros((len(design.ids), len(stimulus)))
    mean[stimulus, np.arange(len(stimulus))] = 1
    return np.asarray(mean @ values / mean.sum(1)[:, None], np.float64)


def _residual_makers(patterns: Wide, alphas: Wide) -> Wide:
    """(penalty, pattern, pattern) M of the module's docstring."""
    centred = patterns - patterns.mean(0)
    spectrum, vectors = np.linalg.eigh(centred @ centred.T)
    spectrum = np.clip(spectrum, 0, None)
    shrunk = spectrum / (spectrum + alphas[:, None])
    n = len(patterns)
    return np.asarray(np.eye(n) - 1 / n - (vectors * shrunk[:, None, :]) @ vectors.T, np.float64)


def _fold(design: Refitting, makers: Wide, named: Int, fold: int) -> tuple[Float, Int]:
    """The fold's predictions (test stimulus, target), restored, and which stimuli these are."""
    out = design.outer[named] == fold
    inside = design.inner[fold, named]
    kept = out | (inside >= 0)
    if not kept.all():
        # stimuli that this fold neither tests nor trains on leave the fit: their residuals are left out everywhere
        makers = _without(makers, ~kept)
        named, out, inside = named[kept], out[kept], inside[kept]
    y = design.truth[named]
    turned = makers @ y
    test = np.flatnonzero(out)
    held = np.zeros((len(makers), len(named), y.shape[1]))
    for one in range(design.settings.ridge.folds):
        rows = np.flatnonzero(inside == one)
        both = np.concatenate([rows, test])
        solved = np.linalg.solve(makers[:, both[:, None], both], turned[:, both])
        held[:, rows] = solved[:, : len(rows)]
    train = np.flatnonzero(inside >= 0)
    loss = np.square(held[:, train]).sum(1)
    if not design.settings.ridge.per_target:
        loss = np.repeat(loss.sum(1, keepdims=True), loss.shape[1], axis=1)
    best = len(loss) - 1 - np.argmin(loss[::-1], axis=0)
    target = np.arange(y.shape[1])
    cv = y[train] - held[best[None], train[:, None], target[None]]
    outside = np.linalg.solve(makers[:, test[:, None], test], turned[:, test])
    predicted = y[test] - outside[best[None], np.arange(len(test))[:, None], target[None]]
    restore = Rescaling.fit(
        cv.astype(np.float32), y[train].astype(np.float32), groups=named[train].astype(str),
        kind=design.rescaling, limit=design.settings.limit,
    )  # fmt: skip
    stimuli, member = np.unique(named[test], return_inverse=True)
    mean = np.zeros((len(stimuli), y.shape[1]))
    np.add.at(mean, member, predicted)
    mean /= np.bincount(member)[:, None]
    return restore.apply(mean.astype(np.float32)), stimuli


def _without(makers: Wide, gone: NDArray[np.bool_]) -> Wide:
    """The residual makers of the patterns that stay, as if the others had never been there: a Schur complement."""
    stay, away = np.flatnonzero(~gone), np.flatnonzero(gone)
    across = makers[:, stay[:, None], away]
    inner = np.linalg.solve(makers[:, away[:, None], away], np.swapaxes(across, 1, 2))
    return np.asarray(makers[:, stay[:, None], stay] - across @ inner, np.float64)
