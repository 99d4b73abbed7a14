"""What the judge calls a sample: the right class or not, and whether it stands among the best of n classes drawn.

Right is the true label, or, in the pseudo-label forms, what the judge calls the reference: that needs no labels and
forgives the sample whatever the judge gets wrong. MinD-Vis prints the pseudo-label form of 50 classes, top 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.metrics import Int, Marks, Views
from evaluation.metrics.comparison import Comparison
from evaluation.metrics.pools import ranks, success


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
        return "" if self.pseudo else _unlabelled(self.group, references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        truth = (references.verdicts if self.pseudo else references.labels)[self.group]
        table = (samples.verdicts[self.group][:, None] == truth[None, :]).astype(np.float32)
        table[:, truth == ""] = np.nan
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
        truth = references.labels.get(self.group, np.array([], np.str_))
        if reason := _unlabelled(self.group, references):
            return reason
        return "" if np.isin(truth, classes).any() else f"no true {self.group} is among the classes that are scored"

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


def _unlabelled(group: str, references: Views) -> str:
    known = np.any(references.labels.get(group, np.array([""])) != "")
    return "" if known else f"the references carry no true {group}"


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
