"""One training loop for every stage: seeded by step, averaged weights, cosine rate, checkpoints that survive a kill.

A batch is a function of (seed, step) alone, so a resumed run sees what the uninterrupted one would have seen.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from brain.progress import progress
from brain.tensors import header, read_torch

Batch = dict[str, torch.Tensor]


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


def rate_at(stage: Stage, step: int) -> float:
    """The learning rate of a step: linear warm-up, then a cosine down to a fiftieth of the peak."""
    if step < stage.warm:
        return stage.rate * (step + 1) / stage.warm
    share = (step - stage.warm) / max(1, stage.steps - stage.warm)
    return stage.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def indices(stage: Stage, step: int, count: int) -> torch.Tensor:
    """Which samples step `step` sees, (batch,) int64: every epoch a fresh seeded order of all samples."""
    first = step * stage.batch
    rows = []
    while len(rows) < stage.batch:
        epoch, offset = divmod(first + len(rows), count)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(stage.seed * 1009 + epoch))
        rows += order[offset : offset + stage.batch - len(rows)].tolist()
    return torch.tensor(rows)


def train(
    stage: Stage,
    model: nn.Module,
    folder: Path,
    *,
    loss: Callable[[nn.Module, int, int, int], tuple[torch.Tensor, dict[str, float]]],
    accelerator: Any,
    every_seconds: float = 120.0,
) -> dict[str, Any]:
    """Train `model` in place to its averaged weights and return the log; a checkpoint in `folder` is resumed.

    loss(model, step, rank, ranks) -> (scalar, named parts) draws its own batch from the step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=stage.rate, weight_decay=stage.decay, betas=(0.9, 0.99))
    wrapped, optimiser = accelerator.prepare(model, optimiser)
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    first, log = _resume(stage, folder, model, optimiser, average)
    saved, seen, began = time.monotonic(), 0, time.monotonic()
    bar = progress(range(first, stage.steps), initial=first, total=stage.steps, desc=stage.name, unit="step")
    wrapped.train()
    for step in bar:
        for group in optimiser.param_groups:
            group["lr"] = rate_at(stage, step)
        with accelerator.autocast():
            value, parts = loss(wrapped, step, accelerator.process_index, accelerator.num_processes)
        if not torch.isfinite(value):
            raise RuntimeError(
                f"stage {stage.name}: the loss is {value.item()} at step {step}; the last checkpoint stands"
            )
        accelerator.backward(value)
        accelerator.clip_grad_norm_(wrapped.parameters(), stage.clip)
        optimiser.step()
        optimiser.zero_grad()
        _average(average, model, min(stage.average, (1 + step) / (10 + step)))
        seen += stage.batch
        if step % 50 == 0 or step == stage.steps - 1:
            rate = seen / (time.monotonic() - began)
            log.append({"step": step, "loss": round(float(value.detach()), 5), **parts, "samples_s": round(rate, 1)})
            bar.set_postfix(loss=log[-1]["loss"], **parts)
        if accelerator.is_main_process and (time.monotonic() - saved > every_seconds or step == stage.steps - 1):
            _save(stage, folder, model, optimiser, average, step + 1, log, accelerator.num_processes)
            saved = time.monotonic()
    model.load_state_dict(average)
    return {"stage": asdict(stage), "log": log}


def _average(average: dict[str, torch.Tensor], model: nn.Module, keep: float) -> None:
    for name, value in model.state_dict().items():
        if value.dtype.is_floating_point:
            average[name].lerp_(value.detach(), 1 - keep)
        else:
            average[name].copy_(value)


def _save(
    stage: Stage,
    folder: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: dict[str, torch.Tensor],
    step: int,
    log: list[dict[str, Any]],
    processes: int,
) -> None:
    """One file holds everything, written aside and renamed, so that a kill leaves the old one or the new one."""
    names = [name for name, _ in model.named_parameters()]
    tensors = {f"model.{name}": value.detach().clone() for name, value in model.state_dict().items()}
    tensors |= {f"average.{name}": value.clone() for name, value in average.items()}
    for name, state in zip(names, optimiser.state_dict()["state"].values(), strict=True):
        tensors |= {f"optimiser.{key}.{name}": torch.as_tensor(value).clone() for key, value in state.items()}
    facts = {"stage": json.dumps(asdict(stage)), "step": str(step), "log": json.dumps(log), "processes": str(processes)}
    partial = folder / "checkpoint.partial"
    save_file(tensors, partial, metadata=facts)
    with open(partial, "rb") as file:
        os.fsync(file.fileno())
    partial.rename(folder / "checkpoint.safetensors")


def _resume(
    stage: Stage,
    folder: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: dict[str, torch.Tensor],
) -> tuple[int, list[dict[str, Any]]]:
    path = folder / "checkpoint.safetensors"
    if not path.is_file():
        return 0, []
    facts = header(path).metadata
    if json.loads(facts["stage"]) != asdict(stage):
        raise RuntimeError(f"{path} was trained with other settings; take another --work folder or remove it")
    tensors = read_torch(path)
    model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    for name in average:
        average[name].copy_(tensors[f"average.{name}"])
    state = {}
    for place, (name, _) in enumerate(model.named_parameters()):
        keys = [k for k in tensors if k.startswith("optimiser.") and k.split(".", 2)[2] == name]
        state[place] = {key.split(".", 2)[1]: tensors[key] for key in keys}
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(facts["step"]), json.loads(facts["log"])
