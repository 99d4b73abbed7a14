"""Direct: decoded conditions into the sound UNet as they are, LOA for AudioLDM 2, CLAP for AudioLDM; from noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.drawing import Generator, open_generator
from pipelines.settings import Scheduler, SoundSampling
from pipelines.stacks.folder import StackFolder

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.sampling.micro_batches import MicroBatches
    from pipelines.sampling.sampler import Hooks
    from pipelines.sounds.stack import SoundDrawing


@dataclass(frozen=True, kw_only=True)
class LoaSampling(SoundSampling):
    """From noise, towards decoded LOA."""

    steps: int = 50
    guidance: float = 3.5
    scheduler: Scheduler = "ddim"


@dataclass(frozen=True, kw_only=True)
class ClapSampling(LoaSampling):
    """From noise, towards decoded CLAP."""

    guidance: float = 2.5


def _draw(
    pipeline: Any,
    values: Mapping[str, Tensor],
    seeds: Sequence[int],
    settings: SoundSampling,
    batches: MicroBatches,
    hooks: Hooks,
) -> SoundDrawing:
    from pipelines.sounds.prompt import SoundPrompt

    return pipeline(  # type: ignore[no-any-return]
        SoundPrompt(loa=values.get("loa"), clap=values.get("clap")),
        seeds=seeds,
        seconds=settings.seconds,
        steps=settings.steps,
        guidance_scale=settings.guidance,
        eta=settings.eta,
        scheduler=settings.scheduler,
        batches=batches,
        hooks=hooks,
    )


@dataclass(frozen=True, kw_only=True)
class SoundDirect:
    """Decoded conditions as the UNet takes them, and nothing else beside them but the empty text.

    without  the components of a stack that are not loaded
    family   whose stack its tiny one is: "audioldm2" or "audioldm"
    """

    name: str
    title: str
    description: str
    citation: str
    needs: tuple[str, ...]
    settings: SoundSampling
    without: tuple[str, ...]
    family: str
    takes: tuple[str, ...] = ()

    def open(self, stack: StackFolder, *, device: str, dtype: str) -> Generator:
        """The stack, loaded; see `open_generator`. Autoencoder and vocoder stay in float32."""
        from pipelines.sounds.pipeline import SoundPipeline

        return open_generator(
            self.name,
            SoundPipeline,
            stack=stack,
            needs=self.needs,
            takes=self.takes,
            draw=_draw,
            device=device,
            dtype=dtype,
            without=self.without,
            float32=("vae", "vocoder"),
        )

    def tiny(self, folder: Path) -> Path:
        """A random stack of the family in `folder`."""
        from pipelines.sounds.tiny import tiny_sound_stack

        return tiny_sound_stack(folder, family=self.family)


ENTRIES = (
    SoundDirect(
        name="sound-direct",
        title="AudioLDM 2 from LOA",
        description="decoded language of audio into AudioLDM 2's UNet as it is, from noise",
        citation="Liu et al. 2024 (AudioLDM 2), arXiv 2308.05734",
        needs=("loa",),
        settings=LoaSampling(),
        without=("text_encoder", "feature_extractor", "tokenizer", "projection_model", "language_model"),
        family="audioldm2",
    ),
    SoundDirect(
        name="sound-clap",
        title="AudioLDM from CLAP",
        description="decoded CLAP into AudioLDM's UNet as it is, from noise",
        citation="Liu et al. 2023 (AudioLDM), arXiv 2301.12503",
        needs=("clap",),
        settings=ClapSampling(),
        without=("feature_extractor", "text_encoder_2", "tokenizer_2", "projection_model", "language_model"),
        family="audioldm",
    ),
)
