"""The recipe of the miniature sound stack: every network from nothing, on sounds nobody will be tested on.

    accelerate launch -m pipelines.miniature.sound_train --work runs/miniature-sound             all stages, then export
    accelerate launch -m pipelines.miniature.sound_train --work runs/miniature-sound --stage clap
    torchrun --standalone --nproc_per_node 2 -m pipelines.miniature.sound_train --work runs/miniature-sound

The last form is what really runs two processes without a graphics card (`accelerate launch --cpu` runs one).
Stages: auditory, judge, autoencoder, clap, teacher, text (independent of each other), language (after the last three),
unet (after autoencoder and language), decoder and vocoder (after autoencoder), export. Each resumes from where it was.
`--scale 0.001` runs a few steps of each, to try it out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from brain.commands import command
from encoders.training import leave
from pipelines.miniature import sound_models as models
from pipelines.miniature import sound_stages as stages
from pipelines.miniature.loop import train
from pipelines.miniature.sound_recipe import (
    STAGES,
    Recipe,
    caption_claps,
    claps_of,
    generator_of,
    labels_of,
    latents_of,
    loa_of,
    mels_of,
    rows_of,
    token_ids,
    told_of,
    waves_of,
)

CROP, SEGMENT = 128, 64  # frames that the autoencoder and the vocoder see of a window at a time
SILENT = 0.5  # share of text batches (language) and of samples (unet) whose text is ""
DEAF = 0.1  # share of the unet's samples whose LOA is zeros
TOLD = 0.15  # share of the unet's samples whose LOA is the language model's, of CLAP alone
WORN = 0.4  # share of the unet's samples whose LOA is rough, as a decoded one


def train_auditory(recipe: Recipe) -> None:
    """Stage "auditory": name what a waveform holds."""
    stage, sounds = recipe.stage("auditory"), recipe.sounds("auditory")

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows = rows_of(stage, step, len(sounds), rank, ranks)
        return net(stages.moved(waves_of(sounds, rows), generator_of(stage, step, rank)), labels_of(sounds, rows))

    train(stage, stages.Auditory(), recipe.work / "auditory", loss=loss, accelerator=recipe.accelerator)


def train_judge(recipe: Recipe) -> None:
    """Stage "judge": name what a worn log-mel holds."""
    stage, sounds = recipe.stage("judge"), recipe.sounds("judge")

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows = rows_of(stage, step, len(sounds), rank, ranks)
        mels = stages.worn(stages.standard(mels_of(sounds, rows)), generator_of(stage, step, rank))
        return net(mels, labels_of(sounds, rows))

    train(stage, stages.Namer(), recipe.work / "judge", loss=loss, accelerator=recipe.accelerator)


def train_autoencoder(recipe: Recipe) -> None:
    """Stage "autoencoder"."""
    stage, sounds = recipe.stage("autoencoder"), recipe.stack

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows, generator = rows_of(stage, step, len(sounds), rank, ranks), generator_of(stage, step, rank)
        first = int(torch.randint(models.FRAMES - CROP + 1, (1,), generator=generator))
        noise = torch.randn(len(rows), models.LATENT[0], CROP // 8, models.LATENT[2], generator=generator)
        return net(mels_of(sounds, rows)[:, first : first + CROP], noise)

    train(stage, stages.Autoencoder(), recipe.work / "autoencoder", loss=loss, accelerator=recipe.accelerator)


def train_decoder(recipe: Recipe) -> None:
    """Stage "decoder"."""
    stage, sounds = recipe.stage("decoder"), recipe.stack
    whole, model = recipe.finished("autoencoder", stages.Autoencoder()).net, stages.Decoder()
    model.post_quant_conv.load_state_dict(whole.post_quant_conv.state_dict())
    model.decoder.load_state_dict(whole.decoder.state_dict())

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows, generator = rows_of(stage, step, len(sounds), rank, ranks), generator_of(stage, step, rank)
        first = 8 * int(torch.randint((models.FRAMES - CROP) // 8 + 1, (1,), generator=generator))
        mels = mels_of(sounds, rows)[:, first : first + CROP]
        with torch.no_grad():
            latents = whole.encode(mels[:, None]).latent_dist.mean
        return net(mels, latents)

    train(stage, model, recipe.work / "decoder", loss=loss, accelerator=recipe.accelerator)


def train_clap(recipe: Recipe) -> None:
    """Stage "clap"."""
    stage, sounds, tokens = recipe.stage("clap"), recipe.stack, models.clap_tokenizer()
    ids, mask = token_ids(tokens, sounds)

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows = rows_of(stage, step, len(sounds), rank, ranks)
        wording = torch.randint(3, (len(rows),), generator=generator_of(stage, step, rank))
        features = torch.from_numpy(sounds.features[rows.numpy()]).float()
        return net(features, ids[rows, wording], mask[rows, wording], labels_of(sounds, rows))

    train(stage, stages.Clap(tokens), recipe.work / "clap", loss=loss, accelerator=recipe.accelerator)


def train_text(recipe: Recipe) -> None:
    """Stage "text"."""
    stage, sounds, tokens = recipe.stage("text"), recipe.stack, models.text_tokenizer()
    ids, mask = token_ids(tokens, sounds)

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows = rows_of(stage, step, len(sounds), rank, ranks)
        wording = torch.randint(3, (len(rows),), generator=generator_of(stage, step, rank))
        return net(ids[rows, wording], mask[rows, wording], labels_of(sounds, rows))

    train(stage, stages.Text(tokens), recipe.work / "text", loss=loss, accelerator=recipe.accelerator)


def train_teacher(recipe: Recipe) -> None:
    """Stage "teacher"."""
    stage, sounds = recipe.stage("teacher"), recipe.stack
    patches = models.FRAMES * models.MELS // models.PATCH**2

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows, generator = rows_of(stage, step, len(sounds), rank, ranks), generator_of(stage, step, rank)
        order = torch.rand(len(rows), patches, generator=generator).argsort(1)
        return net(stages.standard(mels_of(sounds, rows)), order, labels_of(sounds, rows))

    train(stage, stages.Teacher(), recipe.work / "teacher", loss=loss, accelerator=recipe.accelerator)


def train_language(recipe: Recipe) -> None:
    """Stage "language": half of the steps know CLAP alone, and three quarters of the embeddings are of sounds."""
    stage, sounds = recipe.stage("language"), recipe.stack
    loa, heard, clap, speaker = loa_of(recipe), claps_of(recipe), recipe.clap(), recipe.text()
    spoken, tokens = token_ids(models.clap_tokenizer(), sounds), models.text_tokenizer()
    ids, mask = token_ids(tokens, sounds)
    nothing = torch.tensor(tokens([""]).input_ids)

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows, generator = rows_of(stage, step, len(loa), rank, ranks), generator_of(stage, step, rank)
        count = len(rows)
        wording = torch.randint(3, (count,), generator=generator)
        of_sound = torch.rand(count, 1, generator=generator) < 0.75
        said = caption_claps(clap, *(part[rows, wording][:, None] for part in spoken))[:, 0]
        embedding = torch.where(of_sound, heard[rows], said)
        noise = torch.randn(embedding.shape, generator=generator) * torch.rand(count, 1, generator=generator)
        embedding = torch.nn.functional.normalize(embedding + 0.04 * noise, dim=1)
        truth = torch.rand(count, 1, 1, generator=generator).expand(-1, models.LOA[0], -1) < 0.3
        silent = float(torch.rand(1, generator=generator)) < SILENT
        text = nothing.expand(count, -1) if silent else ids[rows, wording]
        shown = torch.ones_like(text) if silent else mask[rows, wording]
        with torch.no_grad():
            states = speaker(input_ids=text, attention_mask=shown).last_hidden_state
        return net(embedding, (states, shown), loa[rows], truth)

    train(stage, stages.Language(), recipe.work / "language", loss=loss, accelerator=recipe.accelerator)


def train_unet(recipe: Recipe) -> None:
    """Stage "unet": LOA true, rough, told by the language model or absent; half of the samples have no text."""
    from diffusers import DDIMScheduler

    stage, sounds, tokens = recipe.stage("unet"), recipe.stack, models.text_tokenizer()
    latents = latents_of(recipe)
    latents, loa, told, speaker = latents / latents.std(), loa_of(recipe), told_of(recipe), recipe.text()
    roughen = stages.Roughness(loa)
    ids, mask = token_ids(tokens, sounds)
    empty = tokens([""], padding="max_length", max_length=ids.shape[2], return_tensors="pt")
    scheduler = DDIMScheduler(**models.schedule())

    def loss(net: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows, generator = rows_of(stage, step, len(latents), rank, ranks), generator_of(stage, step, rank)
        count = len(rows)
        draw = torch.rand(3, count, 1, 1, generator=generator)
        heard = torch.where(draw[0] < TOLD, told[rows], loa[rows])
        heard = torch.where(draw[1] < WORN, roughen(heard, generator), heard) * (draw[2] >= DEAF)
        wording = torch.randint(3, (count,), generator=generator)
        silent = torch.rand(count, 1, generator=generator) < SILENT
        said = torch.where(silent, empty.input_ids, ids[rows, wording])
        shown = torch.where(silent, empty.attention_mask, mask[rows, wording])
        with torch.no_grad():
            states = speaker(input_ids=said, attention_mask=shown).last_hidden_state
        times = torch.randint(1000, (count,), generator=generator)
        noise = torch.randn(count, *models.LATENT, generator=generator)
        clean = latents[rows]
        velocity = scheduler.get_velocity(clean, noise, times)
        return net(scheduler.add_noise(clean, noise, times), times, heard, (states, shown), velocity)

    train(stage, stages.Diffusion(), recipe.work / "unet", loss=loss, accelerator=recipe.accelerator)


def train_vocoder(recipe: Recipe) -> None:
    """Stage "vocoder": half of its log-mels are true, half come out of the autoencoder; the waves are always true."""
    stage, sounds, net = recipe.stage("vocoder"), recipe.stack, recipe.autoencoder()

    def loss(model: torch.nn.Module, step: int, rank: int, ranks: int) -> stages.Parts:
        rows, generator = rows_of(stage, step, len(sounds), rank, ranks), generator_of(stage, step, rank)
        first = 8 * int(torch.randint((models.FRAMES - SEGMENT) // 8 + 1, (1,), generator=generator))
        mels = mels_of(sounds, rows)[:, first : first + SEGMENT]
        coded = torch.rand(len(rows), 1, 1, generator=generator) < 0.5
        with torch.no_grad():
            mels = torch.where(coded, net(mels[:, None]).sample[:, 0].float(), mels)
        return model(mels, waves_of(sounds, rows)[:, first * 160 : (first + SEGMENT) * 160])

    train(stage, stages.Vocoder(), recipe.work / "vocoder", loss=loss, accelerator=recipe.accelerator)


def main() -> None:
    """Run one stage or all of them, then export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the sound cache, checkpoints and logs")
    parser.add_argument("--stage", default="all", choices=["all", *STAGES, "export"])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the steps and sounds (0.001 to try it out)")
    parser.add_argument("--out", type=Path, default=None, help="export here instead of into the packages")
    asked = parser.parse_args()
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=not torch.accelerator.is_available(), mixed_precision="bf16")
    recipe = Recipe(work=asked.work, scale=asked.scale, accelerator=accelerator)
    for name in STAGES if asked.stage == "all" else [asked.stage] if asked.stage != "export" else []:
        torch.manual_seed(STAGES[name].seed)
        {
            "auditory": lambda: train_auditory(recipe),
            "judge": lambda: train_judge(recipe),
            "autoencoder": lambda: train_autoencoder(recipe),
            "clap": lambda: train_clap(recipe),
            "teacher": lambda: train_teacher(recipe),
            "text": lambda: train_text(recipe),
            "language": lambda: train_language(recipe),
            "unet": lambda: train_unet(recipe),
            "decoder": lambda: train_decoder(recipe),
            "vocoder": lambda: train_vocoder(recipe),
        }[name]()
    if asked.stage in ("all", "export") and recipe.accelerator.is_main_process:
        from pipelines.miniature.sound_export import export

        export(recipe, asked.out)
    leave(accelerator)


if __name__ == "__main__":
    sys.exit(command("miniature", main, resumes=True))
