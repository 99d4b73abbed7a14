"""What both recipes are run by: where they work, finished stages, codes of finished networks, and the command line."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from brain.console.commands import command
from brain.console.progress import progress
from brain.errors import InputError, expected
from brain.files.tensors import read_torch
from encoders.training import leave
from encoders.training_state import FOLDER, found, read_average
from pipelines.miniature.stage import Stage, StageLoss, newest, train_stage


@dataclass(frozen=True)
class Recipe:
    """Where the work lies and how much of it to do. `scale` multiplies steps and samples."""

    work: Path
    scale: float
    accelerator: Any
    table: ClassVar[Mapping[str, Stage]] = {}

    def stage(self, name: str) -> Stage:
        """A stage at the recipe's scale."""
        stage = self.table[name]
        return replace(stage, steps=max(3, round(stage.steps * self.scale)))

    def train(self, name: str, model: nn.Module, loss: StageLoss, *, samples: int) -> None:
        """Trains a stage's network, or goes on training it, in its own folder."""
        stage, folder = self.stage(name), self.work / name
        train_stage(stage, model, folder, loss=loss, samples=samples, accelerator=self.accelerator)

    def has(self, name: str) -> bool:
        """Whether a stage has been trained, if only in part."""
        return bool(found(self.work / name / FOLDER))

    def finished(self, name: str, model: nn.Module, *, parts: tuple[str, ...] = ("",)) -> Any:
        """The averaged weights that a stage left behind; `parts` keeps to names that begin with one of them."""
        path = newest(self.work / name)
        average, _ = read_average(path)
        kept = {key: torch.from_numpy(value) for key, value in average.items() if key.startswith(parts)}
        if set(kept) != {key for key in model.state_dict() if key.startswith(parts)}:
            then = f"train --stage {name} again"
            raise InputError(expected(path, "the network that this stage trains now", "another", then))
        model.load_state_dict(kept, strict=False)
        return model.eval().requires_grad_(False)

    @torch.no_grad()
    def coded(
        self, name: str, net: nn.Module, *, encode: Callable[[Tensor], Tensor], count: int, batch: int
    ) -> Tensor:
        """`encode` of the first `count` rows, (row, ...) float32, cached under the digest of the network's weights."""
        path = self.work / "cache" / f"{name}-{count}-{_digest(net)}.safetensors"
        if path.is_file():
            return read_torch(path)[name]
        codes = []
        for first in progress(range(0, count, batch), desc=f"encoding as {name}", unit="batch"):
            with torch.autocast("cpu", torch.bfloat16):
                codes.append(encode(torch.arange(first, min(first + batch, count))).float())
        if self.accelerator.is_main_process:
            partial = path.with_suffix(".partial")
            save_file({name: torch.cat(codes).contiguous()}, partial)
            partial.rename(path)
        return torch.cat(codes)


def _digest(net: nn.Module) -> str:
    digest = hashlib.sha256()
    for value in net.state_dict().values():
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()[:16]


def run(
    kind: type[Recipe],
    trainers: Mapping[str, Callable[[Any], None]],
    *,
    export: Callable[[Any, Path | None], None],
    description: str | None,
) -> int:
    """The command of a recipe: one stage or all of them, then the export; returns the exit code."""
    return command("miniature", lambda: _run(kind, trainers, export, description), resumes=True)


def _run(kind: type[Recipe], trainers: Any, export: Any, description: str | None) -> None:
    from accelerate import Accelerator

    asked = _asked(kind, description)
    accelerator = Accelerator(cpu=not torch.accelerator.is_available(), mixed_precision="bf16")
    recipe = kind(work=asked.work, scale=asked.scale, accelerator=accelerator)
    for name in kind.table if asked.stage == "all" else [asked.stage] if asked.stage != "export" else []:
        torch.manual_seed(kind.table[name].seed)
        accelerator.print(f"stage {name}")
        trainers[name](recipe)
    if asked.stage in ("all", "export") and accelerator.is_main_process:
        export(recipe, asked.out)
    leave(accelerator)


def _asked(kind: type[Recipe], description: str | None) -> argparse.Namespace:
    program = f"python -m {kind.__module__.rpartition('.')[0]}"
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=program, description=description, formatter_class=shape)
    parser.add_argument("--work", type=Path, required=True, help="folder for the cached samples, checkpoints and logs")
    parser.add_argument("--stage", default="all", choices=["all", *kind.table, "export"])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the steps and samples (0.001 to try it out)")
    parser.add_argument("--out", type=Path, default=None, help="export here instead of into the packages")
    return parser.parse_args()
