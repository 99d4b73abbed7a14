"""The recipe: batches from the step alone, a killed stage resumes to the same weights, strange work is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import nn

from brain.errors import InputError
from encoders.training import LOG
from encoders.training_state import read_average
from pipelines.miniature import stage as stage_module
from pipelines.miniature.recipe import Recipe
from pipelines.miniature.recipe_image import models
from pipelines.miniature.recipe_image.data import CORTEX_SEED, HELD_OUT_SEED, JUDGE_SEED, STACK_SEED, rendered
from pipelines.miniature.recipe_sound.recipe import SoundRecipe
from pipelines.miniature.stage import BETAS, FLOOR, OLD, Parts, Stage, indices, newest, train_stage

STAGE = Stage(name="line", steps=24, batch=8, rate=0.05, seed=3, warm=4)
X = torch.linspace(-1, 1, 50)[:, None]


class Killed(Exception):
    """Stands for a SIGKILL between two steps."""


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))


def apart(model: nn.Module, rows: torch.Tensor, generator: torch.Generator) -> Parts:
    noise = 0.1 * torch.randn(len(rows), 1, generator=generator)
    loss = (model(X[rows] + noise) - X[rows].square()).square().mean()
    return loss, {"apart": round(float(loss.detach().sqrt()), 3)}


def run(folder: Path, *, stage: Stage = STAGE, until: int = 10**9) -> dict[str, torch.Tensor]:
    net, seen = network(), []

    def loss(model: nn.Module, rows: torch.Tensor, generator: torch.Generator) -> Parts:
        seen.append(rows)
        if len(seen) > until:
            raise Killed
        return apart(model, rows, generator)

    train_stage(stage, net, folder, loss=loss, samples=len(X), accelerator=Accelerator(cpu=True))
    return net.state_dict()


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every step."""
    monkeypatch.setattr(stage_module, "MINUTES", 0.0)


def test_a_stage_is_torchs_own_steps_and_its_weights_their_running_average(tmp_path: Path) -> None:
    """The recipe in twenty lines: AdamW, a warm-up and a cosine, rows and draws of the step alone."""
    net = network()
    optimiser = torch.optim.AdamW(net.parameters(), lr=STAGE.rate, weight_decay=STAGE.decay, betas=BETAS)
    mean = {name: value.clone() for name, value in net.state_dict().items()}
    for step in range(STAGE.steps):
        optimiser.param_groups[0]["lr"] = STAGE.plan.rate_at(step, floor=FLOOR)
        generator = torch.Generator().manual_seed((STAGE.seed * 1_000_003 + step) * 64)
        apart(net, indices(STAGE, step, len(X)), generator)[0].backward()
        nn.utils.clip_grad_norm_(net.parameters(), STAGE.clip)
        optimiser.step()
        optimiser.zero_grad()
        for name, value in net.state_dict().items():
            mean[name].lerp_(value, 1 - min(STAGE.average, (1 + step) / (10 + step)))
    found = run(tmp_path)
    assert all(torch.equal(found[name], mean[name]) for name in mean)
    averaged, _ = read_average(newest(tmp_path))
    assert all(torch.equal(torch.from_numpy(averaged[name]), mean[name]) for name in mean)
    log = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert len(log) == STAGE.steps and all("apart" in line for line in log)


@pytest.mark.usefixtures("often")
def test_a_killed_stage_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    for steps in (5, 6, 12):
        with pytest.raises(Killed):
            run(tmp_path / "cut", until=steps)
    resumed = run(tmp_path / "cut")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not list((tmp_path / "cut").rglob("*.partial"))


@pytest.mark.usefixtures("often")
def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(tmp_path, until=5)
    with pytest.raises(InputError, match="'rate': 0.06.*found .*'rate': 0.05"):
        run(tmp_path, stage=replace(STAGE, rate=0.06))


def test_a_checkpoint_of_version_0_1_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "line").mkdir()
    save_file({"average.0.bias": torch.zeros(8)}, tmp_path / "line" / OLD)
    said = "line/checkpoint.safetensors: expected .*found a checkpoint of version 0.1.0; take another --work, or remove"
    with pytest.raises(InputError, match=said):
        run(tmp_path / "line")
    recipe = Recipe(work=tmp_path, scale=1.0, accelerator=Accelerator(cpu=True))
    with pytest.raises(InputError, match=said):
        recipe.finished("line", network())


