"""What the judge calls a sample: the right class or not, and whether it stands among the best of n classes drawn.

Right is the true label, or, in the pseudo-label forms, what the judge calls the reference: that needs no labels and
forgives the sample whatever the judge gets wrong. MinD-Vis prints the pseudo-label form of 50 classes, top 1.
A true label that the judge has no word for is never wrong: its reference is left out, and without any other the metric
is absent.
"""

from __future__ import annotations

from evaluation.metrics._parts.verdicts import Verdict, label_of, n_way

KIND = {2: {"clean": 140, "clean-sound": 210}, 10: {"clean": 150, "clean-sound": 220}, 50: {}}
KIND_AS_JUDGED = {2: {}, 10: {"clean": 160, "clean-sound": 230}, 50: {}}
LABELS = {
    "kind": {"clean": 220, "clean-sound": 320}, "colour": {"clean": 221}, "position": {"clean": 222},
    "size": {"clean": 223}, "setting": {"clean": 224}, "light": {"clean": 225},
}  # fmt: skip
"""Places in profiles."""
ENTRIES = (
    Verdict(
        name="category", title="Category", description="the judge finds the true category in the sample",
        group="category", profiles={"clean": 40, "clean-sound": 40}, plotted=True, headline=3,
    ),
    Verdict(
        name="category_pseudo", title="Category as judged", group="category", pseudo=True,
        description="the judge calls the sample what it calls the reference",
        profiles={"clean": 130, "clean-sound": 200},
    ),
    *(label_of(group, profiles) for group, profiles in LABELS.items()),
    *(n_way("kind", ways, profiles=profiles) for ways, profiles in KIND.items()),
    *(n_way("kind", ways, pseudo=True, profiles=profiles) for ways, profiles in KIND_AS_JUDGED.items()),
    *(n_way("imagenet", ways, network="vit_h14", written="ImageNet", profiles={}) for ways in (50, 100)),
    *(n_way("imagenet", ways, pseudo=True, network="vit_h14", written="ImageNet", profiles={}) for ways in (50, 100)),
)  # fmt: skip
