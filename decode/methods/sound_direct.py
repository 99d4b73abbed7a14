"""Decoded conditions into the sound UNet as they are: LOA for AudioLDM 2, CLAP for AudioLDM (Liu et al.)."""

from __future__ import annotations

from dataclasses import dataclass

from decode.methods._parts.sounds import Reranks, sound_method
from evaluation.samples.rows import RowCard
from pipelines.generators.sound_direct import ClapSampling, LoaSampling


@dataclass(frozen=True, kw_only=True)
class LoaSettings(Reranks, LoaSampling):
    """From noise, towards decoded LOA."""


@dataclass(frozen=True, kw_only=True)
class ClapSettings(Reranks, ClapSampling):
    """From noise, towards decoded CLAP."""


ENTRIES = (
    sound_method(
        name="sound-direct",
        title="LOA alone",
        description="decoded language of audio (LOA) into AudioLDM 2's UNet as it is, from noise",
        citation="Liu et al. 2024 (AudioLDM 2), arXiv 2308.05734",
        generator="sound-direct",
        settings=LoaSettings(),
        row=RowCard(
            name="direct",
            title="Direct",
            description="the decoded condition alone, from noise: no exemplar to start from",
            order=15,
        ),
    ),
    sound_method(
        name="sound-clap",
        title="CLAP alone",
        description="decoded CLAP into AudioLDM's UNet as it is, from noise",
        citation="Liu et al. 2023 (AudioLDM), arXiv 2301.12503",
        generator="sound-clap",
        settings=ClapSettings(),
        row=RowCard(name="clap", title="CLAP alone", description="decoded CLAP alone, from noise", order=16),
    ),
)
