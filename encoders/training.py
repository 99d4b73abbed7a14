"""One training loop over `accelerate`, one process or many: seeded by step, resumed to the bit, killed without loss.

    outcome = train(model, plan, folder=out, job=job, accelerator=accelerator)

A step's batch is a function of (seed, step) alone, and rank r of n takes rows r, r+n, ... of it; a rank's loss is
weighted by its rows, so that the gradient is the mean over the whole batch, however it divides. A checkpoint is one
safetensors file, written aside and renamed; the last two stay. It carries an identity (settings, data, family), and one
of another identity is refused.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from brain.arithmetic import arithmetic, changes
from brain.errors import InputError, expected
from brain.files import read_text
from brain.json_files import as_object
from brain.progress import progress
from brain.writing import appending, claim, only_files, storing, sweep, write_text
from encoders.settings import Plan
from encoders.storage import Arrays, read_tensors, write_tensors

KIND = "checkpoint"
KEEP = 2
LOG = "log.jsonl"
WEIGHTS = "encoder.safetensors"
_STEP = re.compile(r"step-(\d{8})\.safetensors")


Loss = Callable[[nn.Module, Any, Sequence[int]], Tensor]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is trained on.

    batch     step -> the batch: a key the loss understands, and the rows of its samples
    loss      (model, key, rows) -> (row,) losses; its randomness must come from the rows and the step in the key alone
    check     the validation set: keys and rows; `check_loss` like `loss`
    identity  what a checkpoint must agree with, as plain JSON
    """

    batch: Callable[[int], tuple[Any, Sequence[int]]]
    loss: Loss
    check: Sequence[tuple[Any, Sequence[int]]]
    check_loss: Loss
    identity: Mapping[str, Any]


@dataclass
class Progress:
    """Where training stands: finished steps, samples seen, the least validation loss and validations since.

    arithmetic  what has computed it, one after the other (`brain.arithmetic`)
    """

    step: int = 0
    samples: int = 0
    best: float = 1e30
    waited: int = 0
    arithmetic: list[dict[str, Any]] = field(default_factory=list)


def train(model: nn.Module, plan: Plan, *, folder: Path, job: Job, accelerator: Any) -> Progress:
    """Trains `model` in place from the last checkpoint on; the best weights end in `folder`/encoder.safetensors.

    A loss that is not finite is an InputError that leaves the last checkpoint as it was.
    """
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=plan.rate, weight_decay=plan.decay, betas=(0.9, 0.95))
    store = Checkpoints(folder=folder / "checkpoints", identity={**job.identity, "plan": asdict(plan)})
    at = store.resume(model, optimiser)
    if at.step < plan.steps and not _waited_enough(plan, at):
        _note(at, arithmetic(str(accelerator.device)), folder=folder, say=accelerator.print)
    wrapped, optimiser = accelerator.prepare(model, optimiser)
    trackers = Trackers(folder=folder, accelerator=accelerator, from_step=at.step)
    bar = progress(
        total=plan.steps, initial=at.step, desc="training", unit="step", disable=not accelerator.is_main_process
    )
    began, seen = time.monotonic(), 0
    while at.step < plan.steps and not _waited_enough(plan, at):
        for group in optimiser.param_groups:
            group["lr"] = plan.rate_at(at.step)
        key, rows = job.batch(at.step)
        loss = _step(wrapped, optimiser, key, rows, job=job, plan=plan, accelerator=accelerator, step=at.step)
        at.step, at.samples, seen = at.step + 1, at.samples + len(rows), seen + len(rows)
        facts = {"step": at.step, "samples": at.samples, "loss": loss, "rate": plan.rate_at(at.step - 1)}
        facts["samples_per_s"] = seen / max(1e-9, time.monotonic() - began)
        if at.step % plan.validate == 0 or at.step == plan.steps:
            facts["validation"] = validate(wrapped, job, accelerator)
            better = facts["validation"] < at.best
            at.best, at.waited = (facts["validation"], 0) if better else (at.best, at.waited + 1)
            if better and accelerator.is_main_process:
                write_weights(folder / WEIGHTS, model, {"step": at.step, "validation": at.best, **job.identity})
        trackers.write(facts)
        bar.update()
        bar.set_postfix(loss=f"{loss:.4f}", best=f"{at.best:.4f}")
        if accelerator.is_main_process and (at.step % plan.save == 0 or at.step == plan.steps):
            store.save(model, optimiser, at)
    bar.close()
    trackers.close()
    accelerator.wait_for_everyone()
    return at


