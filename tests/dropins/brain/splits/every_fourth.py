"""A family of splits that nobody knows."""

from brain.splits import Family

ENTRIES = (
    Family(name="every-fourth", title="every fourth", description="every fourth stimulus is tested",
           pattern="every-fourth"),
)  # fmt: skip
