"""Recipes on public checkpoints; `afterimage stacks fetch NAME` brings the weights."""

from __future__ import annotations

from decode.recipes import Recipe
from decode.settings import DecodeSettings, FitSettings, Settings


def takagi_sd15() -> Settings:
    """Takagi & Nishimoto (2023) on Stable Diffusion 1.5, strength and steps as published."""
    return Settings(
        recipe="takagi-sd15",
        fit=FitSettings(
            stack="sd15", split="nsd-shared1000", maps=("vae-latent=early", "clip-text=ventral+lateral+parietal")
        ),
        decode=DecodeSettings(method="takagi", steps=50, guidance=5.0, strength=0.8, scheduler="ddim", seeds=5),
    )


ENTRIES = (Recipe(name="takagi-sd15", says="the published pipeline on Stable Diffusion 1.5", settings=takagi_sd15),)
