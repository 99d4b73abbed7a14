"""What can be asked of fine-tuning, in a module that reads flags before anything heavy is imported."""

from __future__ import annotations

from dataclasses import dataclass

from brain.catalogue import unknown
from brain.errors import UsageError
from encoders.settings import MaskedSettings, Plan, share_within, trained_within

RIDGE_START = "ridge"
STARTS = (RIDGE_START, "silent")


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """What to fine-tune on what, and how."""

    stack: str = "miniature-image"
    """The base: a stack with a text-conditioned UNet, from `afterimage stacks`, or a folder in their layout."""
    encoder: str = ""
    """What masked brain modelling has learned, a file of `encoders.pretrain`; empty starts from random weights."""
    subject: str = ""
    """Which subject; empty takes the first one there is."""
    sessions: tuple[int, ...] = ()
    """Which sessions, counted from 1; empty takes all there should be."""
    reader: str = ""
    """Which reader opens the data; empty looks at the data and decides."""
    fields: str = ""
    """Where the own-data format's fields have other names in your file: stimulus=figure,group=run."""
    regions: tuple[str, ...] = ()
    """Whose voxels; none named takes every voxel."""
    split: str = ""
    """Whose test trials stay out; empty takes the data's first split."""
    standardise: str = ""
    """How voxels are standardised, by training trials: session or all; empty looks at the design, or asks you."""
    trials: str = "mixed"
    """What is learned from: single trials, averaged over the repeats of a stimulus, or mixed, over some of them."""
    held_out: float = 0.1
    """Share of the training stimuli that validate."""
    paths: str = "both"
    """How the brain speaks to the UNet: cross (cross-attention), time (the time embedding), or both."""
    dropout: float = 0.1
    """Share of conditions replaced by the empty one, so that guidance has something to lean away from."""
    augment: bool = True
    """Drop voxels and add noise, as much as the encoder's settings say."""
    batch: int = 16
    """Samples in a step, over all processes."""
    precision: str = "no"
    """Numbers of the forward pass: no (float32), bf16, or fp16 on a graphics card."""
    checkpointing: bool = False
    """Recompute the UNet's activations instead of keeping them: less memory, a third more time."""
    start: str = "ridge"
    """Where it starts: ridge, from the brain's tokens to the stack's own conditions of the pictures, or silent."""
    model: MaskedSettings = MaskedSettings()
    """The encoder's sizes where it starts from random weights."""
    plan: Plan = Plan(steps=1000, rate=1e-4)

    def __post_init__(self) -> None:
        trained_within(self.sessions, batch=self.batch, precision=self.precision)
        share_within("--held-out", self.held_out, above=True)
        share_within("--dropout", self.dropout)
        if self.start not in STARTS:
            raise UsageError(f"--start: {unknown('start', self.start, STARTS)}")
