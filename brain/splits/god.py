"""The split of Generic Object Decoding, whose test pictures are of other categories than the training pictures."""

from __future__ import annotations

from brain.splits import Family

GOD = "god"
ENTRIES = (
    Family(
        name=GOD,
        title="Generic Object Decoding",
        description="the 50 test pictures, of categories that no training picture has, are the test",
        citation="Horikawa and Kamitani 2017",
        pattern=GOD,
    ),
)
