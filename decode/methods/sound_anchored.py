"""Anchored: sampling starts at the training sound nearest to decoded CLAP, noised (Mehrish & Vascon 2026)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from decode.methods import Decoder
from decode.methods._parts.reranking import RERANKED, reranked
from decode.methods._parts.sounds import CARD, Reranks, SoundMethod
from decode.run.ladder import Ladder
from decode.run.settings import Settings
from encoders.conditions import Conditions
from evaluation.samples.rows import RowCard
from pipelines.drawing import Generator
from pipelines.generators.sound_anchored import ANCHOR, AnchoredSampling

START = "mel-latent"
"""The space that an exemplar is handed over in."""


@dataclass(frozen=True, kw_only=True)
class AnchoredSettings(Reranks, AnchoredSampling):
    """From a noised exemplar, towards CLAP and LOA."""


@dataclass(frozen=True, kw_only=True)
class SoundAnchored(SoundMethod):
    """The method, which hands the nearest training sound's latent over as the generator's anchor."""

    def decoder(self, opened: Generator, settings: Settings, own: Any, *, seconds: float) -> Decoder:
        """The generator with its exemplars."""
        found = super().decoder(opened, settings, own, seconds=seconds)
        start = found.maps[START]

        def exemplars(ladder: Ladder, row: str, stimuli: Sequence[str]) -> dict[str, Conditions]:
            return {ANCHOR: ladder.exemplars(start, row, stimuli)}

        return replace(found, beside=exemplars)


ENTRIES = (
    SoundAnchored(
        name="sound-anchored",
        title="Anchored",
        description="the training sound nearest to decoded CLAP, noised and denoised under decoded CLAP and LOA",
        citation="Mehrish & Vascon 2026, arXiv 2608.09331",
        generator="sound-anchored",
        noised=START,
        settings=AnchoredSettings(),
        drawn={RERANKED: reranked},
        rows=(
            RowCard(
                name="anchored",
                title="Anchored",
                description="the decoded condition, started from the nearest training sound",
                order=14,
            ),
            CARD,
        ),
    ),
)
