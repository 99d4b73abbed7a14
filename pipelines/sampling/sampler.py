"""The sampler: any diffusers scheduler, one denoiser contract, guidance as wrappers, hooks at three places of a step.

    Denoiser      denoise(x, t, prompt) -> model output, all (sample, ...); x as the scheduler scales it for the network
    classifier_free, two_scales     take a denoiser, return a denoiser
    Hooks         before the step, on x0, after the step, each of which returns what it takes; and one that only looks
    Gaussian, Noised                where sampling starts
    sample        the denoising loop itself

Noise is drawn per sample from that sample's own CPU generator, so a batch never changes a sample.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor

from brain.catalogue import unknown
from brain.errors import InputError, UsageError
from pipelines.sampling.micro_batches import MicroBatches
from pipelines.settings import SCHEDULERS


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A UNet's conditions: text (sample, token, dim), and an image condition (sample, dim) or None if it takes none."""

    text: Tensor
    image: Tensor | None = None

    def __len__(self) -> int:
        return len(self.text)

    def repeat(self, count: int) -> Prompt:
        """This prompt, (1, ...), for `count` samples."""
        image = None if self.image is None else self.image.expand(count, -1)
        return Prompt(text=self.text.expand(count, -1, -1), image=image)

    def __add__(self, other: Prompt) -> Prompt:
        """The samples of both, one after the other."""
        if self.text.shape[1:] != other.text.shape[1:]:
            raise InputError(
                f"text conditions {tuple(other.text.shape[1:])} beside an empty text {tuple(self.text.shape[1:])} "
                "(token, dim); use text conditions of this stack's own text encoder"
            )
        image = None if self.image is None or other.image is None else torch.cat([self.image, other.image])
        return Prompt(text=torch.cat([self.text, other.text]), image=image)


class AnyPrompt(Protocol):
    """Conditions of any UNet, as guidance needs them: repeated, and those of other samples after them."""

    def repeat(self, count: int) -> Self: ...
    def __add__(self, other: Self, /) -> Self: ...


Said = TypeVar("Said", bound=AnyPrompt)
DenoiserOf = Callable[[Tensor, Tensor, Said], Tensor]
Denoiser = DenoiserOf[Prompt]


def unet_denoiser(unet: Any) -> Denoiser:
    """A `UNet2DConditionModel` as a denoiser: x (sample, channel, y, x) float32 outside, the network's type inside."""
    kind = next(unet.parameters()).dtype

    def denoise(x: Tensor, t: Tensor, prompt: Prompt) -> Tensor:
        labels = None if prompt.image is None else prompt.image.to(kind)
        output = unet(x.to(kind), t, encoder_hidden_states=prompt.text.to(kind), class_labels=labels, return_dict=False)
        predicted: Tensor = output[0].float()
        return predicted

    return denoise


def classifier_free(denoise: DenoiserOf[Said], empty: Said, scale: float) -> DenoiserOf[Said]:
    """A denoiser that leans towards its prompt: empty + scale * (prompted - empty) (Ho & Salimans 2022).

    `empty` is (1, ...). Scale 1 is the prompted denoiser itself, 0 the empty one.
    """
    if scale == 1:
        return denoise

    def guided(x: Tensor, t: Tensor, prompt: Said) -> Tensor:
        if scale == 0:
            return denoise(x, t, empty.repeat(len(x)))
        plain, full = denoise(torch.cat([x, x]), t, empty.repeat(len(x)) + prompt).chunk(2)
        return plain + scale * (full - plain)

    return guided


def two_scales(denoise: Denoiser, empty: Prompt, *, text_scale: float, image_scale: float) -> Denoiser:
    """A denoiser that leans towards image and text by scales of their own (the order of Brooks et al. 2023).

    empty + image_scale * (image - empty) + text_scale * (image and text - image). Both scales equal is
    `classifier_free` with that scale.
    """
    if text_scale == image_scale:
        return classifier_free(denoise, empty, text_scale)

    def guided(x: Tensor, t: Tensor, prompt: Prompt) -> Tensor:
        nothing = empty.repeat(len(x))
        image_only = Prompt(text=nothing.text, image=prompt.image)
        plain, seen, full = denoise(torch.cat([x, x, x]), t, nothing + image_only + prompt).chunk(3)
        return plain + image_scale * (seen - plain) + text_scale * (full - seen)

    return guided


