"""Judges that are image classifiers in the Hugging Face folder layout; `miniature` is the one bundled with the package.

Pictures are resized to the `size` of preprocessor_config.json (PIL, antialiased, squashed to the square), divided by
255 and normalised with its `image_mean` and `image_std`. Features are what the last linear layer, `classifier`, is
given. The labels of config.json may be grouped as "group:value" ("category:faces", "colour:red"); a verdict is the
largest logit within its group; labels without a group belong to the group "category".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from brain.errors import InputError, expected
from brain.files.json_files import read_json
from brain.writing.origin import plain
from encoders.frozen.checkpoint_folders import checked
from encoders.frozen.micro_batches import in_micro_batches
from encoders.frozen.torchvision_guard import settle_torchvision
from evaluation.judges import DRAWN, UNSAID, Opinion
from evaluation.judges._parts.home import judge_home
from evaluation.judges._parts.pictures import prepare
from evaluation.judges._parts.weights import first_line, quiet, sha256
from evaluation.samples.images import IMAGE
from evaluation.samples.sounds import SOUND

BATCH = 16
BUNDLED = "miniature"
RESTORE = "restore the judge's folder"
SIMULATORS = {IMAGE: "brain.simulated.scenes", SOUND: "brain.simulated.sounds"}
"""What the card of a judge names that was trained on a simulator's pictures or sounds."""
NEEDED = ("config.json", "model.safetensors", "preprocessor_config.json")


@dataclass(frozen=True, kw_only=True)
class ClassifierJudge:
    """An image classifier of transformers in `folder`, or the bundled ResNet where `folder` is None."""

    name: str
    title: str = ""
    description: str = ""
    citation: str = ""
    folder: Path | None = None
    modality: str = IMAGE

    def open(self) -> ClassifierBench:
        """Loads the weights onto the processor; an absent file is a CheckpointAbsent, another model an InputError."""
        with judge_home(self.name, self.folder, bundled=BUNDLED, needed=NEEDED, instead="pixels") as home:
            return ClassifierBench(name=self.name, home=home)


