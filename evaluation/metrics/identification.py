"""Identification: which picture was seen, told from an eye's features by Pearson correlation.

Two directions are published under one name and differ for a decoder that drifts to a prototype: a sample compared with
OTHER REFERENCES ("two_way", as coded by Brain-Diffuser and MindEye), and a reference compared with OTHER SAMPLES
("two_way_other_recons", Takagi & Nishimoto). Ties count one half; the "_strict" forms count them as failures, as the
published code does. A decoder that knows one of K equal categories and nothing else already scores 1 - 1/(2K) two-way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Int, Marks, Views
from evaluation.metrics.comparison import Comparison, unseen
from evaluation.metrics.pixels import correlation
from evaluation.metrics.pools import ranks, success

Wide = NDArray[np.float64]

# Correlations closer than float32 carries them are ties: a batch must not decide who wins.
DECIMALS = 5
ROWS = 256
HALF = 0.5
PUBLISHED = ("alexnet2", "alexnet5", "inception_v3", "clip_vit_l14")
SQUASHED = ("alexnet2_224", "alexnet5_224", "inception_v3_224", "clip_vit_l14_224")
DISTANT = ("efficientnet_b1", "swav_resnet50", "efficientnet_b1_224", "swav_resnet50_224")
POOLS = (50, 300)


def similarity(samples: Views, references: Views, *, eye: str) -> Wide:
    """(sample, reference) Pearson correlation of the eye's features."""
    return alike(samples.features[eye], references.features[eye])


def alike(samples: NDArray[np.generic], references: NDArray[np.generic]) -> Wide:
    """(sample, reference) Pearson correlation of features (sample, feature) and (reference, feature)."""
    similar: Wide = correlation(samples, references).round(DECIMALS)
    return similar


def shares_beaten(similar: Wide, *, tie: float = HALF) -> Wide:
    """(row, column): the share of the row's other columns that are less similar than this one; a tie counts `tie`.

    NaN where a row has no other column.
    """
    below, tied, _ = ranks(similar)
    others = similar.shape[1] - 1
    return (below + tie * tied) / others if others else np.full(similar.shape, np.nan)


def two_way_marks(similar: Wide, own: Int, *, tie: float = HALF) -> Marks:
    """Two-way identification among other references from a (sample, reference) similarity."""
    right = similar[np.arange(len(own)), own][:, None]
    won = (right > similar) + tie * (right == similar)
    won[np.arange(len(own)), own] = 0
    met = len(own) - np.bincount(own, minlength=similar.shape[1])
    distractor = np.divide(won.sum(axis=0), met, out=np.full(similar.shape[1], np.nan), where=met > 0)
    return Marks(table=shares_beaten(similar, tie=tie).astype(np.float32), distractor=distractor.astype(np.float32))


def told_apart(features: NDArray[np.generic]) -> float:
    """Two-way identification of references by themselves, 0..1, of (reference, feature): 1 where no two are the same.

    NaN of one reference. Computed in blocks of rows, so that ten thousand references fit.
    """
    count = len(features)
    if count < 2:
        return float("nan")
    found = 0.0
    for first in range(0, count, ROWS):
        rows = np.arange(first, min(first + ROWS, count))
        similar = alike(features[rows], features)
        found += float(shares_beaten(similar)[np.arange(len(rows)), rows].sum())
    return found / count


