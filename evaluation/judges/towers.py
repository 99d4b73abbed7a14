"""Feature networks of published tables, of photographs, each at the layer and the picture size of its paper.

Plain names are MindEye2's notebook (Scotti et al. 2024): pictures brought to 256 x 256, then to the side it gives the
network. Names that end in _224 are Brain-Diffuser's script (Ozcelik & VanRullen 2023): squashed to 224 x 224 at once.
The two also differ in EfficientNet's weights: the first takes torchvision's second set, the second its first.
Nothing is ever fetched; weights that are not at hand, or no torchvision, are a CheckpointAbsent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from brain.errors import CheckpointAbsent, InputError, expected
from brain.files.json_files import read_json
from brain.machine.memory import fresh
from encoders.frozen.checkpoint_folders import checked
from encoders.frozen.torchvision_guard import settle_torchvision
from evaluation.judges import Opinion
from evaluation.judges._parts.pictures import prepare
from evaluation.judges._parts.weights import EXTRA, Weights, fill, first_line, hub_folder, quiet, read_weights, sha256
from evaluation.samples.images import IMAGE

BATCH = 16
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))

See = Callable[[Any], tuple[Any, Any]]


@dataclass(frozen=True, kw_only=True)
class TowerBench:
    """An opened network, in evaluation mode, on the processor.

    see    (picture, 3, height, width) tensor -> features (picture, feature), and logits (picture, class) or None
    sides  of one squash to a square after the other; colours: mean and standard deviation of the normalisation
    group  the name of its classes, "" where it names none
    """

    card: Mapping[str, str]
    see: See = field(repr=False)
    sides: tuple[int, ...]
    colours: tuple[Sequence[float], Sequence[float]]
    resample: Image.Resampling = Image.Resampling.BILINEAR
    group: str = ""
    classes: tuple[str, ...] = ()

    def look(self, pictures: Iterable[Image.Image]) -> Opinion:
        """Features (picture, feature) at the layer on the card, and the logits of its classes where it has any."""
        from brain.console.progress import progress

        features: list[NDArray[np.float32]] = []
        logits: list[NDArray[np.float32]] = []
        with progress(desc=self.card["name"], unit="picture", leave=False) as bar:
            stream = iter(pictures)
            while batch := list(islice(stream, BATCH)):
                seen, named = self._forward(batch)
                features.append(seen)
                logits.append(named)
                bar.update(len(batch))
        if not self.group:
            return Opinion(features=np.concatenate(features))
        scores = {self.group: np.concatenate(logits)}
        return Opinion(features=np.concatenate(features), scores=scores, classes={self.group: self.classes})

    def _forward(self, batch: Sequence[Image.Image]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        import torch

        sizes = [(side, side) for side in self.sides]
        pixels = prepare(batch, sizes=sizes, mean=self.colours[0], std=self.colours[1], resample=self.resample)
        with torch.inference_mode():
            seen = [self.see(fresh(one)) for one in torch.split(torch.from_numpy(pixels), 1)]
        features, logits = (torch.cat(parts) for parts in zip(*seen, strict=True))
        return features.flatten(1).numpy(), logits.numpy()


@dataclass(frozen=True, kw_only=True)
class TorchvisionJudge:
    """A network of torchvision: its constructor `network` with `settings`, seen at the output of its module `layer`.

    dropped  a last layer the weights do not have; extra: beginnings of weights the network does not have
    group    the name of its 1,000 classes, "" where only its features are wanted
    """

    name: str
    title: str = ""
    description: str = ""
    citation: str = ""
    network: str
    layer: str
    weights: Weights
    sides: tuple[int, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    dropped: str = ""
    extra: tuple[str, ...] = ()
    resample: Image.Resampling = Image.Resampling.BILINEAR
    group: str = ""
    modality: str = IMAGE

    def open(self) -> TowerBench:
        """Loads the weights; absent ones, or no torchvision, are a CheckpointAbsent, damaged ones an InputError."""
        place = self.weights.found(f"judge {self.name!r}")
        network = fill(self._empty(), self._state(place), place=place)
        return TowerBench(
            card={
                "name": self.name,
                "kind": f"torchvision {self.network}, {sum(p.numel() for p in network.parameters()):,} parameters",
                "input": " -> ".join(f"{side} x {side}" for side in self.sides),
                "layer": self.layer,
                "world": self.weights.world,
                **self.weights.card(place),
            },
            see=_at(network, self.layer),
            sides=self.sides,
            colours=IMAGENET,
            resample=self.resample,
            group=self.group,
            classes=_imagenet() if self.group else (),
        )

    def _empty(self) -> Any:
        """The network without values: all of them come from the file, so none needs drawing first."""
        import torch

        if not settle_torchvision():
            raise CheckpointAbsent(expected(f"judge {self.name!r}", "the package torchvision", "none", EXTRA))
        from torchvision import models

        with torch.device("meta"):
            network = getattr(models, self.network)(weights=None, **self.settings)
        if self.dropped:
            setattr(network, self.dropped, torch.nn.Identity())
        return network

    def _state(self, place: Path) -> Mapping[str, Any]:
        state = read_weights(place)
        if not self.extra:
            return state
        bare = {name.removeprefix("module."): value for name, value in state.items()}
        return {name: value for name, value in bare.items() if not name.startswith(self.extra)}


def _at(network: Any, layer: str) -> See:
    """The output of the module `layer`, beside that of the whole network."""
    held: list[Any] = []
    network.get_submodule(layer).register_forward_hook(lambda _, given, out: held.append(out))

    def see(pixels: Any) -> tuple[Any, Any]:
        logits = network(pixels)
        return held.pop(), logits

    return see


def _imagenet() -> tuple[str, ...]:
    from torchvision.models import ViT_H_14_Weights

    return tuple(ViT_H_14_Weights.IMAGENET1K_SWAG_E2E_V1.meta["categories"])


@dataclass(frozen=True, kw_only=True)
class ClipJudge:
    """OpenAI's CLIP ViT-L/14 as transformers keeps it: the projected image embedding, in float32.

    Its folder is `clip-vit-large-patch14` in one's own folder of weights, or the Hugging Face hub's cache.
    """

    name: str
    sides: tuple[int, ...]
    title: str = "CLIP ViT-L/14"
    description: str = ""
    citation: str = "Radford et al. 2021, ICML"
    repository: str = "openai/clip-vit-large-patch14"
    modality: str = IMAGE

    def open(self) -> TowerBench:
        """Loads the vision tower; an absent one is a CheckpointAbsent, another model an InputError."""
        files = ("config.json", "model.safetensors")
        home = hub_folder(f"judge {self.name!r}", self.repository, files=files, said_size="1.7 GB, MIT")
        _check_clip(home)
        return clip_bench(home, name=self.name, sides=self.sides)


def clip_bench(home: Path, *, name: str, sides: tuple[int, ...]) -> TowerBench:
    """The vision tower of the CLIP in folder `home`, seen at image_embeds; a damaged one is an InputError."""
    checked(home)
    settle_torchvision()
    import torch
    from transformers import CLIPVisionModelWithProjection

    try:
        with quiet():
            tower, found = CLIPVisionModelWithProjection.from_pretrained(
                home, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
    except MemoryError:
        raise
    except Exception as fault:  # the libraries promise no family of exceptions
        came = f"one that does not load ({first_line(fault)})"
        raise InputError(expected(home, "a CLIP of transformers", came, "fetch it again")) from fault
    if found["missing_keys"]:
        came = f"none for {', '.join(sorted(found['missing_keys'])[:3])}"
        raise InputError(expected(home, "weights of the whole vision tower", came, "fetch it again"))
    tower.eval().requires_grad_(False)
    return TowerBench(
        card={
            "name": name,
            "kind": f"transformers CLIP vision tower, {sum(p.numel() for p in tower.parameters()):,} parameters",
            "input": " -> ".join(f"{side} x {side}" for side in sides),
            "layer": "image_embeds",
            "world": "photographs of the web with their texts",
            "weights": f"{home.name}/model.safetensors",
            "sha256": sha256(home / "model.safetensors"),
        },
        see=lambda pixels: (tower(pixel_values=pixels).image_embeds,) * 2,
        sides=sides,
        colours=CLIP,
    )


def _check_clip(home: Path) -> None:
    """Another CLIP under this name would be a replacement that nobody sees."""
    facts = read_json(home / "config.json", what="a config.json with vision_config")
    try:
        vision = facts["vision_config"]
        came = tuple(int(vision[key]) for key in ("hidden_size", "num_hidden_layers", "patch_size"))
    except (ValueError, KeyError, TypeError) as fault:
        raise InputError(
            expected(home, "a config.json with vision_config", first_line(fault), "fetch it again")
        ) from fault
    if came != (1024, 24, 14):
        raise InputError(
            expected(home, "ViT-L/14 (width 1024, 24 layers, patch 14)", f"{came} for these", "fetch it again")
        )


def by_torchvision(network: str, weights: str) -> str:
    """The command that lets torchvision fetch these weights into its cache."""
    return f"""python -c "from torchvision import models; models.{network}(weights='{weights}')\""""


