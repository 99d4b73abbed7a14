"""Perceptual distances, less is better: LPIPS (Zhang et al. 2018), DISTS (Ding et al. 2020), DreamSim (Fu et al. 2023).

LPIPS and DISTS are torchmetrics' layers and learned weights on torchvision's AlexNet and VGG16; only the order of the
work is ours: a picture passes its network once, not once for every picture it is compared with. Nothing is ever
fetched: a package or a file of weights that is not at hand is said.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from brain.machine.installation import extra
from brain.machine.memory import fresh
from encoders.frozen.torchvision_guard import settle_torchvision
from evaluation.judges._parts.weights import EXTRA, FOLDER, Weights, fill, read_weights
from evaluation.judges.towers import ALEXNET, OF_TORCHVISION, by_torchvision
from evaluation.metrics import Views
from evaluation.metrics._parts.comparison import Comparison, pictureless
from evaluation.metrics._parts.structure import inside_blocks
from evaluation.score import Int, Marks

Wide = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Pairs = Callable[[Bytes, Bytes], Wide]

# Below this AlexNet has nothing left after its second pooling.
LPIPS_SIDE = 31
VGG16 = Weights(
    file="vgg16-397923af.pth", size="528 MiB", licence=OF_TORCHVISION, get=by_torchvision("vgg16", "IMAGENET1K_V1")
)
# VGG16 cut before each pooling, which DISTS replaces; and what each cut lets through, the picture itself first.
CUTS = ((0, 4), (5, 9), (10, 16), (17, 23), (24, 30))
CHANNELS = (3, 64, 128, 256, 512, 512)
STABILISE = 1e-6
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
DREAMSIM_SIDE = 224
# What the package dreamsim would otherwise fetch: its checkpoints, and DINO's code and weights through torch.hub.
DREAMSIM_FILES = (
    "ensemble_lora", "dino_vitb16_pretrain.pth", "clip_vitb16_pretrain.pth.tar", "open_clip_vitb16_pretrain.pth.tar",
    "facebookresearch_dino_main", "checkpoints/dino_vitbase16_pretrain.pth",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Distance(Comparison):
    """A distance between two pictures on the canvas, 0 for identical ones.

    distances  pictures (l, height, width, 3) and (r, ...) uint8 -> (l, r) float64
    lacking    what is not at hand, as a sentence, "" where all is; smallest: the least side of a picture
    """

    distances: Pairs
    lacking: Callable[[], str]
    smallest: int = 1
    best: float = 0.0
    lower: bool = True
    pooled: bool = False

    def absent(self, references: Views) -> str:
        """Why it cannot be computed, "" when it can: it needs large enough pictures, and its networks."""
        if reason := pictureless(references):
            return reason
        height, width = references.pixels.shape[1:3]
        if min(height, width) < self.smallest:
            return f"{self.name} needs pictures of {self.smallest} pixels and these are {height} x {width}"
        return self.lacking()

    def marks(self, samples: Views, references: Views, *, own: Int, blocks: Int) -> Marks:
        """The distances (sample, reference) inside the blocks."""
        table = inside_blocks(self.distances, samples=samples, references=references, own=own, blocks=blocks)
        return Marks(table=table)


def lpips(left: Bytes, right: Bytes) -> Wide:
    """LPIPS on AlexNet of every picture of `left` (l, height, width, 3) with every one of `right`: (l, r) float64.

    Equal to torchmetrics' functional one with net_type="alex" and normalize=True.
    """
    place = ALEXNET.found("lpips")
    first, second = (_lpips_points(pixels, place=place) for pixels in (left, right))
    return np.stack([np.square(second - point).sum(axis=1, dtype=np.float64) for point in first])


def _lpips_points(pixels: Bytes, *, place: Path) -> NDArray[np.float32]:
    """(picture, value): where LPIPS puts a picture, a space in which it is the squared distance of two of them.

    The learned weights, none of which is negative, and the mean over places become factors under the square.
    """
    import torch
    from torchmetrics.functional.image.lpips import _normalize_tensor

    network = _lpips_network(place)
    points = []
    for batch in _batches(pixels, "lpips"):
        with torch.inference_mode():
            layers = network.net(network.scaling_layer(2 * batch - 1))
            parts = []
            for layer, learned in zip(layers, network.lins, strict=True):
                factor = (learned.model[-1].weight / (layer.shape[2] * layer.shape[3])).sqrt()
                parts.append((_normalize_tensor(layer) * factor.reshape(1, -1, 1, 1)).flatten(1))
            points.append(torch.cat(parts, dim=1).numpy())
    return np.concatenate(points)


@lru_cache(maxsize=1)
def _lpips_network(place: Path) -> Any:
    """torchmetrics' LPIPS with its own last layers on the AlexNet of that file."""
    settle_torchvision()
    from torchmetrics.functional.image.lpips import _NoTrainLpips
    from torchvision.models import alexnet

    features = _backbone(alexnet, place)
    network = _NoTrainLpips(net="alex", pnet_rand=True)
    # its slices keep the numbers that the layers have in AlexNet
    state = {name: features.get_parameter(name.partition(".")[2]) for name in network.net.state_dict()}
    return fill(network, {f"net.{name}": value for name, value in state.items()} | _heads(network), place=place)


