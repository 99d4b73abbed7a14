"""The recipe of the miniature image stack: every network from nothing, on scenes nobody will be tested on.

    accelerate launch -m pipelines.miniature.train --work runs/miniature             all stages, then export
    accelerate launch -m pipelines.miniature.train --work runs/miniature --stage clip
    torchrun --standalone --nproc_per_node 2 -m pipelines.miniature.train --work runs/miniature

The last form is what really runs two processes without a graphics card (`accelerate launch --cpu` runs one).
Stages: cortex, judge, eye, autoencoder, clip (independent of each other), text (after clip), tiny and decoder (after
autoencoder), unet (after autoencoder and text), export. Each resumes from its own checkpoint. `--scale 0.001` runs a
few steps of each, to try it out.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from brain.commands import command
from brain.tensors import read_torch
from encoders.training import leave
from pipelines.miniature import models, stages
from pipelines.miniature.data import CORTEX_SEED, JUDGE_SEED, STACK_SEED, Scenes, rendered
from pipelines.miniature.loop import Stage, indices, train

SCENES = {"cortex": 30_000, "judge": 30_000, "stack": 60_000}
STAGES = {
    "cortex": Stage(name="cortex", steps=3000, batch=64, rate=2e-3, seed=11),
    "judge": Stage(name="judge", steps=1600, batch=64, rate=2e-3, seed=12),
    "autoencoder": Stage(name="autoencoder", steps=1700, batch=32, rate=2e-3, seed=13),
    "clip": Stage(name="clip", steps=900, batch=192, rate=1e-3, seed=14, decay=0.05),
    "text": Stage(name="text", steps=1000, batch=384, rate=1e-3, seed=17, decay=0.05),
    "eye": Stage(name="eye", steps=1600, batch=64, rate=2e-3, seed=19),
    "tiny": Stage(name="tiny", steps=500, batch=32, rate=2e-3, seed=15),
    "decoder": Stage(name="decoder", steps=500, batch=32, rate=1e-3, seed=18),
    "unet": Stage(name="unet", steps=11000, batch=64, rate=1e-3, seed=16, average=0.999),
}
TEXT_ALONE, BOTH, NEITHER = 0.4, 0.5, 0.9  # a uniform draw below the first: text alone; then both; image alone; none
NOISE_LEVEL = 100  # the image embedding is noised up to this step of 1000 in training, so that a decoded one may err


@dataclass(frozen=True)
class Recipe:
    """Where the work lies and how much of it to do. `scale` multiplies steps and scenes."""

    work: Path
    scale: float
    accelerator: Any

    def stage(self, name: str) -> Stage:
        stage = STAGES[name]
        return replace(stage, steps=max(3, round(stage.steps * self.scale)))

    def scenes(self, name: str) -> Scenes:
        seed = {"cortex": CORTEX_SEED, "judge": JUDGE_SEED, "stack": STACK_SEED}[name]
        with self.accelerator.main_process_first():
            return rendered(self.work / "cache", seed=seed, count=max(600, round(SCENES[name] * self.scale)))

    def finished(self, name: str, model: torch.nn.Module, *, parts: tuple[str, ...] = ("",)) -> torch.nn.Module:
        """The averaged weights a finished stage left behind; `parts` keeps to names that begin with one of them."""
        path = self.work / name / "checkpoint.safetensors"
        if not path.is_file():
            raise SystemExit(f"{path} is missing: run --stage {name} first")
        tensors = read_torch(path)
        average = {k.removeprefix("average."): v for k, v in tensors.items() if k.startswith("average.")}
        kept = {k: v for k, v in average.items() if k.startswith(parts)}
        wanted = {k for k in model.state_dict() if k.startswith(parts)}
        if set(kept) != wanted:
            raise SystemExit(f"{path} holds another network than --stage {name} trains now: train it again")
        model.load_state_dict(kept, strict=False)
        return model.eval().requires_grad_(False)

    def clip(self, tokens: Any) -> Any:
        """The finished CLIPModel: the image tower of stage "clip", the text tower of stage "text"."""
        whole = self.image_tower(tokens)
        text = self.finished("text", stages.Text(tokens))
        whole.text_model, whole.text_projection = text.text_model, text.text_projection
        return whole

    def autoencoder(self) -> Any:
        """The finished AutoencoderKL: the encoder of stage "autoencoder", the decoder of stage "decoder"."""
        whole = self.finished("autoencoder", stages.Autoencoder()).net
        better = self.finished("decoder", stages.Decoder())
        whole.post_quant_conv, whole.decoder = better.post_quant_conv, better.decoder
        return whole

    def image_tower(self, tokens: Any) -> Any:
        """A CLIPModel of which only the image tower is trained."""
        return self.finished("clip", stages.Clip(tokens), parts=("net.vis",)).net

    @cached_property
    def stack(self) -> Scenes:
        return self.scenes("stack")


def _rows(stage: Stage, step: int, count: int, rank: int, ranks: int) -> torch.Tensor:
    return indices(stage, step, count)[rank::ranks]


def _generator(stage: Stage, step: int, rank: int) -> torch.Generator:
    return torch.Generator().manual_seed((stage.seed * 1_000_003 + step) * 64 + rank)


def _pictures(scenes: Scenes, rows: torch.Tensor) -> torch.Tensor:
    return stages.to_unit(torch.from_numpy(scenes.pictures[rows.numpy()]))


def _labels(scenes: Scenes, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    return {group: torch.from_numpy(values[rows.numpy()]) for group, values in scenes.labels.items()}


def train_namer(recipe: Recipe, name: str) -> None:
    """Stages "cortex", "judge" and "eye": name what a worn picture shows."""
    stage, scenes = recipe.stage(name), recipe.stack if name == "eye" else recipe.scenes(name)
    nets = {"judge": models.judge, "eye": models.eye}
    model = stages.Cortex() if name == "cortex" else stages.Namer(nets[name]())

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows = _rows(stage, step, len(scenes), rank, ranks)
        return net(stages.worn(_pictures(scenes, rows), _generator(stage, step, rank)), _labels(scenes, rows))

    train(stage, model, recipe.work / name, loss=loss, accelerator=recipe.accelerator)


def train_autoencoder(recipe: Recipe) -> None:
    """Stage "autoencoder"."""
    stage, scenes = recipe.stage("autoencoder"), recipe.stack

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows = _rows(stage, step, len(scenes), rank, ranks)
        noise = torch.randn(len(rows), *models.LATENT, generator=_generator(stage, step, rank))
        return net(_pictures(scenes, rows), noise)

    train(stage, stages.Autoencoder(), recipe.work / "autoencoder", loss=loss, accelerator=recipe.accelerator)


def train_clip(recipe: Recipe) -> None:
    """Stage "clip"."""
    stage, scenes, tokens = recipe.stage("clip"), recipe.stack, models.tokenizer()
    ids = token_ids(tokens, scenes)

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows = _rows(stage, step, len(scenes), rank, ranks)
        wording = torch.randint(3, (len(rows),), generator=_generator(stage, step, rank))
        return net(_pictures(scenes, rows), ids[rows, wording], _labels(scenes, rows))

    train(stage, stages.Clip(tokens), recipe.work / "clip", loss=loss, accelerator=recipe.accelerator)


def train_text(recipe: Recipe) -> None:
    """Stage "text"."""
    stage, scenes, tokens = recipe.stage("text"), recipe.stack, models.tokenizer()
    ids, images = token_ids(tokens, scenes), embeddings_of(recipe, recipe.image_tower(tokens))

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows = _rows(stage, step, len(scenes), rank, ranks)
        wording = torch.randint(3, (len(rows),), generator=_generator(stage, step, rank))
        return net(images[rows], ids[rows, wording])

    train(stage, stages.Text(tokens), recipe.work / "text", loss=loss, accelerator=recipe.accelerator)


def train_decoder(recipe: Recipe) -> None:
    """Stage "decoder"."""
    stage, scenes = recipe.stage("decoder"), recipe.stack
    whole, model = recipe.finished("autoencoder", stages.Autoencoder()).net, stages.Decoder()
    model.post_quant_conv.load_state_dict(whole.post_quant_conv.state_dict())
    model.decoder.load_state_dict(whole.decoder.state_dict())

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        pictures = _pictures(scenes, _rows(stage, step, len(scenes), rank, ranks))
        with torch.no_grad():
            latents = whole.encode(pictures * 2 - 1).latent_dist.mean
        return net(pictures, latents)

    train(stage, model, recipe.work / "decoder", loss=loss, accelerator=recipe.accelerator)


def token_ids(tokens: Any, scenes: Scenes) -> torch.Tensor:
    """(scene, wording, token) int64."""
    flat = [caption for captions in scenes.captions for caption in captions]
    ids = tokens(flat, padding="max_length", truncation=True, max_length=models.TOKENS).input_ids
    return torch.tensor(ids).reshape(len(scenes), -1, models.TOKENS)


Encode = Callable[[torch.Tensor], torch.Tensor]


@torch.no_grad()
def encoded(recipe: Recipe, name: str, net: torch.nn.Module, *, encode: Encode, batch: int = 250) -> torch.Tensor:
    """`encode` of every picture of the stack's scenes, kept in the cache under the digest of the network's weights."""
    from safetensors.torch import save_file

    from brain.progress import progress

    digest = hashlib.sha256()
    for value in net.state_dict().values():
        digest.update(value.numpy().tobytes())
    path = recipe.work / "cache" / f"{name}-{digest.hexdigest()[:16]}.safetensors"
    if path.is_file():
        return read_torch(path)[name]
    found = []
    for first in progress(range(0, len(recipe.stack), batch), desc=f"encoding pictures as {name}", unit="batch"):
        rows = torch.arange(first, min(first + batch, len(recipe.stack)))
        with torch.autocast("cpu", torch.bfloat16):
            found.append(encode(_pictures(recipe.stack, rows) * 2 - 1).float())
    if recipe.accelerator.is_main_process:
        partial = path.with_suffix(".partial")
        save_file({name: torch.cat(found).contiguous()}, partial)
        partial.rename(path)
    return torch.cat(found)


def latents_of(recipe: Recipe, net: Any) -> torch.Tensor:
    """The autoencoder's mean latents, unscaled, (scene, 4, 16, 16) float32."""
    return encoded(recipe, "latents", net.encoder, encode=lambda x: net.encode(x).latent_dist.mean)


