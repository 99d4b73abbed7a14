"""What can be asked of sampling and of fine-tuning, read before anything heavy is imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from brain.catalogue import unknown
from brain.console.bounds import within
from brain.errors import UsageError, expected
from encoders.settings import MaskedSettings, Plan, share_within, trained_within

Scheduler = Literal["", "ddim", "ddpm", "dpm++", "euler", "euler-ancestral", "pndm"]
SCHEDULERS = {
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "dpm++": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler-ancestral": "EulerAncestralDiscreteScheduler",
    "pndm": "PNDMScheduler",
}
"""Name -> class of diffusers."""
NumberType = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """A denoising loop; a generator adds what it alone reads."""

    steps: int = 20
    """Denoising steps."""
    guidance: float = 5.0
    """Classifier-free guidance; 1 is the condition alone."""
    eta: float = 0.0
    """Noise added in each DDIM step; 1 is as much as in DDPM."""
    scheduler: Scheduler = ""
    """Empty takes the stack's own."""

    def __post_init__(self) -> None:
        within("--steps", self.steps, 1)
        within("--guidance", self.guidance, 0, 1e6)
        within("--eta", self.eta, 0, 1)


@dataclass(frozen=True, kw_only=True)
class SoundSampling(Sampling):
    """A denoising loop that draws sounds."""

    seconds: float = field(default=0.0, metadata={"hidden": True})
    """Length of what is drawn, in s; 0 takes what the stack was trained on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within("seconds", self.seconds, 0, 3600)


@dataclass(frozen=True, kw_only=True)
class Batching:
    """How many samples are drawn at once.

    micro_batch  samples in one call of a network, on every call alike; 0 is what fits the stack and the device. It
                 decides the last bits of a sample
    batch        samples drawn side by side; 0 is what keeps the device busy; it never changes a sample
    """

    micro_batch: int = 0
    batch: int = 0


def strength_within(strength: float, steps: int | None = None) -> None:
    """Refuses (UsageError) a strength that is not above 0 and at most 1, or that leaves none of `steps`, if given."""
    if not 0 < strength <= 1:
        raise UsageError(expected("--strength", "above 0 and at most 1", f"{strength:g}", "correct it"))
    if steps is not None and int(steps * strength) < 1:
        then = "use more steps or more strength"
        raise UsageError(expected(f"--strength {strength:g} of {steps} steps", "a step or more", "none left", then))


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