def _heads(network: Any) -> dict[str, Any]:
    return {name: value for name, value in network.state_dict().items() if not name.startswith("net.")}


def dists(left: Bytes, right: Bytes) -> Wide:
    """DISTS of every picture of `left` (l, height, width, 3) with every one of `right` (r, ...): (l, r) float64.

    Equal to torchmetrics' functional one. Holds the layers of all of `right`: 32 MB a picture of 256 x 256.
    """
    network = _dists_network(VGG16.found("dists"))
    others = list(network.layers(right))
    return np.array([[network.distance(one, other) for other in others] for one in network.layers(left)])


@dataclass(frozen=True, kw_only=True)
class _Layers:
    """One picture in DISTS: maps (channel, place) a stage, mean and variance (channel,) of all stages in a row."""

    maps: tuple[Any, ...]
    mean: Any
    variance: Any


@dataclass(frozen=True, kw_only=True)
class _Dists:
    """DISTS: VGG16's stages with torchmetrics' pooling between them, and its learned shares (channel,)."""

    stages: tuple[Any, ...]
    alpha: Any
    beta: Any

    def layers(self, pixels: Bytes) -> Iterator[_Layers]:
        """The layers of each picture."""
        import torch

        mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in IMAGENET)
        for batch in _batches(pixels, "dists"):
            with torch.inference_mode():
                seen, through = [batch], (batch - mean) / std
                for stage in self.stages:
                    through = stage(through)
                    seen.append(through)
                for row in range(len(batch)):
                    yield _of_maps(tuple(layer[row].flatten(1) for layer in seen))

    def distance(self, one: _Layers, other: _Layers) -> float:
        """1 - the weighted likeness of means (texture) and of covariances (structure)."""
        import torch

        with torch.inference_mode():
            shared = torch.cat([(a * b).mean(1) for a, b in zip(one.maps, other.maps, strict=True)])
            means = one.mean * other.mean
            texture = (2 * means + STABILISE) / (one.mean**2 + other.mean**2 + STABILISE)
            structure = (2 * (shared - means) + STABILISE) / (one.variance + other.variance + STABILISE)
            return 1 - float((self.alpha * texture + self.beta * structure).sum())


def _of_maps(maps: tuple[Any, ...]) -> _Layers:
    import torch

    mean = torch.cat([layer.mean(1) for layer in maps])
    variance = torch.cat([layer.var(1, correction=0) for layer in maps])
    return _Layers(maps=maps, mean=mean, variance=variance)


@lru_cache(maxsize=1)
def _dists_network(place: Path) -> _Dists:
    settle_torchvision()
    from torch import nn
    from torchmetrics.functional.image.dists import _PATH_WEIGHT_DISTS, L2pooling
    from torchvision.models import vgg16

    features = _backbone(vgg16, place)
    stages = [nn.Sequential(*features[start:end]) for start, end in CUTS]
    for number in range(1, len(stages)):
        stages[number].insert(0, L2pooling(channels=CHANNELS[number]))
    shares = read_weights(Path(_PATH_WEIGHT_DISTS))
    whole = shares["alpha"].sum() + shares["beta"].sum()
    alpha, beta = (shares[name].flatten() / whole for name in ("alpha", "beta"))
    return _Dists(stages=tuple(stages), alpha=alpha, beta=beta)


def _backbone(network: Callable[..., Any], place: Path) -> Any:
    """The convolutions of a network of torchvision, filled from that file and not by its own loader, which would fetch
    what is absent and run what a pickle holds."""
    import torch

    with torch.device("meta"):
        empty = network(weights=None)
    return fill(empty, read_weights(place), place=place).features


