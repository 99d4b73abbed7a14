"""unCLIP: a decoded image embedding as the condition; decoded text and a decoded latent beside it where they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brain.console.bounds import within
from pipelines.drawing import Generator, open_generator
from pipelines.settings import Sampling, strength_within
from pipelines.stacks.folder import StackFolder

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.images.base import Drawing
    from pipelines.sampling.micro_batches import MicroBatches
    from pipelines.sampling.sampler import Hooks


@dataclass(frozen=True, kw_only=True)
class UnclipSampling(Sampling):
    """Towards an image embedding, from noise or from a noised latent."""

    guidance: float = 10.0
    image_scale: float | None = field(default=None, metadata={"hidden": True})
    """Guidance towards the image embedding where text stands beside it; none takes --guidance."""
    strength: float = 0.8
    """How far a decoded latent is noised, where one comes; 1 forgets it."""
    noise_level: int = 0
    """How far the decoded embedding is noised, a step of the stack's noising scheduler."""

    def __post_init__(self) -> None:
        super().__post_init__()
        strength_within(self.strength)
        within("--noise-level", self.noise_level, 0)


def _draw(
    pipeline: Any,
    values: Mapping[str, Tensor],
    seeds: Sequence[int],
    settings: UnclipSampling,
    batches: MicroBatches,
    hooks: Hooks,
) -> Drawing:
    return pipeline(  # type: ignore[no-any-return]
        values["clip-image"],
        values.get("clip-text"),
        values.get("vae-latent"),
        seeds=seeds,
        steps=settings.steps,
        strength=settings.strength,
        guidance_scale=settings.guidance,
        image_scale=settings.image_scale,
        noise_level=settings.noise_level,
        eta=settings.eta,
        scheduler=settings.scheduler,
        batches=batches,
        hooks=hooks,
    )


@dataclass(frozen=True)
class Unclip:
    """Decoded image embedding -> condition of a UNet that takes one (Stable unCLIP, the miniature)."""

    name: str = "unclip"
    title: str = "unCLIP"
    description: str = "a UNet conditioned on a decoded image embedding, with decoded text and latent where they come"
    citation: str = "Ramesh et al. 2022; Scotti et al. 2024 for brains"
    needs: tuple[str, ...] = ("clip-image",)
    takes: tuple[str, ...] = ("clip-text", "vae-latent")
    settings: UnclipSampling = UnclipSampling()

    def open(self, stack: StackFolder, *, device: str, dtype: str) -> Generator:
        """The stack, loaded; see `open_generator`."""
        from pipelines.images.image_embedding import ImageEmbeddingPipeline

        return open_generator(
            self.name,
            ImageEmbeddingPipeline,
            stack=stack,
            needs=self.needs,
            takes=self.takes,
            draw=_draw,
            device=device,
            dtype=dtype,
            without=("image_encoder",),  # it makes conditions, it draws nothing
        )

    def tiny(self, folder: Path) -> Path:
        """A random stack of 32 px pictures in `folder`."""
        from pipelines.images.tiny import tiny_stack

        return tiny_stack(folder)


ENTRIES = (Unclip(),)
