"""Judges that are image classifiers in the Hugging Face folder layout; `miniature` is the one bundled with the package.

Pictures are resized to the `size` of preprocessor_config.json (PIL, antialiased, squashed to the square), divided by
255 and normalised with its `image_mean` and `image_std`. Features are the pooled output of the backbone. The labels of
config.json may be grouped as "group:value" ("category:faces", "colour:red"); a verdict is the largest logit within its
group; labels without a group belong to the group "category".
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from brain.errors import CheckpointAbsent, InputError
from evaluation.judges import Opinion

BATCH = 64
BUNDLED = "miniature"
NEEDED = ("config.json", "model.safetensors", "preprocessor_config.json")


@dataclass(frozen=True, kw_only=True)
class ClassifierJudge:
    """A ResNetForImageClassification in `folder`, or the bundled one where `folder` is None."""

    name: str
    folder: Path | None = None

    def open(self) -> ClassifierBench:
        """Loads the weights onto the processor; an absent file is a CheckpointAbsent, another model an InputError."""
        with self._home() as home:
            absent = [file for file in NEEDED if not (home / file).is_file()]
            if absent:
                raise CheckpointAbsent(
                    f"judge {self.name!r}: wanted {', '.join(NEEDED)} in {home}, came no {', '.join(absent)}; "
                    "install the package with its data, name a folder with --judge FOLDER, or judge by --judge pixels"
                )
            return ClassifierBench(name=self.name, home=home)

    @contextmanager
    def _home(self) -> Iterator[Path]:
        if self.folder is not None:
            yield self.folder
            return
        bundled = importlib.resources.files("evaluation.judges").joinpath(BUNDLED)
        if not bundled.is_dir():
            raise CheckpointAbsent(
                f"judge {self.name!r}: wanted its weights in the package, came none; "
                "install the package with its data, or judge by --judge pixels"
            )
        with importlib.resources.as_file(bundled) as home:
            yield home


class ClassifierBench:
    """An opened classifier, in evaluation mode, on the processor."""

    def __init__(self, *, name: str, home: Path) -> None:
        from transformers import ResNetForImageClassification
        from transformers.utils import logging

        preprocessing = _read(home / "preprocessor_config.json")
        config = _read(home / "config.json")
        if config.get("model_type") != "resnet":
            raise InputError(f"{home}: wanted a ResNetForImageClassification, came {config.get('model_type')!r}")
        self.side = _side(preprocessing, home)
        self.mean = _colour(preprocessing, "image_mean", home)
        self.std = _colour(preprocessing, "image_std", home)
        # transformers would draw a progress bar for the milliseconds this takes
        bars = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        self.model = ResNetForImageClassification.from_pretrained(home, local_files_only=True, use_safetensors=True)
        if bars:
            logging.enable_progress_bar()
        self.model.eval().requires_grad_(False)
        self.groups = group_labels([self.model.config.id2label[i] for i in range(self.model.config.num_labels)])
        self.card: Mapping[str, str] = {
            "name": name,
            "kind": f"ResNetForImageClassification, {sum(p.numel() for p in self.model.parameters()):,} parameters",
            "input": f"{self.side[1]} x {self.side[0]}",
            "sha256": _sha256(home / "model.safetensors"),
        }

    def look(self, pictures: Iterable[Image.Image]) -> Opinion:
        """Features (picture, feature) of the pooled output, and the verdict in each group of labels."""
        import torch

        stream = iter(pictures)
        features: list[NDArray[np.float32]] = []
        logits: list[NDArray[np.float32]] = []
        while batch := list(islice(stream, BATCH)):
            with torch.inference_mode():
                pooled = self.model.resnet(torch.from_numpy(self._prepare(batch))).pooler_output
                logits.append(self.model.classifier(pooled).numpy())
                features.append(pooled.flatten(1).numpy())
        marks = np.concatenate(logits)
        verdicts = {
            group: np.array([values[i] for i in marks[:, columns].argmax(axis=1)], np.str_)
            for group, (columns, values) in self.groups.items()
        }
        return Opinion(features=np.concatenate(features), verdicts=verdicts)

    def _prepare(self, batch: Sequence[Image.Image]) -> NDArray[np.float32]:
        small = [picture.resize((self.side[1], self.side[0]), Image.Resampling.BILINEAR) for picture in batch]
        stack = np.stack([np.asarray(picture, np.float32) for picture in small]) / 255
        return np.ascontiguousarray(((stack - self.mean) / self.std).transpose(0, 3, 1, 2))


def group_labels(labels: Sequence[str]) -> dict[str, tuple[list[int], list[str]]]:
    """group -> (columns of the logits, values): "colour:red" is value "red" of group "colour"."""
    groups: dict[str, tuple[list[int], list[str]]] = {}
    for column, label in enumerate(labels):
        group, _, value = label.rpartition(":")
        columns, values = groups.setdefault(group or "category", ([], []))
        columns.append(column)
        values.append(value)
    return groups


def _read(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: wanted JSON, came {error}; restore the judge's folder") from error
    if not isinstance(facts, dict):
        raise InputError(f"{path}: wanted a JSON object, came {type(facts).__name__}; restore the judge's folder")
    return facts


def _side(preprocessing: Mapping[str, Any], home: Path) -> tuple[int, int]:
    size = preprocessing.get("size")
    if isinstance(size, int):
        return size, size
    if isinstance(size, dict) and {"height", "width"} <= size.keys():
        return int(size["height"]), int(size["width"])
    if isinstance(size, dict) and "shortest_edge" in size:
        return int(size["shortest_edge"]), int(size["shortest_edge"])
    raise InputError(f"{home}/preprocessor_config.json: wanted size with height and width, came {size!r}; write it in")


def _colour(preprocessing: Mapping[str, Any], key: str, home: Path) -> NDArray[np.float32]:
    values = preprocessing.get(key)
    if not isinstance(values, list) or len(values) != 3:
        raise InputError(
            f"{home}/preprocessor_config.json: wanted three numbers in {key}, came {values!r}; write them in"
        )
    return np.array(values, np.float32)


def _sha256(path: Path) -> str:
    with path.open("rb") as weights:
        return hashlib.file_digest(weights, "sha256").hexdigest()


ENTRIES = (ClassifierJudge(name=BUNDLED),)
