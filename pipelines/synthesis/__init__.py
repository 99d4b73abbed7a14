"""Synthesis: ways to make a picture that an objective wants, behind one interface, one file a way.

    for made in CATALOGUE["guided"].make(studio, seeds):
        made.image, made.course

A `Studio` holds what every way may use: the stack's pipeline, the objective over pictures, natural pictures to choose
from, a small decoder for gradients. One seed is one picture, and a batch never changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from brain.catalogue import Catalogue
from brain.errors import UsageError
from pipelines.lanes import Lanes

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

Float = NDArray[np.float32]
MIXTURE = 11  # the part of a seed's randomness that mixes embeddings


@dataclass(frozen=True, kw_only=True)
class SynthesisSettings:
    """How pictures are made; a way reads what concerns it.

    steps       of a whole walk, published_steps of braindive's; few_steps of the short walks of other ways
    scale       strength of guidance; an objective is in units of its standard deviation over natural pictures
    candidates  pictures best-of-n draws for one it keeps, and search looks at in all
    iterations  of the noise' ascent; rate how far it goes each time
    sharpness   of the softmax over natural pictures whose embeddings are mixed, per unit of the objective
    variety     of these mixtures from seed to seed: 0 is one for all, 1 draws from the softmax
    guidance    classifier-free scale towards the optimal embedding, 1 is none
    conditioned whether the ways that can start from the optimal embedding do (never unguided and braindive)
    strength    how far a reference picture is noised, where one is given
    scheduler   "" is the stack's own
    """

    steps: int = 20
    published_steps: int = 50
    few_steps: int = 6
    scale: float = 60.0
    candidates: int = 16
    iterations: int = 12
    rate: float = 0.6
    sharpness: float = 10.0
    variety: float = 1.0
    guidance: float = 3.0
    conditioned: bool = True
    strength: float = 0.7
    scheduler: str = ""

    def __post_init__(self) -> None:
        for name in ("steps", "published_steps", "few_steps", "candidates", "iterations"):
            if getattr(self, name) < 1:
                raise UsageError(f"synthesis: {name} must be 1 or more, found {getattr(self, name)}")
        if not 0 < self.strength <= 1:
            raise UsageError(f"synthesis: strength must be above 0 and at most 1, found {self.strength}")


@dataclass(frozen=True, kw_only=True)
class Natural:
    """Natural pictures, which nobody made for the objective.

    ids         their names; open(id) -> PIL RGB
    embeddings  (picture, dim) the stack's image embeddings, not normalised
    worth       (picture,) the objective's value of each
    """

    ids: tuple[str, ...]
    open: Callable[[str], Image] = field(repr=False)
    embeddings: Float
    worth: Float


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What a way is at, one step of one of its loops.

    step, steps  the step, from 0, and how many the loop has; a way may have several loops
    latents      (sample, channel, y, x) the predicted clean samples, None where a loop has none
    """

    step: int
    steps: int
    latents: Tensor | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Studio:
    """What every way may use.

    pipeline   the stack's, an `ImageEmbeddingPipeline` or a `LatentTextPipeline`
    objective  pictures (picture, 3, H, W) in [0, 1] -> (picture,), differentiable; higher is better
    wish       (dim,) the direction in the image embedding that the objective rises in, or None where there is none
    tiny       the stack's small decoder, latents -> pictures in [-1, 1]; None takes the full one
    natural    natural pictures
    reference  a picture to start from, or None
    watch      told every step; it cannot change a picture, and what it raises ends the way
    """

    pipeline: Any
    objective: Callable[[Tensor], Tensor]
    wish: Float | None
    tiny: Any
    natural: Natural
    settings: SynthesisSettings
    lanes: Lanes
    reference: Image | None = None
    watch: Callable[[Sight], None] | None = None

    @property
    def takes_embeddings(self) -> bool:
        """Whether there is an embedding to start from and a UNet that takes it."""
        return self.wish is not None and "image_normalizer" in self.pipeline.components

    def conditions(self, seeds: Sequence[int]) -> Float:
        """(seed, dim) image embeddings to start from: natural ones, mixed by what their pictures are worth."""
        natural, how = self.natural, self.settings
        return np.stack([
            mixed(natural.embeddings, natural.worth, sharpness=how.sharpness, variety=how.variety, seed=seed)
            for seed in seeds
        ])  # fmt: skip

    def worth(self, latents: Tensor) -> Tensor:
        """The objective of latents (sample, channel, y, x), seen through the small decoder."""
        if self.tiny is None:
            return self.full_worth(latents)
        return self.objective(self.small_pixels(latents))

    def small_pixels(self, latents: Tensor) -> Tensor:
        """Latents as pictures (sample, 3, H, W) in [0, 1] through the small decoder, which there must be."""
        pixels: Tensor = self.tiny.decode(latents, return_dict=False)[0]
        return (pixels / 2 + 0.5).clamp(0, 1)

    def seen(self, latents: Tensor) -> Tensor:
        """Latents as pictures (sample, 3, H, W) in [0, 1] as cheaply as this stack can, without gradients."""
        import torch

        with torch.inference_mode():
            if self.tiny is None:
                return self.pipeline.decode_latents(latents, lanes=self.lanes)  # type: ignore[no-any-return]
            return self.lanes.run(self.small_pixels, latents)

    def full_worth(self, latents: Tensor) -> Tensor:
        """The objective of latents seen through the full decoder, as BrainDiVE has it."""
        vae = self.pipeline.vae
        shift = float(getattr(vae.config, "shift_factor", None) or 0)
        pixels = vae.decode(latents / vae.config.scaling_factor + shift, return_dict=False)[0]
        return self.objective((pixels / 2 + 0.5).clamp(0, 1))

    def judged(self, pictures: Tensor) -> list[float]:
        """The objective of finished pictures (picture, 3, H, W) in [0, 1], without gradients."""
        import torch

        with torch.inference_mode():
            return [float(value) for value in self.lanes.run(lambda x: self.objective(x)[:, None], pictures)[:, 0]]


