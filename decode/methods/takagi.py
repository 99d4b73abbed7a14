"""Takagi & Nishimoto (CVPR 2023): early visual cortex starts the picture, higher visual cortex says what it shows."""

from __future__ import annotations

from decode.methods._parts.generated import Generated
from evaluation.samples.rows import RowCard
from pipelines.generators.takagi import TakagiSampling

ENTRIES = (
    Generated(
        name="takagi",
        title="Latent and text",
        description="a decoded latent is noised and denoised again under decoded text hidden states",
        citation="Takagi & Nishimoto, CVPR 2023",
        generator="takagi",
        noised="vae-latent",
        settings=TakagiSampling(),
        rows=(
            RowCard(
                name="takagi",
                title="As published",
                description="the same responses by Takagi & Nishimoto's method: ridges to latents and captions",
                order=11,
            ),
        ),
    ),
)
