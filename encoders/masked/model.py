"""Masked brain modelling (Chen et al. 2023, MinD-Vis): hide most of a response and predict it from the rest.

    model = MaskedBrain(MaskedSettings())
    model(patches, centre, valid, noise)          # (trial,) the loss of each trial
    model.encode(patches, centre)                 # (trial, patch, width) tokens of all that was measured

A trial is a row of patches of neighbouring voxels (`encoders.masked.patches`). The encoder (a masked autoencoder, He et
al. 2022) reads the visible patches alone, at widths many times the patch (sparse coding: 12 numbers a voxel in the
default); a narrow decoder fills in the hidden ones. A patch's position is where it lies in millimetres, so that
subjects of any voxel count share one network. Training runs in `encoders.pretrain`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.settings import MaskedSettings

WAVELENGTHS_MM = (256.0, 128.0, 64.0, 32.0, 16.0, 8.0)
"""Position is told in sines and cosines of these wavelengths along x, y and z."""


class Block(nn.Module):
    """A transformer block: normalise, attend, normalise, two linear layers."""

    def __init__(self, width: int, heads: int, mlp: float) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_attention, self.from_attention = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, round(mlp * width)), nn.Linear(round(mlp * width), width)

    def forward(self, x: Tensor) -> Tensor:
        """(trial, token, width) -> the same."""
        trials, tokens, width = x.shape
        parts = self.to_attention(self.first(x)).view(trials, tokens, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(trials, tokens, width)
        x = x + self.from_attention(mixed)
        out: Tensor = x + self.down(F.gelu(self.up(self.second(x))))
        return out


class MaskedBrain(nn.Module):
    """The masked autoencoder over patches of voxels."""

    def __init__(self, settings: MaskedSettings) -> None:
        super().__init__()
        self.settings = settings
        width, narrow = settings.width, settings.decoder_width
        self.embed = nn.Linear(settings.patch, width)
        self.place = nn.Linear(6 * len(WAVELENGTHS_MM), width)
        self.blocks = nn.ModuleList(Block(width, settings.heads, settings.mlp) for _ in range(settings.depth))
        self.norm = nn.LayerNorm(width)
        self.to_decoder = nn.Linear(width, narrow)
        self.hidden = nn.Parameter(torch.zeros(narrow))
        self.decoder_place = nn.Linear(6 * len(WAVELENGTHS_MM), narrow)
        self.decoder = nn.ModuleList(Block(narrow, settings.heads, 2.0) for _ in range(settings.decoder_depth))
        self.decoder_norm = nn.LayerNorm(narrow)
        self.predict = nn.Linear(narrow, settings.patch)

    def encode(self, patches: Tensor, centre: Tensor, keep: Tensor | None = None) -> Tensor:
        """Patches (trial, patch, size), centres (patch, 3) in mm -> tokens (trial, kept, width).

        keep  (trial, kept) int64, the patches to look at; None looks at all
        """
        tokens: Tensor = self.embed(patches if keep is None else _rows(patches, keep))
        place = self.place(waves(centre))
        tokens = tokens + (place if keep is None else place[keep])
        for block in self.blocks:
            tokens = block(tokens)
        out: Tensor = self.norm(tokens)
        return out

    def forward(self, patches: Tensor, centre: Tensor, valid: Tensor, noise: Tensor, seen: Tensor) -> Tensor:
        """(trial,) mean squared error over the voxels of the hidden patches.

        patches  (trial, patch, size) z-scores to predict; `seen` the same, augmented, to predict from
        centre   (patch, 3) mm; valid (patch, size) bool
        noise    (trial, patch) uniform numbers: the lowest are the visible patches
        """
        kept = self.settings.kept(patches.shape[1])
        order = noise.argsort(1)
        keep, hide = order[:, :kept], order[:, kept:]
        known = self.to_decoder(self.encode(seen, centre, keep))
        place = self.decoder_place(waves(centre))
        tokens = torch.cat([known + place[keep], self.hidden + place[hide]], 1)
        for block in self.decoder:
            tokens = block(tokens)
        prediction = self.predict(self.decoder_norm(tokens[:, kept:]))
        counts = valid[hide]
        squared = (prediction.float() - _rows(patches, hide)).square() * counts
        out: Tensor = squared.sum((1, 2)) / counts.sum((1, 2)).clamp(min=1)
        return out


def augmented(patches: Tensor, settings: MaskedSettings, generators: Sequence[torch.Generator]) -> Tensor:
    """Patches (trial, patch, size) with voxels dropped and noise added, each trial by its own generator."""
    out = torch.empty_like(patches)
    for row, generator in enumerate(generators):
        kept = torch.rand(patches.shape[1:], generator=generator) >= settings.drop
        out[row] = patches[row] * kept + settings.noise * torch.randn(patches.shape[1:], generator=generator)
    return out


def waves(centre: Tensor) -> Tensor:
    """Places (patch, 3) in mm -> (patch, 36) sines and cosines."""
    turns = centre[:, :, None] * (2 * torch.pi / torch.tensor(WAVELENGTHS_MM, device=centre.device))
    return torch.cat([turns.sin(), turns.cos()], -1).flatten(1)


def _rows(patches: Tensor, which: Tensor) -> Tensor:
    """(trial, patch, size) and (trial, some) -> (trial, some, size)."""
    return patches.gather(1, which[:, :, None].expand(-1, -1, patches.shape[2]))
