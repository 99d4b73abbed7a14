"""Judges: real classifiers at a tiny size, the one that is no network, and published networks that are not at hand."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    ConvNextConfig,
    ConvNextForImageClassification,
    DeiTConfig,
    DeiTForImageClassificationWithTeacher,
    PreTrainedModel,
    ResNetConfig,
    ResNetForImageClassification,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from brain.errors import CheckpointAbsent, InputError, UsageError
from brain.machine.memory import fresh
from evaluation.find_judge import find_judge
from evaluation.judges import CATALOGUE
from evaluation.judges._parts import home as _home
from evaluation.judges._parts.weights import FOLDER, Weights, read_weights
from evaluation.judges.classifier import ClassifierJudge, group_labels, opinion_of
from evaluation.judges.towers import ALEXNET, SWAV, ClipJudge, TorchvisionJudge, clip_bench
from evaluation.metrics import CATALOGUE as METRICS
from evaluation.metrics import Views
from tests.rounding import largest, rounding

LABELS = ("category:faces", "category:places", "category:food", "colour:red", "colour:blue")


def tiny_judge(folder: Path) -> Path:
    """A ResNetForImageClassification with random weights, saved as the bundled judge is."""
    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic", num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
    )  # fmt: skip
    return save(ResNetForImageClassification(config), folder)


def save(model: PreTrainedModel, folder: Path) -> Path:
    model.save_pretrained(folder)
    preprocessing = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3], "size": {"height": 16, "width": 16}}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return folder


def tiny_models() -> dict[str, PreTrainedModel]:
    """Classifiers of other families with random weights, none of which keeps its backbone under the same name."""
    torch.manual_seed(0)
    labels = {"num_labels": len(LABELS), "id2label": dict(enumerate(LABELS))}
    vit = ViTConfig(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=16, patch_size=4,
        **labels,
    )  # fmt: skip
    swin = SwinConfig(
        image_size=16, patch_size=2, embed_dim=4, depths=[1, 1], num_heads=[1, 2], window_size=4, **labels
    )
    convnext = ConvNextConfig(hidden_sizes=[4, 8], depths=[1, 1], num_stages=2, patch_size=2, **labels)
    return {
        "vit": ViTForImageClassification(vit),
        "swin": SwinForImageClassification(swin),
        "convnext": ConvNextForImageClassification(convnext),
    }


def pictures(n: int) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)) for _ in range(n)]


def test_classifier_looks_as_the_model_does(tmp_path: Path) -> None:
    bench = find_judge(str(tiny_judge(tmp_path / "mine"))).open()
    shown = pictures(5)
    opinion = bench.look(iter(shown))
    model = ResNetForImageClassification.from_pretrained(tmp_path / "mine").eval()
    stack = np.stack([np.asarray(picture, np.float32) for picture in shown]).transpose(0, 3, 1, 2) / 255
    shape = (1, 3, 1, 1)
    mean, std = (np.reshape(np.array(one, np.float32), shape) for one in ([0.5, 0.4, 0.3], [0.2, 0.25, 0.3]))
    with torch.no_grad():  # one picture a call, as the judge looks: but for the mean the same bits
        outs = [model(fresh(one), output_hidden_states=True) for one in torch.from_numpy((stack - mean) / std).split(1)]
    maps = torch.cat([out.hidden_states[-1] for out in outs])
    of_places = rounding(sums=maps[0, 0].numel(), scale=largest(maps))
    assert opinion.features == pytest.approx(maps.mean(dim=(2, 3)).numpy(), abs=of_places)
    logits = torch.cat([out.logits for out in outs]).numpy()
    assert opinion.verdicts["category"].tolist() == [("faces", "places", "food")[i] for i in logits[:, :3].argmax(1)]
    assert opinion.verdicts["colour"].tolist() == [("red", "blue")[i] for i in logits[:, 3:].argmax(1)]
    np.testing.assert_array_equal(opinion.scores["colour"], logits[:, 3:])
    assert opinion.classes == {"category": ("faces", "places", "food"), "colour": ("red", "blue")}
    assert bench.card["name"] == "mine" and len(bench.card["sha256"]) == 64


def test_the_miniature_gives_what_its_backbone_pools(checkout: Path) -> None:
    home = checkout / "evaluation" / "judges" / "miniature"
    bench, shown = find_judge("miniature").open(), pictures(3)
    opinion = bench.look(shown)
    model = ResNetForImageClassification.from_pretrained(home).eval()
    facts = json.loads((home / "preprocessor_config.json").read_text())
    side = facts["size"]["height"], facts["size"]["width"]
    small = [picture.resize((side[1], side[0]), Image.Resampling.BILINEAR) for picture in shown]
    stack = np.stack([np.asarray(picture, np.float32) for picture in small]) / 255
    stack = (stack - np.array(facts["image_mean"], np.float32)) / np.array(facts["image_std"], np.float32)
    with torch.no_grad():  # one picture a call, as the judge looks
        pooled = [
            model.resnet(fresh(one)).pooler_output for one in torch.from_numpy(stack.transpose(0, 3, 1, 2)).split(1)
        ]
        logits = torch.cat([model.classifier(one) for one in pooled]).numpy()
    np.testing.assert_array_equal(opinion.features, torch.cat(pooled).flatten(1).numpy())
    np.testing.assert_array_equal(np.concatenate(list(opinion.scores.values()), axis=1), logits)
    assert bench.card["kind"].startswith("ResNetForImageClassification") and bench.card["input"] == "64 x 64"


@pytest.mark.parametrize("family", ["vit", "swin", "convnext"])
def test_any_classifier_may_judge(tmp_path: Path, family: str) -> None:
    model = tiny_models()[family].eval()
    opinion = find_judge(str(save(model, tmp_path / family))).open().look(pictures(4))
    logits = np.concatenate([opinion.scores["category"], opinion.scores["colour"]], axis=1)
    with torch.no_grad():  # what the last layer makes of the features is what the whole network says
        expected = model.classifier(torch.from_numpy(opinion.features)).numpy()
    apart = rounding(sums=opinion.features.shape[1] + 1, scale=largest(opinion.features))  # the last layer's own sum
    assert opinion.features.ndim == 2 and logits == pytest.approx(expected, abs=apart)
    assert np.ptp(opinion.features, axis=0).max() > 0


def test_a_network_without_classifier_is_refused(tmp_path: Path) -> None:
    config = DeiTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=16, patch_size=8
    )
    home = save(DeiTForImageClassificationWithTeacher(config), tmp_path)
    with pytest.raises(InputError, match="last linear layer is `classifier`.*WithTeacher without one") as said:
        ClassifierJudge(name="mine", folder=home).open()
    assert "\n" not in str(said.value)


def test_a_missing_layer_is_not_drawn_at_random(tmp_path: Path) -> None:
    weights = save(tiny_models()["vit"], tmp_path) / "model.safetensors"
    save_file({name: value for name, value in load_file(weights).items() if "classifier" not in name}, weights)
    with pytest.raises(InputError, match="none for classifier.bias, classifier.weight"):
        ClassifierJudge(name="mine", folder=tmp_path).open()


def test_a_batch_changes_no_opinion(tmp_path: Path) -> None:
    bench = ClassifierJudge(name="mine", folder=tiny_judge(tmp_path)).open()
    shown = pictures(70)  # more than one batch
    together = bench.look(shown)
    alone = np.concatenate([bench.look([picture]).features for picture in shown])
    np.testing.assert_array_equal(together.features, alone)


@pytest.mark.parametrize(("name", "instead"), [("miniature", "pixels"), ("miniature-sound", "mels")])
def test_a_judge_whose_package_lacks_its_weights_names_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, instead: str
) -> None:
    monkeypatch.setattr(_home.importlib.resources, "files", lambda package: tmp_path)
    with pytest.raises(CheckpointAbsent, match=f"'{name}': expected its weights in the package.*--judge {instead}"):
        find_judge(name).open()


def test_one_verdict_a_group_for_pictures_and_sounds_alike() -> None:
    groups = group_labels(("cat", "colour:red", "dog", "colour:blue"))
    logits = np.array([[1, 5, 2, 4], [3, 0, 2, 1]], np.float32)
    opinion = opinion_of(np.zeros((2, 3), np.float32), logits, groups)
    assert {group: found.tolist() for group, found in opinion.verdicts.items()} == {
        "category": ["dog", "cat"],
        "colour": ["red", "blue"],
    }
    assert opinion.scores["colour"].tolist() == [[5, 4], [0, 1]] and opinion.classes["colour"] == ("red", "blue")


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
        ("config.json", {"model_type": "vit", "hidden_size": 12, "intermediate_size": 8, "num_hidden_layers": 1}),
        ("config.json", {"model_type": "nobody", "auto_map": {"AutoConfig": "mine.Config"}}),
        ("config.json", {"hidden_sizes": [4, 16]}),
        ("preprocessor_config.json", {"image_mean": [0.5]}),
        ("preprocessor_config.json", {"size": "large"}),
    ],
)
def test_another_model_is_one_sentence(tmp_path: Path, file: str, change: dict[str, object]) -> None:
    path = tiny_judge(tmp_path) / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match="expected"):
        ClassifierJudge(name="mine", folder=tmp_path).open()
    path.write_text("{")
    with pytest.raises(InputError, match="expected JSON"):
        ClassifierJudge(name="mine", folder=tmp_path).open()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("lfs", "a git-lfs pointer .*; run `git lfs pull`"),
        ("page", "a web page"),
        ("cut", "a file cut short"),
        ("nan", "NaN or infinity in 'classifier"),
        ("dead link", "a link to a file that has not been fetched"),
    ],
)
def test_a_broken_download_of_a_judge_is_said(tmp_path: Path, damage: str, said: str) -> None:
    file = tiny_judge(tmp_path) / "model.safetensors"
    weights = load_file(file)
    if damage == "nan":
        bad = next(name for name in sorted(weights) if name.startswith("classifier"))
        save_file(weights | {bad: weights[bad] * torch.nan}, file, metadata={"format": "pt"})
    elif damage == "dead link":
        file.unlink()
        file.symlink_to(tmp_path / "nowhere")
    else:
        pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 5000000\n"
        file.write_bytes({"lfs": pointer, "page": b"<html>404</html>", "cut": file.read_bytes()[:-9]}[damage])
    with pytest.raises(InputError, match=said) as caught:
        ClassifierJudge(name="mine", folder=tmp_path).open()
    assert "model.safetensors" in str(caught.value) and "\n" not in str(caught.value)


def test_a_link_that_was_not_fetched_never_makes_room_for_another_file(no_weights: Path) -> None:
    """One's own file comes before the cache, be it an unfetched link; and decides what kind of judge a folder is."""
    kept = no_weights.parent / "torch" / "hub" / "checkpoints" / ALEXNET.file
    kept.parent.mkdir(parents=True)
    torch.save({}, kept)
    (no_weights / ALEXNET.file).symlink_to(no_weights / "nowhere")
    assert ALEXNET.path() == no_weights / ALEXNET.file
    for read in (read_weights, ALEXNET.card):
        with pytest.raises(InputError, match="a link to a file that has not been fetched"):
            read(ALEXNET.found("judge"))
    judge = tiny_judge(no_weights / "mine")
    (judge / "preprocessor.json").symlink_to(no_weights / "nowhere")
    with pytest.raises(InputError, match=r"preprocessor\.json: .*has not been fetched"):
        find_judge(str(judge)).open()


