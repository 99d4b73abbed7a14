"""The state of a training on disk: checkpoints, of which the last two stay, and the weights that are its result.

A checkpoint is one safetensors file, written aside and renamed: the weights ("model."), their running average
("average.", where one is kept) and the optimiser's moments ("optimiser."). It carries an identity (settings, data,
family), and one of another identity is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from brain.errors import InputError, expected
from encoders.storage import Arrays, read_tensors, write_tensors

KIND = "checkpoint"
KEEP = 2
FOLDER = "checkpoints"
"""Where a training keeps its checkpoints, in its own folder."""
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW remembers of a weight."""
_STEP = re.compile(r"step-(\d{8})\.safetensors")
Value = TypeVar("Value")
_ELSEWHERE = "train into another --out, or take the old folder away"


@dataclass
class Progress:
    """Where training stands: finished steps, samples seen, the least validation loss and validations since.

    arithmetic  what has computed it, one after the other (`brain.machine.arithmetic`)
    """

    step: int = 0
    samples: int = 0
    best: float = 1e30
    waited: int = 0
    arithmetic: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """The checkpoints of one training: `folder`/step-00000100.safetensors, the last two of them."""

    folder: Path
    identity: Mapping[str, Any]

    def save(self, model: nn.Module, optimiser: Any, average: Mapping[str, Tensor], at: Progress) -> None:
        """Write the state after `at.step` steps, weights of any shape, and forget all but the last two."""
        tensors = {f"model.{name}": value for name, value in learned(model).items()}
        tensors |= {f"average.{name}": value for name, value in average.items()}
        states = optimiser.state_dict()["state"]
        for place, (name, _) in enumerate(_learning(model)):
            tensors |= {f"optimiser.{key}.{name}": torch.as_tensor(value) for key, value in states[place].items()}
        card = {"identity": self.identity, "progress": asdict(at)}
        write_tensors(self.folder / f"step-{at.step:08d}.safetensors", _arrays(tensors), kind=KIND, card=card)
        for path in found(self.folder)[:-KEEP]:
            path.unlink()

    def resume(self, model: nn.Module, optimiser: Any, average: dict[str, Tensor]) -> Progress:
        """Load the newest one into all three, weights of any shape.

        None there is a new start; a damaged or foreign one is an InputError.
        """
        paths = found(self.folder)
        if not paths:
            return Progress()
        path = paths[-1]
        arrays, card = read_tensors(path, kind=KIND)
        self._must_be_mine(path, card)
        tensors = {name: torch.from_numpy(one) for name, one in arrays.items()}
        _load_weights(model, part(tensors, "model."), path=path)
        _load_average(average, part(tensors, "average."), path=path)
        _load_moments(model, optimiser, part(tensors, "optimiser."), path=path)
        return Progress(**card["progress"])

    def _must_be_mine(self, path: Path, card: Mapping[str, Any]) -> None:
        theirs, mine = card["identity"], json.loads(json.dumps(self.identity))
        for name in sorted({*theirs, *mine}):
            if theirs.get(name) != mine.get(name):
                came, want = _differ(theirs.get(name), mine.get(name))
                raise InputError(expected(path, f"{name} {want}", came, _ELSEWHERE))


def found(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _STEP.fullmatch(path.name))


def read_average(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """The averaged weights in a checkpoint, name -> array of any shape, and its card: identity and progress."""
    tensors, card = read_tensors(path, kind=KIND)
    return part(tensors, "average."), card


def write_weights(path: Path, model: nn.Module, facts: Mapping[str, Any]) -> None:
    """Write what a network has learned and its card as one safetensors file, whole or not at all."""
    write_tensors(path, arrays_of(model), kind=str(facts["family"]), card=facts)


def arrays_of(model: nn.Module) -> Arrays:
    """A copy of what a network has learned, name -> array of any shape."""
    return {name: np.array(one) for name, one in _arrays(learned(model)).items()}


def learned(model: nn.Module) -> dict[str, Tensor]:
    """The network's state without its frozen parameters, name -> tensor of any shape: all that training may change."""
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    return {name: value for name, value in model.state_dict().items() if name not in frozen}


def part(whole: Mapping[str, Value], prefix: str) -> dict[str, Value]:
    """The entries whose names begin with a prefix, under what is left of their names."""
    return {name.removeprefix(prefix): value for name, value in whole.items() if name.startswith(prefix)}


def _load_weights(model: nn.Module, weights: Mapping[str, Tensor], *, path: Path) -> None:
    foreign = InputError(expected(path, "the weights of this network", "another's", _ELSEWHERE))
    if set(weights) != set(learned(model)):
        raise foreign
    try:
        model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise foreign from error


def _load_average(average: dict[str, Tensor], stored: Mapping[str, Tensor], *, path: Path) -> None:
    if set(average) != set(stored):
        raise InputError(expected(path, f"averages of {len(average)} weights", str(len(stored)), _ELSEWHERE))
    for name, value in average.items():
        value.copy_(_shaped(value, stored[name], path=path))


def _load_moments(model: nn.Module, optimiser: Any, stored: Mapping[str, Tensor], *, path: Path) -> None:
    states: dict[int, dict[str, Tensor]] = {}
    for place, (name, weight) in enumerate(_learning(model)):
        states[place] = {key: stored[f"{key}.{name}"].clone() for key in MOMENTS if f"{key}.{name}" in stored}
        for key in {*states[place]} - {"step"}:
            # in memory of its own, laid out as the optimiser lays it out when it begins
            own = torch.empty_like(weight, requires_grad=False, device="cpu")
            states[place][key] = own.copy_(_shaped(weight, states[place][key], path=path))
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})


def _learning(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The parameters that are trained, in the optimiser's order."""
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]


def _shaped(weight: Tensor, stored: Tensor, *, path: Path) -> Tensor:
    if weight.ndim == 0 and stored.shape == (1,):  # a number alone is stored as a list of one
        return stored[0]
    if stored.shape != weight.shape:
        raise InputError(expected(path, f"averages of {tuple(weight.shape)}", str(tuple(stored.shape)), _ELSEWHERE))
    return stored


def _differ(came: Any, want: Any) -> tuple[str, str]:
    """What differs, in few words: of two objects only the entries that do."""
    if isinstance(came, dict) and isinstance(want, dict):
        names = [name for name in sorted({*came, *want}) if came.get(name) != want.get(name)]
        return str({n: came.get(n) for n in names})[:160], str({n: want.get(n) for n in names})[:160]
    return str(came)[:160], str(want)[:160]


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    return {name: one.detach().cpu().numpy() for name, one in tensors.items()}
