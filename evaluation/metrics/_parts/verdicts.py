"""What metrics of a judge's verdicts are made of: right or not, among the best of n, which labels it has words for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Views
from evaluation.metrics._parts.comparison import Comparison
from evaluation.score import Int, Marks
from evaluation.similarity import ranks, success

Bool = NDArray[np.bool_]
NAMED = 3
"""Words that a sentence names."""
MIND_VIS = "Chen et al. 2023, CVPR (MinD-Vis)"


@dataclass(frozen=True, kw_only=True)
class Verdict(Comparison):
    """1 where the judge puts the sample into the right class of `group`, else 0.

    Chance is measured on mismatched pairs, since labels are rarely balanced.
    """

    group: str
    pseudo: bool = False
    network: str = "judge"
    pooled: bool = False

    def absent(self, references: Views) -> str:
        """Why it cannot be computed, "" when it can: it needs verdicts, and true labels in their words."""
        if not references.verdicts:
            return "the judge names nothing"
        if self.group not in references.verdicts:
            return f"the judge has no opinion on {self.group}"
        return "" if self.pseudo else wordless(self.group, references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """1 where the verdict is the right label, else 0 (sample, reference); NaN of labels unknown to the judge."""
        truth = (references.verdicts if self.pseudo else references.labels)[self.group]
        table = (samples.verdicts[self.group][:, None] == truth[None, :]).astype(np.float32)
        if not self.pseudo:
            table[:, ~in_words(self.group, references)] = np.nan
        return Marks(table=table)


@dataclass(frozen=True, kw_only=True)
class NWay(Comparison):
    """The right class is among the `top` best of itself and `ways` - 1 others of `group` drawn at random (as in
    MinD-Vis, Chen et al. 2023): the exact mean over all draws instead of a thousand of them; ties by a fair coin.

    Chance is top / ways where classes are balanced; the shuffled row shows it where they are not. NaN for a reference
    whose label is none of the judge's classes.
    """

    group: str
    ways: int
    top: int = 1
    pseudo: bool = False
    network: str = "judge"
    pooled: bool = False

    def chance(self, pool: int) -> float | None:
        """`top` of `ways`."""
        return self.top / self.ways

    def absent(self, references: Views) -> str:
        """Why it cannot be computed, "" when it can: it needs scores of enough classes, and true labels among them."""
        if self.group not in references.scores:
            return f"{'the judge' if self.network == 'judge' else self.network} gave no scores for {self.group}"
        classes = references.classes[self.group]
        if len(classes) < self.ways:
            return f"{self.ways}-way needs {self.ways} classes of {self.group}, and there are {len(classes)}"
        if self.pseudo:
            return ""
        return wordless(self.group, references, network=self.network)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The probability of the right class over all draws of others (sample, reference); NaN of an unknown class."""
        classes = references.classes[self.group]
        _, tied, better = ranks(samples.scores[self.group])
        likely = success(better, tied, others=len(classes) - 1, drawn=self.ways - 1, top=self.top).astype(np.float32)
        if self.pseudo:
            return Marks(table=likely[:, references.scores[self.group].argmax(axis=1)])
        column = {name: place for place, name in enumerate(classes)}
        truth = np.array([column.get(name, -1) for name in references.labels[self.group].tolist()])
        table = likely[:, truth]
        table[:, truth < 0] = np.nan
        return Marks(table=table)


def in_words(group: str, references: Views) -> Bool:
    """(reference,) bool: the references with a true label in `group` that the judge has a word for."""
    truth = references.labels.get(group, np.full(len(references), ""))
    known: Bool = truth != ""
    return known & np.isin(truth, references.classes[group]) if group in references.classes else known


def strange_words(group: str, references: Views) -> tuple[str, ...]:
    """The true labels in `group` that the judge has no word for, sorted, each once."""
    truth = references.labels.get(group, np.array([], np.str_))
    return tuple(sorted(set(truth.tolist()) - {"", *references.classes.get(group, truth.tolist())}))


def wordless(group: str, references: Views, *, network: str = "judge") -> str:
    """Why true labels in `group` cannot be asked for: nobody gave one, or the judge knows none; "" where they can."""
    if in_words(group, references).any():
        return ""
    strange = strange_words(group, references)
    who = "the judge" if network == "judge" else network
    return f"{who} does not know {quoted(strange)}" if strange else f"the references carry no true {group}"


def quoted(words: Sequence[str]) -> str:
    """ "'six'", "'five' and 'six'", "'five', 'four' and 8 others"."""
    named = [repr(word) for word in words[: len(words) if len(words) <= NAMED else NAMED - 1]]
    if len(words) > NAMED:
        return f"{', '.join(named)} and {len(words) - len(named)} others"
    return " and ".join((", ".join(named[:-1]), named[-1])) if len(named) > 1 else "".join(named)


def label_of(group: str, profiles: Mapping[str, int]) -> Verdict:
    """The metric of a group of labels: does the judge find the true one?"""
    return Verdict(
        name=f"label_{group}", title=group.capitalize(), group=group, profiles=profiles,
        description=f"the judge finds the true {group} in the sample",
    )  # fmt: skip


def n_way(
    group: str,
    ways: int,
    *,
    pseudo: bool = False,
    network: str = "judge",
    written: str = "",
    profiles: Mapping[str, int],
) -> NWay:
    """The metric of `ways` classes of `group`, `written` so, of which the right one must come first."""
    name = f"{group}_{ways}way_top1{'_pseudo' if pseudo else ''}"
    right = "the class given to the reference" if pseudo else "the true class"
    return NWay(
        name=name, title=f"{written or group.capitalize()}, {ways}-way{', as judged' if pseudo else ''}", group=group,
        description=f"{right} comes first of {ways} classes of {written or group} drawn at random", ways=ways,
        pseudo=pseudo, network=network, profiles=profiles, citation=MIND_VIS,
    )  # fmt: skip
