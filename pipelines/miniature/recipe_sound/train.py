"""The stages of the sound recipe: what each network is shown, and when.

A stage's network is made after all that it needs is loaded: what its first weights are depends on what was made before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from pipelines.miniature.parts import labels_of, schedule
from pipelines.miniature.recipe_sound import models, stages
from pipelines.miniature.recipe_sound.recipe import (
    SoundRecipe,
    caption_claps,
    claps_of,
    latents_of,
    loa_of,
    mels_of,
    predicted_loa_of,
    token_ids,
    waves_of,
)
from pipelines.miniature.stage import Parts, StageLoss, StageNet

CROP, SEGMENT = 128, 64  # frames that the autoencoder and the vocoder see of a window at a time
SILENT = 0.5  # share of text batches (language) and of samples (unet) whose text is ""
DEAF = 0.1  # share of the unet's samples whose LOA is zeros
PREDICTED = 0.15  # share of the unet's samples whose LOA is the language model's, of CLAP alone
WORN = 0.4  # share of the unet's samples whose LOA is rough, as a decoded one


def train_auditory(recipe: SoundRecipe) -> None:
    """Stage "auditory": name what a waveform holds."""
    sounds = recipe.sounds("auditory")

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        return net(stages.moved(waves_of(sounds, rows), generator), labels_of(sounds.labels, rows))

    recipe.train("auditory", stages.Auditory(), loss, samples=len(sounds))


def train_judge(recipe: SoundRecipe) -> None:
    """Stage "judge": name what a worn log-mel holds."""
    sounds = recipe.sounds("judge")

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        mels = stages.worn(stages.standard(mels_of(sounds, rows)), generator)
        return net(mels, labels_of(sounds.labels, rows))

    recipe.train("judge", stages.Namer(), loss, samples=len(sounds))


def train_autoencoder(recipe: SoundRecipe) -> None:
    """Stage "autoencoder"."""
    sounds = recipe.stack

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        first = int(torch.randint(models.FRAMES - CROP + 1, (1,), generator=generator))
        noise = torch.randn(len(rows), models.LATENT[0], CROP // 8, models.LATENT[2], generator=generator)
        return net(mels_of(sounds, rows)[:, first : first + CROP], noise)

    recipe.train("autoencoder", stages.Autoencoder(), loss, samples=len(sounds))


def train_decoder(recipe: SoundRecipe) -> None:
    """Stage "decoder"."""
    sounds = recipe.stack
    whole, model = recipe.finished("autoencoder", stages.Autoencoder()).net, stages.Decoder()
    model.post_quant_conv.load_state_dict(whole.post_quant_conv.state_dict())
    model.decoder.load_state_dict(whole.decoder.state_dict())

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        first = 8 * int(torch.randint((models.FRAMES - CROP) // 8 + 1, (1,), generator=generator))
        mels = mels_of(sounds, rows)[:, first : first + CROP]
        with torch.no_grad():
            latents = whole.encode(mels[:, None]).latent_dist.mean
        return net(mels, latents)

    recipe.train("decoder", model, loss, samples=len(sounds))


def train_clap(recipe: SoundRecipe) -> None:
    """Stage "clap"."""
    sounds, tokens = recipe.stack, models.clap_tokenizer()
    ids, mask = token_ids(tokens, sounds)

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        wording = torch.randint(3, (len(rows),), generator=generator)
        features = torch.from_numpy(sounds.features[rows.numpy()]).float()
        return net(features, ids[rows, wording], mask[rows, wording], labels_of(sounds.labels, rows))

    recipe.train("clap", stages.Clap(tokens), loss, samples=len(sounds))


def train_text(recipe: SoundRecipe) -> None:
    """Stage "text"."""
    sounds, tokens = recipe.stack, models.text_tokenizer()
    ids, mask = token_ids(tokens, sounds)

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        wording = torch.randint(3, (len(rows),), generator=generator)
        return net(ids[rows, wording], mask[rows, wording], labels_of(sounds.labels, rows))

    recipe.train("text", stages.Text(tokens), loss, samples=len(sounds))


def train_teacher(recipe: SoundRecipe) -> None:
    """Stage "teacher"."""
    sounds = recipe.stack
    patches = models.FRAMES * models.MELS // models.PATCH**2

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        order = torch.rand(len(rows), patches, generator=generator).argsort(1)
        return net(stages.standard(mels_of(sounds, rows)), order, labels_of(sounds.labels, rows))

    recipe.train("teacher", stages.Teacher(), loss, samples=len(sounds))


def train_language(recipe: SoundRecipe) -> None:
    """Stage "language": half of the steps know CLAP alone, and three quarters of the embeddings are of sounds."""
    loa, heard, clap, speaker = loa_of(recipe), claps_of(recipe), recipe.clap(), recipe.text()
    spoken, tokens = token_ids(models.clap_tokenizer(), recipe.stack), models.text_tokenizer()
    ids, mask = token_ids(tokens, recipe.stack)
    nothing = torch.tensor(tokens([""]).input_ids)

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        count = len(rows)
        wording = torch.randint(3, (count,), generator=generator)
        of_sound = torch.rand(count, 1, generator=generator) < 0.75
        said = caption_claps(clap, *(part[rows, wording][:, None] for part in spoken))[:, 0]
        embedding = _erring(torch.where(of_sound, heard[rows], said), generator)
        truth = torch.rand(count, 1, 1, generator=generator).expand(-1, models.LOA[0], -1) < 0.3
        silent = float(torch.rand(1, generator=generator)) < SILENT
        text = nothing.expand(count, -1) if silent else ids[rows, wording]
        shown = torch.ones_like(text) if silent else mask[rows, wording]
        return net(embedding, _states(speaker, text, shown), loa[rows], truth)

    recipe.train("language", stages.Language(), loss, samples=len(loa))


def _erring(embedding: Tensor, generator: Generator) -> Tensor:
    """Embeddings (batch, 128) of unit length, each more or less beside itself, as a decoded one."""
    noise = torch.randn(embedding.shape, generator=generator) * torch.rand(len(embedding), 1, generator=generator)
    return F.normalize(embedding + 0.04 * noise, dim=1)


@torch.no_grad()
def _states(speaker: Any, text: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """The text encoder's states of ids (batch, token), and their mask."""
    return speaker(input_ids=text, attention_mask=shown).last_hidden_state, shown


