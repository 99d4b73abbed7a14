"""The trainer: torch's own steps and nothing else, checkpoints of before, averaged weights, kills without loss."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.numpy import load_file
from torch import Tensor, nn

from brain.errors import InputError
from encoders.settings import Plan
from encoders.storage import read_tensors, write_tensors
from encoders.training import LOG, WEIGHTS, Job, train
from encoders.training_state import read_average

PLAN = Plan(steps=12, validate=3, save=4, warm=3, patience=0, rate=0.05)
X = torch.linspace(-1, 1, 40)[:, None]
FLOOR, AVERAGE, BETAS = 0.02, 0.9, (0.9, 0.99)
"""What the recipes of the bundled networks ask for."""


class Killed(Exception):
    """Stands for a SIGKILL between two steps."""


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))


def rows_of(step: int) -> list[int]:
    return [(7 * step + place) % 40 for place in range(10)]


def losses(model: nn.Module, key: Any, rows: Sequence[int]) -> Tensor:
    out: Tensor = (model(X[list(rows)]) - X[list(rows)].square()).square().mean(1)
    return out


def job(*, until: int = 10**9, **changes: Any) -> Job:
    """A line of forty numbers, its squares; from step `until` on it is killed."""

    def batch(step: int) -> tuple[int, list[int]]:
        if step == until:
            raise Killed
        return step, rows_of(step)

    whole = Job(batch=batch, loss=losses, check=[(-1, list(range(0, 40, 3)))], identity={"family": "toy"})
    return replace(whole, **changes)


def trained(folder: Path, *, plan: Plan = PLAN, minutes: float = 1e9, **changes: Any) -> dict[str, Tensor]:
    net = network()
    train(net, plan, folder=folder, job=job(**changes), accelerator=Accelerator(cpu=True), minutes=minutes)
    return net.state_dict()


def by_hand(steps: int, *, floor: float = 0.0, betas: tuple[float, float] = (0.9, 0.95), average: float = 0.0) -> Any:
    """The network, its optimiser and its averaged weights after so many steps, with torch alone."""
    net = network()
    optimiser = torch.optim.AdamW(net.parameters(), lr=PLAN.rate, weight_decay=PLAN.decay, betas=betas)
    mean = {name: value.clone() for name, value in net.state_dict().items()}
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = PLAN.rate_at(step, floor=floor)
        (losses(net, step, rows_of(step)).sum() * (1 / 10)).backward()
        nn.utils.clip_grad_norm_(net.parameters(), PLAN.clip)
        optimiser.step()
        optimiser.zero_grad()
        for name, value in net.state_dict().items():
            keep = min(average, (1 + step) / (10 + step))
            mean[name] = torch.lerp(mean[name], value, 1 - keep) if value.is_floating_point() else value.clone()
    return net, optimiser, mean


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two states are the same bits; a number alone is stored as a list of one."""
    pairs = ((np.atleast_1d(one[name]), np.atleast_1d(other[name])) for name in one)
    return one.keys() == other.keys() and all(np.array_equal(mine, theirs) for mine, theirs in pairs)


def test_a_checkpoint_of_version_0_1_is_resumed_to_the_same_bits(tmp_path: Path) -> None:
    """Written here as it was before weights could be averaged: names of tensors and identity are a file format."""
    net, optimiser, _ = by_hand(8)
    tensors = {f"model.{name}": value.numpy() for name, value in net.state_dict().items()}
    for (name, _), state in zip(net.named_parameters(), optimiser.state_dict()["state"].values(), strict=True):
        tensors |= {f"optimiser.{key}.{name}": np.asarray(value) for key, value in state.items()}
    progress = {"step": 8, "samples": 80, "best": 0.5, "waited": 1, "arithmetic": []}
    card = {"identity": {"family": "toy", "plan": asdict(PLAN)}, "progress": progress}
    path = tmp_path / "checkpoints" / "step-00000008.safetensors"
    write_tensors(path, tensors, kind="checkpoint", card=card)
    assert same(trained(tmp_path), by_hand(12)[0].state_dict())
    stored, theirs = read_tensors(tmp_path / "checkpoints" / "step-00000012.safetensors", kind="checkpoint")
    assert stored.keys() == tensors.keys() and theirs["identity"] == card["identity"]


