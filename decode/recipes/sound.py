"""Recipes for sounds: association cortex says what was heard, belt, A4 and A5 how it sounded, early its spectrum."""

from __future__ import annotations

from decode.recipes import Recipe
from decode.run.settings import MapSettings, SamplingSettings

MAPS = ("clap=association", "loa=LBelt+MBelt+PBelt+A4+A5", "mel-latent=early")
ROWS = (
    "decoded", "reranked", "shuffled", "mean", "prior", "repeat", "retrieval", "oracle", "round_trip",
)

ENTRIES = (
    Recipe(
        name="bayes-sound-miniature",
        title="Bayesian reading of sounds, miniature",
        description="CLAP and LOA of the likeliest sound of a bank, drawn from that sound on; bundled",
        citation="Naselaris et al. 2009; Nishimoto et al. 2011; Mehrish & Vascon 2026",
        maps=MapSettings(stack="miniature-sound", maps=MAPS),
        sampling=SamplingSettings(method="bayes-sound", beside=("sound-anchored",), rows=(*ROWS, "likely")),
        knobs={
            "steps": 16, "guidance": 2.0, "strength": 0.3, "loa_weight": 0.5, "candidates": 3, "scheduler": "",
            "drawn_from": "maximum",
        },
    ),
    Recipe(
        name="c2f-miniature",
        title="Anchored sounds, miniature",
        description="CLAP, LOA and mel latent, from the nearest training sound on; bundled",
        citation="Liu et al. 2024 (C2F-LDM); Mehrish & Vascon 2026",
        maps=MapSettings(stack="miniature-sound", maps=MAPS),
        sampling=SamplingSettings(method="sound-anchored", beside=("sound-direct", "sound-c2f"), rows=ROWS),
        knobs={
            "steps": 16, "guidance": 2.0, "strength": 0.3, "loa_weight": 0.5, "candidates": 3, "scheduler": "",
        },
    ),
    Recipe(
        name="c2f-audioldm2",
        title="Anchored sounds on AudioLDM 2",
        description="CLAP and mel latent, from the nearest training sound; LOA needs a stack with AudioMAE",
        citation="Liu et al. 2024 (C2F-LDM); Mehrish & Vascon 2026",
        maps=MapSettings(stack="audioldm2", maps=("clap=association", "mel-latent=early")),
        sampling=SamplingSettings(method="sound-anchored", beside=("sound-c2f",), rows=ROWS),
        knobs={"steps": 50, "guidance": 3.5, "strength": 0.3, "loa_weight": 0.5, "scheduler": "ddim"},
    ),
)
