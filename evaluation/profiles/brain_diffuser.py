"""The metrics of Brain-Diffuser (Ozcelik & VanRullen 2023) as its script computes them."""

from __future__ import annotations

from evaluation.profiles import Profile

ENTRIES = (
    Profile(
        name="paper-brain-diffuser",
        title="Brain-Diffuser",
        description=(
            "Brain-Diffuser (Ozcelik & VanRullen 2023): 425 pixels, column-wise SSIM, two-way against other references"
        ),
        wrong=(
            "this SSIM takes columns for channels and reads higher on blur, which wins pixel metrics; ties are failures"
        ),
        citation="Ozcelik & VanRullen 2023, Scientific Reports 13, 15666",
        named=(
            "pixcorr", "ssim_columns", "two_way_alexnet2_224_strict", "two_way_alexnet5_224_strict",
            "two_way_inception_v3_224_strict", "two_way_clip_vit_l14_224_strict", "distance_efficientnet_b1_224",
            "distance_swav_resnet50_224", "two_way_strict",
        ),
        side=425,
    ),
)  # fmt: skip
