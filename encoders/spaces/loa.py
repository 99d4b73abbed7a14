"""loa: what a masked autoencoder of spectrograms hears, pooled in time, as AudioLDM 2's UNet is conditioned.

The component `teacher` is a transformers ViTModel over (frame, mel) patches; its preprocessor_config.json says what it
was fed and how its states are pooled (`LoaRecipe`):

    {"front_end": "audioldm-mel", "frames": 256, "mels": 64, "mean": -5.0, "std": 3.0, "pad": "zero",
     "layers": [4, 5, 6], "tokens": 8}
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.errors import InputError, expected
from brain.files.json_files import read_json
from brain.files.waveforms import RATE, levelled
from brain.types import Float, Stimuli
from encoders.conditions import Conditions, SpaceCard
from encoders.frozen.micro_batches import in_micro_batches
from encoders.sounds.mel import MelRecipe, log_mel
from encoders.spaces._pretrained import component, frozen, reading, revision_of
from encoders.spaces._sounds import PADS, filled, heard
from encoders.spaces._streaming import encode_stream

FRONT_ENDS = ("audioldm-mel", "kaldi-fbank")
HOP = 160
"""Samples a frame, in both front ends."""


@dataclass(frozen=True, kw_only=True)
class LoaRecipe:
    """What the teacher is fed, (frames, mels) of (x - mean) / (2 std), and what is taken from it.

    front_end  "audioldm-mel" (`encoders.sounds.mel`) or "kaldi-fbank" (AudioMAE's, transformers' ASTFeatureExtractor)
    pad        what follows a shorter sound: "zero" (silence; rows of zeros in the filter bank, as AudioLDM 2 has it)
               or "repeat" (the sound again)
    layers     hidden states that are normalised and averaged; 0 is the embedding, the last is the last block's
    tokens     stretches of time, each over the whole band, pooled as (mean + max) / 2

    AudioLDM 2's own (Liu et al. 2024, section III; AudioMAE as2m): kaldi-fbank, 1024 x 128, mean -4.2677393,
    std 4.5689974, layers 10, 11 and 12 of 12, 8 tokens.
    """

    front_end: str
    frames: int
    mels: int
    mean: float
    std: float
    pad: str
    layers: tuple[int, ...]
    tokens: int

    @classmethod
    def read(cls, place: Path) -> LoaRecipe:
        """The recipe in a teacher's folder; facts that are missing or impossible are an `InputError`."""
        path = place / "preprocessor_config.json"
        facts = read_json(path, what="the recipe of LOA", then=_EXPORT)
        missing = [one.name for one in fields(cls) if one.name not in facts]
        if missing:
            raise InputError(expected(path, "the recipe of LOA", f"one without {', '.join(missing)}", _EXPORT))
        with reading(path):
            recipe = cls(
                front_end=str(facts["front_end"]),
                frames=int(facts["frames"]),
                mels=int(facts["mels"]),
                mean=float(facts["mean"]),
                std=float(facts["std"]),
                pad=str(facts["pad"]),
                layers=tuple(int(one) for one in facts["layers"]),
                tokens=int(facts["tokens"]),
            )
        sizes = min(recipe.frames, recipe.mels, recipe.tokens, len(recipe.layers))
        if recipe.front_end not in FRONT_ENDS or recipe.pad not in PADS or sizes < 1 or not recipe.std > 0:
            want = f"front_end {' or '.join(FRONT_ENDS)}, pad {' or '.join(PADS)}, sizes and std above 0"
            raise InputError(expected(path, want, f"{recipe}", _EXPORT))
        return recipe

    def spectrogram(self, wave: Float, *, name: str) -> Float:
        """(sample,) at 16 kHz -> (frames, mels) float32, as the teacher is fed."""
        if self.front_end == "audioldm-mel":
            whole = filled(wave, self.frames * HOP, pad=self.pad, slack=HOP, name=name)
            features = log_mel(whole, MelRecipe(mels=self.mels))
        else:
            samples = self.frames * HOP if self.pad == "repeat" else min(len(wave), self.frames * HOP)
            bank = kaldi_fbank(filled(wave, samples, pad=self.pad, slack=HOP, name=name), mels=self.mels)
            features = np.pad(bank[: self.frames], ((0, max(self.frames - len(bank), 0)), (0, 0)))
        return np.asarray((features - self.mean) / (2 * self.std), np.float32)


