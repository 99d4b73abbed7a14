"""What a picture costs at true size, counted and not run: python -m benchmarks.synthesis_cost [sd15] [sd21-base] [sd21]

Networks of the published shapes on the meta device, no weights: forward passes and gradients are counted by torch's own
counter, what a gradient keeps by its own hooks, and ways to synthesize are sums of them, beside the loop that BrainDiVE
released. sd14 has the shapes of sd15; sd-turbo, which needs 1 to 4 steps, those of sd21-base.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pipelines.sampling.sampler import Prompt, unet_denoiser

TERA, GIB = 1e12, 2.0**30


@dataclass(frozen=True, kw_only=True)
class Size:
    """A stack's published shape: latents (4, latent, latent), text (77, text), what its UNet has beside the usual."""

    latent: int
    text: int
    unet: Mapping[str, Any] = field(default_factory=dict)


LATER = {"attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True}
SIZES = {
    "sd15": Size(latent=64, text=768),
    "sd21-base": Size(latent=64, text=1024, unet=LATER),
    "sd21": Size(latent=96, text=1024, unet=LATER),
}


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One network: millions of weights, TFLOP of a pass and of one with its gradient, GiB the gradient keeps in half
    precision (an upper bound: no checkpointing, nothing freed early)."""

    weights: float
    forward: float
    back: float
    kept: float


def counted(work: Callable[[Tensor], Tensor], shape: tuple[int, ...], *, weights: float) -> Piece:
    """What one pass over an input of that shape costs, and one with the gradient with respect to it."""
    seen: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        own = tensor if tensor._base is None else tensor._base
        if not isinstance(own, nn.Parameter):
            seen[id(own)] = own  # held, so that no other tensor gets its id
        return tensor

    x = torch.empty(shape, device="meta", requires_grad=True)
    with FlopCounterMode(display=False) as counter, torch.enable_grad():
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            out = work(x)
        forward = counter.get_total_flops()
        torch.autograd.backward(out, torch.empty_like(out), inputs=[x])
    return Piece(
        weights=weights,
        forward=forward / TERA,
        back=counter.get_total_flops() / TERA,
        kept=sum(tensor.numel() * 2 for tensor in seen.values()) / GIB,
    )


def networks(size: Size) -> dict[str, Any]:
    """UNet, autoencoder, small autoencoder and a ViT-B/16 tower of these shapes, all empty."""
    from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    four = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=size.text, sample_size=size.latent, **size.unet)
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), down_block_types=four[0], up_block_types=four[1],
            latent_channels=4, layers_per_block=2, sample_size=8 * size.latent,
        )  # fmt: skip
        tiny = AutoencoderTiny()
        tower = CLIPVisionModelWithProjection(CLIPVisionConfig(patch_size=16, projection_dim=512))
    unet.set_attn_processor(AttnProcessor())
    found: dict[str, Any] = {"unet": unet, "vae": vae, "tiny": tiny, "tower": tower}
    for network in found.values():
        if isinstance(network, nn.Module):
            network.eval().requires_grad_(False)
    return found


def pieces(size: Size) -> dict[str, Piece]:
    """Name -> what one pass of it costs, called as the pipelines call it."""
    found = networks(size)
    latents = (1, 4, size.latent, size.latent)
    prompt, t = Prompt(text=torch.empty(1, 77, size.text, device="meta")), torch.tensor(1, device="meta")
    denoise = unet_denoiser(found["unet"])
    passes: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
        "unet": (lambda x: denoise(x, t, prompt), latents),
        "vae": (lambda x: found["vae"].decode(x, return_dict=False)[0], latents),
        "tiny": (lambda x: found["tiny"].decode(x, return_dict=False)[0], latents),
        "tower": (lambda x: found["tower"](pixel_values=x).image_embeds, (1, 3, 224, 224)),
    }
    return {
        name: counted(work, shape, weights=sum(weight.numel() for weight in found[name].parameters()) / 1e6)
        for name, (work, shape) in passes.items()
    }


def methods(piece: Mapping[str, Piece]) -> dict[str, float]:
    """Way -> TFLOP a picture; guidance with a condition runs the UNet twice a step."""
    unet, vae, tower = piece["unet"], piece["vae"], piece["tower"]
    eye = piece["tiny"].back + tower.back
    return {
        "braindive, 50 steps": 50 * (unet.forward + unet.back + vae.back + tower.back) + vae.forward,
        "guided, 20 steps": 20 * (2 * unet.forward + eye) + vae.forward,
        "guided, 8 steps": 8 * (2 * unet.forward + eye) + vae.forward,
        "guided without a condition, 20 steps": 20 * (unet.forward + eye) + vae.forward,
        "guided without a condition, 4 steps": 4 * (unet.forward + eye) + vae.forward,
        "embedding, 20 steps": 20 * 2 * unet.forward + vae.forward,
        "noise, 12 x 1 step": 12 * (unet.back + eye) + unet.forward + vae.forward,
        "best of 16 x 1 step": 16 * (unet.forward + piece["tiny"].forward + tower.forward) + vae.forward,
        "unguided, 20 steps": 20 * unet.forward + vae.forward,
    }


def memory(piece: Mapping[str, Piece]) -> dict[str, float]:
    """Way -> GiB in half precision for one picture at a time: weights in the loop and what its gradient keeps."""
    weights = {name: one.weights * 1e6 * 2 / GIB for name, one in piece.items()}
    always = weights["unet"] + weights["vae"] + weights["tower"]
    return {
        "braindive": always + piece["unet"].kept + piece["vae"].kept + piece["tower"].kept,
        "guided": always + weights["tiny"] + piece["tiny"].kept + piece["tower"].kept,
    }


def main(words: Sequence[str]) -> int:
    """Prints pieces, memory and ways with their ratio to the published loop, for each stack asked for."""
    for name in words or SIZES:
        if name not in SIZES:
            print(f"{name}: known are {', '.join(SIZES)}", file=sys.stderr)
            return 2
        piece = pieces(SIZES[name])
        print(f"{name}, {8 * SIZES[name].latent} pixels")
        for part, one in piece.items():
            print(
                f"  {part:6} {one.weights:7.1f} M  forward {one.forward:5.2f} TFLOP, with gradient {one.back:5.2f}, "
                f"which keeps {one.kept:5.2f} GiB"
            )
        print(
            "  memory, half precision: "
            + ", ".join(f"{method} {value:.1f} GiB" for method, value in memory(piece).items())
        )
        found = methods(piece)
        whole = found["braindive, 50 steps"]
        for method, value in found.items():
            print(f"  {method:38} {value:8.1f} TFLOP a picture   1/{whole / value:.1f} of braindive")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
