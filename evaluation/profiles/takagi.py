"""The metrics of Takagi & Nishimoto (2023): identification in the other direction."""

from __future__ import annotations

from evaluation.profiles import Profile

ENTRIES = (
    Profile(
        name="paper-takagi",
        title="Takagi & Nishimoto",
        description=(
            "Takagi & Nishimoto (2023): a reference against other samples, mean over the samples of a stimulus"
        ),
        wrong=(
            "the other direction is published by later papers, and the two cannot be compared; ties count as failures"
        ),
        citation="Takagi & Nishimoto 2023, CVPR",
        named=(
            "two_way_other_recons_alexnet2_strict", "two_way_other_recons_alexnet5_strict",
            "two_way_other_recons_inception_v3_strict", "two_way_other_recons_clip_vit_l14_strict",
            "two_way_other_recons_strict",
        ),
    ),
)  # fmt: skip
