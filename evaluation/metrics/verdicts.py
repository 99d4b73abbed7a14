"""What the judge calls a sample: the true label's share, one metric a group of labels, and the pseudo-label form.

Chance is measured on mismatched pairs, since labels are rarely balanced.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.metrics import Int, Marks, Views


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """1 where the judge puts the sample into the right class of `group`, else 0.

    Right is the true label; with `pseudo` it is what the judge calls the reference (as n-way scores in the
    literature have it), which needs no labels and forgives the sample whatever the judge gets wrong.
    """

    name: str
    group: str
    pseudo: bool = False
    needs: str = "verdicts"
    judged: bool = True
    best: float = 1.0

    def named(self, pool: int) -> str:
        return self.name

    def chance(self, pool: int) -> float | None:
        return None

    def absent(self, references: Views) -> str:
        if not references.verdicts:
            return "the judge names nothing"
        if self.group not in references.verdicts:
            return f"the judge has no opinion on {self.group}"
        if not self.pseudo and not np.any(references.labels.get(self.group, np.array([""])) != ""):
            return f"the references carry no true {self.group}"
        return ""

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        truth = (references.verdicts if self.pseudo else references.labels)[self.group]
        table = (samples.verdicts[self.group][:, None] == truth[None, :]).astype(np.float32)
        table[:, truth == ""] = np.nan
        return Marks(table=table)


ATTRIBUTES = ("kind", "colour", "position", "size", "setting", "light")

ENTRIES = (
    Verdict(name="category", group="category"),
    Verdict(name="category_pseudo", group="category", pseudo=True),
    *(Verdict(name=f"label_{group}", group=group) for group in ATTRIBUTES),
)
