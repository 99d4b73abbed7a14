"""clip-image: the projected image embedding of a stack's CLIP vision tower, as unCLIP and IP-Adapter are fed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from brain.types import Float, Stimuli
from encoders.conditions import Conditions, SpaceCard
from encoders.frozen.micro_batches import in_micro_batches
from encoders.spaces._pretrained import component, frozen, reading, revision_of
from encoders.spaces._streaming import encode_stream, picture


@dataclass(frozen=True, kw_only=True)
class ClipImageSpace:
    """Pictures -> (width,) image_embeds, not normalised. Preprocessing is the stack's own, on the PIL backend."""

    card: SpaceCard
    tower: Any = field(repr=False)
    processor: Any = field(repr=False)
    device: str
    rescaling: str = "spread+norm"

    def encode(self, stimuli: Stimuli, ids: Sequence[str], *, batch: int) -> Conditions:
        """True embeddings of these pictures."""

        def prepare(one: str) -> Float:
            image = picture(stimuli, one, space=self.card.name)
            return np.asarray(self.processor(images=image, return_tensors="np")["pixel_values"][0], np.float32)

        return encode_stream(self.card, ids, batch=batch, prepare=prepare, forward=self._forward)

    def _forward(self, pixels: list[Float]) -> Float:
        import torch

        def embed(some: torch.Tensor) -> torch.Tensor:
            embeds: torch.Tensor = self.tower(pixel_values=some).image_embeds
            return embeds

        with torch.inference_mode():
            made = in_micro_batches(embed, torch.from_numpy(np.stack(pixels)), device=self.device)
        return np.asarray(made.cpu().numpy(), np.float32)


class ClipImage:
    """The catalogue's entry: components image_encoder and feature_extractor."""

    name = "clip-image"
    title = "CLIP image embedding"
    description = "the projected embedding that a stack's CLIP vision tower gives a picture"
    citation = "Radford et al. (2021), ICML (CLIP)"
    modality = "image"
    component = "image_encoder"
    requires = ""
    captioned = False
    telling = 70
    noised = False

    def open(self, folder: Path, *, model: str, revision: str, device: str) -> ClipImageSpace:
        """The space on the stack in `folder`."""
        tower_at = component(folder, "image_encoder", model=model)
        processor_at = component(folder, "feature_extractor", model=model)
        with reading(processor_at):
            # the torchvision backend differs by up to 0.015: stored numbers need one backend, and PIL is always there
            from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

            processor = CLIPImageProcessorPil.from_pretrained(processor_at, local_files_only=True)
        tower = frozen(CLIPVisionModelWithProjection, tower_at, device=device)
        card = SpaceCard(
            name=self.name,
            model=model,
            revision=revision_of([tower_at, processor_at], revision),
            layer="image_embeds",
            normalisation="none",
            shape=(tower.config.projection_dim,),
        )
        return ClipImageSpace(card=card, tower=tower, processor=processor, device=device)

    def tiny(self, folder: Path) -> str:
        """A random vision tower of 2 layers on 32 px pictures, and its processor."""
        from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModelWithProjection

        config = CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=37,
            projection_dim=24,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=32,
            patch_size=8,
        )
        CLIPVisionModelWithProjection(config).save_pretrained(folder / "image_encoder")
        processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
        processor.save_pretrained(folder / "feature_extractor")
        return "tiny"


ENTRIES = (ClipImage(),)
