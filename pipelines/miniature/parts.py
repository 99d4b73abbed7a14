"""What the networks of both recipes are made of: words as tokens, a noise schedule, read-outs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pipelines.miniature.stage import Parts

Word = tuple[str, ...]
"""A word in pieces."""


def merges_of(words: Sequence[Word]) -> list[tuple[str, str]]:
    """Byte-pair merges, the most frequent pair first, until every word is one piece."""
    merges: list[tuple[str, str]] = []
    split = list(words)
    while pairs := Counter(pair for pieces in split for pair in pairwise(pieces)):
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        split = [_merged(pieces, best) for pieces in split]
    return merges


def _merged(pieces: Word, pair: tuple[str, str]) -> Word:
    """The pieces of a word with every such pair of neighbours made one."""
    out: list[str] = []
    for piece in pieces:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return tuple(out)


def schedule() -> dict[str, Any]:
    """The noise schedule: v-prediction; it ends in pure noise, so that night and noon can start alike."""
    return {
        "num_train_timesteps": 1000,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.02,
        "prediction_type": "v_prediction",
    }


def sampling_scheduler() -> Any:
    """The DDIMScheduler that an exported stack samples with."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        **schedule(), timestep_spacing="trailing", clip_sample=False, set_alpha_to_one=False, steps_offset=1
    )


def namer(
    readouts: Mapping[str, Sequence[str]], *, first: int, widths: list[int], depths: list[int], **more: Any
) -> Any:
    """A ResNetForImageClassification whose grouped logits name what it is shown."""
    from transformers import ResNetConfig, ResNetForImageClassification

    names = [f"{group}:{value}" for group, values in readouts.items() for value in values]
    config = ResNetConfig(
        embedding_size=first,
        hidden_sizes=widths,
        depths=depths,
        layer_type="basic",
        id2label=dict(enumerate(names)),
        label2id={name: place for place, name in enumerate(names)},
        **more,
    )
    return ResNetForImageClassification(config)


def grouped(logits: Tensor, readouts: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
    """A namer's logits (batch, label) of all groups by group, (batch, class) each."""
    widths = [len(values) for values in readouts.values()]
    return dict(zip(readouts, logits.split(widths, 1), strict=True))


def heads(width: int, readouts: Mapping[str, Sequence[str]]) -> torch.nn.ModuleDict:
    """A linear read-out of every label group."""
    return torch.nn.ModuleDict({group: torch.nn.Linear(width, len(values)) for group, values in readouts.items()})


def grouped_loss(logits: Mapping[str, Tensor], labels: Mapping[str, Tensor]) -> Parts:
    """The mean cross-entropy over the label groups, a scalar, and the share of right kinds.

    `logits` group -> (batch, class), `labels` group -> (batch,) int64.
    """
    losses = [F.cross_entropy(logits[group].float(), labels[group]) for group in labels]
    right = (logits["kind"].argmax(1) == labels["kind"]).float().mean()
    return torch.stack(losses).mean(), {"kind": round(float(right), 3)}


def labels_of(labels: Mapping[str, Any], rows: Tensor) -> dict[str, Tensor]:
    """Group -> the rows' labels, (row,) int64."""
    return {group: torch.from_numpy(values[rows.numpy()]) for group, values in labels.items()}


def coded(net: Any, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """`x` (batch, channel, ...) through an autoencoder whose latent `noise`, of its shape, draws.

    Returns what comes out, (batch, channel, ...), and the Kullback-Leibler divergence of latents from noise, a scalar.
    """
    posterior = net.encode(x).latent_dist
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    out = net.decode(mean + noise * (0.5 * logvar).exp()).sample.float()
    return out, 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
