"""The rows of the ladder: whose condition each row draws from, for every test stimulus.

decoded     the stimulus' own brain pattern through the mapping
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

from brain.data.correlation import with_row
from brain.errors import UsageError
from brain.types import Split
from decode.run.seeds import derangement, sample_seed
from encoders.conditions import Conditions
from encoders.spaces import CATALOGUE as SPACES

DRAWN = ("decoded", "shuffled", "mean", "oracle", "repeat", "other_repeats")
TAKEN = ("retrieval", "round_trip", "prior")


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """What every row draws from.

    folds    the folds, their test stimuli disjoint
    true     map -> conditions of every training and test stimulus, in its space
    decoded  map -> conditions of the test stimuli that are needed, from the brain
    repeats  row "repeat" or "other_repeats" -> map -> conditions from these repeats alone
    seed     the run's seed
    """

    folds: tuple[Split, ...]
    true: Mapping[str, Conditions]
    decoded: Mapping[str, Conditions]
    seed: int
    read: Sequence[str] = ()
    repeats: Mapping[str, Mapping[str, Conditions]] = field(default_factory=dict)

    def conditions(self, row: str, stimuli: Sequence[str], maps: Sequence[str]) -> dict[str, Conditions]:
        """Map -> what `row` draws `stimuli` from, one of `DRAWN`, of these maps.

        Voxels themselves are a space without true conditions: their mean is 0, and they have no oracle.
        """
        return {name: self._in(name, row, stimuli) for name in maps}

    def exemplars(self, name: str, row: str, stimuli: Sequence[str]) -> Conditions:
        """The true conditions of this map's space of the training stimulus nearest to what `row` draws from."""
        near = [self.nearest(stimulus, row=row) for stimulus in stimuli]
        true = self.true[name]
        return Conditions(space=true.space, values=true.values[true.rows(near)], ids=tuple(stimuli))

    def _in(self, name: str, row: str, stimuli: Sequence[str]) -> Conditions:
        if row == "decoded":
            return self.decoded[name].take(stimuli)
        if row == "oracle":
            return self._true(name).take(stimuli)
        if row in self.repeats:
            return self.repeats[row][name].take(stimuli)
        if row == "shuffled":
            partner = partners(self.folds, self.seed)
            return replace(self.decoded[name].take([partner[one] for one in stimuli]), ids=tuple(stimuli))
        if name not in self.true:
            known = self.decoded[name].space
            return Conditions(
                space=known, values=np.zeros((len(stimuli), *known.shape), np.float32), ids=tuple(stimuli)
            )
        means = {fold.name: self.true[name].take(fold.train).values.mean(0, dtype=np.float64) for fold in self.folds}
        values = np.stack([means[self.fold(one).name] for one in stimuli]).astype(np.float32)
        return replace(self.true[name].take(stimuli), values=values)

    def _true(self, space: str) -> Conditions:
        if space not in self.true:
            raise UsageError(f"--rows: oracle draws from true conditions and nobody knows true {space}; leave it out")
        return self.true[space]

    def fold(self, stimulus: str) -> Split:
        """The fold that tests this stimulus."""
        return next(fold for fold in self.folds if stimulus in fold.test)

    def nearest(self, stimulus: str, *, row: str = "decoded") -> str:
        """The training stimulus of the fold whose true condition correlates best with the one `row` draws from."""
        read = [name for name in self.read if name in self.true]
        name = most_telling({name: self.true[name] for name in read or self.true})[0]
        train = self.fold(stimulus).train
        predicted = self._in(name, row, [stimulus]).values.reshape(-1)
        true = self.true[name].take(train).values.reshape(len(train), -1)
        return train[int(np.argmax(with_row(true, predicted)))]


def most_telling(true: Mapping[str, Conditions]) -> list[str]:
    """The maps, those into spaces that say most about what is seen or heard first; equal ones in their order."""
    known = {space: SPACES[space].telling for space in SPACES.names()}
    return sorted(true, key=lambda name: -known.get(true[name].space.name, 0))


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
