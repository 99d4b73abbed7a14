"""Recipes on the bundled miniature stack: nothing to fetch, a laptop's processor is enough."""

from __future__ import annotations

from decode.recipes import Recipe
from decode.run.settings import LADDER, MapSettings, SamplingSettings

AS_PUBLISHED = {"steps": 20, "guidance": 5.0, "strength": 0.8, "scheduler": ""}
"""Takagi & Nishimoto's way of sampling, at the miniature's number of steps."""

SETTLED = {
    "steps": 12, "guidance": 4.0, "strength": 0.6, "scheduler": "dpm++", "drawn_from": "mean", "sharpness": 2.0,
    "start_mix": 0.7,
}  # fmt: skip
"""Of nine tried, what gave the highest mean of kind, colour, category, position, setting, light, top-1 and pixcorr on
the simulated subjects of seeds 11 to 14, which no table shows; all nine lie within .01 of each other."""

ENTRIES = (
    Recipe(
        name="bayes-miniature",
        title="Bayesian reading, miniature",
        description="latent from early visual cortex, text by encoding models and a bank of candidates; the default",
        citation="Naselaris et al. 2009; Nishimoto et al. 2011; Takagi & Nishimoto, CVPR 2023",
        maps=MapSettings(
            stack="miniature-image",
            maps=("vae-latent=early", "clip-text=nsdgeneral", "takagi-clip-text:clip-text=ventral+lateral"),
        ),
        sampling=SamplingSettings(method="bayes", beside=("takagi",), rows=(*LADDER, "likely")),
        knobs=SETTLED,
        own={"takagi": AS_PUBLISHED},
    ),
    Recipe(
        name="takagi-miniature",
        title="Latent and text, miniature",
        description="latent from early visual cortex, text from higher areas",
        citation="Takagi & Nishimoto, CVPR 2023",
        maps=MapSettings(stack="miniature-image", maps=("vae-latent=early", "clip-text=ventral+lateral")),
        sampling=SamplingSettings(method="takagi"),
        knobs=AS_PUBLISHED,
    ),
    Recipe(
        name="unclip-miniature",
        title="Image embedding, miniature",
        description="CLIP image embedding from nsdgeneral, drawn by unCLIP",
        citation="Ramesh et al. 2022",
        maps=MapSettings(stack="miniature-image", maps=("clip-image=nsdgeneral",)),
        sampling=SamplingSettings(method="unclip"),
        knobs={"steps": 20, "guidance": 3.0, "strength": 1.0},
    ),
)
