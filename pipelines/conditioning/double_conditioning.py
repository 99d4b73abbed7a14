"""Double conditioning (Chen et al. 2023, MinD-Vis): a brain tells a text-conditioned UNet what to draw by two paths.

    width = open_slot(unet)                                   # where a vector joins the time embedding
    prompter = BrainPrompter(settings, sizes, empty=nothing, centre=centre)
    model = DoublyConditioned(unet, prompter)
    model.settle()                                            # the parts that learn, all others frozen

cross  the brain's tokens, mixed to as many as the stack's text has, are added to the empty text's hidden states
time   a pooled vector is added to the time embedding

Both begin at zero, so that training starts from what the stack draws when nobody tells it, and that empty prompt is
also what dropped conditions and guidance see. Beside the mixtures stands a linear read-out of all tokens through
`rank` numbers, for each path; it too begins at zero, or where a ridge puts it (`pipelines.conditioning.ridge_start`).

The vector travels by the UNet's `class_labels`: a UNet with an image condition (unCLIP, the miniature) keeps its own
projection of it, any other gets diffusers' "identity" class embedding, which has no weights. So the sampler, its lanes
and its guidance serve this UNet as they are, and no code of diffusers' is hooked into; `time_cond_proj_dim` would pass
through the time network and `addition_embed_type` is made of the text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from brain.catalogue import unknown
from brain.errors import InputError, UsageError
from encoders.masked.model import MaskedBrain
from encoders.masked.readout import PRETRAINING
from encoders.settings import MaskedSettings
from pipelines.sampling.sampler import Prompt

PATHS = ("both", "cross", "time")
POOLED = 8
"""Mixtures of the brain's tokens that make up the pooled vector."""
CROSS = re.compile(r"\.transformer_blocks\.\d+\.(attn2|norm2)\.")
"""The UNet's cross-attention and the norm before it: what learns of the UNet where the path "cross" is on."""


@dataclass(frozen=True, kw_only=True)
class PromptSizes:
    """Sizes of what a conditioning encoder joins.

    patches      of the brain
    tokens, dim  of the stack's text
    slot         width of the vector the UNet takes beside the time, see `open_slot`
    paths        both, cross or time
    rank         numbers that the linear read-out takes from the brain
    """

    patches: int
    tokens: int
    dim: int
    slot: int
    paths: str = "both"
    rank: int = 256

    def __post_init__(self) -> None:
        if self.paths not in PATHS:
            raise UsageError(unknown("path", self.paths, PATHS))

    @property
    def cross(self) -> bool:
        """Whether the brain speaks through cross-attention."""
        return self.paths != "time"

    @property
    def time(self) -> bool:
        """Whether the brain speaks through the time embedding."""
        return self.paths != "cross"


