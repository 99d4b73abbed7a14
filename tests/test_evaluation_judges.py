"""Judges: a real classifier at a tiny size, and the one that is no network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import ResNetConfig, ResNetForImageClassification

from brain.errors import CheckpointAbsent, InputError, UsageError
from evaluation.judges import CATALOGUE, find_judge
from evaluation.judges.classifier import ClassifierJudge, group_labels

LABELS = ("category:faces", "category:places", "category:food", "colour:red", "colour:blue")


def tiny_judge(folder: Path) -> Path:
    """A ResNetForImageClassification with random weights, saved as the bundled judge is."""
    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic", num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
    )  # fmt: skip
    ResNetForImageClassification(config).save_pretrained(folder)
    preprocessing = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3], "size": {"height": 16, "width": 16}}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return folder


def pictures(n: int) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)) for _ in range(n)]


def test_classifier_looks_as_the_model_does(tmp_path: Path) -> None:
    bench = find_judge(str(tiny_judge(tmp_path / "mine"))).open()
    shown = pictures(5)
    opinion = bench.look(iter(shown))
    model = ResNetForImageClassification.from_pretrained(tmp_path / "mine").eval()
    stack = np.stack([np.asarray(picture) for picture in shown]).transpose(0, 3, 1, 2) / 255
    shape = (1, 3, 1, 1)
    stack = (stack - np.reshape([0.5, 0.4, 0.3], shape)) / np.reshape([0.2, 0.25, 0.3], shape)
    with torch.no_grad():
        out = model(torch.tensor(stack, dtype=torch.float32), output_hidden_states=True)
    assert opinion.features == pytest.approx(out.hidden_states[-1].mean(dim=(2, 3)).numpy(), abs=1e-5)
    logits = out.logits.numpy()
    assert opinion.verdicts["category"].tolist() == [("faces", "places", "food")[i] for i in logits[:, :3].argmax(1)]
    assert opinion.verdicts["colour"].tolist() == [("red", "blue")[i] for i in logits[:, 3:].argmax(1)]
    assert bench.card["name"] == "mine" and len(bench.card["sha256"]) == 64


def test_a_batch_changes_no_opinion(tmp_path: Path) -> None:
    bench = ClassifierJudge(name="mine", folder=tiny_judge(tmp_path)).open()
    shown = pictures(70)  # more than one batch
    together = bench.look(shown)
    alone = np.concatenate([bench.look([picture]).features for picture in shown])
    assert together.features == pytest.approx(alone, abs=1e-5)


def test_labels_without_a_group_are_categories() -> None:
    assert group_labels(("cat", "colour:red", "dog")) == {
        "category": ([0, 2], ["cat", "dog"]),
        "colour": ([1], ["red"]),
    }


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_absent_weights_are_said(tmp_path: Path, file: str) -> None:
    (tiny_judge(tmp_path) / file).unlink()
    with pytest.raises(CheckpointAbsent, match=file):
        ClassifierJudge(name="mine", folder=tmp_path).open()


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", {"model_type": "vit"}),
        ("preprocessor_config.json", {"image_mean": [0.5]}),
        ("preprocessor_config.json", {"size": "large"}),
    ],
)
def test_another_model_is_one_sentence(tmp_path: Path, file: str, change: dict[str, object]) -> None:
    path = tiny_judge(tmp_path) / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match="wanted"):
        ClassifierJudge(name="mine", folder=tmp_path).open()
    path.write_text("{")
    with pytest.raises(InputError, match="wanted JSON"):
        ClassifierJudge(name="mine", folder=tmp_path).open()


def test_unknown_judge_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="miniature"):
        find_judge("minature")
    assert {"miniature", "pixels"} <= set(CATALOGUE.names())


def test_pixels_need_no_network() -> None:
    opinion = find_judge("pixels").open().look([Image.new("RGB", (10, 10), (255, 255, 255)), Image.new("RGB", (3, 50))])
    assert opinion.features.shape == (2, 256) and opinion.features.dtype == np.float32
    assert opinion.features[0].min() == 1 and opinion.features[1].max() == 0 and not opinion.verdicts
