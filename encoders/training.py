"""One training loop over `accelerate`, one process or many: seeded by step, resumed to the bit, killed without loss.

    outcome = train(model, plan, folder=out, job=job, accelerator=accelerator)

A step's batch is a function of (seed, step) alone, and rank r of n takes rows r, r+n, ... of it; a rank's loss is
weighted by its rows, so that the gradient is the mean over the whole batch, however it divides. Checkpoints:
`encoders.training_state`.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from brain.console.progress import progress
from brain.errors import InputError
from brain.files.json_files import as_object
from brain.files.paths import read_text
from brain.machine.arithmetic import arithmetic, changes
from brain.writing.locks import claim, sweep
from brain.writing.opener import appending, write_text
from brain.writing.places import only_files, storing
from encoders.settings import Plan
from encoders.training_state import FOLDER, Checkpoints, Progress, learned, write_weights

LOG = "log.jsonl"
WEIGHTS = "encoder.safetensors"

Loss = Callable[[nn.Module, Any, Sequence[int]], Tensor | tuple[Tensor, Mapping[str, float]]]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is trained on.

    batch     step -> the batch: a key the loss understands, and the rows of its samples
    loss      (model, key, rows) -> (row,) losses, or their mean where it is one of all rows together, alone or with
              named numbers for the log; its randomness must come from the rows and the step in the key alone
    check     the validation set: keys and rows; empty validates nothing
    identity  what a checkpoint must agree with, as plain JSON

    What follows is part of the identity where it is other than here, so that checkpoints from before it was there
    are still resumed.
    average   decay of the running average of the weights, which is then what is validated, kept and left in the model;
              in the first steps it is less: (1 + step) / (10 + step); 0 keeps none
    floor     the share of the rate at which the cosine ends
    betas     of AdamW
    """

    batch: Callable[[int], tuple[Any, Sequence[int]]]
    loss: Loss
    identity: Mapping[str, Any]
    check: Sequence[tuple[Any, Sequence[int]]] = ()
    average: float = 0.0
    floor: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)

    def bound(self, plan: Plan) -> dict[str, Any]:
        """All that a checkpoint of this job must agree with."""
        options = {name: getattr(self, name) for name in ("average", "floor", "betas")}
        changed = {name: value for name, value in options.items() if value != getattr(Job, name)}
        return {**self.identity, "plan": asdict(plan), **changed}


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What the steps of one training work with; `wrapped` is the model as accelerate runs it."""

    model: nn.Module
    wrapped: Any
    optimiser: Any
    average: dict[str, Tensor]
    job: Job
    plan: Plan
    accelerator: Any


def train(
    model: nn.Module, plan: Plan, *, folder: Path, job: Job, accelerator: Any, minutes: float = math.inf
) -> Progress:
    """Trains `model` in place from the last checkpoint on.

    Where there is a validation set, the best weights end in `folder`/encoder.safetensors. `minutes`: the longest time
    from one checkpoint to the next, beside the plan's steps. A loss that is not finite is an InputError that leaves the
    last checkpoint as it was.
    """
    store = Checkpoints(folder=folder / FOLDER, identity=job.bound(plan))
    run, at = _begin(model, plan, store=store, job=job, accelerator=accelerator)
    if _goes_on(plan, at):
        _note(at, arithmetic(str(accelerator.device)), folder=folder, say=accelerator.print)
    trackers = Trackers(folder=folder, accelerator=accelerator, from_step=at.step)
    bar = _bar(plan, at, accelerator)
    began, saved, seen = time.monotonic(), time.monotonic(), at.samples
    while _goes_on(plan, at):
        facts = _advance(run, at)
        facts["samples_per_s"] = (at.samples - seen) / max(1e-9, time.monotonic() - began)
        if job.check and _due(plan.validate, plan, at):
            facts["validation"] = _validated(run, at, folder / WEIGHTS)
        trackers.write(facts)
        _show(bar, facts, at)
        late = time.monotonic() - saved > 60 * minutes
        if accelerator.is_main_process and (late or _due(plan.save, plan, at)):
            store.save(model, run.optimiser, run.average, at)
            saved = time.monotonic()
    bar.close()
    trackers.close()
    accelerator.wait_for_everyone()
    _put(model, run.average)
    return at


def _begin(
    model: nn.Module, plan: Plan, *, store: Checkpoints, job: Job, accelerator: Any
) -> tuple[_Run, Progress]:
    """The training where the last checkpoint left it."""
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=plan.rate, weight_decay=plan.decay, betas=job.betas)
    average = _copied(model) if job.average else {}
    at = store.resume(model, optimiser, average)
    wrapped, optimiser = accelerator.prepare(model, optimiser)
    wrapped.train()
    average = {name: value.to(accelerator.device) for name, value in average.items()}
    run = _Run(
        model=model, wrapped=wrapped, optimiser=optimiser, average=average, job=job, plan=plan, accelerator=accelerator
    )
    return run, at


def _goes_on(plan: Plan, at: Progress) -> bool:
    """Whether there are steps left and patience for them."""
    return at.step < plan.steps and not (plan.patience and at.waited >= plan.patience)


def _due(every: int, plan: Plan, at: Progress) -> bool:
    return at.step % every == 0 or at.step == plan.steps


def _note(at: Progress, facts: dict[str, Any], *, folder: Path, say: Callable[[str], None]) -> None:
    """Adds what computes from now on, and says so where it is other than before."""
    other = changes(at.arithmetic[-1], facts) if at.arithmetic else []
    if other:
        say(f"{folder}: training began with other {'; '.join(other)}: the result may differ in its last digits")
    if other or not at.arithmetic:
        at.arithmetic.append(facts)


def _advance(run: _Run, at: Progress) -> dict[str, float]:
    """One step, after which `at` stands behind it; its numbers for the log."""
    rate = run.plan.rate_at(at.step, floor=run.job.floor)
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    key, rows = run.job.batch(at.step)
    loss, named = _gradients(run, key, rows)
    if not math.isfinite(loss):
        raise InputError(
            f"training: expected a finite loss, found {loss} at step {at.step}; the last checkpoint stands; "
            "lower the rate or look for extreme values in the data"
        )
    run.accelerator.clip_grad_norm_(run.wrapped.parameters(), run.plan.clip)
    run.optimiser.step()
    run.optimiser.zero_grad()
    if run.average:
        _move(run.average, run.model, keep=min(run.job.average, (1 + at.step) / (10 + at.step)))
    at.step, at.samples = at.step + 1, at.samples + len(rows)
    return {"step": at.step, "samples": at.samples, "loss": loss, "rate": rate, **named}


def _gradients(run: _Run, key: Any, rows: Sequence[int]) -> tuple[float, Mapping[str, float]]:
    """The gradients of the batch of all processes; its mean loss, and what this process names of its last part."""
    accelerator, accumulate = run.accelerator, run.plan.accumulate
    rank, ranks = accelerator.process_index, accelerator.num_processes
    mine = list(rows)[rank::ranks]
    parts = [mine[first::accumulate] for first in range(accumulate)]
    # a process that is left without a sample still takes part in the exchange of gradients, with weight 0
    parts = [part for part in parts if part] or [list(rows)[:1]]
    total = torch.zeros((), device=accelerator.device)
    named: Mapping[str, float] = {}
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        with contextlib.nullcontext() if last else accelerator.no_sync(run.wrapped):
            with accelerator.autocast():
                losses, named = _split(run.job.loss(run.wrapped, key, part))
            many = 1 if losses.ndim else len(part)
            share = losses.float().sum() * (ranks * many / len(rows) if mine else 0.0)
            accelerator.backward(share)
            total += share.detach()
    return float(accelerator.reduce(total, reduction="mean")), named


def _split(said: Tensor | tuple[Tensor, Mapping[str, float]]) -> tuple[Tensor, Mapping[str, float]]:
    """A loss and its named numbers, of which there may be none."""
    return (said, {}) if isinstance(said, Tensor) else said


def _copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in learned(model).items()}


def _move(average: Mapping[str, Tensor], model: nn.Module, *, keep: float) -> None:
    """The running average, in place: `keep` of it and the rest of the weights as they are; counters are taken over."""
    for name, value in learned(model).items():
        if value.dtype.is_floating_point:
            average[name].lerp_(value.detach(), 1 - keep)
        else:
            average[name].copy_(value)


@contextlib.contextmanager
def _averaged(run: _Run) -> Iterator[None]:
    """The model has its averaged weights inside, if there are any, and its own again afterwards."""
    own = _copied(run.model) if run.average else {}
    _put(run.model, run.average)
    yield
    _put(run.model, own)


def _put(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Gives the model these weights; none leave it as it is."""
    if weights:
        model.load_state_dict(weights, strict=False)


