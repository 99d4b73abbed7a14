"""openclip-image: the image tower of any open_clip model, from a local folder or by open_clip's own names.

Needs the extra openclip: pip install -e ".[openclip]" in a checkout.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from brain.errors import CheckpointAbsent, UsageError, expected
from brain.machine.installation import extra
from brain.types import Float, Stimuli
from encoders.conditions import Conditions, SpaceCard
from encoders.frozen.checkpoint_folders import checked
from encoders.frozen.micro_batches import in_micro_batches
from encoders.frozen.torchvision_guard import settle_torchvision
from encoders.spaces._pretrained import reading, revision_of
from encoders.spaces._streaming import encode_stream, picture

CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"
INSTALL = extra("openclip")


@dataclass(frozen=True, kw_only=True)
class OpenClipImageSpace:
    """Pictures -> (width,) encode_image, not normalised. Preprocessing is the model's own for evaluation."""

    card: SpaceCard
    tower: Any = field(repr=False)
    transform: Any = field(repr=False)
    device: str
    rescaling: str = "spread+norm"

    def encode(self, stimuli: Stimuli, ids: Sequence[str], *, batch: int) -> Conditions:
        """True embeddings of these pictures."""

        def prepare(one: str) -> Float:
            return np.asarray(self.transform(picture(stimuli, one, space=self.card.name)).numpy(), np.float32)

        return encode_stream(self.card, ids, batch=batch, prepare=prepare, forward=self._forward)

    def _forward(self, pixels: list[Float]) -> Float:
        import torch

        def embed(some: torch.Tensor) -> torch.Tensor:
            embedding: torch.Tensor = self.tower.encode_image(some, normalize=False)
            return embedding

        with torch.inference_mode():
            embedding = in_micro_batches(embed, torch.from_numpy(np.stack(pixels)), device=self.device)
        return np.asarray(embedding.cpu().numpy(), np.float32)


class OpenClipImage:
    """The catalogue's entry: a folder with open_clip_config.json and open_clip_model.safetensors, or a name.

    A name (`model`) is "ARCHITECTURE:TAG" ("ViT-L-14:laion2b_s32b_b82k") or "hf-hub:owner/name"; open_clip resolves it.
    """

    name = "openclip-image"
    title = "OpenCLIP image embedding"
    description = "the embedding that any open_clip model gives a picture"
    citation = "Cherti et al. (2023), CVPR (OpenCLIP)"
    modality = "image"
    component = ""
    requires = "open_clip"
    captioned = False
    telling = 65
    noised = False

    def open(self, folder: Path, *, model: str, revision: str, device: str) -> OpenClipImageSpace:
        """The space on the model in `folder`, else on the model of that name."""
        open_clip = _open_clip()
        import torch

        if os.path.lexists(folder / CONFIG):
            with reading(checked(folder)):
                tower, transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}", device=device)
            revision = revision_of([folder], revision)
        else:
            tower, transform = _by_name(open_clip, model, folder=folder, device=device)
        tower = tower.to(dtype=torch.float32).eval().requires_grad_(False)
        card = SpaceCard(
            name=self.name,
            model=model,
            revision=revision,
            layer="encode_image",
            normalisation="none",
            shape=(_width(tower, device=device),),
        )
        return OpenClipImageSpace(card=card, tower=tower, transform=transform, device=device)

    def tiny(self, folder: Path) -> str:
        """A random CLIP of 2 layers on 32 px pictures in open_clip's folder layout."""
        from safetensors.torch import save_file

        open_clip = _open_clip()
        config = {
            "embed_dim": 24,
            "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 8, "patch_size": 8},
            "text_cfg": {"context_length": 12, "vocab_size": 64, "width": 32, "heads": 4, "layers": 2},
        }
        preprocess = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bicubic"}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}), encoding="utf-8")
        model = open_clip.CLIP(**config)
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / WEIGHTS)
        return "tiny"


def _open_clip() -> Any:
    """The package, imported only in use; absent -> `UsageError` with the command that installs it."""
    settle_torchvision()
    try:
        import open_clip
    except ModuleNotFoundError as fault:
        raise UsageError(
            expected("condition space 'openclip-image'", "the package open_clip", "none", INSTALL)
        ) from fault
    return open_clip


def _by_name(open_clip: Any, model: str, *, folder: Path, device: str) -> tuple[Any, Any]:
    architecture, _, tag = model.partition(":")
    where = {"model_name": model} if architecture == "hf-hub" else {"model_name": architecture, "pretrained": tag}
    if not tag:
        raise CheckpointAbsent(
            expected(folder, f"{CONFIG} and {WEIGHTS}", "none", "give such a folder, or ARCHITECTURE:TAG as the model")
        )
    try:
        tower, transform = open_clip.create_model_from_pretrained(**where, device=device)
    except (OSError, RuntimeError, ValueError) as fault:
        first = (str(fault).strip() or type(fault).__name__).splitlines()[0]
        raise CheckpointAbsent(
            expected(f"open_clip model {model}", "its weights", f"none ({first})", "fetch it where there is a network")
        ) from fault
    return tower, transform


def _width(tower: Any, *, device: str) -> int:
    """The embedding's length, from one empty picture: towers name it differently."""
    import torch

    size = tower.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    with torch.inference_mode():
        return int(tower.encode_image(torch.zeros(1, 3, height, width, device=device)).shape[-1])


ENTRIES = (OpenClipImage(),)
