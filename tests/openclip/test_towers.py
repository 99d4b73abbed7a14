"""Published eyes and perceptual distances on torchvision's own networks, with random weights under the real names.

Run where torchvision and torchmetrics are installed: pytest -m openclip.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from brain.errors import InputError
from encoders.frozen.torchvision_guard import settle_torchvision
from evaluation.find_judge import find_judge
from evaluation.judges._parts.weights import FOLDER
from evaluation.metrics import CATALOGUE, Views
from evaluation.metrics.perceptual import CHANNELS, dists, lpips
from tests.rounding import rounding

pytestmark = pytest.mark.openclip
settle_torchvision()
models = pytest.importorskip(
    "torchvision.models", reason="torchvision is not installed here: its tests run in their own environment"
)

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
torchmetrics = pytest.importorskip("torchmetrics.functional.image", reason="torchmetrics is not installed here")

# the network, how its paper's code builds it, the file of its weights, its layer's shape
EYES: dict[str, tuple[str, dict[str, Any], str, tuple[int, ...]]] = {
    "alexnet2": ("alexnet", {}, "alexnet-owt-7be5be79.pth", (192, 31, 31)),
    "alexnet5": ("alexnet", {}, "alexnet-owt-7be5be79.pth", (256, 15, 15)),
    "alexnet5_224": ("alexnet", {}, "alexnet-owt-7be5be79.pth", (256, 13, 13)),
    "inception_v3": (
        "inception_v3", {"init_weights": False, "transform_input": True}, "inception_v3_google-0cc3c7bd.pth",
        (2048, 1, 1),
    ),
    "efficientnet_b1": ("efficientnet_b1", {}, "efficientnet_b1-c27df63c.pth", (1280, 1, 1)),
    "efficientnet_b1_224": ("efficientnet_b1", {}, "efficientnet_b1_rwightman-bac287d4.pth", (1280, 1, 1)),
    "swav_resnet50": ("resnet50", {}, "swav_800ep_pretrain.pth.tar", (2048, 1, 1)),
}  # fmt: skip
SIDES = {
    "alexnet2": (256,), "alexnet5": (256,), "alexnet5_224": (224,), "inception_v3": (256, 342),
    "efficientnet_b1": (256, 255), "efficientnet_b1_224": (224,), "swav_resnet50": (256, 224),
}  # fmt: skip
LAYERS: dict[str, Callable[[Any, Any], Any]] = {
    "alexnet2": lambda network, x: network.features[:5](x),
    "alexnet5": lambda network, x: network.features[:12](x),
    "alexnet5_224": lambda network, x: network.features[:12](x),
    "inception_v3": lambda network, x: _inception(network, x),
    "efficientnet_b1": lambda network, x: network.avgpool(network.features(x)),
    "efficientnet_b1_224": lambda network, x: network.avgpool(network.features(x)),
    "swav_resnet50": lambda network, x: torch.nn.Sequential(*list(network.children())[:-1])(x),
}


def _inception(network: Any, x: Any) -> Any:
    """Up to the pooled features, written out; the first line is what torchvision's own weights make it do."""
    x = x * torch.tensor(STD).float().reshape(3, 1, 1) + torch.tensor(MEAN).float().reshape(3, 1, 1)
    x = x * 2 - 1
    skipped = ("AuxLogits", "dropout", "fc")
    return torch.nn.Sequential(*(layer for name, layer in network.named_children() if name not in skipped))(x)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of weights that the environment names."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv(FOLDER, str(folder))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    yield folder
    shutil.rmtree(tmp_path)  # hundreds of megabytes that pytest would keep


def pictures(n: int, *, size: tuple[int, int] = (70, 50)) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8)) for _ in range(n)]


def prepared(shown: list[Image.Image], sides: tuple[int, ...]) -> Any:
    for side in sides:
        shown = [picture.resize((side, side), Image.Resampling.BILINEAR) for picture in shown]
    stack = (np.stack([np.asarray(picture) for picture in shown]) / 255 - MEAN) / STD
    return torch.tensor(stack.transpose(0, 3, 1, 2), dtype=torch.float32)


