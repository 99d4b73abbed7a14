"""Takagi & Nishimoto (CVPR 2023): early visual regions as the noised start, higher ones as the text condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.drawing import Generator, open_generator
from pipelines.settings import Sampling, Scheduler, strength_within
from pipelines.stacks.folder import StackFolder

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.images.base import Drawing
    from pipelines.sampling.micro_batches import MicroBatches
    from pipelines.sampling.sampler import Hooks


@dataclass(frozen=True, kw_only=True)
class TakagiSampling(Sampling):
    """From a noised latent, towards the text condition."""

    steps: int = 50
    guidance: float = 5.0
    scheduler: Scheduler = "ddim"
    strength: float = 0.8
    """How far the decoded latent is noised; 1 forgets it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        strength_within(self.strength, self.steps)


def _draw(
    pipeline: Any,
    values: Mapping[str, Tensor],
    seeds: Sequence[int],
    settings: TakagiSampling,
    batches: MicroBatches,
    hooks: Hooks,
) -> Drawing:
    return pipeline(  # type: ignore[no-any-return]
        values["clip-text"],
        values["vae-latent"],
        seeds=seeds,
        steps=settings.steps,
        strength=settings.strength,
        guidance_scale=settings.guidance,
        eta=settings.eta,
        scheduler=settings.scheduler,
        batches=batches,
        hooks=hooks,
    )


@dataclass(frozen=True)
class Takagi:
    """Decoded VAE latent -> noised start; decoded text hidden states -> condition. Serves every row of the table."""

    name: str = "takagi"
    title: str = "Latent and text condition"
    description: str = "image-to-image from a decoded latent, under decoded text hidden states"
    citation: str = "Takagi & Nishimoto, CVPR 2023"
    needs: tuple[str, ...] = ("vae-latent", "clip-text")
    takes: tuple[str, ...] = ()
    settings: TakagiSampling = TakagiSampling()

    def open(self, stack: StackFolder, *, device: str, dtype: str) -> Generator:
        """The stack, loaded; see `open_generator`."""
        from pipelines.images.latent_text import LatentTextPipeline

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
        from pipelines.images.tiny import tiny_stack

        return tiny_stack(folder, image_condition=False)


ENTRIES = (Takagi(),)
