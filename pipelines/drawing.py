"""Generators: conditions in, pictures out, streamed, one seed a sample; the contract every file of `generators/` keeps.

An entry of the catalogue has `name`, `needs` (spaces it cannot draw without), `takes` (spaces it uses if they come),
`defaults`, `open(stack, device=..., dtype=...)`, which returns a `Generator`, and `tiny(folder)`, which writes a random
stack it can open, for tests.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from brain.errors import InputError, UsageError, wanted
from encoders.conditions import Conditions, SpaceCard
from pipelines.stacks import ROWS, StackFolder, damage, quiet

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from pipelines.base import Drawing, LatentPipeline
    from pipelines.lanes import Lanes


@dataclass(frozen=True, kw_only=True)
class DrawSettings:
    """How pictures are drawn. Everything here but `batch` belongs to what a sample is.

    steps           of the scheduler
    guidance_scale  towards the condition; 1 is the condition alone
    image_scale     guidance towards an image embedding where text stands beside it; None is the same scale for both
    strength        how much of the way a latent is noised before the walk, above 0 to 1
    noise_level     how far an image embedding is noised, a step of the stack's noising scheduler
    eta             noise added in each DDIM step, 0 none to 1 as in DDPM
    scheduler       ddim, ddpm, dpm++, euler, euler-ancestral, pndm; "" is the stack's own
    lane            samples in one call of a network, on every call alike; 0 is what fits the stack and the device
    batch           samples drawn side by side; 0 is what keeps the device busy; never changes a sample
    """

    steps: int = 20
    guidance_scale: float = 5.0
    image_scale: float | None = None
    strength: float = 0.8
    noise_level: int = 0
    eta: float = 0.0
    scheduler: str = ""
    lane: int = 0
    batch: int = 0


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One sample: the stimulus' id, the seed, and the picture; `image` is None exactly where `withheld` is True."""

    id: str
    seed: int
    image: Image | None
    withheld: bool