def random_network(name: str, settings: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    network = getattr(models, name)(weights=None, **settings).eval()
    for layer in network.modules():  # as drawn, a normalisation passes everything and would hide a missing buffer
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.running_mean, -0.1, 0.1)
        elif isinstance(layer, torch.nn.Conv2d):  # as drawn, a deep network forgets its picture
            torch.nn.init.kaiming_normal_(layer.weight)
    return network


def of_either_sign(sums: int) -> int:
    """As many sums as carry a number as far as that many do whose errors have either sign.

    They come to their root, and to four times that less than once in a thousand (Higham and Mary, SIAM J. Sci. Comput.
    2019). Sums one after the other through a whole network would allow a hundred times more than there ever is.
    """
    return round(4 * sums**0.5)


def passed(network: Any) -> list[int]:
    """A list that fills, as the network is called, with what each number of a layer adds up."""
    sums: list[int] = []
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_forward_hook(lambda one, given, out: sums.append(one.weight[0].numel()))
    return sums


def convolutions(state: dict[str, Any]) -> int:
    """The same through all convolutions of these weights."""
    return sum(one[0].numel() for one in state.values() if one.ndim == 4)


@pytest.mark.parametrize("eye", EYES)
def test_an_eye_sees_its_published_layer(weights: Path, eye: str) -> None:
    name, settings, file, shape = EYES[eye]
    network = random_network(name, settings)
    state = network.state_dict()
    if eye == "swav_resnet50":  # as the file has it: from several devices, with heads of its own and no classifier
        state = {f"module.{key}": value for key, value in state.items() if not key.startswith("fc.")}
        state |= {"module.projection_head.0.weight": torch.ones(1), "module.prototypes.weight": torch.ones(1)}
    torch.save(state, weights / file)
    bench = find_judge(eye).open()
    shown, sums = pictures(2), passed(network)
    opinion = bench.look(iter(shown))
    with torch.no_grad():
        layer = LAYERS[eye](network, prepared(shown, SIDES[eye]))
    assert tuple(layer.shape[1:]) == shape
    expected = layer.flatten(1).numpy()
    apart = rounding(sums=of_either_sign(sum(sums)), scale=float(np.abs(expected).max()))
    assert np.ptp(expected[0] - expected[1]) > 10 * apart
    np.testing.assert_allclose(opinion.features, expected, atol=apart, rtol=0)
    assert not opinion.verdicts and not opinion.scores
    assert bench.card["input"] == " -> ".join(f"{side} x {side}" for side in SIDES[eye])
    assert bench.card["weights"] == f"{file}, not known to be as published" and len(bench.card["sha256"]) == 64


def test_safetensors_of_the_same_stem_serve_as_well(weights: Path) -> None:
    from safetensors.torch import save_file

    network = random_network("efficientnet_b1", {})
    save_file(network.state_dict(), weights / "efficientnet_b1-c27df63c.safetensors")
    bench, shown, sums = find_judge("efficientnet_b1").open(), pictures(2), passed(network)
    with torch.no_grad():
        expected = network.avgpool(network.features(prepared(shown, (256, 255)))).flatten(1).numpy()
    apart = rounding(sums=of_either_sign(sum(sums)), scale=float(np.abs(expected).max()))
    assert np.ptp(expected[0] - expected[1]) > 10 * apart
    assert bench.look(shown).features == pytest.approx(expected, abs=apart)
    assert "safetensors" in bench.card["weights"]


def test_weights_of_another_network_are_refused(weights: Path) -> None:
    torch.save({"a": torch.ones(1)}, weights / "efficientnet_b1-c27df63c.pth")
    with pytest.raises(InputError, match="the weights of EfficientNet") as said:
        find_judge("efficientnet_b1").open()
    assert "\n" not in str(said.value)


def test_the_largest_eye_is_built_as_its_weights_are() -> None:
    judge = find_judge("vit_h14")
    network = judge._empty()  # without values, which would be 2.4 GiB
    assert tuple(network.encoder.pos_embedding.shape) == (1, 37 * 37 + 1, 1280)
    assert network.get_submodule(judge.layer)[-1].out_features == 1000


def views(pixels: np.ndarray) -> Views:
    return Views(pixels=pixels)


