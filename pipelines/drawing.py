"""Generators: conditions in, samples out, streamed, one seed each; the contract every file of `generators/` keeps.

An entry of the catalogue has `name`, `needs` (spaces it cannot draw without), `takes` (spaces it uses if they come),
`settings`, its own `Sampling` with its defaults, `open(stack, device=..., dtype=...)`, which returns a `Generator`, and
`tiny(folder)`, which writes a random stack it can open, for tests. What it draws, pictures or sounds, is what the
spaces it needs are conditions of.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, get_args

from brain.errors import InputError, UsageError, expected
from encoders.conditions import Conditions, SpaceCard
from pipelines.settings import Batching, NumberType, Sampling, SoundSampling
from pipelines.stacks.folder import StackFolder
from pipelines.stacks.load import damage, quiet
from pipelines.stacks.table import ROWS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor

    from pipelines.images.base import Drawing, LatentPipeline
    from pipelines.sampling.micro_batches import MicroBatches
    from pipelines.sampling.sampler import Hooks
    from pipelines.sounds.pipeline import SoundPipeline
    from pipelines.sounds.stack import SoundDrawing

    Waveform = NDArray[np.float32]


DTYPES = get_args(NumberType)
ALL_AT_ONCE = Batching()
"""What fits the stack and keeps the device busy."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One sample: the stimulus' id, the seed, and a picture or a waveform (time,) float32 at `rate` Hz.

    What the generator draws, picture or waveform, is None exactly where `withheld` is True; the other always is.
    """

    id: str
    seed: int
    image: Image | None = None
    withheld: bool
    wave: Waveform | None = None
    rate: int = 0


@dataclass(frozen=True, kw_only=True)
class Glimpse:
    """What a denoising loop has in mind at one of its steps.

    ids, seeds   (sample,) of the batch that is drawn; a long list is drawn in several batches, one after the other
    step, steps  the step, from 0, and how many there are
    latents      (sample, ...) the predicted clean sample x0, as the stack's decoder takes it
    """

    ids: tuple[str, ...]
    seeds: tuple[int, ...]
    step: int
    steps: int
    latents: Tensor


Watch = Callable[[Glimpse], None]
"""Called at every step; it cannot change a sample, and what it raises ends the drawing."""


class Entry(Protocol):
    """What a file of `pipelines/generators/` puts into its ENTRIES."""

    @property
    def name(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...
    @property
    def takes(self) -> tuple[str, ...]: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def citation(self) -> str: ...
    @property
    def settings(self) -> Sampling: ...
    def open(self, stack: StackFolder, *, device: str, dtype: str) -> Generator: ...
    def tiny(self, folder: Path) -> Path: ...


Draw = Callable[
    ["LatentPipeline | SoundPipeline", Mapping[str, "Tensor"], Sequence[int], Any, "MicroBatches", "Hooks"],
    "Drawing | SoundDrawing",
]


@dataclass(frozen=True, kw_only=True)
class Generator:
    """An opened stack that draws.

    name      of the generator
    pipeline  the `LatentPipeline` or `SoundPipeline` it draws with
    cards     space -> card of the conditions it needs
    optional  space -> card of the conditions it uses if they come
    draw      one batch: (pipeline, space -> values (sample, ...), seeds, settings, lanes, hooks) -> Drawing or
              SoundDrawing
    modality  "image" or "sound"
    """

    name: str
    pipeline: Any
    cards: Mapping[str, SpaceCard]
    optional: Mapping[str, SpaceCard]
    draw: Draw
    modality: str = "image"

    def __call__(
        self,
        conditions: Mapping[str, Conditions],
        ids: Sequence[str],
        seeds: Sequence[int],
        *,
        settings: Sampling,
        batching: Batching = ALL_AT_ONCE,
        watch: Watch | None = None,
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
                expected(f"generator {self.name}", ", ".join(self.cards), ", ".join(conditions) or "nothing", _DECODE)
            )
        known = {**self.cards, **self.optional}
        for space, values in conditions.items():
            if space not in known:
                raise InputError(
                    expected(f"generator {self.name}", " or ".join(known), space, "leave these conditions out")
                )
            known[space].must_match(values.space)
            values.rows(ids)
        return self._stream(conditions, list(ids), list(seeds), settings, batching, watch)

    def prior(
        self, ids: Sequence[str], seeds: Sequence[int], *, settings: Sampling, batching: Batching = ALL_AT_ONCE
    ) -> Iterator[Drawn]:
        """What the stack draws without any condition, from noise alone: one sample a seed, under the names `ids`."""
        batches = self.batches(batching)
        batch = batching.batch or batches.batch
        length = {"seconds": settings.seconds} if isinstance(settings, SoundSampling) else {}
        for first in range(0, len(ids), batch):
            some, their = ids[first : first + batch], seeds[first : first + batch]
            drawing = self.pipeline.prior(
                seeds=their,
                steps=settings.steps,
                eta=settings.eta,
                scheduler=settings.scheduler,
                batches=batches,
                **length,
            )
            yield from self._drawn(some, their, drawing)

    def resound(self, waves: Waveform, *, batching: Batching = ALL_AT_ONCE) -> Iterator[Waveform]:
        """Each waveform (sample, time) through mel, autoencoder and vocoder: the best a sound of this stack could be.

        A generator of pictures has `round_trip` instead, and refuses (`UsageError`).
        """
        if self.modality != "sound":
            raise UsageError(f"generator {self.name} draws pictures; take its round trip of pictures")
        batches = self.batches(batching)
        for first in range(0, len(waves), batches.batch):
            yield from self.pipeline.round_trip(waves[first : first + batches.batch], batches=batches).waves

    def round_trip(self, pictures: Sequence[Image], *, batching: Batching = ALL_AT_ONCE) -> Iterator[Image]:
        """Each picture through the stack's autoencoder and back: the best any drawing of this stack could look.

        A generator of sounds has `resound` instead, and refuses (`UsageError`).
        """
        from pipelines.images.base import pictures_of

        if self.modality != "image":
            raise UsageError(f"generator {self.name} draws sounds; take its round trip of sounds")
        batches = self.batches(batching)
        for first in range(0, len(pictures), batches.batch):
            latents = self.pipeline.encode_pictures(pictures[first : first + batches.batch], batches=batches)
            yield from pictures_of(self.pipeline.decode_latents(latents, batches=batches))

    def batches(self, batching: Batching) -> MicroBatches:
        """The micro-batches that this means on this stack and device.

        Several samples in one where a place would have bits of its own are a UsageError (`sampling.micro_batches`).
        """
        fitting: MicroBatches = self.pipeline.batches()
        if batching.micro_batch > 1 and fitting.threads == 1 and fitting.width == 1:
            raise UsageError(
                f"--micro-batch {batching.micro_batch}: expected 1 or 0 here, where a sample's place among others "
                "would move its last bits (docs/howto/reproducibility.md); leave --micro-batch out"
            )
        return replace(fitting, width=batching.micro_batch) if batching.micro_batch else fitting

    def facts(self, settings: Sampling, batching: Batching = ALL_AT_ONCE) -> dict[str, Any]:
        """For the run's card: everything that decides a sample's bits besides conditions and seeds."""
        from pipelines.sampling.micro_batches import memory_format

        more = self.pipeline.facts() if self.modality == "sound" else {}
        return {
            "generator": self.name,
            "device": str(self.pipeline.device),
            "dtype": str(self.pipeline.unet.dtype).removeprefix("torch."),
            "scheduler": settings.scheduler or type(self.pipeline.scheduler).__name__,
            "settings": {**asdict(settings), "micro_batch": batching.micro_batch},
            **self.batches(batching).facts(),
            "memory_format": memory_format(self.pipeline.unet),
            **more,
        }

    def _stream(
        self,
        conditions: Mapping[str, Conditions],
        ids: list[str],
        seeds: list[int],
        settings: Sampling,
        batching: Batching,
        watch: Watch | None,
    ) -> Iterator[Drawn]:
        import torch

        from pipelines.sampling.sampler import Hooks

        batches = self.batches(batching)
        batch = batching.batch or batches.batch
        for first in range(0, len(ids), batch):
            some, their = ids[first : first + batch], seeds[first : first + batch]
            values = {space: torch.from_numpy(one.values[one.rows(some)]) for space, one in conditions.items()}
            hooks = Hooks() if watch is None else Hooks(look=_reporting(watch, some, their))
            try:
                drawing = self.draw(self.pipeline, values, their, settings, batches, hooks)
            except torch.OutOfMemoryError as error:
                raise UsageError(
                    f"generator {self.name}: {self.pipeline.device} has no memory for {batches.width} samples a call; "
                    "take --device cpu or, in `afterimage decode` and `afterimage study`, a lower --micro-batch"
                ) from error
            yield from self._drawn(some, their, drawing)

    def _drawn(self, ids: Sequence[str], seeds: Sequence[int], drawing: Any) -> Iterator[Drawn]:
        if self.modality == "sound":
            for stimulus, seed, wave, withheld in zip(ids, seeds, drawing.waves, drawing.withheld, strict=True):
                heard = None if withheld else wave
                yield Drawn(id=stimulus, seed=seed, withheld=withheld, wave=heard, rate=drawing.rate)
            return
        for stimulus, seed, image, withheld in zip(ids, seeds, drawing.images, drawing.withheld, strict=True):
            yield Drawn(id=stimulus, seed=seed, image=image, withheld=withheld)


def open_generator(
    name: str,
    pipeline: type[LatentPipeline] | type[SoundPipeline],
    *,
    stack: StackFolder,
    needs: Sequence[str],
    takes: Sequence[str],
    draw: Draw,
    device: str,
    dtype: str,
    without: Sequence[str] = (),
    float32: Sequence[str] = (),
) -> Generator:
    """Load the stack into that pipeline, `without` some components, and look up what the spaces are on this stack.

    `dtype` is float32, bfloat16 or float16; the components in `float32` keep that type. A stack without the components
    is an `InputError`; a device that is not there a `UsageError`: nothing falls back to another.
    """
    import torch

    from encoders.spaces import CATALOGUE as SPACES
    from pipelines.sampling.micro_batches import lay_out

    kind = number_type(device=device, dtype=dtype)
    quiet()
    _serves(stack, pipeline, name)
    with damage(stack.path):
        loaded = pipeline.from_pretrained(
            stack.path, use_safetensors=True, local_files_only=True, trust_remote_code=False, **dict.fromkeys(without)
        )
        loaded = loaded.to(device)
    for part, network in loaded.components.items():
        if isinstance(network, torch.nn.Module):
            network.to(torch.float32 if part in float32 else kind)
            lay_out(network)
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
        modality=SPACES[needs[0]].modality,
    )


def number_type(*, device: str, dtype: str) -> Any:
    """torch's type of that name, float32, bfloat16 or float16; a device that is not there is a UsageError too."""
    import torch

    if dtype not in DTYPES:
        raise UsageError(f"dtype must be float32, bfloat16 or float16, found {dtype!r}")
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device {device} was asked for and torch sees no such device; use --device cpu")
    return getattr(torch, dtype)


def _serves(stack: StackFolder, pipeline: type[LatentPipeline] | type[SoundPipeline], name: str) -> None:
    """Refuse a stack without a component that the pipeline cannot do without."""
    parts = inspect.signature(pipeline.__init__).parameters.values()
    needed = [one.name for one in parts if one.default is one.empty and one.name != "self"]
    missing = [one for one in needed if one not in stack.components]
    if missing:
        able = ", ".join(row.name for row in ROWS if name in row.generators)
        raise InputError(
            expected(stack.path, f"{', '.join(missing)} for {name}", "none", f"stacks that serve it: {able}")
        )


def _reporting(watch: Watch, ids: Sequence[str], seeds: Sequence[int]) -> Callable[[Tensor, Any], None]:
    """The sampler's observer that tells `watch` of this batch."""

    def look(latents: Tensor, state: Any) -> None:
        seen = latents.detach().clone()  # whatever is done to it, the denoising loop goes on with its own
        watch(Glimpse(ids=tuple(ids), seeds=tuple(seeds), step=state.step, steps=state.steps, latents=seen))

    return look


_DECODE = "decode these spaces first"
