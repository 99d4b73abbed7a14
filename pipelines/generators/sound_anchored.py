"""Anchored: sampling starts at a mel latent, noised by `strength`, and goes on under the conditions (SDEdit).

Mehrish & Vascon (arXiv 2608.09331) start from the training clip nearest to the decoded CLAP: from noise alone the
generator's prior drowns what was decoded. Who retrieves hands the exemplar's latents over as condition "anchor", under
the ids of the stimuli that are drawn; without one, the walk starts at the decoded mel latent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brain.console.bounds import within
from brain.errors import UsageError
from pipelines.drawing import Generator, open_generator
from pipelines.settings import Scheduler, SoundSampling, strength_within
from pipelines.stacks.folder import StackFolder

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.sampling.micro_batches import MicroBatches
    from pipelines.sampling.sampler import Hooks
    from pipelines.sounds.stack import SoundDrawing

ANCHOR = "anchor"


@dataclass(frozen=True, kw_only=True)
class AnchoredSampling(SoundSampling):
    """From a noised exemplar, towards CLAP and LOA."""

    steps: int = 50
    guidance: float = 3.5
    scheduler: Scheduler = "ddim"
    strength: float = 0.3
    """How far the exemplar is noised; 1 forgets it."""
    loa_weight: float = 0.5
    """Weight of decoded LOA beside what the language model makes of decoded CLAP."""
    anchor_weight: float = 1.0
    """Weight of the retrieved exemplar beside the decoded mel latent."""

    def __post_init__(self) -> None:
        super().__post_init__()
        strength_within(self.strength, self.steps)
        within("--loa-weight", self.loa_weight, 0, 1)
        within("--anchor-weight", self.anchor_weight, 0, 1)


def _draw(
    pipeline: Any,
    values: Mapping[str, Tensor],
    seeds: Sequence[int],
    settings: AnchoredSampling,
    batches: MicroBatches,
    hooks: Hooks,
) -> SoundDrawing:
    return pipeline(  # type: ignore[no-any-return]
        pipeline.prompt_of(values["clap"], values.get("loa"), weight=settings.loa_weight, batches=batches),
        start_of(values["mel-latent"], values.get(ANCHOR), weight=settings.anchor_weight),
        seeds=seeds,
        seconds=settings.seconds,
        steps=settings.steps,
        strength=settings.strength,
        guidance_scale=settings.guidance,
        eta=settings.eta,
        scheduler=settings.scheduler,
        batches=batches,
        hooks=hooks,
    )


def start_of(decoded: Tensor, anchor: Tensor | None, *, weight: float) -> Tensor:
    """(sample, channel, time, mel) where sampling starts: weight * exemplar's + (1 - weight) * decoded latents."""
    if not 0 <= weight <= 1:
        raise UsageError(f"anchor weight must be from 0 to 1, found {weight}")
    return decoded if anchor is None else weight * anchor + (1 - weight) * decoded


@dataclass(frozen=True)
class SoundAnchored:
    """A noised mel latent -> start; CLAP, and LOA where it comes, -> condition; both families."""

    name: str = "sound-anchored"
    title: str = "Anchored"
    description: str = "image-to-image of mel spectrograms from the training sound nearest to decoded CLAP"
    citation: str = "Mehrish & Vascon 2026, arXiv 2608.09331"
    needs: tuple[str, ...] = ("mel-latent", "clap")
    takes: tuple[str, ...] = ("loa",)
    settings: AnchoredSampling = AnchoredSampling()

    def open(self, stack: StackFolder, *, device: str, dtype: str) -> Generator:
        """The stack, loaded; see `open_generator`. Autoencoder and vocoder stay in float32.

        AudioLDM 2's UNet reads LOA: decoded where it comes, else the language model's of the decoded CLAP.
        """
        from pipelines.sounds.pipeline import SoundPipeline

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
        from pipelines.sounds.tiny import tiny_sound_stack

        return tiny_sound_stack(folder)


ENTRIES = (SoundAnchored(),)
