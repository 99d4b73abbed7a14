"""What can be asked of training, in modules that read flags before anything heavy is imported."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain.catalogue import unknown
from brain.console.bounds import seed_within, within
from brain.errors import InputError, UsageError, expected

LARGEST = 2**16
"""The most of any size of a network, and of the parts of a batch."""
PRECISIONS = ("no", "bf16", "fp16")
"""Numbers that a forward pass may be asked for."""
CORRECT = "correct it"
FEWEST = 5
"""Held-out stimuli that a rescaling can be settled on."""


def trained_within(sessions: tuple[int, ...], *, batch: int, precision: str) -> None:
    """Refuses (UsageError) what no training takes: sessions below 0, no batch, numbers that nobody knows."""
    for session in sessions:
        within("--sessions", session, 0)
    within("--batch", batch, 1)
    if precision not in PRECISIONS:
        raise UsageError(f"--precision: {unknown('number type', precision, PRECISIONS)}")


def finite(flag: str, value: float) -> None:
    """Refuses (UsageError) a number of `flag` that is below 0, without an end or none at all."""
    within(flag, value, 0)
    if math.isinf(value):
        raise UsageError(expected(flag, "a number with an end", str(value), CORRECT))


def share_within(flag: str, value: float, *, above: bool = False) -> None:
    """Refuses (UsageError) a share of `flag` that is not from 0, or `above` 0, to below 1."""
    if not (0 < value < 1 or (value == 0 and not above)):
        raise UsageError(expected(flag, f"a share {'above' if above else 'from'} 0 to below 1", f"{value:g}", CORRECT))


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
        for name in ("patch", "width", "depth", "heads", "decoder_width", "decoder_depth"):
            within(f"--{name.replace('_', '-')}", getattr(self, name), 1, LARGEST)
        for flag, width in (("--width", self.width), ("--decoder-width", self.decoder_width)):
            if width % self.heads:
                raise UsageError(expected(flag, f"a multiple of --heads {self.heads}", str(width), CORRECT))
        if not 1 <= self.mlp * self.width <= LARGEST:
            what = f"a hidden width of 1 to {LARGEST}, in units of --width {self.width}"
            raise UsageError(expected("--mlp", what, f"{self.mlp:g}", CORRECT))
        share_within("--ratio", self.ratio, above=True)
        finite("--noise", self.noise)
        share_within("--drop", self.drop)

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
        for name in ("steps", "validate", "save"):
            within(f"--{name}", getattr(self, name), 1)
        within("--accumulate", self.accumulate, 1, LARGEST)
        for name in ("rate", "warm", "decay", "clip", "patience"):
            finite(f"--{name}", getattr(self, name))
        if not self.clip:  # no step would go anywhere
            raise UsageError(expected("--clip", "a norm above 0", "0", CORRECT))
        seed_within(self.seed)

    def rate_at(self, step: int, *, floor: float = 0.0) -> float:
        """The learning rate of a step; the cosine ends at the share `floor` of `rate`."""
        if step < self.warm:
            return self.rate * (step + 1) / self.warm
        share = min(1.0, (step - self.warm) / max(1, self.steps - self.warm))
        return self.rate * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share)))


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

    def __post_init__(self) -> None:
        trained_within(self.sessions, batch=self.batch, precision=self.precision)
        within("--held-out", self.held_out, 1)


def masked_of(card: dict[str, Any], *, where: Path, key: str = "model") -> MaskedSettings:
    """The encoder's sizes on a card; those that no flags could have given are an InputError that names the file."""
    try:
        return MaskedSettings(**card.get(key, {}))
    except (UsageError, TypeError) as fault:
        found = f"others ({unflagged(fault)})"
        raise InputError(expected(where, "a card with an encoder's sizes", found, "pretrain it again")) from fault


def unflagged(fault: Exception) -> str:
    """What a bound says of a value that stands in a file: without the sign of a flag and its next step."""
    return str(fault).partition("; ")[0].removeprefix("--")
