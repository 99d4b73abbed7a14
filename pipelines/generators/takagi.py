"""Takagi & Nishimoto (CVPR 2023): early visual regions as the noised start, higher ones as the text condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.drawing import DrawSettings, Generator, open_generator
from pipelines.stacks import StackFolder

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.base import Drawing
    from pipelines.lanes import Lanes
    from pipelines.sampler import Hooks


def _draw(
    pipeline: Any,
    values: Mapping[str, Tensor],
    seeds: Sequence[int],
    settings: DrawSettings,
    lanes: Lanes,
    hooks: Hooks,
) -> Drawing:
    return pipeline(  # type: ignore[no-any-return]
        values["clip-text"],
        values["vae-latent"],
        seeds=seeds,
        steps=settings.steps,
        strength=settings.strength,
        guidance_scale=settings.guidance_scale,
        eta=settings.eta,
        scheduler=settings.scheduler,
        lanes=lanes,
        hooks=hooks,
    )


@dataclass(frozen=True)
class Takagi:
    """Decoded VAE latent -> noised start; decoded text hidden states -> condition. Serves every row of the table."""

    name: str = "takagi"
    needs: tuple[str, ...] = ("vae-latent", "clip-text")
    takes: tuple[str, ...] = ()
    defaults: DrawSettings = DrawSettings(steps=50, strength=0.8, guidance_scale=5.0, scheduler="ddim")

    def open(self, stack: StackFolder, *, device: str, dtype: str) -> Generator:
        """The stack, loaded; see `open_generator`."""
        from pipelines.latent_text import LatentTextPipeline

        return open_generator(
            self.name,
            LatentTextPipeline,
            stack=stack,
            needs=self.needs,
            takes=self.takes,
            draw=_draw,
            device=device,
            dtype=dtype,
        )

    def tiny(self, folder: Path) -> Path:
        """A random stack of 32 px pictures in `folder`."""
        from pipelines.tiny import tiny_stack

        return tiny_stack(folder, image_condition=False)


ENTRIES = (Takagi(),)