def test_averaged_weights_are_validated_kept_and_left_in_the_model(tmp_path: Path) -> None:
    found = trained(tmp_path, floor=FLOOR, betas=BETAS, average=AVERAGE)
    net, _, mean = by_hand(12, floor=FLOOR, betas=BETAS, average=AVERAGE)
    assert same(found, mean)
    last = tmp_path / "checkpoints" / "step-00000012.safetensors"
    averaged, card = read_average(last)
    assert same(averaged, mean) and card["identity"] | {"average": AVERAGE, "floor": FLOOR} == card["identity"]
    weights = {name.removeprefix("model."): one for name, one in load_file(last).items() if name.startswith("model.")}
    assert same(weights, net.state_dict())
    assert same(load_file(tmp_path / WEIGHTS), mean)  # the last is the best of this line
    net.load_state_dict(mean)
    net.eval()
    validation = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()][-1]["validation"]
    with torch.no_grad():
        assert validation == pytest.approx(float(losses(net, -1, list(range(0, 40, 3))).mean()))


@pytest.mark.parametrize("average", [0.0, AVERAGE])
def test_a_killed_training_resumes_to_the_same_bits(tmp_path: Path, average: float) -> None:
    whole = trained(tmp_path / "whole", average=average)
    for until in (5, 9, 11):
        with pytest.raises(Killed):
            trained(tmp_path / "cut", average=average, until=until)
    assert same(trained(tmp_path / "cut", average=average), whole)
    assert same(load_file(tmp_path / "cut" / WEIGHTS), load_file(tmp_path / "whole" / WEIGHTS))


@pytest.mark.parametrize(("before", "after"), [(0.0, AVERAGE), (AVERAGE, 0.0), (AVERAGE, 0.5)])
def test_another_average_is_another_training(tmp_path: Path, before: float, after: float) -> None:
    trained(tmp_path, average=before)
    with pytest.raises(InputError, match="expected average .*another --out"):
        trained(tmp_path, average=after)


def test_a_loss_of_all_rows_together_and_its_names_stand_in_the_log(tmp_path: Path) -> None:
    def mean(model: nn.Module, key: Any, rows: Sequence[int]) -> tuple[Tensor, dict[str, float]]:
        one = losses(model, key, rows).mean()
        return one, {"apart": round(float(one.detach().sqrt()), 3)}

    trained(tmp_path, loss=mean)
    trained(tmp_path / "rows")
    together, rows = ([json.loads(line) for line in (home / LOG).read_text().splitlines()]
                      for home in (tmp_path, tmp_path / "rows"))  # fmt: skip
    assert [line["step"] for line in together] == list(range(1, 13))
    assert all(line["apart"] == pytest.approx(line["loss"] ** 0.5, abs=1e-3) for line in together)
    assert [line["loss"] for line in together] == pytest.approx([line["loss"] for line in rows])
    assert together[-1]["validation"] == pytest.approx(rows[-1]["validation"])


def test_a_checkpoint_is_written_when_its_minutes_are_over(tmp_path: Path) -> None:
    seldom = replace(PLAN, save=1000)
    for name, minutes, steps in (("never", 1e9, []), ("always", 0.0, [4, 5])):
        with pytest.raises(Killed):
            trained(tmp_path / name, plan=seldom, minutes=minutes, until=5)
        found = sorted((tmp_path / name).glob("checkpoints/*.safetensors"))
        assert [path.name for path in found] == [f"step-{step:08d}.safetensors" for step in steps]


def test_nothing_to_validate_on_writes_no_best_weights(tmp_path: Path) -> None:
    trained(tmp_path, check=())
    assert not (tmp_path / WEIGHTS).exists() and (tmp_path / "checkpoints").is_dir()
    assert not any("validation" in line for line in (tmp_path / LOG).read_text().splitlines())
