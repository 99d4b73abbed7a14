"""A diffusion prior in embedding space: from a regression's prediction to one that looks like a real embedding.

    prior = Prior(64, PriorSettings())
    prior.loss(truth, guess, step=step, noise=noise)      # (sample,)
    prior.draw(guess, seeds=[0, 1, ...])                  # (sample, target)

A regression answers with the mean of what is possible; the prior draws one of the possibilities (Ramesh et al. 2022;
in brain decoding Scotti et al. 2023). It predicts the clean embedding, and DDIM walks a few steps from noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from brain.errors import UsageError

WAVES = 16
"""Time is told in so many sines and as many cosines."""


@dataclass(frozen=True, kw_only=True)
class PriorSettings:
    """`width` and `depth` of the denoiser, `train_steps` of the noising schedule (cosine), `steps` of sampling."""

    width: int = 256
    depth: int = 2
    train_steps: int = 100
    steps: int = 10

    def __post_init__(self) -> None:
        if min(self.width, self.depth, self.steps) < 1 or self.steps > self.train_steps:
            raise UsageError(f"prior: expected sizes of 1 or more and at most {self.train_steps} steps, found {self}")


class Prior(nn.Module):
    """The denoiser and its schedule."""

    def __init__(self, targets: int, settings: PriorSettings) -> None:
        super().__init__()
        self.settings, self.targets = settings, targets
        self.enter = nn.Linear(2 * targets + 2 * WAVES, settings.width)
        self.norms = nn.ModuleList(nn.LayerNorm(settings.width) for _ in range(settings.depth))
        self.layers = nn.ModuleList(nn.Linear(settings.width, settings.width) for _ in range(settings.depth))
        self.leave = nn.Linear(settings.width, targets)

    @cached_property
    def schedule(self) -> Any:
        """The noising schedule, diffusers' DDIM with prediction of the clean sample."""
        from diffusers import DDIMScheduler

        return DDIMScheduler(
            num_train_timesteps=self.settings.train_steps,
            beta_schedule="squaredcos_cap_v2",
            prediction_type="sample",
            clip_sample=False,
            timestep_spacing="trailing",
        )

    def forward(self, noised: Tensor, prediction: Tensor, step: Tensor) -> Tensor:
        """Noised embeddings and predictions (sample, target), steps (sample,) int64 -> clean embeddings."""
        turns = step[:, None] / self.settings.train_steps * torch.pi * torch.arange(1, WAVES + 1, device=step.device)
        x = self.enter(torch.cat([noised, prediction, turns.sin(), turns.cos()], -1))
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + F.gelu(layer(norm(x)))
        out: Tensor = self.leave(x)
        return out

    def loss(self, truth: Tensor, prediction: Tensor, *, step: Tensor, noise: Tensor) -> Tensor:
        """(sample,) mean squared error of the clean embedding, seen through this noise at these steps."""
        noised = self.schedule.add_noise(truth, noise, step)
        out: Tensor = (self(noised, prediction, step) - truth).square().mean(-1)
        return out

    def noise_of(self, generators: Sequence[torch.Generator]) -> tuple[Tensor, Tensor]:
        """Steps (sample,) and noise (sample, target) for `loss`, each sample by its own generator."""
        top = self.settings.train_steps
        step = torch.cat([torch.randint(top, (1,), generator=one) for one in generators])
        return step, torch.stack([torch.randn(self.targets, generator=one) for one in generators])

    @torch.no_grad()
    def draw(self, prediction: Tensor, *, seeds: Sequence[int]) -> Tensor:
        """Embeddings (sample, target) for these predictions, each from the noise of its own seed."""
        if len(seeds) != len(prediction):
            raise UsageError(f"prior: {len(prediction)} predictions but {len(seeds)} seeds; give one each")
        if not len(prediction):
            return prediction
        starts = [torch.randn(self.targets, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        x = torch.stack(starts).to(prediction)
        self.schedule.set_timesteps(self.settings.steps)
        for step in self.schedule.timesteps:
            clean = self(x, prediction, step.expand(len(x)).to(prediction.device))
            x = self.schedule.step(clean, int(step), x).prev_sample
        return x