def test_a_judge_of_pickles_alone_is_said(tmp_path: Path) -> None:
    file = tiny_judge(tmp_path) / "model.safetensors"
    file.rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointAbsent, match=r"no model.safetensors beside pytorch_model\.bin, which are never"):
        ClassifierJudge(name="mine", folder=tmp_path).open()


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
def test_a_judge_that_names_code_of_its_own_is_refused(tmp_path: Path, file: str) -> None:
    path = tiny_judge(tmp_path) / file
    path.write_text(json.dumps({**json.loads(path.read_text()), "auto_map": {"AutoModel": "mine.Mine"}}))
    with pytest.raises(InputError, match="found auto_map; take a checkpoint whose classes are in transformers"):
        ClassifierJudge(name="mine", folder=tmp_path).open()


def test_unknown_judge_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="miniature"):
        find_judge("minature")
    assert {"miniature", "pixels"} <= set(CATALOGUE.names())


def test_pixels_need_no_network() -> None:
    opinion = find_judge("pixels").open().look([Image.new("RGB", (10, 10), (255, 255, 255)), Image.new("RGB", (3, 50))])
    assert opinion.features.shape == (2, 256) and opinion.features.dtype == np.float32
    assert opinion.features[0].min() == 1 and opinion.features[1].max() == 0 and not opinion.verdicts


