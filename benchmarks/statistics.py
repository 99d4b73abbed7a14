"""How long intervals and permutations take: python -m benchmarks.statistics

Ten two-way tables of 1000 stimuli, 10,000 permutations and 10,000 resamples of each, as a report asks for them, beside
SciPy's permutation_test and bootstrap on the same numbers (one table with fewer draws, scaled up). The promise: under
ten seconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from evaluation.score import Chances, Marks, Tally, score
from evaluation.similarity import two_way_marks

PROMISE = 10.0
PEER_DRAWS = 200
TABLES = 10


def ours(marks: Marks, stimuli: int, draws: int) -> None:
    """Value, interval and p of `TABLES` tables, resamples and permutations drawn once as in a report."""
    chances = Chances(seed=0, bootstrap=draws, permutations=draws)
    for _ in range(TABLES):
        tally = Tally(stimuli)
        tally.add(marks, np.arange(stimuli))
        score(
            tally, chances, row="decoded", metric="two_way", judge="", ids=tuple(map(str, range(stimuli))), chance=0.5,
            bounds=(0, 1), blocks=np.zeros(stimuli, np.int64), withheld=0,
        )  # fmt: skip


def theirs(marks: Marks, stimuli: int, draws: int) -> None:
    """The same of one table from SciPy: bootstrap(BCa) of the values, permutation_test of the pairing."""
    from scipy import stats

    table, rows = marks.table.astype(np.float64), np.arange(stimuli)
    stats.bootstrap((np.diagonal(table),), np.mean, n_resamples=draws, method="BCa", rng=np.random.default_rng(0))

    def paired(order: np.ndarray) -> float:
        return float(table[rows, order.astype(int)].mean())

    stats.permutation_test(
        (rows,), paired, permutation_type="pairings", n_resamples=draws, alternative="greater",
        rng=np.random.default_rng(0),
    )  # fmt: skip


def seconds(work: Callable[[Marks, int, int], None], marks: Marks, stimuli: int, *, draws: int) -> float:
    """Wall time of one call."""
    before = time.perf_counter()
    work(marks, stimuli, draws)
    return time.perf_counter() - before


def main() -> int:
    """Prints both and their ratio; exit code 1 where the promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statistics", description=__doc__.splitlines()[0])
    parser.add_argument("--stimuli", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=10_000)
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    references = rng.normal(size=(asked.stimuli, 64))
    samples = references + 3 * rng.normal(size=references.shape)
    marks = two_way_marks(samples @ references.T, np.arange(asked.stimuli))
    took = seconds(ours, marks, asked.stimuli, draws=asked.draws)
    peer = seconds(theirs, marks, asked.stimuli, draws=PEER_DRAWS) * asked.draws / PEER_DRAWS * TABLES
    print(f"{TABLES} tables of {asked.stimuli} stimuli, {asked.draws} permutations and resamples each")
    print(f"afterimage                     {took:8.2f} s")
    print(f"scipy, from {PEER_DRAWS} draws of one {peer:8.2f} s, {peer / took:.1f} times as long")
    return int(took > PROMISE)


if __name__ == "__main__":
    raise SystemExit(main())
