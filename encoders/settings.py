"""What can be asked of training, in modules that read flags before anything heavy is imported."""

from __future__ import annotations

import math
from dataclasses import dataclass

from brain.bounds import seed_within, within
from brain.errors import InputError, UsageError


@dataclass(frozen=True, kw_only=True)
class MaskedSettings:
    """The network's sizes and how it is masked.

    patch          voxels in a patch
    width, depth   of the encoder; `heads` in both; `mlp` its hidden width in units of `width` (1, as published)
    decoder_width, decoder_depth
    ratio          share of patches that is hidden
    noise          standard deviation of what augmentation adds to visible voxels, in their own
    drop           share of visible voxels that augmentation sets to zero
    """

    patch: int = 16
    width: int = 192
    depth: int = 4
    heads: int = 4
    mlp: float = 1.0
    decoder_width: int = 96
    decoder_depth: int = 1
    ratio: float = 0.75
    noise: float = 0.1
    drop: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.ratio < 1:
            raise UsageError(f"masked brain modelling: ratio must lie between 0 and 1, found {self.ratio}")
        if self.width % self.heads or self.decoder_width % self.heads:
            raise UsageError(f"masked brain modelling: widths must divide by {self.heads} heads")

    def kept(self, patches: int) -> int:
        """How many of so many patches stay visible; too few to hide and to see one is an InputError."""
        kept = round(patches * (1 - self.ratio))
        if not 0 < kept < patches:
            raise InputError(
                f"masked brain modelling: of {patches} patches {kept} would be seen and {patches - kept} predicted; "
                "use more voxels, smaller patches or another ratio"
            )
        return kept


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how fast.

    steps       optimiser steps; `warm` of them warm the rate up to `rate`, a cosine takes it down to nothing
    accumulate  how many parts a process cuts its share of a batch into, one after the other: memory only
    validate    every so many steps; after `patience` validations without a better loss training stops, 0 never
    save        a checkpoint every so many steps
    """

    steps: int = 2000
    rate: float = 1e-3
    warm: int = 100
    decay: float = 0.05
    clip: float = 1.0
    accumulate: int = 1
    validate: int = 100
    patience: int = 5
    save: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "accumulate", "validate", "save"):
            within(f"--{name}", getattr(self, name), 1)
        for name in ("rate", "warm", "decay", "clip", "patience"):
            within(f"--{name}", getattr(self, name), 0)
        seed_within(self.seed)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        if step < self.warm:
            return self.rate * (step + 1) / self.warm
        return self.rate * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - self.warm) / max(1, self.steps - self.warm))))


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """What to pretrain on and how."""

    subjects: tuple[str, ...] = ()
    """Which subjects; none named takes all there are."""
    sessions: tuple[int, ...] = ()
    """Which sessions, counted from 1; empty takes all there should be."""
    reader: str = ""
    """Which reader opens the data; empty looks at the data and decides."""
    fields: str = ""
    """Where the own-data format's fields have other names in your file: stimulus=figure,group=run."""
    regions: tuple[str, ...] = ()
    """Whose voxels; none named takes every voxel."""
    split: str = ""
    """Whose test trials are left out; empty takes the data's first split."""
    held_out: int = 1
    """How many of each subject's last sessions validate; of one session alone it is a tenth of the training stimuli."""
    labelled_only: bool = False
    """Leave the data's unlabelled trials out."""
    also: tuple[str, ...] = ()
    """More trials that nobody labelled: folders of MinD-Vis's HCP files, other data's unlabelled trials."""
    batch: int = 64
    """Trials in a step, over all processes."""
    precision: str = "no"
    """Numbers of the forward pass: no (float32), bf16, or fp16 on a graphics card."""
    model: MaskedSettings = MaskedSettings()
    plan: Plan = Plan()
