"""clip-text: last hidden states of a stack's CLIP text tower, averaged over captions as Takagi & Nishimoto do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from brain.errors import InputError, expected
from brain.types import Float, Stimuli
from encoders.conditions import Conditions, SpaceCard
from encoders.frozen.micro_batches import in_micro_batches
from encoders.spaces._pretrained import component, frozen, reading, revision_of
from encoders.spaces._streaming import encode_stream

LONGEST = 1000  # tokens; a tokenizer saved without its length says 1e30


@dataclass(frozen=True, kw_only=True)
class ClipTextSpace:
    """Captions -> (token, width), padded to the tokenizer's length; what lies beyond it is cut off."""

    card: SpaceCard
    tower: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    device: str
    rescaling: str = "spread"

    def encode(self, stimuli: Stimuli, ids: Sequence[str], *, batch: int) -> Conditions:
        """Mean over each stimulus' captions; a stimulus without captions is an `InputError`."""

        def prepare(one: str) -> tuple[str, ...]:
            captions = tuple(stimuli.captions.get(one, ()))
            if not captions:
                raise InputError(
                    f"condition space {self.card.name!r}: expected captions of {one}, found none; choose another space"
                )
            return captions

        def forward(captions: list[tuple[str, ...]]) -> Float:
            hidden = self.encode_texts([text for texts in captions for text in texts], batch=batch)
            parts = np.split(hidden, np.cumsum([len(texts) for texts in captions])[:-1])
            return np.stack([part.mean(0, dtype=np.float64) for part in parts]).astype(np.float32)

        return encode_stream(self.card, ids, batch=batch, prepare=prepare, forward=forward)

    def encode_texts(self, texts: Sequence[str], *, batch: int) -> Float:
        """(text, token, width) float32 of raw captions; "" is the null condition of guidance."""
        parts = [self._forward(list(texts[start : start + batch])) for start in range(0, len(texts), batch)]
        return np.concatenate([np.empty((0, *self.card.shape), np.float32), *parts])

    def _forward(self, texts: list[str]) -> Float:
        import torch

        tokens = self.tokenizer(
            texts, padding="max_length", truncation=True, max_length=self.card.shape[0], return_tensors="pt"
        )

        def read(some: torch.Tensor) -> torch.Tensor:  # without a mask, as diffusers' pipelines call it
            states: torch.Tensor = self.tower(input_ids=some).last_hidden_state
            return states

        with torch.inference_mode():
            made = in_micro_batches(read, tokens["input_ids"], device=self.device)
        return np.asarray(made.cpu().numpy(), np.float32)


class ClipText:
    """The catalogue's entry: components text_encoder and tokenizer."""

    name = "clip-text"
    title = "CLIP text states"
    description = "last hidden states of a stack's CLIP text tower, averaged over a picture's captions"
    citation = "Radford et al. (2021), ICML (CLIP); Takagi & Nishimoto (2023), CVPR"
    modality = "image"
    component = "text_encoder"
    requires = ""
    captioned = True
    telling = 60
    noised = False

    def open(self, folder: Path, *, model: str, revision: str, device: str) -> ClipTextSpace:
        """The space on the stack in `folder`; the tower may or may not carry a projection, which is not used."""
        tower_at = component(folder, "text_encoder", model=model)
        tokenizer_at = component(folder, "tokenizer", model=model)
        with reading(tokenizer_at):
            from transformers import CLIPTokenizer

            tokenizer = CLIPTokenizer.from_pretrained(tokenizer_at, local_files_only=True)
        if not 2 < tokenizer.model_max_length < LONGEST:
            raise InputError(
                expected(tokenizer_at, "its model_max_length", "none", "save the tokenizer with save_pretrained")
            )
        tower = frozen(_tower_class(tower_at), tower_at, device=device)
        if tokenizer.model_max_length > tower.config.max_position_embeddings:
            raise InputError(
                expected(
                    tokenizer_at,
                    f"{tower.config.max_position_embeddings} tokens at most",
                    f"{tokenizer.model_max_length}",
                    "take tokenizer and text encoder from one stack",
                )
            )
        card = SpaceCard(
            name=self.name,
            model=model,
            revision=revision_of([tower_at, tokenizer_at], revision),
            layer="last_hidden_state",
            normalisation="none",
            shape=(tokenizer.model_max_length, tower.config.hidden_size),
        )
        return ClipTextSpace(card=card, tower=tower, tokenizer=tokenizer, device=device)

    def tiny(self, folder: Path) -> str:
        """A random text tower of 2 layers over 12 tokens, and a tokenizer of bytes."""
        from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer
        from transformers.convert_slow_tokenizer import bytes_to_unicode

        letters = list(bytes_to_unicode().values())
        words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
        tokenizer = CLIPTokenizer(vocab={word: one for one, word in enumerate(words)}, merges=[], model_max_length=12)
        tokenizer.save_pretrained(folder / "tokenizer")
        config = CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=32,
            intermediate_size=37,
            projection_dim=24,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=12,
            bos_token_id=len(words) - 2,
            eos_token_id=len(words) - 1,
            pad_token_id=len(words) - 1,
        )
        CLIPTextModelWithProjection(config).save_pretrained(folder / "text_encoder")
        return "tiny"


def _tower_class(place: Path) -> type[Any]:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    with reading(place):
        kinds = CLIPTextConfig.from_pretrained(place, local_files_only=True).architectures or []
    kind: type[Any] = CLIPTextModelWithProjection if "CLIPTextModelWithProjection" in kinds else CLIPTextModel
    return kind


ENTRIES = (ClipText(),)
