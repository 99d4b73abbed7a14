"""What a picture costs at Stable Diffusion's true size, counted and not run: python -m benchmarks.synthesis_cost

Networks of the published shapes on the meta device, no weights: forward passes and gradients are counted by torch's own
counter, and ways to synthesize are sums of them, beside the loop that BrainDiVE released.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

TERA = 1e12


def counted(work: Callable[[Tensor], Tensor], shape: tuple[int, ...], *, gradient: bool) -> float:
    """TFLOP of one pass over an input of that shape, with or without the gradient with respect to it."""
    x = torch.empty(shape, device="meta", requires_grad=gradient)
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(gradient):
        out = work(x)
        if gradient:
            torch.autograd.backward(out, torch.empty_like(out), inputs=[x])
    return float(counter.get_total_flops()) / TERA


def networks() -> dict[str, Any]:
    """UNet, autoencoder and small autoencoder of Stable Diffusion 1.5, and a ViT-B/16 tower, all empty."""
    from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    four = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768, sample_size=64)
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), down_block_types=four[0], up_block_types=four[1],
            latent_channels=4, layers_per_block=2, sample_size=512,
        )  # fmt: skip
        tiny = AutoencoderTiny()
        tower = CLIPVisionModelWithProjection(CLIPVisionConfig(patch_size=16, projection_dim=512))
    unet.set_attn_processor(AttnProcessor())
    found: dict[str, Any] = {"unet": unet, "vae": vae, "tiny": tiny, "tower": tower}
    for network in found.values():
        if isinstance(network, nn.Module):
            network.eval().requires_grad_(False)
    return found


def pieces() -> dict[str, float]:
    """Name -> TFLOP of one pass; "... back" holds the gradient to the input too."""
    found = networks()
    text, t = torch.empty(1, 77, 768, device="meta"), torch.tensor(1, device="meta")
    passes: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
        "unet": (lambda x: found["unet"](x, t, text, return_dict=False)[0], (1, 4, 64, 64)),
        "vae": (lambda x: found["vae"].decode(x, return_dict=False)[0], (1, 4, 64, 64)),
        "tiny": (lambda x: found["tiny"].decode(x, return_dict=False)[0], (1, 4, 64, 64)),
        "tower": (lambda x: found["tower"](pixel_values=x).image_embeds, (1, 3, 224, 224)),
    }
    costs = {}
    for name, (work, shape) in passes.items():
        costs[name] = counted(work, shape, gradient=False)
        costs[f"{name} back"] = counted(work, shape, gradient=True)
    return costs


def ways(cost: dict[str, float]) -> dict[str, float]:
    """Way -> TFLOP a picture at 512 pixels; guidance with a condition runs the UNet twice a step."""
    eye = cost["tiny back"] + cost["tower back"]
    return {
        "braindive, 50 steps": 50 * (cost["unet"] + cost["unet back"] + cost["vae back"] + cost["tower back"])
        + cost["vae"],
        "guided, 20 steps": 20 * (2 * cost["unet"] + eye) + cost["vae"],
        "guided, 8 steps": 8 * (2 * cost["unet"] + eye) + cost["vae"],
        "guided without a condition, 20 steps": 20 * (cost["unet"] + eye) + cost["vae"],
        "embedding, 20 steps": 20 * 2 * cost["unet"] + cost["vae"],
        "noise, 12 x 1 step": 12 * (cost["unet back"] + eye) + cost["unet"] + cost["vae"],
        "best of 16 x 1 step": 16 * (cost["unet"] + cost["tiny"] + cost["tower"]) + cost["vae"],
        "unguided, 20 steps": 20 * cost["unet"] + cost["vae"],
    }


def main() -> int:
    """Prints pieces and ways with their ratio to the published loop."""
    cost = pieces()
    print("one pass, TFLOP: " + ", ".join(f"{name} {value:.2f}" for name, value in cost.items()))
    found = ways(cost)
    whole = found["braindive, 50 steps"]
    for name, value in found.items():
        print(f"{name:40} {value:8.1f} TFLOP a picture   1/{whole / value:.1f} of braindive")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
