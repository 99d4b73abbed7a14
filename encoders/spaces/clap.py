"""clap: the unit vector a stack's CLAP gives a sound, as AudioLDM and AudioLDM 2's language model are conditioned.

There are many CLAPs, and most are 512 wide. Which one made a vector is part of the space's card, so that vectors of
another are refused where only their width would fit.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from brain.errors import CheckpointAbsent, InputError, expected
from brain.files.json_files import read_json
from brain.files.waveforms import HOP_SECONDS
from brain.types import Float, Stimuli
from encoders.conditions import Conditions, SpaceCard
from encoders.frozen.checkpoint_folders import checked
from encoders.frozen.micro_batches import in_micro_batches
from encoders.spaces._pretrained import component, frozen, reading, revision_of
from encoders.spaces._sounds import heard
from encoders.spaces._streaming import encode_stream


@dataclass(frozen=True, kw_only=True)
class ClapSpace:
    """Sounds -> (width,) of unit norm, the same bits whenever the same sound comes.

    A sound longer than the extractor's own length (10 s, as trained) would be cropped at random by transformers; here
    it is covered by as few windows as reach, evenly spaced, whose unit vectors are averaged and normalised again.
    """

    card: SpaceCard
    tower: Any = field(repr=False)
    extractor: Any = field(repr=False)
    device: str
    rescaling: str = "spread+norm"

    def encode(self, stimuli: Stimuli, ids: Sequence[str], *, batch: int) -> Conditions:
        """True vectors of these sounds."""

        def prepare(one: str) -> Float:
            wave = heard(stimuli, one, space=self.card.name, rate=self.extractor.sampling_rate)
            return self._features(wave)

        return encode_stream(self.card, ids, batch=batch, prepare=prepare, forward=self._forward)

    def encode_waves(self, waves: Sequence[Float], *, batch: int) -> Float:
        """(n, width) of sounds that are mono and at the extractor's own rate already, such as generated ones."""
        parts = [
            self._forward([self._features(wave) for wave in waves[start : start + batch]])
            for start in range(0, len(waves), batch)
        ]
        return np.concatenate([np.empty((0, *self.card.shape), np.float32), *parts])

    def _features(self, wave: Float) -> Float:
        """(window, channel, frame, mel): one window at a time, for transformers draws across those of a batch."""
        rate, longest = self.extractor.sampling_rate, int(self.extractor.nb_max_samples)
        if len(wave) < longest + HOP_SECONDS * rate:  # resampling rounds up: a sample too many makes no second window
            wave = wave[:longest]
        windows = [
            self.extractor(wave[start : start + longest], sampling_rate=rate, max_length=longest, return_tensors="np")[
                "input_features"
            ][0]
            for start in window_starts(len(wave), longest)
        ]
        return np.asarray(np.stack(windows), np.float32)

    def _forward(self, sounds: list[Float]) -> Float:
        import torch

        def hear(features: torch.Tensor) -> torch.Tensor:
            # alone, a short sound is called longer by transformers; in a batch a random one is, and the others are not
            longer = torch.ones(len(features), 1, dtype=torch.bool, device=self.device)
            out = self.tower.get_audio_features(input_features=features, is_longer=longer)
            vectors: torch.Tensor = out.pooler_output
            return vectors

        with torch.inference_mode():
            made = in_micro_batches(hear, torch.from_numpy(np.concatenate(sounds)), device=self.device)
        vectors = np.split(made.cpu().numpy().astype(np.float64), np.cumsum([len(one) for one in sounds])[:-1])
        means = np.stack([one.mean(0) for one in vectors])
        return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), np.float32)