def _note(at: Progress, facts: dict[str, Any], *, folder: Path, say: Callable[[str], None]) -> None:
    """Adds what computes from now on, and says so where it is other than before."""
    other = changes(at.arithmetic[-1], facts) if at.arithmetic else []
    if other:
        say(f"{folder}: training began with other {'; '.join(other)}: the result may differ in its last digits")
    if other or not at.arithmetic:
        at.arithmetic.append(facts)


def _waited_enough(plan: Plan, at: Progress) -> bool:
    return bool(plan.patience) and at.waited >= plan.patience


def _step(
    model: Any, optimiser: Any, key: Any, rows: Sequence[int], *, job: Job, plan: Plan, accelerator: Any, step: int
) -> float:
    """One optimiser step on the batch of all processes; returns its mean loss."""
    rank, ranks = accelerator.process_index, accelerator.num_processes
    mine = list(rows)[rank::ranks]
    parts = [mine[first :: plan.accumulate] for first in range(plan.accumulate)]
    # a process that is left without a sample still takes part in the exchange of gradients, with weight 0
    parts = [part for part in parts if part] or [list(rows)[:1]]
    total = torch.zeros((), device=accelerator.device)
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        with contextlib.nullcontext() if last else accelerator.no_sync(model):
            with accelerator.autocast():
                losses = job.loss(model, key, part)
            share = losses.float().sum() * (ranks / len(rows) if mine else 0.0)
            accelerator.backward(share)
            total += share.detach()
    mean = float(accelerator.reduce(total, reduction="mean"))
    if not math.isfinite(mean):
        raise InputError(
            f"training: expected a finite loss, found {mean} at step {step}; the last checkpoint stands; "
            "lower the rate "
            "or look for extreme values in the data"
        )
    accelerator.clip_grad_norm_(model.parameters(), plan.clip)
    optimiser.step()
    optimiser.zero_grad()
    return mean


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
                losses = job.check_loss(model, key, mine)
            total += torch.tensor([float(losses.double().sum()), float(len(mine))])
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


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """The checkpoints of one training: `folder`/step-00000100.safetensors, the last two of them."""

    folder: Path
    identity: Mapping[str, Any]

    def found(self) -> list[tuple[int, Path]]:
        """Step and path of each, the oldest first."""
        if not self.folder.is_dir():
            return []
        matches = [(_STEP.fullmatch(path.name), path) for path in self.folder.iterdir()]
        return sorted((int(match[1]), path) for match, path in matches if match)

    def save(self, model: nn.Module, optimiser: Any, at: Progress) -> None:
        """Write the state after `at.step` steps and forget all but the last two."""
        names = [name for name, one in model.named_parameters() if one.requires_grad]
        tensors = {f"model.{name}": value for name, value in learned(model).items()}
        states = optimiser.state_dict()["state"]
        for place, name in enumerate(names):
            tensors |= {f"optimiser.{key}.{name}": torch.as_tensor(value) for key, value in states[place].items()}
        card = {"identity": self.identity, "progress": asdict(at)}
        write_tensors(self.folder / f"step-{at.step:08d}.safetensors", _arrays(tensors), kind=KIND, card=card)
        for _, path in self.found()[:-KEEP]:
            path.unlink()

    def resume(self, model: nn.Module, optimiser: Any) -> Progress:
        """Load the newest one into both; none there is a new start; a damaged or foreign one is an InputError."""
        found = self.found()
        if not found:
            return Progress()
        path = found[-1][1]
        arrays, card = read_tensors(path, kind=KIND)
        self._must_be_mine(path, card)
        tensors = {name: torch.from_numpy(one) for name, one in arrays.items()}
        weights = {name.removeprefix("model."): one for name, one in tensors.items() if name.startswith("model.")}
        if set(weights) != set(learned(model)):
            raise InputError(expected(path, "the weights of this network", "another's", _ELSEWHERE))
        try:
            model.load_state_dict(weights, strict=False)
        except RuntimeError as error:
            raise InputError(expected(path, "the weights of this network", "another's", _ELSEWHERE)) from error
        states: dict[int, dict[str, Tensor]] = {}
        learning = [(name, one) for name, one in model.named_parameters() if one.requires_grad]
        for place, (name, weight) in enumerate(learning):
            keys = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"optimiser.{key}.{name}" in tensors]
            states[place] = {key: tensors[f"optimiser.{key}.{name}"].clone() for key in keys}
            for key in {*keys} - {"step"}:
                states[place][key] = _like(weight, states[place][key], path=path)
        optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
        return Progress(**card["progress"])

    def _must_be_mine(self, path: Path, card: Mapping[str, Any]) -> None:
        theirs, mine = card["identity"], json.loads(json.dumps(self.identity))
        for name in sorted({*theirs, *mine}):
            if theirs.get(name) != mine.get(name):
                came, want = _differ(theirs.get(name), mine.get(name))
                raise InputError(expected(path, f"{name} {want}", came, _ELSEWHERE))


