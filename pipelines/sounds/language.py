"""Coarse to fine with pretrained parts alone: AudioLDM 2's GPT-2 turns a CLAP embedding into a sequence of LOA.

Liu et al. 2024 (AudioLDM 2, section 3): CLAP and text states, each between learned start and end vectors, are the
context after which the language model continues with one LOA vector a step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from pipelines.sampling.micro_batches import MicroBatches


@torch.no_grad()
def language_loa(
    projection_model: Any,
    language_model: Any,
    clap: Tensor,
    *,
    text: Tensor,
    mask: Tensor,
    tokens: int,
    batches: MicroBatches,
) -> Tensor:
    """(sample, token, dim) float32 LOA after CLAP embeddings (sample, dim) and text states (sample, piece, dim).

    `mask` (sample, piece) is 1 where a piece counts. The language model may be a `GPT2Model`, as the hub's index of
    AudioLDM 2 has it, or a `GPT2LMHeadModel`: its head is not asked.
    """
    kind = next(language_model.parameters()).dtype
    core = getattr(language_model, "transformer", language_model)

    def micro_batch(clap: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        context = projection_model(
            hidden_states=clap[:, None].to(kind),
            hidden_states_1=text.to(kind),
            attention_mask=mask.new_ones(len(clap), 1),
            attention_mask_1=mask,
        )
        return _continued(core, context.hidden_states, context.attention_mask, tokens=tokens).float()

    return batches.run(micro_batch, clap, text, mask)


def _continued(core: Any, states: Tensor, mask: Tensor, *, tokens: int) -> Tensor:
    """The last hidden state, fed back as the next input, `tokens` times.

    The cache is ours and goes in by its place: transformers 5.24 calls that argument `cache`, before it was
    `past_key_values`, and it is the second of both.
    """
    found: list[Tensor] = []
    cache = DynamicCache(config=core.config)
    for _ in range(tokens):
        output = core(None, cache, inputs_embeds=states, attention_mask=mask, use_cache=True)
        states = output.last_hidden_state[:, -1:]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
        found.append(states)
    return torch.cat(found, 1)
