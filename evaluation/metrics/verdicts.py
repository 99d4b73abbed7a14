"""What the judge calls a sample: the right class or not, and whether it stands among the best of n classes drawn.

Right is the true label, or, in the pseudo-label forms, what the judge calls the reference: that needs no labels and
forgives the sample whatever the judge gets wrong. MinD-Vis prints the pseudo-label form of 50 classes, top 1.
A true label that the judge has no word for is never wrong: its reference is left out, and without any other the metric
is absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Int, Marks, Views
from evaluation.metrics.comparison import Comparison
from evaluation.metrics.pools import ranks, success

Bool = NDArray[np.bool_]
NAMED = 3
"""Words that a sentence names."""


@dataclass(frozen=True, kw_only=True)
class Verdict(Comparison):
    """1 where the judge puts the sample into the right class of `group`, else 0.

    Chance is measured on mismatched pairs, since labels are rarely balanced.
    """

    group: str
    pseudo: bool = False
    eye: str = "judge"

    def absent(self, references: Views) -> str:
        if not references.verdicts:
            return "the judge names nothing"
        if self.group not in references.verdicts:
            return f"the judge has no opinion on {self.group}"
        return "" if self.pseudo else wordless(self.group, references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
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
    eye: str = "judge"

    def chance(self, pool: int) -> float | None:
        return self.top / self.ways

    def absent(self, references: Views) -> str:
        if self.group not in references.scores:
            return f"{'the judge' if self.eye == 'judge' else self.eye} gave no scores for {self.group}"
        classes = references.classes[self.group]
        if len(classes) < self.ways:
            return f"{self.ways}-way needs {self.ways} classes of {self.group}, and there are {len(classes)}"
        if self.pseudo:
            return ""
        return wordless(self.group, references, eye=self.eye)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
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


def wordless(group: str, references: Views, *, eye: str = "judge") -> str:
    """Why true labels in `group` cannot be asked for: nobody gave one, or the judge knows none; "" where they can."""
    if in_words(group, references).any():
        return ""
    strange = strange_words(group, references)
    who = "the judge" if eye == "judge" else eye
    return f"{who} does not know {quoted(strange)}" if strange else f"the references carry no true {group}"


def quoted(words: Sequence[str]) -> str:
    """ "'six'", "'five' and 'six'", "'five', 'four' and 8 others"."""
    named = [repr(word) for word in words[: len(words) if len(words) <= NAMED else NAMED - 1]]
    if len(words) > NAMED:
        return f"{', '.join(named)} and {len(words) - len(named)} others"
    return " and ".join((", ".join(named[:-1]), named[-1])) if len(named) > 1 else "".join(named)


ATTRIBUTES = ("kind", "colour", "position", "size", "setting", "light")

ENTRIES = (
    Verdict(name="category", group="category"),
    Verdict(name="category_pseudo", group="category", pseudo=True),
    *(Verdict(name=f"label_{group}", group=group) for group in ATTRIBUTES),
    *(NWay(name=f"kind_{ways}way_top1", group="kind", ways=ways) for ways in (2, 10, 50)),
    *(NWay(name=f"kind_{ways}way_top1_pseudo", group="kind", ways=ways, pseudo=True) for ways in (2, 10, 50)),
    *(NWay(name=f"imagenet_{ways}way_top1", group="imagenet", ways=ways, eye="vit_h14") for ways in (50, 100)),
    *(
        NWay(name=f"imagenet_{ways}way_top1_pseudo", group="imagenet", ways=ways, pseudo=True, eye="vit_h14")
        for ways in (50, 100)
    ),
)
