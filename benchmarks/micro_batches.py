"""What a sample costs in each network of a stack, by samples a call and by memory format.

    python -m benchmarks.micro_batches
    python -m benchmarks.micro_batches --stack miniature-sound --widths 4 8 16 --repeats 5

CPU milliseconds a sample (a row of a guided step is one), on one thread, the least of `--repeats`. The peer is the same
network called as diffusers' pipelines call it, on a batch of `PEER` in one call in contiguous memory. From this table
stand `WIDTH` and `FORMATS` in `pipelines/sampling/micro_batches.py`; a run never measures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch

from pipelines.sampling.micro_batches import FORMATS, WIDTH
from pipelines.stacks.find import resolve
from pipelines.stacks.load import quiet

PEER = 32
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def spent(call: Callable[[], Any], *, repeats: int) -> float:
    """CPU seconds, the least of several calls after one that does not count."""
    call()
    found = []
    for _ in range(repeats):
        before = time.process_time()
        call()
        found.append(time.process_time() - before)
    return min(found)


def calls_of(pipeline: Any) -> dict[str, tuple[Any, Callable[[int], Callable[[], Any]]]]:
    """Name -> network, and how it is called on so many samples."""
    from pipelines.images.base import LatentPipeline

    unet, vae = pipeline.unet, pipeline.vae
    size = pipeline.latent_shape
    found: dict[str, tuple[Any, Callable[[int], Callable[[], Any]]]] = {}

    def denoising(width: int) -> Callable[[], Any]:
        x, t = torch.randn(width, *size), torch.tensor(500)
        if isinstance(pipeline, LatentPipeline):
            text = torch.randn(width, 16, unet.config.cross_attention_dim)
            image = torch.zeros(width, unet.config.projection_class_embeddings_input_dim or 1)
            return lambda: unet(x, t, encoder_hidden_states=text, class_labels=image)
        told = pipeline.empty(pipeline.batches()).repeat(width)
        from pipelines.sounds.prompt import sound_denoiser

        return lambda: sound_denoiser(unet)(x, t, told)

    def decoding(width: int) -> Callable[[], Any]:
        z = torch.randn(width, *size)
        return lambda: vae.decode(z)

    found["unet"] = unet, denoising
    found["vae, decoding"] = vae, decoding
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", default="miniature-image")
    parser.add_argument("--widths", type=int, nargs="+", default=[1, 4, 8, 16, 32])
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    quiet()
    torch.set_num_threads(1)
    stack = resolve(asked.stack)
    if "vocoder" in stack.components:
        from pipelines.sounds.pipeline import SoundPipeline as Pipeline
    else:
        from pipelines.images.latent_text import LatentTextPipeline as Pipeline
    pipeline = Pipeline.from_pretrained(stack.path, local_files_only=True, use_safetensors=True)
    print(f"{asked.stack}: here {WIDTH} samples a call, " + ", ".join(f"{one} {how}" for one, how in FORMATS.items()))
    with torch.inference_mode():
        for name, (network, call) in calls_of(pipeline).items():
            network.to(memory_format=torch.contiguous_format)
            peer = spent(call(PEER), repeats=asked.repeats) / PEER
            print(f"{name}: diffusers' way, {PEER} in one call: {1e3 * peer:.2f} ms a sample")
            for layout, kind in LAYOUTS.items():
                network.to(memory_format=kind)
                cells = []
                for width in asked.widths:
                    cost = spent(call(width), repeats=asked.repeats) / width
                    cells.append(f"{width}: {1e3 * cost:.2f} ({cost / peer:.2f})")
                print(f"  {layout:14s} " + "   ".join(cells))


if __name__ == "__main__":
    main()