EYES = (
    "alexnet2", "alexnet5", "inception_v3", "efficientnet_b1", "swav_resnet50", "clip_vit_l14", "alexnet2_224",
    "alexnet5_224", "inception_v3_224", "efficientnet_b1_224", "swav_resnet50_224", "clip_vit_l14_224", "vit_h14",
)  # fmt: skip


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights, and empty caches."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv(FOLDER, str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.mark.parametrize("network", EYES)
def test_absent_eyes_are_said_in_one_sentence(no_weights: Path, network: str) -> None:
    with pytest.raises(CheckpointAbsent) as said:
        find_judge(network).open()
    text = str(said.value)
    assert said.value.exit_code == 5 and "\n" not in text
    for part in (f"judge {network!r}", str(no_weights), "found none", "fetch it by `", FOLDER):
        assert part in text


def test_a_published_name_holds_the_hash_it_carries(tmp_path: Path) -> None:
    place = tmp_path / "net-e3b0c442.pth"
    place.write_bytes(b"")  # whose sha256 begins so
    weights = Weights(file=place.name, size="", licence="", get="")
    assert weights.card(place)["weights"].endswith(", as published")
    place.write_bytes(b"x")
    assert weights.card(place)["weights"].endswith("not known to be as published")
    assert not SWAV.card(place)["weights"].endswith(", as published")