def in_micro_batches(denoise: Denoiser, batches: MicroBatches) -> Denoiser:
    """The same denoiser, called on micro-batches. Goes around guidance, so that a micro-batch holds whole samples."""

    def spread(x: Tensor, t: Tensor, prompt: Prompt) -> Tensor:
        def micro_batch(x: Tensor, text: Tensor, image: Tensor | None) -> Tensor:
            return denoise(x, t, Prompt(text=text, image=image))

        return batches.run(micro_batch, x, prompt.text, prompt.image)

    return spread


@dataclass(frozen=True, kw_only=True)
class SamplerState:
    """The sampler's state when a hook is called.

    step, steps  the step, from 0, and how many there are
    t            the scheduler's timestep, a tensor of one number
    alpha_bar    share of signal in x: x = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) noise
    x            (sample, ...) before the step, in those units
    predict      x -> x0, the network once more on any x of this step; gradients pass where they are enabled
    """

    step: int
    steps: int
    t: Tensor
    alpha_bar: float
    x: Tensor
    predict: Callable[[Tensor], Tensor] = field(repr=False)


Hook = Callable[[Tensor, SamplerState], Tensor]
Look = Callable[[Tensor, SamplerState], None]


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What else happens in a step; each is called with (sample, ...) and a `SamplerState`, and returns what it takes.

    before_step  x, in the scheduler's units, before the network sees it
    on_x0        the picture the network has in mind; what it returns is what the scheduler steps towards
    after_step   x after the step
    look         told the x0 that the scheduler steps towards; returns nothing, so that watching changes no bit

    Guidance that moves the noise by -sqrt(1 - a) g moves x0 by (1 - a) / sqrt(a) g, a = `alpha_bar`.
    """

    before_step: Hook | None = None
    on_x0: Hook | None = None
    after_step: Hook | None = None
    look: Look | None = None


class Start(Protocol):
    """Where sampling starts: (scheduler with its timesteps set, noise) -> (x, the timesteps that are left)."""

    def __call__(self, scheduler: Any, noise: Tensor) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class Gaussian:
    """From pure noise, along all steps."""

    def __call__(self, scheduler: Any, noise: Tensor) -> tuple[Tensor, Tensor]:
        return noise * scheduler.init_noise_sigma, scheduler.timesteps


@dataclass(frozen=True, kw_only=True)
class Noised:
    """From latents (sample, channel, y, x) noised to the last `strength` of the steps, 0 < strength <= 1 (SDEdit)."""

    latents: Tensor
    strength: float

    def __post_init__(self) -> None:
        if not 0 < self.strength <= 1:
            raise UsageError(f"strength must be above 0 and at most 1, found {self.strength}")

    def __call__(self, scheduler: Any, noise: Tensor) -> tuple[Tensor, Tensor]:
        steps = scheduler.num_inference_steps
        skipped = max(steps - int(steps * self.strength), 0) * scheduler.order
        timesteps = scheduler.timesteps[skipped:]
        if len(timesteps) == 0:
            raise UsageError(f"strength {self.strength} of {steps} steps leaves no step; use more steps")
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(skipped)
        return scheduler.add_noise(self.latents.to(noise), noise, timesteps[:1].repeat(len(noise))), timesteps


def scheduler_named(name: str, own: Any) -> Any:
    """A scheduler of that name on the noise schedule of the stack's `own`; "" is the stack's own, fresh.

    Latents have no range, so they are never clipped, and PNDM walks as Stable Diffusion does, unless the stack says
    otherwise.
    """
    import diffusers

    if name and name not in SCHEDULERS:
        raise UsageError(unknown("scheduler", name, tuple(SCHEDULERS)))
    kind = getattr(diffusers, SCHEDULERS[name]) if name else type(own)
    facts = {key: value for key, value in own.config.items() if not key.startswith("_")}
    known = inspect.signature(kind.__init__).parameters
    for key, value in (("clip_sample", False), ("skip_prk_steps", True)):
        if key in known:
            facts.setdefault(key, value)
    return kind.from_config({key: value for key, value in facts.items() if key in known})


def generators_of(seeds: Sequence[int]) -> list[torch.Generator]:
    """One CPU generator a sample; a seed is a whole number from 0 to 2**63 - 1."""
    for seed in seeds:
        if not 0 <= seed < 2**63:
            raise UsageError(f"a seed must be a whole number from 0 to 2**63 - 1, found {seed}")
    return [torch.Generator().manual_seed(int(seed)) for seed in seeds]


def noise_of(generators: Sequence[torch.Generator], shape: Sequence[int]) -> Tensor:
    """Standard normal noise (sample, *shape) float32, each sample from its own generator."""
    return torch.stack([torch.randn(tuple(shape), generator=generator) for generator in generators])


def sample(
    denoise: DenoiserOf[Said],
    prompt: Said,
    *,
    scheduler: Any,
    start: Start,
    noise: Tensor,
    generators: Sequence[torch.Generator],
    steps: int,
    eta: float,
    hooks: Hooks,
    watch: Callable[[int, Tensor, Tensor], Tensor],
) -> Tensor:
    """Sample from noise to a latent, (sample, channel, y, x) float32.

    `noise` is (sample, channel, y, x) on the device of the networks; `generators`, one a sample, go on to draw for
    schedulers that add noise at each step (`eta` for DDIM). `watch(step, t, x) -> x` is called last in every step.
    The scheduler is copied: nothing of a walk stays in it.
    """
    scheduler = copy.deepcopy(scheduler)
    if not 1 <= steps <= scheduler.config.num_train_timesteps:
        raise UsageError(f"steps must be from 1 to {scheduler.config.num_train_timesteps}, found {steps}")
    scheduler.set_timesteps(steps, device=noise.device)
    x, timesteps = start(scheduler, noise)
    extra = _step_arguments(scheduler, list(generators), eta)
    skipped = len(scheduler.timesteps) - len(timesteps)
    kind = scheduler.config.prediction_type
    for step, t in enumerate(timesteps):
        alpha_bar = _alpha_bar(scheduler, skipped + step, t)
        seen = scheduler.scale_model_input(x, t)
        predict = _predictor(denoise, prompt, t=t, alpha_bar=alpha_bar, kind=kind)
        at = SamplerState(step=step, steps=len(timesteps), t=t, alpha_bar=alpha_bar, x=seen, predict=predict)
        if hooks.before_step is not None:
            x = hooks.before_step(x, at)
            seen = scheduler.scale_model_input(x, t)
        output = denoise(seen, t, prompt)
        state = replace(at, x=seen)
        if hooks.on_x0 is not None:
            x0 = hooks.on_x0(x0_of(output, seen, alpha_bar, kind=kind), state)
            output = output_of(x0, seen, alpha_bar, kind=kind)
        if hooks.look is not None:
            hooks.look(x0_of(output, seen, alpha_bar, kind=kind), state)
        x = scheduler.step(output, t, x, return_dict=False, **extra)[0]
        if hooks.after_step is not None:
            x = hooks.after_step(x, state)
        x = watch(step, t, x)
    return x


def _predictor(
    denoise: DenoiserOf[Said], prompt: Said, *, t: Tensor, alpha_bar: float, kind: str
) -> Callable[[Tensor], Tensor]:
    def predict(x: Tensor) -> Tensor:
        return x0_of(denoise(x, t, prompt), x, alpha_bar, kind=kind)

    return predict


def x0_of(output: Tensor, x: Tensor, alpha_bar: float | Tensor, *, kind: str) -> Tensor:
    """The clean sample behind a model output of `kind` "epsilon", "v_prediction" or "sample", in any shape."""
    signal, noise = _amounts(alpha_bar)
    if kind == "epsilon":
        return (x - noise * output) / signal
    if kind == "v_prediction":
        return signal * x - noise * output
    if kind == "sample":
        return output
    raise InputError(
        f"a scheduler of prediction type {kind!r}: expected epsilon, v_prediction or sample; use another stack"
    )


def output_of(x0: Tensor, x: Tensor, alpha_bar: float | Tensor, *, kind: str) -> Tensor:
    """The model output of that kind, in any shape, that means this x0: the inverse of `x0_of`."""
    signal, noise = _amounts(alpha_bar)
    if kind == "epsilon":
        return (x - signal * x0) / noise
    if kind == "v_prediction":
        return (signal * x - x0) / noise
    return x0


def _amounts(alpha_bar: float | Tensor) -> tuple[float | Tensor, float | Tensor]:
    """How much of the clean sample and how much of the noise there is at this share of signal."""
    return alpha_bar**0.5, (1 - alpha_bar) ** 0.5


def _alpha_bar(scheduler: Any, index: int, t: Tensor) -> float:
    """The share of signal at a step, from the scheduler's sigmas where it has sigmas, else from its timestep."""
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is not None:
        return float(1 / (1 + sigmas[index].double() ** 2))
    return float(scheduler.alphas_cumprod[int(t)].double())


def _step_arguments(scheduler: Any, generators: list[torch.Generator], eta: float) -> dict[str, Any]:
    known = inspect.signature(scheduler.step).parameters
    if eta and "eta" not in known:
        raise UsageError(f"eta {eta} means nothing to {type(scheduler).__name__}; leave it at 0 or use ddim")
    return ({"eta": eta} if "eta" in known else {}) | ({"generator": generators} if "generator" in known else {})
