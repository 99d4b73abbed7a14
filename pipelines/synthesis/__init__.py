"""Synthesis: methods that make a picture an objective rates highly, behind one interface, one file a method.

    for made in CATALOGUE["guided"].make(context, seeds):
        made.image, made.trajectory

A `SynthesisContext` holds what every method may use: the stack's pipeline, the objective over pictures, natural
pictures to choose from, a small decoder for gradients. One seed is one picture, and a batch never changes it. Nothing
heavy is imported until a method makes something; what several methods share lies in `_parts/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from brain.catalogue import Catalogue
from brain.console.bounds import within
from pipelines.settings import Scheduler, strength_within

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from pipelines.sampling.micro_batches import MicroBatches

Float = NDArray[np.float32]
MIXTURE = 11  # the part of a seed's randomness that mixes embeddings
MOST = 1e6
"""The greatest strength of anything that has no bound of its own."""


@dataclass(frozen=True, kw_only=True)
class SynthesisSettings:
    """How pictures are made. A method reads those of them that its entry names in `reads`."""

    steps: int = 20
    """Denoising steps of guided, embedding and unguided."""
    published_steps: int = 50
    """Denoising steps of braindive."""
    few_steps: int = 6
    """Denoising steps of one candidate of best-of-n, search and noise."""
    scale: float = 60.0
    """Strength of the gradient, for an objective in standard deviations over natural pictures; 0 follows none."""
    candidates: int = 16
    """Pictures of which best-of-n keeps one, and that search looks at in all."""
    iterations: int = 12
    """Steps of the ascent on the initial noise."""
    rate: float = 0.6
    """How far one step of that ascent goes, in half lengths of the noise."""
    sharpness: float = 10.0
    """Of the softmax over natural pictures whose embeddings are mixed, per unit of the objective."""
    variety: float = 1.0
    """Of these mixtures from seed to seed: 0 is one for all, 1 draws from the softmax."""
    guidance: float = 3.0
    """Classifier-free guidance towards the mixed embedding; 1 is the condition alone."""
    conditioned: bool = True
    """Start from mixed embeddings where a method can; unguided and braindive never do."""
    strength: float = 0.7
    """How far a reference picture is noised, where one is given; 1 forgets it."""
    scheduler: Scheduler = ""
    """Empty takes the stack's own."""

    def __post_init__(self) -> None:
        for name in ("steps", "published_steps", "few_steps", "candidates", "iterations"):
            within(f"--{name.replace('_', '-')}", getattr(self, name), 1)
        for name in ("scale", "rate", "sharpness", "variety", "guidance"):
            within(f"--{name}", getattr(self, name), 0, MOST)
        strength_within(self.strength)


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
    """The state of a method at one step of one of its loops.

    step, steps  the step, from 0, and how many the loop has; a method may have several loops
    latents      (sample, channel, y, x) the predicted clean samples, None where a loop has none
    seeds        (sample,) the seed of the picture that each becomes; () where they are candidates for one
    """

    step: int
    steps: int
    latents: Tensor | None = field(default=None, repr=False)
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SynthesisContext:
    """What every method may use.

    pipeline   the stack's, an `ImageEmbeddingPipeline` or a `LatentTextPipeline`
    objective  pictures (picture, 3, H, W) in [0, 1] -> (picture,), differentiable; higher is better
    direction  (dim,) where in the image embedding the objective rises, or None where there is no such direction
    tiny       the stack's small decoder, latents -> pictures in [-1, 1]; None takes the full one
    natural    natural pictures
    reference  a picture to start from, or None
    watch      called at every step; it cannot change a picture, and what it raises ends the method
    """

    pipeline: Any
    objective: Callable[[Tensor], Tensor]
    direction: Float | None
    tiny: Any
    natural: Natural
    settings: SynthesisSettings
    batches: MicroBatches
    reference: Image | None = None
    watch: Callable[[Sight], None] | None = None

    @property
    def takes_embeddings(self) -> bool:
        """Whether there is an embedding to start from and a UNet that takes it."""
        return self.direction is not None and "image_normalizer" in self.pipeline.components

    def conditions(self, seeds: Sequence[int]) -> Float:
        """(seed, dim) image embeddings to start from: natural ones, mixed by what their pictures are worth."""
        natural, how = self.natural, self.settings
        return np.stack([
            mixed(natural.embeddings, natural.worth, sharpness=how.sharpness, variety=how.variety, seed=seed)
            for seed in seeds
        ])  # fmt: skip

    def worth(self, latents: Tensor) -> Tensor:
        """The objective (sample,) of latents (sample, channel, y, x), seen through the small decoder."""
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
                return self.pipeline.decode_latents(latents, batches=self.batches)  # type: ignore[no-any-return]
            return self.batches.run(self.small_pixels, latents)

    def full_worth(self, latents: Tensor) -> Tensor:
        """The objective (sample,) of latents seen through the full decoder, as BrainDiVE has it."""
        vae = self.pipeline.vae
        shift = float(getattr(vae.config, "shift_factor", None) or 0)
        pixels = vae.decode(latents / vae.config.scaling_factor + shift, return_dict=False)[0]
        return self.objective((pixels / 2 + 0.5).clamp(0, 1))

    def judged(self, pictures: Tensor) -> list[float]:
        """The objective of finished pictures (picture, 3, H, W) in [0, 1], without gradients."""
        import torch

        with torch.inference_mode():
            return [float(value) for value in self.batches.run(lambda x: self.objective(x)[:, None], pictures)[:, 0]]


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
    """One picture that a method made.

    trajectory  the objective while it was made; the last is the picture's own
    candidates  how many pictures were tried for it
    source      the natural picture that it is, "" where it was drawn
    """

    seed: int
    image: Image
    trajectory: tuple[float, ...]
    candidates: int = 1
    source: str = ""


class SynthesisMethod(Protocol):
    """What a file of `pipelines/synthesis/` puts into its ENTRIES: a card, the settings it reads, and `make`.

    control  whether its pictures know nothing of the objective, so that others are compared with them
    counts   what one value of a trajectory stands for ("denoising step"), "" where a picture has no trajectory
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def citation(self) -> str: ...
    @property
    def reads(self) -> tuple[str, ...]: ...
    @property
    def control(self) -> bool: ...
    @property
    def counts(self) -> str: ...

    def make(self, context: SynthesisContext, seeds: Sequence[int]) -> Iterator[Made]:
        """One picture a seed, in order."""


LOOP = ("strength", "scheduler")
"""Settings that every denoising loop reads."""
MIXED = ("sharpness", "variety", "guidance")
"""Settings that a loop from mixed natural embeddings reads beside them."""

CATALOGUE: Catalogue[SynthesisMethod] = Catalogue("pipelines.synthesis", "synthesis method")
