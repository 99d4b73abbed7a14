"""mel-latent: the latent a sound stack's AutoencoderKL gives a log-mel, scaled as its diffusion model expects it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from brain.errors import InputError, expected
from brain.files.json_files import read_json
from brain.files.waveforms import levelled
from brain.types import Float, Stimuli
from encoders.conditions import Conditions, SpaceCard
from encoders.frozen.micro_batches import in_micro_batches
from encoders.sounds.mel import MelRecipe, log_mel
from encoders.spaces._pretrained import component, frozen, reading, revision_of
from encoders.spaces._sounds import filled, heard
from encoders.spaces._streaming import encode_stream


@dataclass(frozen=True, kw_only=True)
class MelLatentSpace:
    """Sounds -> (channel, time, band): the mode, never a sample, of the posterior, (z - shift) * scaling factor.

    A sound is centred and its peak brought to .5, as AudioLDM's training sounds were; one shorter than the
    autoencoder's own length is followed by silence, a longer one is refused.
    """

    card: SpaceCard
    vae: Any = field(repr=False)
    recipe: MelRecipe
    frames: int
    scale: float
    shift: float
    device: str
    rescaling: str = "spread"

    def encode(self, stimuli: Stimuli, ids: Sequence[str], *, batch: int) -> Conditions:
        """True latents of these sounds."""

        def prepare(one: str) -> Float:
            wave = levelled(heard(stimuli, one, space=self.card.name, rate=self.recipe.rate))
            name = f"condition space {self.card.name!r}, stimulus {one}"
            samples = self.recipe.samples(self.frames)
            return log_mel(filled(wave, samples, pad="zero", slack=self.recipe.hop, name=name), self.recipe)

        return encode_stream(self.card, ids, batch=batch, prepare=prepare, forward=self.encode_mels)

    def encode_mels(self, mels: Sequence[Float]) -> Float:
        """(n, *card.shape) of log-mels (frame, mel) that are made already, such as generated ones."""
        import torch

        def encode(some: torch.Tensor) -> torch.Tensor:
            latent: torch.Tensor = self.vae.encode(some).latent_dist.mode()
            return latent

        with torch.inference_mode():
            latent = in_micro_batches(encode, torch.from_numpy(np.stack(mels)[:, None]), device=self.device)
        return np.asarray((latent.cpu().numpy() - self.shift) * self.scale, np.float32)


class MelLatent:
    """The catalogue's entry: component vae."""

    name = "mel-latent"
    title = "Latent of the log-mel"
    description = "the latent that a sound stack's autoencoder gives a log-mel spectrogram"
    citation = "Liu et al. (2023), ICML (AudioLDM)"
    modality = "sound"
    component = "vae"
    requires = ""
    captioned = False
    telling = 10
    noised = True

    def open(self, folder: Path, *, model: str, revision: str, device: str) -> MelLatentSpace:
        """The space on the stack in `folder`; its length in frames is the autoencoder's `sample_size`."""
        place = component(folder, "vae", model=model)
        with reading(place):
            from diffusers import AutoencoderKL
        vae = frozen(AutoencoderKL, place, device=device)
        if vae.config.in_channels != 1:
            came = f"one of {vae.config.in_channels} channels"
            raise InputError(expected(place, "an autoencoder of log-mels, 1 channel", came, "name a stack of sounds"))
        size, scale = vae.config.sample_size, float(vae.config.scaling_factor)
        recipe = MelRecipe() if isinstance(size, int) else MelRecipe(mels=int(size[1]))
        frames = _frames(size)
        shift = float(vae.config.shift_factor or 0)
        smaller = 2 ** (len(vae.config.block_out_channels) - 1)
        card = SpaceCard(
            name=self.name,
            model=model,
            revision=revision_of([place], revision),
            layer=f"posterior mode of {frames} frames x {recipe.mels} mels at {recipe.rate / recipe.hop:g} Hz, peak .5",
            normalisation=f"(z - {shift:g}) * {scale:g}",
            shape=(vae.config.latent_channels, frames // smaller, recipe.mels // smaller),
        )
        return MelLatentSpace(card=card, vae=vae, recipe=recipe, frames=frames, scale=scale, shift=shift, device=device)

    def seconds(self, folder: Path) -> float:
        """How long the autoencoder's sounds are, from its config.json."""
        path, recipe = folder / "vae" / "config.json", MelRecipe()
        facts = read_json(path, what="an autoencoder's configuration")
        try:
            return recipe.samples(_frames(facts["sample_size"])) / recipe.rate
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(expected(path, "sample_size in frames", "none", "fetch or copy it again")) from error

    def tiny(self, folder: Path) -> str:
        """A random autoencoder of 3 levels on 1.28 s of 64 mels."""
        from diffusers import AutoencoderKL

        AutoencoderKL(
            in_channels=1,
            out_channels=1,
            block_out_channels=(4, 4, 8),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            latent_channels=4,
            norm_num_groups=2,
            sample_size=128,
            scaling_factor=0.41,
        ).save_pretrained(folder / "vae")
        return "tiny"


def _frames(size: Any) -> int:
    """How many frames a `sample_size` stands for: a number, or (frame, mel)."""
    return int(size) if isinstance(size, int) else int(size[0])


ENTRIES = (MelLatent(),)
