"""classifier: the pooled features of an image classifier in a folder, a second opinion that guidance never follows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from brain.errors import InputError, expected
from brain.files.json_files import read_json
from encoders.spaces._pretrained import frozen, reading, revision_of
from encoders.towers import Tower

if TYPE_CHECKING:
    from torch import Tensor


class ClassifierTower:
    """The catalogue's entry: a folder with config.json, model.safetensors and preprocessor_config.json."""

    name = "classifier"
    title = "Image classifier"
    description = "pooled features of an image classifier from a folder, such as a ResNet"
    citation = "He et al. (2016), CVPR (ResNet)"

    def open(self, folder: Path, *, model: str, device: str) -> Tower:
        """The classifier without its last layer."""
        looks = read_json(folder / "preprocessor_config.json", what="the preprocessing of a classifier")
        with reading(folder):
            from transformers import AutoModelForImageClassification

            mean, std, size = tuple(looks["image_mean"]), tuple(looks["image_std"]), looks["size"]
            side = int(size["height"] if isinstance(size, dict) and "height" in size else size["shortest_edge"])
        kind = AutoModelForImageClassification
        network = frozen(kind, folder, device=device, trust_remote_code=False).base_model
        sizes = getattr(network.config, "hidden_sizes", None)
        width = sizes[-1] if sizes else getattr(network.config, "hidden_size", 0)
        if not width:
            raise InputError(expected(folder, "a classifier with pooled features", "one without", "use another folder"))

        def forward(pixels: Tensor) -> Tensor:
            pooled: Tensor = network(pixel_values=pixels).pooler_output.flatten(1)
            return pooled

        return Tower(
            name=self.name, model=model, digest=revision_of([folder], ""), side=side, mean=mean, std=std,
            width=width, forward=forward,
        )  # fmt: skip

    def tiny(self, folder: Path) -> Path:
        """A random ResNet of two stages on 16 px pictures."""
        from transformers import ResNetConfig, ResNetForImageClassification

        config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3)
        ResNetForImageClassification(config).save_pretrained(folder)
        looks = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3], "size": {"height": 16, "width": 16}}
        (folder / "preprocessor_config.json").write_text(json.dumps(looks), encoding="utf-8")
        return folder


ENTRIES = (ClassifierTower(),)
