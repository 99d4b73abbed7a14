"""Identification: which picture was seen, by Pearson correlation of a feature network's features.

Two directions are published under one name and differ for a decoder that drifts to a prototype: a sample compared with
OTHER REFERENCES ("two_way", as coded by Brain-Diffuser and MindEye), and a reference compared with OTHER SAMPLES
("two_way_other_recons", Takagi & Nishimoto). Ties count one half; the "_strict" forms count them as failures, as the
published code does. A decoder that knows one of K equal categories and nothing else already scores 1 - 1/(2K) two-way.
"""

from __future__ import annotations

from evaluation.metrics._parts.identification import (
    BRAIN_DIFFUSER,
    FIRST,
    LIKE_ITS_OWN,
    LIKE_ITS_SAMPLE,
    OTHER,
    SAMPLE_FIRST,
    TAKAGI,
    Top1,
    Top1OtherRecons,
    TwoWay,
    TwoWayOtherRecons,
    TwoWayWithinCategory,
    counted,
    distance_by,
    failing,
    top1_of,
    top1_other_recons_of,
    two_way_by,
    two_way_other_recons_by,
)

PUBLISHED = ("alexnet2", "alexnet5", "inception_v3", "clip_vit_l14")
SQUASHED = ("alexnet2_224", "alexnet5_224", "inception_v3_224", "clip_vit_l14_224")
DISTANT = ("efficientnet_b1", "swav_resnet50", "efficientnet_b1_224", "swav_resnet50_224")
CLEAN_PUBLISHED = {network: {"clean": 200 + place} for place, network in enumerate(PUBLISHED)}
CLEAN_DISTANT = {"efficientnet_b1": {"clean": 210}, "swav_resnet50": {"clean": 211}}
"""Places in profiles."""
ENTRIES = (
    TwoWay(
        name="two_way", title="Two-way", description=LIKE_ITS_OWN, network="judge", plotted=True, headline=1,
        profiles={"clean": 10, "clean-sound": 10}, citation=BRAIN_DIFFUSER,
    ),
    TwoWay(
        name="two_way_strict", title=f"Two-way{failing(0.0)}", description=f"{LIKE_ITS_OWN}{counted(0.0)}",
        network="judge", tie=0.0, citation=BRAIN_DIFFUSER,
    ),
    TwoWayOtherRecons(
        name="two_way_other_recons", title=f"Two-way, {OTHER}", description=LIKE_ITS_SAMPLE, network="judge",
        profiles={"clean": 70, "clean-sound": 70}, citation=TAKAGI,
    ),
    TwoWayOtherRecons(
        name="two_way_other_recons_strict", title=f"Two-way, {OTHER}{failing(0.0)}", network="judge", tie=0.0,
        description=f"{LIKE_ITS_SAMPLE}{counted(0.0)}", citation=TAKAGI,
    ),
    TwoWayWithinCategory(
        name="two_way_within_category", title="Two-way in category", network="judge", plotted=True,
        description="two-way among references of the same category", profiles={"clean": 20, "clean-sound": 20},
    ),
    Top1(
        name="top1", title="Top-1", description=FIRST, network="judge", plotted=True, headline=2,
        profiles={"clean": 30, "clean-sound": 30},
    ),
    Top1OtherRecons(
        name="top1_other_recons", title=f"Top-1, {OTHER}", description=SAMPLE_FIRST, network="judge",
        profiles={"clean": 80, "clean-sound": 80},
    ),
    top1_of(50, {"clean": 90, "clean-sound": 110}),
    top1_of(300, {"clean": 110}),
    top1_other_recons_of(50, {"clean": 100, "clean-sound": 120}),
    top1_other_recons_of(300, {"clean": 120}),
    *(two_way_by(network, profiles=CLEAN_PUBLISHED.get(network, {})) for network in (*PUBLISHED, *SQUASHED)),
    *(two_way_by(network, tie=0.0, profiles={}) for network in (*PUBLISHED, *SQUASHED)),
    *(two_way_other_recons_by(network, profiles={}) for network in (*PUBLISHED, *SQUASHED)),
    *(two_way_other_recons_by(network, tie=0.0, profiles={}) for network in (*PUBLISHED, *SQUASHED)),
    *(distance_by(network, CLEAN_DISTANT.get(network, {})) for network in DISTANT),
)  # fmt: skip
