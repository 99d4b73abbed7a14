"""The metrics of MindEye2 (Scotti et al. 2024) as its notebook computes them."""

from __future__ import annotations

from evaluation.profiles import Profile

ENTRIES = (
    Profile(
        name="paper-mindeye2",
        title="MindEye2",
        description=(
            "MindEye2 (Scotti et al. 2024): 425 pixels by way of 256, SSIM in two dimensions, two-way among "
            "references; retrieval of embeddings stands before the generator"
        ),
        wrong=(
            "published samples were blended with a blurry branch that wins pixel metrics; ties count as failures; its "
            "retrieval is of brain embeddings, which folders of pictures do not hold"
        ),
        citation="Scotti et al. 2024, MindEye2, ICML, arXiv:2403.11207",
        named=(
            "pixcorr", "ssim", "two_way_alexnet2_strict", "two_way_alexnet5_strict", "two_way_inception_v3_strict",
            "two_way_clip_vit_l14_strict", "distance_efficientnet_b1", "distance_swav_resnet50", "two_way_strict",
        ),
        side=425,
        through=256,
    ),
)  # fmt: skip
