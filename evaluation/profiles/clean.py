"""The profile of every metric at hand: what a report holds where nobody asks for a paper's numbers."""

from __future__ import annotations

from evaluation.profiles import Profile

ENTRIES = (
    Profile(
        name="clean",
        title="Clean",
        description=(
            "every metric at hand, identification in both directions, ties as one half, pool sizes in the names"
        ),
        wrong=(
            "its numbers are not those of any paper; two-way identification saturates, so read the pools and categories"
        ),
        of_sounds="clean-sound",
    ),
    Profile(
        name="clean-sound",
        title="Clean, of sounds",
        description=(
            "every metric of sounds at hand, identification in both directions, ties as one half, set distances with n"
        ),
        wrong=(
            "its numbers are of no paper; correlations of spectrograms reward blur, and few sounds inflate set "
            "distances"
        ),
        sets=("judge", "clap_htsat", "ast_audioset"),
    ),
)
