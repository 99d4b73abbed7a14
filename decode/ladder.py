"""The rows of the ladder: whose condition each row draws from, for every test stimulus.

decoded     the stimulus' own brain pattern through the mapping
direct, c2f the stimulus' own pattern again, by another generator (`beside`) on the same stack
reranked    the best of several samples by what an encoding model says the brain would do (sounds)
shuffled    the pattern of another test stimulus of the same fold (a derangement), through the fold's mapping
mean        the mean training condition of the stimulus' fold
prior       no condition at all: what the generator draws by itself
repeat      the stimulus' first repeat alone; compared with other_repeats, drawn from its other repeats
oracle      the true condition, through the same generator from the same start
retrieval   no generator: the training picture whose condition correlates best with the decoded one
round_trip  no condition: the reference through the generator's autoencoder and back
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from brain.errors import UsageError
from brain.types import Float, Split
from decode.seeds import derangement, sample_seed
from encoders.conditions import Conditions

DRAWN = ("decoded", "shuffled", "mean", "oracle", "repeat", "other_repeats")
RERANKED = "reranked"
TAKEN = ("retrieval", "round_trip", "prior")
MOST_TELLING = ("clip-image", "clip-text", "clap", "loa", "pixels", "vae-latent", "mel-latent")
"""In which space retrieval looks, where several are decoded: the one that says most about what is seen or heard."""


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """What every row draws from.

    folds    the folds, their test stimuli disjoint
    true     space -> conditions of every training and test stimulus
    decoded  space -> conditions of the test stimuli that are needed, from the brain
    repeats  row "repeat" or "other_repeats" -> space -> conditions from these repeats alone
    seed     the run's seed
    """

    folds: tuple[Split, ...]
    true: Mapping[str, Conditions]
    decoded: Mapping[str, Conditions]
    seed: int
    repeats: Mapping[str, Mapping[str, Conditions]] = field(default_factory=dict)

    def conditions(self, row: str, stimuli: Sequence[str], spaces: Sequence[str] = ()) -> dict[str, Conditions]:
        """Space -> what `row` draws `stimuli` from, one of `DRAWN`, in those of `spaces` there are; none named: all.

        Voxels themselves are a space without true conditions: their mean is 0, and they have no oracle.
        """
        there = {**self.true, **self.decoded}
        return {space: self._in(space, row, stimuli) for space in there if not spaces or space in spaces}

    def exemplars(self, space: str, row: str, stimuli: Sequence[str]) -> Conditions:
        """The true conditions in `space` of the training stimulus nearest to what `row` draws each stimulus from."""
        near = [self.nearest(name, row=row) for name in stimuli]
        true = self.true[space]
        return Conditions(space=true.space, values=true.values[true.rows(near)], ids=tuple(stimuli))

    def _in(self, space: str, row: str, stimuli: Sequence[str]) -> Conditions:
        if row == "decoded":
            return self.decoded[space].take(stimuli)
        if row == "oracle":
            return self._true(space).take(stimuli)
        if row in self.repeats:
            return self.repeats[row][space].take(stimuli)
        if row == "shuffled":
            partner = partners(self.folds, self.seed)
            return replace(self.decoded[space].take([partner[name] for name in stimuli]), ids=tuple(stimuli))
        if space not in self.true:
            known = self.decoded[space].space
            return Conditions(
                space=known, values=np.zeros((len(stimuli), *known.shape), np.float32), ids=tuple(stimuli)
            )
        means = {fold.name: self.true[space].take(fold.train).values.mean(0, dtype=np.float64) for fold in self.folds}
        values = np.stack([means[self.fold(name).name] for name in stimuli]).astype(np.float32)
        return replace(self.true[space].take(stimuli), values=values)

    def _true(self, space: str) -> Conditions:
        if space not in self.true:
            raise UsageError(f"--rows: oracle draws from true conditions and nobody knows true {space}; leave it out")
        return self.true[space]

    def fold(self, stimulus: str) -> Split:
        """The fold that tests this stimulus."""
        return next(fold for fold in self.folds if stimulus in fold.test)

    def nearest(self, stimulus: str, *, row: str = "decoded") -> str:
        """The training stimulus of the fold whose true condition correlates best with the one `row` draws from."""
        space = next(space for space in MOST_TELLING if space in self.true)
        train = self.fold(stimulus).train
        guess = self._in(space, row, [stimulus]).values.reshape(1, -1)
        true = self.true[space].take(train).values.reshape(len(train), -1)
        return train[int(np.argmax(_correlation(true, guess)))]


def partners(folds: Sequence[Split], seed: int) -> dict[str, str]:
    """Test stimulus -> the test stimulus whose pattern the shuffled row takes: another of its own fold.

    Folds of one stimulus change among themselves; a single one of them takes a stimulus of another fold.
    """
    found: dict[str, str] = {}
    lone = [fold.test[0] for fold in folds if len(fold.test) == 1]
    for names in ([fold.test for fold in folds if len(fold.test) > 1] + ([tuple(lone)] if len(lone) > 1 else [])):
        found |= derangement(names, seed)
    if len(lone) == 1:
        others = sorted(name for fold in folds for name in fold.test if name != lone[0])
        found[lone[0]] = others[sample_seed(seed, lone[0], 0) % len(others)]
    return found


def _correlation(rows: Float, row: Float) -> Float:
    """(row,) Pearson correlation of each row with one row."""
    rows, row = rows - rows.mean(1, keepdims=True), row - row.mean()
    scale = np.linalg.norm(rows, axis=1) * np.linalg.norm(row)
    return np.asarray((rows @ row.ravel()) / np.where(scale > 0, scale, 1), np.float32)
