"""Coarse to fine: decoded CLAP through AudioLDM 2's language model to LOA, beside decoded LOA (Liu et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass

from decode.methods._parts.sounds import Reranks, sound_method
from evaluation.samples.rows import RowCard
from pipelines.generators.sound_c2f import CoarseToFineSampling


@dataclass(frozen=True, kw_only=True)
class CoarseToFineSettings(Reranks, CoarseToFineSampling):
    """From noise, towards LOA from CLAP and decoded LOA."""


ENTRIES = (
    sound_method(
        name="sound-c2f",
        title="Coarse to fine",
        description="decoded CLAP through the language model to LOA, blended with decoded LOA",
        citation="Liu et al. 2024 (C2F-LDM), arXiv 2405.18726",
        generator="sound-c2f",
        settings=CoarseToFineSettings(),
        row=RowCard(
            name="c2f",
            title="Coarse to fine",
            description="the fine condition decoded from the brain and from the coarse one",
            order=17,
        ),
    ),
)
