"""Recipes on the bundled miniature stack: nothing to fetch, a laptop's processor is enough."""

from __future__ import annotations

from decode.recipes import Recipe
from decode.settings import DecodeSettings, FitSettings, Settings


def takagi_miniature() -> Settings:
    """Takagi & Nishimoto (2023): early visual cortex starts the picture, higher visual cortex says what it shows."""
    return Settings(
        recipe="takagi-miniature",
        fit=FitSettings(stack="miniature-image", maps=("vae-latent=early", "clip-text=ventral+lateral")),
        decode=DecodeSettings(method="takagi", steps=20, guidance=5.0, strength=0.8),
    )


def unclip_miniature() -> Settings:
    """The natural sibling: the whole visual cortex gives an image embedding, unCLIP draws from it."""
    return Settings(
        recipe="unclip-miniature",
        fit=FitSettings(stack="miniature-image", maps=("clip-image=nsdgeneral",)),
        decode=DecodeSettings(method="unclip", steps=20, guidance=3.0, strength=1.0),
    )


ENTRIES = (
    Recipe(
        name="takagi-miniature",
        says="latent from early, text from higher areas; the default",
        settings=takagi_miniature,
    ),
    Recipe(name="unclip-miniature", says="image embedding from nsdgeneral, drawn by unCLIP", settings=unclip_miniature),
)
