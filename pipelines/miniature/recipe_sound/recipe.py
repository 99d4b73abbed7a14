"""What the stages of the sound recipe share: the sounds they draw, finished networks and their codes.

Codes (latents, LOA, CLAP) are made once of the first sounds and kept beside them, under the digest of the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from pipelines.miniature.recipe import Recipe
from pipelines.miniature.recipe_sound import models, stages
from pipelines.miniature.recipe_sound.data import AUDITORY_SEED, JUDGE_SEED, STACK_SEED, Sounds, rendered
from pipelines.miniature.stage import SOUND_STAGES

SOUNDS = {"stack": 30_000, "judge": 12_000, "auditory": 12_000}
CODED = 12_000  # windows whose codes are kept: what the language model and the UNet learn on
SEEDS = {"stack": STACK_SEED, "judge": JUDGE_SEED, "auditory": AUDITORY_SEED}
BATCH = 200
"""Windows that are encoded at once."""


@dataclass(frozen=True)
class SoundRecipe(Recipe):
    """The sound recipe's work and what has come of it."""

    table = SOUND_STAGES

    def sounds(self, name: str) -> Sounds:
        """The sounds of a set, rendered once."""
        with self.accelerator.main_process_first():
            count = max(100, round(SOUNDS[name] * self.scale))
            return rendered(self.work / "cache", seed=SEEDS[name], count=count)

    @cached_property
    def stack(self) -> Sounds:
        """The sounds that the stack is trained on."""
        return self.sounds("stack")

    def autoencoder(self) -> Any:
        """The AutoencoderKL: the encoder of stage "autoencoder", the decoder of stage "decoder" once there is one."""
        whole = self.finished("autoencoder", stages.Autoencoder()).net
        if self.has("decoder"):
            better = self.finished("decoder", stages.Decoder())
            whole.post_quant_conv, whole.decoder = better.post_quant_conv, better.decoder
        return whole

    def language(self) -> Any:
        """The finished stage "language": its projection and its language model."""
        return self.finished("language", stages.Language())

    def text(self) -> Any:
        """The finished second text encoder."""
        return self.finished("text", stages.Text(models.text_tokenizer())).net

    def clap(self) -> Any:
        """The finished ClapModel."""
        return self.finished("clap", stages.Clap(models.clap_tokenizer())).net


def mels_of(sounds: Sounds, rows: Tensor) -> Tensor:
    """Raw log-mels (row, 256, 64) float32."""
    return torch.from_numpy(sounds.mels[rows.numpy()]).float()


def token_ids(tokens: Any, sounds: Sounds) -> tuple[Tensor, Tensor]:
    """Token ids of the sounds' captions and their masks, (sound, wording, token) int64 each."""
    flat = [caption for captions in sounds.captions for caption in captions]
    said = tokens(flat, padding="longest", truncation=True, max_length=models.TOKENS, return_tensors="pt")
    return tuple(said[name].unflatten(0, (len(sounds), -1)) for name in ("input_ids", "attention_mask"))


def waves_of(sounds: Sounds, rows: Tensor) -> Tensor:
    """Waveforms (row, 40960) float32 in [-1, 1]."""
    return torch.from_numpy(sounds.waves[rows.numpy()]).float() / 32767


def _coded(recipe: SoundRecipe, name: str, net: nn.Module, encode: Callable[[Tensor], Tensor]) -> Tensor:
    """`encode` of rows of the stack's first `CODED` sounds."""
    return recipe.coded(name, net, encode=encode, count=min(CODED, len(recipe.stack)), batch=BATCH)


def latents_of(recipe: SoundRecipe) -> Tensor:
    """The autoencoder's mean latents, unscaled, (sound, 8, 32, 8) float32."""
    net = recipe.finished("autoencoder", stages.Autoencoder()).net
    raw = recipe.stack

    def encode(rows: Tensor) -> Tensor:
        latents: Tensor = net.encode(mels_of(raw, rows)[:, None]).latent_dist.mean
        return latents

    return _coded(recipe, "latents", net.encoder, encode)


def loa_of(recipe: SoundRecipe) -> Tensor:
    """The teacher's LOA, (sound, 8, 192) float32."""
    net = recipe.finished("teacher", stages.Teacher()).net

    def encode(rows: Tensor) -> Tensor:
        mels = stages.standard(mels_of(recipe.stack, rows))
        hidden = net(pixel_values=mels[:, None], output_hidden_states=True).hidden_states
        return models.loa_of(hidden, net.layernorm)

    return _coded(recipe, "loa", net, encode)


def claps_of(recipe: SoundRecipe) -> Tensor:
    """CLAP's sound embeddings of unit length, (sound, 128) float32."""
    net = recipe.clap()

    def encode(rows: Tensor) -> Tensor:
        features = torch.from_numpy(recipe.stack.features[rows.numpy()]).float()
        heard: Tensor = net.get_audio_features(input_features=features[:, None]).pooler_output
        return heard

    return _coded(recipe, "clap", net.audio_model, encode)


@torch.no_grad()
def caption_claps(net: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """CLAP's text embeddings of unit length, ids and mask (sound, wording, token) -> (sound, wording, 128) float32."""
    found = net.get_text_features(input_ids=ids.flatten(0, 1), attention_mask=mask.flatten(0, 1)).pooler_output
    claps: Tensor = found.float().unflatten(0, ids.shape[:2])
    return claps


@torch.no_grad()
def predicted_loa_of(recipe: SoundRecipe) -> Tensor:
    """LOA as the language model tells it of CLAP's sound embeddings alone, (sound, 8, 192) float32."""
    net, speaker, claps = recipe.language(), recipe.text(), claps_of(recipe)
    nothing = torch.tensor(models.text_tokenizer()([""]).input_ids)

    def encode(rows: Tensor) -> Tensor:
        ids = nothing.expand(len(rows), -1)
        states, mask = speaker(input_ids=ids).last_hidden_state, torch.ones_like(ids)
        loa = torch.zeros(len(rows), *models.LOA)
        for _ in range(models.LOA[0]):  # after as many rounds every token follows its own predecessors
            loa = net.predicted(claps[rows], states, mask, loa)
        return loa

    return _coded(recipe, "told", net, encode)
