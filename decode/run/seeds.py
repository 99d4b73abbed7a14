"""One seed a sample, from the run's seed, the stimulus and the sample's index: order, batch, resume change nothing."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence


def sample_seed(run_seed: int, stimulus: str, index: int) -> int:
    """The seed of one sample, 0 .. 2**63 - 1. Every row shares it, so that rows differ by their condition alone."""
    digest = hashlib.sha256(f"{run_seed}\0{stimulus}\0{index}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def derangement(ids: Sequence[str], run_seed: int) -> dict[str, str]:
    """Each id -> another id, a bijection without a fixed point: whose brain pattern the shuffled row takes.

    Sattolo's algorithm: one cycle over all ids, uniform among such cycles, whatever order the ids come in.
    Fewer than two ids cannot be deranged: ValueError.
    """
    if len(ids) < 2:
        raise ValueError(f"a derangement needs two ids or more, found {len(ids)}")
    order = sorted(ids)
    cycle = list(order)
    draw = random.Random(sample_seed(run_seed, "derangement", 0))
    for last in range(len(cycle) - 1, 0, -1):
        other = draw.randrange(last)
        cycle[last], cycle[other] = cycle[other], cycle[last]
    return dict(zip(order, cycle, strict=True))