def window_starts(samples: int, longest: int) -> list[int]:
    """Where windows of `longest` samples begin that cover `samples` evenly, from the very first to the very last."""
    count = -(-samples // longest)
    return [round(one) for one in np.linspace(0, max(samples - longest, 0), count)]


class Clap:
    """The catalogue's entry: components text_encoder, a whole ClapModel, and feature_extractor.

    A stack without CLAP's audio tower (AudioLDM 1) needs its CLAP from elsewhere: a folder that is itself a CLAP, with
    the model and its preprocessor_config.json side by side, opens as well.
    """

    name = "clap"
    title = "CLAP sound embedding"
    description = "the unit vector that a stack's CLAP gives a sound"
    citation = "Wu et al. (2023), ICASSP (LAION-CLAP)"
    modality = "sound"
    component = "text_encoder"
    requires = ""
    captioned = False
    telling = 50
    noised = False

    def open(self, folder: Path, *, model: str, revision: str, device: str) -> ClapSpace:
        """The space on the stack, or on the CLAP, in `folder`."""
        alone = all(os.path.lexists(folder / name) for name in ("config.json", "preprocessor_config.json"))
        tower_at = checked(folder) if alone else component(folder, "text_encoder", model=model)
        _must_hear(tower_at, model=model)
        extractor_at = folder if alone else component(folder, "feature_extractor", model=model)
        with reading(extractor_at):
            from transformers import ClapFeatureExtractor, ClapModel

            extractor = ClapFeatureExtractor.from_pretrained(extractor_at, local_files_only=True)
        tower = frozen(ClapModel, tower_at, device=device)
        _must_belong(extractor, tower.config.audio_config, extractor_at)
        seconds = extractor.nb_max_samples / extractor.sampling_rate
        card = SpaceCard(
            name=self.name,
            model=model,
            revision=revision_of([tower_at] if alone else [tower_at, extractor_at], revision),
            layer=f"projected audio vector, mean over windows of {seconds:g} s at {extractor.sampling_rate} Hz",
            normalisation="unit norm",
            shape=(tower.config.projection_dim,),
        )
        return ClapSpace(card=card, tower=tower, extractor=extractor, device=device)

    def tiny(self, folder: Path) -> str:
        """A random CLAP of two one-layer stages on sounds of 1 s at 16 kHz, and its extractor."""
        from transformers import ClapAudioConfig, ClapConfig, ClapFeatureExtractor, ClapModel, ClapTextConfig

        audio = ClapAudioConfig(
            spec_size=64,
            window_size=4,
            num_mel_bins=16,
            depths=[1, 1],
            num_attention_heads=[2, 2],
            num_hidden_layers=2,
            hidden_size=32,
            patch_size=4,
            patch_stride=[4, 4],
            patch_embeds_hidden_size=16,
            projection_dim=24,
        )
        text = ClapTextConfig(
            vocab_size=40,
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=16,
            projection_dim=24,
        )
        config = ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=24)
        ClapModel(config).save_pretrained(folder / "text_encoder")
        ClapFeatureExtractor(
            feature_size=16,
            sampling_rate=16000,
            hop_length=160,
            fft_window_size=512,
            max_length_s=1,
            truncation="rand_trunc",
            frequency_min=50,
            frequency_max=8000,
        ).save_pretrained(folder / "feature_extractor")
        return "tiny"


def _must_hear(place: Path, *, model: str) -> None:
    """Refuse a text tower that stands where a whole CLAP is needed."""
    kind = str(read_json(place / "config.json", what="the configuration of a CLAP").get("model_type"))
    if kind == "clap_text_model":
        then = "open the space on a folder of the CLAP its authors trained it with, such as a whole ClapModel"
        raise CheckpointAbsent(
            expected(place, f"the audio tower of {model or 'a CLAP'}", "its text tower alone", then),
        )
    if kind != "clap":
        raise InputError(expected(place, "a ClapModel", f"a model of type {kind!r}", "name a stack that has a CLAP"))


def _must_belong(extractor: Any, config: Any, place: Path) -> None:
    """Refuse an extractor that was made for another CLAP."""
    if (extractor.truncation == "fusion") != bool(config.enable_fusion):
        came = f"truncation {extractor.truncation!r} and enable_fusion {config.enable_fusion}"
        raise InputError(expected(place, "the extractor of this CLAP", came, "take both from one checkpoint"))
    if extractor.feature_size != config.num_mel_bins:
        came = f"{extractor.feature_size} mel bands for a tower of {config.num_mel_bins}"
        raise InputError(expected(place, "the extractor of this CLAP", came, "take both from one checkpoint"))


ENTRIES = (Clap(),)
