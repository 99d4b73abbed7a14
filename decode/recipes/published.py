"""Recipes on public checkpoints; `afterimage stacks fetch NAME` brings the weights."""

from __future__ import annotations

from decode.recipes import Recipe
from decode.run.settings import DataSettings, MapSettings, SamplingSettings

ENTRIES = (
    Recipe(
        name="takagi-sd15",
        title="Latent and text on Stable Diffusion 1.5",
        description="as published: latent from early visual cortex, text from higher areas",
        citation="Takagi & Nishimoto, CVPR 2023",
        data=DataSettings(split="nsd-shared1000"),
        maps=MapSettings(stack="sd15", maps=("vae-latent=early", "clip-text=ventral+lateral+parietal")),
        sampling=SamplingSettings(method="takagi", seeds=5),
        knobs={"steps": 50, "guidance": 5.0, "strength": 0.8, "scheduler": "ddim"},
    ),
)
