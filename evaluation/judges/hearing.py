"""Ears of published tables: audio classifiers and CLAPs of transformers, from a folder or from the hub's cache.

    clap_htsat     laion/clap-htsat-unfused, whose space no generator is conditioned on
    ast_audioset   the Audio Spectrogram Transformer on AudioSet, 527 classes: what FD, KL and n-way are taken in

Of a sound longer than ten seconds transformers' CLAP keeps a stretch at RANDOM; here it is covered by windows, as
`encoders.spaces.clap` has it. Nothing is ever fetched; weights that are not at hand are a CheckpointAbsent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from brain.errors import InputError, expected
from brain.files.waveforms import RATE, resampled
from brain.machine.memory import fresh
from encoders.frozen.checkpoint_folders import checked
from evaluation.judges import Opinion
from evaluation.judges._parts.home import whole
from evaluation.judges._parts.weights import first_line, hub_folder, quiet, sha256
from evaluation.judges.classifier import RESTORE, group_labels, opinion_of, vocabulary_of, world_of
from evaluation.samples.sounds import SOUND, Float

BATCH = 8
NEEDED = ("config.json", "model.safetensors", "preprocessor_config.json")

Hear = Callable[[list[Float]], tuple[Float, Float | None]]


@dataclass(frozen=True, kw_only=True)
class HubModel:
    """A model on the hub: its repository, its size and licence in words, and what it was trained on."""

    repository: str
    size: str
    licence: str
    world: str


@dataclass(frozen=True, kw_only=True)
class HearingBench:
    """An opened network, in evaluation mode, on the processor.

    hear    sounds (sample,) at `rate` -> features (sound, feature), and logits (sound, class) or None
    groups  group -> columns of the logits and their values, {} where it names nothing
    """

    card: Mapping[str, str]
    hear: Hear = field(repr=False)
    rate: int
    groups: Mapping[str, tuple[Sequence[int], Sequence[str]]] = field(default_factory=dict, repr=False)

    def look(self, sounds: Iterable[Float]) -> Opinion:
        """Features (sound, feature), and verdicts where it has classes; sounds (sample,) float32 at 16 kHz."""
        from brain.console.progress import progress

        features, logits = [], []
        stream = iter(sounds)
        with progress(desc=self.card["name"], unit="sound", leave=False) as bar:
            while batch := list(islice(stream, BATCH)):
                before, after = self.hear([resampled(wave, RATE, to=self.rate) for wave in batch])
                features.append(before)
                if after is not None:
                    logits.append(after)
                bar.update(len(batch))
        if not logits:
            return Opinion(features=np.concatenate(features))
        return opinion_of(np.concatenate(features), np.concatenate(logits), self.groups)


@dataclass(frozen=True, kw_only=True)
class AudioClassifierJudge:
    """An audio classifier of transformers (AST, wav2vec 2.0, ...) in `folder`, or `model` where the hub keeps it.

    group  what its labels are a group of; "" where they carry their own ("category:speech")
    """

    name: str
    title: str = ""
    description: str = ""
    citation: str = ""
    folder: Path | None = None
    model: HubModel | None = None
    group: str = ""
    modality: str = SOUND

    def open(self) -> HearingBench:
        """Loads the weights; absent ones are a CheckpointAbsent, another model or a damaged one an InputError."""
        home = _home(self.name, self.folder, self.model)
        from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

        network = _loaded(AutoModelForAudioClassification, home, kind="an audio classifier")
        extractor = _extractor(AutoFeatureExtractor, home)
        pooled: list[Any] = []
        layer = getattr(network, "classifier", None)
        if layer is None:
            came = f"{type(network).__name__} without one"
            raise InputError(expected(home, "a network whose last layer is `classifier`", came, "name another folder"))
        layer.register_forward_pre_hook(lambda _, given: pooled.append(given[0]))

        def hear(batch: list[Float]) -> tuple[Float, Float | None]:
            import torch

            given = extractor(batch, sampling_rate=extractor.sampling_rate, return_tensors="pt")
            found = []
            with torch.inference_mode():
                for row in range(len(batch)):
                    logits = network(**{name: fresh(one[row : row + 1]) for name, one in given.items()}).logits
                    found.append((pooled.pop().flatten(1), logits))
            features, named = (torch.cat(parts) for parts in zip(*found, strict=True))
            return features.numpy(), named.numpy()

        labels = [str(network.config.id2label[i]) for i in range(network.config.num_labels)]
        groups = {self.group: (list(range(len(labels))), labels)} if self.group else group_labels(labels)
        return HearingBench(
            card={
                **_card(self.name, network, home, layer="input of classifier", rate=extractor.sampling_rate),
                "world": world_of(home, groups, SOUND) if self.model is None else self.model.world,
                "vocabulary": vocabulary_of(groups),
            },
            hear=hear, rate=extractor.sampling_rate, groups=groups,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ClapJudge:
    """A CLAP of transformers in `folder`, or `model` where the hub keeps it: the projected audio embedding."""

    name: str
    title: str = ""
    description: str = ""
    citation: str = ""
    folder: Path | None = None
    model: HubModel | None = None
    modality: str = SOUND

    def open(self) -> HearingBench:
        """Loads the weights; absent ones are a CheckpointAbsent, another model or a damaged one an InputError."""
        from encoders.spaces.clap import Clap

        home = _home(self.name, self.folder, self.model)
        space = Clap().open(home, model=self.name, revision="", device="cpu")
        rate = space.extractor.sampling_rate
        return HearingBench(
            card={
                **_card(self.name, space.tower, home, layer=space.card.layer, rate=rate),
                "world": world_of(home, {}, SOUND) if self.model is None else self.model.world,
            },
            hear=lambda batch: (space.encode_waves(batch, batch=BATCH), None), rate=rate,
        )  # fmt: skip


def _home(name: str, folder: Path | None, model: HubModel | None) -> Path:
    if folder is None:
        assert model is not None
        size = f"{model.size}, {model.licence}"
        return checked(hub_folder(f"judge {name!r}", model.repository, files=NEEDED, said_size=size))
    return checked(whole(name, folder, needed=NEEDED, instead="mels"), then=RESTORE)


def _loaded(kind_of_model: Any, home: Path, *, kind: str) -> Any:
    """The network in that folder, whole and frozen; anything else is an InputError."""
    import torch

    try:
        with quiet():
            network, found = kind_of_model.from_pretrained(
                home, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32,
                output_loading_info=True,
            )  # fmt: skip
    except MemoryError:
        raise
    except Exception as fault:  # the libraries promise no family of exceptions
        came = f"one that does not load ({first_line(fault)})"
        raise InputError(expected(home, f"{kind} of transformers", came, "name another folder")) from fault
    # transformers would draw what is missing at random and go on
    if found["missing_keys"]:
        came = f"none for {', '.join(sorted(found['missing_keys'])[:3])}"
        raise InputError(expected(home, f"weights of the whole {type(network).__name__}", came, RESTORE))
    return network.eval().requires_grad_(False)


def _extractor(kind_of_extractor: Any, home: Path) -> Any:
    try:
        return kind_of_extractor.from_pretrained(home, local_files_only=True, trust_remote_code=False)
    except MemoryError:
        raise
    except Exception as fault:  # the libraries promise no family of exceptions
        came = f"one that does not load ({first_line(fault)})"
        raise InputError(expected(home, "a feature extractor of transformers", came, RESTORE)) from fault


def _card(name: str, network: Any, home: Path, *, layer: str, rate: int) -> dict[str, str]:
    return {
        "name": name,
        "kind": f"{type(network).__name__}, {sum(p.numel() for p in network.parameters()):,} parameters",
        "input": f"mono at {rate} Hz",
        "layer": layer,
        "weights": f"{home.name}/model.safetensors",
        "sha256": sha256(home / "model.safetensors"),
    }


SUBTITLED = "recordings of the web with their texts"
ENTRIES = (
    ClapJudge(
        name="clap_htsat",
        title="CLAP",
        description="the projected audio embedding of LAION's CLAP, which no generator here is conditioned on",
        citation="Wu et al. 2023, ICASSP",
        model=HubModel(repository="laion/clap-htsat-unfused", size="0.6 GB", licence="Apache-2.0", world=SUBTITLED),
    ),
    AudioClassifierJudge(
        name="ast_audioset",
        title="AST",
        description="the Audio Spectrogram Transformer on AudioSet: features, and verdicts among 527 classes",
        citation="Gong et al. 2021, Interspeech",
        model=HubModel(
            repository="MIT/ast-finetuned-audioset-10-10-0.4593", size="0.3 GB", licence="BSD-3-Clause",
            world="recordings of AudioSet, 527 classes",
        ),
        group="audioset",
    ),
)
