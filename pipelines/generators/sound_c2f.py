"""Coarse to fine: decoded CLAP through AudioLDM 2's own language model to LOA, blended with decoded LOA.

The step of Liu et al. (C2F-LDM, arXiv 2405.18726) from semantic to acoustic features, by pretrained parts alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.drawing import DrawSettings, Generator, open_generator
from pipelines.stacks import StackFolder

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.lanes import Lanes
    from pipelines.sampler import Hooks
    from pipelines.sound_stack import SoundDrawing


def _draw(
    pipeline: Any,
    values: Mapping[str, Tensor],
    seeds: Sequence[int],
    settings: DrawSettings,
    lanes: Lanes,
    hooks: Hooks,
) -> SoundDrawing:
    return pipeline(  # type: ignore[no-any-return]
        pipeline.prompt_of(values["clap"], values.get("loa"), weight=settings.loa_weight, lanes=lanes),
        seeds=seeds,
        seconds=settings.seconds,
        steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        eta=settings.eta,
        scheduler=settings.scheduler,
        lanes=lanes,
        hooks=hooks,
    )


@dataclass(frozen=True)
class SoundCoarseToFine:
    """Decoded CLAP -> GPT-2 -> LOA, with decoded LOA beside it where it comes, by `loa_weight`."""

    name: str = "sound-c2f"
    needs: tuple[str, ...] = ("clap",)
    takes: tuple[str, ...] = ("loa",)
    defaults: DrawSettings = DrawSettings(steps=50, guidance_scale=3.5, scheduler="ddim", loa_weight=0.5)

    def open(self, stack: StackFolder, *, device: str, dtype: str) -> Generator:
        """The stack, loaded; see `open_generator`. Autoencoder and vocoder stay in float32.

        A stack without the teacher that makes LOA of sounds, such as the hub's, draws from CLAP alone.
        """
        from pipelines.sound import SoundPipeline

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
        from pipelines.tiny_sound import tiny_sound_stack

        return tiny_sound_stack(folder)


ENTRIES = (SoundCoarseToFine(),)