_EXPORT = "write the teacher's preprocessor_config.json as docs/background/spaces_and_maps.md has it"


def kaldi_fbank(wave: Float, *, mels: int) -> Float:
    """(sample,) at 16 kHz -> ((sample - 400) // 160 + 1, mels) float32: Kaldi's filter bank without dither.

    Always on transformers.audio_utils: ASTFeatureExtractor takes torchaudio where that is installed, and differs.
    """
    from transformers.audio_utils import spectrogram, window_function

    bank = spectrogram(
        wave,
        window_function(400, "hann", periodic=False),
        frame_length=400,
        hop_length=HOP,
        fft_length=512,
        power=2.0,
        center=False,
        preemphasis=0.97,
        mel_filters=_kaldi_filters(mels),
        log_mel="log",
        mel_floor=1.192092955078125e-07,
        remove_dc_offset=True,
    )
    return np.asarray(bank.T, np.float32)


@lru_cache(maxsize=2)
def _kaldi_filters(mels: int) -> NDArray[np.float64]:
    from transformers.audio_utils import mel_filter_bank

    with warnings.catch_warnings():
        # AudioMAE's 128 bands leave one empty, as they did when it was trained
        warnings.filterwarnings("ignore", message="At least one mel filter", category=UserWarning)
        return np.asarray(
            mel_filter_bank(
                num_frequency_bins=257,
                num_mel_filters=mels,
                min_frequency=20,
                max_frequency=RATE // 2,
                sampling_rate=RATE,
                norm=None,
                mel_scale="kaldi",
                triangularize_in_mel_space=True,
            )
        )


@dataclass(frozen=True, kw_only=True)
class LoaSpace:
    """Sounds -> (token, width) float32. A sound is centred and its peak brought to .5; a longer one is refused."""

    card: SpaceCard
    teacher: Any = field(repr=False)
    recipe: LoaRecipe
    device: str
    rescaling: str = "spread"

    def encode(self, stimuli: Stimuli, ids: Sequence[str], *, batch: int) -> Conditions:
        """True tokens of these sounds."""

        def prepare(one: str) -> Float:
            wave = levelled(heard(stimuli, one, space=self.card.name, rate=RATE))
            return self.recipe.spectrogram(wave, name=f"condition space {self.card.name!r}, stimulus {one}")

        return encode_stream(self.card, ids, batch=batch, prepare=prepare, forward=self._forward)

    def _forward(self, spectrograms: list[Float]) -> Float:
        import torch

        def hear(pixels: torch.Tensor) -> torch.Tensor:
            out = self.teacher(pixel_values=pixels, output_hidden_states=True)
            last = len(out.hidden_states) - 1
            # whether the last of hidden_states is normalised already differs between versions of transformers
            states = [
                out.last_hidden_state if layer == last else self.teacher.layernorm(out.hidden_states[layer])
                for layer in self.recipe.layers
            ]
            patches = torch.stack(states).mean(0)[:, 1:]
            stretches = patches.unflatten(1, (self.recipe.tokens, -1))  # patches run through the band first, then time
            tokens: torch.Tensor = (stretches.mean(2) + stretches.amax(2)) / 2
            return tokens

        with torch.inference_mode():
            pooled = in_micro_batches(hear, torch.from_numpy(np.stack(spectrograms)[:, None]), device=self.device)
        return np.asarray(pooled.cpu().numpy(), np.float32)


