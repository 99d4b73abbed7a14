"""A tenth of the stimuli by the digest of their ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from brain.data.clips import groups_of
from brain.splits import Family
from brain.types import Split


def tenth_by_hash(ids: Iterable[str], *, sound: bool = True) -> Split:
    """About a tenth of the stimuli as the test set, by the digest of their ids: the same on every machine, for ever.

    Of windows it is a tenth of the clips, by the digest of the clip.
    """
    known = sorted(set(ids))
    clips = groups_of(known, sound=sound).tolist()
    ranked = sorted(set(clips), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    tests = set(ranked[: max(1, len(ranked) // 10)])
    test = {name for name, clip in zip(known, clips, strict=True) if clip in tests}
    return Split(name="tenth-by-hash", train=tuple(set(known) - test), test=tuple(test))


ENTRIES = (
    Family(
        name="tenth-by-hash",
        title="a tenth by hash",
        description="about a tenth of the stimuli is the test, by the digest of their ids: the same on every machine",
        pattern="tenth-by-hash",
    ),
)
