"""Generators: conditions in, samples out, streamed, one seed each; the contract every file of `generators/` keeps.

An entry of the catalogue has `name`, `needs` (spaces it cannot draw without), `takes` (spaces it uses if they come),
`defaults`, `open(stack, device=..., dtype=...)`, which returns a `Generator`, and `tiny(folder)`, which writes a random
stack it can open, for tests. What it draws, pictures or sounds, is what the spaces it needs are conditions of.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from brain.errors import InputError, UsageError, expected
from encoders.conditions import Conditions, SpaceCard
from pipelines.stack_table import ROWS
from pipelines.stacks import StackFolder, damage, quiet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor

    from pipelines.base import Drawing, LatentPipeline
    from pipelines.lanes import Lanes
    from pipelines.sampler import Hooks
    from pipelines.sound import SoundPipeline
    from pipelines.sound_stack import SoundDrawing

    Waveform = NDArray[np.float32]


SCHEDULERS = {
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "dpm++": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler-ancestral": "EulerAncestralDiscreteScheduler",
    "pndm": "PNDMScheduler",
}
"""Name -> class of diffusers."""
DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class DrawSettings:
    """How samples are drawn. Everything here but `batch` belongs to what a sample is.

    steps           of the scheduler
    guidance_scale  towards the condition; 1 is the condition alone
    image_scale     guidance towards an image embedding where text stands beside it; None is the same scale for both
    strength        how much of the way a latent is noised before the walk, above 0 to 1
    noise_level     how far an image embedding is noised, a step of the stack's noising scheduler
    eta             noise added in each DDIM step, 0 none to 1 as in DDPM
    scheduler       ddim, ddpm, dpm++, euler, euler-ancestral, pndm; "" is the stack's own
    lane            samples in one call of a network, on every call alike; 0 is what fits the stack and the device
    batch           samples drawn side by side; 0 is what keeps the device busy; never changes a sample
    seconds         how long sounds are where no mel latent says; 0 is what the stack was trained on
    loa_weight      of decoded LOA beside the language model's, 1 is the decoded alone
    anchor_weight   of the retrieved exemplar's mel latent beside the decoded one, 1 is the exemplar alone
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
    seconds: float = 0.0
    loa_weight: float = 1.0
    anchor_weight: float = 1.0


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
"""Told every step; it cannot change a sample, and what it raises ends the drawing."""


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