class ClassifierBench:
    """An opened classifier, in evaluation mode, on the processor."""

    def __init__(self, *, name: str, home: Path) -> None:
        preprocessing = read_object(home / "preprocessor_config.json")
        read_object(home / "config.json")
        self.side = _side(preprocessing, home)
        self.mean = _colour(preprocessing, "image_mean", home)
        self.std = _colour(preprocessing, "image_std", home)
        self.model = open_classifier(home)
        self._pooled: list[Any] = []
        self.model.classifier.register_forward_pre_hook(lambda _, given: self._pooled.append(given[0]))
        self.groups = group_labels([self.model.config.id2label[i] for i in range(self.model.config.num_labels)])
        self.card: Mapping[str, str] = {
            "name": name,
            "kind": f"{type(self.model).__name__}, {sum(p.numel() for p in self.model.parameters()):,} parameters",
            "input": f"{self.side[1]} x {self.side[0]}",
            "layer": "input of classifier",
            "world": world_of(home, self.groups, IMAGE),
            "vocabulary": vocabulary_of(self.groups),
            "sha256": sha256(home / "model.safetensors"),
        }

    def look(self, pictures: Iterable[Image.Image]) -> Opinion:
        """Features (picture, feature) before the last layer; logits and the verdict in each group of labels."""
        stream = iter(pictures)
        features: list[NDArray[np.float32]] = []
        logits: list[NDArray[np.float32]] = []
        while batch := list(islice(stream, BATCH)):
            before, after = self._forward(batch)
            features.append(before)
            logits.append(after)
        return opinion_of(np.concatenate(features), np.concatenate(logits), self.groups)

    def _forward(self, batch: Sequence[Image.Image]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        import torch

        pixels = prepare(batch, sizes=(self.side,), mean=self.mean, std=self.std)

        def see(some: torch.Tensor) -> torch.Tensor:
            logits = self.model(pixel_values=some).logits
            return torch.cat([self._pooled.pop().flatten(1), logits], 1)

        with torch.inference_mode():
            both = in_micro_batches(see, torch.from_numpy(pixels), device="cpu").numpy()
        labels = self.model.config.num_labels
        return both[:, :-labels], both[:, -labels:]


def open_classifier(home: Path) -> Any:
    """The network in that folder, whole and with a last layer `classifier`; anything else is an InputError."""
    checked(home, then=RESTORE)
    settle_torchvision()
    import torch
    from transformers import AutoModelForImageClassification

    try:
        with quiet():
            model, found = AutoModelForImageClassification.from_pretrained(
                home, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32,
                output_loading_info=True,
            )  # fmt: skip
    except MemoryError:
        raise
    except Exception as fault:  # the libraries promise no family of exceptions
        came = f"one that does not load ({first_line(fault)})"
        raise InputError(expected(home, "an image classifier of transformers", came, "name another folder")) from fault
    # transformers would draw what is missing at random and go on
    if found["missing_keys"]:
        came = f"none for {', '.join(sorted(found['missing_keys'])[:3])}"
        raise InputError(expected(home, f"weights of the whole {type(model).__name__}", came, "restore the folder"))
    if not _ends_linear(getattr(model, "classifier", None)):
        came = f"{type(model).__name__} without one"
        raise InputError(
            expected(home, "a network whose last linear layer is `classifier`", came, "name another folder")
        )
    return model.eval().requires_grad_(False)


def _ends_linear(layer: Any) -> bool:
    from torch import nn

    last = layer[-1] if isinstance(layer, nn.Sequential) and len(layer) else layer
    return isinstance(last, nn.Linear)


def group_labels(labels: Sequence[str]) -> dict[str, tuple[list[int], list[str]]]:
    """group -> (columns of the logits, values): "colour:red" is value "red" of group "colour"."""
    groups: dict[str, tuple[list[int], list[str]]] = {}
    for column, label in enumerate(labels):
        group, _, value = label.rpartition(":")
        columns, values = groups.setdefault(group or "category", ([], []))
        columns.append(column)
        values.append(value)
    return groups


def opinion_of(
    features: NDArray[np.float32],
    logits: NDArray[np.float32],
    groups: Mapping[str, tuple[Sequence[int], Sequence[str]]],
) -> Opinion:
    """Features (sample, feature) and logits (sample, label) as an opinion; groups as `group_labels` gives them."""
    scores = {group: logits[:, list(columns)] for group, (columns, _) in groups.items()}
    classes = {group: tuple(values) for group, (_, values) in groups.items()}
    verdicts = {
        group: np.array([classes[group][i] for i in found.argmax(axis=1)], np.str_) for group, found in scores.items()
    }
    return Opinion(features=features, verdicts=verdicts, scores=scores, classes=classes)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a judge's folder, else an InputError."""
    return read_json(path, what="JSON of a judge", then=RESTORE)


def world_of(home: Path, groups: Mapping[str, tuple[Sequence[int], Sequence[str]]], modality: str) -> str:
    """What the judge in this folder was trained on, as the `data` of its card.json has it.

    groups  the judge's labels: of a judge that knows a simulator alone their number of kinds is said
    """
    card = home / "card.json"
    data = str(read_object(card).get("data", "")) if card.is_file() else ""
    if SIMULATORS[modality] not in data:
        return plain(data) or UNSAID
    kinds = len(groups["kind"][1]) if "kind" in groups else 0
    return f"{DRAWN[modality]}, {kinds} kinds" if kinds else DRAWN[modality]


def vocabulary_of(groups: Mapping[str, tuple[Sequence[int], Sequence[str]]]) -> str:
    """How many words a judge has, group by group: "category 8, kind 32"."""
    return ", ".join(f"{group} {len(values)}" for group, (_, values) in groups.items()) or "none"


def _side(preprocessing: Mapping[str, Any], home: Path) -> tuple[int, int]:
    size = preprocessing.get("size")
    if isinstance(size, int):
        return size, size
    if isinstance(size, dict) and {"height", "width"} <= size.keys():
        return int(size["height"]), int(size["width"])
    if isinstance(size, dict) and "shortest_edge" in size:
        return int(size["shortest_edge"]), int(size["shortest_edge"])
    raise InputError(
        f"{home}/preprocessor_config.json: expected size with height and width, found {size!r}; write it in"
    )


def _colour(preprocessing: Mapping[str, Any], key: str, home: Path) -> NDArray[np.float32]:
    values = preprocessing.get(key)
    if not isinstance(values, list) or len(values) != 3:
        raise InputError(
            f"{home}/preprocessor_config.json: expected three numbers in {key}, found {values!r}; write them in"
        )
    return np.array(values, np.float32)


ENTRIES = (
    ClassifierJudge(
        name=BUNDLED,
        title="Miniature",
        description="the bundled classifier, trained on the simulator's drawn scenes; it conditions nothing",
    ),
)
