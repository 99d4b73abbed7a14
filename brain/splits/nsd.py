"""The splits of the Natural Scenes Dataset, by which images all subjects saw; its reader makes them."""

from __future__ import annotations

from brain.splits import Family

SHARED_1000 = "nsd-shared1000"
SHARED_982 = "nsd-shared982-37ses"
SPECIAL_515 = "nsd-special515"
CITATION = "Allen et al. 2022"
ENTRIES = (
    Family(
        name=SHARED_1000,
        title="NSD shared 1000",
        description="every shared image shown is the test, every other image shown trains",
        citation=CITATION,
        pattern=SHARED_1000,
    ),
    Family(
        name=SHARED_982,
        title="NSD shared 982, 37 sessions",
        description="shared images shown three times in sessions 1 to 37 are the test, the subject's own images train",
        citation=CITATION,
        pattern=SHARED_982,
    ),
    Family(
        name=SPECIAL_515,
        title="NSD special 515",
        description="images that all eight subjects saw three times are the test, every other image trains",
        citation=CITATION,
        pattern=SPECIAL_515,
    ),
)
