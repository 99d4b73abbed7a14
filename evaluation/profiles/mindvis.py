"""The metrics of MinD-Vis (Chen et al. 2023): n-way classification by a classifier's own opinion of the reference."""

from __future__ import annotations

from evaluation.profiles import Profile

ENTRIES = (
    Profile(
        name="paper-mindvis",
        title="MinD-Vis",
        description=(
            "MinD-Vis (Chen et al. 2023): n-way top-1 where right is what the classifier calls the reference itself"
        ),
        wrong=(
            "the pseudo-label is often not what the picture shows; papers also print a best sample, which is no score"
        ),
        citation="Chen et al. 2023, CVPR",
        named=(
            "imagenet_50way_top1_pseudo", "imagenet_100way_top1_pseudo", "kind_10way_top1_pseudo",
            "kind_2way_top1_pseudo", "pixcorr", "ssim",
        ),
    ),
)  # fmt: skip
