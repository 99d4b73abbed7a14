"""What the stages of the image recipe share: the scenes they draw, finished networks and their codes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pipelines.miniature.recipe import Recipe
from pipelines.miniature.recipe_image import models, stages
from pipelines.miniature.recipe_image.data import CORTEX_SEED, JUDGE_SEED, STACK_SEED, Scenes, rendered
from pipelines.miniature.stage import IMAGE_STAGES

SCENES = {"cortex": 30_000, "judge": 30_000, "stack": 60_000}
SEEDS = {"stack": STACK_SEED, "judge": JUDGE_SEED, "cortex": CORTEX_SEED}
BATCH = 250
"""Pictures that are encoded at once."""


@dataclass(frozen=True)
class ImageRecipe(Recipe):
    """The image recipe's work and what has come of it."""

    table = IMAGE_STAGES

    def scenes(self, name: str) -> Scenes:
        """The scenes of a set, drawn once."""
        count = max(600, round(SCENES[name] * self.scale))
        with self.accelerator.main_process_first():
            return rendered(self.work / "cache", seed=SEEDS[name], count=count)

    @cached_property
    def stack(self) -> Scenes:
        """The scenes that the stack is trained on."""
        return self.scenes("stack")

    def clip(self, tokens: Any) -> Any:
        """The finished CLIPModel: the image tower of stage "clip", the text tower of stage "text"."""
        whole = self.image_tower(tokens)
        text = self.finished("text", stages.Text(tokens))
        whole.text_model, whole.text_projection = text.text_model, text.text_projection
        return whole

    def image_tower(self, tokens: Any) -> Any:
        """A CLIPModel of which only the image tower is trained."""
        return self.finished("clip", stages.Clip(tokens), parts=("net.vis",)).net

    def autoencoder(self) -> Any:
        """The finished AutoencoderKL: the encoder of stage "autoencoder", the decoder of stage "decoder"."""
        whole = self.finished("autoencoder", stages.Autoencoder()).net
        better = self.finished("decoder", stages.Decoder())
        whole.post_quant_conv, whole.decoder = better.post_quant_conv, better.decoder
        return whole


def pictures_of(scenes: Scenes, rows: Tensor) -> Tensor:
    """Pictures (row, 3, 64, 64) float32 in [0, 1]."""
    return stages.to_unit(torch.from_numpy(scenes.pictures[rows.numpy()]))


def token_ids(tokens: Any, scenes: Scenes) -> Tensor:
    """Token ids of the scenes' captions, (scene, wording, token) int64."""
    flat = [caption for captions in scenes.captions for caption in captions]
    ids = tokens(flat, padding="max_length", truncation=True, max_length=models.TOKENS).input_ids
    return torch.tensor(ids).reshape(len(scenes), -1, models.TOKENS)


def latents_of(recipe: ImageRecipe, net: Any) -> Tensor:
    """The autoencoder's mean latents, unscaled, (scene, 4, 16, 16) float32."""

    def encode(rows: Tensor) -> Tensor:
        latents: Tensor = net.encode(pictures_of(recipe.stack, rows) * 2 - 1).latent_dist.mean
        return latents

    return recipe.coded("latents", net.encoder, encode=encode, count=len(recipe.stack), batch=BATCH)


def embeddings_of(recipe: ImageRecipe, clip: Any) -> Tensor:
    """The image tower's projected embeddings, unnormalised, (scene, 192) float32."""

    def encode(rows: Tensor) -> Tensor:
        pixels = pictures_of(recipe.stack, rows) * 2 - 1
        seen: Tensor = clip.visual_projection(clip.vision_model(pixel_values=pixels).pooler_output)
        return seen

    return recipe.coded("embeddings", clip.vision_model, encode=encode, count=len(recipe.stack), batch=BATCH)


def noised_image(embedding: Tensor, level: Tensor, noise: Tensor) -> Tensor:
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
