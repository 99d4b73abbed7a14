"""unCLIP: a decoded image embedding as the condition; decoded text and a decoded latent beside it where they come."""

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
        values["clip-image"],
        values.get("clip-text"),
        values.get("vae-latent"),
        seeds=seeds,
        steps=settings.steps,
        strength=settings.strength,
        guidance_scale=settings.guidance_scale,
        image_scale=settings.image_scale,
        noise_level=settings.noise_level,
        eta=settings.eta,
        scheduler=settings.scheduler,
        lanes=lanes,
        hooks=hooks,
    )


@dataclass(frozen=True)
class Unclip:
    """Decoded image embedding -> condition of a UNet that takes one (Stable unCLIP, the miniature)."""

    name: str = "unclip"
    needs: tuple[str, ...] = ("clip-image",)
    takes: tuple[str, ...] = ("clip-text", "vae-latent")
    defaults: DrawSettings = DrawSettings(steps=20, guidance_scale=10.0)

    def open(self, stack: StackFolder, *, device: str, dtype: str) -> Generator:
        """The stack, loaded; see `open_generator`."""
        from pipelines.image_embedding import ImageEmbeddingPipeline

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
        from pipelines.tiny import tiny_stack

        return tiny_stack(folder)


ENTRIES = (Unclip(),)