def _validated(run: _Run, at: Progress, path: Path) -> float:
    """The validation loss; the weights go to `path` where none was less."""
    with _averaged(run):
        loss = validate(run.wrapped, run.job, run.accelerator)
        better = loss < at.best
        at.best, at.waited = (loss, 0) if better else (at.best, at.waited + 1)
        if better and run.accelerator.is_main_process:
            write_weights(path, run.model, {"step": at.step, "validation": at.best, **run.job.identity})
    return loss


@torch.no_grad()
def validate(model: nn.Module, job: Job, accelerator: Any) -> float:
    """The mean loss over the validation set, every process its share."""
    model.eval()
    rank, ranks = accelerator.process_index, accelerator.num_processes
    total = torch.zeros(2, dtype=torch.float64)
    for key, rows in job.check:
        mine = list(rows)[rank::ranks]
        if mine:
            with accelerator.autocast():
                losses, _ = _split(job.loss(model, key, mine))
            many = 1 if losses.ndim else len(mine)
            total += torch.tensor([float(losses.double().sum()) * many, float(len(mine))])
    model.train()
    added = accelerator.reduce(total.to(accelerator.device), reduction="sum")
    return float(added[0] / added[1])


def leave(accelerator: Any) -> None:
    """Leave the process group in order: gloo's threads abort an interpreter that exits around them."""
    accelerator.wait_for_everyone()
    accelerator.free_memory()
    gc.collect()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def held(folder: Path, accelerator: Any) -> contextlib.AbstractContextManager[None]:
    """The folder of a training, held by the main process of its job (`brain.writing.locks.claim`) and swept."""
    if not accelerator.is_main_process:
        return contextlib.nullcontext()
    if (folder / LOG).exists():
        only_files(folder)
        sweep(folder, below=True)
    return claim(folder)


