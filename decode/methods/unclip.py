"""unCLIP: the whole visual cortex gives an image embedding, from which a UNet draws (Ramesh et al. 2022)."""

from __future__ import annotations

from decode.methods._parts.generated import Generated
from evaluation.samples.rows import RowCard
from pipelines.generators.unclip import UnclipSampling

ENTRIES = (
    Generated(
        name="unclip",
        title="Image embedding",
        description="a decoded CLIP image embedding conditions the UNet; text and latent beside it where decoded",
        citation="Ramesh et al. 2022; Scotti et al. 2024 (MindEye2)",
        generator="unclip",
        noised="vae-latent",
        settings=UnclipSampling(),
        rows=(
            RowCard(
                name="unclip",
                title="unCLIP",
                description="the same responses by the image embedding that they decode to, beside the recipe's own "
                "method",
                order=12,
            ),
        ),
    ),
)
