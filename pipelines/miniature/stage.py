"""How the networks of the miniature stacks are trained: one table of stages a recipe, and how a stage is trained.

A batch is a function of (seed, step) alone, so a resumed stage sees what the uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from brain.errors import InputError, expected
from encoders.settings import Plan
from encoders.training import Job, held, train
from encoders.training_state import FOLDER, found

FAMILY = "miniature-stage"
FLOOR = 0.02
"""The share of the peak rate at which the cosine ends."""
BETAS = (0.9, 0.99)
MINUTES = 2.0
"""From one checkpoint to the next."""
OLD = "checkpoint.safetensors"
"""What the loop of version 0.1.0 left in a stage's folder."""

Parts = tuple[Tensor, dict[str, float]]
"""A loss, the mean over its rows, and named numbers for the log."""
StageNet = Callable[..., Parts]
"""A stage's module as a loss calls it: what it is shown in, `Parts` out."""
StageLoss = Callable[[StageNet, Tensor, torch.Generator], Parts]
"""(model, rows (row,) int64, what to draw from) -> the loss of these rows."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """How one network is trained: steps of `batch` samples, peak rate, weight averaging, gradient clip, seed."""

    name: str
    steps: int
    batch: int
    rate: float
    seed: int
    decay: float = 0.01
    average: float = 0.998
    clip: float = 1.0
    warm: int = 100

    @property
    def plan(self) -> Plan:
        """The same as the trainer takes it: nothing to validate on, checkpoints by the clock."""
        return Plan(
            steps=self.steps, rate=self.rate, warm=self.warm, decay=self.decay, clip=self.clip,
            validate=self.steps, patience=0, save=self.steps, seed=self.seed,
        )  # fmt: skip


def _table(*stages: Stage) -> dict[str, Stage]:
    return {stage.name: stage for stage in stages}


IMAGE_STAGES = _table(
    Stage(name="cortex", steps=3000, batch=64, rate=2e-3, seed=11),
    Stage(name="judge", steps=1600, batch=64, rate=2e-3, seed=12),
    Stage(name="autoencoder", steps=1700, batch=32, rate=2e-3, seed=13),
    Stage(name="clip", steps=900, batch=192, rate=1e-3, seed=14, decay=0.05),
    Stage(name="text", steps=1000, batch=384, rate=1e-3, seed=17, decay=0.05),
    Stage(name="eye", steps=1600, batch=64, rate=2e-3, seed=19),
    Stage(name="tiny", steps=500, batch=32, rate=2e-3, seed=15),
    Stage(name="decoder", steps=500, batch=32, rate=1e-3, seed=18),
    Stage(name="unet", steps=11000, batch=64, rate=1e-3, seed=16, average=0.999),
)
SOUND_STAGES = _table(
    Stage(name="auditory", steps=500, batch=64, rate=2e-3, seed=31),
    Stage(name="judge", steps=420, batch=64, rate=2e-3, seed=32),
    Stage(name="autoencoder", steps=1000, batch=24, rate=2e-3, seed=33, average=0.995),
    Stage(name="clap", steps=430, batch=96, rate=1e-3, seed=34, decay=0.05, average=0.995),
    Stage(name="teacher", steps=440, batch=64, rate=1e-3, seed=35, decay=0.05, average=0.995),
    Stage(name="text", steps=250, batch=128, rate=2e-3, seed=40, average=0.98, warm=20),
    Stage(name="language", steps=450, batch=64, rate=1e-3, seed=36),
    Stage(name="unet", steps=2050, batch=64, rate=1e-3, seed=37, average=0.998),
    Stage(name="decoder", steps=560, batch=24, rate=1e-3, seed=38, average=0.995),
    Stage(name="vocoder", steps=900, batch=12, rate=2e-3, seed=39, average=0.995),
)


def indices(stage: Stage, step: int, count: int) -> Tensor:
    """Which samples step `step` sees, (batch,) int64: every epoch a fresh seeded order of all samples."""
    first = step * stage.batch
    rows: list[int] = []
    while len(rows) < stage.batch:
        epoch, offset = divmod(first + len(rows), count)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(stage.seed * 1009 + epoch))
        rows += order[offset : offset + stage.batch - len(rows)].tolist()
    return torch.tensor(rows)


def train_stage(
    stage: Stage, model: nn.Module, folder: Path, *, loss: StageLoss, samples: int, accelerator: Any
) -> None:
    """Trains `model` in place to its averaged weights, from the last checkpoint in `folder` on.

    loss     of one process's rows of a batch, which draws from a generator of this step and process
    samples  how many there are to draw batches of
    """
    refuse_old(folder)
    rank = accelerator.process_index

    def batch(step: int) -> tuple[int, list[int]]:
        return step, indices(stage, step, samples).tolist()

    def of_rows(net: nn.Module, step: int, rows: Any) -> Parts:
        generator = torch.Generator().manual_seed((stage.seed * 1_000_003 + step) * 64 + rank)
        return loss(net, torch.tensor(rows), generator)

    identity = {"family": FAMILY, "stage": asdict(stage), "samples": samples}
    job = Job(batch=batch, loss=of_rows, identity=identity, average=stage.average, floor=FLOOR, betas=BETAS)
    with held(folder, accelerator):
        train(model, stage.plan, folder=folder, job=job, accelerator=accelerator, minutes=MINUTES)


def refuse_old(folder: Path) -> None:
    """Refuses (InputError) a stage's folder that the loop of version 0.1.0 left: its checkpoints have another form."""
    path = folder / OLD
    if path.exists():
        then = "take another --work, or remove it and train this stage again"
        raise InputError(expected(path, f"{FOLDER}/step-*.safetensors", "a checkpoint of version 0.1.0", then))


def newest(folder: Path) -> Path:
    """The newest checkpoint of a stage; none, or one of version 0.1.0, is an InputError."""
    refuse_old(folder)
    paths = found(folder / FOLDER)
    if not paths:
        raise InputError(expected(folder, "a trained stage", "no checkpoint", f"run --stage {folder.name} first"))
    return paths[-1]