class ConditioningEncoder(nn.Module):
    """Patches of a response -> the `Prompt` a UNet draws from."""

    centre: Tensor
    empty_text: Tensor
    empty_image: Tensor

    def __init__(self, brain: MaskedSettings, sizes: PromptSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.brain = MaskedBrain(brain)
        self.register_buffer("centre", torch.zeros(sizes.patches, 3))
        self.register_buffer("empty_text", torch.zeros(1, sizes.tokens, sizes.dim))
        self.register_buffer("empty_image", torch.zeros(1, sizes.slot))
        self.read = nn.Linear(sizes.patches * brain.width, sizes.rank, bias=False)
        if sizes.cross:
            self.mix = nn.Linear(sizes.patches, sizes.tokens)
            self.text_norm = nn.LayerNorm(brain.width)
            self.to_text = _silent(brain.width, sizes.dim)
            self.say_text = _silent(sizes.rank, sizes.tokens * sizes.dim)
        if sizes.time:
            self.pool = nn.Linear(sizes.patches, POOLED)
            self.time_norm = nn.LayerNorm(POOLED * brain.width)
            self.to_time = _silent(POOLED * brain.width, sizes.slot)
            self.say_time = _silent(sizes.rank, sizes.slot)

    def forward(self, patches: Tensor, dropped: Tensor | None = None) -> Prompt:
        """Patches (sample, patch, size) of z-scores -> the prompt; rows of `dropped` (sample,) bool get the empty one.

        Another number of patches is an InputError.
        """
        if patches.shape[1] != self.sizes.patches:
            raise InputError(
                f"brain: expected {self.sizes.patches} patches, found {patches.shape[1]}; "
                "use the voxels it learned from"
            )
        count = len(patches)
        empty_text, empty_image = self.empty_text.expand(count, -1, -1), self.empty_image.expand(count, -1)
        tokens = self.brain.encode(patches, self.centre)
        read, mixed = self.read_out(tokens), tokens.transpose(1, 2)
        text, image = empty_text, empty_image
        if self.sizes.cross:
            said = self.say_text(read).unflatten(1, (self.sizes.tokens, self.sizes.dim))
            text = text + self.to_text(self.text_norm(self.mix(mixed).transpose(1, 2))) + said
        if self.sizes.time:
            image = image + self.to_time(self.time_norm(self.pool(mixed).flatten(1))) + self.say_time(read)
        if dropped is not None:
            text = torch.where(dropped[:, None, None], empty_text, text)
            image = torch.where(dropped[:, None], empty_image, image)
        return Prompt(text=text, image=image)

    def read_out(self, tokens: Tensor) -> Tensor:
        """Tokens (sample, patch, width) -> (sample, rank)."""
        flat = tokens.flatten(1)
        # a step of Adam moves every weight alike, and there are as many as features: it must not move the sum as far
        out: Tensor = self.read(flat / math.sqrt(flat.shape[1]))
        return out

    @property
    def dtype(self) -> torch.dtype:
        """Its number type; diffusers reads it of every component."""
        return self.centre.dtype

    @property
    def device(self) -> torch.device:
        """Its device; diffusers reads it of every component."""
        return self.centre.device

    def empty(self) -> Prompt:
        """The prompt that says nothing, (1, ...)."""
        return Prompt(text=self.empty_text, image=self.empty_image)

    def settle(self) -> ConditioningEncoder:
        """Let everything learn but what only pretraining used: the encoder's decoder."""
        self.requires_grad_(True)
        for name in PRETRAINING:
            getattr(self.brain, name).requires_grad_(False)
        return self


class DoublyConditioned(nn.Module):
    """A UNet and its conditioning encoder as one network, to be trained together."""

    def __init__(self, unet: Any, prompter: ConditioningEncoder) -> None:
        super().__init__()
        self.unet, self.prompter = unet, prompter

    def forward(self, x: Tensor, t: Tensor, patches: Tensor, dropped: Tensor) -> Tensor:
        """Noisy latents (sample, channel, y, x) at timesteps (sample,) -> the UNet's output under the brain."""
        prompt = self.prompter(patches, dropped)
        out: Tensor = self.unet(x, t, encoder_hidden_states=prompt.text, class_labels=prompt.image, return_dict=False)[
            0
        ]
        return out

    def settle(self) -> DoublyConditioned:
        """Freeze all but the brain's encoder, its projections and, on the path "cross", the cross-attention."""
        self.prompter.settle()
        for name, weight in self.unet.named_parameters():
            weight.requires_grad_(self.prompter.sizes.cross and CROSS.search(name) is not None)
        return self


def open_slot(unet: Any) -> int:
    """The width of the vector this UNet takes beside the time; a UNet without a place for one gets "identity".

    A UNet whose place is taken by classes or other conditions is an InputError.
    """
    config = unet.config
    taken = [
        f"{name} {getattr(config, name)!r}"
        for name in ("num_class_embeds", "addition_embed_type", "encoder_hid_dim_type", "class_embeddings_concat")
        if getattr(config, name)
    ]
    if taken or config.class_embed_type not in (None, "identity", "projection"):
        came = ", ".join(taken) or f"class_embed_type {config.class_embed_type!r}"
        raise InputError(f"double conditioning: this UNet takes other conditions ({came}); choose a plain text stack")
    if config.class_embed_type == "projection":
        return int(config.projection_class_embeddings_input_dim)
    unet.class_embedding = nn.Identity()
    unet.register_to_config(class_embed_type="identity")
    return int(unet.time_embedding.linear_2.out_features)


def _silent(width: int, out: int) -> nn.Linear:
    """A linear layer that says nothing before it has learned."""
    layer = nn.Linear(width, out)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
