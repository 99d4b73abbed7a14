"""Numbers that were asked for: within their bounds, or one sentence that names the flag."""

from __future__ import annotations

import math

from brain.errors import UsageError, expected

LAST_SEED = 2**63 - 1
"""The greatest seed that every generator of random numbers here takes."""
MOST_DRAWS = 100_000
"""The most resamples or permutations: of 1000 stimuli they lie in memory as 0.8 GB."""


def within(flag: str, value: float, low: float, high: float = math.inf) -> None:
    """Refuses (UsageError) a number of `flag` that is below `low`, above `high` or none at all."""
    if low <= value <= high:
        return
    upper = " or more" if math.isinf(high) else f" to {high}"
    raise UsageError(expected(flag, f"{low}{upper}", str(value), "correct it"))


def seed_within(seed: int) -> None:
    """Refuses (UsageError) a seed that some generator of random numbers does not take."""
    within("--seed", seed, 0, LAST_SEED)
