"""Recipes for sounds: association cortex says what was heard, belt, A4 and A5 how it sounded, early its spectrum."""

from __future__ import annotations

from decode.recipes import Recipe
from decode.settings import DecodeSettings, FitSettings, Settings

MAPS = ("clap=association", "loa=LBelt+MBelt+PBelt+A4+A5", "mel-latent=early")
ROWS = (
    "decoded", "reranked", "shuffled", "mean", "prior", "repeat", "retrieval", "oracle", "round_trip",
)  # fmt: skip


def c2f_miniature() -> Settings:
    """Coarse to fine (Liu et al. 2024), anchored on a retrieved exemplar (Mehrish & Vascon 2026)."""
    return Settings(
        recipe="c2f-miniature",
        fit=FitSettings(stack="miniature-sound", maps=MAPS),
        decode=DecodeSettings(
            method="sound-anchored",
            beside=("sound-direct", "sound-c2f"),
            rows=ROWS,
            steps=16,
            guidance=2.0,
            strength=0.3,
            loa_weight=0.5,
            candidates=3,
        ),
    )


def c2f_audioldm2() -> Settings:
    """The same on AudioLDM 2, steps and guidance as published; decoded LOA needs a folder with the teacher."""
    return Settings(
        recipe="c2f-audioldm2",
        fit=FitSettings(stack="audioldm2", maps=("clap=association", "mel-latent=early")),
        decode=DecodeSettings(
            method="sound-anchored",
            beside=("sound-c2f",),
            rows=ROWS,
            steps=50,
            guidance=3.5,
            strength=0.3,
            scheduler="ddim",
            loa_weight=0.5,
        ),
    )


ENTRIES = (
    Recipe(name="c2f-miniature", says="sounds: CLAP, LOA and mel latent, anchored; bundled", settings=c2f_miniature),
    Recipe(name="c2f-audioldm2", says="sounds on AudioLDM 2, from CLAP, anchored", settings=c2f_audioldm2),
)
