"""A training step of masked brain modelling, ours against the published architecture written plainly, in one run.

    python -m benchmarks.masked_modelling [--trials 32] [--patches 320] [--rounds 5]

The peer has the same sizes and batch: patches through one convolution, every patch in the encoder's attention (hidden
ones as zeros), plain modules throughout, the decoder over all patches, the loss over hidden ones. Ours lets the
encoder see the visible quarter alone and predicts only what is hidden. Rounds alternate; the best of each counts.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import nn

from encoders.masked.model import MaskedBrain, waves
from encoders.settings import MaskedSettings


class PlainBlock(nn.Module):
    """A transformer block of nn.MultiheadAttention and nn.Sequential."""

    def __init__(self, width: int, heads: int, mlp: float) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        hidden = round(mlp * width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.first(x)
        x = x + self.attention(seen, seen, seen)[0]
        return x + self.mlp(self.second(x))


class Plain(nn.Module):
    """The published masked autoencoder, with all patches in attention."""

    def __init__(self, how: MaskedSettings, patches: int) -> None:
        super().__init__()
        self.how = how
        self.embed = nn.Conv1d(1, how.width, how.patch, stride=how.patch)
        self.place = nn.Parameter(torch.randn(patches, how.width) * 0.02, requires_grad=False)
        self.blocks = nn.Sequential(*(PlainBlock(how.width, how.heads, how.mlp) for _ in range(how.depth)))
        self.norm = nn.LayerNorm(how.width)
        self.to_decoder = nn.Linear(how.width, how.decoder_width)
        self.decoder_place = nn.Parameter(torch.randn(patches, how.decoder_width) * 0.02, requires_grad=False)
        decoder = (PlainBlock(how.decoder_width, how.heads, 2.0) for _ in range(how.decoder_depth))
        self.decoder = nn.Sequential(*decoder)
        self.predict = nn.Linear(how.decoder_width, how.patch)

    def forward(self, patches: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        seen = patches * ~hidden[:, :, None]
        tokens = self.embed(seen.flatten(1)[:, None]).transpose(1, 2) + self.place
        tokens = self.norm(self.blocks(tokens))
        guess = self.predict(self.decoder(self.to_decoder(tokens) + self.decoder_place))
        return ((guess - patches).square().mean(2) * hidden).sum() / hidden.sum()


def main() -> None:
    """Print samples a second of both and their ratio."""
    words = argparse.ArgumentParser(prog="python -m benchmarks.masked_modelling", description=__doc__.splitlines()[0])
    words.add_argument("--trials", type=int, default=32)
    words.add_argument("--patches", type=int, default=320)
    words.add_argument("--rounds", type=int, default=5)
    asked = words.parse_args()
    published = MaskedSettings(width=1024, depth=24, heads=16, decoder_width=512, decoder_depth=8)
    for name, how, trials in (("default", MaskedSettings(), asked.trials), ("published", published, 2)):
        ours, plain = _compare(how, trials=trials, patches=asked.patches, rounds=asked.rounds)
        print(f"{name:>9}: width {how.width}, depth {how.depth}, {asked.patches} patches, {trials} trials a step")
        print(f"           ours {ours:.1f} samples/s, plain {plain:.1f} samples/s, ratio {ours / plain:.2f}")


def _compare(how: MaskedSettings, *, trials: int, patches: int, rounds: int) -> tuple[float, float]:
    torch.manual_seed(0)
    mine, theirs = MaskedBrain(how), Plain(how, patches)
    values, centre = torch.randn(trials, patches, how.patch), torch.randn(patches, 3) * 30
    valid, noise = torch.ones(patches, how.patch, dtype=torch.bool), torch.rand(trials, patches)
    hidden = torch.ones(trials, patches, dtype=torch.bool)
    hidden.scatter_(1, noise.argsort(1)[:, : how.kept(patches)], False)
    waves(centre)
    optimisers = [
        torch.optim.AdamW((p for p in net.parameters() if p.requires_grad), lr=1e-4) for net in (mine, theirs)
    ]

    def step(which: int) -> float:
        began = time.perf_counter()
        loss = mine(values, centre, valid, noise, values).mean() if which == 0 else theirs(values, hidden)
        loss.backward()
        optimisers[which].step()
        optimisers[which].zero_grad()
        return time.perf_counter() - began

    best = [min(step(which) for _ in range(1 + (round_ == 0))) for round_ in range(rounds) for which in (0, 1)]
    return trials / min(best[0::2]), trials / min(best[1::2])


if __name__ == "__main__":
    main()
