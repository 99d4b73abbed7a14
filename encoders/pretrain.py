"""Pretrain a brain encoder by masked brain modelling on the training trials of one subject or many.

    accelerate launch -m encoders.pretrain data/simulated --out runs/masked
    accelerate launch -m encoders.pretrain data/simulated --out runs/masked --subjects subj01 subj02 --steps 4000
    torchrun --standalone --nproc_per_node 2 -m encoders.pretrain data/simulated --out runs/masked

The last form is what really runs two processes without a graphics card. Losses go to OUT/log.jsonl and, where it is
installed, TensorBoard's OUT/tensorboard; the weights with the least loss on the held-out sessions are
OUT/encoder.safetensors. The same command again goes on from the last checkpoint, to the same bits on a processor.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tyro.conf import OmitArgPrefixes, Positional

from brain.errors import AfterimageError, UsageError
from brain.readers import open_recording, reader_of
from encoders.masked import MaskedBrain, MaskedSettings, augmented
from encoders.storage import read_tensors, write_json
from encoders.training import WEIGHTS, Job, Plan, leave, train
from encoders.trials import Trials, batches, read_unlabelled, training_trials

FAMILY = "masked-brain"
VALIDATION = -1
"""The step that seeds the masks of the validation set, which are always the same."""


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """What to pretrain on and how."""

    subjects: tuple[str, ...] = ()
    """Which subjects; none named takes all there are."""
    regions: tuple[str, ...] = ()
    """Whose voxels; none named takes every voxel."""
    split: str = ""
    """Whose test trials are left out; empty takes the data's first split."""
    held_out: int = 1
    """How many of each subject's last sessions validate."""
    labelled_only: bool = False
    """Leave the data's unlabelled trials out."""
    batch: int = 64
    """Trials in a step, over all processes."""
    precision: str = "no"
    """Numbers of the forward pass: no (float32), bf16, or fp16 on a graphics card."""
    model: MaskedSettings = MaskedSettings()
    plan: Plan = Plan()


def pretrain(data: Path, out: Path, settings: PretrainSettings) -> Path:
    """Trains, or goes on training, and returns the path of the encoder's weights."""
    from accelerate import Accelerator

    if settings.batch < 1:
        raise UsageError(f"--batch: wanted 1 or more trials, came {settings.batch}")
    accelerator = Accelerator(mixed_precision=settings.precision, cpu=not torch.cuda.is_available())
    sets = open_trials(data, settings)
    torch.manual_seed(settings.plan.seed)
    model = MaskedBrain(settings.model)
    for one in sets:
        settings.model.kept(len(one.patches))
    facts = {"family": FAMILY, "model": asdict(settings.model), "data": [one.facts() for one in sets]}
    job = masked_job(sets, settings, identity=facts, device=accelerator.device)
    done = train(model, settings.plan, folder=out, job=job, accelerator=accelerator)
    if accelerator.is_main_process:
        write_json(out / "card.json", {**facts, "plan": asdict(settings.plan), "done": asdict(done)})
    leave(accelerator)
    return out / WEIGHTS


def open_trials(data: Path, settings: PretrainSettings) -> list[Trials]:
    """Every subject's trials."""
    found = []
    for subject in settings.subjects or reader_of(data, "").subjects(data):
        recording = open_recording(data, subject=subject)
        unlabelled = None if settings.labelled_only else read_unlabelled(data, recording)
        columns = recording.columns(settings.regions) if settings.regions else None
        found.append(
            training_trials(
                recording,
                patch=settings.model.patch,
                held_out=settings.held_out,
                split=settings.split,
                columns=columns,
                unlabelled=unlabelled,
            )
        )
    return found


def masked_job(sets: Sequence[Trials], settings: PretrainSettings, *, identity: dict[str, Any], device: Any) -> Job:
    """The masked-modelling task on these trials, for `train`."""
    values = [torch.from_numpy(one.values) for one in sets]
    centre = [torch.from_numpy(one.patches.centre).to(device) for one in sets]
    valid = [torch.from_numpy(one.patches.valid).to(device) for one in sets]
    seed, batch = settings.plan.seed, settings.batch

    @lru_cache(maxsize=2)
    def epoch_of(epoch: int) -> list[tuple[int, list[int]]]:
        return batches(sets, batch=batch, seed=seed, epoch=epoch)

    def at(step: int) -> tuple[tuple[int, int], list[int]]:
        epoch, place = divmod(step, len(epoch_of(0)))
        subject, rows = epoch_of(epoch)[place]
        return (subject, step), rows

    def loss(model: nn.Module, key: tuple[int, int], rows: Sequence[int]) -> Tensor:
        subject, step = key
        generators = [_generator(seed, step, subject, row) for row in rows]
        whole = values[subject][list(rows)]
        noise = torch.stack([torch.rand(whole.shape[1], generator=one) for one in generators])
        seen = whole if step == VALIDATION else augmented(whole, settings.model, generators)
        out: Tensor = model(whole.to(device), centre[subject], valid[subject], noise.to(device), seen.to(device))
        return out

    check = [
        ((subject, VALIDATION), one.held_out[first : first + 256].tolist())
        for subject, one in enumerate(sets)
        for first in range(0, len(one.held_out), 256)
    ]
    return Job(batch=at, loss=loss, check=check, check_loss=loss, identity={**identity, "batch": batch})


def _generator(seed: int, step: int, subject: int, row: int) -> torch.Generator:
    """The trial's own randomness in this step, whoever computes it and in whatever company."""
    number = ((seed * 1_000_003 + step + 1) * 1009 + subject) * 1_000_003 + row
    return torch.Generator().manual_seed(number % 2**63)


def load_encoder(path: Path) -> tuple[MaskedBrain, dict[str, Any]]:
    """The encoder in a file that `pretrain` wrote, ready to read, and its card; another family is an InputError."""
    tensors, card = read_tensors(path, kind=FAMILY)
    model = MaskedBrain(MaskedSettings(**card["model"]))
    model.load_state_dict({name: torch.from_numpy(one) for name, one in tensors.items()})
    return model.eval().requires_grad_(False), card


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    import tyro

    def run(data: Positional[Path], *, out: Path, settings: OmitArgPrefixes[PretrainSettings]) -> Path:
        """Pretrain a brain encoder by masked brain modelling.

        Args:
            data: The data: a folder in NSD's layout, or a file in the own-data format.
            out: The folder of the encoder, its checkpoints and logs.
            settings: What to pretrain on and how.
        """
        return pretrain(data, out, settings)

    try:
        print(tyro.cli(run, args=words, prog="encoders.pretrain"))
    except AfterimageError as error:
        print(f"pretrain: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
