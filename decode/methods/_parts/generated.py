"""A decoding method that draws with a generator of `pipelines/generators/` on the run's stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brain.catalogue import Catalogue
from brain.errors import UsageError, expected
from brain.files.waveforms import RATE
from brain.types import Float
from decode.methods import Decoder, Plain, read_from
from decode.run.folder import RunFolder
from decode.run.settings import Settings
from decode.run.showing import Pictures, Sounds
from encoders.conditions import Conditions
from pipelines.drawing import Drawn, Entry, Generator, Glimpse, Watch
from pipelines.settings import Batching, strength_within
from pipelines.stacks.find import resolve
from pipelines.stacks.folder import StackFolder


@dataclass(frozen=True, kw_only=True)
class Generated(Plain):
    """A method by a generator's name; its settings are the generator's `Sampling`, or more than that.

    noised  space whose decoded latent is noised by --strength, where it is decoded
    """

    generator: str
    noised: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """The spaces that the generator cannot draw without."""
        return _generators()[self.generator].needs

    @property
    def takes(self) -> tuple[str, ...]:
        """The spaces that it uses where they are decoded."""
        return _generators()[self.generator].takes

    def check(self, settings: Settings, own: Any) -> None:
        """Refuses more steps than the stack has noise levels, a strength that leaves none, maps of no clear choice."""
        maps = read_from(settings.maps, (*self.needs, *self.takes), method=self.name)
        if self.noised in maps:
            strength_within(own.strength, own.steps)
        check_levels(own, resolve(settings.maps.stack, numbers=False))

    def open(self, run: RunFolder, settings: Settings, *, true: Mapping[str, Conditions]) -> Any:
        """The generator on the run's stack."""
        stack = resolve(settings.maps.stack)
        entry = _generators()[self.generator]
        return entry.open(stack, device=settings.machine.device, dtype=settings.sampling.dtype)

    def decoder(self, opened: Any, settings: Settings, own: Any, *, seconds: float) -> Decoder:
        """The generator as these settings let it draw."""
        spaces = (*opened.cards, *opened.optional)
        maps = read_from(settings.maps, spaces, method=self.name)
        return decoder_of(opened, self.name, settings, own, maps=maps, seconds=seconds)


def decoder_of(
    generator: Generator, name: str, settings: Settings, own: Any, *, maps: Mapping[str, str], seconds: float
) -> Decoder:
    """An opened generator as a decoder; sounds are drawn as long as the stack's and cut to `seconds`."""
    from pipelines.previews import previews, small_decoder

    stack = resolve(settings.maps.stack)
    batching = Batching(micro_batch=settings.sampling.micro_batch, batch=settings.machine.batch)
    sound = generator.modality == "sound"
    longest = round(generator.pipeline.seconds * generator.pipeline.rate) if sound else 0
    length = min(longest, round(seconds * RATE)) if seconds else longest

    def draw(
        conditions: Mapping[str, Conditions], ids: Sequence[str], seeds: Sequence[int], *, watch: Watch | None = None
    ) -> Iterator[Drawn]:
        return generator(conditions, ids, seeds, settings=own, batching=batching, watch=watch)

    def seen(glimpse: Glimpse) -> list[Any]:
        small = None if sound else small_decoder(stack, device=settings.machine.device)
        return previews(generator, glimpse.latents, small=small)

    def resound(waves: Sequence[Float]) -> Iterator[Float]:
        filled = np.stack([np.pad(wave, (0, longest - len(wave))) for wave in waves])
        for wave, back in zip(waves, generator.resound(filled, batching=batching), strict=True):
            yield back[: len(wave)]

    return Decoder(
        method=name,
        show=Sounds(samples=length) if sound else Pictures(size=generator.pipeline.picture_size),
        draw=draw,
        prior=lambda ids, seeds: generator.prior(ids, seeds, settings=own, batching=batching),
        round_trip=resound if sound else lambda pictures: generator.round_trip(pictures, batching=batching),
        facts={**generator.facts(own, batching), "stack": stack_facts(stack)},
        maps=maps,
        previews=seen,
    )


def check_levels(own: Any, stack: StackFolder) -> None:
    """Refuses (UsageError) more steps, or a higher noise level, than the stack's noise schedules have."""
    if own.steps > stack.noise_levels:
        wanted = f"1 to {stack.noise_levels} on this stack"
        raise UsageError(expected("--steps", wanted, str(own.steps), "ask for fewer"))
    level = getattr(own, "noise_level", 0)
    if level and "image_noising_scheduler" in stack.components:
        most = stack.levels_of("image_noising_scheduler") - 1
        if level > most:
            raise UsageError(expected("--noise-level", f"0 to {most} on this stack", str(level), "ask for less"))


def stack_facts(stack: StackFolder) -> dict[str, Any]:
    """Name, revision and licence of a stack, for the card."""
    row = stack.row
    return {
        "model": stack.model,
        "revision": stack.revision,
        "licence": row.licence if row else "unknown (a folder of the user's)",
    }


def _generators() -> Catalogue[Entry]:
    from pipelines.generators import CATALOGUE

    return CATALOGUE
