"""The recipe: batches from the step alone, a killed stage resumes to the same weights, strange work is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from pipelines.miniature import models
from pipelines.miniature.data import CORTEX_SEED, HELD_OUT_SEED, JUDGE_SEED, STACK_SEED, rendered
from pipelines.miniature.loop import Stage, indices, rate_at, train

STAGE = Stage(name="line", steps=24, batch=8, rate=0.05, seed=3, warm=4)
X = torch.linspace(-1, 1, 50)[:, None]


class Killed(Exception):
    """Stands for a SIGKILL between two steps."""


def run(folder: Path, *, stage: Stage = STAGE, until: int = 10**9) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))

    def loss(model: nn.Module, step: int, rank: int, ranks: int) -> tuple[torch.Tensor, dict[str, float]]:
        if step == until:
            raise Killed
        rows = indices(stage, step, len(X))[rank::ranks]
        return (model(X[rows]) - X[rows].square()).square().mean(), {}

    train(stage, net, folder, loss=loss, accelerator=Accelerator(cpu=True), every_seconds=0)
    return net.state_dict()


def test_a_killed_stage_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    for until in (5, 11, 23):
        with pytest.raises(Killed):
            run(tmp_path / "cut", until=until)
    resumed = run(tmp_path / "cut")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not list((tmp_path / "cut").glob("*.partial"))


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(tmp_path, until=5)
    with pytest.raises(RuntimeError, match="other settings"):
        run(tmp_path, stage=Stage(name="line", steps=24, batch=8, rate=0.06, seed=3, warm=4))


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    net = nn.Linear(1, 1)

    def loss(model: nn.Module, step: int, rank: int, ranks: int) -> tuple[torch.Tensor, dict[str, float]]:
        return model(X).mean() * (float("nan") if step == 3 else 1.0), {}

    with pytest.raises(RuntimeError, match="step 3"):
        train(STAGE, net, tmp_path, loss=loss, accelerator=Accelerator(cpu=True), every_seconds=0)
    kept = load_file(tmp_path / "checkpoint.safetensors")
    assert all(torch.isfinite(value).all() for value in kept.values())


def test_an_epoch_sees_every_sample_once() -> None:
    seen = torch.cat([indices(STAGE, step, 40) for step in range(5)])
    assert sorted(seen.tolist()) == list(range(40))
    assert not torch.equal(indices(STAGE, 0, 40), indices(STAGE, 5, 40))


def test_the_rate_warms_up_and_falls() -> None:
    rates = [rate_at(STAGE, step) for step in range(STAGE.steps)]
    assert rates[0] < rates[3] <= STAGE.rate and rates[-1] < 0.1 * STAGE.rate


def test_no_study_can_reach_the_scenes_of_training() -> None:
    assert len({STACK_SEED, JUDGE_SEED, CORTEX_SEED, HELD_OUT_SEED}) == 4
    assert min(STACK_SEED, JUDGE_SEED, CORTEX_SEED, HELD_OUT_SEED) > 2**31


def test_scenes_are_cached_whole_and_the_same(tmp_path: Path) -> None:
    first = rendered(tmp_path, seed=HELD_OUT_SEED, count=12, workers=1)
    again = rendered(tmp_path, seed=HELD_OUT_SEED, count=12, workers=1)
    assert (first.pictures == again.pictures).all() and first.captions == again.captions
    assert first.pictures.shape == (12, 64, 64, 3) and set(first.labels) >= {"category", "kind", "colour"}


def test_the_tokenizer_knows_every_caption_word_whole() -> None:
    from brain.simulated.scenes import draw_scene, vocabulary

    tokens = models.tokenizer()
    assert all(len(tokens.tokenize(word)) == 1 for word in vocabulary())
    longest = max((draw_scene(seed=1, index=i).captions[0] for i in range(200)), key=lambda c: len(c.split()))
    assert len(tokens(longest).input_ids) <= models.TOKENS
    assert tokens.decode(tokens(longest).input_ids, skip_special_tokens=True) == longest


RECIPE = ("-m", "pipelines.miniature.train", "--scale", "0.001", "--stage", "cortex", "--work")


def launched(work: Path, *launcher: str) -> None:
    """The recipe's shortest stage in processes of their own, one thread each."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *launcher, *RECIPE, str(work)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few steps of one real stage by one process, through accelerate's launcher."""
    work = tmp_path_factory.mktemp("alone")
    launched(work, "accelerate.commands.launch", "--num_processes", "1", "--cpu")
    return work / "cortex" / "checkpoint.safetensors"


def test_the_recipe_runs_as_a_command_and_finds_its_work_done(alone: Path) -> None:
    before = alone.stat().st_mtime_ns
    launched(alone.parents[1], "accelerate.commands.launch", "--num_processes", "1", "--cpu")
    assert alone.stat().st_mtime_ns == before


def test_two_processes_train_one_model(alone: Path, tmp_path: Path) -> None:
    """The form that really runs two: each sees half of every batch, and both end near the one-process weights."""
    launched(tmp_path, "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    path = tmp_path / "cortex" / "checkpoint.safetensors"
    both, single = load_file(path), load_file(alone)
    with safe_open(path, "pt") as file:
        assert file.metadata()["processes"] == "2"
    assert both.keys() == single.keys()
    names = [name for name in both if name.startswith("model.")]
    moved = torch.cat([(both[name] - single[name]).flatten() for name in names])
    assert moved.abs().mean() < 0.01
