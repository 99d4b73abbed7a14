"""The ventral network of the simulated cortex: a small convolutional net that knows what a picture shows.

It is the simulator's own: other seeds, another architecture and another training set than every decoder, tower and
judge, so that nothing a decoder uses can compute a response. Its read-outs drive the category regions of
`visual_cortex.py`.
Trained by the stage "cortex" of `pipelines.miniature.recipe_image`; the weights lie beside this file.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from brain.files.tensors import finite_header, read_torch
from brain.simulated.scenes.colours import COLOURS
from brain.simulated.scenes.scene import LIGHTS, POSITIONS, SETTINGS, SIZES
from brain.simulated.scenes.things import CATEGORIES, KINDS

PIXELS = 64
WIDTHS = (24, 48, 96, 160)
READOUTS: dict[str, tuple[str, ...]] = {
    "category": tuple(CATEGORIES),
    "kind": tuple(KINDS),
    "colour": tuple(COLOURS),
    "size": SIZES,
    "position": POSITIONS,
    "setting": SETTINGS,
    "light": LIGHTS,
    "companion": (*CATEGORIES, "none"),
}
WEIGHTS = Path(__file__).parent / "ventral.safetensors"


class _Block(nn.Module):
    """Halve the picture, then look twice, the second time as a residual."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(width_in, width_out, 4, stride=2, padding=1)
        self.norm_down = nn.GroupNorm(8, width_out)
        self.look = nn.Conv2d(width_out, width_out, 3, padding=1)
        self.norm_look = nn.GroupNorm(8, width_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.gelu(self.norm_down(self.down(x)))
        out: torch.Tensor = x + nn.functional.gelu(self.norm_look(self.look(x)))
        return out


class VentralNet(nn.Module):
    """Pictures (batch, 3, 64, 64) in [0, 1] -> feature (batch, 256); `readout` gives logits per group of `READOUTS`."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_Block(a, b) for a, b in zip((3, *WIDTHS[:-1]), WIDTHS, strict=True)))
        self.gather = nn.Linear(WIDTHS[-1] * (PIXELS // 16) ** 2, 256)
        self.heads = nn.ModuleDict({group: nn.Linear(256, len(values)) for group, values in READOUTS.items()})

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """The feature (batch, 256) of pictures (batch, 3, 64, 64)."""
        feature: torch.Tensor = nn.functional.gelu(self.gather(self.blocks(pictures * 2 - 1).flatten(1)))
        return feature

    def readout(self, feature: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits (batch, value) of every group."""
        return {group: head(feature) for group, head in self.heads.items()}


def load_ventral() -> VentralNet:
    """The trained net, in evaluation mode, without gradients to its weights."""
    then = "install the package again, or run pipelines.miniature.recipe_image"
    finite_header(WEIGHTS, what="the weights of the simulated brain", then=then)
    net = VentralNet()
    net.load_state_dict(read_torch(WEIGHTS))
    return net.eval().requires_grad_(False)
