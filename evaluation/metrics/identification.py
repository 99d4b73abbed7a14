"""Identification: which picture was seen, told from the judge's features by Pearson correlation.

Two directions are published under one name and differ for a decoder that drifts to a prototype: a sample compared with
OTHER REFERENCES ("two_way", as coded by Brain-Diffuser and MindEye), and a reference compared with OTHER SAMPLES
("two_way_other_recons", Takagi & Nishimoto). Ties count one half. A decoder that knows one of K equal categories and
nothing else already scores 1 - 1/(2K) two-way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Int, Marks, Views
from evaluation.metrics.pixels import correlation

Wide = NDArray[np.float64]

# Correlations closer than float32 carries them are ties: a batch must not decide who wins.
DECIMALS = 5


def similarity(samples: Views, references: Views) -> Wide:
    """(sample, reference) Pearson correlation of the judge's features."""
    similar: Wide = correlation(samples.features, references.features).round(DECIMALS)
    return similar


def shares_beaten(similar: Wide) -> Wide:
    """(row, column): the share of the row's other columns that are less similar than this one, ties one half."""
    rows, columns = similar.shape
    order = np.sort(similar, axis=1)
    out = np.empty_like(similar)
    for row in range(rows):
        below = np.searchsorted(order[row], similar[row], side="left")
        upto = np.searchsorted(order[row], similar[row], side="right")
        out[row] = (below + upto - 1) / 2
    out /= max(columns - 1, 1)
    return out


@dataclass(frozen=True, kw_only=True)
class TwoWay:
    """The sample is more like its own reference than like another one: share of the other references it beats."""

    name: str = "two_way"
    needs: str = "features"
    judged: bool = True
    best: float = 1.0

    def named(self, pool: int) -> str:
        return self.name

    def chance(self, pool: int) -> float | None:
        return 0.5

    def absent(self, references: Views) -> str:
        return "" if len(references) > 1 else "two-way identification needs two references"

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        return two_way_marks(similarity(samples, references), own)


def two_way_marks(similar: Wide, own: Int) -> Marks:
    """Two-way identification among other references from a (sample, reference) similarity."""
    right = similar[np.arange(len(own)), own][:, None]
    won = (right > similar) + 0.5 * (right == similar)
    won[np.arange(len(own)), own] = 0
    met = len(own) - np.bincount(own, minlength=similar.shape[1])
    distractor = np.divide(won.sum(axis=0), met, out=np.full(similar.shape[1], np.nan), where=met > 0)
    return Marks(table=shares_beaten(similar).astype(np.float32), distractor=distractor.astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class TwoWayOtherRecons:
    """The reference is more like its own sample than like another stimulus' one: share of the other samples beaten."""

    name: str = "two_way_other_recons"
    needs: str = "features"
    judged: bool = True
    best: float = 1.0

    def named(self, pool: int) -> str:
        return self.name

    def chance(self, pool: int) -> float | None:
        return 0.5

    def absent(self, references: Views) -> str:
        return "" if len(references) > 1 else "two-way identification needs two references"

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        similar = similarity(samples, references)
        table = shares_beaten(similar.T).T
        right = similar[np.arange(len(own)), own]
        rivals = similar[:, own]
        won = (right[None, :] > rivals) + 0.5 * (right[None, :] == rivals)
        np.fill_diagonal(won, 0)
        distractor = np.full(len(references), np.nan, np.float32)
        distractor[own] = won.sum(axis=1) / max(len(own) - 1, 1)
        return Marks(table=table.astype(np.float32), distractor=distractor)


@dataclass(frozen=True, kw_only=True)
class Top1:
    """The sample's own reference is the most similar one of the whole pool; k tied winners count 1/k."""

    name: str = "top1"
    needs: str = "features"
    judged: bool = True
    best: float = 1.0

    def named(self, pool: int) -> str:
        return f"{self.name}_of_{pool}"

    def chance(self, pool: int) -> float | None:
        return 1 / pool

    def absent(self, references: Views) -> str:
        return ""

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        return top1_marks(similarity(samples, references))


def top1_marks(similar: Wide) -> Marks:
    """Top-1 identification from a (sample, reference) similarity."""
    best = similar == similar.max(axis=1, keepdims=True)
    return Marks(table=(best / best.sum(axis=1, keepdims=True)).astype(np.float32))


ENTRIES = (TwoWay(), TwoWayOtherRecons(), Top1())