def train_unet(recipe: SoundRecipe) -> None:
    """Stage "unet": LOA true, rough, predicted by the language model or absent; half of the samples have no text."""
    tokens = models.text_tokenizer()
    latents = latents_of(recipe)
    latents, loa, predicted, speaker = latents / latents.std(), loa_of(recipe), predicted_loa_of(recipe), recipe.text()
    heard = _Heard(loa, predicted)
    said = _Said(speaker, tokens, token_ids(tokens, recipe.stack))
    recipe.train("unet", stages.Diffusion(), _unet_loss(latents, heard, said), samples=len(latents))


class _Heard:
    """LOA as the UNet is given it: true or predicted, some rough, some absent."""

    def __init__(self, loa: Tensor, predicted: Tensor) -> None:
        self.loa, self.predicted, self.roughen = loa, predicted, stages.Roughness(loa)

    def __call__(self, rows: Tensor, generator: Generator) -> Tensor:
        draw = torch.rand(3, len(rows), 1, 1, generator=generator)
        heard = torch.where(draw[0] < PREDICTED, self.predicted[rows], self.loa[rows])
        return torch.where(draw[1] < WORN, self.roughen(heard, generator), heard) * (draw[2] >= DEAF)


class _Said:
    """The text states of one wording of a sound, or of "" in half of the samples."""

    def __init__(self, speaker: nn.Module, tokens: Any, said: tuple[Tensor, Tensor]) -> None:
        self.speaker, (self.ids, self.mask) = speaker, said
        self.empty = tokens([""], padding="max_length", max_length=self.ids.shape[2], return_tensors="pt")

    def __call__(self, rows: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        wording = torch.randint(3, (len(rows),), generator=generator)
        silent = torch.rand(len(rows), 1, generator=generator) < SILENT
        text = torch.where(silent, self.empty.input_ids, self.ids[rows, wording])
        shown = torch.where(silent, self.empty.attention_mask, self.mask[rows, wording])
        return _states(self.speaker, text, shown)


def _unet_loss(latents: Tensor, heard: _Heard, said: _Said) -> StageLoss:
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(**schedule())

    def loss(net: StageNet, rows: Tensor, generator: Generator) -> Parts:
        loa, text = heard(rows, generator), said(rows, generator)
        times = torch.randint(1000, (len(rows),), generator=generator)
        noise = torch.randn(len(rows), *models.LATENT, generator=generator)
        clean = latents[rows]
        velocity = scheduler.get_velocity(clean, noise, times)
        return net(scheduler.add_noise(clean, noise, times), times, loa, text, velocity)

    return loss


def train_vocoder(recipe: SoundRecipe) -> None:
    """Stage "vocoder": half of its log-mels are true, half come out of the autoencoder; the waves are always true."""
    sounds, net = recipe.stack, recipe.autoencoder()

    def loss(model: StageNet, rows: Tensor, generator: Generator) -> Parts:
        first = 8 * int(torch.randint((models.FRAMES - SEGMENT) // 8 + 1, (1,), generator=generator))
        mels = mels_of(sounds, rows)[:, first : first + SEGMENT]
        coded = torch.rand(len(rows), 1, 1, generator=generator) < 0.5
        with torch.no_grad():
            mels = torch.where(coded, net(mels[:, None]).sample[:, 0].float(), mels)
        return model(mels, waves_of(sounds, rows)[:, first * 160 : (first + SEGMENT) * 160])

    recipe.train("vocoder", stages.Vocoder(), loss, samples=len(sounds))


TRAINERS: dict[str, Callable[[SoundRecipe], None]] = {
    "auditory": train_auditory,
    "judge": train_judge,
    "autoencoder": train_autoencoder,
    "clap": train_clap,
    "teacher": train_teacher,
    "text": train_text,
    "language": train_language,
    "unet": train_unet,
    "decoder": train_decoder,
    "vocoder": train_vocoder,
}