def _like(weight: Tensor, stored: Tensor, *, path: Path) -> Tensor:
    """A stored average in memory of its own, laid out as the optimiser lays it out when it begins."""
    if stored.shape != weight.shape:
        raise InputError(expected(path, f"averages of {tuple(weight.shape)}", str(tuple(stored.shape)), _ELSEWHERE))
    return torch.empty_like(weight, requires_grad=False, device="cpu").copy_(stored)


_ELSEWHERE = "train into another --out, or take the old folder away"


def _differ(came: Any, want: Any) -> tuple[str, str]:
    """What differs, in few words: of two objects only the entries that do."""
    if isinstance(came, dict) and isinstance(want, dict):
        names = [name for name in sorted({*came, *want}) if came.get(name) != want.get(name)]
        return str({n: came.get(n) for n in names})[:160], str({n: want.get(n) for n in names})[:160]
    return str(came)[:160], str(want)[:160]


def write_weights(path: Path, model: nn.Module, facts: Mapping[str, Any]) -> None:
    """Write what a network has learned and its card as one safetensors file, whole or not at all."""
    write_tensors(path, arrays_of(model), kind=str(facts["family"]), card=facts)


def arrays_of(model: nn.Module) -> Arrays:
    """A copy of what a network has learned, as arrays."""
    return {name: np.array(one) for name, one in _arrays(learned(model)).items()}


def learned(model: nn.Module) -> dict[str, Tensor]:
    """The network's state without its frozen parameters: all that training may change."""
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    return {name: value for name, value in model.state_dict().items() if name not in frozen}


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    return {name: one.detach().cpu().numpy() for name, one in tensors.items()}


def held(folder: Path, accelerator: Any) -> contextlib.AbstractContextManager[None]:
    """The folder of a training, held by the main process of its job (`brain.writing.claim`) and swept."""
    if not accelerator.is_main_process:
        return contextlib.nullcontext()
    if (folder / LOG).exists():
        only_files(folder)
        sweep(folder, below=True)
    return claim(folder)


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
            for name in ("loss", "validation", "rate", "samples_per_s"):
                if name in facts:
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