def dreamsim(left: Bytes, right: Bytes) -> Wide:
    """DreamSim (the ensemble) of `left` (l, height, width, 3) with `right` (r, ...): (l, r) float64, 1 - cosine.

    The package loads DINO through torch.hub, that is: from code and weights in its folder.
    """
    home = _dreamsim_home()
    first, second = (_dreamsim_points(pixels, home=home) for pixels in (left, right))
    return 1 - first @ second.T


def _dreamsim_points(pixels: Bytes, *, home: Path) -> Wide:
    """(picture, value) of unit length. Pictures are brought to 224 x 224 by PIL's bicubic, as the package does."""
    import torch

    side = (DREAMSIM_SIDE, DREAMSIM_SIDE)
    resized = [Image.fromarray(one).resize(side, Image.Resampling.BICUBIC) for one in pixels]
    points = []
    for batch in _batches(np.stack([np.asarray(one) for one in resized]), "dreamsim"):
        with torch.inference_mode():
            points.append(_dreamsim_network(home).embed(batch).numpy().astype(np.float64))
    stack = np.concatenate(points)
    unit: Wide = stack / np.linalg.norm(stack, axis=1, keepdims=True)
    return unit


@lru_cache(maxsize=1)
def _dreamsim_network(home: Path) -> Any:
    settle_torchvision()
    import torch
    from dreamsim import dreamsim as opened

    kept = torch.hub.get_dir()
    try:
        # the package says on standard output what it loads, which is where results go, and moves torch.hub's folder
        with contextlib.redirect_stdout(sys.stderr):
            network, _ = opened(pretrained=True, device="cpu", cache_dir=str(home), dreamsim_type="ensemble")
    finally:
        torch.hub.set_dir(kept)
    return network


def _dreamsim_home() -> Path:
    import torch

    return Path(os.environ.get(FOLDER) or torch.hub.get_dir()).absolute() / "dreamsim"


def _batches(pixels: Bytes, name: str) -> Iterator[Any]:
    """(1, 3, height, width) tensors of 0..1, a picture alone each: its bits are then its own."""
    import torch

    from brain.console.progress import progress

    for picture in progress(pixels, desc=name, unit="picture", leave=False):
        yield fresh(torch.tensor(picture[None]).permute(0, 3, 1, 2)).float() / 255


def _no_package(names: tuple[str, ...], get: str) -> str:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return f"expected the package {' and '.join(missing)}, found none; {get}" if missing else ""


def _lpips_lacking() -> str:
    missing = _no_package(("torchmetrics", "torchvision"), EXTRA)
    return missing or ("" if ALEXNET.path() else ALEXNET.lacking())


def _dists_lacking() -> str:
    missing = _no_package(("torchmetrics", "torchvision"), EXTRA)
    return missing or ("" if VGG16.path() else VGG16.lacking())


def _dreamsim_lacking() -> str:
    missing = _no_package(("dreamsim",), extra("dreamsim"))
    if missing:
        return missing
    home = _dreamsim_home()
    absent = [name for name in DREAMSIM_FILES if not (home / name).exists()]
    if not absent:
        return ""
    get = f"""python -c "from dreamsim import dreamsim; dreamsim(device='cpu', cache_dir='{home}')\""""
    return f"expected DreamSim's ensemble (MIT) in {home}, found no {', '.join(absent)}; fetch it by `{get}`"


ENTRIES = (
    # unit vectors without negative values, through the largest learned weight of each layer
    Distance(
        name="lpips", title="LPIPS", description="perceptual distance, less is better", profiles={"clean": 170},
        distances=lpips, lacking=_lpips_lacking, bounds=(0.0, 8.05), smallest=LPIPS_SIDE,
        citation="Zhang et al. 2018, CVPR",
    ),
    # 1 + the share of structure, which alone can be negative
    Distance(
        name="dists", title="DISTS", description="distance of structure and texture, less is better",
        profiles={"clean": 180}, distances=dists, lacking=_dists_lacking, bounds=(0.0, 1.13),
        citation="Ding et al. 2022, IEEE TPAMI 44, 2567",
    ),
    Distance(
        name="dreamsim", title="DreamSim", description="perceptual distance tuned to people, less is better",
        profiles={"clean": 190}, distances=dreamsim, lacking=_dreamsim_lacking, bounds=(0.0, 2.0),
        citation="Fu et al. 2023, NeurIPS",
    ),
)  # fmt: skip
