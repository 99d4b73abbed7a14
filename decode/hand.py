"""The generator of a run as the stages hold it: conditions in, samples out, shown as the references are.

hand = open_hand(settings, true, run=run)
for drawn in hand.draw(hand.conditions(ladder, "decoded", ids), ids, seeds): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from brain.types import Float
from brain.waveforms import RATE
from decode.ladder import Ladder
from decode.painter import NAME as PIXELS
from decode.painter import Painter
from decode.run_folder import RunFolder
from decode.settings import MINDVIS, Settings
from decode.showing import Pictures, Show, Sounds
from encoders.conditions import Conditions
from pipelines.drawing import Drawn, Generator, Glimpse, Watch


class Draw(Protocol):
    """(conditions, ids, seeds) -> samples; `watch` is told every step of a denoising loop, where there is one."""

    def __call__(
        self,
        conditions: Mapping[str, Conditions],
        ids: Sequence[str],
        seeds: Sequence[int],
        *,
        watch: Watch | None = None,
    ) -> Iterator[Drawn]: ...


ANCHOR = "anchor"
"""The condition of a generator that starts at an exemplar: what it takes beside its own spaces."""
ANCHORED = "mel-latent"
"""The space an exemplar is handed over in."""


@dataclass(frozen=True, kw_only=True)
class Hand:
    """What draws.

    method      the generator's name
    show        how stimuli look or sound beside its samples
    draw        (conditions, ids, seeds) -> samples; `prior` (ids, seeds) the same without any condition
    round_trip  what was shown, through the generator's autoencoder and back
    spaces      the spaces it reads, "anchor" among them where it starts at an exemplar; none named reads all
    facts       for a card
    previews    what a step has in mind: RGB pictures, log-mels (frame, mel) of sounds; None: nothing is denoised
    """

    method: str
    show: Show
    draw: Draw
    prior: Callable[[Sequence[str], Sequence[int]], Iterator[Drawn]] | None
    round_trip: Callable[[Sequence[Any]], Iterator[Any]] | None
    facts: dict[str, Any]
    spaces: tuple[str, ...] = ()
    previews: Callable[[Glimpse], list[Any]] | None = None

    def conditions(self, ladder: Ladder, row: str, stimuli: Sequence[str]) -> dict[str, Conditions]:
        """What `row` draws these stimuli from, in the spaces that this generator reads."""
        found = ladder.conditions(row, stimuli, [space for space in self.spaces if space != ANCHOR])
        if ANCHOR in self.spaces:
            found[ANCHOR] = ladder.exemplars(ANCHORED, row, stimuli)
        return found

    def made(self, drawn: Drawn) -> Any:
        """The sample as it is stored: the picture, or the sound cut to the references' length; None if withheld."""
        if isinstance(self.show, Sounds):
            return None if drawn.wave is None else drawn.wave[: self.show.samples]
        return drawn.image


def row_of(method: str) -> str:
    """The row that a generator beside the main one draws: "sound-c2f" -> "c2f"."""
    return method.removeprefix("sound-").replace("-", "_")


def open_hand(
    settings: Settings, true: Mapping[str, Conditions], *, run: RunFolder, method: str = "", seconds: float = 0.0
) -> Hand:
    """The generator that the settings name, or `method`, its weights in memory.

    run      where a fine-tuned stack lies
    seconds  how long the sounds are that were heard; what a stack draws longer is cut to it; 0 cuts nothing
    """
    name = method or settings.decode.method
    if name == PIXELS:
        return painting(true)
    return hand_of(open_generator(settings, run=run, method=name), settings, seconds=seconds)


def painting(true: Mapping[str, Conditions]) -> Hand:
    """The generator that is none: decoded pixels are the picture."""
    painter = Painter(card=true[PIXELS].space)
    return Hand(
        method=PIXELS, show=Pictures(size=painter.picture_size), draw=painter, prior=None, round_trip=None,
        facts=painter.facts(),
    )  # fmt: skip


def open_generator(settings: Settings, *, run: RunFolder, method: str) -> Generator:
    """The generator of that name on the run's stack, its weights in memory; `hand_of` says how it draws."""
    from pipelines.conditioned_generator import open_conditioned
    from pipelines.generators import CATALOGUE
    from pipelines.stacks import resolve

    stack = resolve(settings.fit.stack)
    machine = {"device": settings.machine.device, "dtype": settings.decode.dtype}
    if method == MINDVIS:
        return open_conditioned(run.conditioned, stack, name=method, **machine)
    return CATALOGUE[method].open(stack, **machine)


def hand_of(generator: Generator, settings: Settings, *, seconds: float = 0.0) -> Hand:
    """An opened generator as these settings let it draw."""
    from pipelines.drawing import DrawSettings
    from pipelines.previews import previews, small_decoder
    from pipelines.stacks import resolve

    decode, stack = settings.decode, resolve(settings.fit.stack)
    how = DrawSettings(
        steps=decode.steps, guidance_scale=decode.guidance, strength=decode.strength, noise_level=decode.noise_level,
        eta=decode.eta, scheduler=decode.scheduler, lane=decode.lane, batch=settings.machine.batch,
        loa_weight=decode.loa_weight, anchor_weight=decode.anchor_weight,
    )  # fmt: skip
    sound = generator.modality == "sound"
    longest = round(generator.pipeline.seconds * generator.pipeline.rate) if sound else 0
    length = min(longest, round(seconds * RATE)) if seconds else longest

    def draw(
        conditions: Mapping[str, Conditions], ids: Sequence[str], seeds: Sequence[int], *, watch: Watch | None = None
    ) -> Iterator[Drawn]:
        return generator(conditions, ids, seeds, settings=how, watch=watch)

    def seen(glimpse: Glimpse) -> list[Any]:
        small = None if sound else small_decoder(stack, device=settings.machine.device)
        return previews(generator, glimpse.latents, small=small)

    def resound(waves: Sequence[Float]) -> Iterator[Float]:
        filled = np.stack([np.pad(wave, (0, longest - len(wave))) for wave in waves])
        for wave, back in zip(waves, generator.resound(filled, settings=how), strict=True):
            yield back[: len(wave)]

    return Hand(
        method=generator.name,
        show=Sounds(samples=length) if sound else Pictures(size=generator.pipeline.picture_size),
        draw=draw,
        prior=lambda ids, seeds: generator.prior(ids, seeds, settings=how),
        round_trip=resound if sound else lambda pictures: generator.round_trip(pictures, settings=how),
        facts={**generator.facts(how), "stack": stack_facts(stack)},
        spaces=tuple({**generator.cards, **generator.optional}),
        previews=seen,
    )


def stack_facts(stack: Any) -> dict[str, Any]:
    """Name, revision and licence of a stack, for the card."""
    row = stack.row
    return {
        "model": stack.model,
        "revision": stack.revision,
        "licence": row.licence if row else "unknown (a folder of the user's)",
    }