Draw = Callable[
    ["LatentPipeline | SoundPipeline", Mapping[str, "Tensor"], Sequence[int], DrawSettings, "Lanes", "Hooks"],
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
        settings: DrawSettings,
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
        return self._stream(conditions, list(ids), list(seeds), settings, watch)

    def prior(self, ids: Sequence[str], seeds: Sequence[int], *, settings: DrawSettings) -> Iterator[Drawn]:
        """What the stack draws without any condition, from noise alone: one sample a seed, under the names `ids`."""
        lanes = self.lanes(settings)
        batch = settings.batch or lanes.batch
        length = {"seconds": settings.seconds} if self.modality == "sound" else {}
        for first in range(0, len(ids), batch):
            some, their = ids[first : first + batch], seeds[first : first + batch]
            drawing = self.pipeline.prior(
                seeds=their, steps=settings.steps, eta=settings.eta, scheduler=settings.scheduler, lanes=lanes, **length
            )
            yield from self._drawn(some, their, drawing)

    def resound(self, waves: Waveform, *, settings: DrawSettings) -> Iterator[Waveform]:
        """Each waveform (sample, time) through mel, autoencoder and vocoder: the best a sound of this stack could be.

        A generator of pictures has `round_trip` instead, and refuses (`UsageError`).
        """
        if self.modality != "sound":
            raise UsageError(f"generator {self.name} draws pictures; take its round trip of pictures")
        lanes = self.lanes(settings)
        for first in range(0, len(waves), lanes.batch):
            yield from self.pipeline.round_trip(waves[first : first + lanes.batch], lanes=lanes).waves

    def round_trip(self, pictures: Sequence[Image], *, settings: DrawSettings) -> Iterator[Image]:
        """Each picture through the stack's autoencoder and back: the best any drawing of this stack could look.

        A generator of sounds has `resound` instead, and refuses (`UsageError`).
        """
        from pipelines.base import pictures_of

        if self.modality != "image":
            raise UsageError(f"generator {self.name} draws sounds; take its round trip of sounds")
        lanes = self.lanes(settings)
        for first in range(0, len(pictures), lanes.batch):
            latents = self.pipeline.encode_pictures(pictures[first : first + lanes.batch], lanes=lanes)
            yield from pictures_of(self.pipeline.decode_latents(latents, lanes=lanes))

    def lanes(self, settings: DrawSettings) -> Lanes:
        """The lanes these settings mean on this stack and device.

        Several samples in a lane where a place would have bits of its own are a UsageError (`pipelines.lanes`).
        """
        fitting = self.pipeline.lanes()
        if settings.lane > 1 and fitting.threads == 1 and fitting.width == 1:
            raise UsageError(
                f"--lane {settings.lane}: expected 1 or 0 here, where a sample's place among others would move its "
                "last bits (docs/reproducibility.md); leave --lane out"
            )
        return replace(fitting, width=settings.lane) if settings.lane else fitting

    def facts(self, settings: DrawSettings) -> dict[str, Any]:
        """For the run's card: everything that decides a sample's bits besides conditions and seeds."""
        more = self.pipeline.facts() if self.modality == "sound" else {}
        return {
            "generator": self.name,
            "device": str(self.pipeline.device),
            "dtype": str(self.pipeline.unet.dtype).removeprefix("torch."),
            "scheduler": settings.scheduler or type(self.pipeline.scheduler).__name__,
            "settings": asdict(settings),
            **self.lanes(settings).facts(),
            **more,
        }

    def _stream(
        self,
        conditions: Mapping[str, Conditions],
        ids: list[str],
        seeds: list[int],
        settings: DrawSettings,
        watch: Watch | None,
    ) -> Iterator[Drawn]:
        import torch

        from pipelines.sampler import Hooks

        lanes = self.lanes(settings)
        batch = settings.batch or lanes.batch
        for first in range(0, len(ids), batch):
            some, their = ids[first : first + batch], seeds[first : first + batch]
            values = {space: torch.from_numpy(one.values[one.rows(some)]) for space, one in conditions.items()}
            hooks = Hooks() if watch is None else Hooks(look=_told(watch, some, their))
            try:
                drawing = self.draw(self.pipeline, values, their, settings, lanes, hooks)
            except torch.OutOfMemoryError as error:
                raise UsageError(
                    f"generator {self.name}: {self.pipeline.device} has no memory for {lanes.width} samples a call; "
                    "take --device cpu or, in `afterimage decode` and `afterimage study`, a lower --lane"
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
    """Load the stack into that pipeline, `without` some components, and ask the spaces what they are on this stack.

    `dtype` is float32, bfloat16 or float16; the components in `float32` keep that type. A stack without the components
    is an `InputError`; a device that is not there a `UsageError`: nothing falls back to another.
    """
    import torch

    from encoders.spaces import CATALOGUE as SPACES

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


def _told(watch: Watch, ids: Sequence[str], seeds: Sequence[int]) -> Callable[[Tensor, Any], None]:
    """The sampler's observer that tells `watch` of this batch."""

    def look(latents: Tensor, moment: Any) -> None:
        seen = latents.detach().clone()  # whatever is done to it, the denoising loop goes on with its own
        watch(Glimpse(ids=tuple(ids), seeds=tuple(seeds), step=moment.step, steps=moment.steps, latents=seen))

    return look


_DECODE = "decode these spaces first"
