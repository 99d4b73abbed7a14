"""The stages of the image recipe: what each network is shown, and when.

A stage's network is made after all that it needs is loaded: what its first weights are depends on what was made before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn

from pipelines.miniature.parts import labels_of, schedule
from pipelines.miniature.recipe_image import models, stages
from pipelines.miniature.recipe_image.recipe import (
    ImageRecipe,
    embeddings_of,
    latents_of,
    noised_image,
    pictures_of,
    token_ids,
)
from pipelines.miniature.stage import Parts, StageLoss, StageNet

TEXT_ALONE, BOTH, NEITHER = 0.4, 0.5, 0.9  # a uniform draw below the first: text alone; then both; image alone; none
NOISE_LEVEL = 100  # the image embedding is noised up to this step of 1000 in training, so that a decoded one may err


def train_namer(recipe: ImageRecipe, name: str) -> None:
    """Stages "cortex", "judge" and "eye": name what a worn picture shows."""
    scenes = recipe.stack if name == "eye" else recipe.scenes(name)
    nets = {"judge": models.judge, "eye": models.second_tower}
    model = stages.Cortex() if name == "cortex" else stages.Namer(nets[name]())

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        return net(stages.worn(pictures_of(scenes, rows), generator), labels_of(scenes.labels, rows))

    recipe.train(name, model, loss, samples=len(scenes))


def train_autoencoder(recipe: ImageRecipe) -> None:
    """Stage "autoencoder"."""
    scenes = recipe.stack

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        noise = torch.randn(len(rows), *models.LATENT, generator=generator)
        return net(pictures_of(scenes, rows), noise)

    recipe.train("autoencoder", stages.Autoencoder(), loss, samples=len(scenes))


def train_decoder(recipe: ImageRecipe) -> None:
    """Stage "decoder"."""
    scenes = recipe.stack
    whole, model = recipe.finished("autoencoder", stages.Autoencoder()).net, stages.Decoder()
    model.post_quant_conv.load_state_dict(whole.post_quant_conv.state_dict())
    model.decoder.load_state_dict(whole.decoder.state_dict())

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        pictures = pictures_of(scenes, rows)
        with torch.no_grad():
            latents = whole.encode(pictures * 2 - 1).latent_dist.mean
        return net(pictures, latents)

    recipe.train("decoder", model, loss, samples=len(scenes))


def train_clip(recipe: ImageRecipe) -> None:
    """Stage "clip"."""
    scenes, tokens = recipe.stack, models.tokenizer()
    ids = token_ids(tokens, scenes)

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        wording = torch.randint(3, (len(rows),), generator=generator)
        return net(pictures_of(scenes, rows), ids[rows, wording], labels_of(scenes.labels, rows))

    recipe.train("clip", stages.Clip(tokens), loss, samples=len(scenes))


def train_text(recipe: ImageRecipe) -> None:
    """Stage "text"."""
    scenes, tokens = recipe.stack, models.tokenizer()
    ids, images = token_ids(tokens, scenes), embeddings_of(recipe, recipe.image_tower(tokens))

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        wording = torch.randint(3, (len(rows),), generator=generator)
        return net(images[rows], ids[rows, wording])

    recipe.train("text", stages.Text(tokens), loss, samples=len(scenes))


def train_tiny(recipe: ImageRecipe) -> None:
    """Stage "tiny": distil the autoencoder."""
    scenes = recipe.stack
    latents = latents_of(recipe, recipe.finished("autoencoder", stages.Autoencoder()).net)
    latents = latents / latents.std()

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        return net(pictures_of(scenes, rows), latents[rows])

    recipe.train("tiny", stages.TinyAutoencoder(), loss, samples=len(scenes))


def train_unet(recipe: ImageRecipe) -> None:
    """Stage "unet": 40 % of the samples see text alone, 10 % both, 40 % the image embedding alone, 10 % neither."""
    tokens = models.tokenizer()
    clip = recipe.clip(tokens)
    latents = latents_of(recipe, recipe.finished("autoencoder", stages.Autoencoder()).net)
    latents = latents / latents.std()
    images = embeddings_of(recipe, clip)
    images = (images - images.mean(0)) / images.std(0)
    speaker = _Speaker(clip.text_model, tokens, token_ids(tokens, recipe.stack))
    loss = _unet_loss(latents, images, speaker)
    recipe.train("unet", stages.Diffusion(), loss, samples=len(recipe.stack))


class _Speaker:
    """The finished text tower's states of captions, and of nothing."""

    def __init__(self, text_model: nn.Module, tokens: Callable[..., Any], ids: Tensor) -> None:
        """`ids` (scene, wording, token)."""
        empty = tokens([""], padding="max_length", max_length=models.TOKENS).input_ids
        self.text_model, self.ids = text_model, ids
        with torch.no_grad():
            self.nothing = text_model(input_ids=torch.tensor(empty)).last_hidden_state.float()

    def __call__(self, rows: Tensor, draw: Tensor) -> Tensor:
        """Hidden states of one wording, or their mean over all three, as a decoder averages captions."""
        with torch.no_grad():
            states = self.text_model(input_ids=self.ids[rows].flatten(0, 1)).last_hidden_state
        states = states.unflatten(0, (len(rows), -1)).float()
        one = states[torch.arange(len(rows)), (draw * 3).long().clamp(max=2)]
        return torch.where((draw < 0.5)[:, None, None], one, states.mean(1))


def _unet_loss(latents: Tensor, images: Tensor, speaker: _Speaker) -> StageLoss:
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(**schedule())

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        count = len(rows)
        mode, wording = torch.rand(count, generator=generator), torch.rand(count, generator=generator)
        times = torch.randint(1000, (count,), generator=generator)
        noise = torch.randn(count, *models.LATENT, generator=generator)
        level = torch.randint(NOISE_LEVEL, (count,), generator=generator)
        image = noised_image(images[rows], level, torch.randn(count, models.WIDTH, generator=generator))
        image = image * ((mode >= TEXT_ALONE) & (mode < NEITHER))[:, None]
        text = torch.where((mode >= BOTH)[:, None, None], speaker.nothing, speaker(rows, wording))
        clean = latents[rows]
        velocity = scheduler.get_velocity(clean, noise, times)
        return net(scheduler.add_noise(clean, noise, times), times, text, image, velocity)

    return loss


TRAINERS: dict[str, Callable[[ImageRecipe], None]] = {
    **{name: partial(train_namer, name=name) for name in ("cortex", "judge", "eye")},
    "autoencoder": train_autoencoder,
    "clip": train_clip,
    "text": train_text,
    "tiny": train_tiny,
    "decoder": train_decoder,
    "unet": train_unet,
}
