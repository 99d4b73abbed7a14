"""Judges of sounds that look at log-mel spectrograms: `miniature-sound`, bundled with the package, and `mels`.

A folder like the bundled one holds config.json and model.safetensors of an image classifier of transformers with one
channel and a last layer `classifier`, labels grouped as "group:value", and a preprocessor.json:

    {"frames": 256, "mean": -4.6, "std": 2.9, "mel": {"rate": 16000, "mels": 64, ...}}

A sound becomes its log-mel (frame, mel) by that recipe of `encoders.sounds.mel`, (x - mean) / std, as a picture whose
height is time. A sound of several times `frames` is seen in as many parts, whose features and logits are averaged; what
is shorter is padded with the recipe's floor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from brain.errors import InputError, expected
from encoders.frozen.micro_batches import in_micro_batches
from encoders.sounds.mel import MelRecipe, log_mel
from evaluation.judges import NO_NETWORK, Opinion
from evaluation.judges._parts.home import judge_home
from evaluation.judges._parts.weights import sha256
from evaluation.judges.classifier import (
    group_labels,
    open_classifier,
    opinion_of,
    read_object,
    vocabulary_of,
    world_of,
)
from evaluation.samples.sounds import SOUND, Float

BATCH = 32
BUNDLED = "miniature_sound"
PREPROCESSOR = "preprocessor.json"
NEEDED = ("config.json", "model.safetensors", PREPROCESSOR)
# The judge that is no network: its features are the means of so many parts in time by so many bands.
PARTS, BANDS = 16, 16


@dataclass(frozen=True, kw_only=True)
class MelClassifierJudge:
    """A classifier of log-mels in `folder`, or the bundled one where `folder` is None."""

    name: str
    title: str = ""
    description: str = ""
    citation: str = ""
    folder: Path | None = None
    modality: str = SOUND

    def open(self) -> MelClassifierBench:
        """Loads the weights onto the processor; an absent file is a CheckpointAbsent, another model an InputError."""
        with judge_home(self.name, self.folder, bundled=BUNDLED, needed=NEEDED, instead="mels") as home:
            return MelClassifierBench(name=self.name, home=home)


class MelClassifierBench:
    """An opened classifier of log-mels, in evaluation mode, on the processor."""

    def __init__(self, *, name: str, home: Path) -> None:
        facts = read_object(home / PREPROCESSOR)
        read_object(home / "config.json")
        self.recipe, self.frames, self.mean, self.std = _preprocessing(facts, home / PREPROCESSOR)
        self.model = open_classifier(home)
        channels = getattr(self.model.config, "num_channels", None)
        if channels != 1:
            came = f"one of {channels} channels"
            raise InputError(expected(home, "a classifier of log-mels, one channel", came, "name another folder"))
        self._pooled: list[Any] = []
        self.model.classifier.register_forward_pre_hook(lambda _, given: self._pooled.append(given[0]))
        self.groups = group_labels([self.model.config.id2label[i] for i in range(self.model.config.num_labels)])
        seconds = self.frames * self.recipe.hop / self.recipe.rate
        self.card: Mapping[str, str] = {
            "name": name,
            "kind": f"{type(self.model).__name__}, {sum(p.numel() for p in self.model.parameters()):,} parameters",
            "input": f"log-mel of {seconds:g} s, {self.frames} x {self.recipe.mels}",
            "layer": "input of classifier",
            "world": world_of(home, self.groups, SOUND),
            "vocabulary": vocabulary_of(self.groups),
            "sha256": sha256(home / "model.safetensors"),
        }

    def look(self, sounds: Iterable[Float]) -> Opinion:
        """Features (sound, feature) before the last layer; logits and the verdict in each group of labels.

        sounds  (sample,) float32 at 16 kHz each, of any length from a tenth of a second up
        """
        stream = iter(sounds)
        features, logits = [], []
        while batch := list(islice(stream, BATCH)):
            parts = [self._parts(wave) for wave in batch]
            before, after = self._forward(np.concatenate(parts))
            ends = np.cumsum([len(part) for part in parts])[:-1]
            features += [part.mean(axis=0) for part in np.split(before, ends)]
            logits += [part.mean(axis=0) for part in np.split(after, ends)]
        return opinion_of(np.stack(features), np.stack(logits), self.groups)

    def _parts(self, wave: Float) -> Float:
        """(part, frame, mel) normalised."""
        mel = log_mel(wave, self.recipe)
        count = max(1, round(len(mel) / self.frames))
        short = max(0, count * self.frames - len(mel))
        floor = float(np.log(self.recipe.floor))
        whole = np.pad(mel, ((0, short), (0, 0)), constant_values=floor)[: count * self.frames]
        normal: Float = ((whole - self.mean) / self.std).astype(np.float32)
        return normal.reshape(count, self.frames, -1)

    def _forward(self, parts: Float) -> tuple[Float, Float]:
        import torch

        def see(some: torch.Tensor) -> torch.Tensor:
            logits = self.model(pixel_values=some).logits
            return torch.cat([self._pooled.pop().flatten(1), logits], 1)

        with torch.inference_mode():
            both = in_micro_batches(see, torch.from_numpy(parts[:, None]), device="cpu").numpy()
        labels = self.model.config.num_labels
        return both[:, :-labels], both[:, -labels:]


def _preprocessing(facts: Mapping[str, Any], path: Path) -> tuple[MelRecipe, int, Float, Float]:
    try:
        recipe, frames = MelRecipe(**facts.get("mel", {})), int(facts["frames"])
        mean, std = (np.array(facts[key], np.float32) for key in ("mean", "std"))
    except (KeyError, TypeError, ValueError) as fault:
        raise InputError(
            expected(path, "frames, mean, std and the mel recipe", f"one without them ({fault})", "write them in")
        ) from fault
    if frames < 1 or mean.shape not in ((), (recipe.mels,)) or std.shape != mean.shape or not (std > 0).all():
        came = f"frames {frames}, mean of {mean.shape}, std of {std.shape}"
        raise InputError(expected(path, "one mean and std above 0, or one a band", came, "write them in"))
    return recipe, frames, mean, std


@dataclass(frozen=True, kw_only=True)
class MelJudge:
    """Features are the log-mel's means over 16 parts in time by 16 bands; no network, no verdicts."""

    name: str = "mels"
    title: str = "Mels"
    description: str = "a small log-mel spectrogram as features; no network, no verdicts"
    citation: str = ""
    modality: str = SOUND

    @property
    def card(self) -> Mapping[str, str]:
        """What stands in the report's card."""
        return {"name": self.name, "kind": f"{PARTS} x {BANDS} means of the log-mel, no network", "world": NO_NETWORK}

    def open(self) -> MelJudge:
        """Itself: there is nothing to load."""
        return self

    def look(self, sounds: Iterable[Float]) -> Opinion:
        """The log-mels' means, features (sound, feature), of sounds (sample,) at 16 kHz; no verdicts."""
        recipe = MelRecipe()
        mels = [log_mel(wave, recipe) for wave in sounds]
        short = [np.array_split(mel, PARTS) for mel in mels]
        means = [[part.mean(axis=0) for part in parts if len(part)] for parts in short]
        coarse = [np.stack(rows).reshape(len(rows), BANDS, -1).mean(axis=2).ravel() for rows in means]
        return Opinion(features=np.array(coarse, np.float32).reshape(len(coarse), -1))


ENTRIES = (
    MelClassifierJudge(
        name="miniature-sound",
        title="Miniature, of sounds",
        description="the bundled classifier of log-mels, trained on the simulator's sounds; it conditions nothing",
    ),
    MelJudge(),
)