def mixed(embeddings: Float, worth: Float, *, sharpness: float, variety: float, seed: int) -> Float:
    """(dim,) a softmax-weighted mean of natural embeddings (picture, dim): directions and norms averaged apart.

    BrainSCUBA (Luo et al. 2024) weighs by the cosine with the encoder's direction; here the weights are
    softmax(sharpness * worth + variety * Gumbel noise of the seed), so that every guiding tower has its say and seeds
    differ: at variety 1 each is a relaxed draw from the softmax (the concrete distribution, Maddison et al. 2017).
    """
    norms = np.linalg.norm(embeddings, axis=1)
    noise = np.random.default_rng(np.random.SeedSequence([seed, MIXTURE])).gumbel(size=len(worth))
    likely = sharpness * worth.astype(np.float64) + variety * noise
    weights = np.exp(likely - likely.max())
    weights /= weights.sum()
    direction = weights @ (embeddings / norms[:, None])
    return np.asarray(direction / np.linalg.norm(direction) * (weights @ norms), np.float32)


@dataclass(frozen=True, kw_only=True)
class Made:
    """One picture, its seed, the objective's course while it was made (the last is its own), how many were tried."""

    seed: int
    image: Image
    course: tuple[float, ...]
    candidates: int = 1
    source: str = ""


class Way(Protocol):
    """A way in the catalogue: its name, one sentence, and what makes pictures."""

    @property
    def name(self) -> str: ...
    @property
    def says(self) -> str: ...

    def make(self, studio: Studio, seeds: Sequence[int]) -> Iterator[Made]:
        """One picture a seed, in order."""


CATALOGUE: Catalogue[Way] = Catalogue("pipelines.synthesis", "way to synthesize")
