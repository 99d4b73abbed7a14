"""A stack of sound: its components, its geometry, and the steps between waveforms, latents and conditions.

Built of a stack's components alone: UNet, autoencoder, scheduler, and a vocoder where there is one. Text encoders,
projection and language model are optional: without them only what needs them is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput
from numpy.typing import NDArray
from torch import Tensor

from brain.errors import InputError, UsageError
from brain.files.waveforms import levelled
from encoders.sounds.mel import MelRecipe, log_mel_tensor
from pipelines.sampling.micro_batches import MicroBatches, given
from pipelines.sounds.prompt import SoundPrompt, condition_widths, reads_loa
from pipelines.sounds.vocoding import GriffinLim, Hifigan, Vocoder, limited, silent

LONGEST_TEXT = 128
LOA_TOKENS = 8
"""Tokens of LOA where no decoded ones say: what AudioLDM 2 was trained with."""


@dataclass
class SoundDrawing(BaseOutput):  # type: ignore[misc]
    """What the pipeline returns.

    waves     (sample, time) float32 at `rate` Hz, no peak above .99
    rate      Hz
    mels      (sample, frame, mel) float32, natural logarithm of magnitudes
    latents   (sample, channel, time, mel) float32, scaled as the UNet takes them
    vocoder   "hifigan" (the stack's) or "griffin-lim" (the stack has none)
    withheld  (sample,) True for a waveform below -80 dB: counted, never scored
    """

    waves: NDArray[np.float32]
    rate: int
    mels: NDArray[np.float32]
    latents: Tensor
    vocoder: str
    withheld: list[bool]


class SoundStack(DiffusionPipeline):  # type: ignore[misc]
    """A latent diffusion stack of sound, of either family; the base of the pipeline, not one itself."""

    model_cpu_offload_seq = "text_encoder->text_encoder_2->projection_model->language_model->unet->vae->vocoder"
    _optional_components = [
        "vocoder",
        "text_encoder",
        "feature_extractor",
        "tokenizer",
        "text_encoder_2",
        "tokenizer_2",
        "projection_model",
        "language_model",
    ]
    _callback_tensor_inputs = ["latents"]

    def __init__(
        self,
        vae: Any,
        unet: Any,
        scheduler: Any,
        vocoder: Any = None,
        text_encoder: Any = None,
        feature_extractor: Any = None,
        tokenizer: Any = None,
        text_encoder_2: Any = None,
        tokenizer_2: Any = None,
        projection_model: Any = None,
        language_model: Any = None,
    ) -> None:
        super().__init__()
        reads_loa(unet)
        self.register_modules(
            vae=vae,
            unet=unet,
            scheduler=scheduler,
            vocoder=vocoder,
            text_encoder=text_encoder,
            feature_extractor=feature_extractor,
            tokenizer=tokenizer,
            text_encoder_2=text_encoder_2,
            tokenizer_2=tokenizer_2,
            projection_model=projection_model,
            language_model=language_model,
        )
        self._vocode()

    @property
    def recipe(self) -> MelRecipe:
        """How its mel spectrograms are made: AudioLDM's recipe."""
        return MelRecipe()

    @property
    def rate(self) -> int:
        """Hz of what it draws."""
        return self.recipe.rate

    @property
    def shrinking(self) -> int:
        """How many frames, and how many mel bands, one place of a latent stands for."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def seconds(self) -> float:
        """How long the sounds are that its UNet was trained on."""
        size = self.unet.config.sample_size
        places = size if isinstance(size, int) else size[0]
        return float(self.recipe.samples(places * self.shrinking) / self.rate)

    def batches(self) -> MicroBatches:
        """The micro-batches this stack is called in where no others are given."""
        return MicroBatches.fitting(self.unet, self.device, beside=self.components.values())

    def latent_shape(self, seconds: float = 0) -> tuple[int, int, int]:
        """(channel, time, mel) of the latent of a sound so long, 0 being `seconds`; frames must fill whole places."""
        asked = seconds or self.seconds
        step = self.shrinking * self.recipe.hop / self.rate
        places = round(asked / step)
        if places < 1 or abs(places * step - asked) > 1e-6:
            raise UsageError(
                f"seconds must be a multiple of {step:g} on this stack, found {asked:g}; use {max(1, places) * step:g}"
            )
        return self.unet.config.in_channels, places, self.recipe.mels // self.shrinking

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str], *, batches: MicroBatches | None = None) -> SoundPrompt:
        """Captions as AudioLDM 2's UNet reads them: `text` and `mask` of the second text encoder, padded to a length.

        A stack without that encoder is an `InputError`.
        """
        if self.text_encoder_2 is None or self.tokenizer_2 is None:
            raise InputError("captions: this stack was loaded without text_encoder_2 and tokenizer_2; load them")
        length = min(self.tokenizer_2.model_max_length, LONGEST_TEXT)
        tokens = self.tokenizer_2(
            list(captions), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        ).to(self.device)
        return self._states(tokens.input_ids, tokens.attention_mask, batches or self.batches())

    @torch.no_grad()
    def encode_sounds(self, waves: NDArray[np.float32], *, batches: MicroBatches | None = None) -> Tensor:
        """Waveforms (sample, time) at `rate` as latents (sample, channel, time, mel) float32: the posterior's mode.

        Each is centred and its peak brought to .5 first, as the autoencoder was trained and as `mel-latent` has it.
        """
        self.latent_shape(waves.shape[1] / self.rate)
        scale, shift = self._scale_and_shift()

        def encode(wave: Tensor) -> Tensor:
            mels = log_mel_tensor(wave, self.recipe)[:, None].to(self.vae.dtype)
            scaled: Tensor = (self.vae.encode(mels).latent_dist.mode().float() - shift) * scale
            return scaled

        return (batches or self.batches()).run(encode, torch.from_numpy(levelled(waves)).to(self.device))

    @torch.no_grad()
    def decode_latents(self, latents: Tensor, *, batches: MicroBatches | None = None) -> SoundDrawing:
        """Latents (sample, channel, time, mel) as mel spectrograms and waveforms.

        Numbers that are not finite are an `InputError`.
        """
        batches, vocode = batches or self.batches(), self._vocode()
        mels = self.decode_mels(latents, batches=batches)
        waves = batches.run(vocode, mels)
        for what, numbers in (("autoencoder", mels), (vocode.name, waves)):
            if not torch.isfinite(numbers).all():
                raise InputError(f"sounds: expected finite numbers, found NaN from the {what}; draw in float32")
        return SoundDrawing(
            waves=limited(waves).cpu().numpy(),
            rate=self.rate,
            mels=mels.cpu().numpy(),
            latents=latents,
            vocoder=vocode.name,
            withheld=silent(waves),
        )

    @torch.no_grad()
    def decode_mels(self, latents: Tensor, *, batches: MicroBatches) -> Tensor:
        """Latents as log-mel spectrograms (sample, frame, mel) float32."""
        scale, shift = self._scale_and_shift()

        def decode(z: Tensor) -> Tensor:
            images = self.vae.decode((z / scale + shift).to(self.vae.dtype), return_dict=False)[0]
            mels: Tensor = images[:, 0].float()
            return mels

        return batches.run(decode, given(latents, self.device))

    def round_trip(self, waves: NDArray[np.float32], *, batches: MicroBatches | None = None) -> SoundDrawing:
        """Waveforms (sample, time) through mel, autoencoder and vocoder: the best any sound of this stack could be."""
        return self.decode_latents(self.encode_sounds(waves, batches=batches), batches=batches)

    def facts(self) -> dict[str, str]:
        """What of this stack decides a sound besides weights, for the run's card."""
        encoded = self._empty_clap_is_encoded if not reads_loa(self.unet) else self.text_encoder_2 is not None
        return {"vocoder": self._vocode().name, "empty_condition": "encoded" if encoded else "zeros"}

    @torch.no_grad()
    def empty(self, batches: MicroBatches, *, tokens: int = LOA_TOKENS) -> SoundPrompt:
        """The condition that says nothing, (1, ...), as the networks were trained to read it.

        AudioLDM 2: LOA of zeros beside the encoding of ""; AudioLDM: CLAP's embedding of "". Where the stack was loaded
        without the text encoder that is needed, zeros stand in, and `facts` says so.
        """
        if not reads_loa(self.unet):
            return SoundPrompt(clap=self._empty_clap(batches))
        loa, text = condition_widths(self.unet)
        zeros = torch.zeros(1, tokens, loa, device=self.device)
        if self.text_encoder_2 is None or self.tokenizer_2 is None:
            states = torch.zeros(1, 1, text, device=self.device)
            return SoundPrompt(loa=zeros, text=states, mask=torch.ones(1, 1, dtype=torch.long, device=self.device))
        found = self.tokenizer_2([""], return_tensors="pt").to(self.device)
        told = self._states(found.input_ids, found.attention_mask, batches)
        return SoundPrompt(loa=zeros, text=told.text, mask=told.mask)

    @property
    def _empty_clap_is_encoded(self) -> bool:
        return self.text_encoder is not None and self.tokenizer is not None

    def _empty_clap(self, batches: MicroBatches) -> Tensor:
        if not self._empty_clap_is_encoded:
            return torch.zeros(1, self.unet.config.projection_class_embeddings_input_dim, device=self.device)
        found = self.tokenizer(
            [""], padding="max_length", max_length=self.tokenizer.model_max_length, return_tensors="pt"
        ).to(self.device)

        def embed(ids: Tensor, mask: Tensor) -> Tensor:
            if hasattr(self.text_encoder, "get_text_features"):
                told = self.text_encoder.get_text_features(ids, attention_mask=mask).pooler_output
            else:
                told = self.text_encoder(ids, attention_mask=mask).text_embeds
            embedded: Tensor = told.float()
            return embedded

        return torch.nn.functional.normalize(batches.run(embed, found.input_ids, found.attention_mask), dim=-1)

    def _states(self, ids: Tensor, mask: Tensor, batches: MicroBatches) -> SoundPrompt:
        def encode(ids: Tensor, mask: Tensor) -> Tensor:
            states: Tensor = self.text_encoder_2(ids, attention_mask=mask).last_hidden_state.float()
            return states

        return SoundPrompt(text=batches.run(encode, ids, mask), mask=mask)

    def _whole(self, prompt: SoundPrompt, empty: SoundPrompt) -> SoundPrompt:
        """A prompt with all that the UNet reads and nothing else, checked; no text is the empty one's."""
        if not reads_loa(self.unet):
            if prompt.clap is None or prompt.loa is not None or prompt.text is not None:
                raise InputError("AudioLDM's UNet reads CLAP and nothing else; give clap alone")
            dim = self.unet.config.projection_class_embeddings_input_dim
            return SoundPrompt(clap=self._clap(prompt.clap, dim=dim))
        if prompt.loa is None or prompt.clap is not None:
            raise InputError("AudioLDM 2's UNet reads LOA, not CLAP; give loa, or make it of clap with coarse_to_fine")
        loa, text = condition_widths(self.unet)
        texts = empty.repeat(len(prompt)) if prompt.text is None else prompt
        heard, said = _states_of(prompt.loa, what="LOA", dim=loa), _states_of(texts.text, what="text", dim=text)
        mask = torch.ones(said.shape[:2], dtype=torch.long) if texts.mask is None else texts.mask
        return SoundPrompt(loa=given(heard, self.device), text=given(said, self.device), mask=mask.to(self.device))

    def _clap(self, clap: Tensor, *, dim: int) -> Tensor:
        if clap.ndim != 2 or clap.shape[1] != dim:
            raise InputError(f"CLAP: expected (sample, {dim}), found {tuple(clap.shape)}; use this stack's own encoder")
        return torch.nn.functional.normalize(given(clap, self.device), dim=-1)

    def _vocode(self) -> Vocoder:
        if self.vocoder is None:
            return GriffinLim(recipe=self.recipe)
        return Hifigan(vocoder=self.vocoder, recipe=self.recipe)

    def _scale_and_shift(self) -> tuple[float, float]:
        return float(self.vae.config.scaling_factor), float(getattr(self.vae.config, "shift_factor", None) or 0)


def _states_of(came: Tensor | None, *, what: str, dim: int) -> Tensor:
    """A part of a prompt that must be there, (sample, token, dim)."""
    if came is None or came.ndim != 3 or came.shape[2] != dim:
        shape = None if came is None else tuple(came.shape)
        raise InputError(f"{what}: expected (sample, token, {dim}), found {shape}; use this stack's own encoder")
    return came
