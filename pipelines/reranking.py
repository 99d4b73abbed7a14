"""The best of several samples of one stimulus, by whatever scores them (maximum a posteriori re-ranking).

Ciferri et al. 2025 (Scientific Reports 15:42108) draw many and keep the one whose predicted brain response fits the
measured one best; here it is the one under which the measured response is likeliest. The number drawn and every score
belong to the record, for a picked sample is no average sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, UsageError
from pipelines.drawing import Drawn


@dataclass(frozen=True, kw_only=True)
class Best:
    """The sample that was kept.

    drawn   the sample itself
    index   its place among the candidates
    scores  (candidate,) higher is better; NaN for a withheld candidate, which is never kept
    """

    drawn: Drawn
    index: int
    scores: tuple[float, ...]

    @property
    def candidates(self) -> int:
        """How many were drawn and compared."""
        return len(self.scores)


def best_of(drawn: Sequence[Drawn], score: Callable[[NDArray[np.float32]], NDArray[np.floating]]) -> Best:
    """The sample of one stimulus that scores highest among several of different seeds; the first of equals.

    score  waves (candidate, sample) -> (candidate,), such as the log likelihood of measured responses
    Scores that are not finite, or samples that are all withheld, are an `InputError`.
    """
    seeds = [one.seed for one in drawn]
    if not drawn or len(set(seeds)) != len(seeds):
        raise UsageError(f"re-ranking: expected samples of different seeds (at least 1), found {seeds}; give one each")
    kept = [place for place, one in enumerate(drawn) if one.wave is not None]
    if not kept:
        raise InputError(f"re-ranking: of {len(drawn)} samples none is to be heard; draw again")
    scores = np.full(len(drawn), np.nan)
    found = np.asarray(score(np.stack([one.wave for one in drawn if one.wave is not None])), float)
    if found.shape != (len(kept),) or not np.isfinite(found).all():
        raise InputError(f"re-ranking: expected {len(kept)} finite scores, found {found.tolist()}; score again")
    scores[kept] = found
    index = int(np.nanargmax(scores))
    return Best(drawn=drawn[index], index=index, scores=tuple(scores.tolist()))
