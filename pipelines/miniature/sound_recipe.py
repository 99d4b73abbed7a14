"""What the stages of the sound recipe share: where they work, the sounds they draw, and the codes of finished networks.

Codes (latents, LOA, CLAP) are made once of the first sounds and kept beside them, under the digest of the weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from brain.tensors import read_torch
from pipelines.miniature import sound_models as models
from pipelines.miniature import sound_stages as stages
from pipelines.miniature.loop import Stage, indices
from pipelines.miniature.sound_data import AUDITORY_SEED, JUDGE_SEED, STACK_SEED, Sounds, rendered

SOUNDS = {"stack": 30_000, "judge": 12_000, "auditory": 12_000}
CODED = 12_000  # windows whose codes are kept: what the language model and the UNet learn on
SEEDS = {"stack": STACK_SEED, "judge": JUDGE_SEED, "auditory": AUDITORY_SEED}
STAGES = {
    "auditory": Stage(name="auditory", steps=500, batch=64, rate=2e-3, seed=31),
    "judge": Stage(name="judge", steps=420, batch=64, rate=2e-3, seed=32),
    "autoencoder": Stage(name="autoencoder", steps=1000, batch=24, rate=2e-3, seed=33, average=0.995),
    "clap": Stage(name="clap", steps=430, batch=96, rate=1e-3, seed=34, decay=0.05, average=0.995),
    "teacher": Stage(name="teacher", steps=440, batch=64, rate=1e-3, seed=35, decay=0.05, average=0.995),
    "text": Stage(name="text", steps=250, batch=128, rate=2e-3, seed=40, average=0.98, warm=20),
    "language": Stage(name="language", steps=450, batch=64, rate=1e-3, seed=36),
    "unet": Stage(name="unet", steps=2050, batch=64, rate=1e-3, seed=37, average=0.998),
    "decoder": Stage(name="decoder", steps=560, batch=24, rate=1e-3, seed=38, average=0.995),
    "vocoder": Stage(name="vocoder", steps=900, batch=12, rate=2e-3, seed=39, average=0.995),
}


@dataclass(frozen=True)
class Recipe:
    """Where the work lies and how much of it to do. `scale` multiplies steps and sounds."""

    work: Path
    scale: float
    accelerator: Any

    def stage(self, name: str) -> Stage:
        stage = STAGES[name]
        return replace(stage, steps=max(3, round(stage.steps * self.scale)))

    def sounds(self, name: str) -> Sounds:
        with self.accelerator.main_process_first():
            count = max(100, round(SOUNDS[name] * self.scale))
            return rendered(self.work / "cache", seed=SEEDS[name], count=count)

    def finished(self, name: str, model: torch.nn.Module) -> torch.nn.Module:
        """The averaged weights that a stage left behind."""
        path = self.work / name / "checkpoint.safetensors"
        if not path.is_file():
            raise SystemExit(f"{path} is missing: run --stage {name} first")
        average = {k.removeprefix("average."): v for k, v in read_torch(path).items() if k.startswith("average.")}
        if set(average) != set(model.state_dict()):
            raise SystemExit(f"{path} holds another network than --stage {name} trains now: train it again")
        model.load_state_dict(average)
        return model.eval().requires_grad_(False)

    def autoencoder(self) -> Any:
        """The AutoencoderKL: the encoder of stage "autoencoder", the decoder of stage "decoder" once there is one."""
        whole = self.finished("autoencoder", stages.Autoencoder()).net
        if (self.work / "decoder" / "checkpoint.safetensors").is_file():
            better = self.finished("decoder", stages.Decoder())
            whole.post_quant_conv, whole.decoder = better.post_quant_conv, better.decoder
        return whole

    def language(self) -> Any:
        return self.finished("language", stages.Language())

    def text(self) -> Any:
        return self.finished("text", stages.Text(models.text_tokenizer())).net

    def clap(self) -> Any:
        return self.finished("clap", stages.Clap(models.clap_tokenizer())).net

    @cached_property
    def stack(self) -> Sounds:
        return self.sounds("stack")


def rows_of(stage: Stage, step: int, count: int, rank: int, ranks: int) -> torch.Tensor:
    """The rows of one process in a step's batch, (row,) int64."""
    return indices(stage, step, count)[rank::ranks]


def generator_of(stage: Stage, step: int, rank: int) -> torch.Generator:
    """What one process draws from in a step."""
    return torch.Generator().manual_seed((stage.seed * 1_000_003 + step) * 64 + rank)


def mels_of(sounds: Sounds, rows: torch.Tensor) -> torch.Tensor:
    """Raw log-mels (row, 256, 64) float32."""
    return torch.from_numpy(sounds.mels[rows.numpy()]).float()


