"""How many candidates a Bayesian reading searches, and what that costs, beside the naive way.

    python -m benchmarks.candidates
    python -m benchmarks.candidates --candidates 1000000 --voxels 15724 --stimuli 1000 --share 0.1

The task is of NSD's size: a million captions as 128 components, 15,724 voxels (nsdgeneral of its first subject), 1000
test stimuli. `planned` is what the whole task holds in memory at once; what is measured is `--share` of the candidates
and, of the naive way, as many more times fewer as it takes to end in seconds. Both ways compute the very same numbers
(printed: the largest difference).

    ours    the log likelihood as a quadratic form in a candidate's components (`encoders.voxelwise.encoding`), a block
            of candidates at a time, the best 24 and the sums of the rest kept (`posterior`)
    naive   every candidate predicted voxel by voxel, a block at a time, the residual of every stimulus whitened by the
            same Woodbury solver: what the formula says, read literally; as fast as numpy's products make it
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from brain.types import Float
from encoders.voxelwise.encoding import Encoding
from encoders.voxelwise.noise import RANK, Noise
from encoders.voxelwise.posterior import BLOCK, posterior

KEEP = 24
FEW = 40
"""Candidates of the naive way for each hundred thousand of ours."""


def made_up(voxels: int, features: int, *, seed: int = 0) -> Encoding:
    """An encoding model of random weights and noise of full rank: what it says does not matter, what it costs does."""
    rng = np.random.default_rng(seed)
    noise = Noise(
        spread=np.ones(voxels, np.float32), factor=(rng.standard_normal((RANK, voxels)) / 20).astype(np.float32),
        shared=np.full(RANK, 0.5, np.float32), own=np.full(voxels, 0.5, np.float32), showings=3.0, shrinkage=0.4,
    )  # fmt: skip
    return Encoding(
        weights=(rng.standard_normal((features, voxels)) / 30).astype(np.float32), means=np.zeros(voxels),
        centre=np.zeros(features), columns=np.arange(voxels), noise=noise, r2=np.ones(voxels, np.float32),
    )  # fmt: skip


def naive(encoding: Encoding, patterns: Float, candidates: Float) -> np.ndarray:
    """(pattern, candidate) log likelihoods less a constant, by predicted voxels."""
    assert encoding.noise is not None
    solver = encoding.noise.solver(3)
    weights = encoding.weights.astype(np.float64)
    out = np.empty((len(patterns), len(candidates)))
    for first in range(0, len(candidates), 8):
        expected = candidates[first : first + 8].astype(np.float64) @ weights
        for row, pattern in enumerate(patterns):
            missed = pattern - expected
            out[row, first : first + 8] = -0.5 * (solver.apply(missed) * missed).sum(1)
    return out


def main(words: list[str] | None = None) -> None:
    """Measures both ways and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("candidates", 1_000_000), ("voxels", 15_724), ("stimuli", 1000), ("features", 128)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--share", type=float, default=0.1, help="of the candidates that are measured")
    asked = parser.parse_args(words)
    rng = np.random.default_rng(1)
    encoding = made_up(asked.voxels, asked.features)
    patterns = rng.standard_normal((asked.stimuli, asked.voxels)).astype(np.float32)
    candidates = rng.standard_normal((asked.candidates, asked.features), dtype=np.float32).astype(np.float16)
    held = candidates.nbytes + patterns.nbytes + encoding.weights.nbytes
    held += 8 * (2 * RANK * asked.voxels + 3 * asked.stimuli * asked.voxels + 3 * BLOCK * asked.stimuli)
    print(f"planned: {held / 2**30:.2f} GiB for {asked.candidates:,} candidates, {asked.voxels:,} voxels, "
          f"{asked.stimuli:,} stimuli")  # fmt: skip
    begun = time.process_time(), time.perf_counter()
    evidence = encoding.evidence(patterns, np.full(asked.stimuli, 3))
    once = time.process_time() - begun[0]
    print(f"evidence, once: {once:.1f} CPU s")
    print(f"{'candidates':>12} {'CPU s':>8} {'wall s':>8} {'us a pair':>10}")
    whole = round(asked.share * asked.candidates)
    for count in (whole // 4, whole // 2, whole):
        begun = time.process_time(), time.perf_counter()
        posterior(evidence, candidates[:count], keep=KEEP)
        cpu, wall = time.process_time() - begun[0], time.perf_counter() - begun[1]
        print(f"{count:>12,} {cpu:>8.1f} {wall:>8.1f} {1e6 * cpu / count / asked.stimuli:>10.3f}")
    ours = cpu / count / asked.stimuli
    few, some = max(8, whole // 1000 * FEW // 100), patterns[:10]
    begun = time.process_time(), time.perf_counter()
    slow = naive(encoding, some, candidates[:few])
    theirs = (time.process_time() - begun[0]) / few / len(some)
    fast = encoding.evidence(some, np.full(len(some), 3)).log_likelihood(candidates[:few])
    apart = np.abs((fast - fast[:, :1]) - (slow - slow[:, :1])).max()
    print(f"naive: {1e6 * theirs:.0f} us a pair of {few} candidates and {len(some)} stimuli; ours is "
          f"{theirs / ours:,.0f} times as fast; largest difference {apart:.1e}")  # fmt: skip
    print(f"the whole task: {ours * asked.candidates * asked.stimuli / 60:.1f} CPU minutes, the naive way "
          f"{theirs * asked.candidates * asked.stimuli / 86400:.1f} CPU days")  # fmt: skip
    print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
