"""Coarse to fine: decoded CLAP through AudioLDM 2's own language model to LOA, blended with decoded LOA.

The step of Liu et al. (C2F-LDM, arXiv 2405.18726) from semantic to acoustic features, by pretrained parts alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brain.console.bounds import within
from pipelines.drawing import Generator, open_generator
from pipelines.settings import Scheduler, SoundSampling
from pipelines.stacks.folder import StackFolder

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.sampling.micro_batches import MicroBatches
    from pipelines.sampling.sampler import Hooks
    from pipelines.sounds.stack import SoundDrawing


@dataclass(frozen=True, kw_only=True)
class CoarseToFineSampling(SoundSampling):
    """Towards LOA that the language model makes of CLAP, beside decoded LOA."""

    steps: int = 50
    guidance: float = 3.5
    scheduler: Scheduler = "ddim"
    loa_weight: float = 0.5
    """Weight of decoded LOA beside what the language model makes of decoded CLAP."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("--loa-weight", self.loa_weight, 0, 1)


def _draw(
    pipeline: Any,
    values: Mapping[str, Tensor],
    seeds: Sequence[int],
    settings: CoarseToFineSampling,
    batches: MicroBatches,
    hooks: Hooks,
) -> SoundDrawing:
    return pipeline(  # type: ignore[no-any-return]
        pipeline.prompt_of(values["clap"], values.get("loa"), weight=settings.loa_weight, batches=batches),
        seeds=seeds,
        seconds=settings.seconds,
        steps=settings.steps,
        guidance_scale=settings.guidance,
        eta=settings.eta,
        scheduler=settings.scheduler,
        batches=batches,
        hooks=hooks,
    )


@dataclass(frozen=True)
class SoundCoarseToFine:
    """Decoded CLAP -> GPT-2 -> LOA, with decoded LOA beside it where it comes, by `loa_weight`."""

    name: str = "sound-c2f"
    title: str = "Coarse to fine"
    description: str = "AudioLDM 2's language model from decoded CLAP to LOA, blended with decoded LOA"
    citation: str = "Liu et al. 2024 (C2F-LDM), arXiv 2405.18726"
    needs: tuple[str, ...] = ("clap",)
    takes: tuple[str, ...] = ("loa",)
    settings: CoarseToFineSampling = CoarseToFineSampling()

    def open(self, stack: StackFolder, *, device: str, dtype: str) -> Generator:
        """The stack, loaded; see `open_generator`. Autoencoder and vocoder stay in float32.

        A stack without the teacher that makes LOA of sounds, such as the hub's, draws from CLAP alone.
        """
        from pipelines.sounds.pipeline import SoundPipeline

        return open_generator(
            self.name,
            SoundPipeline,
            stack=stack,
            needs=self.needs,
            takes=tuple(space for space in self.takes if "teacher" in stack.components),
            draw=_draw,
            device=device,
            dtype=dtype,
            without=("text_encoder", "feature_extractor", "tokenizer"),
            float32=("vae", "vocoder"),
        )

    def tiny(self, folder: Path) -> Path:
        """A random stack of AudioLDM 2's family in `folder`."""
        from pipelines.sounds.tiny import tiny_sound_stack

        return tiny_sound_stack(folder)


ENTRIES = (SoundCoarseToFine(),)
