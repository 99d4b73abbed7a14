"""Direct: decoded conditions into the sound UNet as they are, LOA for AudioLDM 2, CLAP for AudioLDM; from noise."""

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
    from pipelines.sound_prompt import SoundPrompt

    return pipeline(  # type: ignore[no-any-return]
        SoundPrompt(loa=values.get("loa"), clap=values.get("clap")),
        seeds=seeds,
        seconds=settings.seconds,
        steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        eta=settings.eta,
        scheduler=settings.scheduler,
        lanes=lanes,
        hooks=hooks,
    )


@dataclass(frozen=True, kw_only=True)
class SoundDirect:
    """Decoded conditions as the UNet takes them, and nothing else beside them but the empty text.

    without  the components of a stack that are not loaded
    family   whose stack its tiny one is: "audioldm2" or "audioldm"
    """

    name: str
    needs: tuple[str, ...]
    defaults: DrawSettings
    without: tuple[str, ...]
    family: str
    takes: tuple[str, ...] = ()

    def open(self, stack: StackFolder, *, device: str, dtype: str) -> Generator:
        """The stack, loaded; see `open_generator`. Autoencoder and vocoder stay in float32."""
        from pipelines.sound import SoundPipeline

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
        from pipelines.tiny_sound import tiny_sound_stack

        return tiny_sound_stack(folder, family=self.family)


ENTRIES = (
    # Liu et al. 2024
    SoundDirect(
        name="sound-direct",
        needs=("loa",),
        defaults=DrawSettings(steps=50, guidance_scale=3.5, scheduler="ddim"),
        without=("text_encoder", "feature_extractor", "tokenizer", "projection_model", "language_model"),
        family="audioldm2",
    ),
    # Liu et al. 2023
    SoundDirect(
        name="sound-clap",
        needs=("clap",),
        defaults=DrawSettings(steps=50, guidance_scale=2.5, scheduler="ddim"),
        without=("feature_extractor", "text_encoder_2", "tokenizer_2", "projection_model", "language_model"),
        family="audioldm",
    ),
)