IMAGENET_WORLD = "photographs of ImageNet, 1,000 classes"
OF_TORCHVISION = "torchvision's, trained on ImageNet"
ALEXNET = Weights(
    file="alexnet-owt-7be5be79.pth", size="233 MiB", licence=OF_TORCHVISION, world=IMAGENET_WORLD,
    get=by_torchvision("alexnet", "IMAGENET1K_V1"),
)  # fmt: skip
INCEPTION = Weights(
    file="inception_v3_google-0cc3c7bd.pth", size="104 MiB", licence=OF_TORCHVISION, world=IMAGENET_WORLD,
    get=by_torchvision("inception_v3", "IMAGENET1K_V1"),
)  # fmt: skip
EFFICIENTNET_FIRST = Weights(
    file="efficientnet_b1_rwightman-bac287d4.pth", size="30 MiB", licence=OF_TORCHVISION, world=IMAGENET_WORLD,
    get=by_torchvision("efficientnet_b1", "IMAGENET1K_V1"),
)  # fmt: skip
EFFICIENTNET_SECOND = Weights(
    file="efficientnet_b1-c27df63c.pth", size="30 MiB", licence=OF_TORCHVISION, world=IMAGENET_WORLD,
    get=by_torchvision("efficientnet_b1", "IMAGENET1K_V2"),
)  # fmt: skip
SWAV = Weights(
    file="swav_800ep_pretrain.pth.tar", size="about 110 MB", licence="CC BY-NC 4.0",
    world="photographs of ImageNet, without their labels",
    get=(
        """python -c "from torch.hub import load_state_dict_from_url as get; """
        """get('https://dl.fbaipublicfiles.com/deepcluster/swav_800ep_pretrain.pth.tar', weights_only=True)\""""
    ),
)  # fmt: skip
VIT_H14 = Weights(
    file="vit_h_14_swag-80465313.pth", size="2.4 GiB", licence="CC BY-NC 4.0",
    world="photographs of Instagram, then of ImageNet, 1,000 classes",
    get=by_torchvision("vit_h_14", "IMAGENET1K_SWAG_E2E_V1"),
)  # fmt: skip

