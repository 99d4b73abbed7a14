"""Guidance towards what a picture should do to a brain: hooks on x0 that move it uphill on an objective.

With a = alpha_bar, guidance that moves the predicted noise by -sqrt(1 - a) s g moves x0 by (1 - a) / sqrt(a) s g.
Written so, the strength s hardly depends on the number of steps, and for Gaussian data the tilted law is known (the
tests use it).

    uphill      g = sqrt(a) dA/dx0, no derivative of the UNet (MPGD, He et al. 2024, with the sqrt(a) it needs here)
    through     g = dA(x0(x)) / dx, through the UNet (DPS, Chung et al. 2023)
    braindive   g = dA(sqrt(1 - a) x0(x) + (1 - sqrt(1 - a)) x) / dx (Luo et al. 2023, as its code has it)

An objective of latents is a `Worth`: (sample, channel, y, x) -> (sample,). Every gradient is taken lane by lane, so
that a batch never changes a sample, and with respect to the latent alone: no parameter's gradient is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from brain.errors import InputError
from pipelines.sampling.micro_batches import MicroBatches
from pipelines.sampling.sampler import Hook, SamplerState

Worth = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The objective at each step of a denoising loop: `values` gathers (sample,) float lists, one a step."""

    values: list[list[float]] = field(default_factory=list)

    def of(self, sample: int) -> tuple[float, ...]:
        """The trajectory of one sample."""
        return tuple(step[sample] for step in self.values)


def slope(worth: Worth, x: Tensor, batches: MicroBatches) -> tuple[Tensor, Tensor]:
    """(sample,) worth of x, and its gradient, (sample, ...); a gradient that is not finite is an InputError."""

    def micro_batch(part: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = part.detach().requires_grad_(True)
            value = worth(leaf)
            torch.autograd.backward(value.sum(), inputs=[leaf])
            gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        # one tensor comes back from a lane: the value rides along as one more entry of each sample
        return torch.cat([value.detach()[:, None].to(gradient.dtype), gradient.flatten(1)], 1)

    found = batches.run(micro_batch, x)
    value, gradient = found[:, 0], found[:, 1:].reshape(x.shape)
    if not torch.isfinite(found).all():
        bad = int((~torch.isfinite(found)).any(1).sum())
        raise InputError(
            f"guidance: the gradient of {bad} of {len(x)} samples is not finite; use a smaller --scale or float32"
        )
    return value, gradient


def uphill(worth: Worth, *, scale: float, batches: MicroBatches, trace: Trace) -> Hook:
    """x0 moves along the objective's own gradient; the UNet is never differentiated."""

    def on_x0(x0: Tensor, state: SamplerState) -> Tensor:
        value, gradient = slope(worth, x0, batches)
        trace.values.append(value.tolist())
        return x0 + (1 - state.alpha_bar) * scale * gradient

    return on_x0


def through(worth: Worth, *, scale: float, batches: MicroBatches, trace: Trace) -> Hook:
    """x0 moves along the gradient that has passed the UNet."""
    return _differentiated(worth, scale=scale, batches=batches, trace=trace, blended=False)


def braindive(worth: Worth, *, scale: float, batches: MicroBatches, trace: Trace) -> Hook:
    """BrainDiVE's own: through the UNet, the objective on a blend that is x0 at first and the noisy latent at last."""
    return _differentiated(worth, scale=scale, batches=batches, trace=trace, blended=True)


def _differentiated(worth: Worth, *, scale: float, batches: MicroBatches, trace: Trace, blended: bool) -> Hook:
    def on_x0(x0: Tensor, state: SamplerState) -> Tensor:
        noise = (1 - state.alpha_bar) ** 0.5

        def of_noisy(x: Tensor) -> Tensor:
            seen = state.predict(x)
            at = noise * seen + (1 - noise) * x if blended else seen
            return batches.run(lambda part: worth(part)[:, None], at)[:, 0]

        # networks and objective run in lanes of their own; the chain between them is one piece, whose way back is taken
        # on the lanes' own number of threads, for a gradient's bits depend on it as much as a network's
        value, gradient = slope(of_noisy, state.x, replace(batches, width=len(x0), workers=1))
        trace.values.append(value.tolist())
        moved: Tensor = x0 + (1 - state.alpha_bar) / state.alpha_bar**0.5 * scale * gradient
        return moved

    return on_x0
