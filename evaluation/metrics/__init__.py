"""Metrics, one file a family: each says what every sample would score against every reference, and never averages.

A metric's diagonal is its value per stimulus; the rest of its table is what the same sample would have scored had
another reference been its own, which is where chance and p-values come from. Means are taken in `evaluation.score`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from brain.catalogue import Catalogue
from brain.machine.memory import contiguous
from evaluation.score import Float, Int, Marks


@dataclass(frozen=True, kw_only=True)
class Views:
    """A stack of pictures or of sounds as metrics see them, one entry a stimulus; every array in C order.

    pixels    (stimulus, height, width, 3) uint8, all brought to one canvas; (stimulus, 0, 0, 3) for sounds
    features  network -> (stimulus, feature) float32; the network "judge" is the report's own judge
    verdicts  group -> (stimulus,) str, the judge's choice among the group's labels
    scores    group -> (stimulus, class) float32, the judge's logits; classes group -> (class,) str, their labels
    labels    group -> (stimulus,) str, the true labels, "" where nobody gave one (references only)
    patterns  region -> (stimulus, voxel) float32: measured (references) or predicted from the picture (samples)
    sounds    "mel", "f0", ... -> (stimulus, ...) float32, as `samples.sounds.described` gives them; {} for pictures
    """

    pixels: NDArray[np.uint8]
    features: Mapping[str, Float] = field(default_factory=dict)
    verdicts: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    scores: Mapping[str, Float] = field(default_factory=dict)
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    patterns: Mapping[str, Float] = field(default_factory=dict)
    sounds: Mapping[str, Float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # a region's columns, a file's arrays and a slice lie in memory as they like, and numpy adds them up so
        object.__setattr__(self, "pixels", contiguous(self.pixels))
        for name in ("features", "scores", "patterns", "sounds"):
            object.__setattr__(self, name, {key: contiguous(one) for key, one in getattr(self, name).items()})

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: NDArray[Any]) -> Views:
        """Only these stimuli. `rows`: (stimulus,) bool mask or int index."""
        return Views(
            pixels=self.pixels[rows],
            features={network: values[rows] for network, values in self.features.items()},
            verdicts={group: values[rows] for group, values in self.verdicts.items()},
            scores={group: values[rows] for group, values in self.scores.items()},
            classes=self.classes,
            labels={group: values[rows] for group, values in self.labels.items()},
            patterns={region: values[rows] for region, values in self.patterns.items()},
            sounds={name: values[rows] for name, values in self.sounds.items()},
        )


class Metric(Protocol):
    """One comparison of samples with references; `evaluation.metrics._parts.comparison` has the plain answers.

    name         "two_way"; `named(pool)` is what tables hold, with the pool size in it where the value depends on it
    title        what is printed for it, `titled(pool)` with the pool size; description: what it means, in one line
    unit         what its values are in, "" for shares and correlations
    network      who looks: "judge", another judge of the catalogue, "brain" for measured patterns, "" for pixels alone
    best         the value of identical pictures
    bounds       the lowest and the highest value there can be
    lower        whether less is better, as of distances
    pooled       whether a value hangs on other references or other samples too; two runs are then compared of one pool
    profiles     profile -> its place in the tables of that profile, of those that are made of cards
    plotted      whether it gets a panel; headline: its place among the first numbers of a page, 0 for none
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def network(self) -> str: ...
    @property
    def best(self) -> float: ...
    @property
    def bounds(self) -> tuple[float, float]: ...
    @property
    def lower(self) -> bool: ...
    @property
    def pooled(self) -> bool: ...
    @property
    def profiles(self) -> Mapping[str, int]: ...
    @property
    def plotted(self) -> bool: ...
    @property
    def headline(self) -> int: ...

    def named(self, pool: int) -> str:
        """The name that tables hold for a pool of that many references."""
        ...

    def titled(self, pool: int) -> str:
        """The title that is printed for a pool of that many references."""
        ...

    def chance(self, pool: int) -> float | None:
        """The value of knowing nothing, or None where it is measured on mismatched pairs."""
        ...

    def absent(self, references: Views) -> str:
        """Why it cannot be computed on these references, "" when it can."""
        ...

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """Scores of samples (s stimuli) against references (r stimuli).

        own     (sample,) int, the row of each sample's own reference
        blocks  (reference,) int, block of each reference; costly metrics fill the table inside the blocks only
        """
        ...


CATALOGUE: Catalogue[Metric] = Catalogue("evaluation.metrics", "metric")