def test_own_folder_comes_before_the_cache(no_weights: Path) -> None:
    kept = no_weights.parent / "torch" / "hub" / "checkpoints" / ALEXNET.file
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert ALEXNET.path() == kept
    (no_weights / "alexnet-owt-7be5be79.safetensors").touch()
    assert ALEXNET.path() == no_weights / "alexnet-owt-7be5be79.safetensors"
    (no_weights / ALEXNET.file).touch()
    assert ALEXNET.path() == no_weights / ALEXNET.file


def test_two_papers_took_two_sets_of_weights() -> None:
    first, second = (find_judge(name) for name in ("efficientnet_b1_224", "efficientnet_b1"))
    assert isinstance(first, TorchvisionJudge) and isinstance(second, TorchvisionJudge)
    assert (first.weights.file, first.sides) == ("efficientnet_b1_rwightman-bac287d4.pth", (224,))
    assert (second.weights.file, second.sides) == ("efficientnet_b1-c27df63c.pth", (256, 255))


def test_clip_embeds_as_transformers_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=224, patch_size=56,
        projection_dim=12,
    )  # fmt: skip
    CLIPVisionModelWithProjection(vision).save_pretrained(tmp_path)
    bench = clip_bench(tmp_path, name="clip", sides=(256, 224))
    shown = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 310, 3), np.uint8))
    small = shown.resize((256, 256), Image.Resampling.BILINEAR).resize((224, 224), Image.Resampling.BILINEAR)
    pixels = np.asarray(small, np.float32) / 255 - np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
    pixels /= np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
    model = CLIPVisionModelWithProjection.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        one = fresh(torch.from_numpy(pixels.transpose(2, 0, 1)[None]))
        expected = model(pixel_values=one).image_embeds.numpy()
    # the same three operations on a pixel and the same network on one picture
    np.testing.assert_array_equal(bench.look([shown]).features, expected)
    assert bench.card["layer"] == "image_embeds" and bench.card["input"] == "256 x 256 -> 224 x 224"


def test_another_clip_is_not_taken_for_vit_l14(no_weights: Path) -> None:
    home = no_weights / "clip-vit-large-patch14"
    home.mkdir()
    (home / "model.safetensors").touch()
    (home / "config.json").write_text(
        json.dumps({"vision_config": {"hidden_size": 768, "num_hidden_layers": 12, "patch_size": 32}})
    )
    with pytest.raises(InputError, match="expected ViT-L/14"):
        ClipJudge(name="clip_vit_l14", sides=(224,)).open()


def test_a_damaged_file_of_weights_is_one_sentence(no_weights: Path) -> None:
    for damaged in (no_weights / ALEXNET.file, no_weights / "a.safetensors"):
        damaged.write_bytes(b"not weights")
        with pytest.raises(InputError, match="expected weights") as said:
            read_weights(damaged)
        assert "\n" not in str(said.value)
    torch.save([1, 2], no_weights / ALEXNET.file)
    with pytest.raises(InputError, match="found list"):
        read_weights(no_weights / ALEXNET.file)


def test_a_pickle_that_would_run_something_is_refused(no_weights: Path) -> None:
    ran = no_weights / "ran"
    with (no_weights / ALEXNET.file).open("wb") as file:
        pickle.dump(Run(ran), file, protocol=2)
    with pytest.raises(InputError):
        read_weights(no_weights / ALEXNET.file)
    assert not ran.exists()


class Run:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["lpips", "dists", "dreamsim"])
def test_absent_distances_are_said_and_come_from_nothing_else(no_weights: Path, name: str) -> None:
    metric = METRICS[name]
    reason = metric.absent(Views(pixels=np.zeros((2, 64, 64, 3), np.uint8)))
    assert "expected" in reason and "found no" in reason and "\n" not in reason
    assert metric.lower and metric.best == 0 and metric.network == "" and metric.chance(9) is None


def test_small_pictures_are_no_pictures_for_alexnet() -> None:
    assert "30 x 64" in METRICS["lpips"].absent(Views(pixels=np.zeros((2, 30, 64, 3), np.uint8)))
