"""Anchored: the walk starts at a mel latent, noised by `strength`, and goes on under the conditions (SDEdit).

Mehrish & Vascon (arXiv 2608.09331) start from the training clip nearest to the decoded CLAP: from noise alone the
generator's prior drowns what was decoded. Who retrieves hands the exemplar's latents over as condition "anchor", under
the ids of the stimuli that are drawn; without one, the walk starts at the decoded mel latent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brain.errors import UsageError
from pipelines.drawing import DrawSettings, Generator, open_generator
from pipelines.stacks import StackFolder

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.lanes import Lanes
    from pipelines.sampler import Hooks
    from pipelines.sound_stack import SoundDrawing

ANCHOR = "anchor"


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
        start_of(values["mel-latent"], values.get(ANCHOR), weight=settings.anchor_weight),
        seeds=seeds,
        seconds=settings.seconds,
        steps=settings.steps,
        strength=settings.strength,
        guidance_scale=settings.guidance_scale,
        eta=settings.eta,
        scheduler=settings.scheduler,
        lanes=lanes,
        hooks=hooks,
    )


def start_of(decoded: Tensor, anchor: Tensor | None, *, weight: float) -> Tensor:
    """(sample, channel, time, mel) where the walk starts: weight * exemplar's + (1 - weight) * decoded latents."""
    if not 0 <= weight <= 1:
        raise UsageError(f"anchor weight must be from 0 to 1, found {weight}")
    return decoded if anchor is None else weight * anchor + (1 - weight) * decoded


@dataclass(frozen=True)
class SoundAnchored:
    """A noised mel latent -> start; CLAP, and LOA where it comes, -> condition; both families."""

    name: str = "sound-anchored"
    needs: tuple[str, ...] = ("mel-latent", "clap")
    takes: tuple[str, ...] = ("loa",)
    defaults: DrawSettings = DrawSettings(
        steps=50, strength=0.3, guidance_scale=3.5, scheduler="ddim", loa_weight=0.5, anchor_weight=1.0
    )

    def open(self, stack: StackFolder, *, device: str, dtype: str) -> Generator:
        """The stack, loaded; see `open_generator`. Autoencoder and vocoder stay in float32.

        AudioLDM 2's UNet reads LOA: decoded where it comes, else the language model's of the decoded CLAP.
        """
        from pipelines.sound import SoundPipeline

        found = open_generator(
            self.name,
            SoundPipeline,
            stack=stack,
            needs=self.needs,
            takes=tuple(space for space in self.takes if "teacher" in stack.components),
            draw=_draw,
            device=device,
            dtype=dtype,
            without=("feature_extractor",),
            float32=("vae", "vocoder"),
        )
        return replace(found, optional={**found.optional, ANCHOR: found.cards["mel-latent"]})

    def tiny(self, folder: Path) -> Path:
        """A random stack of AudioLDM 2's family in `folder`."""
        from pipelines.tiny_sound import tiny_sound_stack

        return tiny_sound_stack(folder)


ENTRIES = (SoundAnchored(),)