def top1_marks(similar: Wide, *, pool: int | None = None) -> Marks:
    """Top-1 identification from a (sample, reference) similarity, in pools of that many references, None for all."""
    _, tied, better = ranks(similar)
    others = similar.shape[1] - 1
    drawn = others if pool is None else pool - 1
    return Marks(table=success(better, tied, others=others, drawn=drawn, top=1).astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class TwoWay(Comparison):
    """The sample is more like its own reference than like another one: share of the other references it beats.

    tie  what a tie counts; chance is one half where nothing ties.
    """

    tie: float = HALF

    def chance(self, pool: int) -> float | None:
        return 0.5

    def absent(self, references: Views) -> str:
        return unseen(self.eye, references) or _alone(references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        return two_way_marks(similarity(samples, references, eye=self.eye), own, tie=self.tie)


@dataclass(frozen=True, kw_only=True)
class TwoWayOtherRecons(Comparison):
    """The reference is more like its own sample than like another stimulus' one: share of the other samples beaten."""

    tie: float = HALF

    def chance(self, pool: int) -> float | None:
        return 0.5

    def absent(self, references: Views) -> str:
        return unseen(self.eye, references) or _alone(references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        similar = similarity(samples, references, eye=self.eye)
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
        return 0.5

    def absent(self, references: Views) -> str:
        if reason := unseen(self.eye, references):
            return reason
        truth = references.labels.get(self.group, np.array([], np.str_))
        names, count = np.unique(truth[truth != ""], return_counts=True)
        if not len(names):
            return f"the references carry no true {self.group}"
        return "" if count.max() > 1 else f"no two references share a {self.group}"

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        similar = similarity(samples, references, eye=self.eye)
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
        return f"{self.name.removesuffix(f'_pool{self.size}')}_of_{self.size or pool}"

    def chance(self, pool: int) -> float | None:
        return 1 / (self.size or pool)

    def absent(self, references: Views) -> str:
        if reason := unseen(self.eye, references):
            return reason
        if self.size is not None and len(references) <= self.size:
            return f"a pool of {self.size} is drawn from more than {self.size} references, not from {len(references)}"
        return _alone(references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        return top1_marks(similarity(samples, references, eye=self.eye), pool=self.size)


@dataclass(frozen=True, kw_only=True)
class Top1OtherRecons(Top1):
    """The reference's own sample is the most similar one of the pool of samples (MindEye's brain retrieval).

    NaN where fewer samples are there than the pool is named for: withheld ones leave only the smaller pools.
    """

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        if len(samples) < (self.size or len(references)):
            return Marks(table=np.full((len(samples), len(references)), np.nan, np.float32))
        similar = similarity(samples, references, eye=self.eye)
        return Marks(table=top1_marks(similar.T, pool=self.size).table.T)


@dataclass(frozen=True, kw_only=True)
class Distance(Comparison):
    """1 - Pearson correlation of the features of a sample and its reference, as published for EfficientNet and SwAV."""

    best: float = 0.0
    bounds: tuple[float, float] = (0.0, 2.0)
    lower: bool = True

    def absent(self, references: Views) -> str:
        return unseen(self.eye, references)

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        return Marks(table=(1 - similarity(samples, references, eye=self.eye)).astype(np.float32))


def _alone(references: Views) -> str:
    return "" if len(references) > 1 else "identification needs two references"


ENTRIES = (
    TwoWay(name="two_way", eye="judge"),
    TwoWay(name="two_way_strict", eye="judge", tie=0.0),
    TwoWayOtherRecons(name="two_way_other_recons", eye="judge"),
    TwoWayOtherRecons(name="two_way_other_recons_strict", eye="judge", tie=0.0),
    TwoWayWithinCategory(name="two_way_within_category", eye="judge"),
    Top1(name="top1", eye="judge"),
    Top1OtherRecons(name="top1_other_recons", eye="judge"),
    *(Top1(name=f"top1_pool{size}", eye="judge", size=size) for size in POOLS),
    *(Top1OtherRecons(name=f"top1_other_recons_pool{size}", eye="judge", size=size) for size in POOLS),
    *(TwoWay(name=f"two_way_{eye}", eye=eye) for eye in (*PUBLISHED, *SQUASHED)),
    *(TwoWay(name=f"two_way_{eye}_strict", eye=eye, tie=0.0) for eye in (*PUBLISHED, *SQUASHED)),
    *(TwoWayOtherRecons(name=f"two_way_other_recons_{eye}", eye=eye) for eye in (*PUBLISHED, *SQUASHED)),
    *(
        TwoWayOtherRecons(name=f"two_way_other_recons_{eye}_strict", eye=eye, tie=0.0)
        for eye in (*PUBLISHED, *SQUASHED)
    ),
    *(Distance(name=f"distance_{eye}", eye=eye) for eye in DISTANT),
)