def embeddings_of(recipe: Recipe, clip: Any) -> torch.Tensor:
    """The image tower's projected embeddings, unnormalised, (scene, 192) float32."""

    def encode(pixels: torch.Tensor) -> torch.Tensor:
        return clip.visual_projection(clip.vision_model(pixel_values=pixels).pooler_output)

    return encoded(recipe, "embeddings", clip.vision_model, encode=encode)


def train_tiny(recipe: Recipe) -> None:
    """Stage "tiny": distil the autoencoder."""
    stage, scenes = recipe.stage("tiny"), recipe.stack
    latents = latents_of(recipe, recipe.finished("autoencoder", stages.Autoencoder()).net)
    latents = latents / latents.std()

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows = _rows(stage, step, len(scenes), rank, ranks)
        return net(_pictures(scenes, rows), latents[rows])

    train(stage, stages.TinyAutoencoder(), recipe.work / "tiny", loss=loss, accelerator=recipe.accelerator)


def noised_image(embedding: torch.Tensor, level: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Normalised embeddings (batch, 192) at noise levels (batch,) -> the UNet's class condition (batch, 384)."""
    from diffusers import DDPMScheduler
    from diffusers.models.embeddings import get_timestep_embedding

    noisy = DDPMScheduler(**noising_schedule()).add_noise(embedding, noise, level)
    return torch.cat(
        [noisy, get_timestep_embedding(level, models.WIDTH, flip_sin_to_cos=True, downscale_freq_shift=0)], 1
    )


def noising_schedule() -> dict[str, Any]:
    """The schedule of the image embedding's own noise, as in Stable unCLIP."""
    return {"num_train_timesteps": 1000, "beta_schedule": "squaredcos_cap_v2"}


def train_unet(recipe: Recipe) -> None:
    """Stage "unet": 40 % of the samples see text alone, 10 % both, 40 % the image embedding alone, 10 % neither."""
    from diffusers import DDIMScheduler

    stage, scenes, tokens = recipe.stage("unet"), recipe.stack, models.tokenizer()
    clip = recipe.clip(tokens)
    latents = latents_of(recipe, recipe.finished("autoencoder", stages.Autoencoder()).net)
    latents = latents / latents.std()
    images = embeddings_of(recipe, clip)
    images = (images - images.mean(0)) / images.std(0)
    ids = token_ids(tokens, scenes)
    empty = torch.tensor(tokens([""], padding="max_length", max_length=models.TOKENS).input_ids)
    scheduler = DDIMScheduler(**models.schedule())

    def spoken(rows: torch.Tensor, draw: torch.Tensor) -> torch.Tensor:
        """Hidden states of one wording, or their mean over all three, as a decoder averages captions."""
        with torch.no_grad():
            states = clip.text_model(input_ids=ids[rows].flatten(0, 1)).last_hidden_state
        states = states.unflatten(0, (len(rows), -1)).float()
        one = states[torch.arange(len(rows)), (draw * 3).long().clamp(max=2)]
        return torch.where((draw < 0.5)[:, None, None], one, states.mean(1))

    with torch.no_grad():
        nothing = clip.text_model(input_ids=empty).last_hidden_state.float()

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows = _rows(stage, step, len(scenes), rank, ranks)
        generator = _generator(stage, step, rank)
        count = len(rows)
        mode, wording = torch.rand(count, generator=generator), torch.rand(count, generator=generator)
        times = torch.randint(1000, (count,), generator=generator)
        noise = torch.randn(count, *models.LATENT, generator=generator)
        level = torch.randint(NOISE_LEVEL, (count,), generator=generator)
        image = noised_image(images[rows], level, torch.randn(count, models.WIDTH, generator=generator))
        image = image * ((mode >= TEXT_ALONE) & (mode < NEITHER))[:, None]
        silent = mode >= BOTH
        text = torch.where(silent[:, None, None], nothing, spoken(rows, wording))
        clean = latents[rows]
        velocity = scheduler.get_velocity(clean, noise, times)
        return net(scheduler.add_noise(clean, noise, times), times, text, image, velocity)

    train(stage, stages.Diffusion(), recipe.work / "unet", loss=loss, accelerator=recipe.accelerator)


def main() -> None:
    """Run one stage or all of them, then export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the scene cache, checkpoints and logs")
    parser.add_argument("--stage", default="all", choices=["all", *STAGES, "export"])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the steps and scenes (0.001 to try it out)")
    parser.add_argument("--out", type=Path, default=None, help="export here instead of into the packages")
    asked = parser.parse_args()
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=not torch.accelerator.is_available(), mixed_precision="bf16")
    recipe = Recipe(work=asked.work, scale=asked.scale, accelerator=accelerator)
    for name in STAGES if asked.stage == "all" else [asked.stage] if asked.stage != "export" else []:
        torch.manual_seed(STAGES[name].seed)
        {
            "cortex": lambda: train_namer(recipe, "cortex"),
            "judge": lambda: train_namer(recipe, "judge"),
            "eye": lambda: train_namer(recipe, "eye"),
            "autoencoder": lambda: train_autoencoder(recipe),
            "clip": lambda: train_clip(recipe),
            "text": lambda: train_text(recipe),
            "tiny": lambda: train_tiny(recipe),
            "decoder": lambda: train_decoder(recipe),
            "unet": lambda: train_unet(recipe),
        }[name]()
    if asked.stage in ("all", "export") and recipe.accelerator.is_main_process:
        from pipelines.miniature.export import export

        export(recipe, asked.out)
    leave(accelerator)


if __name__ == "__main__":
    sys.exit(command("miniature", main, resumes=True))