def pairs(n: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    left = rng.integers(0, 256, (n, side, side, 3), np.uint8)
    right = np.clip(left + rng.normal(0, 30, left.shape), 0, 255).astype(np.uint8)
    return left, right


def tensor(pixels: np.ndarray) -> Any:
    return torch.tensor(pixels.transpose(0, 3, 1, 2), dtype=torch.float32) / 255


def test_lpips_is_that_of_torchmetrics(weights: Path) -> None:
    state = thin_state("alexnet")
    torch.save(state, weights / "alexnet-owt-7be5be79.pth")
    into_cache(weights, "alexnet-owt-7be5be79.pth")
    left, right = pairs(2, 64)
    table = lpips(left, right)
    # theirs, four pairs in one call: it builds an AlexNet each time
    theirs = torchmetrics.learned_perceptual_image_patch_similarity(
        tensor(left[[0, 0, 1, 1]]), tensor(right[[0, 1, 0, 1]]), net_type="alex", reduction="none", normalize=True
    )
    # squares, so that no terms cancel
    apart = rounding(sums=of_either_sign(convolutions(state)), scale=float(table.max()))
    assert table.ravel() == pytest.approx(theirs.numpy(), abs=apart)
    assert np.ptp(table) > 10 * apart
    assert not np.diagonal(lpips(left, left)).any(), "a picture alone has its own bits"


def test_dists_is_that_of_torchmetrics(weights: Path) -> None:
    state = thin_state("vgg16")
    torch.save(state, weights / "vgg16-397923af.pth")
    into_cache(weights, "vgg16-397923af.pth")
    left, right = pairs(2, 32)
    table = dists(left, right)
    # theirs, four pairs in one call: it builds a VGG16 each time
    theirs = torchmetrics.deep_image_structure_and_texture_similarity(
        tensor(left[[0, 0, 1, 1]]), tensor(right[[0, 1, 0, 1]])
    )
    # shares of likeness that add up to 1, from which they are subtracted: two of each channel
    shares = 2 * sum(CHANNELS)
    apart = rounding(sums=of_either_sign(convolutions(state) + shares), scale=1.0)
    assert table.ravel() == pytest.approx(theirs.detach().numpy(), abs=apart)
    assert np.ptp(table) > 10 * apart
    assert np.diagonal(dists(left, left)) == pytest.approx([0, 0], abs=rounding(sums=of_either_sign(shares), scale=1.0))


def thin_state(network: str) -> dict[str, Any]:
    """Random weights of a network, all but its classifier."""
    torch.manual_seed(0)
    with torch.device("meta"):
        empty = getattr(models, network)(weights=None).state_dict()
    return {name: _random(name, tuple(value.shape)) for name, value in empty.items()}


def _random(name: str, shape: tuple[int, ...]) -> Any:
    """A convolution's weights; the classifier, 500 MB that nobody looks at, is one number told often."""
    if name.startswith("classifier"):
        return torch.zeros(1).expand(shape)
    fan = float(np.prod(shape[1:])) if len(shape) > 1 else 100.0
    return torch.randn(shape) * (2 / fan) ** 0.5


def into_cache(weights: Path, file: str) -> None:
    """Where torchmetrics finds it, which knows of no folder of one's own."""
    kept = weights.parent / "torch" / "hub" / "checkpoints"
    kept.mkdir(parents=True)
    shutil.copy(weights / file, kept / file)


def test_distances_fill_the_table_inside_blocks_only(weights: Path) -> None:
    torch.save(thin_state("alexnet"), weights / "alexnet-owt-7be5be79.pth")
    left, right = pairs(3, 40)
    metric = CATALOGUE["lpips"]
    assert metric.absent(views(right)) == ""
    own, blocks = np.arange(3), np.array([0, 1, 0])
    table = metric.marks(views(left), views(right), own=own, blocks=blocks).table
    assert np.isnan(table).tolist() == (blocks[:, None] != blocks[None, :]).tolist()
    low, high = metric.bounds
    assert np.nanmin(table) >= low and np.nanmax(table) <= high
    kept = rounding(sums=1, scale=float(np.nanmax(table)))  # a table is float32
    assert np.diagonal(table) == pytest.approx(np.diagonal(lpips(left, right)), abs=kept)