def _bar(plan: Plan, at: Progress, accelerator: Any) -> Any:
    quiet = not accelerator.is_main_process
    return progress(total=plan.steps, initial=at.step, desc="training", unit="step", disable=quiet)


def _show(bar: Any, facts: Mapping[str, float], at: Progress) -> None:
    """The step's loss and what is named beside it, and the least validation loss once there is one."""
    apart = ("step", "samples", "loss", "rate", "samples_per_s", "validation")
    named = {name: value for name, value in facts.items() if name not in apart}
    best = {"best": f"{at.best:.4f}"} if at.best < Progress.best else {}
    bar.update()
    bar.set_postfix(loss=f"{facts['loss']:.4f}", **best, **named)


class Trackers:
    """Where numbers go: `folder`/log.jsonl, a line a step, and TensorBoard's own file where it is installed."""

    def __init__(self, *, folder: Path, accelerator: Any, from_step: int) -> None:
        self.path, self.board = folder / LOG, None
        self.main = bool(accelerator.is_main_process)
        if not self.main:
            return
        folder.mkdir(parents=True, exist_ok=True)
        _forget_after(self.path, from_step)
        with contextlib.suppress(ImportError):
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=from_step)

    def write(self, facts: Mapping[str, float]) -> None:
        """One step's numbers."""
        if not self.main:
            return
        with appending(self.path) as file, storing(self.path):
            file.seek(0, os.SEEK_END)
            file.write((json.dumps(facts) + "\n").encode())
        if self.board is not None:
            for name in [name for name in facts if name not in ("step", "samples")]:
                self.board.add_scalar(name, facts[name], int(facts["step"]))

    def close(self) -> None:
        """Let TensorBoard write what it holds."""
        if self.board is not None:
            self.board.close()


def _forget_after(path: Path, step: int) -> None:
    """Keep the log's lines up to `step`: a killed run had gone further than its last checkpoint."""
    if not path.is_file():
        return
    kept = []
    for line in read_text(path, what="a training's log", then="take it away").splitlines():
        with contextlib.suppress(InputError):  # the last line of a killed run may be half a line
            if as_object(line, path)["step"] <= step:
                kept.append(line + "\n")
    write_text(path, "".join(kept))
