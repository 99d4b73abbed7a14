"""Recipes whose voxels are read by a trained network, on the bundled miniature stack. Trained anew for every run."""

from __future__ import annotations

from decode.recipes import Recipe
from decode.settings import MINDVIS, DecodeSettings, FitSettings, Settings

WITHOUT_ORACLE = tuple(row for row in DecodeSettings().rows if row != "oracle")
"""Voxels have no true conditions."""


def residual_miniature() -> Settings:
    """unCLIP as in unclip-miniature, its embedding by a residual network (Scotti et al. 2023, MindEye)."""
    return Settings(
        recipe="residual-miniature",
        fit=FitSettings(stack="miniature-image", maps=("clip-image=nsdgeneral",), mapping="residual"),
        decode=DecodeSettings(method="unclip", steps=20, guidance=3.0, strength=1.0),
    )


def shared_miniature() -> Settings:
    """The same on a trunk that the data's other subjects trained (Scotti et al. 2024, MindEye2)."""
    return Settings(
        recipe="shared-miniature",
        fit=FitSettings(stack="miniature-image", maps=("clip-image=nsdgeneral",), mapping="shared"),
        decode=DecodeSettings(method="unclip", steps=20, guidance=3.0, strength=1.0),
    )


def mindvis_miniature() -> Settings:
    """Double conditioning (Chen et al. 2023, MinD-Vis), its encoder pretrained in the run, takagi's pictures beside."""
    return Settings(
        recipe="mindvis-miniature",
        fit=FitSettings(
            stack="miniature-image", maps=("vae-latent=early", "clip-text=ventral+lateral"), voxels=("nsdgeneral",)
        ),
        decode=DecodeSettings(method=MINDVIS, steps=20, guidance=5.0, rows=WITHOUT_ORACLE, beside=("takagi",)),
    )


def mindvis_sd15() -> Settings:
    """Double conditioning on Stable Diffusion 1.5; pretrain and give an encoder, and mind the hours on a processor."""
    return Settings(
        recipe="mindvis-sd15",
        fit=FitSettings(
            stack="sd15",
            split="nsd-shared1000",
            maps=("vae-latent=early", "clip-text=ventral+lateral+parietal"),
            voxels=("nsdgeneral",),
            tune_steps=20_000,
        ),
        decode=DecodeSettings(
            method=MINDVIS, steps=50, guidance=5.0, scheduler="ddim", seeds=5, rows=WITHOUT_ORACLE, beside=("takagi",)
        ),
    )


ENTRIES = (
    Recipe(
        name="mindvis-miniature",
        says="double conditioning: the stack itself learns to draw from voxels; half an hour",
        settings=mindvis_miniature,
    ),
    Recipe(
        name="mindvis-sd15",
        says="double conditioning of Stable Diffusion 1.5; for a graphics card",
        settings=mindvis_sd15,
    ),
    Recipe(
        name="residual-miniature",
        says="image embedding by a residual network, drawn by unCLIP",
        settings=residual_miniature,
    ),
    Recipe(
        name="shared-miniature",
        says="the same on a trunk of the data's other subjects; needs two subjects or more",
        settings=shared_miniature,
    ),
)
