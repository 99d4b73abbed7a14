"""Recipes whose voxels are read by a trained network, trained anew for every run."""

from __future__ import annotations

from decode.recipes import Recipe
from decode.run.settings import LADDER, DataSettings, MapSettings, SamplingSettings

EMBEDDING = ("clip-image=nsdgeneral",)
UNCLIP = {"steps": 20, "guidance": 3.0, "strength": 1.0}
WITHOUT_ORACLE = tuple(row for row in LADDER if row != "oracle")
"""Voxels have no true conditions."""

ENTRIES = (
    Recipe(
        name="mindvis-miniature",
        title="Double conditioning, miniature",
        description="the stack itself learns to draw from voxels; half an hour on two cores",
        citation="Chen et al., CVPR 2023 (MinD-Vis)",
        maps=MapSettings(stack="miniature-image", maps=("vae-latent=early", "clip-text=ventral+lateral")),
        sampling=SamplingSettings(method="mindvis", rows=WITHOUT_ORACLE, beside=("takagi",)),
        knobs={"steps": 20, "guidance": 5.0, "scheduler": "", "voxels": ("nsdgeneral",)},
    ),
    Recipe(
        name="mindvis-sd15",
        title="Double conditioning of Stable Diffusion 1.5",
        description="the stack itself learns to draw from voxels; needs a GPU",
        citation="Chen et al., CVPR 2023 (MinD-Vis)",
        data=DataSettings(split="nsd-shared1000"),
        maps=MapSettings(stack="sd15", maps=("vae-latent=early", "clip-text=ventral+lateral+parietal")),
        sampling=SamplingSettings(method="mindvis", rows=WITHOUT_ORACLE, beside=("takagi",), seeds=5),
        knobs={
            "steps": 50, "guidance": 5.0, "scheduler": "ddim", "voxels": ("nsdgeneral",), "tune_steps": 20_000,
        },
    ),
    Recipe(
        name="residual-miniature",
        title="Residual network, miniature",
        description="CLIP image embedding by a residual network, drawn by unCLIP",
        citation="Scotti et al. 2023 (MindEye)",
        maps=MapSettings(stack="miniature-image", maps=EMBEDDING, mapping="residual"),
        sampling=SamplingSettings(method="unclip"),
        knobs=UNCLIP,
    ),
    Recipe(
        name="shared-miniature",
        title="Shared trunk, miniature",
        description="CLIP image embedding by an adapter into a trunk of other subjects; needs two subjects or more",
        citation="Scotti et al. 2024 (MindEye2)",
        maps=MapSettings(stack="miniature-image", maps=EMBEDDING, mapping="shared"),
        sampling=SamplingSettings(method="unclip"),
        knobs=UNCLIP,
    ),
)
