"""Where double conditioning starts: a ridge from the brain's tokens to what the stack's own encoders say of pictures.

    targets = own_prompts(recording, learn, stack, unet=base.unet, paths="both")
    facts = start_from_ridge(prompter, learn, targets, ridge=RidgeSettings())

Denoising alone teaches a brain encoder slowly: most of a step's loss is of the noise that was drawn, not of the brain.
MinD-Video (Chen et al. 2023b) therefore draws the encoder to CLIP's embeddings of what was seen before any generator is
trained. Here that stage is solved in closed form. The targets are the very conditions that the UNet was trained on: of
captions, their last hidden states, averaged; of pictures, the image condition of a UNet that takes one. The ridge's
map, squeezed to the prompter's rank, becomes its linear read-out, and training goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from brain.errors import InputError
from brain.types import Float, Recording
from encoders.masked.patched import PatchedTrials
from encoders.ridge import RidgeFit, RidgeSettings, fit_ridge
from encoders.spaces import CATALOGUE as SPACES
from pipelines.conditioning.double_conditioning import ConditioningEncoder
from pipelines.stacks.folder import StackFolder

AT_ONCE = 32
"""Samples whose tokens are computed together."""


@dataclass(frozen=True, kw_only=True)
class OwnPrompts:
    """What the stack's own encoders say of each stimulus; None where they cannot say.

    ids   (stimulus,); text (stimulus, token, width) float32; time (stimulus, slot) float32
    """

    ids: tuple[str, ...]
    text: Float | None
    time: Float | None


def own_prompts(recording: Recording, learn: PatchedTrials, stack: StackFolder, *, unet: Any, paths: str) -> OwnPrompts:
    """The targets of the training stimuli on the paths "cross" and "time", or "both".

    The path "time" has one where the UNet takes an image condition, the path "cross" where all pictures have captions;
    no target on any path is an InputError.
    """
    ids = tuple(sorted(set(learn.stimulus[learn.train].tolist())))
    told = all(recording.stimuli.captions.get(one) for one in ids)
    text = _encoded("clip-text", recording, ids, stack) if told and paths != "time" else None
    time = None
    if unet.config.class_embed_type == "projection" and "image_encoder" in stack.components and paths != "cross":
        time = _image_condition(_encoded("clip-image", recording, ids, stack))
    if text is None and time is None:
        raise InputError(
            f"{stack.model}: no ridge can start the path {paths!r}: there are neither captions nor an image condition; "
            "take --start silent (zero-initialised), or data with captions"
        )
    return OwnPrompts(ids=ids, text=text, time=time)


def _encoded(space: str, recording: Recording, ids: Sequence[str], stack: StackFolder) -> Float:
    opened = SPACES[space].open(stack.path, model=stack.model, revision=stack.revision, device="cpu")
    return np.asarray(opened.encode(recording.stimuli, ids, batch=16).take(ids).values, np.float32)


def _image_condition(embeddings: Float) -> Float:
    """(stimulus, dim) -> (stimulus, 2 * dim): the embedding, and the sinusoids that say it was not noised (unCLIP)."""
    from diffusers.models.embeddings import get_timestep_embedding

    level = get_timestep_embedding(torch.zeros(1), embeddings.shape[1], flip_sin_to_cos=True, downscale_freq_shift=0)
    said = np.repeat(level.float().numpy(), len(embeddings), 0)
    return np.concatenate([embeddings, said], 1)


@torch.no_grad()
def start_from_ridge(
    prompter: ConditioningEncoder, learn: PatchedTrials, targets: OwnPrompts, *, ridge: RidgeSettings
) -> dict[str, float]:
    """Starts the conditioning encoder's linear read-out at the ridge; returns the variance explained, by path.

    It is fitted on the averages of the stimuli to train on, never on held-out ones, and the explained variance is of
    its folds. A path counts as much as the other, however many numbers it has.
    """
    told = {name: one for name in ("text", "time") if (one := getattr(targets, name)) is not None}
    empty = {"text": prompter.empty_text, "time": prompter.empty_image}
    flat = {name: (one - empty[name].numpy()).reshape(len(one), -1) for name, one in told.items()}
    scale = {name: float(np.sqrt(one.var(0).sum())) for name, one in flat.items()}
    x, y = tokens_of(prompter, learn, targets.ids), np.concatenate([flat[name] / scale[name] for name in flat], 1)
    fit = fit_ridge(
        x, y, groups=targets.ids, alphas=ridge.alphas, folds=min(ridge.folds, len(x)), seed=ridge.seed,
        chunk=ridge.chunk, per_target=ridge.per_target, sound=False,
    )  # fmt: skip
    read, say = _factors(fit, x, prompter.sizes.rank)
    count = len(read)
    prompter.read.weight.zero_()[:count] = torch.from_numpy(read * np.sqrt(x.shape[1]))
    offset = fit.y_mean - (fit.x_mean @ read.T.astype(np.float64)) @ say.T
    edges = np.cumsum([0, *(one.shape[1] for one in flat.values())])
    found = {}
    for name, first, last in zip(flat, edges[:-1], edges[1:], strict=True):
        layer = getattr(prompter, f"say_{name}")
        layer.weight.zero_()[:, :count] = torch.from_numpy(say[first:last] * scale[name])
        layer.bias.copy_(torch.from_numpy(offset[first:last] * scale[name]))
        left = np.square(fit.cv_prediction[:, first:last] - y[:, first:last]).sum()
        found[name] = float(1 - left / np.square(y[:, first:last] - y[:, first:last].mean(0)).sum())
    return found


@torch.no_grad()
def tokens_of(prompter: ConditioningEncoder, learn: PatchedTrials, ids: Sequence[str]) -> Float:
    """(stimulus, patch x width) float32 tokens of each stimulus' average over its samples to train on."""
    mine = learn.stimulus[learn.train]
    averages = [learn.values[learn.train[mine == one]].mean(0) for one in ids]
    parts = [
        prompter.brain.encode(torch.from_numpy(np.stack(averages[first : first + AT_ONCE])), prompter.centre)
        for first in range(0, len(ids), AT_ONCE)
    ]
    return np.asarray(torch.cat(parts).flatten(1).numpy(), np.float32)


def _factors(fit: RidgeFit, x: Float, rank: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """(count, feature) and (target, count): the map along the main directions of its predictions, `rank` at most.

    Reduced-rank regression (Izenman 1975). What is read has unit variance over the training stimuli.
    """
    made = ((x - x.mean(0, dtype=np.float64)) @ fit.weights).astype(np.float64)
    _, strength, directions = np.linalg.svd(made, full_matrices=False)
    count = min(rank, int((strength > strength[0] * 1e-6).sum()))
    spread = strength[:count] / np.sqrt(len(x))
    main = directions[:count].T
    return np.asarray((fit.weights @ main / spread).T, np.float32), main * spread
