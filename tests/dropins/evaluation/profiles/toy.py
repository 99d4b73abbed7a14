"""A profile that nobody knows."""

from evaluation.profiles import Profile

ENTRIES = (
    Profile(name="toy-profile", title="Toy profile", description="one metric", wrong="it is one", named=("pixcorr",)),
)