class Loa:
    """The catalogue's entry: component teacher."""

    name = "loa"
    title = "LOA, pooled AudioMAE states"
    description = "states of a masked autoencoder of spectrograms, pooled in time, as AudioLDM 2 is conditioned"
    citation = "Huang et al. (2022), NeurIPS (AudioMAE); Liu et al. (2024), IEEE/ACM TASLP 32:2871 (AudioLDM 2)"
    modality = "sound"
    component = "teacher"
    requires = ""
    captioned = False
    telling = 40
    noised = False

    def open(self, folder: Path, *, model: str, revision: str, device: str) -> LoaSpace:
        """The space on the stack in `folder`; a teacher whose sizes its recipe does not fit is an `InputError`."""
        place = component(folder, "teacher", model=model)
        teacher = frozen(_Teacher, place, device=device)
        recipe = LoaRecipe.read(place)
        _must_fit(recipe, teacher.config, place)
        layers = ", ".join(str(one) for one in recipe.layers)
        card = SpaceCard(
            name=self.name,
            model=model,
            revision=revision_of([place], revision),
            layer=f"hidden states {layers}, normalised, averaged, (mean + max) / 2 in {recipe.tokens} stretches",
            normalisation=f"{recipe.front_end} of {recipe.frames} x {recipe.mels}, peak .5, pad {recipe.pad}",
            shape=(recipe.tokens, teacher.config.hidden_size),
        )
        return LoaSpace(card=card, teacher=teacher, recipe=recipe, device=device)

    def seconds(self, folder: Path) -> float:
        """How long the teacher's sounds are, from its recipe."""
        return LoaRecipe.read(folder / "teacher").frames * HOP / RATE

    def tiny(self, folder: Path) -> str:
        """A random teacher of 2 layers on 1.28 s of 64 mels, pooled to 4 tokens."""
        from transformers import ViTConfig, ViTModel

        config = ViTConfig(
            hidden_size=16,
            intermediate_size=20,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=[128, 64],
            patch_size=[16, 16],
            num_channels=1,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        ViTModel(config, add_pooling_layer=False).save_pretrained(folder / "teacher")
        recipe = LoaRecipe(
            front_end="audioldm-mel", frames=128, mels=64, mean=-5.0, std=3.0, pad="zero", layers=(1, 2), tokens=4
        )
        facts = {one.name: getattr(recipe, one.name) for one in fields(recipe)}
        (folder / "teacher" / "preprocessor_config.json").write_text(json.dumps(facts), encoding="utf-8")
        return "tiny"


class _Teacher:
    """Loads a ViTModel without the pooler, which no teacher has trained, and leaves no weight to chance."""

    @classmethod
    def from_pretrained(cls, place: Path, *, local_files_only: bool, use_safetensors: bool) -> Any:
        from transformers import ViTModel

        network, report = ViTModel.from_pretrained(
            place,
            local_files_only=local_files_only,
            use_safetensors=use_safetensors,
            add_pooling_layer=False,
            output_loading_info=True,
        )
        missing = sorted(report["missing_keys"])
        if missing:
            raise ValueError(f"{len(missing)} weights missing, the first is {missing[0]}")
        return network


def _must_fit(recipe: LoaRecipe, config: Any, place: Path) -> None:
    size, patch = _pair(config.image_size), _pair(config.patch_size)
    if size != (recipe.frames, recipe.mels):
        came = f"{recipe.frames} x {recipe.mels} for a teacher of {size[0]} x {size[1]}"
        raise InputError(expected(place, "a recipe of the teacher's own size", came, _EXPORT))
    if max(recipe.layers) > config.num_hidden_layers or min(recipe.layers) < 0:
        came = f"{recipe.layers}"
        raise InputError(expected(place, f"hidden states 0 to {config.num_hidden_layers}", came, _EXPORT))
    if (size[0] // patch[0]) % recipe.tokens:
        came = f"{recipe.tokens}"
        raise InputError(expected(place, f"tokens that divide {size[0] // patch[0]} patches in time", came, _EXPORT))


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


ENTRIES = (Loa(),)
