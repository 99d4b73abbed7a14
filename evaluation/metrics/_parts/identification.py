"""What metrics of identification are made of: the comparisons, and entries of other judges and pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evaluation.metrics import Views
from evaluation.metrics._parts.comparison import Comparison, spaced, unseen
from evaluation.score import Int, Marks
from evaluation.similarity import HALF, Wide, alike, shares_beaten, top1_marks, two_way_marks


def similarity(samples: Views, references: Views, *, network: str) -> Wide:
    """(sample, reference) Pearson correlation of a feature network's features."""
    return alike(samples.features[network], references.features[network])


@dataclass(frozen=True, kw_only=True)
class TwoWay(Comparison):
    """The sample is more like its own reference than like another one: share of the other references it beats.

    tie  what a tie counts; chance is one half where nothing ties.
    """

    tie: float = HALF

    def chance(self, pool: int) -> float | None:
        """One half."""
        return 0.5

    def absent(self, references: Views) -> str:
        """Why it cannot be computed, "" when it can: it needs features and two references."""
        return unseen(self.network, references) or _alone(references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The shares of other references beaten (sample, reference); each reference as a wrong answer (reference,)."""
        return two_way_marks(similarity(samples, references, network=self.network), own, tie=self.tie)


@dataclass(frozen=True, kw_only=True)
class TwoWayOtherRecons(Comparison):
    """The reference is more like its own sample than like another stimulus' one: share of the other samples beaten."""

    tie: float = HALF

    def chance(self, pool: int) -> float | None:
        """One half."""
        return 0.5

    def absent(self, references: Views) -> str:
        """Why it cannot be computed, "" when it can: it needs features and two references."""
        return unseen(self.network, references) or _alone(references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The shares of other samples beaten (sample, reference); each sample as a wrong answer (reference,)."""
        similar = similarity(samples, references, network=self.network)
        table = shares_beaten(similar.T, tie=self.tie).T
        right = similar[np.arange(len(own)), own]
        rivals = similar[:, own]
        won = (right[None, :] > rivals) + self.tie * (right[None, :] == rivals)
        np.fill_diagonal(won, 0)
        distractor = np.full(len(references), np.nan, np.float32)
        if len(own) > 1:
            distractor[own] = won.sum(axis=1) / (len(own) - 1)
        return Marks(table=table.astype(np.float32), distractor=distractor)


@dataclass(frozen=True, kw_only=True)
class TwoWayWithinCategory(Comparison):
    """Two-way identification among the references of the own reference's true category: what is known beyond it.

    NaN for a stimulus alone in its category or without one, and for references of other categories, so that the null
    hypothesis, too, moves samples inside a category only.
    """

    group: str = "category"

    def chance(self, pool: int) -> float | None:
        """One half."""
        return 0.5

    def absent(self, references: Views) -> str:
        """Why it cannot be computed, "" when it can: it needs features and two references of one label."""
        if reason := unseen(self.network, references):
            return reason
        truth = references.labels.get(self.group, np.array([], np.str_))
        names, count = np.unique(truth[truth != ""], return_counts=True)
        if not len(names):
            return f"the references carry no true {self.group}"
        return "" if count.max() > 1 else f"no two references share a {self.group}"

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The shares of other references of the label beaten (sample, reference), NaN between labels."""
        similar = similarity(samples, references, network=self.network)
        truth = references.labels[self.group]
        table = np.full(similar.shape, np.nan, np.float32)
        distractor = np.full(len(references), np.nan, np.float32)
        for name in np.unique(truth[truth != ""]):
            columns = np.flatnonzero(truth == name)
            rows = np.flatnonzero(truth[own] == name)
            found = two_way_marks(similar[np.ix_(rows, columns)], np.searchsorted(columns, own[rows]))
            table[np.ix_(rows, columns)] = found.table
            distractor[columns] = found.distractor
        return Marks(table=table, distractor=distractor)


@dataclass(frozen=True, kw_only=True)
class Top1(Comparison):
    """The sample's own reference is the most similar one of the pool; k tied winners count 1/k.

    size  None takes all references; else the exact mean over all pools of that size that hold the own reference.
    """

    size: int | None = None

    def named(self, pool: int) -> str:
        """Its name with the size of the pool."""
        return f"{self.name.removesuffix(f'_pool{self.size}')}_of_{self.size or pool}"

    def titled(self, pool: int) -> str:
        """Its title with the size of the pool."""
        return f"{self.title or spaced(self.name.removesuffix(f'_pool{self.size}'))} of {self.size or pool}"

    def chance(self, pool: int) -> float | None:
        """One over the size of the pool."""
        return 1 / (self.size or pool)

    def absent(self, references: Views) -> str:
        """Why it cannot be computed, "" when it can: it needs features and more references than a drawn pool has."""
        if reason := unseen(self.network, references):
            return reason
        if self.size is not None and len(references) <= self.size:
            return f"a pool of {self.size} is drawn from more than {self.size} references, not from {len(references)}"
        return _alone(references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The shares of pools in which a reference is the most similar one (sample, reference)."""
        return top1_marks(similarity(samples, references, network=self.network), pool=self.size)


@dataclass(frozen=True, kw_only=True)
class Top1OtherRecons(Top1):
    """The reference's own sample is the most similar one of the pool of samples (MindEye's brain retrieval).

    NaN where fewer samples are there than the pool is named for: withheld ones leave only the smaller pools.
    """

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The shares of pools in which a sample is the most similar one (sample, reference); NaN of too few samples."""
        if len(samples) < (self.size or len(references)):
            return Marks(table=np.full((len(samples), len(references)), np.nan, np.float32))
        similar = similarity(samples, references, network=self.network)
        return Marks(table=top1_marks(similar.T, pool=self.size).table.T)


@dataclass(frozen=True, kw_only=True)
class Distance(Comparison):
    """1 - Pearson correlation of the features of a sample and its reference, as published for EfficientNet and SwAV."""

    best: float = 0.0
    bounds: tuple[float, float] = (0.0, 2.0)
    lower: bool = True
    pooled: bool = False

    def absent(self, references: Views) -> str:
        """Why it cannot be computed, "" when it can: it needs features."""
        return unseen(self.network, references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The correlation distances (sample, reference)."""
        return Marks(table=(1 - similarity(samples, references, network=self.network)).astype(np.float32))


def _alone(references: Views) -> str:
    return "" if len(references) > 1 else "identification needs two references"


LIKE_ITS_OWN = "the sample is more like its reference than like another reference"
LIKE_ITS_SAMPLE = "the reference is more like its sample than like another sample"
FIRST = "its reference is the most similar of the pool"
SAMPLE_FIRST = "its sample is the most similar of the pool"
OTHER = "other direction"
BRAIN_DIFFUSER = "Ozcelik & VanRullen 2023, Scientific Reports 13, 15666"
TAKAGI = "Takagi & Nishimoto 2023, CVPR"


def two_way_by(network: str, *, tie: float = HALF, profiles: Mapping[str, int]) -> TwoWay:
    """Two-way identification in the features of another judge."""
    name = f"two_way_{network}{'' if tie else '_strict'}"
    return TwoWay(
        name=name, title=f"Two-way, {spaced(network)}{failing(tie)}", network=network, tie=tie, profiles=profiles,
        description=f"{LIKE_ITS_OWN}, by {network}{counted(tie)}", citation=BRAIN_DIFFUSER,
    )  # fmt: skip


def two_way_other_recons_by(network: str, *, tie: float = HALF, profiles: Mapping[str, int]) -> TwoWayOtherRecons:
    """Two-way identification in the other direction, in the features of another judge."""
    name = f"two_way_other_recons_{network}{'' if tie else '_strict'}"
    return TwoWayOtherRecons(
        name=name, title=f"Two-way, {OTHER}, {spaced(network)}{failing(tie)}", network=network, tie=tie,
        profiles=profiles, description=f"{LIKE_ITS_SAMPLE}, by {network}{counted(tie)}", citation=TAKAGI,
    )  # fmt: skip


def counted(tie: float) -> str:
    """What a description adds where ties are failures."""
    return "" if tie else "; ties are failures"


def failing(tie: float) -> str:
    """What a title adds where ties are failures."""
    return "" if tie else ", ties fail"


def top1_of(size: int, profiles: Mapping[str, int]) -> Top1:
    """Top-1 identification by the judge in pools of that size."""
    return Top1(
        name=f"top1_pool{size}", title="Top-1", description=FIRST, network="judge", size=size, profiles=profiles,
        plotted=True,
    )  # fmt: skip


def top1_other_recons_of(size: int, profiles: Mapping[str, int]) -> Top1OtherRecons:
    """Top-1 identification in the other direction, by the judge in pools of that size."""
    return Top1OtherRecons(
        name=f"top1_other_recons_pool{size}", title=f"Top-1, {OTHER}", description=SAMPLE_FIRST, network="judge",
        size=size, profiles=profiles,
    )  # fmt: skip


def distance_by(network: str, profiles: Mapping[str, int]) -> Distance:
    """The correlation distance in the features of another judge."""
    name = f"distance_{network}"
    described = f"1 - correlation of the features of {network}, less is better"
    return Distance(
        name=name, title=f"Distance, {spaced(network)}", description=described, network=network, profiles=profiles,
        citation=BRAIN_DIFFUSER,
    )  # fmt: skip