# With weights=None torchvision leaves out what its own loader would have set: Inception expects its input in the
# normalisation of its first framework and turns ours into it.
INCEPTION_SETTINGS = {"transform_input": True, "aux_logits": True, "init_weights": False}
# SwAV's file holds its projection and its prototypes, which nobody looks at, and has no classifier.
SWAV_HEADS = ("projection_head.", "prototypes.")

NOTEBOOK = "as MindEye2's notebook has it"
SCRIPT = "as Brain-Diffuser's script has it"
ALEXNET_BY = "Krizhevsky et al. 2012, NeurIPS"
INCEPTION_BY = "Szegedy et al. 2016, CVPR"
EFFICIENTNET_BY = "Tan & Le 2019, ICML"
SWAV_BY = "Caron et al. 2020, NeurIPS"

ENTRIES = (
    TorchvisionJudge(
        name="alexnet2", title="AlexNet, layer 2", description=f"early features of AlexNet, {NOTEBOOK}",
        citation=ALEXNET_BY, network="alexnet", layer="features.4", weights=ALEXNET, sides=(256,),
    ),
    TorchvisionJudge(
        name="alexnet5", title="AlexNet, layer 5", description=f"middle features of AlexNet, {NOTEBOOK}",
        citation=ALEXNET_BY, network="alexnet", layer="features.11", weights=ALEXNET, sides=(256,),
    ),
    TorchvisionJudge(
        name="inception_v3", title="Inception v3", description=f"pooled features of Inception v3, {NOTEBOOK}",
        citation=INCEPTION_BY, network="inception_v3", layer="avgpool", weights=INCEPTION, sides=(256, 342),
        settings=INCEPTION_SETTINGS,
    ),
    TorchvisionJudge(
        name="efficientnet_b1", title="EfficientNet-B1",
        description=f"pooled features of EfficientNet-B1, torchvision's second weights, {NOTEBOOK}",
        citation=EFFICIENTNET_BY, network="efficientnet_b1", layer="avgpool", weights=EFFICIENTNET_SECOND,
        sides=(256, 255),
    ),
    TorchvisionJudge(
        name="swav_resnet50", title="SwAV", description=f"pooled features of SwAV's ResNet-50, {NOTEBOOK}",
        citation=SWAV_BY, network="resnet50", layer="avgpool", weights=SWAV, sides=(256, 224), dropped="fc",
        extra=SWAV_HEADS,
    ),
    ClipJudge(
        name="clip_vit_l14", description=f"the projected image embedding of CLIP ViT-L/14, {NOTEBOOK}",
        sides=(256, 224),
    ),
    TorchvisionJudge(
        name="alexnet2_224", title="AlexNet, layer 2, 224 pixels", description=f"early features of AlexNet, {SCRIPT}",
        citation=ALEXNET_BY, network="alexnet", layer="features.4", weights=ALEXNET, sides=(224,),
    ),
    TorchvisionJudge(
        name="alexnet5_224", title="AlexNet, layer 5, 224 pixels", description=f"middle features of AlexNet, {SCRIPT}",
        citation=ALEXNET_BY, network="alexnet", layer="features.11", weights=ALEXNET, sides=(224,),
    ),
    TorchvisionJudge(
        name="inception_v3_224", title="Inception v3, 224 pixels",
        description=f"pooled features of Inception v3, {SCRIPT}", citation=INCEPTION_BY, network="inception_v3",
        layer="avgpool", weights=INCEPTION, sides=(224,), settings=INCEPTION_SETTINGS,
    ),
    TorchvisionJudge(
        name="efficientnet_b1_224", title="EfficientNet-B1, 224 pixels",
        description=f"pooled features of EfficientNet-B1, torchvision's first weights, {SCRIPT}",
        citation=EFFICIENTNET_BY, network="efficientnet_b1", layer="avgpool", weights=EFFICIENTNET_FIRST,
        sides=(224,),
    ),
    TorchvisionJudge(
        name="swav_resnet50_224", title="SwAV, 224 pixels",
        description=f"pooled features of SwAV's ResNet-50, {SCRIPT}", citation=SWAV_BY, network="resnet50",
        layer="avgpool", weights=SWAV, sides=(224,), dropped="fc", extra=SWAV_HEADS,
    ),
    ClipJudge(
        name="clip_vit_l14_224", title="CLIP ViT-L/14, 224 pixels", sides=(224,),
        description=f"the projected image embedding of CLIP ViT-L/14, {SCRIPT}",
    ),
    # MinD-Vis (Chen et al. 2023) asks this one for classes alone: its logits are its features too.
    TorchvisionJudge(
        name="vit_h14", title="ViT-H/14", description="the 1,000 classes of ImageNet, as MinD-Vis asks for them",
        citation="Dosovitskiy et al. 2021, ICLR; Singh et al. 2022, CVPR", network="vit_h_14", layer="heads",
        weights=VIT_H14, sides=(518,), settings={"image_size": 518}, resample=Image.Resampling.BICUBIC,
        group="imagenet",
    ),
)  # fmt: skip
