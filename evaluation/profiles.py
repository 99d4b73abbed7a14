"""Profiles: which metrics a report holds and how pictures reach them; each says what it does and what is wrong with it.

    python -m evaluation FOLDER --profile paper-mindeye2

A metric whose network is not at hand is said to be absent; the report's own judge never takes its place unnamed.
"""

from __future__ import annotations

from dataclasses import dataclass

from brain.catalogue import unknown
from brain.errors import UsageError
from evaluation.images import IMAGE
from evaluation.sounds import SOUND


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A way to judge.

    does, wrong  one sentence each: what the profile computes, and what is wrong with that
    metrics      names of the catalogue, in the order of the tables; metrics of measured regions always follow
    side         pixel metrics see pictures of side x side pixels; 0 is the references' own size, 256 at most
    sets         eyes in whose features the samples of a row are compared as a set with the references
    """

    name: str
    does: str
    wrong: str
    metrics: tuple[str, ...]
    side: int = 0
    sets: tuple[str, ...] = ()


LABELS = ("label_kind", "label_colour", "label_position", "label_size", "label_setting", "label_light")
PUBLISHED = ("alexnet2", "alexnet5", "inception_v3", "clip_vit_l14")

CLEAN = Profile(
    name="clean",
    does="every metric at hand, identification in both directions, ties as one half, pool sizes in the names",
    wrong="its numbers are not those of any paper; two-way identification saturates, so read the pools and categories",
    metrics=(
        "two_way", "two_way_within_category", "top1", "category", "pixcorr", "ssim", "two_way_other_recons",
        "top1_other_recons", "top1_pool50", "top1_other_recons_pool50", "top1_pool300", "top1_other_recons_pool300",
        "category_pseudo", "kind_2way_top1", "kind_10way_top1", "kind_10way_top1_pseudo", "lpips", "dists", "dreamsim",
        *(f"two_way_{eye}" for eye in PUBLISHED), "distance_efficientnet_b1", "distance_swav_resnet50", *LABELS,
    ),
)  # fmt: skip
CLEAN_SOUND = Profile(
    name="clean-sound",
    does="every metric of sounds at hand, identification in both directions, ties as one half, set distances with n",
    wrong="its numbers are of no paper; correlations of spectrograms reward blur, and few sounds inflate set distances",
    metrics=(
        "two_way", "two_way_within_category", "top1", "category", "mel_pcc", "mel_ssim", "two_way_other_recons",
        "top1_other_recons", "top1_pool10", "top1_other_recons_pool10", "top1_pool50", "top1_other_recons_pool50",
        "two_way_clap_htsat", "two_way_other_recons_clap_htsat", "top1_clap_htsat_pool10", "two_way_ast_audioset",
        "two_way_other_recons_ast_audioset", "top1_ast_audioset_pool10", "audioset_50way_top1_pseudo",
        "category_pseudo", "kind_2way_top1", "kind_10way_top1", "kind_10way_top1_pseudo", "centroid_correlation",
        "centroid_error", "f0_correlation", "f0_error", "pitch_accuracy", "voicing", "envelope_correlation",
        "modulation_correlation", "label_kind", "label_pitch", "label_pace", "label_brightness", "label_space",
    ),
    sets=("judge", "clap_htsat", "ast_audioset"),
)  # fmt: skip
BRAIN_DIFFUSER = Profile(
    name="paper-brain-diffuser",
    does="Brain-Diffuser (Ozcelik & VanRullen 2023): 425 pixels, column-wise SSIM, two-way against other references",
    wrong="this SSIM takes columns for channels and reads higher on blur, which wins pixel metrics; ties are failures",
    metrics=(
        "pixcorr", "ssim_columns", "two_way_alexnet2_224_strict", "two_way_alexnet5_224_strict",
        "two_way_inception_v3_224_strict", "two_way_clip_vit_l14_224_strict", "distance_efficientnet_b1_224",
        "distance_swav_resnet50_224", "two_way_strict",
    ),
    side=425,
)  # fmt: skip
MINDEYE2 = Profile(
    name="paper-mindeye2",
    does="MindEye2 (Scotti et al. 2024): 425 pixels, SSIM in two dimensions, two-way among references, top-1 of 300",
    wrong="published samples were blended with a blurry branch and 16 were drawn to keep one; ties count as failures",
    metrics=(
        "pixcorr", "ssim", *(f"two_way_{eye}_strict" for eye in PUBLISHED), "distance_efficientnet_b1",
        "distance_swav_resnet50", "top1_pool300", "top1_other_recons_pool300", "two_way_strict",
    ),
    side=425,
)  # fmt: skip
TAKAGI = Profile(
    name="paper-takagi",
    does="Takagi & Nishimoto (2023): a reference against other samples, mean over the samples of a stimulus",
    wrong="the other direction is published by later papers, and the two cannot be compared; ties count as failures",
    metrics=(*(f"two_way_other_recons_{eye}_strict" for eye in PUBLISHED), "two_way_other_recons_strict"),
)
MINDVIS = Profile(
    name="paper-mindvis",
    does="MinD-Vis (Chen et al. 2023): n-way top-1 where right is what the classifier calls the reference itself",
    wrong="the pseudo-label is often not what the picture shows; papers also print a best sample, which is no score",
    metrics=(
        "imagenet_50way_top1_pseudo", "imagenet_100way_top1_pseudo", "kind_10way_top1_pseudo", "kind_2way_top1_pseudo",
        "pixcorr", "ssim",
    ),
)  # fmt: skip
PROFILES = {one.name: one for one in (CLEAN, CLEAN_SOUND, BRAIN_DIFFUSER, MINDEYE2, TAKAGI, MINDVIS)}


def find_profile(name: str, modality: str = IMAGE) -> Profile:
    """The profile of that name, "clean" being clean-sound for sounds; an unknown name is a UsageError with the nearest.

    modality  "image" or "sound": what is judged
    """
    if name not in PROFILES:
        raise UsageError(unknown("profile", name, tuple(PROFILES)))
    return CLEAN_SOUND if (name, modality) == (CLEAN.name, SOUND) else PROFILES[name]