def test_what_is_not_trained_or_another_network_is_not_finished(tmp_path: Path) -> None:
    recipe = Recipe(work=tmp_path, scale=1.0, accelerator=Accelerator(cpu=True))
    with pytest.raises(InputError, match="line: expected a trained stage, found no checkpoint; run --stage line first"):
        recipe.finished("line", network())
    weights = run(tmp_path / "line")
    found = recipe.finished("line", network())
    assert all(torch.equal(value, weights[name]) for name, value in found.state_dict().items())
    assert not found.training and not any(weight.requires_grad for weight in found.parameters())
    with pytest.raises(InputError, match="train --stage line again"):
        recipe.finished("line", nn.Linear(1, 1))


def test_an_epoch_sees_every_sample_once() -> None:
    seen = torch.cat([indices(STAGE, step, 40) for step in range(5)])
    assert sorted(seen.tolist()) == list(range(40))
    assert not torch.equal(indices(STAGE, 0, 40), indices(STAGE, 5, 40))


def test_the_rate_warms_up_and_falls() -> None:
    rates = [STAGE.plan.rate_at(step, floor=FLOOR) for step in range(STAGE.steps + 1)]
    assert rates[0] < rates[3] <= STAGE.rate and rates[-1] == pytest.approx(STAGE.rate / 50)


def test_scale_is_of_steps_and_no_stage_has_fewer_than_three() -> None:
    recipe = SoundRecipe(work=Path("work"), scale=0.01, accelerator=None)
    assert recipe.stage("unet").steps == 20 and recipe.stage("text").steps == 3


def test_no_study_can_reach_the_scenes_of_training() -> None:
    assert len({STACK_SEED, JUDGE_SEED, CORTEX_SEED, HELD_OUT_SEED}) == 4
    assert min(STACK_SEED, JUDGE_SEED, CORTEX_SEED, HELD_OUT_SEED) > 2**31


def test_scenes_are_cached_whole_and_the_same(tmp_path: Path) -> None:
    first = rendered(tmp_path, seed=HELD_OUT_SEED, count=12, workers=1)
    again = rendered(tmp_path, seed=HELD_OUT_SEED, count=12, workers=1)
    assert (first.pictures == again.pictures).all() and first.captions == again.captions
    assert first.pictures.shape == (12, 64, 64, 3) and set(first.labels) >= {"category", "kind", "colour"}


def test_the_tokenizer_knows_every_caption_word_whole() -> None:
    from brain.simulated.scenes.scene import draw_scene, vocabulary

    tokens = models.tokenizer()
    assert all(len(tokens.tokenize(word)) == 1 for word in vocabulary())
    longest = max((draw_scene(seed=1, index=i).captions[0] for i in range(200)), key=lambda c: len(c.split()))
    assert len(tokens(longest).input_ids) <= models.TOKENS
    assert tokens.decode(tokens(longest).input_ids, skip_special_tokens=True) == longest


RECIPE = ("-m", "pipelines.miniature.recipe_image", "--scale", "0.001", "--stage", "cortex", "--work")


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
    return newest(work / "cortex")


def test_the_recipe_runs_as_a_command_and_finds_its_work_done(alone: Path) -> None:
    before = alone.stat().st_mtime_ns
    launched(alone.parents[2], "accelerate.commands.launch", "--num_processes", "1", "--cpu")
    assert alone.stat().st_mtime_ns == before


def test_two_processes_train_one_model(alone: Path, tmp_path: Path) -> None:
    """The form that really runs two: each sees half of every batch, and both end near the one-process weights."""
    launched(tmp_path, "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    both, single = load_file(newest(tmp_path / "cortex")), load_file(alone)
    assert both.keys() == single.keys()
    names = [name for name in both if name.startswith("model.")]
    moved = torch.cat([(both[name] - single[name]).flatten() for name in names])
    assert 0 < moved.abs().mean() < 0.01  # each draws its own wear: one process would end in the very same weights