def labels_of(sounds: Sounds, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    """Group -> the rows' labels, (row,) int64."""
    return {group: torch.from_numpy(values[rows.numpy()]) for group, values in sounds.labels.items()}


def token_ids(tokens: Any, sounds: Sounds) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and masks, (sound, wording, token) int64."""
    flat = [caption for captions in sounds.captions for caption in captions]
    said = tokens(flat, padding="longest", truncation=True, max_length=models.TOKENS, return_tensors="pt")
    return tuple(said[name].unflatten(0, (len(sounds), -1)) for name in ("input_ids", "attention_mask"))


def waves_of(sounds: Sounds, rows: torch.Tensor) -> torch.Tensor:
    """Waveforms (row, 40960) float32 in [-1, 1]."""
    return torch.from_numpy(sounds.waves[rows.numpy()]).float() / 32767


Encode = Callable[[torch.Tensor], torch.Tensor]


@torch.no_grad()
def encoded(recipe: Recipe, name: str, net: torch.nn.Module, *, encode: Encode, batch: int = 200) -> torch.Tensor:
    """`encode` of rows of the stack's first `CODED` sounds, cached under the digest of the network's weights."""
    from safetensors.torch import save_file

    from brain.progress import progress

    count, digest = min(CODED, len(recipe.stack)), hashlib.sha256()
    for value in net.state_dict().values():
        digest.update(value.numpy().tobytes())
    path = recipe.work / "cache" / f"{name}-{count}-{digest.hexdigest()[:16]}.safetensors"
    if path.is_file():
        return read_torch(path)[name]
    found = []
    for first in progress(range(0, count, batch), desc=f"encoding sounds as {name}", unit="batch"):
        rows = torch.arange(first, min(first + batch, count))
        with torch.autocast("cpu", torch.bfloat16):
            found.append(encode(rows).float())
    if recipe.accelerator.is_main_process:
        partial = path.with_suffix(".partial")
        save_file({name: torch.cat(found).contiguous()}, partial)
        partial.rename(path)
    return torch.cat(found)


def latents_of(recipe: Recipe) -> torch.Tensor:
    """The autoencoder's mean latents, unscaled, (sound, 8, 32, 8) float32."""
    net = recipe.finished("autoencoder", stages.Autoencoder()).net
    raw = recipe.stack

    def encode(rows: torch.Tensor) -> torch.Tensor:
        return net.encode(mels_of(raw, rows)[:, None]).latent_dist.mean

    return encoded(recipe, "latents", net.encoder, encode=encode)


def loa_of(recipe: Recipe) -> torch.Tensor:
    """The teacher's LOA, (sound, 8, 192) float32."""
    net = recipe.finished("teacher", stages.Teacher()).net

    def encode(rows: torch.Tensor) -> torch.Tensor:
        mels = stages.standard(mels_of(recipe.stack, rows))
        hidden = net(pixel_values=mels[:, None], output_hidden_states=True).hidden_states
        return models.loa_of(hidden, net.layernorm)

    return encoded(recipe, "loa", net, encode=encode)


def claps_of(recipe: Recipe) -> torch.Tensor:
    """CLAP's sound embeddings of unit length, (sound, 128) float32."""
    net = recipe.clap()

    def encode(rows: torch.Tensor) -> torch.Tensor:
        features = torch.from_numpy(recipe.stack.features[rows.numpy()]).float()
        return net.get_audio_features(input_features=features[:, None]).pooler_output

    return encoded(recipe, "clap", net.audio_model, encode=encode)


@torch.no_grad()
def caption_claps(net: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """CLAP's text embeddings of unit length, ids and mask (sound, wording, token) -> (sound, wording, 128) float32."""
    found = net.get_text_features(input_ids=ids.flatten(0, 1), attention_mask=mask.flatten(0, 1)).pooler_output
    return found.float().unflatten(0, ids.shape[:2])


@torch.no_grad()
def told_of(recipe: Recipe) -> torch.Tensor:
    """LOA as the language model tells it of CLAP's sound embeddings alone, (sound, 8, 192) float32."""
    net, speaker, claps = recipe.language(), recipe.text(), claps_of(recipe)
    nothing = torch.tensor(models.text_tokenizer()([""]).input_ids)

    def encode(rows: torch.Tensor) -> torch.Tensor:
        ids = nothing.expand(len(rows), -1)
        states, mask = speaker(input_ids=ids).last_hidden_state, torch.ones_like(ids)
        loa = torch.zeros(len(rows), *models.LOA)
        for _ in range(models.LOA[0]):  # after as many rounds every token follows its own predecessors
            loa = net.told(claps[rows], states, mask, loa)
        return loa

    return encoded(recipe, "told", net, encode=encode)