class Entry(Protocol):
    """What a file of `pipelines/generators/` puts into its ENTRIES."""

    @property
    def name(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...
    @property
    def takes(self) -> tuple[str, ...]: ...
    @property
    def defaults(self) -> DrawSettings: ...
    def open(self, stack: StackFolder, *, device: str, dtype: str) -> Generator: ...
    def tiny(self, folder: Path) -> Path: ...


Draw = Callable[["LatentPipeline", Mapping[str, "Tensor"], Sequence[int], DrawSettings, "Lanes"], "Drawing"]


@dataclass(frozen=True, kw_only=True)
class Generator:
    """An opened stack that draws.

    name      of the generator
    pipeline  the `LatentPipeline` it draws with
    cards     space -> card of the conditions it needs
    optional  space -> card of the conditions it uses if they come
    draw      one batch: (pipeline, space -> values (sample, ...), seeds, settings, lanes) -> Drawing
    """

    name: str
    pipeline: Any
    cards: Mapping[str, SpaceCard]
    optional: Mapping[str, SpaceCard]
    draw: Draw

    def __call__(
        self, conditions: Mapping[str, Conditions], ids: Sequence[str], seeds: Sequence[int], *, settings: DrawSettings
    ) -> Iterator[Drawn]:
        """Draw sample after sample: `ids` (sample,) name stimuli that `conditions` hold, and may repeat; one seed each.

        Conditions of another space, stack or shape, and ids without a condition, are an `InputError` before anything
        is drawn. Seeds decide samples; batch, order and company never do.
        """
        if len(ids) != len(seeds):
            raise InputError(
                f"generator {self.name}: {len(ids)} stimuli and {len(seeds)} seeds; give one seed a sample"
            )
        missing = [space for space in self.cards if space not in conditions]
        if missing:
            raise InputError(
                wanted(f"generator {self.name}", ", ".join(self.cards), ", ".join(conditions) or "nothing", _DECODE)
            )
        known = {**self.cards, **self.optional}
        for space, values in conditions.items():
            if space not in known:
                raise InputError(
                    wanted(f"generator {self.name}", " or ".join(known), space, "leave these conditions out")
                )
            known[space].must_match(values.space)
            values.rows(ids)
        return self._stream(conditions, list(ids), list(seeds), settings)

    def prior(self, ids: Sequence[str], seeds: Sequence[int], *, settings: DrawSettings) -> Iterator[Drawn]:
        """What the stack draws without any condition, from noise alone: one picture a seed, under the names `ids`."""
        lanes = self.lanes(settings)
        batch = settings.batch or lanes.batch
        for first in range(0, len(ids), batch):
            some, their = ids[first : first + batch], seeds[first : first + batch]
            drawing = self.pipeline.prior(
                seeds=their, steps=settings.steps, eta=settings.eta, scheduler=settings.scheduler, lanes=lanes
            )
            for stimulus, seed, image, withheld in zip(some, their, drawing.images, drawing.withheld, strict=True):
                yield Drawn(id=stimulus, seed=seed, image=image, withheld=withheld)

    def round_trip(self, pictures: Sequence[Image], *, settings: DrawSettings) -> Iterator[Image]:
        """Each picture through the stack's autoencoder and back: the best any drawing of this stack could look."""
        from pipelines.base import pictures_of

        lanes = self.lanes(settings)
        for first in range(0, len(pictures), lanes.batch):
            latents = self.pipeline.encode_pictures(pictures[first : first + lanes.batch], lanes=lanes)
            yield from pictures_of(self.pipeline.decode_latents(latents, lanes=lanes))

    def lanes(self, settings: DrawSettings) -> Lanes:
        """The lanes these settings mean on this stack and device."""
        fitting = self.pipeline.lanes()
        return replace(fitting, width=settings.lane) if settings.lane else fitting

    def facts(self, settings: DrawSettings) -> dict[str, Any]:
        """For the run's card: everything that decides a sample's bits besides conditions and seeds."""
        return {
            "generator": self.name,
            "device": str(self.pipeline.device),
            "dtype": str(self.pipeline.unet.dtype).removeprefix("torch."),
            "scheduler": settings.scheduler or type(self.pipeline.scheduler).__name__,
            "settings": asdict(settings),
            **self.lanes(settings).facts(),
        }

    def _stream(
        self, conditions: Mapping[str, Conditions], ids: list[str], seeds: list[int], settings: DrawSettings
    ) -> Iterator[Drawn]:
        import torch

        lanes = self.lanes(settings)
        batch = settings.batch or lanes.batch
        for first in range(0, len(ids), batch):
            some, their = ids[first : first + batch], seeds[first : first + batch]
            values = {space: torch.from_numpy(one.values[one.rows(some)]) for space, one in conditions.items()}
            try:
                drawing = self.draw(self.pipeline, values, their, settings, lanes)
            except torch.OutOfMemoryError as error:
                raise UsageError(
                    f"generator {self.name}: {self.pipeline.device} has no memory for {lanes.width} samples a call; "
                    "use a lower --lane"
                ) from error
            for stimulus, seed, image, withheld in zip(some, their, drawing.images, drawing.withheld, strict=True):
                yield Drawn(id=stimulus, seed=seed, image=image, withheld=withheld)


def open_generator(
    name: str,
    pipeline: type[LatentPipeline],
    *,
    stack: StackFolder,
    needs: Sequence[str],
    takes: Sequence[str],
    draw: Draw,
    device: str,
    dtype: str,
    without: Sequence[str] = (),
) -> Generator:
    """Load the stack into that pipeline, `without` some components, and ask the spaces what they are on this stack.

    `dtype` is float32, bfloat16 or float16. A stack without the components is an `InputError`; a device that is not
    there a `UsageError`: nothing falls back to another.
    """
    import torch

    from encoders.spaces import CATALOGUE as SPACES

    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if dtype not in kinds:
        raise UsageError(f"dtype must be float32, bfloat16 or float16, came {dtype!r}")
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device {device} was asked for and torch sees no such device; use --device cpu")
    quiet()
    _serves(stack, pipeline, name)
    with damage(stack.path):
        loaded = pipeline.from_pretrained(
            stack.path, use_safetensors=True, local_files_only=True, **dict.fromkeys(without)
        )
        loaded = loaded.to(device, kinds[dtype])
    loaded.set_progress_bar_config(disable=True)  # samples are counted, not steps
    cards = {
        space: SPACES[space].open(stack.path, model=stack.model, revision=stack.revision, device="cpu").card
        for space in (*needs, *takes)
    }
    return Generator(
        name=name,
        pipeline=loaded,
        cards={space: cards[space] for space in needs},
        optional={space: cards[space] for space in takes},
        draw=draw,
    )


def _serves(stack: StackFolder, pipeline: type[LatentPipeline], name: str) -> None:
    """Refuse a stack without a component that the pipeline cannot do without."""
    parts = inspect.signature(pipeline.__init__).parameters.values()
    needed = [one.name for one in parts if one.default is one.empty and one.name != "self"]
    missing = [one for one in needed if one not in stack.components]
    if missing:
        able = ", ".join(row.name for row in ROWS if name in row.generators)
        raise InputError(
            wanted(stack.path, f"{', '.join(missing)} for {name}", "none", f"stacks that serve it: {able}")
        )


_DECODE = "decode these spaces first"
